from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import predictions
import pystac
import pytest
import rasterio
import shapely
from affine import Affine
from command_line import Run, ended
from odc.geo.geobox import GeoBox

from mage_stac import catalogue
from mage_stac.errors import AssetError, CatalogueError
from mage_stac.products import areas, units, wilson
from mage_stac.validate import validate

HOUSES = [
    (10, 10, 1), (10, 40, 4), (10, 70, 4),  # first cell
    (110, 10, 2), (110, 40, 1), (110, 70, 1),  # below it
    (10, 110, 3),  # second cell
    (10, 210, 1), (120, 250, 4),  # the latter not observed
]  # fmt: skip
UNSEEN = (slice(100, 200), slice(200, 300))


@pytest.fixture(scope="module")
def item(tmp_path_factory: pytest.TempPathFactory) -> pystac.Item:
    return predictions.write(tmp_path_factory.mktemp("areas") / "out", HOUSES, unseen=UNSEEN)


def test_counts_areas_and_shares_by_cell(item: pystac.Item, tmp_path: Path, schemas: Path) -> None:
    geobox = predictions.GRID
    folder = areas.areas(Path(item.get_self_href()), units.of_grid(100, geobox), tmp_path / "out")
    table = gpd.read_parquet(folder / "areas.parquet").set_index("unit_id")
    assert list(table.reset_index().columns) == list(areas.COLUMNS)
    assert table["name"].iloc[0] == "5000_40999"
    best = table.loc["5000_40999"]
    assert best[["rank", "buildings", "no_damage", "destroyed", "damaged"]].tolist() == [1, 3, 1, 2, 2]
    low, high = map(float, wilson.interval(2, 3))
    assert best[["damaged_share", "damaged_low", "damaged_high"]].tolist() == pytest.approx(
        [2 / 3, low, high], abs=1e-4
    )
    assert best["few"]
    assert best["destroyed_m2"] == pytest.approx(200, rel=2e-3)
    assert best["area_m2"] == pytest.approx(1e4, rel=2e-3)
    assert best["expected"] == pytest.approx(2 * (0.9 + 0.1 / 3 * 2) + 0.1, abs=0.02)
    hidden = table.loc["5002_40998"]
    assert hidden[["buildings", "not_observed", "damaged", "observed"]].tolist() == [1, 1, 0, 0]
    assert hidden[["rank", "damaged_share", "damaged_low"]].isna().all()
    assert table["buildings"].sum() == len(HOUSES)
    assert table["rank"].dropna().tolist() == [1, 2, 3]
    made = catalogue.read_item(folder)
    assert made.properties["mage:totals"] == {
        "units": 6, "buildings": 9, "no_damage": 4, "minor_damage": 1, "major_damage": 1, "destroyed": 2,
        "not_observed": 1, "damaged": 4, "damaged_low": 0.2152, "damaged_high": 0.7848, "observed": 0.8333,
        "outside": 0,
    }  # fmt: skip
    with rasterio.open(folder / "heat.tif") as source:
        density, share = source.read()
    assert density.tolist() == [
        pytest.approx([200, 100, 0], rel=2e-3), pytest.approx([100, 0, np.nan], rel=2e-3, nan_ok=True)
    ]  # fmt: skip
    assert share[0].tolist() == pytest.approx([2 / 3, 1, 0], abs=1e-3)
    report = validate(tmp_path / "out", schemas)
    assert (report.checked, report.problems, report.unchecked) == (3, (), ())


def test_the_csv_holds_the_same_in_the_same_order(item: pystac.Item, tmp_path: Path) -> None:
    folder = areas.areas(Path(item.get_self_href()), units.of_h3(10, predictions.GRID), tmp_path)
    csv, parquet = pd.read_csv(folder / "areas.csv"), gpd.read_parquet(folder / "areas.parquet")
    assert csv["unit_id"].tolist() == parquet["unit_id"].tolist()
    assert csv["destroyed"].tolist() == parquet["destroyed"].tolist()
    points = gpd.GeoSeries.from_xy(csv["lon"], csv["lat"], crs="EPSG:4326").to_crs(parquet.crs)
    assert points.within(parquet.geometry).all()


@pytest.mark.parametrize("by", areas.ORDERS)
def test_the_most_affected_by_number_or_by_sure_share(by: str) -> None:
    low, _ = wilson.interval([30, 9, 1], [300, 9, 1])
    table = pd.DataFrame({
        "unit_id": ["large", "small", "one"], "name": "", "damaged": [30, 9, 1], "damaged_low": low,
        "destroyed": [3, 9, 1], "buildings": [300, 9, 1],
    })  # fmt: skip
    order = areas.sort(table, by)["unit_id"].tolist()
    assert order == (["large", "small", "one"] if by == "count" else ["small", "one", "large"])


