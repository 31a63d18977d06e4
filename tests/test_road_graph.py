"""products/roads and products/routing, against networkx."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import networkx as nx
import numpy as np
import pytest
import shapely

from mage_stac.errors import AccessError, AssetError, GridError, MageStacError
from mage_stac.products import isochrones, roads, routing

CRS = "EPSG:32615"
X, Y = 500_000, 4_100_000


def degrees(x: float, y: float) -> tuple[float, float]:
    point = gpd.GeoSeries.from_xy([X + x], [Y + y], crs=CRS).to_crs("EPSG:4326")[0]
    return point.x, point.y


def line(*points: tuple[float, float]) -> shapely.LineString:
    return shapely.LineString([(X + x, Y + y) for x, y in points])


def write(folder: Path, lines: list[object], **columns: list[object]) -> Path:
    path = folder / "roads.gpkg"
    gpd.GeoDataFrame(columns, geometry=lines, crs=CRS).to_file(path)
    return path


@pytest.fixture
def town(tmp_path: Path) -> roads.Roads:
    """A street of three blocks, a one-way lane beside it, and a bridge across that shares no point."""
    path = write(
        tmp_path,
        [line((0, 0), (100, 0), (200, 0), (300, 0)), line((100, 0), (100, 50), (200, 50), (200, 0)),
         line((150, -100), (150, 100))],
        highway=["residential", "service", "primary"], oneway=["no", "yes", None], maxspeed=["20", None, "30 mph"],
        bridge=[None, "no", "yes"],
    )  # fmt: skip
    return roads.graph(roads.read(path), CRS)[0]


def test_lines_are_cut_where_they_meet_and_not_where_they_cross(town: roads.Roads) -> None:
    assert (len(town.nodes), len(town.tail)) == (6, 5)
    assert sorted(town.metres) == pytest.approx([100, 100, 100, 200, 200])
    assert [shapely.length(piece) for piece in town.lines] == pytest.approx(town.metres.tolist())
    assert town.speed.tolist() == pytest.approx([20, 20, 20, 15, 48.28], abs=0.01)
    assert town.backward.tolist() == [True, True, True, False, True]
    assert town.bridge.tolist() == [False] * 4 + [True]
    for edge, piece in enumerate(town.lines):
        ends = shapely.get_coordinates(piece)[[0, -1]]
        assert np.allclose(ends, town.nodes[[town.tail[edge], town.head[edge]]])


def test_a_stop_splits_the_nearest_road(tmp_path: Path) -> None:
    frame = roads.read(write(tmp_path, [line((0, 0), (100, 0)), line((0, 90), (100, 90))]))
    made, stops = roads.graph(frame, CRS, [degrees(30, 10), degrees(70, 5), degrees(0, -20)])
    assert made.nodes[stops] - (X, Y) == pytest.approx(np.array([[30, 0], [70, 0], [0, 0]]), abs=0.01)
    assert sorted(made.metres) == pytest.approx([30, 30, 40, 100], abs=0.01)
    assert made.kind.tolist() == ["unclassified"] * 4


@pytest.mark.parametrize("away", [0.012, 0.03, 0.049])
def test_a_stop_or_a_vertex_beside_a_crossing_leaves_it_whole(tmp_path: Path, away: float) -> None:
    crossing = [line((0, 0), (100, 0), (200, 0)), line((100, 0), (100, 100))]
    made, stops = roads.graph(roads.read(write(tmp_path, crossing)), CRS, [degrees(100 - away, 0), degrees(100, 90)])
    found = routing.reach(routing.network(made, np.ones(len(made.tail))), stops[:1])
    assert np.isfinite(found.seconds).all()
    joined = [line((0, 0), (100.02 - away, 0), (100.02, 0)), line((100.02, 0), (200, 0))]
    made, _ = roads.graph(roads.read(write(tmp_path, joined)), CRS)
    assert len(set(routing.components(made, np.ones(len(made.tail), bool)))) == 1
    assert made.metres.sum() == pytest.approx(200, abs=roads.TOLERANCE)


def test_columns_of_numbers_with_gaps_are_read_as_such(tmp_path: Path) -> None:
    lines = [line((0, 10 * at), (100, 10 * at)) for at in range(4)]
    path = write(
        tmp_path, lines, highway=["residential"] * 4, oneway=[1, -1, 0, None], bridge=[0, 1, None, 0],
        maxspeed=[20, None, 0, 25],
    )  # fmt: skip
    frame = roads.read(path)
    assert frame["forward"].tolist() == [True, False, True, True]
    assert frame["backward"].tolist() == [False, True, True, True]
    assert frame["bridge"].tolist() == [False, True, False, False]
    assert frame["speed"].tolist() == [20, 30, 30, 25]


def test_random_networks_agree_with_networkx() -> None:
    rng = np.random.default_rng(0)
    size = 300
    nodes = rng.uniform(0, 1000, (size, 2))
    tail, head = rng.integers(0, size, (2, 700))
    made = graph_of(nodes, tail, head, rng.random(700) < 0.8)
    seconds = np.where(rng.random(700) < 0.2, np.inf, rng.uniform(1, 100, 700))
    net = routing.network(made, seconds)
    found = routing.reach(net, np.array([3, 7]))
    oracle = nx.MultiDiGraph()
    oracle.add_nodes_from(range(size))
    for edge in np.flatnonzero(np.isfinite(seconds)):
        oracle.add_edge(tail[edge], head[edge], weight=seconds[edge])
        if made.backward[edge]:
            oracle.add_edge(head[edge], tail[edge], weight=seconds[edge])
    wanted = nx.multi_source_dijkstra_path_length(oracle, {3, 7})
    assert {n: s for n, s in enumerate(found.seconds) if np.isfinite(s)} == pytest.approx(wanted)
    for target in wanted:
        edges, passed = routing.way(net, found, target)
        assert passed[0] in (3, 7)
        assert seconds[edges].sum() == pytest.approx(wanted[target])
    parts = routing.components(made, np.isfinite(seconds))
    assert len(set(parts)) == nx.number_weakly_connected_components(oracle)


def graph_of(nodes: np.ndarray, tail: np.ndarray, head: np.ndarray, both: np.ndarray) -> roads.Roads:
    size = len(tail)
    lines = np.array([shapely.LineString(nodes[[a, b]]) for a, b in zip(tail, head, strict=True)], dtype=object)
    return roads.Roads(
        crs=CRS, nodes=nodes, tail=tail, head=head, metres=shapely.length(lines), speed=np.full(size, 36.0),
        width=np.full(size, 5.0), forward=np.ones(size, bool), backward=both, bridge=np.zeros(size, bool),
        tunnel=np.zeros(size, bool), name=np.full(size, ""), kind=np.full(size, "road"), lines=lines,
    )  # fmt: skip


def test_repairs_reconnect_most_people_first_then_go_on_behind() -> None:
    # 0 -x- 1 -x- 2   and   0 -x- 3 - 4
    made = graph_of(np.array([[0, 0], [1, 0], [2, 0], [0, 1], [0, 2]], float) * 100,
                    np.array([0, 1, 0, 3]), np.array([1, 2, 3, 4]), np.ones(4, bool))  # fmt: skip
    closed = np.array([True, True, True, False])
    people = np.array([0, 10, 500, 40, 5.0])
    plan = routing.repairs(made, closed, np.array([0]), {"people": people, "nodes": np.ones(5)})
    assert [(step.edge, step.gain["people"], step.gain["nodes"]) for step in plan] == [
        (2, 45, 2),
        (0, 10, 1),
        (1, 500, 1),
    ]


def test_isochrones_hold_the_roads_within_and_each_other() -> None:
    ends = np.arange(11)
    made = graph_of(np.column_stack([ends * 1000.0, ends * 0.0]), ends[:-1], ends[1:], np.ones(10, bool))
    found = routing.reach(routing.network(made, made.seconds), np.array([0]))
    areas = isochrones.isochrones(made, made.seconds, found, [5, 10, 60])  # 36 km/h: 3 km, 6 km, all
    assert areas["minutes"].tolist() == [5, 10, 60]
    assert areas.bounds["maxx"].tolist() == pytest.approx([3000, 6000, 10_000], abs=150)
    assert areas.geometry[1].buffer(1).covers(areas.geometry[0])
    nowhere = isochrones.isochrones(made, np.full(10, np.inf), found, [5])
    assert len(nowhere) == 0


def test_liechtenstein_by_gdal(shared: Path) -> None:
    path = shared / "osm/liechtenstein-latest.osm.pbf"
    made, _ = roads.graph(roads.read(path), "EPSG:32632")
    parts = routing.components(made, np.ones(len(made.tail), bool))
    assert np.bincount(parts).max() > 0.85 * len(made.nodes)
    assert 600_000 < made.metres.sum() < 1_200_000
    settled = roads.places(path).set_index("name")
    assert settled.loc["Vaduz", "population"] > 5000


def test_harrisburg_by_gdal_and_norcia_from_a_layer_of_an_archive(shared: Path) -> None:
    made, _ = roads.graph(roads.read(shared / "osm/harrisburg.osm.pbf"), "EPSG:32618")
    assert np.bincount(routing.components(made, np.ones(len(made.tail), bool))).max() > 0.95 * len(made.nodes)
    assert {"motorway", "residential"} < set(made.kind)
    path = shared / "twins/norcia/EMSR190_10NORCIA_GRADING_OVERVIEW-MONIT02_v1_vector.zip"
    layer = "EMSR190_10NORCIA_02GRADING_MONIT02_v1_12500_transportation_line_grading"
    made, _ = roads.graph(roads.read(path, layer=layer), "EPSG:32633")
    plain = gpd.read_file(path, layer=layer).to_crs("EPSG:32633")
    assert made.metres.sum() == pytest.approx(plain.length.sum(), rel=1e-3)
    assert np.bincount(routing.components(made, np.ones(len(made.tail), bool))).max() > 0.9 * len(made.nodes)


def test_files_that_are_no_roads_say_why(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="does not exist"):
        roads.read(tmp_path / "none.osm.pbf")
    broken = tmp_path / "broken.osm.pbf"
    broken.write_bytes(b"no pbf at all")
    with pytest.raises(AssetError, match="cannot be read as OSM data"):
        roads.read(broken)
    with pytest.raises(AccessError, match=r"holds no lines \(Point\)"):
        roads.read(write(tmp_path, [shapely.Point(X, Y)]))
    nowhere = tmp_path / "nowhere.geojson"
    feature = {"type": "Feature", "properties": {"name": "A"}, "geometry": None}
    nowhere.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), "utf-8")
    with pytest.raises(MageStacError, match=r"nowhere\.geojson"):
        roads.read(nowhere)
    bare = tmp_path / "bare.parquet"
    gpd.GeoDataFrame(geometry=[line((0, 0), (1, 1))]).to_parquet(bare)
    with pytest.raises(GridError, match="does not say its CRS"):
        roads.read(bare)
    frame = roads.read(write(tmp_path, [line((0, 0), (100, 0))]))
    with pytest.raises(AccessError, match=r"no road within 250 m of .*: the nearest is 1,000 m away"):
        roads.graph(frame, CRS, [degrees(0, 1000)])
    with pytest.raises(AccessError, match="every road is closed to the public"):
        roads.read(write(tmp_path, [line((0, 0), (100, 0))], highway=["service"], access=["private"]))
