from __future__ import annotations

import errno
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pystac
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagery import box, index, noise, write_image

from mage_stac import catalogue
from mage_stac.errors import AssetError, CatalogueError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    for number in range(3):
        write_image(
            root, f"i{number}", noise(3, 20, 30), box(20, 30, x=500_000 + 18 * number), collection="ab"[number % 2]
        )
    index(root, "a", "b")
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "cat"))


def bare(name: str = "x") -> pystac.Item:
    return pystac.Item(name, None, None, pystac.utils.str_to_datetime("2020-01-01"), {}, collection="a")


def test_the_layout(root: Path) -> None:
    assert (root / "catalog.json").is_file()
    assert (root / "a" / "collection.json").is_file()
    assert sorted(path.name for path in (root / "a" / "i0").iterdir()) == [
        "i0.json",
        "image.tif",
        "thumbnail.png",
        "visual.tif",
    ]
    assert catalogue.has(root, "a", "i0")
    assert not catalogue.has(root, "a", "i1")


def test_pystac_reads_it_too(root: Path) -> None:
    catalog = pystac.Catalog.from_file(str(root / "catalog.json"))
    items = {item.id: item for item in catalog.get_items(recursive=True)}
    assert sorted(items) == ["i0", "i1", "i2"]
    assert Path(str(items["i0"].assets["image"].get_absolute_href())).is_file()
    assert items["i0"].get_collection().id == "a"  # type: ignore[union-attr]


@pytest.mark.parametrize("place", [".", "catalog.json", "a", "a/collection.json", "a/i0", "a/i0/i0.json"])
def test_every_entrance_leads_to_items(root: Path, place: str) -> None:
    items = catalogue.read_items(root / place)
    assert "i0" in [item.id for item in items]
    assert all(Path(catalogue.asset_path(item, "image")).is_file() for item in items)


def test_one_collection_of_a_catalogue(root: Path) -> None:
    assert [item.id for item in catalogue.read_items(root, collection="b")] == ["i1"]


