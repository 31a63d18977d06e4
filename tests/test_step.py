"""Steps in parts, in less memory, in two processes, with methods that learn from real pairs."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synthetic
import torch
from lightning.fabric import Fabric
from two_processes import RECIPE

from mage_stac import catalogue, chips, models, train
from mage_stac.adapt import augment, step
from mage_stac.adapt.augment import Chips
from mage_stac.adapt.chance import Chance
from mage_stac.errors import ModelError, RecipeError
from mage_stac.loader import Batch
from mage_stac.material import Material, gather
from mage_stac.models import together
from mage_stac.recipe import Consistency, Event, Optimiser, Run, SelfTraining

PLAIN = replace(RECIPE, self_training=SelfTraining(), consistency=Consistency())


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("blocks"), scenes=3, size=96)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write_event(tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def material(blocks: Path) -> Material:
    return gather(PLAIN, [blocks], None)


@pytest.fixture(scope="module")
def batch(material: Material) -> Batch:
    with closing(chips.batches(material.training, edge=44, batch=4, seed=0)) as stream:
        return next(stream)


def learner(material: Material) -> step.Learner:
    fabric = Fabric(accelerator="cpu", devices=1)
    torch.manual_seed(0)
    model = fabric.setup(models.build(material.recipe))
    return step.Learner(fabric=fabric, model=model, teacher=model, material=material)


def gradients(one: step.Learner) -> list[torch.Tensor]:
    return [parameter.grad for parameter in one.model.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("lost", [False, True])
def test_parts_are_the_mean_of_their_losses_and_gradients(material: Material, batch: Batch, lost: bool) -> None:
    recipe = replace(material.recipe, network=replace(material.recipe.network, lost=lost))
    material = replace(material, recipe=recipe)
    split = learner(material)
    split.parts = 2
    terms = split.gradients(batch, None, 3)
    alone = learner(material)
    generator = torch.Generator().manual_seed(step._seed(material.recipe.seed, 3, 0))
    whole = step.labelled(batch, material, Chance(generator=generator, chips=4))
    alone.model.train()
    halves = [augment.each(whole, lambda values, n=n: values[2 * n : 2 * n + 2]) for n in range(2)]
    parts = [step.batch_losses(alone.model, half, material)["total"] for half in halves]
    (sum(parts) / 2).backward()
    torch.testing.assert_close(terms["total"], (sum(parts) / 2).detach())
    for ours, theirs in zip(gradients(split), gradients(alone), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("name", "majors"), [("storm-00001", 3), ("graded-00001", 0)])
def test_what_a_person_graded_keeps_its_grade(material: Material, batch: Batch, name: str, majors: int) -> None:
    recipe = material.recipe
    recipe = replace(
        recipe, network=replace(recipe.network, lost=True), augment=replace(recipe.augment, partial=1.0, shift=0.0)
    )
    mask = torch.zeros_like(batch["mask"])
    mask[:, 10:34, 10:34] = 4
    given: Batch = {**batch, "mask": mask, "item_ids": [name] * len(mask)}
    out = step.labelled(given, replace(material, recipe=recipe), Chance(generator=torch.Generator(), chips=4))
    assert set(out.mask.unique().tolist()) - {0, 255} == {majors or 4}


def test_parts_of_unequal_size_weigh_every_chip_alike(material: Material, batch: Batch) -> None:
    split = learner(material)
    split.parts = 3  # of four chips: one, one and two
    taken: list[tuple[int, torch.Tensor]] = []

    def losses(_model: torch.nn.Module, some: Chips, _material: Material) -> dict[str, torch.Tensor]:
        total = split.model.weight.sum() * some.mask.float().mean()
        taken.append((len(some.mask), total.detach()))
        return {"total": total}

    split.model = split.fabric.setup_module(torch.nn.Linear(1, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "batch_losses", losses)
        terms = split.gradients(batch, None, 0)
    assert sorted(number for number, _ in taken) == [1, 1, 2]
    torch.testing.assert_close(terms["total"], sum(number * total for number, total in taken) / 4)


@pytest.mark.parametrize("world", [2, 4])
def test_parts_of_several_processes_hold_the_chips_of_one_s(world: int) -> None:
    def part(chips: torch.Tensor, number: int) -> list[int]:
        found = step._part(Chips(chips[:, None, None, None, None], chips[:, None, None], chips), number, 2)
        return found.valid.tolist()

    every = torch.arange(16)
    for number in (0, 1):
        together = [chip for rank in range(world) for chip in part(every[rank::world], number)]
        assert sorted(together) == part(every, number)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Losses of more than `chips` chips do not fit; counts how often that was tried."""
    real_losses, state = step.batch_losses, {"chips": 2, "tried": 0}

    def losses(model: torch.nn.Module, some: Chips, material: Material) -> dict[str, torch.Tensor]:
        if len(some.mask) > state["chips"]:
            state["tried"] += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return real_losses(model, some, material)

    monkeypatch.setattr(step, "batch_losses", losses)
    return state


