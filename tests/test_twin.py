from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from pyproj import Transformer
from shapely import Polygon
from test_sources import footprints, grid

from mage_stac.errors import PlaceError, RenderError
from mage_stac.scene import scene as scenes
from mage_stac.scene import twin
from mage_stac.scene.scene import Building, Scene

NOON = "2016-07-20T10:30:00Z"
NORCIA = "twins/norcia/EMSR190_10NORCIA_GRADING_OVERVIEW-MONIT02_v1_vector.zip"


def place(*files: Path | str, **options: object) -> Scene:
    return twin.place(files, **{"id": "a", "seed": 1, "datetime": NOON, **options})  # type: ignore[arg-type]


def town(path: Path, across: int, apart: float = 25.0) -> Path:
    """across x across houses of 10 x 8 m."""
    x, y = (500000 + apart * values.ravel() for values in np.mgrid[0:across, 0:across])
    boxes = shapely.box(x, y + 4500000, x + 10, y + 4500008)
    gpd.GeoDataFrame({"height": np.full(len(boxes), 6.0)}, geometry=boxes, crs="EPSG:32632").to_file(path)
    return path


def test_a_small_place_is_taken_whole(tmp_path: Path) -> None:
    made = place(town(tmp_path / "a.gpkg", 5))
    assert made.crs == "EPSG:32632"
    assert np.allclose(made.origin, (500000, 5000000), atol=1.0)
    assert np.allclose(made.size, (110, 108), atol=2.0)
    assert len(made.buildings) == 25
    assert all(isinstance(building, Building) and building.height < 6.01 for building in made.buildings)
    assert made.view.off_nadir == 0
    assert made.season == "summer"


def test_the_same_seed_makes_the_same_scene_and_survives_the_disk(tmp_path: Path) -> None:
    one, two = (place(town(tmp_path / f"{name}.gpkg", 3), seed=4) for name in "ab")
    assert one.buildings == two.buildings
    assert replace(one, sources=()) == replace(two, sources=())
    assert scenes.load(scenes.save(one, tmp_path / "scene")) == one
    assert place(tmp_path / "a.gpkg", seed=5).buildings != one.buildings


def test_lonlat_data_land_in_metres(tmp_path: Path) -> None:
    frame = footprints(4).to_crs(4326)
    frame.to_file(tmp_path / "a.geojson")
    made = place(tmp_path / "a.geojson")
    assert made.crs == "EPSG:32632"
    areas = [Polygon(building.footprint).area for building in made.buildings]
    assert np.allclose(areas, 80.0, atol=0.1)
    assert place(tmp_path / "a.geojson", crs="EPSG:25832").crs == "EPSG:25832"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bbox": (10.0, 45.0, 9.0, 46.0)}, "no west, south, east, north"),
        ({"bbox": (20.0, 45.0, 20.01, 45.01)}, "nothing in the bbox; the data lie within 9.0000"),
        ({"size": 5.0}, "size 5 m: give 20 to 4000"),
        ({"crs": "EPSG:4326"}, "not projected in metres"),
        ({"crs": "EPSG:999999"}, "no CRS 'EPSG:999999'"),
        ({"columns": "none.toml"}, "columns map none.toml cannot be read"),
    ],
)
def test_bad_arguments_are_told_in_one_line(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(PlaceError, match=message) as caught:
        place(town(tmp_path / "a.gpkg", 3), **options)
    assert "\n" not in str(caught.value)


def test_night_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="sun stands"):
        place(town(tmp_path / "a.gpkg", 2), datetime="2016-07-20T23:00:00Z")


def test_a_terrain_smaller_than_the_place(tmp_path: Path) -> None:
    path = grid(tmp_path / "dem.tif", np.zeros((20, 20), np.float32))
    with pytest.raises(PlaceError, match=r"dem\.tif covers \d+% of the place"):
        place(town(tmp_path / "a.gpkg", 5), path)


def test_the_users_columns(tmp_path: Path) -> None:
    frame = footprints(3).rename(columns={"height": "H_MAX"}).assign(USE="kirk")
    frame.to_file(tmp_path / "a.gpkg")
    text = 'title = "mine"\ncredit = "me, CC BY 4.0"\nstyle = "village"\n[[layers]]\nrole = "building"\n'
    text += '[layers.numbers]\nheight = ["H_MAX"]\n[layers.words.kind.USE]\nkirk = "church"\n'
    (tmp_path / "map.toml").write_text(text)
    made = place(tmp_path / "a.gpkg", columns=tmp_path / "map.toml")
    assert {building.kind for building in made.buildings} == {"church"}
    assert made.sources == ("me, CC BY 4.0",)
    assert "heights of 3 buildings: 3 source" in made.notes
    (tmp_path / "map.toml").write_text(text.replace("H_MAX", "HEIGHT"))
    with pytest.raises(PlaceError, match="no column 'HEIGHT'"):
        place(tmp_path / "a.gpkg", columns=tmp_path / "map.toml")


def test_a_hundred_thousand_buildings_are_refused_with_a_size_that_works(tmp_path: Path) -> None:
    path = town(tmp_path / "a.gpkg", 317, apart=12.0)
    assert pyogrio.read_info(path)["features"] > 100_000
    with pytest.raises(
        PlaceError, match=r"more than 4000 buildings in 3\d\d\d x 3\d\d\d m: give a size of \d+ m or less"
    ) as caught:
        place(path)
    size = float(str(caught.value).split("a size of ")[1].split()[0])
    assert 1000 < (size / 12) ** 2 <= twin.MOST_BUILDINGS


