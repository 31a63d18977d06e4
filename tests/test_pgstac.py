from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pystac
import pytest
import rasterio
import shapely
from pgstac_server import Cluster, api, cluster
from pystac_client import Client
from served import served

from mage_stac import catalogue, pgstac, transactions
from mage_stac.errors import PushError
from mage_stac.push import Tally, push
from mage_stac.query import Query
from mage_stac.search import search

EXAMPLE = Path(__file__).resolve().parents[1] / "catalogs" / "example"
EXAMPLES = ("models", "predictions", "wind-pairs")
BASE = "https://data.example.org/my%20scenes"


@pytest.fixture(scope="module")
def running() -> Iterator[Cluster]:
    with cluster() as started:
        yield started


@pytest.fixture(scope="module")
def migrated(running: Cluster) -> Cluster:
    command = [sys.executable, "-m", "pypgstac.pypgstac", "migrate"]
    subprocess.run(command, env=running.environment, check=True, stdout=subprocess.DEVNULL)
    return running


@pytest.fixture(scope="module")
def url(migrated: Cluster) -> Iterator[str]:
    with api(migrated) as started:
        yield started


def scene(number: int, collection: str, **properties: Any) -> dict[str, Any]:
    west = 10.0 + number
    shape = shapely.box(west, 40, west + 0.5, 40.5)
    before = {"rel": "derived_from", "href": f"../s{number - 1}/s{number - 1}.json", "type": "application/geo+json"}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": ["https://stac-extensions.github.io/eo/v2.0.0/schema.json"],
        "id": f"s{number}",
        "collection": collection,
        "geometry": json.loads(shapely.to_geojson(shape)),
        "bbox": list(shape.bounds),
        "properties": {"datetime": f"2023-02-0{number + 1}T08:00:00Z", "eo:cloud_cover": 10.5 * number, **properties},
        "links": [
            {"rel": "root", "href": "../../catalog.json"},
            {"rel": "collection", "href": "../collection.json"},
            {"rel": "via", "href": "https://example.org/scene"},
            *([before] if number else []),
        ],
        "assets": {
            "image": {"href": "./image.tif", "type": "image/tiff", "roles": ["data"], "bands": [{"name": "red"}]},
            "web": {"href": "https://example.org/a.tif?sig=SECRET", "type": "image/tiff"},
        },
    }


def write(root: Path, collection: str, *numbers: int, **properties: Any) -> Path:
    for number in numbers:
        path = root / collection / f"s{number}" / f"s{number}.json"
        catalogue.write_json(path, scene(number, collection, **properties))
    catalogue.index(root, id="scenes", title="Scenes", collections={collection: {"title": "C", "license": "CC-BY-4.0"}})
    return root


def found(client: Client, **fields: Any) -> list[str]:
    return [item.id for item in client.search(**fields).items()]


@pytest.mark.filterwarnings("ignore:Server does not conform to SORT")  # stac-fastapi names another class of it
def test_a_catalogue_pushed_to_the_database_is_searched_over_http(migrated: Cluster, url: str, tmp_path: Path) -> None:
    root = write(tmp_path, "bulk", *range(5))
    with pgstac.connected(migrated.dsn()) as server:
        pushed = push(root, server, base_url=BASE)
    assert (pushed.collections, pushed.items) == (("bulk",), Tally(new=5))
    client = Client.open(url)
    every = ["s4", "s3", "s2", "s1", "s0"]  # pgstac sorts by time, newest first
    assert found(client, collections=["bulk"]) == every
    assert found(client, collections=["bulk"], bbox=(11.2, 40.1, 13.2, 40.2)) == ["s3", "s2", "s1"]
    assert found(client, collections=["bulk"], datetime="2023-02-02/2023-02-03") == ["s2", "s1"]
    assert found(client, collections=["bulk"], filter="eo:cloud_cover < 15 AND id <> 's0'") == ["s1"]
    assert found(client, filter={"op": ">", "args": [{"property": "eo:cloud_cover"}, 30]}) == ["s4", "s3"]
    assert found(client, collections=["bulk"], ids=["s3"]) == ["s3"]
    assert found(client, collections=["bulk"], sortby="+properties.datetime") == every[::-1]
    assert found(client, collections=["bulk"], sortby="-properties.eo:cloud_cover", max_items=2) == ["s4", "s3"]
    pages = list(client.search(collections=["bulk"], limit=2).pages())
    assert [[item.id for item in page] for page in pages] == [["s4", "s3"], ["s2", "s1"], ["s0"]]
    item = next(client.search(ids=["s1"]).items())
    assert item.assets["image"].href == f"{BASE}/bulk/s1/image.tif"
    assert item.assets["web"].href == "https://example.org/a.tif"
    links = {link.rel: link.href for link in item.links}
    assert links["via"] == "https://example.org/scene"
    assert links["derived_from"] == f"{url}/collections/bulk/items/s0"
    assert client.get_collection("bulk").assets["items"].href == f"{BASE}/bulk/items.parquet"  # type: ignore[union-attr]


def plain(item: pystac.Item) -> dict[str, Any]:
    document = item.to_dict(include_self_link=False, transform_hrefs=False)
    return {key: document[key] for key in ("id", "bbox", "geometry", "properties", "stac_extensions", "collection")}


def said(value: Any) -> Any:
    """Without nulls, which pgstac drops."""
    if isinstance(value, dict):
        return {key: said(entry) for key, entry in value.items() if entry is not None}
    return [said(entry) for entry in value] if isinstance(value, list) else value