def test_a_relative_path_works(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    item = catalogue.read_item("cat/a/i0")
    monkeypatch.chdir("/")
    assert Path(catalogue.asset_path(item, "image")).is_file()


def test_a_feature_collection_is_a_catalogue_too(root: Path) -> None:
    features = [catalogue.read_json(path) for path in sorted(root.glob("*/*/i*.json"))]
    (root / "a" / "i0" / "all.json").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert len(catalogue.read_items(root / "a" / "i0" / "all.json")) == 3


def test_an_href_that_is_no_url_is_one_line(root: Path) -> None:
    path = next(root.glob("*/*/*.json"))
    document = catalogue.read_json(path)
    document["assets"]["odd"] = {"href": "http://[x/a.tif"}
    catalogue.write_json(path, document)
    with pytest.raises(CatalogueError, match="Invalid IPv6 URL"):
        catalogue.read_item(path)


def test_one_item_is_wanted(root: Path) -> None:
    with pytest.raises(CatalogueError, match="holds 3 Items where one is expected"):
        catalogue.read_item(root)


@pytest.mark.parametrize(
    ("what", "said"),
    [("missing", "does not exist"), ("empty", "holds no catalog.json"), ("text", "not valid JSON"),
     ("image", "no text, so no STAC: of an image, `mage-stac ingest` makes an Item"),
     ("list", "no JSON object"), ("other", "its type is 'FeatureX'"), ("item", "not valid STAC")],
)  # fmt: skip
def test_what_is_no_catalogue(tmp_path: Path, what: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    texts = {
        "text": "{",
        "list": "[]",
        "other": '{"type": "FeatureX"}',
        "item": '{"type": "Feature", "stac_version": "1.1.0"}',
    }
    if what in texts:
        (tmp_path / what).write_text(texts[what])
    (tmp_path / "image").write_bytes(b"II*\x00\xce\x00\xff")
    with pytest.raises(CatalogueError, match=said) as caught:
        catalogue.read_items(tmp_path / what)
    assert "\n" not in str(caught.value)


def test_a_broken_link_is_named(root: Path) -> None:
    shutil.rmtree(root / "a" / "i2")
    with pytest.raises(CatalogueError, match=r"broken link in .*a/collection\.json: item .*i2.*does not exist"):
        catalogue.read_items(root)


def test_a_remote_catalogue_is_not_followed(root: Path) -> None:
    document = catalogue.read_json(root / "catalog.json")
    document["links"].append({"rel": "child", "href": "https://example.com/catalog.json"})
    catalogue.write_json(root / "catalog.json", document)
    with pytest.raises(CatalogueError, match=r"example\.com.*mage-stac search"):
        catalogue.read_items(root)


def test_a_circle_ends(root: Path) -> None:
    document = catalogue.read_json(root / "a" / "collection.json")
    document["links"].append({"rel": "child", "href": "../catalog.json"})
    catalogue.write_json(root / "a" / "collection.json", document)
    assert len(catalogue.read_items(root)) == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_item_leaves_the_old_one(root: Path, error: type[BaseException]) -> None:
    before = (root / "a" / "i0" / "i0.json").read_bytes()

    def half() -> None:
        with catalogue.staged(root, "a", "i0") as folder:
            (folder / "image.tif").write_text("half")
            raise error

    with pytest.raises(error):
        half()
    assert (root / "a" / "i0" / "i0.json").read_bytes() == before
    assert not list((root / "a").glob(".*"))


def test_an_item_is_replaced_as_a_whole(root: Path) -> None:
    with catalogue.staged(root, "a", "i0") as folder:
        catalogue.write_item(folder, bare("i0"))
    assert [path.name for path in (root / "a" / "i0").iterdir()] == ["i0.json"]
    assert not list((root / "a").glob(".*"))


def test_the_old_item_comes_back_if_the_new_cannot_take_its_place(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(CatalogueError, match="No space left"), catalogue.staged(root, "a", "i0") as folder:
        catalogue.write_item(folder, bare("i0"))
    assert (root / "a" / "i0" / "image.tif").is_file()
    assert not list((root / "a").glob(".*"))


def test_a_run_that_died_while_it_replaced_an_item(root: Path) -> None:
    (root / "a" / "i0").rename(root / "a" / ".i0.old")

    def again() -> None:
        with catalogue.staged(root, "a", "i0"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again()
    assert catalogue.has(root, "a", "i0")
    assert not list((root / "a").glob(".*"))


def test_an_item_without_its_json_does_not_appear(root: Path) -> None:
    with pytest.raises(CatalogueError, match=r"without its new\.json"), catalogue.staged(root, "a", "new") as folder:
        (folder / "image.tif").write_text("x")
    assert not (root / "a" / "new").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a:b", ".hidden", "a b", "é"])
def test_ids_that_are_no_file_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogueError, match="cannot be a file name"), catalogue.staged(tmp_path, "a", name):
        pass
    assert not list(tmp_path.iterdir())


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=20))
def test_any_text_becomes_an_id(text: str) -> None:
    assert catalogue.checked_id(catalogue.safe_id(text))


def test_a_full_disk_keeps_the_old_json(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *_: object, **__: object) -> None:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    before = (root / "catalog.json").read_bytes()
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CatalogueError, match="No space left on device"):
        index(root, "a", "b")
    assert (root / "catalog.json").read_bytes() == before
    assert not list(root.rglob("*.partial"))


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="JSON"):
        catalogue.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


def test_links_across_catalogues_are_relative(root: Path, tmp_path: Path) -> None:
    source = catalogue.read_item(root / "a" / "i0")
    item = bare()
    catalogue.link_to(item, source, "source", **{"label:assets": ["damage"]})
    catalogue.link_to(item, tmp_path / "later" / "c" / "j" / "j.json", "derived_from")
    with catalogue.staged(tmp_path / "labels", "a", "x") as folder:
        catalogue.write_item(folder, item)
    links = {link["rel"]: link for link in catalogue.read_json(tmp_path / "labels" / "a" / "x" / "x.json")["links"]}
    assert links["source"]["href"] == "../../../cat/a/i0/i0.json"
    assert links["source"]["label:assets"] == ["damage"]
    assert links["derived_from"]["href"] == "../../../later/c/j/j.json"
    assert "self" not in links


