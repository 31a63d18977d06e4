from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pystac
import pytest
import requests
from imagery import box, index, noise, write_image, write_raster

from mage_stac import catalogue, extensions, validate
from mage_stac.errors import CatalogueError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    write_image(root, "i", noise(3, 20, 30), box(20, 30), nodata=0)
    index(root)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "cat"))


def change(path: Path, **properties: Any) -> None:
    document = catalogue.read_json(path)
    document["properties"].update(properties)
    path.write_text(json.dumps(document))


def problems(root: Path, schemas: Path) -> str:
    return "\n".join(validate.validate(root, schemas).problems)


def test_what_we_write_passes(root: Path, schemas: Path) -> None:
    report = validate.validate(root, schemas)
    assert report == validate.Report(checked=3, problems=())


def test_progress_is_told(root: Path, schemas: Path) -> None:
    told: list[tuple[int, int]] = []
    validate.validate(root, schemas, lambda done, total, _: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"datetime": None}, "properties/datetime"),
        ({"view:off_nadir": 100}, "properties/view:off_nadir"),
        ({"proj:nonsense": 1}, "proj:nonsense"),
    ],
)
def test_schemas_are_applied(root: Path, schemas: Path, properties: dict[str, Any], said: str) -> None:
    path = root / "c" / "i" / "i.json"
    change(path, **properties)
    document = catalogue.read_json(path)
    extensions.declare(document)
    path.write_text(json.dumps(document))
    report = validate.validate(root, schemas)
    assert said in report.problems[0]
    assert all("\n" not in problem for problem in report.problems)
    assert all(str(path) in problem for problem in report.problems if "items.parquet" not in problem)


def test_a_signed_url(root: Path, schemas: Path) -> None:
    change(root / "c" / "i" / "i.json", preview="https://x/a.png?sig=abc")
    assert "signed URL" in problems(root, schemas)


def test_a_broken_link_and_a_missing_asset(root: Path, schemas: Path) -> None:
    (root / "c" / "i" / "image.tif").unlink()
    (root / "catalog.json").unlink()
    said = problems(root, schemas)
    assert "broken link: root '../../catalog.json'" in said
    assert "asset 'image' leads to" in said


def test_an_item_that_is_not_listed(root: Path, schemas: Path) -> None:
    shutil.copytree(root / "c" / "i", root / "c" / "j")
    document = catalogue.read_json(root / "c" / "j" / "i.json")
    document["id"] = "j"
    (root / "c" / "j" / "i.json").unlink()
    catalogue.write_json(root / "c" / "j" / "j.json", document)
    assert "Item 'j' is not listed" in problems(root, schemas)
    index(root)
    assert not problems(root, schemas)


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "Feature"}', '{"type": "Banana", "stac_version": "1.1.0"}'])
def test_what_should_be_stac_and_is_not(root: Path, schemas: Path, text: str) -> None:
    (root / "c" / "i" / "i.json").write_text(text)
    assert str(root / "c" / "i" / "i.json") in problems(root, schemas)


def test_two_codes_of_one_grid_that_differ(root: Path, schemas: Path) -> None:
    path = root / "c" / "i" / "i.json"
    change(path, **{"proj:epsg": 32616.0})
    document = catalogue.read_json(path)
    document["assets"]["image"]["proj:epsg"] = 4326
    path.write_text(json.dumps(document))
    said = problems(root, schemas)
    assert "properties: proj:epsg is 32616, but proj:code is EPSG:32615" in said
    assert "asset 'image': proj:epsg is 4326, but proj:code is EPSG:32615" in said


def test_other_json_is_left_alone(root: Path, schemas: Path) -> None:
    (root / "c" / "i" / "scene.json").write_text('{"roofs": 3}')
    (root / "c" / "i" / "notes.json").write_text("{")
    (root / "c" / ".i.partial").mkdir()
    (root / "c" / ".i.partial" / "i.json").write_text("{")
    assert validate.validate(root, schemas).checked == 3


def test_an_old_item(root: Path, schemas: Path) -> None:
    path = root / "c" / "i" / "i.json"
    path.write_text(path.read_text().replace('"stac_version": "1.1.0"', '"stac_version": "1.0.0"'))
    assert "is STAC 1.0.0, not 1.1.0" in problems(root, schemas)


def test_the_files_of_an_item_as_an_api_gives_it(tmp_path: Path, schemas: Path) -> None:
    """STAC 1.0, without the link to its Collection: both are said, and its files are looked at all the same."""
    raster = write_raster(tmp_path / "i" / "b.tif", noise(1, 40, 40).astype("uint16"), box(40, 40), nodata=0)
    item = pystac.Item("i", None, None, pystac.utils.str_to_datetime("2020-01-01T00:00:00Z"), {"proj:epsg": 32615})
    row = {"nodata": 0, "data_type": "uint16", "scale": 1e-4}
    names = {"eo:bands": [{"name": "B02", "common_name": "blue"}], "raster:bands": [row]}
    item.add_asset("B02", pystac.Asset("./b.tif", extra_fields=names))
    document = item.to_dict(include_self_link=False, transform_hrefs=False) | {"collection": "s2", "links": []}
    document["stac_version"], document["stac_extensions"] = "1.0.0", []
    catalogue.write_json(tmp_path / "i" / "i.json", document)
    found = validate.validate(tmp_path, schemas).problems
    assert [line.partition("i.json: ")[2].partition(" (")[0] for line in found] == [
        "is STAC 1.0.0, not 1.1.0",
        "collection: is given, but no link of rel 'collection' leads to it",
    ]
    document["assets"]["B02"]["raster:bands"][0]["nodata"] = 7
    catalogue.write_json(tmp_path / "i" / "i.json", document)
    assert "asset 'B02': nodata is 7, but" in problems(tmp_path, schemas)
    raster.unlink()
    assert "b.tif, which does not exist" in problems(tmp_path, schemas)


def test_a_schema_that_is_not_at_hand(root: Path, schemas: Path) -> None:
    path = root / "c" / "i" / "i.json"
    document = catalogue.read_json(path)
    stranger = "https://example.com/schema.json"
    document["stac_extensions"].append(stranger)
    path.write_text(json.dumps(document))
    catalogue.rebuild_tables(root)
    report = validate.validate(root, schemas)
    assert report.unchecked == (stranger,)
    assert report.problems == ()


def test_nothing_to_check(tmp_path: Path, schemas: Path) -> None:
    with pytest.raises(CatalogueError, match="holds no STAC"):
        validate.validate(tmp_path, schemas)
    with pytest.raises(CatalogueError, match="does not exist"):
        validate.validate(tmp_path / "no.json", schemas)


def test_a_folder_without_schemas(root: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"schema\.json"):
        validate.validate(root, tmp_path / "no")


def test_a_page_that_says_that_a_schema_is_not_there_is_no_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = requests.Response()
    answer.status_code, answer._content = 404, b'{"message": "Not Found"}'
    monkeypatch.setattr(requests, "get", lambda *_, **__: answer)
    monkeypatch.setattr(validate, "_folder", lambda _: {})
    held = validate.Schemas(None)
    uri = "https://example.com/extension/v1.0.0/schema.json"
    assert list(held.problems(uri, {})) == []
    assert held.missing == {uri}