def test_the_example_is_the_same_there_and_opens_from_there(migrated: Cluster, url: str) -> None:
    local = {item.id: item for item in catalogue.read_items(EXAMPLE)}
    with served(EXAMPLE) as address, pgstac.connected(migrated.dsn()) as server:
        push(EXAMPLE, server, base_url=address)
        there = {item.id: item for item in search(Query(api=url, collections=EXAMPLES)).items}
        assert {name: said(plain(item)) for name, item in there.items()} == {
            name: said(plain(item)) for name, item in local.items()
        }
        for name, item in there.items():
            for key, asset in item.assets.items():
                mine = local[name].assets[key]
                assert (asset.title, asset.roles) == (mine.title, mine.roles)
                assert said(asset.extra_fields) == said(mine.extra_fields)
                assert f"{EXAMPLE}/{asset.href.removeprefix(address)}" == mine.href
        with (
            rasterio.open(there["damage"].assets["damage"].href) as far,
            rasterio.open(local["damage"].assets["damage"].href) as near,
        ):
            np.testing.assert_array_equal(far.read(), near.read())


def connect(way: str, running: Cluster, url: str) -> Any:
    return pgstac.connected(running.dsn()) if way == "pgstac" else transactions.connected(url)


@pytest.mark.parametrize("way", ["pgstac", "api"])
def test_pushing_again_changes_what_has_changed(way: str, migrated: Cluster, url: str, tmp_path: Path) -> None:
    name = f"again-{way}"
    root = write(tmp_path, name, *range(4))
    tallies = []

    def once() -> list[pystac.Item]:
        with connect(way, migrated, url) as server:
            tallies.append(push(root, server, base_url=BASE).items)
        return list(search(Query(api=url, collections=(name,))).items)

    first, second = once(), once()
    assert list(map(plain, first)) == list(map(plain, second))
    local = {item.id: plain(item) for item in catalogue.read_items(root)}
    assert {item.id: plain(item) for item in second} == local
    write(root, name, 2, datetime="2024-01-01T00:00:00Z")
    write(root, name, 4)
    third = once()
    assert [item.id for item in third] == ["s2", "s4", "s3", "s1", "s0"]
    assert tallies == [Tally(new=4), Tally(same=4), Tally(new=1, changed=1, same=3)]


def test_a_changed_collection_is_changed_there(migrated: Cluster, url: str, tmp_path: Path) -> None:
    root = write(tmp_path, "titled", 0)
    for way in ("pgstac", "api"):
        document = json.loads((root / "titled" / "collection.json").read_text())
        catalogue.write_json(root / "titled" / "collection.json", {**document, "title": f"By {way}"})
        with connect(way, migrated, url) as server:
            push(root, server, base_url=BASE)
        assert Client.open(url).get_collection("titled").title == f"By {way}"  # type: ignore[union-attr]


def test_an_item_that_the_database_cannot_take(migrated: Cluster, url: str, tmp_path: Path) -> None:
    root = write(tmp_path, "lost", 0, 1)
    path = root / "lost" / "s0" / "s0.json"
    catalogue.write_json(path, {**json.loads(path.read_text()), "geometry": None})
    for way, why in (("pgstac", "pgstac cannot hold it: no geometry"), ("api", r"the server answers 4\d\d to POST: ")):
        wanted = f"1 of 2 Items not pushed, the others are: Item s0: {why}"
        with connect(way, migrated, url) as server, pytest.raises(PushError, match=wanted):
            push(root, server, base_url=BASE)
    assert [item.id for item in search(Query(api=url, collections=("lost",))).items] == ["s1"]


def refused(dsn: str) -> str:
    with pytest.raises(PushError) as caught, pgstac.connected(dsn):
        pass
    assert "\n" not in str(caught.value)
    assert "let-me" not in str(caught.value)
    return str(caught.value)


def test_a_database_that_is_not_there_or_does_not_let_us_in(running: Cluster) -> None:
    assert "cannot be reached: connection failed: connection to server" in refused("host=127.0.0.1 port=9 user=x")
    assert 'password authentication failed for user "postgres"' in refused(running.dsn().replace("let-me", "let-you"))
    assert "cannot be reached: " in refused("a DSN = nobody reads")


def test_a_database_without_a_fitting_schema(running: Cluster) -> None:
    with psycopg.connect(running.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE bare")
    assert "has no pgstac schema: make it with `pypgstac migrate --dsn DSN`" in refused(running.dsn("bare"))
    with psycopg.connect(running.dsn("bare"), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA pgstac; CREATE TABLE pgstac.migrations (datetime date, version text)")
        connection.execute("INSERT INTO pgstac.migrations VALUES ('2020-01-01', '0.8.3')")
    assert "schema is pgstac 0.8.3, pypgstac here is 0.10" in refused(running.dsn("bare"))


def test_a_user_who_may_not_write(migrated: Cluster, url: str, tmp_path: Path) -> None:
    del url
    with psycopg.connect(migrated.dsn(), autocommit=True) as connection:
        connection.execute("CREATE USER reader PASSWORD 'let-me-in'; GRANT pgstac_read TO reader")
    dsn = migrated.dsn(user="reader")
    with (
        pytest.raises(PushError, match="the database refuses: permission denied"),
        pgstac.connected(dsn) as server,
    ):
        push(write(tmp_path, "forbidden", 0), server, base_url=BASE)
