from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import rasterio
from imagery import box, index, noise, smooth, write_image
from rasterio.warp import transform_bounds
from stac_api import Api, item, serving

from mage_stac import catalogue, cube, grid
from mage_stac.errors import SearchError
from mage_stac.gather import Wanted
from mage_stac.query import Query
from mage_stac.retrieve import QUERIES, save
from mage_stac.search import Patience, search
from mage_stac.validate import validate

QUICK = Patience(connect=2, read=5, retries=1, backoff=0.01)
AREA = (-92.9988, 37.0451, -92.9986, 37.0453)
"""Within the image that the API serves."""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    whole = write_image(tmp_path / "server", "whole", smooth(600, 600), box(600, 600), nodata=0)
    folder = Path(catalogue.asset_path(whole, "image")).parent
    with serving(Api(files=folder, matched=2)) as running:
        href = f"{running.url}/files/image.tif?sig=SECRET"
        running.items = [item(name, running.url, image=href) for name in ("plain", "with/slash")]
        yield running


def texts(root: Path) -> str:
    return "".join(path.read_text() for path in root.rglob("*.json"))


def test_items_and_the_query_are_kept(api: Api, tmp_path: Path, schemas: Path) -> None:
    query = Query(api=api.url, bbox=AREA)
    saved = save(search(query, QUICK), query, tmp_path / "out")
    plain, slashed = (path.parent.name for path in saved.items)
    assert plain == "plain"
    assert slashed.startswith("with-slash-")
    items = catalogue.read_items(tmp_path / "out")
    assert catalogue.asset_path(items[0], "image") == f"{api.url}/files/image.tif"
    assert "SECRET" not in texts(tmp_path / "out")
    collection = catalogue.read_json(tmp_path / "out" / "c" / "collection.json")
    assert (collection["title"], collection["license"]) == ("Title of the API", "CC-BY-4.0")
    (record,) = collection[QUERIES]
    assert record["bbox"] == list(AREA)
    assert (record["matched"], record["taken"]) == (2, 2)
    assert record["date"].endswith("Z")
    assert {link["rel"] for link in collection["links"]} == {"root", "parent", "item", "via", "license"}
    assert validate(tmp_path / "out", schemas).problems == ()


def test_again_keeps_what_is_there_and_adds_the_query(api: Api, tmp_path: Path) -> None:
    query = Query(api=api.url)
    save(search(query, QUICK), query, tmp_path)
    assert save(search(query, QUICK), query, tmp_path).kept == 2
    assert len(catalogue.read_json(tmp_path / "c" / "collection.json")[QUERIES]) == 2


def test_a_download_is_the_area_in_the_images_own_pixels(api: Api, tmp_path: Path, schemas: Path) -> None:
    query = Query(api=api.url, bbox=AREA)
    found = search(query, QUICK)
    saved = save(found, query, tmp_path / "out", download=True)
    assert len(saved.items) == 2
    local = catalogue.read_item(saved.items[0])
    path = catalogue.asset_path(local, "image")
    with rasterio.open(path) as part:
        assert part.crs == "EPSG:32615"
        row = round((4_100_000 - part.transform.f) / 0.6)
        column = round((part.transform.c - 500_000) / 0.6)
        expected = smooth(600, 600)[:, row : row + part.height, column : column + part.width]
        assert (part.read() == expected).all()
        assert part.nodata == 0
    values, valid = cube.read([local], grid.of_raster(path))
    assert valid.all()
    assert values.max() <= 1
    assert "SECRET" not in texts(tmp_path / "out")
    assert "SECRET" not in str(found.notices)
    assert validate(tmp_path / "out", schemas).problems == ()
    assert save(found, query, tmp_path / "out", download=True).kept == 2
    other = Query(api=api.url, bbox=(AREA[0], AREA[1], AREA[2], AREA[3] - 1e-5))
    assert save(found, other, tmp_path / "out", download=True).kept == 0


def test_a_download_needs_an_area(api: Api, tmp_path: Path) -> None:
    query = Query(api=api.url)
    with pytest.raises(SearchError, match="give --bbox or --aoi"):
        save(search(query, QUICK), query, tmp_path / "out", download=True)


def test_strangers_name_web_addresses_only(api: Api, tmp_path: Path) -> None:
    hrefs = {"image": f"{api.url}/files/image.tif", "passwd": "file:///etc/passwd", "trick": f"{api.url}/a.vrt"}
    api.items = [item("i", api.url, **hrefs)]
    query = Query(api=api.url)
    saved = save(search(query, QUICK), query, tmp_path)
    assert sorted(catalogue.read_item(saved.items[0]).assets) == ["image"]
    assert [notice.partition(" left out")[0] for notice in saved.notices[-2:]] == ["asset 'passwd'", "asset 'trick'"]


