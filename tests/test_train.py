from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch

from mage_stac import catalogue, material, models, predict, train, validate
from mage_stac.adapt import step
from mage_stac.adapt.chance import Chance
from mage_stac.errors import AssetError, CatalogueError, ModelError, RecipeError
from mage_stac.recipe import Augment, Consistency, Data, Loss, Network, Optimiser, Recipe, Run

TINY = Recipe(
    name="tiny",
    data=Data(size=32, margin=6),
    network=Network(encoder="tu-test_resnet", decoder=(16, 16, 8)),
    augment=Augment(shift=2),
    optimiser=Optimiser(steps=8, batch=4),
    run=Run(checkpoint_every=3, validate_every=4, validation_chips=8),
)


class KilledError(Exception):
    """Stands for a kill: nothing of ours catches it."""


def kill_after(steps: int) -> train.Step:
    def step(done: int, _total: int, what: str) -> None:
        if done == steps and what.startswith("loss"):
            raise KilledError

    return step


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("blocks"), scenes=4, size=96)


@pytest.fixture(scope="module")
def told() -> list[str]:
    """What the finished run said at each step."""
    return []


@pytest.fixture(scope="module")
def finished(blocks: Path, told: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train.train(TINY, blocks, tmp_path_factory.mktemp("models"), progress=lambda _, __, what: told.append(what))


def record(path: Path) -> dict[str, object]:
    return json.loads((path.parent / "training.json").read_text("utf-8"))


def test_the_result_is_a_valid_model_item(finished: Path, schemas: Path) -> None:
    report = validate.validate(finished.parents[2], schemas)
    assert not report.problems
    loaded = models.load(catalogue.read_item(finished))
    shares = loaded.probabilities(torch.rand(1, 2, 3, 40, 40))
    assert shares.shape == (1, 5, 40, 40)
    assert finished.parent.name.startswith("tiny-")
    assert (finished.parent / "curves.png").is_file()


def test_buildings_are_learnt_from_one_date_and_nothing_held_out(blocks: Path, tmp_path: Path) -> None:
    single = replace(
        TINY,
        data=replace(TINY.data, holdout=0.0),
        network=replace(TINY.network, dates=1),
        consistency=Consistency(weight=1.0),
        optimiser=Optimiser(steps=2, batch=4),
    )
    one_date = next(path for path in (blocks / synthetic.COLLECTION).iterdir() if path.name.endswith("-pre"))
    path = train.train(single, blocks, tmp_path, real=one_date)
    told = record(path)
    assert told["items"]["training"] == told["items"]["validation"]
    shares = models.load(catalogue.read_item(path)).probabilities(torch.rand(1, 2, 3, 40, 40))
    assert shares[:, 2:].max() < 1e-6
    assert shares[:, 1].std() > 0


def test_a_start_s_scaling_is_kept_for_images_read_alike_alone(blocks: Path, finished: Path) -> None:
    turned = replace(TINY, data=replace(TINY.data, bands=("blue", "green", "red")))
    plain, own = material.gather(TINY, [blocks], None), material.gather(turned, [blocks], None, start=finished)
    assert own.mean == pytest.approx(plain.mean[::-1])
    halved = replace(TINY, data=replace(TINY.data, range=(0.0, 2.0)))
    assert material.gather(halved, [blocks], None, start=finished).std == pytest.approx([0.5 * s for s in plain.std])
    again = material.gather(replace(TINY, seed=5), [blocks], None, start=finished)
    assert again.mean == pytest.approx(plain.mean, rel=1e-6)


def test_held_out_places_are_recorded_and_share_nothing_with_training(finished: Path) -> None:
    told = record(finished)
    ours, theirs = (set(told["items"][key]) for key in ("training", "validation"))
    assert len(ours) == 9
    assert len(theirs) == 3
    assert not ours & theirs
    assert not set(told["places"]["training"]) & set(told["places"]["validation"])
    assert [row["step"] for row in told["validation"]] == [4, 8]
    assert told["pairs_per_second"] > 0
    assert 0 <= told["waiting_for_chips"] <= 1


def test_logs_remain_and_the_checkpoint_goes(finished: Path) -> None:
    folder = finished.parents[2] / "training" / "tiny"
    assert list((folder / "tensorboard").glob("events*"))
    assert not list(folder.glob("*.safetensors"))


def test_a_finished_run_is_not_repeated(finished: Path, blocks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "fit", None)
    assert train.train(replace(TINY, title="New words"), [blocks], finished.parents[2]) == finished


def test_a_killed_run_resumes_on_the_same_loss_curve(
    finished: Path, told: list[str], blocks: Path, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        train.train(TINY, blocks, tmp_path, progress=kill_after(5))
    assert not (tmp_path / "models").exists()
    seen: list[str] = []
    cached = replace(TINY, run=replace(TINY.run, cache=True))  # pixels kept on disk are the same pixels
    path = train.train(cached, blocks, tmp_path, progress=lambda _, __, what: seen.append(what))
    assert list((tmp_path / "training" / "pixels").glob("*.chips"))
    losses, whole = ([what for what in row if what.startswith("loss")] for row in (seen, told))
    assert len(whole) == 8
    assert losses == whole[3:]
    assert path.parent.name == finished.parent.name
    for ours, theirs in zip(record(path)["validation"], record(finished)["validation"], strict=True):
        assert ours == theirs
    mine, theirs = (models.load(catalogue.read_item(p)).model.state_dict() for p in (path, finished))
    assert [key for key in theirs if not torch.equal(mine[key], theirs[key])] == []


def test_a_checkpoint_of_another_recipe_or_other_pairs_is_refused(blocks: Path, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        train.train(TINY, blocks, tmp_path, progress=kill_after(4))
    other = replace(TINY, loss=Loss(focal=0.0))
    with pytest.raises(RecipeError, match=r"another recipe \(loss.focal 1.0 -> 0.0\).*--restart"):
        train.train(other, blocks, tmp_path)
    more = synthetic.write(tmp_path / "more", scenes=2, size=64, first=7)
    with pytest.raises(RecipeError, match="the same recipe on other pairs"):
        train.train(TINY, [blocks, more], tmp_path)
    assert train.train(other, blocks, tmp_path, restart=True).is_file()


def test_changed_pixels_make_another_model(blocks: Path, finished: Path, tmp_path: Path) -> None:
    brighter = synthetic.write(tmp_path, scenes=4, size=96, damaged=0.5)
    material = train.gather(TINY, [brighter], None)
    assert material.digest not in finished.name
    assert train.gather(TINY, [blocks], None).digest in finished.name


def test_a_real_side_lends_its_look(blocks: Path, tmp_path: Path) -> None:
    material = train.gather(TINY, [blocks], blocks)
    assert material.looks is not None
    assert material.digest != train.gather(TINY, [blocks], None).digest
    assert train.train(TINY, blocks, tmp_path, real=blocks).is_file()


def test_an_empty_real_side_is_told_before_training(blocks: Path, tmp_path: Path) -> None:
    synthetic.index(tmp_path)
    with pytest.raises(CatalogueError, match="no real side"):
        train.train(TINY, blocks, tmp_path / "models", real=tmp_path)


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_read(blocks: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    steps: list[int] = []
    with pytest.raises(CatalogueError, match=r"--out .*models cannot be written to: .*; give another folder"):
        train.train(TINY, blocks, tmp_path / "file" / "models", progress=lambda done, _, __: steps.append(done))
    assert not steps


def test_one_class_only(tmp_path: Path) -> None:
    root = synthetic.write(tmp_path, scenes=2, size=64, damaged=0.0)
    with pytest.raises(CatalogueError, match="have grade 1: a damage model needs at least two grades"):
        train.train(TINY, root, tmp_path / "models")


def test_a_loss_that_is_no_number_stops_the_run(blocks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> dict[str, torch.Tensor]:
        return {key: torch.tensor(torch.nan, requires_grad=True) for key in ("total", "building", "damage", "ordinal")}

    monkeypatch.setattr(step, "batch_losses", broken)
    with pytest.raises(ModelError, match=r"the loss is nan at step 1 .*learning_rate"):
        train.train(TINY, blocks, tmp_path)


def test_the_learning_rate_rises_and_falls_once() -> None:
    settings = replace(TINY, optimiser=Optimiser(steps=100, warmup=0.2, learning_rate=1e-2))
    rates = [train.learning_rate(settings, step) for step in range(100)]
    assert rates[0] == pytest.approx(1e-2 / 25)
    assert max(rates) == rates[20] == pytest.approx(1e-2)
    assert rates[-1] == pytest.approx(1e-5)
    assert np.diff(rates[:21]).min() > 0 > np.diff(rates[20:]).max()
    assert train.learning_rate(replace(TINY, optimiser=Optimiser(steps=1, warmup=0)), 0) == pytest.approx(1e-3)


def test_a_batch_s_losses_depend_on_batch_and_seed_alone(blocks: Path) -> None:
    material = train.gather(TINY, [blocks], None)
    torch.manual_seed(0)
    model = models.build(TINY).eval()
    from mage_stac import chips

    stream = chips.batches(material.training, edge=44, batch=4, seed=0)
    (batch,) = itertools.islice(stream, 1)
    stream.close()

    def loss(seed: int) -> torch.Tensor:
        chance = Chance(generator=torch.Generator().manual_seed(seed), chips=4)
        return step.batch_losses(model, step.labelled(batch, material, chance), material)["total"]

    assert torch.equal(loss(1), loss(1))
    assert not torch.equal(loss(1), loss(2))


def test_it_learns_more_than_that_nothing_happened(tmp_path: Path) -> None:
    root = synthetic.write(tmp_path / "blocks", scenes=8, size=128)
    settings = replace(
        TINY,
        data=Data(size=64, margin=8),
        network=Network(encoder="resnet18", decoder=(32, 32, 16, 16)),
        augment=Augment(shift=1, jpeg=0, noise=0.01, scale=(0.95, 1.05)),
        optimiser=Optimiser(steps=60, batch=8, learning_rate=2e-3, average=0.9),
        run=Run(validate_every=60, checkpoint_every=60),
    )
    (last,) = record(train.train(settings, root, tmp_path / "models"))["validation"]
    assert last["building_iou"] > 0.7
    assert last["macro_f1"] > last["no_damage_macro_f1"] + 0.15
    assert last["damage_recall"] > 0.6


def test_optical_before_and_radar_after_are_learnt_from_and_mapped(tmp_path: Path, schemas: Path) -> None:
    root = synthetic.write_seen_by_radar(tmp_path / "pairs")
    data = replace(TINY.data, post_bands=("VV",), post_range=(-35, 15))
    recipe = replace(TINY, data=data, optimiser=Optimiser(steps=2, batch=4))
    path = train.train(recipe, root, tmp_path / "models", real=root)
    item = catalogue.read_item(path)
    assert not validate.validate(tmp_path / "models", schemas).problems
    (told,) = item.properties["mlm:input"]
    assert told["bands"] == ["red", "green", "blue", "VV", "VV", "VV"]
    before, after = (np.mean([one["mean"] for one in told["value_scaling"]][part]) for part in (np.s_[:3], np.s_[3:]))
    assert 0 < before < 1
    assert 0 < after < 1
    pre, post = (root / synthetic.COLLECTION / f"radar-00000-{phase}" for phase in ("pre", "post"))
    made = predict.predict(path, pre, post, tmp_path / "maps")
    assert catalogue.read_item(made).properties["mage:buildings"]
    with pytest.raises(AssetError, match="lacks band VV; it has red"):
        predict.predict(path, pre, [catalogue.read_item(root / synthetic.COLLECTION / "radar-00001-pre")], tmp_path)


def test_decibels_without_a_range_are_refused(tmp_path: Path) -> None:
    root = synthetic.write_seen_by_radar(tmp_path / "pairs")
    recipe = replace(TINY, data=replace(TINY.data, post_bands=("VV",)))
    with pytest.raises(RecipeError, match=r"mean of -\d+.*data\.post_range.*-35, 15"):
        train.train(recipe, root, tmp_path / "models")
