from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
import shapely.affinity
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio import features
from scipy.ndimage import gaussian_filter

from mage_stac.cog import write_cog
from mage_stac.mosaic import LEVELS
from mage_stac.products import alignment, buildings

GRID = GeoBox((700, 800), Affine(0.5, 0, 300_000, 0, -0.5, 4_100_000), "EPSG:32615")


def warp(points: np.ndarray) -> np.ndarray:
    """A known field of shifts (x, y) in pixels, with slopes of up to 3 in 100."""
    x, y = points.T
    return np.stack([5 * np.sin(x / 250) + 2, 4 * np.cos(y / 200) - 0.01 * x], axis=1)


def houses(seed: int = 0) -> np.ndarray:
    """Houses of many sizes and directions, in pixels, on plots that are not quite regular."""
    rng = np.random.default_rng(seed)
    made = []
    for x in range(40, 780, 46):
        for y in range(40, 680, 52):
            if rng.random() < 0.8:
                box = shapely.box(0, 0, rng.uniform(14, 30), rng.uniform(10, 20))
                turned = shapely.affinity.rotate(box, rng.choice([0, 90]) + rng.normal(0, 4))
                made.append(shapely.affinity.translate(turned, x + rng.uniform(-8, 0), y + rng.uniform(-8, 0)))
    return np.array(made, dtype=object)


def moved(polygons: np.ndarray, shifts: np.ndarray) -> list[shapely.Polygon]:
    return [shapely.affinity.translate(one, *by) for one, by in zip(polygons, shifts, strict=True)]


def centres(polygons: np.ndarray) -> np.ndarray:
    return shapely.get_coordinates(shapely.centroid(polygons))


def frame(polygons: np.ndarray, grid: GeoBox = GRID) -> gpd.GeoDataFrame:
    a, b, c, d, e, f = grid.affine[:6]
    shapes = [shapely.affinity.affine_transform(one, (a, b, d, e, c, f)) for one in polygons]
    return gpd.GeoDataFrame({"footprint_id": [str(i) for i in range(len(shapes))]}, geometry=shapes, crs=str(grid.crs))


def write(folder: Path, polygons: list[shapely.Polygon], grades: np.ndarray, grid: GeoBox = GRID) -> Path:
    """A map, as unsure as a network's, that shows the polygons with these grades."""
    rng = np.random.default_rng(1)
    found = features.rasterize(zip(polygons, grades, strict=True), GRID.shape)
    sure = np.clip(gaussian_filter((found > 0).astype(float), 1.5) + rng.normal(0, 0.05, GRID.shape), 0, 1)
    shares = np.stack([1 - sure, *((found == grade) * sure for grade in range(1, 5))])
    path = folder / "probability.tif"
    write_cog(path, np.rint(shares * LEVELS).astype(np.uint8), grid, nodata=255)
    return path


def test_a_known_warp_is_found_and_grades_come_from_the_right_roofs(tmp_path: Path) -> None:
    footprints = houses()
    truth = warp(centres(footprints))
    grades = np.random.default_rng(2).integers(1, 5, len(footprints))
    path = write(tmp_path, moved(footprints, truth), grades)
    found = alignment.aligned(frame(footprints), path)
    shift = np.stack([found["shift_east"], -found["shift_north"]], axis=1) / 0.5
    error = np.hypot(*(shift - truth).T)
    assert np.hypot(*truth.T).mean() > 4
    assert np.median(error) < 0.6
    assert np.quantile(error, 0.95) < 1.2
    wanted = frame(np.array(moved(footprints, shift), dtype=object)).geometry.to_numpy()
    assert shapely.hausdorff_distance(found.geometry.to_numpy(), wanted).max() < 0.01
    graded = buildings.graded(found, path)
    assert (graded["grade"] == grades).mean() > 0.98
    assert graded["shift_east"].tolist() == found["shift_east"].tolist()
    assert (buildings.graded(frame(footprints), path)["shift_east"] == 0).all()


def test_footprints_that_fit_stay_and_so_do_those_that_the_map_does_not_show(tmp_path: Path) -> None:
    footprints = houses()
    path = write(tmp_path, list(footprints), np.ones(len(footprints)))
    found = alignment.aligned(frame(footprints), path)
    assert np.hypot(found["shift_east"], found["shift_north"]).max() < 0.15
    west = centres(footprints)[:, 0] < 200
    path = write(tmp_path, moved(footprints[west], np.tile([6.0, 0], (west.sum(), 1))), np.ones(west.sum()))
    found = alignment.aligned(frame(footprints), path)
    assert found["shift_east"][west].median() == pytest.approx(3, abs=0.1)
    assert (found["shift_east"][centres(footprints)[:, 0] > 650] == 0).all()
    blank = write(tmp_path, [shapely.box(0, 0, 1, 1)], np.ones(1))
    still = alignment.aligned(frame(footprints), blank)
    assert (still["shift_east"] == 0).all()
    assert still.geometry.geom_equals_exact(frame(footprints).geometry, 1e-6).all()
    assert len(alignment.aligned(frame(footprints[:0]), path)) == 0


def test_a_neighbourhood_that_disagrees_is_outvoted() -> None:
    x, y = np.meshgrid(np.arange(6.0), np.arange(6.0))
    spots = np.stack([x.ravel(), y.ravel()], axis=1) * alignment.STEP
    shifts = np.tile([2.0, -1.0], (36, 1))
    shifts[14] = 12, 9
    field = alignment.agreed(alignment.Field(centres=spots, shifts=shifts, matches=np.full(36, 0.8)))
    assert len(field.centres) == 35
    assert alignment.at(field, spots) == pytest.approx(np.tile([2.0, -1.0], (36, 1)), abs=1e-6)


def test_a_rotated_grid_tells_east_and_north(tmp_path: Path) -> None:
    grid = GeoBox(GRID.shape, GRID.affine @ Affine.rotation(30), GRID.crs)
    footprints = houses()
    path = write(tmp_path, moved(footprints, np.tile([6.0, 0], (len(footprints), 1))), np.ones(len(footprints)), grid)
    found = alignment.aligned(frame(footprints, grid), path)
    assert found["shift_east"].median() == pytest.approx(3 * np.cos(np.pi / 6), abs=0.1)
    assert found["shift_north"].median() == pytest.approx(-3 * np.sin(np.pi / 6), abs=0.1)
