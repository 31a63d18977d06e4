from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from test_highways import ORIGIN, lines
from test_sources import grid

from mage_stac.errors import PlaceError
from mage_stac.scene import landcover, site, sources
from mage_stac.scene.landcover import AREAS
from mage_stac.scene.materials import GROUND
from mage_stac.scene.scene import SEMANTIC
from mage_stac.scene.site import Site

CLIP = shapely.box(500000, 5000000, 500100, 5000100)


def test_every_kind_is_of_known_materials() -> None:
    for kind in AREAS.values():
        assert set(kind.materials) <= set(GROUND)


def test_areas_are_cut_ordered_and_keep_their_holes() -> None:
    lake = shapely.box(500010, 5000010, 500050, 5000050)
    island = shapely.Polygon(
        shapely.box(500020, 5000020, 500060, 5000060).exterior, [shapely.box(500030, 5000030, 500040, 5000040).exterior]
    )
    wood = shapely.box(499000, 4999000, 501000, 5001000)
    made = landcover.patches(lines(island, wood, lake, kind=["water", "forest", "grass"]), CLIP)
    assert [patch.name for patch in made] == ["forest", "grass", "water"]
    assert made[0].shape.area == pytest.approx(100 * 100)
    surfaces = list(landcover.surfaces(made, ORIGIN, 1))
    assert [surface.semantic for surface in surfaces] == ["ground", "grass", "water"]
    assert len(surfaces[2].holes) == 1
    assert shapely.Polygon(surfaces[2].ring, surfaces[2].holes).area == pytest.approx(1500)
    assert all(surface.semantic in SEMANTIC for surface in surfaces)


def test_a_sources_material_counts() -> None:
    made = landcover.patches(lines(CLIP, kind="parking", surface="gravel"), CLIP)
    assert [surface.kind for surface in landcover.surfaces(made, ORIGIN, 1)] == ["gravel"]


def test_a_raster_becomes_areas_that_fill_the_site(tmp_path: Path) -> None:
    values = np.full((20, 20), 41, np.uint8)
    values[:, 10:] = 11
    path = grid(tmp_path / "nlcd.tif", values, transform=rasterio.Affine(30, 0, 499800, 0, -30, 5000400))
    at = Site(crs=site.metric("EPSG:32632"), bounds=(500000.0, 5000000.0, 500200.0, 5000200.0))
    made = landcover.of_rasters(sources.identify([path]), at)
    assert [patch.name for patch in made] == ["forest_broadleaf", "water"]
    areas = [patch.shape.area for patch in made]
    assert sum(areas) == pytest.approx(200 * 200, rel=1e-6)
    assert areas[1] == pytest.approx(100 * 200, rel=0.1)


def test_a_raster_elsewhere(tmp_path: Path) -> None:
    path = grid(tmp_path / "nlcd.tif", np.full((20, 20), 41, np.uint8))
    at = Site(crs=site.metric("EPSG:32632"), bounds=(600000.0, 5000000.0, 600200.0, 5000200.0))
    with pytest.raises(PlaceError, match=r"nlcd\.tif has no land cover at the place"):
        landcover.of_rasters(sources.identify([path]), at)


def test_zion_classes_against_the_raster(shared: Path) -> None:
    path = shared / "twins/zion/nlcd.tif"
    at = Site(crs=site.metric("EPSG:26912"), bounds=(318000.0, 4120000.0, 320000.0, 4122000.0))
    made = landcover.of_rasters(sources.identify([path]), at)
    with rasterio.open(path) as dataset:
        values = dataset.read(1, window=dataset.window(*at.bounds))
    names = {4: "forest", 5: "scrub", 3: "bare"}
    for value, name in names.items():
        share = sum(patch.shape.area for patch in made if patch.name == name) / 4e6
        assert share == pytest.approx(float((values == value).mean()), abs=0.03)
