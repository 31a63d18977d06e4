"""Searching what the Planetary Computer, Earth Search and others really answered, and the Items of their kind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely
from recordings import answers, played
from shapely.geometry import shape

from mage_stac import catalogue, grid, query
from mage_stac import search as module
from mage_stac.query import Query
from mage_stac.retrieve import save
from mage_stac.search import search
from mage_stac.validate import validate

BOX = (-73.21, 43.99, -73.12, 44.05)
AREA = shapely.Polygon([(-73.21, 43.99), (-73.21, 44.05), (-73.12, 44.05), (-73.12, 43.99)])
POINT = shapely.Point(-105.1019, 40.1672)
CORE = "https://api.stacspec.org/v1.0.0/core"
SEARCH = "https://api.stacspec.org/v1.0.0/item-search"


@pytest.fixture(scope="module")
def tapes(shared: Path) -> Path:
    return shared / "stac" / "cassettes"


def told(tapes: Path, name: str) -> list[str]:
    """Ids of the Items that a recording holds, each once."""
    pages = answers(tapes, name)
    return list(dict.fromkeys(feature["id"] for page in pages for feature in page.get("features", [])))


def test_pages_of_the_planetary_computer(tapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 10)
    name = "TestItemSearch.test_result_paging"
    with played(tapes, "landing", "naip", name) as tape:
        found = search(Query(api="planetary-computer", collections=("naip",), bbox=BOX, max_items=20))
    assert tape.play_count == 2 + 3  # pages; twice the landing page, once the Collection
    assert [item.id for item in found.items] == told(tapes, name)
    assert len(found.items) == 20
    assert (found.matched, found.notices) == (None, ())
    assert found.templates["naip"]["title"] == "NAIP: National Agriculture Imagery Program"
    assert all(item.properties["proj:code"].startswith("EPSG:269") for item in found.items)


def test_no_more_pages_than_are_wanted(tapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 10)
    name = "TestItemSearch.test_result_paging_max_items"
    for wanted, pages in ((25, 3), (20, 2), (7, 1)):
        with played(tapes, "landing", "naip", name) as tape:
            found = search(Query(api="planetary-computer", collections=("naip",), max_items=wanted))
        assert [item.id for item in found.items] == told(tapes, name)[:wanted]
        assert tape.play_count == pages + 3


def test_an_area_by_its_shape(tapes: Path) -> None:
    name = "TestItemSearch.test_intersects_results"
    with played(tapes, "landing", "naip", name):
        found = search(Query(api="planetary-computer", collections=("naip",), aoi=AREA))
    assert [item.id for item in found.items] == told(tapes, name)
    assert all(shape(item.geometry).intersects(AREA) for item in found.items)


def test_ids(tapes: Path) -> None:
    ids = (
        "S2B_MSIL2A_20210610T115639_N0212_R066_T33XXG_20210613T185024.SAFE",
        "fl_m_2608004_nw_17_060_20191215_20200113",
    )
    with played(tapes, "landing", "naip", "TestItemSearch.test_ids_results"):
        found = search(Query(api="planetary-computer", collections=("naip",), ids=ids))
    assert [item.id for item in found.items] == [ids[1]]


def test_a_filter_applied_here_gives_what_the_server_gives(tapes: Path) -> None:
    asked = Query(api="planetary-computer", collections=("naip",), aoi=AREA, filter="gsd = 0.6")
    with played(tapes, "landing", "naip", "TestItemSearch.test_intersects_results", conforming=(CORE, SEARCH)):
        found = search(asked)
    assert "does not filter: " in found.notices[0]
    assert sorted(item.id for item in found.items) == sorted(
        told(tapes, "TestItemSearchQuery.test_query_shortcut_syntax")
    )
    assert 0 < len(found.items) < len(told(tapes, "TestItemSearch.test_intersects_results"))


def test_a_moment_of_sentinel_2(tapes: Path) -> None:
    name = "TestItemSearch.test_datetime_results"
    asked = Query(
        api="planetary-computer", collections=("sentinel-2-l2a",), datetime="2019-01-01T00:00:01Z/2019-01-01T00:00:10Z"
    )
    with played(tapes, "landing", "TestSigning.test_sign_with_return_warns", name):
        found = search(asked)
    assert [item.id for item in found.items] == told(tapes, name)
    assert all(query.matches(item, asked) for item in found.items)
    assert found.templates["sentinel-2-l2a"]["license"] == "proprietary"


def test_two_collections_of_earth_search_and_an_empty_last_page(tapes: Path) -> None:
    asked = Query(api="earth-search", collections=("sentinel-2-l2a", "landsat-c2-l2"), datetime="2023-10-08", aoi=POINT)
    with played(tapes, "earth search", "test_multiple_collections") as tape:
        found = search(asked)
    assert tape.play_count >= 3
    assert sorted(item.id for item in found.items) == sorted(told(tapes, "test_multiple_collections"))
    assert {item.collection_id for item in found.items} == {"sentinel-2-l2a", "landsat-c2-l2"}
    assert (found.matched, found.notices) == (len(found.items), ())


def test_a_server_whose_collections_were_not_recorded_still_gives_its_items(tapes: Path) -> None:
    name = "test_get_items_without_ids"
    with played(tapes, name):
        found = search(Query(api="https://stac.eoapi.dev", max_items=10))
    assert [item.id for item in found.items] == told(tapes, name)
    assert found.templates == {}


def test_what_was_found_is_kept_as_valid_stac(tapes: Path, tmp_path: Path, schemas: Path) -> None:
    asked = Query(api="planetary-computer", collections=("naip",), bbox=BOX, max_items=10)
    with played(tapes, "landing", "naip", "TestItemSearch.test_result_paging"):
        saved = save(search(asked), asked, tmp_path)
    assert len(saved.items) == 10
    assert validate(tmp_path, schemas).problems == ()
    assert json.loads((tmp_path / "naip" / "collection.json").read_text())["providers"][0]["name"]


ITEMS = (
    "LC08_L2SP_028030_20200114_20200824_02_T1_SR.json",
    "LC08_L2SR_081119_20200101_20200823_02_T2.json",
    "LE07_L2SP_044033_20210329_20210424_02_T1_SR.json",
    "S2A_28QCH_20200714_0_L2A.json",
    "S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json",
    "ga_ls8c_ard_3-1-0_088080_2020-05-25_final.stac-item.json",
    "lidar_dem.json",
    "maxar-hurricane-ian/031331303020_10300100DB064000.json",
    "site1-20200606-tall-strip-africa.geojson",
    "site2-2020_jun_jul-35MNM.geojson",
)


@pytest.mark.parametrize("name", ITEMS)
def test_items_of_many_makers_have_the_grid_of_their_footprint(shared: Path, name: str) -> None:
    path = shared / "stac" / "items" / name
    raw = json.loads(path.read_text())
    features = raw.get("features", [raw])
    for item, feature in zip(catalogue.read_items(path), features, strict=True):
        assert item.properties["proj:code"] == f"EPSG:{feature['properties']['proj:epsg']}"
        project = pyproj.Transformer.from_crs("EPSG:4326", item.properties["proj:code"], always_xy=True)
        lonlat = shape(item.geometry).segmentize(0.01)
        footprint = shapely.transform(lonlat, lambda points, to=project: np.column_stack(to.transform(*points.T)))
        keys = [
            key for key, asset in item.assets.items() if "proj:transform" in {**item.properties, **asset.extra_fields}
        ]
        assert keys
        for key in keys:
            box = shapely.box(*grid.of_items([item], key).extent.boundingbox)
            assert footprint.intersection(box).area > 0.99 * footprint.area
            assert box.area < 16 * footprint.area  # a Sentinel-2 tile at the edge of its swath
