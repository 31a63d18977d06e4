"""Hazards against what is known: closed forms, published tables, real extents and gradings, and the clock.

    python benchmarks/hazards.py [../shared/data] [flood|extent|time|norcia|fire|seed ...]

Prints one table for each part, and the most memory that the process has held; nothing is written. Zion's hollows
beside other people's fills are in fills.py, the tornado's edge beside Joplin's in swath.py.
"""

from __future__ import annotations

import resource
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.hazards import depressions, events, fragility, fuels, hazus, hydraulics, ponding, shaking, spread
from mage_stac.hazards.earthquake import Earthquake
from mage_stac.hazards.fire import Fire
from mage_stac.hazards.flood import Flood
from mage_stac.hazards.hazard import Hazard
from mage_stac.hazards.wind import Wind
from mage_stac.scene.scene import Building, Scene, Surface, Tree

Floats = NDArray[np.float64]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def rough_land(side: int, seed: int = 0) -> Floats:
    """(side, side) m: a valley with hills and the noise of a laser scan, on cells of a metre."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, side)
    hills = ndimage.zoom(rng.standard_normal((side // 100 + 4,) * 2), 100, order=3)[:side, :side]
    return 30 * x**2 + 3 * hills + np.linspace(8, 0, side)[:, None] + 0.03 * rng.standard_normal((side, side))


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def flood_speed() -> None:
    side = 3163
    ground = rough_land(side)
    river = np.zeros(ground.shape, bool)
    middle = side // 2 + (40 * np.sin(np.arange(side) / 250.0)).astype(int)
    for offset in range(-6, 7):
        river[np.arange(side), middle + offset] = True
    ground[river] = (ground[np.arange(side), middle] - 2.0)[np.nonzero(river)[0]]
    ground[river] = np.minimum.accumulate(np.linspace(7, -1, side))[np.nonzero(river)[0]]
    print(f"\n10 km2 of 1 m terrain ({side} x {side} cells), CPU seconds of one core")
    level = hydraulics.surface(ground, river)
    took = timed(lambda: hydraulics.inundate(ground, hydraulics.surface(ground, river) + 2.0, river))
    print(f"  river, stage 2 m      {took:6.1f}")
    depth = hydraulics.inundate(ground, level + 2.0, river)
    print(f"    wet {100 * (depth > 0).mean():.1f} % of the land, deepest {depth.max():.1f} m")
    print(f"  filling every hollow  {timed(lambda: depressions.fill(ground)):6.1f}")
    print(f"  100 mm of rain        {timed(lambda: ponding.pond(ground, np.full(ground.shape, 0.1))):6.1f}")
    pond, left = ponding.pond(ground, np.full(ground.shape, 0.1))
    error = (pond.sum() + left) / (0.1 * ground.size) - 1
    print(f"    mass balance: held {pond.sum():.0f} m3, left {left:.0f} m3, error {error:.1e}")


def patches(water: NDArray[np.bool_]) -> str:
    """Share of land, number of patches, share of the largest, edge per wet area."""
    label, count = ndimage.label(water, np.ones((3, 3)))
    sizes = np.bincount(label.ravel())[1:]
    edge = (water[:, 1:] != water[:, :-1]).sum() + (water[1:] != water[:-1]).sum()
    return (
        f"{100 * water.mean():5.1f} %   {count:5d}   {100 * sizes.max() / sizes.sum():5.1f} %   "
        f"{np.median(sizes):6.0f}   {edge / max(water.sum(), 1):5.2f}"
    )


def flood_extent(shared: Path) -> None:
    """Floods of flat land of the chip's size beside the real extent, by hand, by radar and by optics."""
    chip = shared / "sen1floods11_spain/Spain_7370579"
    with (
        rasterio.open(f"{chip}_LabelHand.tif") as hand,
        rasterio.open(f"{chip}_S1Hand.tif") as radar,
        rasterio.open(f"{chip}_S2Hand.tif") as optics,
    ):
        label, vv, green, swir = (
            hand.read(1),
            radar.read(1),
            optics.read(3).astype(float),
            optics.read(12).astype(float),
        )
    print("\nFlood extent beside Sen1Floods11 Spain_7370579 (512 x 512 cells of 10 m; unobserved left out)")
    print("                            wet     patches  largest  median   edge/wet")
    print(f"  hand-drawn label        {patches(label == 1)}")
    print(f"  Sentinel-1, VV < -16 dB {patches(ndimage.median_filter(np.nan_to_num(vv, nan=0.0), 3) < -16)}")
    print(f"  Sentinel-2, MNDWI > 0   {patches((green - swir) / np.maximum(green + swir, 1) > 0)}")
    ground, river = plain(np.random.default_rng(1), 512)
    level = hydraulics.surface(ground, river)
    pond, _ = ponding.pond(ground, np.full(ground.shape, 0.15), river)
    print(f"  150 mm of rain alone    {patches(pond > 0.05)}")
    for stage in (0.3, 0.5, 0.8, 1.0):
        depth = hydraulics.inundate(ground, level + stage, river)
        print(f"  river, stage {stage:3.1f} m      {patches(depth > 0.05)}")
    depth = np.maximum(hydraulics.inundate(ground, level + 0.5, river), np.where(pond > 0.3, pond, 0.0))
    print(f"  river 0.5 m, and rain   {patches(depth > 0.05)}    (of the rain what stands deeper than 0.3 m)")