def test_random_buildings_agree_with_geopandas(item: pystac.Item) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.uniform(499_900, 500_400, 500), rng.uniform(4_099_700, 4_100_100, 500)
    chances = rng.dirichlet(np.ones(5), 500)
    grades = rng.choice([1, 2, 3, 4, 255], 500)
    columns = {"grade": grades, **{f"probability_{k}": chances[:, k] for k in range(5)}}
    frame = gpd.GeoDataFrame(columns, geometry=shapely.box(x, y, x + 8, y + 6), crs="EPSG:32615")
    cells = units.of_h3(11, predictions.GRID)
    table, outside = areas.summed(cells, frame, areas.damage_of(item))
    points = gpd.GeoDataFrame({"grade": grades}, geometry=frame.representative_point(), crs=frame.crs)
    joined = points.sjoin(cells.frame, predicate="within")
    wanted = pd.crosstab(joined["unit_id"], joined["grade"]).reindex(table["unit_id"], fill_value=0)
    for value, name in areas.GRADES.items():
        assert table[name].tolist() == wanted[value].tolist()
        assert outside[name] == (grades == value).sum() - wanted[value].sum()
    damaged = (chances[:, 2:].sum(axis=1) / chances[:, 1:].sum(axis=1))[joined.index]
    expected = joined.assign(chance=np.where(joined["grade"] == 255, 0, damaged)).groupby("unit_id")["chance"].sum()
    assert table["expected"].tolist() == pytest.approx(
        expected.reindex(table["unit_id"], fill_value=0).tolist(), abs=0.01
    )


def test_a_map_in_degrees_is_measured_on_the_ground(tmp_path: Path) -> None:
    grid = GeoBox((200, 300), Affine(1e-5, 0, -93.0, 0, -1e-5, 60.0), "EPSG:4326")
    item = predictions.write(tmp_path / "out", [(50, 60, 4)], grid=grid)
    folder = areas.areas(Path(item.get_self_href()), units.of_grid(1000, grid))
    assert folder.parents[1] == tmp_path / "out"  # beside the prediction
    table = gpd.read_parquet(folder / "areas.parquet")
    truth = gpd.GeoSeries([grid.extent.geom], crs="EPSG:4326").to_crs("EPSG:32615").area[0]
    assert (table["observed"] * table["area_m2"]).sum() == pytest.approx(truth, rel=0.01)
    assert table["destroyed"].sum() == 1


def test_a_map_without_a_building_has_no_rank_and_no_share(tmp_path: Path, schemas: Path) -> None:
    item = predictions.write(tmp_path / "out", [])
    folder = areas.areas(Path(item.get_self_href()), units.of_grid(100, predictions.GRID), tmp_path / "new")
    table = gpd.read_parquet(folder / "areas.parquet")
    assert table["rank"].isna().all()
    assert table["buildings"].sum() == 0
    assert not validate(tmp_path / "new", schemas).problems


def test_items_that_are_no_predictions_say_what_they_lack(item: pystac.Item, tmp_path: Path) -> None:
    cells = units.of_grid(100, predictions.GRID)
    with pytest.raises(CatalogueError, match="does not exist"):
        areas.areas(tmp_path / "nothing", cells)
    folder = areas.areas(Path(item.get_self_href()), cells, tmp_path / "out")
    with pytest.raises(AssetError, match="no asset 'damage'"):
        areas.areas(folder, cells)
    lonely = tmp_path / "a" / "b" / "map.json"
    lonely.parent.mkdir(parents=True)
    item.clone().save_object(include_self_link=False, dest_href=str(lonely))
    with pytest.raises(CatalogueError, match="--out"):
        areas.areas(lonely, cells)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--grid", "100"], 0, ""),
        (["--grid", "0"], 1, "positive"),
        (["--h3", "16"], 1, "0 (4,000,000 km2 a cell) to 15"),
        (["--grid", "100", "--h3", "9"], 2, "one of --units, --grid and --h3"),
        ([], 2, "one of --units, --grid and --h3"),
        (["--grid", "100", "--by", "size"], 2, "count, share"),
        (["--units", "{tmp}/none.gpkg"], 1, "does not exist"),
    ],
)
def test_the_verb(item: pystac.Item, tmp_path: Path, run: Run, words: list[str], code: int, said: str) -> None:
    filled = [word.format(tmp=tmp_path) for word in words]
    out = tmp_path / "out"
    told = ended(run("areas", *filled, "--prediction", item.get_self_href(), "--out", out, "--json"), code, said, out)
    assert told is None or told["destroyed"] == 2