def test_a_broken_download_keeps_the_others(api: Api, tmp_path: Path) -> None:
    assert api.files is not None
    (api.files / "short.tif").write_bytes((api.files / "image.tif").read_bytes()[:3_000])
    api.items[0]["assets"]["image"]["href"] = f"{api.url}/files/short.tif?sig=SECRET"
    api.items.append(item("gone", api.url, image=f"{api.url}/files/gone.tif"))
    query = Query(api=api.url, bbox=AREA)
    with pytest.raises(SearchError, match="2 of 3 Items not downloaded, the others are kept: asset 'image'") as caught:
        save(search(query, QUICK), query, tmp_path / "out", download=True)
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(catalogue.read_items(tmp_path / "out")) == 1
    assert not list((tmp_path / "out").rglob(".*"))


def test_a_search_whose_downloads_all_fail_leaves_nothing(api: Api, tmp_path: Path) -> None:
    api.items = [item(name, api.url, image=f"{api.url}/files/gone.tif") for name in ("one", "two")]
    query = Query(api=api.url, bbox=AREA)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(SearchError, match=r"^2 of 2 Items not downloaded, so nothing is kept: asset 'image'"):
        save(search(query, QUICK), query, tmp_path / "deep" / "out", download=True)
    assert set(tmp_path.rglob("*")) == before
    (tmp_path / "there").mkdir()
    with pytest.raises(SearchError, match="so nothing is kept"):
        save(search(query, QUICK), query, tmp_path / "there", download=True)
    assert set(tmp_path.rglob("*")) == before | {tmp_path / "there"}


def test_an_item_that_does_not_reach_the_area(api: Api, tmp_path: Path) -> None:
    query = Query(api=api.url, bbox=(10, 10, 10.1, 10.1))
    saved = save(search(query, QUICK), query, tmp_path / "out", download=True)
    assert saved.items == ()
    assert not (tmp_path / "out").exists()
    assert "no raster that reaches into the area" in saved.notices[-1]


def test_of_two_items_of_one_id_the_first_is_kept_and_it_is_said(tmp_path: Path) -> None:
    pictures = {name: noise(3, 50, 50, seed=number) for number, name in enumerate(("first", "second"))}
    assert (pictures["first"] != pictures["second"]).any()
    for name, picture in pictures.items():
        write_image(tmp_path / "in" / name, "i", picture, box(50, 50))
        index(tmp_path / "in" / name)
    children = [{"rel": "child", "href": f"./{name}/catalog.json"} for name in pictures]
    document = {"type": "Catalog", "stac_version": "1.1.0", "id": "in", "description": "d", "links": children}
    catalogue.write_json(tmp_path / "in" / "catalog.json", document)
    with rasterio.open(tmp_path / "in" / "first" / "c" / "i" / "image.tif") as source:
        inside = transform_bounds(source.crs, "EPSG:4326", *source.bounds)
    query = Query(api=str(tmp_path / "in"), bbox=inside)
    for _ in range(2):
        saved = save(search(query), query, tmp_path / "out", download=True)
        assert len(saved.items) == 1
        assert saved.notices[-1] == "Item i of Collection c was found before: the first one is taken"
    with rasterio.open(saved.items[0].parent / "image.tif") as part:
        assert (part.read() == pictures["first"]).all()


def test_from_one_catalogue_on_disk_to_another(tmp_path: Path, schemas: Path) -> None:
    write_image(tmp_path / "in", "i", noise(3, 50, 50), box(50, 50))
    index(tmp_path / "in")
    query = Query(api=str(tmp_path / "in"))
    save(search(query), query, tmp_path / "out")
    copy = catalogue.read_item(tmp_path / "out")
    assert Path(catalogue.asset_path(copy, "image")).samefile(tmp_path / "in" / "c" / "i" / "image.tif")
    assert validate(tmp_path / "out", schemas).problems == ()
    document = catalogue.read_json(tmp_path / "out" / "c" / "i" / "i.json")
    assert document["assets"]["image"]["href"] == "../../../in/c/i/image.tif"
    assert [link["href"] for link in document["links"] if link["rel"] == "via"] == ["../../../in/c/i/i.json"]


def test_a_download_as_one_image(api: Api, tmp_path: Path, schemas: Path) -> None:
    query, wanted = Query(api=api.url, bbox=AREA), Wanted(bands=("blue", "red"))
    for one in api.items:
        one["assets"]["image"]["eo:bands"] = [{"name": colour} for colour in ("red", "green", "blue")]
    found = search(query, QUICK)
    saved = save(found, query, tmp_path / "out", download=True, image=wanted)
    assert len(saved.items) == 2
    local = catalogue.read_item(saved.items[0])
    with rasterio.open(catalogue.asset_path(local, "image")) as part:
        row, column = round((4_100_000 - part.transform.f) / 0.6), round((part.transform.c - 500_000) / 0.6)
        expected = smooth(600, 600)[[2, 0], row : row + part.height, column : column + part.width]
        assert (part.read() == expected).all()
    assert "SECRET" not in texts(tmp_path / "out")
    assert validate(tmp_path / "out", schemas).problems == ()
    assert save(found, query, tmp_path / "out", download=True, image=wanted).kept == 2
    assert save(found, query, tmp_path / "out", download=True).kept == 0
    with pytest.raises(SearchError, match="add --download"):
        save(found, query, tmp_path / "other", image=wanted)
