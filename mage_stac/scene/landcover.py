"""Land cover: areas of a map and classes of a raster as painted ground, and how many trees stand on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from rasterio.warp import Resampling, reproject
from scipy import ndimage
from shapely import Polygon
from shapely.geometry import shape as shape_of
from shapely.geometry.base import BaseGeometry

from mage_stac.errors import PlaceError
from mage_stac.scene import chance, relief
from mage_stac.scene.features import Features, seed_of
from mage_stac.scene.highways import grounds
from mage_stac.scene.plots import SEMANTICS
from mage_stac.scene.scene import Surface
from mage_stac.scene.site import Site
from mage_stac.scene.sources import Source

Weights = Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What an area of this kind looks like."""

    materials: Weights
    use: str = ""
    rank: int = 1
    """Higher ones are painted over lower ones; of one rank the smaller over the larger."""
    canopy: float = 0.0
    """Share of the area under crowns."""
    conifers: float = 0.2
    shrubs: float = 0.0
    """Share of the area under bushes."""
    rows: float = 0.0
    """Distance between rows where plants stand in rows, m."""
    settled: bool = False
    """Whether houses have gardens and streets sidewalks here."""


AREAS: dict[str, Kind] = {
    "urban": Kind(materials={"asphalt": 3, "asphalt_old": 2, "concrete": 2}, use="lot", canopy=0.02, settled=True),
    "garden": Kind(materials={"grass": 1}, use="lawn", canopy=0.06, shrubs=0.02, settled=True),
    "yard": Kind(materials={"asphalt_old": 3, "concrete": 3, "gravel": 2, "bare": 1}, use="lot", canopy=0.01),
    "field": Kind(materials={"field": 4, "crop_soil": 2, "meadow": 1}, use="mown"),
    "meadow": Kind(materials={"meadow": 1}, canopy=0.01),
    "scrub": Kind(materials={"meadow": 3, "woodland": 2}, canopy=0.06, shrubs=0.14),
    "forest": Kind(materials={"woodland": 1}, rank=2, canopy=1.15, conifers=0.35),
    "forest_broadleaf": Kind(materials={"woodland": 1}, rank=2, canopy=1.15, conifers=0.03),
    "forest_conifer": Kind(materials={"woodland": 1}, rank=2, canopy=1.15, conifers=0.95),
    "orchard": Kind(materials={"grass": 2, "meadow": 2}, rank=2, rows=6.0, conifers=0.0),
    "vineyard": Kind(materials={"bare": 2, "meadow": 1}, rank=2, rows=2.2),
    "wetland": Kind(materials={"meadow": 1}, rank=2, shrubs=0.1),
    "rock": Kind(materials={"gravel": 2, "bare": 1}, rank=2),
    "bare": Kind(materials={"bare": 1}, rank=2),
    "sand": Kind(materials={"sand": 1}, rank=4),
    "gravel": Kind(materials={"gravel": 1}, rank=4),
    "construction": Kind(materials={"bare": 2, "dirt": 1}, rank=3),
    "railway": Kind(materials={"gravel": 1}, rank=3),
    "grass": Kind(materials={"grass": 1}, use="mown", rank=3, canopy=0.03),
    "park": Kind(materials={"grass": 1}, use="mown", rank=3, canopy=0.22),
    "cemetery": Kind(materials={"grass": 1}, use="lawn", rank=3, canopy=0.12, conifers=0.5),
    "allotments": Kind(materials={"vegetable": 1}, rank=3, canopy=0.08, shrubs=0.05),
    "playground": Kind(materials={"sand": 1, "grass": 1}, rank=4, canopy=0.05),
    "pitch": Kind(materials={"grass": 1}, use="mown", rank=4),
    "court": Kind(materials={"court_green": 1, "court_red": 2}, rank=5),
    "track": Kind(materials={"track": 1}, rank=4),
    "paved": Kind(materials={"paving": 3, "concrete": 1}, use="", rank=5),
    "parking": Kind(materials={"asphalt": 3, "asphalt_old": 2}, use="lot", rank=5, canopy=0.01),
    "road": Kind(materials={"asphalt": 3, "asphalt_old": 1}, use="", rank=6),
    "water": Kind(materials={"water": 1}, rank=7),
    "pool": Kind(materials={"pool": 1}, rank=8),
    "bridge": Kind(materials={"paving": 1, "concrete": 1}, rank=9),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """One area of ground, in the site's CRS."""

    key: str
    name: str
    """A key of AREAS."""
    shape: BaseGeometry
    material: str = ""
    """What the source says; empty for the kind's own."""

    @property
    def kind(self) -> Kind:
        """What it looks like."""
        return AREAS[self.name]


def patches(found: Features, clip: Polygon) -> list[Patch]:
    """Areas of a map, cut to `clip`, mended, in the order in which they are painted."""
    table = found.table
    shaped = shapely.make_valid(shapely.force_2d(found.geometry))
    made = []
    for number, part in enumerate(shapely.intersection(shaped, clip)):
        name = str(table.words["kind"][number])
        if name in AREAS and part.area > 0.2:
            key, material = str(table.ids[number]), str(table.words["surface"][number])
            made.append(Patch(key=key, name=name, shape=part, material=material))
    return sorted(made, key=lambda patch: (patch.kind.rank, -patch.shape.area, patch.key))


def surfaces(made: Sequence[Patch], origin: tuple[float, float], seed: int) -> Iterator[Surface]:
    """The patches as ground in local metres, lowest first."""
    for patch in made:
        rng = np.random.default_rng(seed_of(patch.key, seed))
        material = patch.material or chance.choose(rng, patch.kind.materials)
        semantic = "road" if patch.name == "road" else SEMANTICS.get(material, "paved")
        like = Surface(ring=(), kind=material, semantic=semantic, use=patch.kind.use, seed=chance.seed(rng))
        local = shapely.transform(patch.shape, lambda points: points - origin)
        yield from grounds(shapely.simplify(local, 0.05), like)


def of_rasters(sources: Sequence[Source], at: Site) -> list[Patch]:
    """Land cover rasters as areas with rounded borders: pixels are far coarser than what is drawn.

    Raises:
        PlaceError: a raster has no CRS, or does not cover the place.
    """
    found = []
    for source in sources:
        if source.raster is not None and source.raster.role == "cover":
            codes, step = _codes(source, at)
            for value, shape in _outlines(codes, step, at):
                name = source.raster.classes.get(value, "")
                if name in AREAS:
                    found.append(Patch(key=f"cover-{name}", name=name, shape=shape))
    return sorted(found, key=lambda patch: (patch.kind.rank, -patch.shape.area, patch.key))


def _codes(source: Source, at: Site) -> tuple[NDArray[np.int32], float]:
    """Class codes over the site and three pixels around it, -1 where there are none; and the pixels' side, m.

    Cells are a fraction of a pixel, so that the pixels' borders lie where they belong.
    """
    own, _, side = relief.opened(source, at.crs)
    around = at.grown(3 * side)
    columns, rows = (max(2, round(length / side * _fine(side))) for length in around.size)
    codes = np.full((rows, columns), -1, np.int32)
    with rasterio.open(source.path) as dataset:
        reproject(
            rasterio.band(dataset, 1),
            codes,
            src_crs=own.to_wkt(),
            dst_transform=around.transform(columns, rows),
            dst_crs=at.crs.to_wkt(),
            src_nodata=dataset.nodata,
            dst_nodata=-1,
            resampling=Resampling.nearest,
        )
    if (codes < 0).all():
        raise PlaceError(f"{source.label} has no land cover at the place: give one that covers it, or leave it out")
    return codes, side


def _outlines(codes: NDArray[np.int32], step: float, at: Site) -> Iterator[tuple[int, BaseGeometry]]:
    """Each class's polygons within the site: where it is the likeliest after blurring all, with round borders."""
    fine = _fine(step)
    values = np.unique(codes)
    shares = [ndimage.gaussian_filter((codes == value).astype(np.float32), 0.45 * fine) for value in values]
    likeliest = values[np.argmax(np.stack(shares), axis=0)].astype(np.int32)
    around = at.grown(3 * step)
    grid = around.transform(likeliest.shape[1], likeliest.shape[0])
    pairs = [(int(value), shape_of(outline)) for outline, value in shapes(likeliest, transform=grid) if value >= 0]
    smooth = shapely.coverage_simplify(np.array([outline for _, outline in pairs], dtype=object), step / fine)
    box = shapely.box(*at.bounds)
    for (value, _), outline in zip(pairs, smooth, strict=True):
        part = shapely.make_valid(outline).intersection(box)
        if part.area > 0:
            yield value, part


def _fine(side: float) -> int:
    """Cells across a pixel of `side` metres: about 4 m each."""
    return max(1, min(8, round(side / 4.0)))
