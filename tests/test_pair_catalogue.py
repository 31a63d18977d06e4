"""`search --pairs`, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from command_line import Run
from imagery import box, index, smooth, write_image
from stac_api import Api, item, serving

from mage_stac import catalogue, hrefs
from mage_stac.validate import validate


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three dates of one place on this disk, the second of them cloudy."""
    root = tmp_path_factory.mktemp("archive")
    for name, date, cloud in (("early", "2011-03-01", 5), ("cloudy", "2011-05-01", 90), ("late", "2011-05-24", 0)):
        made = write_image(root, name, smooth(64, 64), box(64, 64))
        document = json.loads(Path(str(made.get_self_href())).read_text())
        document["properties"] |= {"datetime": f"{date}T17:00:00Z", "eo:cloud_cover": cloud, "view:off_nadir": 3}
        catalogue.write_json(Path(str(made.get_self_href())), document)
    index(root)
    return root


def test_pairs_of_a_catalogue_on_disk(run: Run, archive: Path, tmp_path: Path, schemas: Path) -> None:
    out = tmp_path / "joplin"
    words = ("search", "--api", archive, "--pairs", "--event-date", "2011-05-22", "--out", out)
    code, printed, err = run(*words)
    assert (code, printed.strip()) == (0, str(out))
    assert "early -> late: 0." in err
    assert "1 pairs" in err
    assert validate(out, schemas).problems == ()
    (pair,) = catalogue.read_items(out / "pairs")
    assert pair.properties["start_datetime"] == "2011-03-01T17:00:00Z"
    assert pair.properties["end_datetime"] == "2011-05-24T17:00:00Z"
    assert pair.properties["mage:rank"] == 1
    factors = [pair.properties[f"mage:{name}"] for name in ("cloud", "angle", "date", "overlap")]
    assert pair.properties["mage:score"] == pytest.approx(np.prod(factors), abs=1e-3)
    for side, name in (("pre", "early"), ("post", "late")):
        (image,) = catalogue.read_items(out / side)
        assert image.id == name
        asset = pair.assets[f"{side}_image"]
        assert asset.extra_fields["datetime"] == image.properties["datetime"]
        with rasterio.open(catalogue.asset_path(pair, f"{side}_image")) as source:
            assert source.count == 3
        assert [link.title for link in pair.links if link.href.endswith(f"/{name}.json")] == [side]
    assert run(*words)[0] == 0  # again, over what is there
    assert len(catalogue.read_items(out / "pairs")) == 1


def test_pairs_of_an_api_for_machines(run: Run, tmp_path: Path) -> None:
    with serving(Api()) as api:
        api.items = [item(name, api.url, image=f"{api.url}/files/{name}.tif") for name in ("a", "b", "c")]
        for one, date in zip(api.items, ("2011-05-01", "2011-05-24", "2011-06-24"), strict=True):
            one["properties"]["datetime"] = f"{date}T00:00:00Z"
        out = tmp_path / "out"
        _, printed, _ = run("search", "--api", api.url, "--pairs", "--event-date", "2011-05-22", "--out", out, "--json")
    told = json.loads(printed)
    assert [(one["pre"], one["post"]) for one in told["chosen"]] == [("a", "b")]
    assert told["pairs"] == [str(out / "pairs" / "a_b" / "a_b.json")]
    (pair,) = catalogue.read_items(out / "pairs")
    assert all(hrefs.is_remote(asset.href) for asset in pair.assets.values())


def test_pairs_of_maxars_catalogue_of_an_event(run: Run, shared: Path, tmp_path: Path, schemas: Path) -> None:
    out = tmp_path / "derna"
    path = shared / "stac" / "maxar" / "Libya-Floods-Sept-2023.geojson"
    words = ("--bbox", "22.60,32.74,22.68,32.78", "--pairs", "--event-date", "2023-09-10/2023-09-11")
    code, _, err = run("search", "--api", path, *words, "--out", out)
    assert code == 0
    assert "of the area shown before and after" in err
    assert validate(out, schemas).problems == ()
    pairs = catalogue.read_items(out / "pairs")
    ranks = sorted(pair.properties["mage:rank"] for pair in pairs)
    assert ranks == list(range(1, len(pairs) + 1)) != []
    for pair in pairs:
        assert pair.assets["pre_visual"].extra_fields["datetime"] < "2023-09-10"
        assert pair.assets["post_visual"].extra_fields["datetime"] > "2023-09-11T23:59:59"
    assert json.loads((out / "post" / "collection.json").read_text())["license"] == "CC-BY-NC-4.0"


def test_pairs_and_their_date_go_together(run: Run, archive: Path, tmp_path: Path) -> None:
    for words in (("--pairs",), ("--event-date", "2011-05-22")):
        code, _, err = run("search", "--api", archive, *words, "--out", tmp_path / "x")
        assert (code, err.count("\n")) == (1, 1)
        assert "--pairs and --event-date go together" in err
