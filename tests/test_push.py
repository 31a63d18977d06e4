from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from imagery import box, index, noise, write_image
from mage_stac.cli import app as cli

from mage_stac import catalogue
from mage_stac.errors import CatalogueError, PushError
from mage_stac.push import Document, Tally, push
from mage_stac.validate import validate


@dataclass
class Memory:
    """A server that keeps what it is given."""

    root: str = "http://api.example.org/"
    collections: dict[str, Document] = field(default_factory=dict)
    items: dict[str, Document] = field(default_factory=dict)

    def put_collection(self, document: Document) -> None:
        self.collections[document["id"]] = document

    def put_items(self, collection: str, documents: Iterable[Document]) -> Tally:
        assert collection in self.collections
        fresh = {document["id"]: document for document in documents}
        self.items |= fresh
        return Tally(new=len(fresh))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "some scenes"
    first = write_image(folder, "a", noise(3, 8, 8), box(8, 8))
    second = write_image(folder, "b", noise(3, 8, 8), box(8, 8), collection="d")
    catalogue.link_to(second, first, "derived_from")
    second.add_link(catalogue.pystac.Link("license", "https://example.org/license"))
    outside = tmp_path / "elsewhere.json"
    outside.write_text("{}")
    catalogue.link_to(second, outside, "related")
    catalogue.write_item(folder / "d" / "b", second)
    index(folder, "c", "d")
    return folder


def test_assets_on_this_disk_become_urls(root: Path) -> None:
    server, told = Memory(), []
    pushed = push(root, server, base_url="https://data.example.org/x/", progress=lambda *step: told.append(step))
    assert (pushed.collections, pushed.items) == (("c", "d"), Tally(new=2))
    assert told == [(0, 2, "a"), (1, 2, "b")]
    hrefs = {asset["href"] for asset in server.items["a"]["assets"].values()}
    assert hrefs == {f"https://data.example.org/x/c/a/{name}" for name in ("image.tif", "visual.tif", "thumbnail.png")}
    assert server.collections["c"]["assets"]["items"]["href"] == "https://data.example.org/x/c/items.parquet"
    assert server.collections["c"]["links"] == []
    assert [(link["rel"], link["href"]) for link in server.items["b"]["links"]] == [
        ("collection", "http://api.example.org/collections/d"),
        ("derived_from", "http://api.example.org/collections/c/items/a"),
        ("license", "https://example.org/license"),
    ]
    kept = json.loads((root / "c" / "a" / "a.json").read_text())
    assert all(server.items["a"][key] == kept[key] for key in ("id", "geometry", "bbox", "properties", "collection"))


def test_one_collection_alone(root: Path) -> None:
    server = Memory()
    assert push(root / "d", server, base_url="file:///srv/d").collections == ("d",)
    assert server.items["b"]["assets"]["image"]["href"] == "file:///srv/d/b/image.tif"
    assert [link["rel"] for link in server.items["b"]["links"]] == ["collection", "license"]


def test_no_local_path_reaches_a_server(root: Path) -> None:
    with pytest.raises(
        PushError, match=r"Item a, asset '\w+' lies on this disk .*: say where readers find .*--base-url"
    ):
        push(root, Memory())
    path = root / "c" / "a" / "a.json"
    document = json.loads(path.read_text())
    document["assets"] = {"web": {"href": "s3://bucket/a.tif"}}
    catalogue.write_json(path, document)
    server = Memory()
    with pytest.raises(PushError, match="Item b, asset"):
        push(root, server)
    assert server.items["a"]["assets"] == {"web": {"href": "s3://bucket/a.tif"}}
    assert server.collections["c"]["assets"] == {}
    document["assets"] = {"up": {"href": "../../../elsewhere.json"}}
    catalogue.write_json(path, document)
    with pytest.raises(PushError, match="Item a, asset 'up' lies outside"):
        push(root, Memory(), base_url="https://data.example.org")


@pytest.mark.parametrize("url", ["data.example.org", "/srv/data", "ftp://x/y", "https://x/y?token=1"])
def test_a_base_url_that_is_none(root: Path, url: str) -> None:
    with pytest.raises(PushError, match="is no URL of a folder"):
        push(root, Memory(), base_url=url)


def test_what_cannot_be_pushed(root: Path, tmp_path: Path) -> None:
    with pytest.raises(PushError, match="is no Catalog or Collection"):
        push(root / "c" / "a", Memory())
    with pytest.raises(CatalogueError, match="does not exist"):
        push(tmp_path / "nowhere", Memory())
    stray = tmp_path / "stray" / "catalog.json"
    links = [{"rel": "item", "href": str(root / "c" / "a" / "a.json")}]
    catalogue.write_json(stray, {"type": "Catalog", "id": "stray", "links": links})
    with pytest.raises(PushError, match="lists Items that belong to no Collection"):
        push(stray, Memory())
    path = root / "c" / "a" / "a.json"
    catalogue.write_json(path, {**json.loads(path.read_text()), "collection": "other"})
    with pytest.raises(PushError, match="is listed by Collection c, but names 'other' as its own"):
        push(root, Memory(), base_url="https://x")


def test_what_is_pushed_is_valid(root: Path, schemas: Path, tmp_path: Path) -> None:
    server = Memory()
    push(root, server, base_url="https://data.example.org")
    for name, document in (*server.collections.items(), *server.items.items()):
        catalogue.write_json(tmp_path / "pushed" / f"{name}.json", document)
        assert validate(tmp_path / "pushed" / f"{name}.json", schemas).problems == ()


def command(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[Any, ...]:
    monkeypatch.setattr(sys, "argv", ["mage-stac", "push", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return (stop.value.code, *capsys.readouterr())


def test_the_verb_wants_one_server(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ([], ["--api", "http://127.0.0.1:9", "--pgstac", "host=127.0.0.1"]):
        code, out, err = command([str(root), *words], monkeypatch, capsys)
        assert (code, out, err) == (1, "", "mage-stac: give --pgstac DSN or --api URL: the server to push to\n")