def test_a_link_to_an_item_without_a_place(root: Path) -> None:
    with pytest.raises(CatalogueError, match="on no disk"):
        catalogue.link_to(bare(), bare("y"), "source")
    item = catalogue.read_item(root / "a" / "i0")
    item.add_link(pystac.Link("source", bare("y")))
    with pytest.raises(CatalogueError, match="on no disk"):
        catalogue.write_item(root / "a" / "i0", item)


def test_a_written_item_is_read_as_it_was(root: Path) -> None:
    item = catalogue.read_item(root / "a" / "i0")
    before = catalogue.read_json(root / "a" / "i0" / "i0.json")
    catalogue.write_item(root / "a" / "i0", item)
    assert catalogue.read_json(root / "a" / "i0" / "i0.json") == before
    assert before["properties"]["proj:epsg"] == 32615
    assert before["properties"]["proj:code"] == "EPSG:32615"


def test_an_item_needs_a_collection(tmp_path: Path) -> None:
    item = bare()
    item.collection_id = None
    with pytest.raises(CatalogueError, match="no collection"):
        catalogue.write_item(tmp_path, item)


def test_signatures_are_not_stored(tmp_path: Path) -> None:
    item = bare()
    item.add_asset("a", pystac.Asset("https://x/a.tif?sig=SECRET"))
    item.add_link(pystac.Link("via", "https://x/i.json?token=SECRET"))
    catalogue.write_item(tmp_path, item)
    assert "SECRET" not in (tmp_path / "x.json").read_text()


def test_the_index_is_made_of_what_is_there(root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("co*.json")}
    catalogue.index(root, id="test", title="Test", collections={})
    assert {path: path.read_bytes() for path in root.rglob("co*.json")} == before
    shutil.rmtree(root / "b" / "i1")
    index(root, "a", "b")
    assert [item.id for item in catalogue.read_items(root)] == ["i0", "i2"]


def test_a_half_made_item_is_not_indexed(root: Path) -> None:
    shutil.copytree(root / "a" / "i0", root / "a" / ".i9.partial")
    (root / "a" / "i8").mkdir()
    index(root, "a", "b")
    assert [item.id for item in catalogue.read_items(root)] == ["i0", "i2", "i1"]


def test_a_missing_asset_names_those_that_exist(root: Path) -> None:
    with pytest.raises(AssetError, match="Item i0 has no asset 'damage'; it has: image, thumbnail, visual"):
        catalogue.asset_path(catalogue.read_item(root / "a" / "i0"), "damage")


def test_an_item_from_the_network_names_no_local_file() -> None:
    item = bare()
    item.set_self_href("https://example.com/items/x")
    item.add_asset("a", pystac.Asset("file:///etc/passwd"))
    item.add_asset("b", pystac.Asset("https://example.com/b.tif"))
    item.add_asset("c", pystac.Asset("c.tif"))
    with pytest.raises(AssetError, match="asset 'a' of Item x"):
        catalogue.asset_path(item, "a")
    assert catalogue.asset_path(item, "b") == "https://example.com/b.tif"
    assert catalogue.asset_path(item, "c") == "https://example.com/items/c.tif"


def test_the_identity_of_a_catalogue_stays(root: Path, tmp_path: Path) -> None:
    assert catalogue.identity(root, title="New") == {"id": "test", "title": "Test"}
    assert catalogue.identity(tmp_path / "my maps", title="New") == {"id": "my-maps", "title": "New"}


def test_strangers_of_every_age_are_read(shared: Path) -> None:
    items = []
    for path in sorted((shared / "stac" / "items").rglob("*.*json")):
        if catalogue.read_json(path).get("type") in ("Feature", "FeatureCollection"):
            items += catalogue.read_items(path)
    assert len(items) > 25
    assert all(item.assets for item in items)


def test_a_relative_folder_makes_hrefs_that_lead_somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with catalogue.staged(Path("out"), "things", "one") as folder:
        (folder / "file.txt").write_text("here")
        item = pystac.Item("one", None, None, datetime(2026, 1, 1, tzinfo=UTC), {}, collection="things")
        item.add_asset("file", pystac.Asset(str(folder / "file.txt")))
        catalogue.write_item(folder, item)
    document = json.loads((tmp_path / "out/things/one/one.json").read_text())
    assert document["assets"]["file"]["href"] == "./file.txt"
