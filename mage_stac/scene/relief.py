"""Relief: the terrain under a site and the heights of what stands on it, from rasters, contours and spot heights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.errors import CRSError, RasterioIOError
from rasterio.features import rasterize
from rasterio.fill import fillnodata
from rasterio.warp import Resampling, reproject
from scipy import ndimage
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from mage_stac.errors import PlaceError
from mage_stac.scene import site
from mage_stac.scene.features import Features
from mage_stac.scene.scene import Scene
from mage_stac.scene.site import LONLAT, Site
from mage_stac.scene.sources import Source

Grid = NDArray[np.float32]

STEPS = (1.0, 10.0)
"""Finest and coarsest cells of a terrain, m: coarser sources are made smooth, finer ones averaged."""
MOST_CELLS = 1000
"""Cells of a terrain along one side."""
EDGE = 0.02
"""Share of a site that a terrain model may leave out at its rim, to be continued from within."""
HOLES = 0.5
"""With a larger share of voids a terrain model is refused."""
THIN = 4.0
"""Of several heights in a square of this side one is kept, m."""
OPENING = 60.0
"""Nothing built is wider: the window in which a surface model's lowest cells are taken for ground, m."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Relief:
    """Heights on a grid over a site."""

    heights: Grid
    """(rows, columns) m, pixel centres, row 0 north, no gaps."""
    at: Site
    notes: tuple[str, ...] = ()

    @property
    def step(self) -> tuple[float, float]:
        """Width and height of a cell, m."""
        return self.at.size[0] / self.heights.shape[1], self.at.size[1] / self.heights.shape[0]

    def sample(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Heights (N,) at points (N, 2) of the site's CRS, between cells by straight lines."""
        west, _, _, north = self.at.bounds
        width, height = self.step
        where = np.stack([(north - points[:, 1]) / height - 0.5, (points[:, 0] - west) / width - 0.5])
        found: NDArray[np.float64] = ndimage.map_coordinates(self.heights.astype(float), where, order=1, mode="nearest")
        return found


def terrain(sources: Sequence[Source], at: Site, spots: Features) -> Relief | None:
    """The ground under `at`: of terrain models, else of contours and spot heights, else beneath a surface model.

    `spots` are features of role contour, from around the site too. None where nothing tells heights.

    Raises:
        PlaceError: a model does not cover the site, has no CRS, or is mostly voids.
    """
    models = _of_role(sources, "terrain")
    if models:
        return _model(models, at)
    points = _spot_points(spots)
    if len(points) > 3:
        return Relief(heights=_between(points, at), at=at, notes=(f"terrain: interpolated from {len(points)} points",))
    surface = _of_role(sources, "surface")
    return _beneath(_model(surface, at)) if surface else None


def above_ground(sources: Sequence[Source], at: Site, ground: Relief | None) -> Relief | None:
    """Heights of things above the ground, NaN where not known: of a height model, else surface less terrain."""
    heights = _of_role(sources, "height")
    if heights:
        values, _ = _read(heights, at, _step(heights, at, 0.5), Resampling.bilinear)
        return Relief(heights=values, at=at)
    surface = _of_role(sources, "surface")
    if not surface or ground is None:
        return None
    values, _ = _read(surface, at, _step(surface, at, 0.5), Resampling.bilinear)
    cells = Relief(heights=values, at=at)
    rows, columns = values.shape
    west, _, _, north = at.bounds
    x = west + (np.arange(columns) + 0.5) * cells.step[0]
    y = north - (np.arange(rows) + 0.5) * cells.step[1]
    under = ground.sample(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)).reshape(rows, columns)
    return Relief(heights=(values - under).astype(np.float32), at=at)


def medians(above: Relief, footprints: NDArray[np.object_]) -> NDArray[np.float64]:
    """(N,) median height above ground within each footprint, a cell inside its rim where it is wide enough.

    NaN where fewer than three cells, or less than half of them, are known.
    """
    rows, columns = above.heights.shape
    inner = shapely.buffer(footprints, -0.75 * max(above.step))
    shapes = np.where(shapely.area(inner) > 6 * above.step[0] * above.step[1], inner, footprints)
    grid = above.at.transform(columns, rows)
    burnt = [(shape, number + 1) for number, shape in enumerate(shapes)]
    if not burnt:
        return np.zeros(0)
    labels = rasterize(burnt, out_shape=(rows, columns), transform=grid, dtype="int32")
    known = np.isfinite(above.heights)
    index = np.arange(1, len(footprints) + 1)
    cells = np.bincount(labels.ravel(), minlength=len(index) + 1)[1:]
    seen = np.bincount(labels[known], minlength=len(index) + 1)[1:]
    found = np.full(len(index), np.nan)
    enough = (seen >= 3) & (seen >= 0.5 * cells)
    if enough.any():
        found[enough] = ndimage.median(above.heights, np.where(known, labels, 0), index[enough])
    return found


def _of_role(sources: Sequence[Source], role: str) -> list[Source]:
    return [source for source in sources if source.raster is not None and source.raster.role == role]


