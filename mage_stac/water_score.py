"""How good a water map is: against a raster of water, pixel by pixel on that raster's own grid."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from mage_stac import catalogue, grid
from mage_stac.classes import NOT_OBSERVED
from mage_stac.confusion import ratio
from mage_stac.errors import GridError
from mage_stac.raster import opened

ASSET = "water"


@dataclass(frozen=True, kw_only=True, slots=True)
class WaterScores:
    """What came out; None where a figure is 0 / 0."""

    prediction: str
    """Id of the Item."""
    reference: str
    """Path."""
    compared: int
    """Pixels that both sides know."""
    unseen: int
    """Pixels that only the reference knows; not in the figures."""
    hits: int
    false_alarms: int
    missed: int
    iou: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    water_everywhere_iou: float | None
    """What a map that says water everywhere would score: the share of water."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def score(prediction: Path, reference: Path) -> WaterScores:
    """Score the asset `water` of a prediction Item.

    Args:
        prediction: folder or file of the Item.
        reference: raster of 0 dry and 1 (or 2, permanent) water; negative values, 255 and its nodata are not counted.

    Raises:
        CatalogueError: no such Item.
        AssetError: it has no water map, or a file cannot be read.
        GridError: the map shows nothing of what the reference knows.
    """
    item = catalogue.read_item(prediction)
    with opened(catalogue.asset_path(item, ASSET)) as water, opened(reference, trusted=True) as source:
        box = grid.of_dataset(source)
        truth, known = source.read(1), source.read_masks(1) > 0
        with WarpedVRT(
            water, crs=str(box.crs), transform=box.affine, height=box.shape[0], width=box.shape[1],
            resampling=Resampling.nearest, nodata=NOT_OBSERVED,
        ) as there:  # fmt: skip
            said = there.read(1)
    known &= (truth >= 0) & (truth < NOT_OBSERVED)
    both = known & (said != NOT_OBSERVED)
    if not both.any():
        raise GridError(f"the map of Item {item.id} shows nothing of what {reference} knows")
    wet, called = truth[both] > 0, said[both] > 0
    hit, false, missed = (int(np.count_nonzero(part)) for part in (wet & called, ~wet & called, wet & ~called))
    return WaterScores(
        prediction=item.id,
        reference=str(reference),
        compared=int(both.sum()),
        unseen=int((known & ~both).sum()),
        hits=hit,
        false_alarms=false,
        missed=missed,
        iou=ratio(hit, hit + false + missed),
        precision=ratio(hit, hit + false),
        recall=ratio(hit, hit + missed),
        f1=ratio(2 * hit, 2 * hit + false + missed),
        water_everywhere_iou=ratio(hit + missed, int(both.sum())),
    )
