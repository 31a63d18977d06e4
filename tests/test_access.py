from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import predictions
import pyogrio
import pystac
import pytest
import shapely
from command_line import Run, ended

from mage_stac import catalogue
from mage_stac.classes import SURFACE_WATER, colour_table
from mage_stac.cog import write_cog
from mage_stac.errors import AccessError
from mage_stac.products import access, obstruction
from mage_stac.validate import validate

X, Y = 500_000, 4_100_000
HOUSES = [(82, 140, 4), (20, 140, 1)]
"""A ruin beside the main street (which runs at row 100), and a house that stands."""
MAIN = [(5, -100), (110, -100), (190, -100), (290, -100)]
DETOUR = [(110, -100), (110, -190), (190, -190), (190, -100)]
"""Metres east and north of the map's corner."""


def degrees(x: float, y: float) -> tuple[float, float]:
    point = gpd.GeoSeries.from_xy([X + x], [Y + y], crs="EPSG:32615").to_crs("EPSG:4326")[0]
    return point.x, point.y


def road_file(folder: Path, *lines: list[tuple[float, float]]) -> Path:
    path = folder / "roads.gpkg"
    shapes = [shapely.LineString([(X + x, Y + y) for x, y in points]) for points in lines]
    names = [f"Road {number}" for number in range(len(lines))]
    gpd.GeoDataFrame({"name": names}, geometry=shapes, crs="EPSG:32615").to_file(path)
    return path


@pytest.fixture(scope="module")
def item(tmp_path_factory: pytest.TempPathFactory) -> pystac.Item:
    return predictions.write(tmp_path_factory.mktemp("access") / "out", HOUSES, doubt=0.03)


WEST, EAST = degrees(10, -100), degrees(280, -100)


def test_the_way_leads_around_the_debris(item: pystac.Item, tmp_path: Path, schemas: Path) -> None:
    files = road_file(tmp_path, MAIN, DETOUR)
    options = access.Options(spread=10)
    folder = access.access(Path(item.get_self_href()), files, [WEST], [EAST], tmp_path / "out", options=options)
    route = gpd.read_file(folder / "routes.geojson").to_crs("EPSG:32615")
    assert route["roads"][0] == "Road 0 > Road 1 > Road 0"
    assert route["km"][0] == pytest.approx(0.450, abs=0.001)
    assert route.geometry[0].length == pytest.approx(450, abs=1)
    assert route["minutes"][0] == pytest.approx(0.45 / 40 * 60, abs=0.01)
    assert route["minutes_before"][0] == pytest.approx(0.27 / 40 * 60, abs=0.01)
    table = gpd.read_parquet(folder / "roads.parquet")
    assert list(table.columns) == list(access_columns())
    closed = table[table["state"] == "closed"]
    assert closed["metres"].tolist() == pytest.approx([80])
    assert closed["closed"].iloc[0] == pytest.approx(0.97, abs=0.01)
    assert closed["confidence"].iloc[0] == pytest.approx(0.97, abs=0.01)
    track = pyogrio.read_dataframe(folder / "routes.gpx", layer="tracks")
    assert track.geometry[0].geoms[0].equals_exact(route.to_crs("EPSG:4326").geometry[0], 1e-6)
    told = catalogue.read_item(folder).properties["mage:access"]
    assert (told["closed_edges"], told["isolated_nodes"], told["closed_km"]) == (1, 0, 0.08)
    report = validate(tmp_path / "out", schemas)
    assert (report.checked, report.problems, report.unchecked) == (3, (), ())


def access_columns() -> dict[str, str]:
    from mage_stac.products.access_files import COLUMNS

    return COLUMNS


