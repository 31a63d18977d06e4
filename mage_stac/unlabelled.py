"""Unlabelled: an event's real images, before and after, on one grid, to adapt to."""

from __future__ import annotations

from pathlib import Path

import pystac

from mage_stac import chip_table, overlap, pairs, stack
from mage_stac.chip_table import ChipTable
from mage_stac.errors import CatalogueError
from mage_stac.progress import Step
from mage_stac.readings import Bands


def images(root: Path, *, dates: int = 2) -> tuple[tuple[pystac.Item, ...], tuple[pystac.Item, ...]]:
    """Items of a catalogue with an image, before and after its event; labels, if any, are not looked at.

    Where 1 of `dates` is enough and there is no other, the same Items are both.

    Raises:
        CatalogueError: no Item has an `image` asset, one has no date, or all are of one date.
    """
    pre, post = pairs.by_phase(pairs.images(root))
    if dates == 1:
        return pre or post, post or pre
    if not (pre and post):
        raise CatalogueError(
            f"{root}: all {len(pre or post)} images are of one date; to adapt to an event both its sides must be there,"
            " images from before and from after"
        )
    return pre, post


def table(
    root: Path,
    *,
    bands: Bands,
    gsd: float,
    dates: int = 2,
    progress: Step | None = None,
) -> ChipTable:
    """Where both dates of a real catalogue were observed, on the grid on which they would be mapped.

    Args:
        root: catalogue of real images.
        bands: names, in the network's order, or how each date is read.
        gsd: metres, the network's.
        dates: that the network looks at.
        progress: called when the images were looked at.

    Raises:
        CatalogueError: as `images`, or nothing was observed on both dates.
        AssetError: an Item lacks a band, or a file cannot be read.
        GridError: the two dates do not overlap.
    """
    pre, post = images(root, dates=dates)
    geobox = overlap.grid_of_both(pre, post, pairs.IMAGE, gsd)
    return chip_table.build([stack.of_dates((pre, post), geobox, bands)], progress=progress)
