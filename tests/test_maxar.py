from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.geometry import shape

from mage_stac import catalogue, maxar
from mage_stac.errors import CatalogueError
from mage_stac.query import Query
from mage_stac.retrieve import save
from mage_stac.search import search
from mage_stac.validate import validate

EVENTS = {
    "Earthquake-Myanmar-March-2025": 202,
    "Emilia-Romagna-Italy-flooding-may23": 245,
    "Floods-Spain-Oct24": 136,
    "Kahramanmaras-turkey-earthquake-23": 2115,
    "Libya-Floods-Sept-2023": 186,
    "Maui-Hawaii-fires-Aug-23": 123,
}


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "stac" / "maxar"


@pytest.mark.parametrize("event", EVENTS)
def test_every_feature_of_an_event_becomes_an_item(folder: Path, event: str) -> None:
    path = folder / f"{event}.geojson"
    items = catalogue.read_items(path)
    features = json.loads(path.read_text())["features"]
    assert len({item.id for item in items}) == len(items) == EVENTS[event]
    for item, feature in zip(items, features, strict=True):
        own = feature["properties"]
        assert item.collection_id == event
        assert shape(item.geometry).equals(shape(feature["geometry"]))
        assert item.properties["proj:code"] == f"EPSG:326{own['utm_zone']:02}"  # all are north of the equator
        assert item.properties["eo:cloud_cover"] == own["tile:clouds_percent"]
        assert item.properties["view:off_nadir"] == own["view:off_nadir"]
        # Seen from the ground the satellite stands at least as far from the zenith as seen from itself.
        assert item.properties["view:incidence_angle"] >= own["view:off_nadir"]
        assert item.assets["visual"].href == own["visual"]


def test_an_events_file_is_searched_and_kept_as_valid_stac(folder: Path, tmp_path: Path, schemas: Path) -> None:
    path = folder / "Floods-Spain-Oct24.geojson"
    asked = Query(api=str(path), bbox=(-0.5, 39.3, -0.3, 39.5), datetime="2024-10-31", filter="eo:cloud_cover < 5")
    found = search(asked)
    saved = save(found, asked, tmp_path)
    raw = json.loads(path.read_text())["features"]
    area = shapely.box(*asked.bbox or ())
    wanted = [
        each["properties"]["quadkey"]
        for each in raw
        if each["properties"]["datetime"].startswith("2024-10-31")
        and each["properties"]["tile:clouds_percent"] < 5
        and shape(each["geometry"]).intersects(area)
    ]
    assert sorted(item.properties["quadkey"] for item in found.items) == sorted(wanted) != []
    assert len(saved.items) == len(wanted)
    assert validate(tmp_path, schemas).problems == ()
    collection = json.loads((tmp_path / "Floods-Spain-Oct24" / "collection.json").read_text())
    assert (collection["license"], collection["providers"][0]["name"]) == ("CC-BY-NC-4.0", "Maxar")
    assert collection["title"] == "Maxar Open Data: Floods Spain Oct24"
    assert len(search(Query(api=str(tmp_path), filter="platform = 'WV02'")).items) > 0


def feature(**properties: Any) -> dict[str, Any]:
    base = "https://maxar-opendata.s3.amazonaws.com/events/E/ard/37/1200/2023-02-07/104"
    own = {
        "datetime": "2023-02-07 08:10:22Z",
        "platform": "WV03",
        "catalog_id": "104",
        "quadkey": "1200",
        "utm_zone": 7,
    }
    own |= {"proj:epsg": 32607.0, "visual": f"{base}-visual.tif", "hd": None}
    geometry = json.loads(shapely.to_geojson(shapely.box(1, 2, 3, 4)))
    return {"type": "Feature", "geometry": geometry, "properties": {**own, **properties}}


def test_one_feature(tmp_path: Path) -> None:
    path = tmp_path / "e.geojson"
    item = maxar.item(feature(**{"proj:bbox": "1,2.5,3,4", "view:incidence_angle": 57.4}), path)
    assert (item["id"], item["collection"], item["bbox"]) == ("07-1200-104", "E", [1, 2, 3, 4])
    assert item["properties"] == {
        "datetime": "2023-02-07T08:10:22Z", "platform": "WV03", "catalog_id": "104", "quadkey": "1200", "utm_zone": 7,
        "proj:code": "EPSG:32607", "proj:bbox": [1, 2.5, 3, 4], "view:incidence_angle": 32.6,
    }  # fmt: skip
    assert [band["name"] for band in item["assets"]["visual"]["bands"]] == ["red", "green", "blue"]
    grey = maxar.item(feature(platform="WV01", visual="https://x/a.tif", **{"proj:code": "EPSG:32737"}), path)
    assert (grey["collection"], grey["properties"]["proj:code"]) == ("e", "EPSG:32737")
    assert "bands" not in grey["assets"]["visual"]


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({"visual": "/etc/passwd"}, "asset 'visual' of 07-1200-104 is '/etc/passwd': only http"),
        ({"ms_analytic": "/vsicurl/https://x/a.tif"}, "asset 'ms_analytic'"),
        ({"datetime": None}, "of catalog_id '104' is none of Maxar's: KeyError"),
        ({"proj:epsg": "UTM"}, "is none of Maxar's: ValueError"),
    ],
)
def test_what_a_feature_may_not_be(tmp_path: Path, properties: dict[str, Any], problem: str) -> None:
    path = tmp_path / "e.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature(**properties)]}))
    with pytest.raises(CatalogueError, match=problem):
        catalogue.read_items(path)