def test_a_place_too_wide_is_refused_with_a_size_that_works(tmp_path: Path) -> None:
    path = town(tmp_path / "a.gpkg", 9, apart=900.0)
    with pytest.raises(PlaceError, match=r"the place is 7\.\d x 7\.\d km: give a size of at most 4000 m"):
        place(path)


def test_tiles_stream_and_agree_with_one_another(tmp_path: Path) -> None:
    data = twin.opened([town(tmp_path / "a.gpkg", 9, apart=24.0)])
    made = list(twin.tiles(data, id="t", seed=1, datetime=NOON, size=100.0, least=10))
    assert all(scene.size == (100.0, 100.0) and scene.origin[0] % 100 == 0 for scene in made)
    assert len({scene.id for scene in made}) == len(made) == 4
    seen: dict[str, Building] = {}
    doubles = 0
    for scene in made:
        for building in scene.buildings:
            plain = replace(building, footprint=())
            doubles += building.id in seen
            assert seen.setdefault(building.id, plain) == plain
    assert doubles > 4


def test_tiles_without_buildings(tmp_path: Path) -> None:
    data = twin.opened([town(tmp_path / "a.gpkg", 2)], bbox=(9.5, 45.3, 9.51, 45.31))
    with pytest.raises(PlaceError, match="no buildings in the place"):
        next(twin.tiles(data, id="t", seed=1, datetime=NOON, size=100.0))


def test_norcia(shared: Path) -> None:
    made = place(shared / NORCIA, size=100.0)
    plain = pyogrio.read_dataframe(shared / NORCIA, layer=6)
    box = shapely.box(*made.origin, made.origin[0] + 100, made.origin[1] + 100)
    inside = plain[plain.intersects(box)]
    assert 0.95 * len(inside) <= len(made.buildings) <= len(inside)
    own = shapely.union_all([Polygon(building.footprint, building.holes) for building in made.buildings])
    local = shapely.transform(shapely.union_all(inside.geometry.to_numpy()), lambda points: points - made.origin)
    assert own.symmetric_difference(local).area < 0.01 * local.area
    assert made.terrain is not None
    assert 580 < made.terrain.min() < made.terrain.max() < 650
    assert {surface.use for surface in made.surfaces} >= {"street", "lawn"}
    assert made.sources == ("© European Union, Copernicus Emergency Management Service",)


def test_alexandria_heights_are_given_or_measured(shared: Path) -> None:
    folder = shared / "twins/alexandria"
    made = place(folder, datetime="2016-07-20T15:30:00Z", bbox=(-77.0538, 38.8093, -77.0512, 38.8120))
    with rasterio.open(folder / "hag.tif") as dataset:
        middles = [
            np.array(Polygon(b.footprint).representative_point().coords[0]) + made.origin for b in made.buildings
        ]
        above = np.array([value[0] for value in dataset.sample(middles)])
    eaves = np.array([building.height for building in made.buildings])
    assert np.corrcoef(eaves[above > 2], above[above > 2])[0, 1] > 0.7
    assert made.terrain is not None
    bases = np.array([building.base for building in made.buildings])
    assert np.all((bases > made.terrain.min() - 0.1) & (bases < made.terrain.max()))


def test_zurich_keeps_measured_roofs(shared: Path) -> None:
    pytest.importorskip("cjio")
    made = place(shared / "twins/zurich/zurich_subset_lod2.json", size=128.0)
    assert made.buildings
    assert all(building.faces for building in made.buildings)
    lowest = min(point[2] for building in made.buildings for face in building.faces for point in face.ring)
    assert lowest == pytest.approx(min(building.base for building in made.buildings), abs=0.02)


def test_zion_is_terrain_and_cover(shared: Path) -> None:
    made = place(
        shared / "twins/zion", bbox=(-113.02, 37.18, -113.0, 37.2), size=100.0, datetime="2016-07-20T18:00:00Z"
    )
    assert not made.buildings
    assert made.terrain is not None
    assert 1024 <= made.terrain.min() < made.terrain.max() <= 2892
    assert made.trees
    assert all(made.terrain.min() - 1 <= tree.base <= made.terrain.max() + 1 for tree in made.trees)


@pytest.mark.parametrize("suffix", [".geojson", ".parquet"])
@pytest.mark.parametrize("crs", [4326, 32760])
def test_a_place_across_the_antimeridian_is_one_place(tmp_path: Path, suffix: str, crs: int) -> None:
    """Taveuni, Fiji: houses of a street 400 m long, ten of them on either side."""
    x, y = Transformer.from_crs(4326, 32760, always_xy=True).transform(180.0, -16.8)
    houses = gpd.GeoSeries([shapely.box(at, y, at + 9, y + 7) for at in np.arange(x - 196, x + 204, 20)], crs=32760)
    lonlat = houses.to_crs(4326)
    assert (lonlat.bounds.maxx > 179).sum() == 10
    assert ((lonlat.bounds.maxx - lonlat.bounds.minx) < 1).all()
    frame = gpd.GeoDataFrame({"height": 5.0}, geometry=houses.to_crs(crs), index=range(20))
    path = tmp_path / f"street{suffix}"
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_file(path)
    data = twin.opened([path])
    assert data.crs.to_epsg() == 32760
    # a box of degrees leans here
    assert data.bounds == pytest.approx(houses.total_bounds.tolist(), abs=10.0)
    assert sum(count for _, _, count in twin.spots(data, 100.0)) == 20
    middle = (x - 60, y - 50, x + 60, y + 50)
    found = twin.footprints(data, middle)
    expected = houses[houses.intersects(shapely.box(*middle))]
    assert len(found) == len(expected)
    assert shapely.union_all(found).symmetric_difference(expected.union_all()).area < 0.1