def _model(models: Sequence[Source], at: Site) -> Relief:
    """A terrain or surface model, voids filled from around them."""
    step = _step(models, at, STEPS[0])
    values, covered = _read(models, at, step, Resampling.cubic_spline)
    label = models[0].label if len(models) == 1 else f"{len(models)} models"
    if covered < 1 - EDGE:
        lonlat = " ".join(f"{value:.5f}" for value in _cover(models, LONLAT).bounds)
        raise PlaceError(
            f"{label} covers {100 * covered:.0f}% of the place: choose a bbox within {lonlat} (west south east north), "
            "or a larger model"
        )
    holes = ~np.isfinite(values)
    share = float(holes.mean())
    if share > HOLES:
        raise PlaceError(f"{label} has no values for {100 * share:.0f}% of the place: give another model")
    if not holes.any():
        return Relief(heights=values, at=at)
    filled = fillnodata(np.where(holes, 0, values), mask=~holes, max_search_distance=max(values.shape))
    note = f"terrain: {int(holes.sum())} of {holes.size} cells are voids of {label}, filled from around them"
    return Relief(heights=filled.astype(np.float32), at=at, notes=(note,))


def _beneath(surface: Relief) -> Relief:
    """The ground as the lowest of a surface model within a window wider than any house, made smooth."""
    window = [max(3, int(OPENING / step) | 1) for step in reversed(surface.step)]
    ground = ndimage.grey_opening(surface.heights, size=window, mode="nearest")
    smooth = ndimage.gaussian_filter(ground, [size / 6 for size in window], mode="nearest")
    note = "terrain: estimated beneath the surface model, as no terrain model is given"
    return Relief(heights=smooth.astype(np.float32), at=surface.at, notes=(*surface.notes, note))


def _step(models: Sequence[Source], at: Site, finest: float) -> float:
    """Side of the cells: the models' own where that is neither too fine nor too coarse."""
    own = min(opened(model, at.crs)[2] for model in models)
    return max(min(max(own, finest), STEPS[1]), max(at.size) / MOST_CELLS)


def opened(source: Source, crs: CRS) -> tuple[CRS, Polygon, float]:
    """CRS of a raster, its outline in `crs`, and the side of its pixels in metres."""
    try:
        with rasterio.open(source.path) as dataset:
            text = dataset.crs.to_wkt() if dataset.crs else source.columns.crs
            bounds, pixels = dataset.bounds, dataset.width * dataset.height
    except (RasterioIOError, CRSError) as error:
        raise PlaceError(f"{source.label} cannot be read as a raster ({str(error).splitlines()[0]})") from error
    if not text:
        raise PlaceError(f"{source.label} has no CRS: assign it (gdal_edit -a_srs EPSG:...)")
    own = CRS.from_user_input(text)
    ring = shapely.segmentize(shapely.box(*bounds), max(bounds.right - bounds.left, bounds.top - bounds.bottom) / 50)
    outline = Polygon(site.project(np.array([ring], dtype=object), own, crs)[0])
    return own, outline, float(np.sqrt(outline.area / pixels))


def _cover(models: Sequence[Source], crs: CRS) -> BaseGeometry:
    return shapely.union_all([opened(model, crs)[1] for model in models])


def _read(models: Sequence[Source], at: Site, step: float, resampling: Resampling) -> tuple[Grid, float]:
    """Models on the site's grid, NaN where they have no value, and the share of the site within their outlines."""
    columns, rows = (max(2, round(side / step)) for side in at.size)
    grid = at.transform(columns, rows)
    values = np.full((rows, columns), np.nan, np.float32)
    for model in models:
        own, _, side = opened(model, at.crs)
        with rasterio.open(model.path) as dataset:
            piece = np.full_like(values, np.nan)
            reproject(
                rasterio.band(dataset, 1),
                piece,
                src_crs=own.to_wkt(),
                dst_transform=grid,
                dst_crs=at.crs.to_wkt(),
                src_nodata=dataset.nodata,
                dst_nodata=np.nan,
                resampling=resampling if side > 0.7 * step else Resampling.average,
            )
        values = np.where(np.isfinite(values), values, piece)
    box = shapely.box(*at.bounds)
    return values, float(_cover(models, at.crs).intersection(box).area / box.area)


def _spot_points(spots: Features) -> NDArray[np.float64]:
    """(N, 3) of contours and spot heights; a contour's own height column goes before its z."""
    shapes = shapely.segmentize(spots.geometry, 10.0)
    points, owner = shapely.get_coordinates(shapes, include_z=True, return_index=True)
    height = spots.table.numbers["elevation"][owner]
    points[:, 2] = np.where(np.isfinite(height), height, points[:, 2])
    points = points[np.isfinite(points).all(axis=1)]
    _, first = np.unique(np.round(points[:, :2] / THIN), axis=0, return_index=True)
    return points[np.sort(first)]


def _between(points: NDArray[np.float64], at: Site) -> Grid:
    """A smooth surface through points (N, 3): planes between them, rounded off, level beyond the outermost."""
    step = max(STEPS[0] * 2, max(at.size) / MOST_CELLS)
    columns, rows = (max(2, round(side / step)) for side in at.size)
    west, south, east, north = at.bounds
    x = west + (np.arange(columns) + 0.5) * (east - west) / columns
    y = north - (np.arange(rows) + 0.5) * (north - south) / rows
    where = np.stack(np.meshgrid(x, y), axis=-1)
    local = points[:, :2] - [west, south]
    inside = LinearNDInterpolator(local, points[:, 2])(where - [west, south])
    beyond = NearestNDInterpolator(local, points[:, 2])(where - [west, south])
    surface = np.where(np.isfinite(inside), inside, beyond)
    return np.asarray(ndimage.gaussian_filter(surface, 4.0 / step, mode="nearest"), np.float32)


def ground_at(scene: Scene, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ground heights (N,) of a scene at local points (N, 2), m; zero where the scene is flat."""
    if scene.terrain is None:
        return np.zeros(len(points))
    return Relief(heights=scene.terrain, at=Site(crs=LONLAT, bounds=(0.0, 0.0, *scene.size))).sample(points)
