from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rustac
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mage_stac import catalogue, item_table
from mage_stac.errors import CatalogueError, SearchError
from mage_stac.query import Query, matches
from mage_stac.search import search
from mage_stac.validate import validate

TIMES: tuple[dict[str, Any], ...] = (
    {"datetime": "2020-06-01T00:00:00Z"},
    {"datetime": "2020-06-30T23:59:59.123456Z"},
    {"datetime": None, "start_datetime": "2019-01-01T00:00:00Z", "end_datetime": "2020-06-10T00:00:00Z"},
)


def item(number: int, *, west: float, south: float = 10.0, **properties: Any) -> dict[str, Any]:
    """A 1 x 1 degree scene, cut in two at the antimeridian where it must be."""
    east = west + 1
    shape = shapely.box(west, south, east, south + 1)
    if east > 180:
        shape = shapely.union(shapely.box(west, south, 180, south + 1), shapely.box(-180, south, east - 360, south + 1))
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": f"i{number:02}",
        "collection": "c",
        "geometry": json.loads(shapely.to_geojson(shape)),
        "bbox": [west, south, east if east <= 180 else east - 360, south + 1],
        "properties": {**TIMES[number % 3], "gsd": number / 10, **properties},
        "links": [{"rel": "parent", "href": "../collection.json", "type": "application/json"}],
        "assets": {"image": {"href": "./image.tif", "type": "image/tiff"}, "web": {"href": "https://x/a.tif"}},
    }


def write(root: Path, *documents: dict[str, Any]) -> Path:
    for document in documents:
        catalogue.write_json(root / "c" / document["id"] / f"{document['id']}.json", document)
    catalogue.index(root, id="test", title="Test", collections={"c": {"title": "C"}})
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scenes = [item(number, west=number * 2, platform="ab"[number % 2]) for number in range(11)]
    scenes += [item(11, west=179.5), item(12, west=-179.8, **{"eo:cloud_cover": 5})]
    return write(tmp_path_factory.mktemp("table"), *scenes)


def both(root: Path, **fields: Any) -> tuple[list[str], list[str]]:
    """Ids found by the table, and by reading every Item."""
    query = Query(api=str(root), **fields)
    slow = [each.id for each in catalogue.read_items(root) if matches(each, query)]
    try:
        return [each.id for each in search(query).items], slow
    except SearchError:
        return [], slow


FILTERS = (
    "gsd < 0.35",
    "eo:cloud_cover < 10",
    "NOT (eo:cloud_cover < 3)",
    "nobody:has_this = 4",
    "platform = 'a' AND gsd BETWEEN 0.2 AND 0.7",
    "platform LIKE 'b%'",
    "platform IN ('a', 'c')",
    "CASEI(platform) = CASEI('B')",
    "id = 'i04' OR id = 'i05'",
    "properties.gsd > 0.5",
    "datetime > TIMESTAMP('2020-06-02T00:00:00Z')",
    "datetime = '2020-06-01T00:00:00Z'",
    "platform IS NULL",
    "S_INTERSECTS(geometry, POINT(4.5 10.5))",
    "gsd + 1 < 1.3",
    "start_datetime < TIMESTAMP('2020-01-01T00:00:00Z')",
)


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_finds_what_reading_every_item_finds(root: Path, text: str) -> None:
    fast, slow = both(root, filter=text)
    assert fast == slow


@settings(deadline=None, max_examples=15)
@given(
    west=st.floats(-180, 179),
    width=st.floats(0.01, 30),
    days=st.sampled_from([None, "2019", "2020-06", "2020-06-30", "2020-06-30T23:59:59.123Z/..", "../2019-06", "2021"]),
    ids=st.sampled_from([(), ("i03", "i11"), ("nobody",)]),
)
def test_area_time_and_ids_find_what_reading_every_item_finds(
    root: Path, west: float, width: float, days: str | None, ids: tuple[str, ...]
) -> None:
    fast, slow = both(root, bbox=(west, 9.5, min(west + width, 180), 10.5), datetime=days, ids=ids)
    assert fast == slow


def test_an_area_is_met_by_its_shape_not_by_its_box(root: Path) -> None:
    corner = shapely.Polygon([(1.2, 10.5), (2.1, 11.4), (1.2, 11.4)])  # its box covers a part of i01, it does not
    assert both(root, aoi=corner) == ([], [])


def test_only_what_matches_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = catalogue.read_json
    monkeypatch.setattr(catalogue, "read_json", lambda path: read.append(path) or real(path))
    found = search(Query(api=str(root), max_items=2, filter="gsd < 0.45"))
    assert [each.id for each in found.items] == ["i00", "i01"]
    assert found.matched == 5
    assert {path.stem for path in read} == {"catalog", "i00", "i01"}  # the Collection may list a million Items


def test_what_the_collection_says_comes_from_the_table(root: Path) -> None:
    (name, template), *others = search(Query(api=str(root), max_items=1)).templates.items()
    assert (name, others) == ("c", [])
    document = json.loads((root / "c" / "collection.json").read_text())
    assert template == {**document, "links": []}
    stored = parquet.ParquetFile(root / "c" / "items.parquet").metadata.metadata[b"stac-geoparquet"]
    assert json.loads(stored)["collections"] == {"c": template}


