from __future__ import annotations

import json
import sqlite3
import struct
from contextlib import nullcontext
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from test_sources import footprints

from mage_stac.errors import PlaceError
from mage_stac.scene import features, reading, site, sources
from mage_stac.scene.columns import Columns, Layer, Role
from mage_stac.scene.features import Features
from mage_stac.scene.site import LONLAT, Site


def everything(path: Path, role: Role) -> Features:
    opened = sources.identify([path])
    boxes = [box for source in opened if (box := reading.extent(source, role)) is not None]
    corners = np.array(boxes)
    box = (*corners[:, :2].min(axis=0).tolist(), *corners[:, 2:].max(axis=0).tolist())
    crs = site.around((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    at = Site(crs=crs, bounds=site.change_bounds(box, LONLAT, crs)).grown(10)
    return features.join(role, [lot for source in opened for lot in reading.stream(source, at, (role,))])


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".parquet", ".shp", ".fgb"])
def test_formats_and_crs_give_the_same_features(tmp_path: Path, suffix: str) -> None:
    frame = footprints(5).to_crs(4326)
    path = tmp_path / f"houses{suffix}"
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_file(path)
    found = everything(path, "building")
    assert len(found) == 5
    assert np.allclose(found.table.numbers["height"], 6.0)
    assert np.allclose(shapely.area(found.geometry), 80.0, rtol=1e-4)
    assert len(set(found.table.ids)) == 5


def test_only_what_touches_the_site_is_read(tmp_path: Path) -> None:
    footprints(50).to_parquet(tmp_path / "houses.parquet", row_group_size=7)
    (source,) = sources.identify([tmp_path / "houses.parquet"])
    at = Site(crs=site.metric("EPSG:32632"), bounds=(500100.0, 4999990.0, 500145.0, 5000020.0))
    found = features.join("building", list(reading.stream(source, at, ("building",))))
    assert shapely.bounds(found.geometry)[:, 0].tolist() == [500100, 500120, 500140]


def test_lots_stay_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH", 10)
    footprints(35).to_file(tmp_path / "houses.gpkg")
    (source,) = sources.identify([tmp_path / "houses.gpkg"])
    at = Site(crs=site.metric("EPSG:32632"), bounds=(499000.0, 4999000.0, 502000.0, 5001000.0))
    assert [len(lot) for lot in reading.stream(source, at, ("building",))] == [10, 10, 10, 5]


def test_ids_come_from_shapes_where_a_source_has_none(tmp_path: Path) -> None:
    footprints(6).to_file(tmp_path / "a.gpkg")
    footprints(6).iloc[::-1].to_file(tmp_path / "b.gpkg")
    one, two = everything(tmp_path / "a.gpkg", "building"), everything(tmp_path / "b.gpkg", "building")
    assert one.table.ids.tolist() == two.table.ids.tolist()[::-1]
    assert all(key.startswith("shape-") for key in one.table.ids)


@pytest.mark.parametrize(
    ("beside", "count"),
    [
        ({}, 5),
        ({"aoi": 1, "Parcels": 3}, 5),
        ({"BUILDINGS_EAST": 4, "aoi": 1}, 9),
    ],
)
def test_where_a_layer_is_called_buildings_others_are_none(tmp_path: Path, beside: dict[str, int], count: int) -> None:
    path = tmp_path / "town.gpkg"
    for name, number in {"buildings": 5, **beside}.items():
        footprints(number).to_file(path, layer=name)
    assert len(everything(path, "building")) == count


@pytest.mark.parametrize(
    ("name", "houses", "areas"),
    [("water", 0, 5), ("lake_water", 0, 5), ("forest", 0, 5), ("waterloo", 5, 0), ("east", 5, 0)],
)
def test_a_lake_is_no_house(tmp_path: Path, name: str, houses: int, areas: int) -> None:
    path = tmp_path / f"{name}.gpkg"
    footprints(5).to_file(path)
    (source,) = sources.identify([path])
    at = Site(crs=site.metric("EPSG:32632"), bounds=(499000.0, 4999000.0, 502000.0, 5001000.0))
    assert sum(map(len, reading.stream(source, at, ("building",)))) == houses
    assert sum(map(len, reading.stream(source, at, ("area",)))) == areas


def test_no_crs(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="crs"):
        footprints().set_crs(None, allow_override=True).to_file(tmp_path / "a.shp")
    with pytest.raises(PlaceError, match=r"a\.shp has no CRS: assign it"):
        everything(tmp_path / "a.shp", "building")
    footprints().set_crs(None, allow_override=True).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(PlaceError, match=r"a\.parquet has no CRS"):
        everything(tmp_path / "a.parquet", "building")


def test_metres_that_claim_to_be_degrees(tmp_path: Path) -> None:
    plain = json.loads(footprints().to_json())
    plain.pop("crs", None)
    (tmp_path / "a.geojson").write_text(json.dumps(plain))
    with pytest.raises(PlaceError, match=r"says that it is in degrees, but has coordinates such as 500000 5000000"):
        everything(tmp_path / "a.geojson", "building")


def test_parquet_without_geometry(tmp_path: Path) -> None:
    footprints().drop(columns="geometry").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(PlaceError, match="without geometry"):
        everything(tmp_path / "a.parquet", "building")


