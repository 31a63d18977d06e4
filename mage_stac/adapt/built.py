"""Built: map buildings on as much of an event as its own twin is built over.

A network is less sure of real buildings than of rendered ones, of ruins above all, and calls too few. How much of the
place is built over needs no label: the twin stands on its footprints. So the odds of "building" are moved until the
event's images are built over to the same share as the pairs rendered of that place: label shift whose target is known
(Saerens, Latinne and Decaestecker 2002, Neural Computation 14), met by a threshold, since what the network says of real
images is not calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mage_stac.chip_table import ChipTable
from mage_stac.errors import ModelError
from mage_stac.tally import ChipIndex

WITHIN = 0.5
"""Share of a pair's ground that the event's images must cover for it to be of that place."""
FURTHEST = float(np.log(5))
"""Odds are multiplied or divided by 5 at most: beyond, the images show another place than the pairs, or the model finds
no buildings."""


def share(parts: Sequence[ChipIndex], target: ChipTable) -> float | None:
    """How much of the ground is built over, 0..1, in the pairs rendered of the real place that the target shows.

    Args:
        parts: labelled pairs; those that a person graded say nothing of the ground between buildings.
        target: the event's images.

    Returns:
        None where no pair is of that place, as of invented ones, though they may have been put there.
    """
    covered = [stack.geobox.extent for stack in target.stacks]
    counts = np.zeros(5, np.int64)
    for part in parts:
        for pair, found in zip(part.pairs, part.by_pair, strict=True):
            ground = pair.geobox.extent
            invented = pair.place == pair.id
            if not (pair.real or invented) and any(
                (ground & there.to_crs(ground.crs)).area >= WITHIN * ground.area for there in covered
            ):
                counts += found
    return float(counts[1:].sum() / counts.sum()) if counts.sum() else None


def offset(logits: NDArray[np.floating], wanted: float) -> float:
    """What to add to the logits (N,) of "building" for a share `wanted` of them to be above 0, within FURTHEST.

    Raises:
        ModelError: no pixel was observed.
    """
    if not len(logits):
        raise ModelError("the real images show no pixel: how much of them is built over cannot be told")
    return float(np.clip(-np.quantile(logits, 1 - wanted), -FURTHEST, FURTHEST))
