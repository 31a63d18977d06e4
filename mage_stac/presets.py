"""Presets: TOML files of one form, those that come with mage-stac and a user's own."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from mage_stac.errors import RecipeError

SUFFIX = ".toml"


def names(kind: str) -> tuple[str, ...]:
    """Names of those that come with mage-stac, sorted; `kind` is a folder of catalogs/, such as "sensors"."""
    folder = files("mage_stac.catalogs") / kind
    return tuple(sorted(entry.name.removesuffix(SUFFIX) for entry in folder.iterdir() if entry.name.endswith(SUFFIX)))


def shipped(kind: str, name: str) -> str:
    """The text of one that comes with mage-stac."""
    return (files("mage_stac.catalogs") / kind / f"{name}{SUFFIX}").read_text(encoding="utf-8")


def own(path: Path, what: str) -> str:
    """The text of a user's own; `what` names its kind in errors.

    Raises:
        RecipeError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{what} {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{what} {path} is not UTF-8 text ({error.reason} at byte {error.start})") from error
