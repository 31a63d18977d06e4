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
from mage_stac.mosaic import Finished, Pending, Strip, finished

STRIP = "strip-{:08d}.npy"
REST = "rest-{:08d}.npy"
"""First row -> file of a strip, of what is pending below the last one."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Files of one run: strips as bytes, six a pixel, and what is known of the rows below them as float32."""

    folder: Path

    def rest(self) -> Pending | None:
        """What is pending below the strips that are kept."""
        for path in sorted(self.folder.glob("rest-*.npy"), reverse=True):
            planes = _loaded(path)
            if planes is not None:
                return Pending(row=int(path.stem.split("-")[1]), total=planes[:-1], valid=planes[-1] > 0)
        return None

    def strip(self, row: int) -> Finished | None:
        """The finished strip that begins at a row, if it is kept."""
        planes = _loaded(self.folder / STRIP.format(row))
        return None if planes is None else Finished(row=row, damage=planes[0], probability=planes[1:])

    def put(self, strip: Finished, rest: Pending) -> None:
        """Keep a strip and what is pending below it, and no longer what was pending before.

        Raises:
            CatalogueError: the disk refuses.
        """
        _save(self.folder / STRIP.format(strip.row), np.concatenate([strip.damage[None], strip.probability]))
        _save(self.folder / REST.format(rest.row), np.concatenate([rest.total, rest.valid[None]]))
        (self.folder / REST.format(strip.row)).unlink(missing_ok=True)


@contextmanager
def shelf(final: Path, digest: str) -> Iterator[Shelf]:
    """Where the run that makes a map keeps what it has finished: a hidden folder beside the map's own.

    It is gone when the map is whole, on bad input, and on a disk that refuses. After any other end of the run it is
    found again by the next one of the same digest; what other digests left of this map is removed.

    Args:
        final: folder that the map will have.
        digest: of all that decides the map.
    """
    folder = final.with_name(f".{final.name}.{digest[:16]}.kept")
    for other in final.parent.glob(f".{final.name}.{'?' * 16}.kept"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    try:
        yield Shelf(folder)
    except (AssetError, CatalogueError, GridError):  # input that will not do, or a disk that refuses
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def resumed(kept: Shelf, make: Callable[..., Iterator[tuple[Strip, Pending]]]) -> Iterator[Finished]:
    """All strips of a map: those kept, then those made from where they end; each is kept before it is given.

    Args:
        kept: of this run.
        make: `after`, what is pending below the strips that are there -> the strips from there on.
    """
    rest, row = kept.rest(), 0
    while rest is not None and row < rest.row:
        there = kept.strip(row)
        if there is None:  # the machine, not the process, was stopped: from the start
            rest = None
            break
        yield there
        row += len(there.damage)
    for made, below in make(after=rest):
        strip = finished(made)
        kept.put(strip, below)
        del made, below  # the floats need not stay while the next ones are made
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
