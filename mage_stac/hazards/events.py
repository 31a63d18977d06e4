"""Events: well-known disasters as a hazard with its settings and an intensity, from catalogs/events.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mage_stac.errors import HazardError
from mage_stac.hazards import HAZARDS
from mage_stac.hazards.hazard import Hazard


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    title: str
    hazard: str
    """A key of HAZARDS."""
    intensity: float
    """In the hazard's unit."""
    source: str
    """Of the figures."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Fields of the hazard that differ from its defaults."""

    def happening(self) -> Hazard:
        """The hazard as it was."""
        return configured(self.hazard, self.settings)


def configured(hazard: str, settings: dict[str, Any]) -> Hazard:
    """The hazard called `hazard` with some of its fields set.

    Raises:
        HazardError: no such hazard or setting, or a value that it refuses.
    """
    if hazard not in HAZARDS:
        raise HazardError(f"no hazard {hazard!r}: choose one of {', '.join(HAZARDS)}")
    kind = type(HAZARDS[hazard])
    known = sorted(set(TypeAdapter(kind).json_schema()["properties"]) - {"name", "unit", "range"})
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise HazardError(f"{hazard} has no setting {unknown[0]!r}: choose among {', '.join(known)}")
    try:
        return TypeAdapter(kind).validate_python(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where, what = first["loc"][0], first["msg"].removeprefix("Input should be ")
        raise HazardError(f"{hazard} setting {where} {first['input']!r}: give {what}") from None


def settings(texts: Sequence[str]) -> dict[str, Any]:
    """What texts like `hours=2` or `source=rain` set: numbers, true and false as TOML has them, else words.

    Raises:
        HazardError: a text has no name or no value.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if not (name and value):
            raise HazardError(f"setting {text!r} is not NAME=VALUE, such as hours=2")
        try:
            found[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[name] = value
    return found


def names() -> tuple[str, ...]:
    """The events that come with mage-stac, sorted."""
    return tuple(sorted(_events()))


def read(name: str) -> Event:
    """An event by its name.

    Raises:
        HazardError: there is no such event.
    """
    if name not in _events():
        raise HazardError(f"no event {name!r}: choose one of {', '.join(names())}")
    return _events()[name]


@cache
def _events() -> dict[str, Event]:
    text = (files("mage_stac.catalogs") / "events.toml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Event]).validate_python(tomllib.loads(text))
