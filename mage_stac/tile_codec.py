"""Tiles of TIFFs on web servers: fetched as they are, decoded by GDAL behind a header of their own.

GDAL's decoders (libdeflate among them) take half the time of async-tiff's, and give the bands apart.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from typing import Any

from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rasterio.windows import Window

SHORT, LONG, BYTES, DOUBLE = (3, "H"), (4, "I"), (7, "B"), (12, "d")
"""Types of TIFF's fields, with those of `struct`."""
INLINE = 4
"""Bytes of a value that stands in the field itself."""
GREY, PALETTE, MASK = 1, 3, 4
"""PhotometricInterpretation."""
BIG_ENDIAN = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Tiles:
    """Those of one image of a TIFF that hold a window, not yet decoded."""

    ifd: Any
    """What the file says of the image."""
    order: str
    """Of the file's bytes: "<" or ">"."""
    rows: range
    columns: range
    encoded: list[bytes]
    """By band, if these are apart, then by row and column."""


async def fetched(tiff: Any, ifd: Any, rows: slice, columns: slice) -> Tiles:
    """The tiles of a window of pixels of one of a file's images."""
    down, across = (
        range(part.start // edge, -(-part.stop // edge))
        for part, edge in ((rows, ifd.tile_height), (columns, ifd.tile_width))
    )
    places = [(column, row) for row, column in product(down, across)]
    found = {(tile.x, tile.y): tile.compressed_bytes for tile in await ifd.fetch_tiles(places)}
    parts = [found[place] if isinstance(found[place], list) else [found[place]] for place in places]
    return Tiles(
        ifd=ifd,
        order=">" if tiff.endianness == BIG_ENDIAN else "<",
        rows=down,
        columns=across,
        encoded=[bytes(one) for band in zip(*parts, strict=True) for one in band],
    )


def decoded(tiles: Tiles, rows: slice, columns: slice) -> NDArray[Any]:
    """The pixels (C, h, w) of the window that the tiles were fetched for.

    Raises:
        RasterioError: GDAL cannot decode them.
    """
    top, left = tiles.rows.start * tiles.ifd.tile_height, tiles.columns.start * tiles.ifd.tile_width
    window = Window(columns.start - left, rows.start - top, columns.stop - columns.start, rows.stop - rows.start)
    with MemoryFile(_file(tiles, top, left)) as memory, memory.open(driver="GTiff") as image:
        values: NDArray[Any] = image.read(window=window)
    return values


def _file(tiles: Tiles, top: int, left: int) -> bytes:
    """A TIFF of these tiles alone (TIFF 6.0, section 2)."""
    ifd, order = tiles.ifd, tiles.order
    sizes = [len(one) for one in tiles.encoded]
    colours = int(ifd.photometric_interpretation)
    fields: dict[int, tuple[tuple[int, str], Sequence[float]]] = {
        256: (LONG, [len(tiles.columns) * ifd.tile_width]),
        257: (LONG, [len(tiles.rows) * ifd.tile_height]),
        258: (SHORT, ifd.bits_per_sample),
        259: (SHORT, [int(ifd.compression)]),
        262: (SHORT, [GREY if colours in (PALETTE, MASK) else colours]),
        277: (SHORT, [ifd.samples_per_pixel]),
        284: (SHORT, [int(ifd.planar_configuration)]),
        317: (SHORT, [int(ifd.predictor or 1)]),
        322: (LONG, [ifd.tile_width]),
        323: (LONG, [ifd.tile_height]),
        324: (LONG, [0] * len(sizes)),
        325: (LONG, sizes),
        338: (SHORT, [int(one) for one in ifd.extra_samples or ()]),
        339: (SHORT, [int(one) for one in ifd.sample_format]),
        347: (BYTES, ifd.jpeg_tables or b""),
        33550: (DOUBLE, [1, 1, 0]),  # a place in pixels of the whole image, since rasterio warns of files without one
        33922: (DOUBLE, [0, 0, 0, left, -top, 0]),
        50674: (LONG, ifd.lerc_parameters or ()),
    }
    start = len(_header(fields, order))
    fields[324] = LONG, [start + offset for offset in accumulate(sizes[:-1], initial=0)]
    return b"".join([_header(fields, order), *tiles.encoded])


def _header(fields: dict[int, tuple[tuple[int, str], Sequence[float]]], order: str) -> bytes:
    """All of a file that comes before its pixels."""
    given = {tag: field for tag, field in fields.items() if len(field[1])}
    table = [struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(given))]
    beyond = b""
    end = 8 + 2 + 12 * len(given) + 4
    for tag, ((kind, letter), values) in given.items():
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > INLINE:
            at = end + len(beyond)
            beyond += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(f"{order}I", at)
        table.append(struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(INLINE, b"\0"))
    return b"".join([*table, b"\0" * 4, beyond])
