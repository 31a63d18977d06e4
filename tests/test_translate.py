"""Renders carried to another light, and the catalogue of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch

from mage_stac import catalogue, pairs, raster, sensors, tally, validate
from mage_stac.adapt import translate
from mage_stac.adapt.flow import FlowNet
from mage_stac.adapt.translate import Translation
from mage_stac.errors import CatalogueError, RecipeError
from mage_stac.models import checkpoint
from mage_stac.recipe import Data

DATA = Data(size=32)
HOW = Translation(steps=4, batch=2, size=32, euler=2)


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("blocks"), scenes=2, size=64)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first of the rendered places, darker, before and after."""
    root = tmp_path_factory.mktemp("real")
    pre, post, _ = synthetic.draw(np.random.default_rng([0, 0]), 64, damaged=0.6)
    for phase, image, date in (("pre", pre, "2011-05-01T17:00:00Z"), ("post", post, "2011-05-24T17:00:00Z")):
        synthetic.write_image(root, "place", phase, image // 2 + 1, synthetic.geobox(64, 0), date)
    synthetic.index(root)
    return root


def test_translated_pairs_have_other_images_and_the_same_labels(
    blocks: Path, real: Path, tmp_path: Path, schemas: Path
) -> None:
    out = tmp_path / "translated"
    told: list[str] = []
    assert translate.translate([blocks], real, out, data=DATA, how=HOW, progress=lambda *a: told.append(a[2])) == out
    assert [what.split()[0] for what in told] == ["flow"] * 4 + ["translate"] * 2
    ours, theirs = (_faults(root, schemas) for root in (out, blocks))
    assert ours <= theirs  # the tiny catalogue has its own
    ours, theirs = (pairs.read([root], bands=DATA.bands, gsd=0.6) for root in (out, blocks))
    assert [pair.id for pair in ours] == [pair.id for pair in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.geobox == other.geobox
        assert Path(mine.label).read_bytes() == Path(other.label).read_bytes()
        changed, before = (_pixels(pair.post.path) for pair in (mine, other))
        assert changed.dtype == before.dtype
        assert changed.shape == before.shape
    assert (
        tally.index([out], bands=DATA.bands, gsd=0.6).totals()
        == tally.index([blocks], bands=DATA.bands, gsd=0.6).totals()
    )
    links = [link.rel for link in catalogue.read_item(out / synthetic.COLLECTION / f"{ours[0].id}-pre").links]
    assert "derived_from" in links


def _faults(root: Path, schemas: Path) -> set[str]:
    return {one.split(".json: ", 1)[-1] for one in validate.validate(root, schemas).problems}


def _pixels(path: str) -> np.ndarray:
    with raster.opened(path) as source:
        return source.read()


def test_what_is_there_is_kept(blocks: Path, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    translate.translate([blocks], real, tmp_path, data=DATA, how=HOW)
    monkeypatch.setattr(translate, "_publish", None)
    monkeypatch.setattr(translate.flow, "learn", None)
    assert translate.translate([blocks], real, tmp_path, data=DATA, how=HOW) == tmp_path


def test_another_way_to_learn_carries_every_pair_anew(blocks: Path, real: Path, tmp_path: Path) -> None:
    def made(how: Translation) -> np.ndarray:
        translate.translate([blocks], real, tmp_path, data=DATA, how=how)
        return np.stack([_pixels(pair.pre.path) for pair in pairs.read([tmp_path], bands=DATA.bands, gsd=0.6)])

    first, other = made(HOW), made(replace(HOW, seed=1, rate=0.1))
    assert not any(np.array_equal(*both) for both in zip(first, other, strict=True))
    np.testing.assert_array_equal(made(HOW), first)


def test_two_pairs_of_one_id_are_refused(blocks: Path, real: Path, tmp_path: Path) -> None:
    again = synthetic.write(tmp_path / "again", scenes=1, size=64)
    with pytest.raises(CatalogueError, match="a pair blocks-0-00000: translate each into a folder of its own"):
        translate.translate([blocks, again], real, tmp_path / "out", data=DATA, how=HOW)


@pytest.mark.parametrize("nodata", [-9999.0, 0.5, float("nan")])
def test_what_was_not_observed_stays_so_and_has_no_say(tmp_path: Path, nodata: float) -> None:
    pre = np.random.default_rng(0).uniform(0.1, 0.9, (3, 64, 64)).astype(np.float32)
    like = sensors.read("aerial-rgb")
    sensor = replace(like, dtype="float32", scale=1.0, offset=0.0)
    carried = []
    for name, value in (("with", nodata), ("black", 0.0)):
        image = pre.copy()
        image[:, :20] = value
        items = [
            synthetic.write_image(tmp_path / name, "p", phase, image, synthetic.geobox(64), date, sensor)
            for phase, date in (("pre", "2011-05-01T17:00:00Z"), ("post", "2011-05-24T17:00:00Z"))
        ]
        synthetic.write_label(tmp_path / name, "p", np.ones((64, 64), np.uint8), synthetic.geobox(64), items)
        synthetic.index(tmp_path / name)
        for item in items:  # the file does not tell
            path = Path(item.self_href)
            document = catalogue.read_json(path)
            document["assets"]["image"]["nodata"] = "nan" if np.isnan(value) else value
            catalogue.write_json(path, document)
        (pair,) = pairs.read([tmp_path / name], bands=DATA.bands, gsd=0.6)
        torch.manual_seed(0)
        network = FlowNet(3).eval()
        torch.nn.init.normal_(network.leave[-1].weight, std=0.1)
        translate._publish(pair, network, tmp_path / name / "out", 2, "flow")
        carried.append(_pixels(str(tmp_path / name / "out" / synthetic.COLLECTION / "p-pre" / "image.tif")))
    ours, expected = carried
    np.testing.assert_array_equal(ours[:, :20], np.full((3, 20, 64), nodata, np.float32))
    np.testing.assert_allclose(ours[:, 20:], expected[:, 20:], atol=1e-5)
    assert np.abs(expected[:, 20:] - pre[:, 20:]).max() > 0.01


def test_a_run_that_is_stopped_while_it_writes_the_network_leaves_none(
    blocks: Path, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(_: object, path: Path, **__: object) -> None:
        path.write_bytes(b"\x10")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_file", half)
    with pytest.raises(KeyboardInterrupt):
        translate.translate([blocks], real, tmp_path, data=DATA, how=HOW)
    assert not list(tmp_path.glob("**/*flow-*"))


def test_photographs_are_paired_where_they_show_the_same_ground(blocks: Path, real: Path) -> None:
    every = pairs.read([blocks], bands=DATA.bands, gsd=0.6)
    sides = translate.gathered(every, real, DATA, HOW)
    assert sides.together is not None
    assert set(sides.together.cells[:, 0]) == {0}  # of two places, the first
    for number, one in enumerate(translate.batches(sides, HOW)):
        if number % 2:
            assert one.date.tolist() == [0, 0, 1, 1]
        else:
            assert one.date.tolist() == [0, 0]
            # The photograph is its render, halved
            seen = one.seen[:, None].expand_as(one.source)
            torch.testing.assert_close(one.target[seen], one.source[seen] / 2, atol=0.01, rtol=0)
    elsewhere = translate.gathered(every[1:], real, DATA, HOW)
    assert elsewhere.together is None
    alone = translate.gathered(every, real, DATA, Translation(paired=False))
    assert alone.together is None


def test_a_network_that_does_not_move_changes_nothing() -> None:
    image = torch.rand(3, 20, 30)
    torch.testing.assert_close(translate.carry(FlowNet(3).eval(), image, 1, 3), image)


def test_digital_numbers_keep_clear_of_nodata() -> None:
    values = np.array([-3.0, 0.2, 7.6, 300.0], np.float32)
    assert translate._numbers(values, np.dtype(np.uint8), None).tolist() == [0, 0, 8, 255]
    assert translate._numbers(values, np.dtype(np.uint8), 0.0).tolist() == [1, 1, 8, 255]
    assert translate._numbers(values, np.dtype(np.uint8), 255.0).tolist() == [0, 0, 8, 254]
    assert translate._numbers(values, np.dtype(np.float32), 0.0).tolist() == values.tolist()


def test_an_empty_real_side_is_told(blocks: Path, tmp_path: Path) -> None:
    synthetic.index(tmp_path)
    with pytest.raises(CatalogueError, match="no real side"):
        translate.translate([blocks], tmp_path, tmp_path / "out", data=DATA, how=HOW)


def test_two_sensors_are_not_translated(blocks: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"data\.post_bands.*both light"):
        translate.translate([blocks], blocks, tmp_path, data=Data(post_bands=("VV",)), how=Translation())