def test_what_is_cut_off_is_told_and_the_repair_named(item: pystac.Item, tmp_path: Path, schemas: Path) -> None:
    files = road_file(tmp_path, MAIN)
    folder = access.access(
        Path(item.get_self_href()), files, [WEST], [EAST], tmp_path / "out", options=access.Options(spread=10)
    )
    route = gpd.read_file(folder / "routes.geojson")
    assert not route["reachable"][0]
    assert route["minutes"].isna()[0]
    isolated = gpd.read_file(folder / "isolated.geojson")
    assert isolated["nodes"].tolist() == [2]  # the stop and the end of the street
    repair = gpd.read_file(folder / "repairs.geojson")
    assert repair[["order", "name", "cause", "reconnects_nodes"]].to_numpy().tolist() == [[1, "Road 0", "debris", 2]]
    assert not (folder / "routes.gpx").exists()
    assert not validate(tmp_path / "out", schemas).problems


def test_a_town_is_cut_off_where_most_of_it_is(item: pystac.Item, tmp_path: Path) -> None:
    east, west = ([[(x, -100), (x, y)] for y in (-150, -50)] for x in (290, 5))
    files = road_file(tmp_path, MAIN, *east, *west)
    found = access.findings(item, files, [WEST], [], access.Options(spread=10))
    towns = gpd.GeoDataFrame(
        {"name": ["East", "All"], "place": ["hamlet", "hamlet"], "population": [60.0, 50.0]},
        geometry=[shapely.Point(X + 560, Y - 100), shapely.Point(X + 150, Y - 100)], crs="EPSG:32615",
    )  # fmt: skip
    nodes = found.roads.nodes - (X, Y)
    weights = access._weights(found.roads, gpd.GeoDataFrame(geometry=[], crs="EPSG:32615"), towns)
    around = [(np.hypot(*(nodes - (x, -100)).T) <= access.SMALL) for x in (560, 150)]
    wanted = around[0] * 60 / around[0].sum() + around[1] * 50 / around[1].sum()
    assert weights["people"].tolist() == pytest.approx(wanted.tolist())
    start = np.array([int(np.hypot(*(nodes - (10, -100)).T).argmin())])
    closed = found.condition.state == "closed"
    isolated = access._isolated(found.roads, closed, start, weights, towns)
    assert isolated["places"].tolist() == ["East"]
    assert isolated["people"].tolist() == [round(60 + 50 * 3 / 7)]


def test_water_closes_slows_and_spares_bridges(item: pystac.Item, tmp_path: Path) -> None:
    depth = np.full(predictions.GRID.shape, np.nan, np.float32)
    depth[90:110, 200:250], depth[180:195, 100:200] = 0.2, 0.5
    write_cog(tmp_path / "depth.tif", depth, predictions.GRID, nodata=float("nan"))
    frame = access.findings(
        item, road_file(tmp_path, MAIN, DETOUR), [WEST], [EAST],
        access.Options(spread=0.1, water=tmp_path / "depth.tif"),
    ).condition  # fmt: skip
    assert sorted(frame.state) == ["closed", "open", "open", "open", "open", "slowed"]
    assert frame.cause[frame.state == "closed"].tolist() == ["water"]
    wet = frame.state == "slowed"
    assert frame.depth[wet].tolist() == pytest.approx([0.2])
    assert frame.confidence[wet].tolist() == [1]


def test_a_map_of_where_water_is_tells_no_depth(item: pystac.Item, tmp_path: Path) -> None:
    wet = np.ones(predictions.GRID.shape, np.uint8)
    write_cog(tmp_path / "water.tif", wet, predictions.GRID, nodata=255, colours=colour_table(SURFACE_WATER))
    options = access.Options(water=tmp_path / "water.tif")
    with pytest.raises(AccessError, match=r"water.tif holds classes \(uint8\), not depths in metres"):
        access.findings(item, road_file(tmp_path, MAIN), [WEST], [], options)


