"""Zip archives from strangers: refused where they would fill the machine."""

from __future__ import annotations

import zipfile
from pathlib import Path

from mage_stac.errors import AssetError

ROOM = 4 * 2**30
"""Bytes that any archive may unpack to."""

RATIO = 100
"""Bytes out for each byte in that a larger one may unpack to: geodata stay below 30, deflate reaches 1032, and archives
whose entries share their bytes reach millions."""


def checked(path: Path) -> None:
    """Refuse a zip bomb; whatever is no zip archive passes.

    Only the archive's directory is read: GDAL never unpacks more of an entry than the directory says.

    Raises:
        AssetError: it holds more than ROOM, and more than RATIO times its own size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inside = sum(entry.file_size for entry in archive.infolist())
        size = path.stat().st_size
    except (zipfile.BadZipFile, OSError):
        return  # what reads it says what is wrong with it
    if inside > max(ROOM, RATIO * size):
        raise AssetError(
            f"{path} says that its {size / 1e6:.1f} MB unpack to {inside / 1e9:.0f} GB, as a zip bomb does: "
            "unpack it yourself if you trust it"
        )