def plain(rng: np.random.Generator, side: int) -> tuple[Floats, NDArray[np.bool_]]:
    """(side, side) m, cells of 10 m, and its river: a coastal plain as there, for no terrain model of it is at hand.

    A fall of 1 in 2,000, swells of some decimetres, levelled fields of 60 to 250 m between dykes and roads.
    """
    swell = sum(
        a * ndimage.gaussian_filter(rng.standard_normal((side, side)), s, mode="wrap") * s * 3.5
        for s, a in ((60, 0.45), (15, 0.25))
    )
    ground = swell + np.linspace(2.5, 0, side)[None, :]
    rows, columns = (np.cumsum(rng.integers(6, 26, side)) for _ in range(2))
    rows, columns = rows[rows < side], columns[columns < side]
    field = np.searchsorted(rows, np.arange(side))[:, None] * 1000 + np.searchsorted(columns, np.arange(side))
    _, number = np.unique(field, return_inverse=True)
    number = number.reshape(field.shape)
    level = ndimage.mean(ground, number, np.arange(number.max() + 1)) + 0.15 * rng.standard_normal(number.max() + 1)
    ground = 0.3 * ground + 0.7 * level[number] + 0.03 * rng.standard_normal(ground.shape)
    ground[rows, :] += 0.35
    ground[:, columns] += 0.35
    river = np.zeros(ground.shape, bool)
    river[np.clip(side // 2 + (50 * np.sin(np.arange(side) / 90.0)).astype(int), 0, side - 1), np.arange(side)] = True
    ground[river] = (np.linspace(2.0, -0.5, side))[np.nonzero(river)[1]] - 0.5
    return ground, river


def town(count: int = 1000) -> Scene:
    """A town of `count` houses on a gentle slope with a river, roads, trees and lawns."""
    columns = 40
    rows = -(-count // columns)
    width, height = columns * 22.0, rows * 28.0 + 30.0

    def box(x: float, y: float, w: float, h: float) -> tuple[tuple[float, float], ...]:
        return ((x, y), (x + w, y), (x + w, y + h), (x, y + h))

    surfaces = [Surface(ring=box(0, 0, width, height), kind="grass", semantic="grass")]
    buildings, trees = [], []
    for row in range(rows):
        y = 30.0 + row * 28.0
        line = ((0.0, y + 3.5), (width, y + 3.5))
        surfaces.append(Surface(ring=box(0, y, width, 7), kind="asphalt", semantic="road", line=line, width=7.0))
        for column in range(columns):
            wall = ("siding_white", "brick_red", "stone", "stucco")[(row + column) % 4]
            home = box(column * 22.0 + 5, y + 12, 11, 9)
            buildings.append(
                Building(
                    id=f"b{len(buildings)}",
                    footprint=home,
                    height=5.5,
                    storeys=2,
                    wall_material=wall,
                    seed=len(buildings),
                )
            )
            trees.append(Tree(x=column * 22.0 + 2, y=y + 24, height=8.0, radius=3.0, seed=len(trees)))
    surfaces.append(Surface(ring=box(0, 0, width, 20), kind="water", semantic="water"))
    x, y = np.meshgrid(np.arange(0.5, width), np.arange(height - 0.5, 0, -1))
    terrain = 20 + 0.01 * y + 0.8 * np.sin(x / 60) * np.sin(y / 45)
    return Scene(
        id="town", seed=1, crs="EPSG:32633", origin=(350_000.0, 4_740_000.0), size=(width, height),
        datetime="2020-07-01T11:00:00Z", surfaces=tuple(surfaces), buildings=tuple(buildings[:count]),
        trees=tuple(trees), terrain=terrain.astype(np.float32), ground_seed=3,
    )  # fmt: skip


HAPPENINGS: tuple[tuple[Hazard, float], ...] = (
    (Flood(), 2.5),
    (Flood(source="rain"), 150.0),
    (Earthquake(stock="masonry", residual=0.0), 6.6),
    (Fire(bearing=20.0), 12.0),
    (Wind(straight=False, offset=0.0, bearing=60.0, radius=90.0, days=1), 85.0),
)


def clock() -> None:
    scene = town()
    print(f"\n{len(scene.buildings)} buildings on {scene.size[0]:.0f} x {scene.size[1]:.0f} m, CPU s")
    print("                       s   grades 1, 2, 3, 4          roads closed")
    for hazard, intensity in HAPPENINGS:
        start = time.process_time()
        _, truth = hazard.apply(scene, intensity, np.random.default_rng(0))
        took = time.process_time() - start
        counts = Counter(truth.grades.values())
        closed = sum(not clear for clear in truth.roads.values())
        what = f"{hazard.name} {intensity:g} {hazard.unit}"
        print(
            f"  {what:20s}{took:5.1f}   {[counts[one] for one in (1, 2, 3, 4)]!s:24s}   {closed} of {len(truth.roads)}"
        )


def same_seed() -> None:
    scene = town(200)
    print("\nSame seed, same truth to the bit; another seed, another truth")
    for hazard, intensity in HAPPENINGS:
        one, two, other = (hazard.apply(scene, intensity, np.random.default_rng(seed))[1] for seed in (5, 5, 6))
        same = all(
            getattr(one, name) is None or getattr(one, name).tobytes() == getattr(two, name).tobytes()
            for name in ("water", "flood_depth", "debris", "burnt")
        )
        same = same and (one.grades, one.roads, one.visible) == (two.grades, two.roads, two.visible)
        print(f"  {hazard.name + ' ' + hazard.unit:16s} {same!s:6} {one.grades != other.grades!s}")


COPERNICUS = {
    "Not Affected": 1, "Negligible to slight damage": 1, "Moderately Damaged": 2, "Highly Damaged": 3,
    "Completely Destroyed": 4,
}  # fmt: skip


def norcia(shared: Path) -> None:
    """The graded buildings of Norcia under the Visso earthquake beside the experts' grades."""
    folder = shared / "twins/norcia"
    archive = next(folder.glob("*.zip"))
    layer = "EMSR190_10NORCIA_02GRADING_MONIT02_v1_12500_settlements_poly_grading.shp"
    frame = gpd.read_file(f"/vsizip/{archive}/{layer}")
    event = events.read("norcia-visso-2016")
    print(f"\nNorcia, {len(frame)} buildings: {event.title}")
    print("                                           grade 1      2      3      4   (per cent)")
    real = np.bincount([COPERNICUS[text] for text in frame["grading"]], minlength=5)[1:]
    print(f"  Copernicus EMSR190, from images           {_percent(real)}")
    quake = event.happening()
    firmness = 500.0
    for weakness, label in ((0.0, "as built"), (-0.16, "one class stronger"), (-0.24, "one and a half stronger")):
        here = replace(quake, weakness=weakness, vs30=firmness)
        print(f"  drawn at the median motion, {label:24s}{_percent(_drawn(here, event.intensity, len(frame)))}")
        print(f"  mean over all motions,      {label:24s}{_percent(_expected(here, event.intensity, firmness))}")
    median = shaking.acceleration(event.intensity, quake.distance, quake.depth, firmness, quake.faulting)
    for level in ("pre", "low"):
        print(f"  Hazus at the median motion, masonry of code {level:5s} {_percent(_by_hazus(float(median), level))}")
    print(
        f"  median motion {float(median):.3f} g, intensity {float(shaking.mcs(median)):.1f} MCS; EMS-98 shares there:"
    )
    for weakness in (0.0, -0.16):
        shares = fragility.shares(fragility.mean_grade(shaking.mcs(median), 0.72 + weakness))
        print(
            f"    V {0.72 + weakness:.2f}: "
            + "  ".join(f"D{grade} {100 * part:.2f} %" for grade, part in enumerate(shares))
        )
    print(WHY)


WHY = """  Why they differ. The experts graded from above, where cracked walls (EMS-98 2 and 3, grade 2 here) hardly
  show, and "not affected" is what showed nothing: Truth.visible gives 0.1 to 0.35 for those. Most of Norcia was
  strengthened after the earthquakes of 1979 and 1997 and suffered little in 2016 (Sisti et al. 2022,
  doi:10.1007/s10518-021-01248-0): that is one class and more, and no footprint tells it. And a mixed stock has more
  collapses beside more intact houses than the binomial of one vulnerability: the 8 destroyed of 2,314 are single weak
  buildings, some hurt on 24 August already."""


def _by_hazus(motion: float, level: str, count: int = 20_000) -> NDArray[np.int64]:
    """Low and middle-rise stone houses, half each, of each grade 1..4 by Hazus's curves."""
    ring = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
    houses = [
        Building(id=str(n), footprint=ring, height=6.0, storeys=2 + n % 2, wall_material="stone") for n in range(count)
    ]
    luck = np.random.default_rng(0).random(count)
    drawn = hazus.grades(np.full(count, motion), houses, "masonry", level, luck)
    return np.bincount(np.array(fragility.JOINT)[drawn], minlength=5)[1:]


def _drawn(quake: Earthquake, magnitude: float, count: int) -> NDArray[np.int64]:
    """Buildings of each grade 1..4 in one draw at the median motion."""
    rng = np.random.default_rng(0)
    median = shaking.acceleration(magnitude, quake.distance, quake.depth, quake.vs30, quake.faulting)
    index = 0.72 + quake.weakness + fragility.SCATTER * rng.standard_normal(count)
    drawn = fragility.grades(np.full(count, float(shaking.mcs(median))), index, rng.random(count))
    return np.bincount(np.array(fragility.JOINT)[drawn], minlength=5)[1:]


def _expected(quake: Earthquake, magnitude: float, firmness: float) -> Floats:
    """Share of each grade 1..4 over the scatter of motion, intensity and vulnerability."""
    rng = np.random.default_rng(0)
    count = 20_000
    spread_of_motion = np.hypot(shaking.BETWEEN, shaking.WITHIN)
    median = shaking.acceleration(magnitude, quake.distance, quake.depth, firmness, quake.faulting)
    felt = shaking.mcs(median * 10 ** (spread_of_motion * rng.standard_normal(count)))
    felt = felt + shaking.MCS_SIGMA * rng.standard_normal(count)
    index = 0.72 + quake.weakness + fragility.SCATTER * rng.standard_normal(count)
    shares = fragility.shares(fragility.mean_grade(felt, index)).mean(axis=0)
    return np.bincount(fragility.JOINT, shares, minlength=5)[1:]


def _percent(counts: NDArray[np.generic]) -> str:
    total = float(np.sum(counts))
    return "  ".join(f"{100 * float(count) / total:5.2f}" for count in counts)


def fire_rate() -> None:
    print("\nFire on flat uniform grass (6 % dead moisture): the head over Rothermel's rate, the shape over Anderson's")
    print("  wind m/s   head m/s   found/rate   length/width   found/ratio   mean arrival/exact")
    side, cell = 201, 2.0
    bed = fuels.bed(fuels.GRASS, dead=0.06, live=1.0)
    zero = np.zeros((side, side))
    rows, columns = np.mgrid[:side, :side]
    east, north = (columns - side // 2) * cell, (side // 2 - rows) * cell
    away = np.hypot(east, north)
    for wind in (0.0, 1.0, 2.0, 3.0, 4.0):
        front = spread.front(zero.astype(np.int64), [(bed, wind)], 90.0, (zero, zero))
        times = spread.arrival(side**2, spread.ways(front, cell), np.array([side**2 // 2]), np.inf).reshape(side, side)
        head, ratio = bed.rate * (1 + bed.factor(wind)), float(spread.length_to_width(np.array(wind)))
        e = np.sqrt(1 - ratio**-2)
        exact = away * (1 - e * east / np.maximum(away, 1e-9)) / (head * (1 - e))
        burnt = times <= times[side // 2, side // 2 + 90]
        i, j = np.nonzero(burnt)
        far = away > 30
        found = 90 * cell / times[side // 2, side // 2 + 90]
        print(
            f"  {wind:8.1f}   {head:8.3f}   {found / head:10.3f}   {ratio:12.2f}"
            f"   {np.ptp(j) / np.ptp(i) / ratio:11.3f}"
            f"   {(times[far] / exact[far]).mean():18.3f}"
        )
    print("\n  Anderson (1982): chains per hour at 5 mi/h, 8 % and 100 % moisture")
    published = {1: 78, 2: 35, 3: 104, 4: 75, 5: 18, 8: 1.6, 9: 7.5, 10: 7.9}
    for fuel in fuels.FUELS:
        made = fuels.bed(fuel, dead=0.08, live=1.0)
        rate = made.rate * (1 + made.factor(5 * 0.44704)) / (20.1168 / 3600)
        print(f"  model {fuel.number:2d}   published {published[fuel.number]:6.1f}   here {rate:6.1f}")


def memory() -> None:
    tracemalloc.start()
    ground = rough_land(1000)
    ponding.pond(ground, np.full(ground.shape, 0.1))
    print(f"\nMemory of ponding: {tracemalloc.get_traced_memory()[1] / ground.size:.0f} bytes a cell at the peak")
    tracemalloc.stop()


def main(arguments: list[str]) -> None:
    shared = next((Path(one) for one in arguments if Path(one).is_dir()), SHARED)
    parts: dict[str, list[Callable[[], None]]] = {
        "flood": [flood_speed, memory],
        "extent": [lambda: flood_extent(shared)],
        "time": [clock],
        "seed": [same_seed],
        "norcia": [lambda: norcia(shared)],
        "fire": [fire_rate],
    }
    for name in [one for one in arguments if one in parts] or parts:
        for part in parts[name]:
            part()
    print(f"\nThe process held {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB at most")


if __name__ == "__main__":
    main(sys.argv[1:])
