"""Files that break and servers that die in the midst of training: the run goes on with all the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import synthetic
from command_line import Run as Command
from web import Site, served

from mage_stac import chips, recipe, remote, tally, train
from mage_stac.errors import AssetError
from mage_stac.loader import Access
from mage_stac.progress import Step
from mage_stac.recipe import Data, Network, Optimiser, Recipe, Run

RECIPE = Recipe(
    name="tiny",
    data=Data(size=32, margin=6, holdout=0.5),
    network=Network(encoder="tu-test_resnet", decoder=(8, 8)),
    optimiser=Optimiser(steps=60, batch=4),
    run=Run(checkpoint_every=60, validate_every=60, validation_chips=4),
)
"""Of four rounds of chips: the first three are read while the first is learnt from."""
RGB = ("red", "green", "blue")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No retries: the server does not come back."""
    monkeypatch.setattr(remote, "RETRIES", {**remote.RETRIES, "max_retries": 0})


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    return synthetic.write(tmp_path / "blocks", scenes=5, size=96)


def image(blocks: Path, pair: int, phase: str) -> Path:
    return blocks / synthetic.COLLECTION / f"blocks-0-{pair:05d}-{phase}" / "image.tif"


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6000])


def moved_to_the_web(blocks: Path, site: Site, pairs: tuple[int, ...]) -> None:
    """Their images lie on a server."""
    for pair in pairs:
        for phase in ("pre", "post"):
            file = image(blocks, pair, phase)
            name = f"{pair}-{phase}.tif"
            file.rename(site.folder / name)
            path = file.parent / f"{file.parent.name}.json"
            item = json.loads(path.read_text("utf-8"))
            item["assets"]["image"]["href"] = f"{site.url}/{name}"
            path.write_text(json.dumps(item), "utf-8")


def after(steps: int, what: Step) -> Step:
    """Something that happens once, while batches are being learnt from."""

    def step(done: int, total: int, told: str) -> None:
        if done == steps and told.startswith("loss"):
            what(done, total, told)

    return step


def trained(blocks: Path, progress: Step | None = None) -> dict[str, Any]:
    """What the record of a run says."""
    path = train.train(RECIPE, blocks, blocks.parent / "models", progress=progress)
    record = json.loads((path.parent / "training.json").read_text("utf-8"))
    assert record["validation"][-1]["step"] == RECIPE.optimiser.steps
    return record


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "web").mkdir()
    with served(tmp_path / "web") as running:
        yield running


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What we say ourselves, as the command shows it; rasterio logs GDAL's errors."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("mage_stac")]


def asset(pair: int, phase: str) -> str:
    return f"asset 'image' of Item blocks-0-{pair:05d}-{phase}"


def test_files_cut_short_before_and_in_the_midst_of_training(blocks: Path, caplog: pytest.LogCaptureFixture) -> None:
    cut_short(image(blocks, 0, "post"))
    held = validating(blocks)
    assert len(held) == 2
    record = trained(blocks, after(2, lambda *_: cut_short(image(blocks, held[0], "pre"))))
    assert record["unread"] == [asset(0, "post"), asset(held[0], "pre")]
    assert "blocks-0-00000" not in str(record["items"])
    first, second, last = lines(caplog)
    assert first.startswith(asset(0, "post"))
    assert second.startswith(asset(held[0], "pre"))
    assert first.endswith("going on without it")
    assert last == "2 assets could not be read; learnt from all the others"
    assert not any("\n" in line for line in lines(caplog))


def validating(blocks: Path) -> list[int]:
    """Numbers of the pairs that are held out, of those that can be read."""
    whole = tally.index([blocks], bands=RGB, gsd=synthetic.GSD, on_problem=lambda _: None)
    return [int(pair.id[-5:]) for pair in tally.split(whole, RECIPE.data.holdout)[1].pairs]


@pytest.mark.parametrize("trouble", ["the server dies", "the token's hour is over"])
def test_a_server_fails_in_the_midst_of_training(
    blocks: Path, site: Site, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    moved_to_the_web(blocks, site, (0, 1))

    def fails(*_: object) -> None:
        site.dead, site.token = trouble == "the server dies", "another"

    record = trained(blocks, after(2, fails))
    every = {asset(pair, phase) for pair in (0, 1) for phase in ("pre", "post")}
    assert record["unread"]
    assert set(record["unread"]) <= every
    assert len(lines(caplog)) == len(record["unread"]) + 1
    if trouble != "the server dies":
        assert all("(403): its token has expired" in line for line in lines(caplog)[:-1])


def test_what_can_be_read_takes_the_place_of_what_cannot(blocks: Path) -> None:
    part = tally.index([blocks], bands=RGB, gsd=synthetic.GSD)
    for phase in ("pre", "post"):
        cut_short(image(blocks, 3, phase))
    told: list[AssetError] = []
    with closing(chips.batches(part, edge=32, batch=4, seed=0, access=Access(on_problem=told.append))) as stream:
        for batch in islice(stream, 40):
            assert len(batch["item_ids"]) == 4
            assert "blocks-0-00003" not in batch["item_ids"]
            for values, box, name in zip(batch["image"], batch["geobox"], batch["item_ids"], strict=True):
                with rasterio.open(image(blocks, int(name[-5:]), "post")) as source:
                    expected = source.read(window=source.window(*box.boundingbox.bbox))
                np.testing.assert_allclose(values[1].numpy() * 255, expected, atol=1e-3)
    assert {problem.asset for problem in told} <= {asset(3, "pre"), asset(3, "post")}
    assert told


def test_a_run_of_which_nothing_can_be_read_ends_in_one_line(blocks: Path, site: Site) -> None:
    moved_to_the_web(blocks, site, (0, 1, 2, 3, 4))

    def dies(*_: object) -> None:
        site.dead = True

    with pytest.raises(AssetError, match=r"none of \d+ chips can be read; the first: asset 'image' of Item blocks-0"):
        train.train(RECIPE, blocks, blocks.parent / "models", progress=after(2, dies))
    site.dead = False
    for pair in range(5):
        for phase in ("pre", "post"):
            cut_short(site.folder / f"{pair}-{phase}.tif")
    with pytest.raises(AssetError, match=r"none of 5 stacks can be read; the first: asset 'image' of Item blocks-0"):
        train.train(RECIPE, blocks, blocks.parent / "others")


def test_the_command_tells_on_stderr_and_goes_on(blocks: Path, run: Command) -> None:
    cut_short(image(blocks, 2, "post"))
    toml = blocks.parent / "tiny.toml"
    toml.write_text(recipe.as_toml(replace(RECIPE, optimiser=Optimiser(steps=2, batch=2))), "utf-8")
    code, out, err = run("train", toml, "--synthetic", blocks, "--out", blocks.parent / "models", "--json")
    assert code == 0
    assert json.loads(out)["unread"] == [asset(2, "post")]
    first, last = err.splitlines()
    assert first.startswith(f"warning: {asset(2, 'post')}")
    assert first.endswith("; going on without it")
    assert last == "warning: 1 assets could not be read; learnt from all the others"
