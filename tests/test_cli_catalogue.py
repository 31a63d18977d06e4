"""The verbs search, ingest and check as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Run
from imagery import box, index, noise, write_image, write_raster
from stac_api import Api, item, serving

from mage_stac import catalogue


def test_ingest_check_and_search_hand_on(run: Run, tmp_path: Path, schemas: Path) -> None:
    raw = write_raster(tmp_path / "raw" / "tile.tif", noise(3, 30, 30), box(30, 30), photometric="RGB")
    code, out, _ = run("ingest", raw, "--datetime", "2011-05-24", "--collection", "post", "--out", tmp_path / "real")
    assert (code, out.strip()) == (0, str(tmp_path / "real" / "post"))
    code, out, _ = run("check", tmp_path / "real", "--schemas", schemas)
    assert (code, out.strip()) == (0, f"{tmp_path / 'real'}: 3 STAC objects, 0 problems")
    code, out, err = run("search", "--api", tmp_path / "real", "--datetime", "2011", "--out", tmp_path / "found")
    assert (code, out.strip()) == (0, str(tmp_path / "found"))
    assert "1 Items match, 1 taken, 1 saved" in err
    assert [each.id for each in catalogue.read_items(tmp_path / "found")] == ["tile"]


def test_for_machines(run: Run, tmp_path: Path, schemas: Path) -> None:
    raw = write_raster(tmp_path / "tile.tif", noise(3, 30, 30), box(30, 30))
    _, out, _ = run("ingest", raw, "--datetime", "2011-05-24", "--out", tmp_path / "real", "--json")
    made = json.loads(out)
    assert made["collection"] == str(tmp_path / "real" / "imagery")
    assert made["items"] == [str(tmp_path / "real" / "imagery" / "tile" / "tile.json")]
    _, out, _ = run("check", tmp_path / "real", "--schemas", schemas, "--json")
    assert json.loads(out) == {"checked": 3, "problems": [], "unchecked": []}
    _, out, _ = run("search", "--api", tmp_path / "real", "--out", tmp_path / "found", "--json")
    assert json.loads(out)["matched"] == 1


def test_a_download_from_an_api(run: Run, tmp_path: Path) -> None:
    whole = write_image(tmp_path / "server", "whole", noise(3, 200, 200), box(200, 200))
    with serving(Api(files=Path(catalogue.asset_path(whole, "image")).parent)) as api:
        api.items = [item("i", api.url, image=f"{api.url}/files/image.tif")]
        words = ("search", "--api", api.url, "--bbox", "-92.9998,37.0457,-92.9996,37.0459", "--max-items", "1")
        code, _, err = run(*words, "--download", "--asset", "image", "--out", tmp_path / "found")
    assert code == 0
    assert "an unknown number of Items match, 1 taken, 1 saved" in err
    assert (tmp_path / "found" / "c" / "i" / "image.tif").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("search", "--api", "mars", "--out", "x"), "no API or catalogue 'mars'"),
        (("search", "--api", "earth-search", "--bbox", "1,2", "--out", "x"), "--bbox '1,2' is not W,S,E,N"),
        (("search", "--api", "earth-search", "--hide", "scl", "--out", "x"), "--hide goes with --bands"),
        (("search", "--api", "earth-search", "--bands", ",", "--out", "x"), "--bands ',' names no band"),
        (("search", "--api", "earth-search", "--filter", "such", "--out", "x", "--datetime", "x"), "--datetime 'x'"),
        (("search", "--api", "http://127.0.0.1:9", "--aoi", "no.gpkg", "--out", "x"), "--aoi no.gpkg cannot be read"),
        (("ingest", "no.tif", "--datetime", "2011-05-24", "--out", "x"), "no.tif cannot be read"),
        (("check", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_search_that_keeps_nothing_fails(run: Run, tmp_path: Path) -> None:
    made = write_image(tmp_path / "in", "i", noise(3, 40, 40), box(40, 40))
    path = Path(made.get_self_href() or "")
    document = catalogue.read_json(path)
    document["bbox"] = [-93, 36.9, -92.9, 37.1]  # it promises more than its image shows
    ring = [[-93, 36.9], [-92.9, 36.9], [-92.9, 37.1], [-93, 37.1], [-93, 36.9]]
    document["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    catalogue.write_json(path, document)
    words = ("--bbox=-92.95,37.04,-92.94,37.05", "--download", "--out", tmp_path / "out")
    code, out, err = run("search", "--api", path, *words)
    assert (code, out) == (1, "")
    assert "none of the 1 Items could be kept: Item i has no raster that reaches into the area" in err
    assert err.count("\n") == 1
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_wrong_usage_exits_2(run: Run, tmp_path: Path) -> None:
    assert run("ingest", "--out", tmp_path)[0] == 2
    assert run("search", "--out", tmp_path)[0] == 2


def test_a_check_that_fails_exits_1(run: Run, tmp_path: Path, schemas: Path) -> None:
    write_image(tmp_path, "i", noise(3, 20, 20), box(20, 20))
    index(tmp_path)
    (tmp_path / "c" / "i" / "visual.tif").unlink()
    code, out, err = run("check", tmp_path, "--schemas", schemas)
    assert code == 1
    assert "3 STAC objects, 1 problems" in out
    assert "asset 'visual' leads to" in err


@pytest.mark.parametrize("verb", ["search", "ingest", "check"])
def test_ctrl_c_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    import mage_stac.ingest
    import mage_stac.search
    import mage_stac.validate

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    words = {
        "search": ("search", "--api", tmp_path, "--out", tmp_path / "out"),
        "ingest": ("ingest", tmp_path / "a.tif", "--datetime", "2011-05-24", "--out", tmp_path / "out"),
        "check": ("check", tmp_path),
    }
    name = {"search": "search", "ingest": "ingest", "check": "validate"}[verb]
    monkeypatch.setattr(getattr(mage_stac, name), name, stop)
    code, out, err = run(*words[verb])
    assert (code, out) == (130, "")
    assert err.count("\n") == 1
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("verb", ["search", "ingest", "check"])
def test_help_has_an_example(run: Run, verb: str) -> None:
    code, out, _ = run(verb, "--help")
    assert code == 0
    assert f"Example: mage-stac {verb}" in out


def test_problems_of_one_kind_take_one_line(run: Run, tmp_path: Path, schemas: Path) -> None:
    for name in ("i1", "i2", "i3"):
        write_image(tmp_path, name, noise(3, 20, 20), box(20, 20))
    index(tmp_path)
    for image in tmp_path.rglob("*.tif"):
        image.unlink()
    code, _, err = run("check", tmp_path, "--schemas", schemas)
    assert code == 1
    assert err.count("(and 2 more like it: --all lists them)") == err.count("\n") == 2  # assets image and visual
    _, _, err = run("check", tmp_path, "--schemas", schemas, "--all")
    assert err.count("\n") == 6