def test_out_of_memory_goes_on_in_smaller_parts_and_says_so_once(
    blocks: Path, tmp_path: Path, little_memory: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        path = train.train(PLAIN, blocks, tmp_path)
    assert path.is_file()
    assert little_memory["tried"] == 1
    assert [record.message for record in caplog.records] == [
        "out of memory: going on with 2 parts of a batch, 2 chips at a time"
    ]


def test_out_of_memory_with_one_chip_tells_what_to_change(
    material: Material, batch: Batch, little_memory: dict[str, int]
) -> None:
    little_memory["chips"] = 0
    one = learner(material)
    with pytest.raises(ModelError, match=r"out of memory with 1 chips of 32 px at a time: .*optimiser\.batch"):
        one.gradients(batch, None, 0)


class KilledError(Exception):
    """Stands for a kill."""


def test_a_run_with_methods_resumes_as_if_it_had_not_stopped(blocks: Path, real: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, run=Run(validation_chips=4, checkpoint_every=2))

    def kill(done: int, _: int, what: str) -> None:
        if done == 3 and what.startswith("loss"):
            raise KilledError

    with pytest.raises(KilledError):
        train.train(recipe, blocks, tmp_path / "killed", real=real, progress=kill)
    ours, theirs = (
        models.load(catalogue.read_item(train.train(recipe, blocks, tmp_path / name, real=real))).model.state_dict()
        for name in ("killed", "whole")
    )
    assert [key for key in theirs if not torch.equal(ours[key], theirs[key])] == []


def test_methods_change_what_is_learnt_and_need_real_images(blocks: Path, real: Path) -> None:
    with pytest.raises(RecipeError, match="give them with --real"):
        gather(RECIPE, [blocks], None)
    assert gather(RECIPE, [blocks], real).target is not None
    assert gather(replace(PLAIN, event=Event(batch_norm=1)), [blocks], real).target is not None
    assert gather(PLAIN, [blocks], real).target is None


def test_half_precision_and_a_compiled_network_train_too(
    blocks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda network: asked.append(network) or network)
    monkeypatch.setenv("CXX", sys.executable)  # anything that is there
    recipe = replace(
        PLAIN, optimiser=Optimiser(steps=2, batch=2, precision="bf16-mixed"), run=Run(compile=True, validation_chips=2)
    )
    path = train.train(recipe, blocks, tmp_path)
    assert len(asked) == 1
    weights = models.load(catalogue.read_item(path)).model.state_dict()
    assert all(value.dtype != torch.bfloat16 for value in weights.values())


def test_compiling_without_a_compiler_is_refused_in_one_line(
    blocks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RecipeError, match=r"needs a C\+\+ compiler, and no-such-compiler is not found: install it"):
        train.train(replace(PLAIN, run=Run(compile=True)), blocks, tmp_path)


def run(*words: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((Path(words[-1]) / "losses.json").read_text())


def test_two_processes_learn_what_one_does(blocks: Path, real: Path, tmp_path: Path) -> None:
    script = str(Path(__file__).with_name("two_processes.py"))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two = run(*torchrun, script, str(blocks), str(real), str(tmp_path / "two"))
    one = run(script, str(blocks), str(real), str(tmp_path / "one"))
    curves = [
        [float(what.removeprefix("loss ")) for what in told["told"] if what.startswith("loss")] for told in (one, two)
    ]
    assert len(curves[0]) == RECIPE.optimiser.steps
    assert curves[0] == pytest.approx(curves[1], abs=2e-3)  # three digits are told
    assert Path(one["item"]).name == Path(two["item"]).name
    ours, theirs = (models.load(catalogue.read_item(told["item"])).model.state_dict() for told in (two, one))
    both = [torch.cat([value.float().flatten() for value in state.values()]) for state in (ours, theirs)]
    assert float((both[0] - both[1]).norm() / both[1].norm()) < 0.01


def test_alone_shared_batch_norms_are_batch_norms() -> None:
    from timm.layers import BatchNormAct2d

    for plain in (torch.nn.BatchNorm2d(3), BatchNormAct2d(3)):
        images = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
        expected = plain(images)
        twin = type(plain)(3)
        together.share_batch_norms(twin)
        assert type(twin) is not type(plain)
        torch.testing.assert_close(twin(images), expected)
        torch.testing.assert_close(twin.running_var, plain.running_var)
        other = type(plain)(3)
        together.share_batch_norms(other)
        torch.testing.assert_close(other.normalised(images).relu(), expected.relu())
        torch.testing.assert_close(other.running_var, plain.running_var)
        torch.testing.assert_close(other.running_mean, plain.running_mean)
