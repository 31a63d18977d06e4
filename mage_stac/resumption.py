"""Resumption: what a map's run has finished is kept beside the map until it is whole, whatever ends the run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage_stac.cog import writing
from mage_stac.errors import AssetError, CatalogueError, GridError
from mage_stac.mosaic import Finished, Strip, Tiling, finished

STRIP = "strip-{:08d}.npy"
ANSWER = "windows-{:08d}-{:08d}.npy"
"""Row (and column, counted from a window above and left of the grid) -> file of a strip or of a batch of windows."""

SHIFTED = 1 << 20
"""Added to rows and columns of windows in file names, as windows may begin outside of the grid."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shelf:
    """Files of one run: strips as bytes, six a pixel, and the windows that unfinished strips still need as float32."""

    folder: Path
    tiling: Tiling

    def answer(self, row: int, column: int) -> NDArray[np.float32] | None:
        """Probabilities of the batch of windows that begins there, if they are kept."""
        shares: NDArray[np.float32] | None = _loaded(self._windows(row, column))
        return shares

    def keep(self, row: int, column: int, shares: NDArray[np.float32]) -> None:
        """Keep them.

        Raises:
            CatalogueError: the disk refuses.
        """
        _save(self._windows(row, column), shares)

    def strips(self) -> Iterator[Finished]:
        """The finished strips, from the first row on without a gap."""
        row = 0
        while (array := _loaded(self.folder / STRIP.format(row))) is not None:
            yield Finished(row=row, damage=array[0], probability=array[1:])
            row += array.shape[1]

    def put(self, strip: Finished) -> None:
        """Keep a strip, and no longer the windows that only it and those above it needed.

        Raises:
            CatalogueError: the disk refuses.
        """
        _save(self.folder / STRIP.format(strip.row), np.concatenate([strip.damage[None], strip.probability]))
        end = strip.row + len(strip.damage)
        for path in self.folder.glob("windows-*.npy"):
            top = int(path.name.split("-")[1]) - SHIFTED
            if top + self.tiling.window <= end:
                path.unlink(missing_ok=True)

    def _windows(self, row: int, column: int) -> Path:
        return self.folder / ANSWER.format(row + SHIFTED, column + SHIFTED)


@contextmanager
def shelf(final: Path, digest: str, tiling: Tiling) -> Iterator[Shelf]:
    """Where the run that makes a map keeps what it has finished: a hidden folder beside the map's own.

    It is gone when the map is whole, on bad input, and on a disk that refuses. After any other end of the run it is
    found again by the next one of the same digest; what other digests left of this map is removed.

    Args:
        final: folder that the map will have.
        digest: of all that decides the map.
        tiling: how its grid is cut.
    """
    folder = final.with_name(f".{final.name}.{digest[:16]}.kept")
    for other in final.parent.glob(f".{final.name}.{'?' * 16}.kept"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    try:
        yield Shelf(folder=folder, tiling=tiling)
    except (AssetError, CatalogueError, GridError):  # input that will not do, or a disk that refuses
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def resumed(kept: Shelf, make: Callable[..., Iterator[Strip]]) -> Iterator[Finished]:
    """All strips of a map: those kept, then those made from where they end; each is kept before it is given.

    Args:
        kept: of this run.
        make: `begin`, the first row -> the strips from there on.
    """
    row = 0
    for strip in kept.strips():
        yield strip
        row += len(strip.damage)
    for made in make(begin=row):
        strip = finished(made)
        kept.put(strip)
        yield strip


def _save(path: Path, array: NDArray[np.generic]) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(".partial")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                np.save(file, array, allow_pickle=False)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _loaded(path: Path) -> Any:
    """None where there is nothing, or what is there is broken (the machine, not the process, was stopped)."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
