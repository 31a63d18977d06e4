"""An on-disk cache of decoded stacks: block by block as they are first asked for, read through memory maps after that.

Plain memory maps, since a chip that lies anywhere in a sharded zarr costs ten times as much, and twice that if it is
compressed (benchmarks/LOG.md); the price is the size of the bare pixels on disk.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage_stac import chip_pieces, chip_table
from mage_stac.chip_pieces import Piece, Planes
from mage_stac.errors import CatalogueError
from mage_stac.plane import Plane
from mage_stac.stack import Stack

BLOCK = 512
"""Edge of the squares that are decoded and kept together, px."""
ALIGNED = 64
"""Bytes on whose multiples arrays begin."""
OPEN = 256
"""Stacks whose maps are kept open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """The maps of one stack."""

    stack: Stack
    values: tuple[NDArray[Any], ...]
    """(C, y, x) of each date."""
    seen: NDArray[np.bool_]
    """(T, y, x)."""
    mask: NDArray[np.uint8] | None
    """(y, x)."""
    filled: NDArray[np.uint8]
    """(rows, columns) of blocks: 1 when decoded; 2 when moreover all of it was observed."""
    scales: tuple[tuple[NDArray[np.float32] | None, NDArray[np.float32] | None], ...]
    """Scale and offset of each date."""


class ChipCache:
    """Gives pieces of stacks from disk, and keeps there what it had to decode.

    Several threads and processes may share a folder: a block that two of them decode is written twice, alike.
    """

    def __init__(self, folder: Path, source: Planes) -> None:
        self._folder = folder
        self._source = source
        self._maps: OrderedDict[int, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def piece(self, stack: Stack, rows: slice, columns: slice) -> Piece:
        """A window inside a stack; see `chip_pieces.read`.

        Raises:
            AssetError: a file cannot be read.
            CatalogueError: the disk refuses.
        """
        kept = self._kept(stack)
        blocks = tuple(slice(part.start // BLOCK, -(-part.stop // BLOCK)) for part in (rows, columns))
        for row, column in np.argwhere(kept.filled[blocks] == 0).tolist():
            self._fill(stack, kept, blocks[0].start + row, blocks[1].start + column)
        whole = bool((kept.filled[blocks] == 2).all())
        planes = tuple(
            Plane(
                values=values[:, rows, columns],
                scale=scale,
                offset=offset,
                seen=None if whole else kept.seen[date, rows, columns],
            )
            for date, (values, (scale, offset)) in enumerate(zip(kept.values, kept.scales, strict=True))
        )
        mask = None if kept.mask is None else kept.mask[rows, columns]
        return Piece(row=rows.start, column=columns.start, planes=planes, mask=mask)

    def _fill(self, stack: Stack, kept: _Kept, row: int, column: int) -> None:
        """Decode a block; it counts as filled only when all of it is written."""
        height, width = stack.geobox.shape
        rows = slice(row * BLOCK, min((row + 1) * BLOCK, height))
        columns = slice(column * BLOCK, min((column + 1) * BLOCK, width))
        piece = chip_pieces.read(stack, rows, columns, self._source)
        for date, plane in enumerate(piece.planes):
            kept.values[date][:, rows, columns] = plane.values
            kept.seen[date, rows, columns] = True if plane.seen is None else plane.seen
        if kept.mask is not None and piece.mask is not None:
            kept.mask[rows, columns] = piece.mask
        kept.filled[row, column] = 2 if all(plane.seen is None for plane in piece.planes) else 1

    def _kept(self, stack: Stack) -> _Kept:
        with self._lock:
            if id(stack) not in self._maps:
                self._maps[id(stack)] = self._opened(stack)
            self._maps.move_to_end(id(stack))
            while len(self._maps) > OPEN:
                self._maps.popitem(last=False)
            return self._maps[id(stack)]

    def _opened(self, stack: Stack) -> _Kept:
        head = self._folder / f"{chip_table.digest([stack])}.json"
        try:
            if not head.is_file():
                self._create(stack, head)
            return _mapped(stack, head)
        except OSError as error:
            raise CatalogueError(f"the chip cache {self._folder} cannot be used: {error.strerror or error}") from None

    def _create(self, stack: Stack, head: Path) -> None:
        """Make room for all of a stack at once: a disk that fills up under a memory map would kill the process."""
        rows, columns = (slice(0, min(BLOCK, size)) for size in stack.geobox.shape)
        planes = chip_pieces.read(stack, rows, columns, self._source).planes
        dates = [
            {"dtype": plane.values.dtype.str, "scale": _numbers(plane.scale), "offset": _numbers(plane.offset)}
            for plane in planes
        ]
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".partial", delete=False) as file:
            part = Path(file.name)
            try:
                os.posix_fallocate(file.fileno(), 0, _layout(stack, dates)[-1].stop)
                part.replace(head.with_suffix(".chips"))
            except OSError:
                part.unlink(missing_ok=True)
                raise
        note = head.with_suffix(f".{os.getpid()}.partial")
        note.write_text(json.dumps({"stack": stack.id, "dates": dates}), encoding="utf-8")
        note.replace(head)


def _numbers(column: NDArray[np.float32] | None) -> list[float] | None:
    return None if column is None else [float(number) for number in column.ravel()]


def _column(numbers: list[float] | None) -> NDArray[np.float32] | None:
    return None if numbers is None else np.array(numbers, np.float32)[:, None, None]


def _layout(stack: Stack, dates: list[dict[str, Any]]) -> list[slice]:
    """Bytes of the blocks' states, of what was seen, of the mask, and of each date's values."""
    rows, columns = stack.geobox.shape
    pixels = rows * columns
    sizes = [-(-rows // BLOCK) * -(-columns // BLOCK), pixels * len(dates), pixels if stack.mask else 0]
    sizes += [pixels * stack.bands * np.dtype(date["dtype"]).itemsize for date in dates]
    parts, start = [], 0
    for size in sizes:
        parts.append(slice(start, start + size))
        start += -(-size // ALIGNED) * ALIGNED
    return parts


def _mapped(stack: Stack, head: Path) -> _Kept:
    dates = json.loads(head.read_text(encoding="utf-8"))["dates"]
    rows, columns = stack.geobox.shape
    data = np.memmap(head.with_suffix(".chips"), np.uint8, "r+").view(np.ndarray)
    filled, seen, mask, *values = (data[part] for part in _layout(stack, dates))
    return _Kept(
        stack=stack,
        values=tuple(
            part.view(date["dtype"]).reshape(stack.bands, rows, columns)
            for part, date in zip(values, dates, strict=True)
        ),
        seen=seen.view(bool).reshape(len(dates), rows, columns),
        mask=mask.reshape(rows, columns) if stack.mask else None,
        filled=filled.reshape(-(-rows // BLOCK), -(-columns // BLOCK)),
        scales=tuple((_column(date["scale"]), _column(date["offset"])) for date in dates),
    )