def test_a_start_that_is_itself_cut_off_is_told(
    item: pystac.Item, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    further = [[(290 + 50 * at, -100), (340 + 50 * at, -100)] for at in range(4)]
    files = road_file(tmp_path, MAIN, *further)
    access.findings(item, files, [EAST], [], access.Options(spread=10))
    assert caplog.messages == []
    access.findings(item, files, [WEST], [], access.Options(spread=10))
    (said,) = caplog.messages
    assert "cut off" in said
    assert "2 of the 7 junctions" in said


def test_safe_speed_in_water_falls_to_a_halt() -> None:
    speed = obstruction.wading(np.array([0, 0.1, 0.15, 0.3, 2]))
    assert speed.tolist() == pytest.approx([86.94, 40.65, 24.26, 2.07, 2.07], abs=0.01)


def test_roads_that_nobody_saw_are_not_open(tmp_path: Path) -> None:
    item = predictions.write(tmp_path / "out", HOUSES, unseen=(slice(0, 200), slice(170, 300)))
    found = access.findings(item, road_file(tmp_path, MAIN), [WEST], [EAST], access.Options(spread=0.1))
    assert found.condition.state.tolist() == ["open", "open", "not-observed"]
    assert np.isnan(found.condition.confidence[-1])
    assert found.routes["reachable"].tolist() == [True]


def test_a_bend_of_many_vertices_weighs_as_much_as_it_is_long(tmp_path: Path) -> None:
    item = predictions.write(tmp_path / "out", HOUSES, unseen=(slice(0, 200), slice(200, 300)))
    bend = [(20, -100), *((float(x), -100) for x in np.arange(200, 220.1, 0.5))]
    found = access.findings(item, road_file(tmp_path, bend), [degrees(20, -100)], [], access.Options(spread=0.1))
    whole = found.roads.metres > 1
    assert found.condition.observed[whole].tolist() == pytest.approx([180 / 200], abs=0.03)
    assert found.condition.state[whole].tolist() == ["open"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--from", "{west}", "--to", "{east}"], 0, ""),
        (["--from", "{west}"], 0, ""),
        (["--from", "{west}", "--to", "{island}"], 1, "even without damage"),
        (["--from", "10,50"], 1, "no road within 250 m of 10.0,50.0"),
        (["--from", "500000,4100000"], 1, "LON,LAT in degrees"),
        (["--from", "here"], 2, "no list of numbers"),
        (["--from", "1,2,3"], 2, "no LON,LAT"),
        (["--to", "{east}"], 2, "--from"),
        (["--from", "{west}", "--flood", "{tmp}/none.tif"], 1, "none.tif"),
    ],
)
def test_the_verb(item: pystac.Item, tmp_path: Path, run: Run, words: list[str], code: int, said: str) -> None:
    files = road_file(tmp_path, MAIN, DETOUR, [(0, 300), (100, 300)])
    places = {key: f"{lon},{lat}" for key, (lon, lat) in
              {"west": WEST, "east": EAST, "island": degrees(50, 300)}.items()}  # fmt: skip
    filled = [word.format(tmp=tmp_path, **places) for word in words]
    out = tmp_path / "out"
    call = run("access", "--roads", files, "--prediction", item.get_self_href(), "--out", out, "--json", *filled)
    told = ended(call, code, said, out)
    if told is not None:
        assert len(told["routes"]) == words.count("--to")
        assert all(route["minutes"] > 0 for route in told["routes"])


def test_a_map_without_a_building_leaves_every_road_open(tmp_path: Path) -> None:
    bare = predictions.write(tmp_path / "out", [])
    files = road_file(tmp_path, MAIN, DETOUR)
    folder = access.access(Path(bare.get_self_href()), files, [WEST], [EAST], tmp_path / "new")
    route = gpd.read_file(folder / "routes.geojson")
    assert route["minutes"].tolist() == route["minutes_before"].tolist()
    assert set(access.findings(bare, files, [WEST], [], access.Options()).condition.state) == {"open"}


def test_roads_elsewhere_know_no_damage(item: pystac.Item, tmp_path: Path) -> None:
    far = [(x + 5000, y) for x, y in MAIN]
    found = access.findings(item, road_file(tmp_path, far), [degrees(5010, -100)], [], access.Options())
    assert set(found.condition.state) == {"not-observed"}
    write_cog(tmp_path / "d.tif", np.ones(predictions.GRID.shape, np.float32), predictions.GRID, nodata=-1)
    with pytest.raises(AccessError, match="shows no depth on any of the roads"):
        access.findings(
            item, road_file(tmp_path, far), [degrees(5010, -100)], [], access.Options(water=tmp_path / "d.tif")
        )