@pytest.mark.parametrize("wanted", [1, 3, 100])
def test_no_more_names_are_held_than_wanted(root: Path, wanted: int) -> None:
    every = item_table.find(root / "c", Query(api=str(root)))
    some = item_table.find(root / "c", Query(api=str(root)), wanted)
    assert some.files == every.files[:wanted]
    assert some.count == every.count == 13


def test_what_the_table_lets_through_in_error_is_made_up_for(tmp_path: Path) -> None:
    late = {"datetime": "2020-06-30T23:59:59.999600Z"}  # the table knows no microseconds
    write(tmp_path, *({**item(number, west=number), "properties": late} for number in range(2)), item(3, west=3))
    path = tmp_path / "c" / "i01" / "i01.json"
    path.write_text(path.read_text().replace("999600", "999900"))
    catalogue.rebuild_tables(tmp_path)
    fields = {"datetime": "2020-06-30T23:59:59.999800Z/.."}
    assert both(tmp_path, **fields, max_items=1) == (["i01"], ["i01"])
    assert item_table.find(tmp_path / "c", Query(api=str(tmp_path), **fields), 1).count == 2


def test_the_table_is_stac_geoparquet_for_others(root: Path) -> None:
    first = rustac.read_sync(str(root / "c" / "items.parquet"))["features"][0]
    assert first["id"] == "i00"
    assert first["assets"]["image"]["href"] == "./i00/image.tif"
    assert first["assets"]["web"]["href"] == "https://x/a.tif"
    assert first["links"][0]["href"] == "./collection.json"
    named = json.loads((root / "c" / "collection.json").read_text())["assets"]["items"]
    assert named["href"] == "./items.parquet"


def test_a_large_table_is_packed_by_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_table, "GROUP", 4)
    write(tmp_path, *(item(number, west=5 * (number * 7 % 16), south=(number * 5 % 16) * 2) for number in range(16)))
    file = parquet.ParquetFile(tmp_path / "c" / "items.parquet")
    assert file.num_row_groups == 4
    spans = [np.ptp([box["xmin"] for box in file.read_row_group(group)["bbox"].to_pylist()]) for group in range(4)]
    assert max(spans) < 40
    assert b"geo" in file.metadata.metadata
    assert problems(tmp_path) == []
    assert file.metadata.metadata[b"mage-stac"] == b'{"crossing": 16}'
    fast, slow = both(tmp_path, bbox=(0, 0, 30, 20), filter="gsd < 1.2")
    assert fast == slow != []
    assert len(rustac.read_sync(str(tmp_path / "c" / "items.parquet"))["features"]) == 16


def problems(root: Path) -> list[str]:
    return [line for line in validate(root).problems if "items.parquet" in line]


def test_check_sees_a_table_that_disagrees(tmp_path: Path) -> None:
    write(tmp_path, *(item(number, west=number) for number in range(3)))
    assert problems(tmp_path) == []
    path = tmp_path / "c" / "i01" / "i01.json"
    path.write_text(path.read_text().replace('"gsd": 0.1', '"gsd": 0.7'))
    (line,) = problems(tmp_path)
    assert line.startswith(f"{tmp_path / 'c' / 'collection.json'}: items.parquet disagrees with the Items' JSON: write")
    assert catalogue.rebuild_tables(tmp_path) == [tmp_path / "c" / "items.parquet"]
    assert problems(tmp_path) == []
    collection = tmp_path / "c" / "collection.json"
    document = json.loads(collection.read_text())
    catalogue.write_json(collection, {**document, "license": "CC0-1.0"})
    assert "disagrees" in problems(tmp_path)[0]
    catalogue.rebuild_tables(tmp_path)
    assert problems(tmp_path) == []
    (tmp_path / "c" / "items.parquet").write_bytes(b"PAR1")
    assert "disagrees" in problems(tmp_path)[0]
    with pytest.raises(CatalogueError, match=r"items\.parquet cannot be read .* --rebuild`"):
        search(Query(api=str(tmp_path)))
    (tmp_path / "c" / "items.parquet").unlink()
    assert "which is missing" in problems(tmp_path)[0]
    assert len(search(Query(api=str(tmp_path))).items) == 3


def test_an_older_table_is_not_trusted(tmp_path: Path) -> None:
    write(tmp_path, item(0, west=0))
    os.utime(tmp_path / "c" / "items.parquet", (0, 0))
    found = search(Query(api=str(tmp_path)))
    assert len(found.items) == 1
    assert "is older than its collection.json, so every Item was read" in found.notices[0]


def test_a_run_that_dies_leaves_no_table_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, item(0, west=0))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(catalogue, "write_json", die)
    with pytest.raises(KeyboardInterrupt):
        catalogue.index(tmp_path, id="test", title="Test", collections={})
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["collection.json", "i00"]
    assert len(search(Query(api=str(tmp_path))).items) == 1


def test_items_that_cannot_share_a_table_have_none(tmp_path: Path) -> None:
    write(tmp_path, item(0, west=0, path="088"), item(1, west=2, path=88))
    assert not (tmp_path / "c" / "items.parquet").exists()
    assert "items" not in json.loads((tmp_path / "c" / "collection.json").read_text())["assets"]
    assert problems(tmp_path) == []
    assert len(search(Query(api=str(tmp_path), filter="path = 88")).items) == 1
    with pytest.raises(CatalogueError, match="no Collection of Items that could share a table"):
        catalogue.rebuild_tables(tmp_path)
