"""Grades across a tornado's edge: the Joplin pseudo-labels beside the wind hazard's.

    python benchmarks/swath.py [../shared/data]

Both are laid on one ruler: metres north of the line where half of the buildings are destroyed. The labels are another
model's output (xView2 winner), by area of building; ours are counts of houses on a plain grid, over many storms drawn
at the event's strength, so what is compared is the edge's shape, not one storm.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from mage_stac.hazards import events
from mage_stac.scene.scene import Building, Scene

Floats = NDArray[np.float64]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
STEP = 60.0
"""Width of a strip along the track, m."""
BEARING = 92.0
"""Of the track here, degrees: of 80 to 113 the one along which the labels' edge is sharpest."""
RULER = np.arange(-360.0, 361.0, STEP)


def shares(across: Floats, grades: NDArray[np.int64], weight: Floats | None = None) -> Floats:
    """(len(RULER), 4) share of grades 1..4 by distance from the line where half is destroyed."""
    strips = np.floor((across - across.min()) / (STEP / 2)).astype(int)
    counts = np.zeros((strips.max() + 1, 4))
    np.add.at(counts, (strips, grades - 1), 1.0 if weight is None else weight)
    middle = across.min() + (np.arange(len(counts)) + 0.5) * STEP / 2
    lost = np.convolve(counts[:, 3], np.ones(3), "same") / np.maximum(np.convolve(counts.sum(1), np.ones(3), "same"), 1)
    edge = middle[np.flatnonzero(lost >= 0.5).max()] if (lost >= 0.5).any() else np.nan
    bins = np.round((across - edge) / STEP).astype(float)
    table = np.full((len(RULER), 4), np.nan)
    for number, at in enumerate(RULER / STEP):
        here = bins == at
        if here.any():
            table[number] = np.bincount(grades[here] - 1, None if weight is None else weight[here], minlength=4) / (
                here.sum() if weight is None else weight[here].sum()
            )
    return table


def labelled(shared: Path) -> Floats:
    with rasterio.open(shared / "joplin/joplin_damage_pseudolabel_60cm.tif") as file:
        grade, cell = file.read(1), abs(file.transform.a)
    rows, columns = np.nonzero(grade)
    turn = np.radians(BEARING - 90.0)
    return shares(-rows * cell * np.cos(turn) + columns * cell * np.sin(turn), grade[rows, columns].astype(np.int64))


def street(width: float = 300.0, length: float = 2_400.0, every: float = 20.0) -> Scene:
    """Houses every `every` metres on a strip across the track, which runs through its middle."""
    houses = tuple(
        Building(id=f"h{x:g}-{y:g}", footprint=((x, y), (x + 12, y), (x + 12, y + 9), (x, y + 9)), height=2.7)
        for x in np.arange(4.0, width - 12, every)
        for y in np.arange(5.0, length - 9, every)
    )
    return Scene(
        id="strip", seed=0, crs="EPSG:26915", origin=(0.0, 0.0), size=(width, length), datetime="2011-05-24T18:00:00Z",
        buildings=houses,
    )  # fmt: skip


def simulated(storms: int) -> tuple[Floats, Floats]:
    """Mean table over storms, and (storms,) m from nine tenths destroyed to one tenth."""
    event = events.read("joplin-2011")
    scene = street()
    wind = replace(event.happening(), offset=0.0, bearing=90.0)
    tables, widths = [], []
    for seed in range(storms):
        changed, _ = wind.apply(scene, event.intensity, np.random.default_rng(seed))
        north = np.array([one.footprint[0][1] + 4.5 - scene.size[1] / 2 for one in changed.buildings])
        grades = np.array([one.damage.grade for one in changed.buildings])
        left = north > 0
        table = shares(north[left], grades[left])
        tables.append(table)
        widths.append(width(table))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # strips that no storm has
        return np.nanmean(tables, axis=0), np.array(widths)


def width(table: Floats) -> float:
    """m over which the destroyed share falls from nine tenths to one tenth."""
    lost = np.minimum.accumulate(np.where(np.isnan(table[:, 3]), 1.0, table[:, 3]))
    return float(np.interp(-0.1, -lost, RULER) - np.interp(-0.9, -lost, RULER))


def main() -> None:
    shared = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    real = labelled(shared)
    ours, widths = simulated(30)
    print("m north of the edge    Joplin pseudo-labels: 1, 2, 3, 4     here, mean of 30 storms of 92 m/s")
    for at, one, two in zip(RULER, real, ours, strict=True):
        print(f"{at:12.0f}            {_percent(one)}               {_percent(two)}")
    print(
        f"m from 90 % to 10 % destroyed: labels {width(real):.0f}; here {np.median(widths):.0f} (middle half "
        f"{np.quantile(widths, 0.25):.0f} to {np.quantile(widths, 0.75):.0f})"
    )
    edge = np.abs(RULER) <= 240
    print(f"share of grades 2 and 3 within 240 m of the edge: labels {_middle(real[edge])}; here {_middle(ours[edge])}")


def _middle(table: Floats) -> str:
    two, three = 100 * np.nanmean(table[:, 1]), 100 * np.nanmean(table[:, 2])
    return f"{two:.0f} % and {three:.0f} %"


def _percent(row: Floats) -> str:
    return "  ".join("  -" if np.isnan(share) else f"{100 * share:3.0f}" for share in row)


if __name__ == "__main__":
    main()
