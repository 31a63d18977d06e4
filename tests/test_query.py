from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
import pytest
import shapely

from mage_stac import query
from mage_stac.errors import SearchError
from mage_stac.query import Query


def item(**properties: Any) -> pystac.Item:
    ring = shapely.geometry.mapping(shapely.box(10, 20, 11, 21))
    date = properties.pop("datetime", datetime(2020, 6, 15, tzinfo=UTC))
    return pystac.Item("i", ring, [10, 20, 11, 21], date, properties, collection="c")


@pytest.mark.parametrize("name", query.known_apis())
def test_known_apis_are_web_addresses(name: str) -> None:
    api = query.resolve(name)
    assert api.url.startswith("https://")
    assert not api.url.endswith("/")
    assert not api.local


def test_the_well_known_ones_are_there() -> None:
    assert {"planetary-computer", "earth-search", "copernicus"} <= query.known_apis().keys()
    assert query.resolve("planetary-computer").sign == "planetary-computer"


def test_urls_and_folders(tmp_path: Path) -> None:
    assert query.resolve("https://example.com/stac/").url == "https://example.com/stac"
    assert query.resolve("https://planetarycomputer.microsoft.com/api/stac/v1/").sign == "planetary-computer"
    assert query.resolve(str(tmp_path)).local
    with pytest.raises(SearchError, match="no API or catalogue 'mars': there are planetary-computer, earth-search"):
        query.resolve("mars")


def test_a_box() -> None:
    assert query.box("-94.5,37,-94,37.5") == (-94.5, 37, -94, 37.5)
    for text in ("1,2,3", "a,b,c,d", "2,0,1,1", "0,2,1,1", "0,0,181,1", "nan,0,1,1"):
        with pytest.raises(SearchError, match="--bbox"):
            query.box(text)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2020", "2020-01-01T00:00:00Z", "2020-12-31T23:59:59Z"),
        ("2020-02", "2020-02-01T00:00:00Z", "2020-02-29T23:59:59Z"),
        ("2020-02-03", "2020-02-03T00:00:00Z", "2020-02-03T23:59:59Z"),
        ("2020-02-03T04:05:06Z", "2020-02-03T04:05:06Z", "2020-02-03T04:05:06Z"),
        ("2020-02-03T04:05:06", "2020-02-03T04:05:06Z", "2020-02-03T04:05:06Z"),
        ("2020/2020-02-03T04:05:06+02:00", "2020-01-01T00:00:00Z", "2020-02-03T02:05:06Z"),
        ("2020-02/2020-03", "2020-02-01T00:00:00Z", "2020-03-31T23:59:59Z"),
        ("../2020", "..", "2020-12-31T23:59:59Z"),
        ("2020-02-03/..", "2020-02-03T00:00:00Z", ".."),
    ],
)
def test_times(text: str, first: str, last: str) -> None:
    assert query.interval_text(text) == f"{first}/{last}"


@pytest.mark.parametrize("text", ["yesterday", "2020-13", "2021/2020", "2020-02-30"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(SearchError, match="--datetime"):
        Query(api="x", datetime=text)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"bbox": (0, 0, 1, 1), "aoi": shapely.box(0, 0, 1, 1)}, "not both"),
        ({"max_items": 0}, "--max-items 0"),
        ({"filter": "clouds are few"}, "is not CQL2"),
    ],
)
def test_contradictions(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SearchError, match=said) as caught:
        Query(api="x", **fields)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({}, True),
        ({"collections": ("c", "d")}, True),
        ({"collections": ("d",)}, False),
        ({"bbox": (10.5, 20.5, 12, 22)}, True),
        ({"bbox": (12, 20, 13, 21)}, False),
        ({"aoi": shapely.Point(10.5, 20.5)}, True),
        ({"datetime": "2020-06"}, True),
        ({"datetime": "2020-07/.."}, False),
        ({"datetime": "../2020-06-14"}, False),
        ({"datetime": "2020-06-14T12:00:00/2020-06-15T12:00:00"}, True),
        ({"filter": "eo:cloud_cover < 10"}, True),
        ({"filter": "eo:cloud_cover > 10"}, False),
        ({"filter": '{"op": "<", "args": [{"property": "eo:cloud_cover"}, 10]}'}, True),
        ({"filter": "gsd < 10"}, False),
        ({"filter": "id = 'i' AND collection = 'c'"}, True),
        ({"filter": "eo:cloud_cover < 10", "datetime": "2019"}, False),
    ],
)
def test_what_an_item_answers(fields: dict[str, Any], answer: bool) -> None:
    assert query.matches(item(**{"eo:cloud_cover": 5}), Query(api="x", **fields)) is answer


def test_an_item_of_a_span_of_time() -> None:
    span = item(datetime=None, start_datetime="2020-01-01T00:00:00Z", end_datetime="2020-03-01T00:00:00Z")
    assert query.matches(span, Query(api="x", datetime="2020-02"))
    assert not query.matches(span, Query(api="x", datetime="2020-04"))


def test_an_area_file(tmp_path: Path) -> None:
    import geopandas

    frame = geopandas.GeoDataFrame(geometry=[shapely.box(500_000, 0, 501_000, 1000)], crs="EPSG:32631")
    frame.to_file(tmp_path / "a.gpkg")
    west, south, east, north = query.area(tmp_path / "a.gpkg").bounds
    assert (west, south) == pytest.approx((3, 0), abs=1e-6)
    assert east - west == pytest.approx(0.00898, rel=1e-2)
    assert north > south
    (tmp_path / "bad.geojson").write_text("{")
    (tmp_path / "none.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    for name, said in (
        ("bad.geojson", "cannot be read"),
        ("no.geojson", "cannot be read"),
        ("none.geojson", "no geometry"),
    ):
        with pytest.raises(SearchError, match=said):
            query.area(tmp_path / name)


def test_the_record_of_a_query() -> None:
    made = Query(api="earth-search", collections=("c",), bbox=(0, 0, 1, 1), max_items=3)
    assert made.as_dict() == {"api": "earth-search", "collections": ["c"], "bbox": [0, 0, 1, 1], "max_items": 3}
