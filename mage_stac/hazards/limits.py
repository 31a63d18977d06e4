"""Limits of what hazards take, and the one line a user meets beyond them."""

from __future__ import annotations

from math import isfinite

from mage_stac.errors import HazardError
from mage_stac.hazards.hazard import Hazard
from mage_stac.scene.scene import Scene

UNTOUCHED = "touches nothing"


def check(hazard: Hazard, intensity: float) -> float:
    """The intensity itself.

    Raises:
        HazardError: it is not a number within the hazard's range.
    """
    low, high = hazard.range
    if not (isfinite(intensity) and low <= intensity <= high):
        raise HazardError(
            f"{hazard.name} of intensity {intensity:g} {hazard.unit}: give {low:g} to {high:g} {hazard.unit}"
        )
    return intensity


def among(what: str, value: str, known: tuple[str, ...]) -> str:
    """The value itself.

    Raises:
        HazardError: it is none of `known`.
    """
    if value not in known:
        raise HazardError(f"no {what} {value!r}: choose one of {', '.join(known)}")
    return value


def within(what: str, value: float, low: float, high: float) -> float:
    """The value itself.

    Raises:
        HazardError: it is not a number within the limits.
    """
    if not (isfinite(value) and low <= value <= high):
        raise HazardError(f"{what} {value:g}: give {low:g} to {high:g}")
    return value


def untouched(hazard: Hazard, intensity: float, scene: Scene, advice: str) -> str:
    """The note in the truth of a hazard that changes nothing; UNTOUCHED is in it, for whoever counts such pairs."""
    return f"{hazard.name} of {intensity:g} {hazard.unit} {UNTOUCHED} in scene {scene.id!r}: {advice}"
