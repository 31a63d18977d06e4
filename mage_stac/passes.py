"""What the renderer wrote: EXR files to arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from mage_stac.errors import RenderError


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """The label pass at pixel centres; every array (rows, columns), row 0 north."""

    semantic: NDArray[np.uint8]
    """Codes of scene.SEMANTIC."""
    instance: NDArray[np.uint32]
    """0 none, else 1 + index into Scene.buildings."""
    height: NDArray[np.float32]
    """Metres above the ground under the point seen."""
    position: NDArray[np.float32]
    """(rows, columns, 3) point seen, local metres; off-nadir over terrain it is displaced (renderers/meshes.py)."""
    normal: NDArray[np.float32]
    """(rows, columns, 3), unit length."""
    depth: NDArray[np.float32]
    """Metres along the ray from the camera plane."""


def read_image(path: Path) -> NDArray[np.float32]:
    """(rows, columns, 3) linear radiance, white level ground is 1: of the image pass, or of the infrared pass."""
    channels = _channels(path)
    return _stack(channels, path, ("R", "G", "B"))


def read_radiance(folder: Path, *, infrared: bool) -> NDArray[np.float32]:
    """(rows, columns, 3) of a job's image pass, or with its infrared pass (rows, columns, 6): imaging.RENDERED."""
    names = ("image", "infrared") if infrared else ("image",)
    return np.concatenate([read_image(folder / f"{name}.exr") for name in names], axis=-1)


def read_labels(path: Path) -> Labels:
    """The label pass. RenderError when the file cannot be read or lacks a channel."""
    channels = _channels(path)
    return Labels(
        semantic=np.rint(_one(channels, path, "semantic")).astype(np.uint8),
        instance=np.rint(_one(channels, path, "instance")).astype(np.uint32),
        height=_one(channels, path, "height"),
        position=_stack(channels, path, ("Position.X", "Position.Y", "Position.Z")),
        normal=_stack(channels, path, ("Normal.X", "Normal.Y", "Normal.Z")),
        depth=_one(channels, path, "Depth"),
    )


def _channels(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every channel of every part, by its name without the view layer."""
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            return {
                name.removeprefix("ViewLayer."): np.asarray(channel.pixels, np.float32)
                for part in file.parts
                for name, channel in part.channels.items()
            }
    except (OSError, RuntimeError, ValueError) as error:
        raise RenderError(f"{path} cannot be read as OpenEXR: {error}") from error


def _one(channels: dict[str, NDArray[np.float32]], path: Path, name: str) -> NDArray[np.float32]:
    """A pass of one value; its channel is called X, V or Z, depending on Blender's version."""
    for suffix in ("", ".X", ".V", ".Z"):
        if f"{name}{suffix}" in channels:
            return channels[f"{name}{suffix}"]
    raise RenderError(f"{path} lacks the pass {name}; it has {', '.join(sorted(channels))}")


def _stack(channels: dict[str, NDArray[np.float32]], path: Path, names: tuple[str, ...]) -> NDArray[np.float32]:
    """(rows, columns, bands), band by band in memory, as the file has them."""
    return np.moveaxis(np.stack([_one(channels, path, name) for name in names]), 0, -1)