def test_a_users_map_with_a_column_that_is_not_there(tmp_path: Path) -> None:
    footprints().to_file(tmp_path / "a.gpkg")
    own = Columns(title="mine", layers=(Layer(role="building", numbers={"height": ("HAUTEUR",)}),))
    (source,) = sources.identify([tmp_path / "a.gpkg"], own)
    at = Site(crs=site.metric("EPSG:32632"), bounds=(499000.0, 4999000.0, 502000.0, 5001000.0))
    with pytest.raises(PlaceError, match=r"a\.gpkg, layer a, has no column 'HAUTEUR'.*it has 'height'"):
        list(reading.stream(source, at, ("building",)))


@pytest.mark.parametrize("name", ["liechtenstein-latest", "helsinki", "harrisburg"])
def test_osm_buildings_are_those_that_gdal_finds(shared: Path, name: str) -> None:
    path = shared / f"osm/{name}.osm.pbf"
    with pytest.warns(RuntimeWarning) if name == "helsinki" else nullcontext():
        plain = pyogrio.read_dataframe(
            path,
            layer="multipolygons",
            where="building IS NOT NULL",
            on_invalid="fix",
            columns=["building", "other_tags"],
        )
    under = plain.other_tags.fillna("").str.contains('"layer"=>"-|"location"=>"underground"')
    wanted = plain[~under & ~plain.building.isin(["no", "ship"]) & plain.geometry.notna()]
    found = everything(path, "building")
    assert len(found) == len(wanted)
    area = wanted.to_crs(wanted.estimate_utm_crs()).area
    assert np.isclose(shapely.area(found.geometry).sum(), area.sum(), rtol=1e-3)


def test_osm_lines_carry_lanes_and_leave_out_tunnels(shared: Path) -> None:
    found = everything(shared / "osm/liechtenstein-latest.osm.pbf", "line")
    plain = pyogrio.read_dataframe(
        shared / "osm/liechtenstein-latest.osm.pbf", layer="lines", columns=["highway", "other_tags"]
    )
    tags = plain.other_tags.fillna("")
    roads = plain[plain.highway.eq("primary") & ~tags.str.contains('"tunnel"=>"yes"|"layer"=>"-')]
    kinds = found.table.words["kind"]
    links = plain.highway.eq("primary_link").sum()
    assert (kinds == "primary").sum() == len(roads) + links
    lanes = found.table.numbers["lanes"]
    assert (
        np.isfinite(lanes).sum()
        == tags[~tags.str.contains('"tunnel"=>"yes"|"layer"=>"-')].str.contains('"lanes"=>').sum()
    )


def test_norcia_has_all_its_layers(shared: Path) -> None:
    path = shared / "twins/norcia/EMSR190_10NORCIA_GRADING_OVERVIEW-MONIT02_v1_vector.zip"
    counts = {role: len(everything(path, role)) for role in ("building", "line", "area", "contour")}  # type: ignore[arg-type]
    assert counts == {"building": 2314, "line": 892 + 258, "area": 29, "contour": 117}


def test_alexandria_heights_are_read(shared: Path) -> None:
    path = shared / "twins/alexandria/buildings.geojson"
    found, plain = everything(path, "building"), gpd.read_file(path)
    assert len(found) == 84
    assert np.allclose(np.nansum(found.table.numbers["height"]), plain.HEIGHT[plain.HEIGHT > 0].sum())


@pytest.mark.parametrize("column", ["heightroof", "HEIGHTROOF"])
def test_heights_of_new_york_are_feet(tmp_path: Path, column: str) -> None:
    frame = footprints(3).rename(columns={"height": column})
    frame[column] = [30.0, 100.0, 10.0]
    frame.to_file(tmp_path / "buildings.gpkg")
    found = everything(tmp_path / "buildings.gpkg", "building")
    assert sorted(found.table.numbers["height"]) == pytest.approx([3.048, 9.144, 30.48])


def test_a_collection_is_its_polygons(tmp_path: Path) -> None:
    """As clipping leaves them: of a house and a point of its border."""
    frame = footprints(4)
    mixed = [shapely.GeometryCollection([shape, shape.centroid]) for shape in frame.geometry[1:]]
    frame.set_geometry([frame.geometry[0], *mixed], crs=frame.crs).to_file(tmp_path / "houses.gpkg")
    found = everything(tmp_path / "houses.gpkg", "building")
    assert np.allclose(shapely.area(found.geometry), 80.0, rtol=1e-4)
    assert len(found) == 4


def test_curves_are_one_line(tmp_path: Path) -> None:
    """Of a layer whose geometries are CURVEPOLYGON, which GEOS reads and can do nothing with."""
    footprints(1).to_file(tmp_path / "houses.gpkg", SPATIAL_INDEX="NO")
    circle = struct.pack("<6d", 500000, 5000000, 500010, 5000010, 500000, 5000000)
    curve = struct.pack("<BII", 1, 10, 1) + struct.pack("<BII", 1, 8, 3) + circle
    with sqlite3.connect(tmp_path / "houses.gpkg") as base:
        (blob,) = base.execute("SELECT geom FROM houses").fetchone()
        base.execute("UPDATE houses SET geom = ?", (blob[:40] + curve,))
    with pytest.raises(PlaceError, match=r"houses\.gpkg, layer houses, holds curves: make them lines"):
        everything(tmp_path / "houses.gpkg", "building")
