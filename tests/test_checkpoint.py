from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from mage_stac.errors import CatalogueError, RecipeError
from mage_stac.models import checkpoint
from mage_stac.models.average import Average
from mage_stac.models.checkpoint import Progress, State
from mage_stac.recipe import Optimiser, Recipe

RECIPE = Recipe(name="tiny")


def state(seed: int, steps: int = 0) -> State:
    """A small network after some steps."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)
    one = State(model=model, average=Average(model, 0.9), optimiser=optimiser, progress=Progress())
    return advanced(one, steps)


def advanced(one: State, steps: int) -> State:
    for _ in range(steps):
        generator = torch.Generator().manual_seed(one.progress.step)
        loss = one.model(torch.rand(5, 3, 6, 6, generator=generator)).square().mean()
        loss.backward()
        one.optimiser.step()
        one.optimiser.zero_grad()
        one.average.update(one.progress.step)
        one.progress.losses.append((float(loss.detach()), 0.0, 0.0, 0.0))
        one.progress.step += 1
    return one


def test_a_restored_run_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "checkpoint.safetensors"
    checkpoint.save(path, state(0, 3), recipe=RECIPE, run="r")
    fresh = state(1)
    checkpoint.restore(path, fresh, recipe=RECIPE, run="r")
    assert fresh.progress.step == 3
    resumed, whole = advanced(fresh, 4), state(0, 7)
    assert [tuple(row) for row in resumed.progress.losses] == whole.progress.losses
    for ours, theirs in zip(resumed.model.state_dict().values(), whole.model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    averages = (one.average.shadow.state_dict().values() for one in (resumed, whole))
    for ours, theirs in zip(*averages, strict=True):
        assert torch.equal(ours, theirs)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_checkpoint_of_another_recipe_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, state(0, 1), recipe=RECIPE, run="r")
    other = replace(RECIPE, optimiser=Optimiser(steps=7))
    with pytest.raises(RecipeError, match=r"another recipe \(optimiser.steps 1000 -> 7\).*--restart") as caught:
        checkpoint.restore(path, state(1), recipe=other, run="q")
    assert "\n" not in str(caught.value)
    with pytest.raises(RecipeError, match="the same recipe on other pairs"):
        checkpoint.restore(path, state(1), recipe=RECIPE, run="q")


@pytest.mark.parametrize("content", [b"", b"\x80\x05pickle", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_broken_checkpoint_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"c\.safetensors is broken .*--restart"):
        checkpoint.restore(path, state(0), recipe=RECIPE, run="r")


def test_a_failed_write_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, state(0, 1), recipe=RECIPE, run="r")
    before = path.read_bytes()

    def full(_: object, where: Path, **__: object) -> None:
        Path(where).write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(CatalogueError, match="No space left"):
        checkpoint.save(path, state(0, 2), recipe=RECIPE, run="r")
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_the_average_follows_fast_at_first_and_then_slowly() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 0.0)
    average = Average(model, 0.9)
    nn.init.constant_(model.weight, 1.0)
    average.update(0)
    assert float(average.shadow.weight) == pytest.approx(1 - 1 / 10)
    for step in range(1000, 1002):
        before = float(average.shadow.weight)
        average.update(step)
        assert float(average.shadow.weight) == pytest.approx(before + 0.1 * (1 - before))
    assert not any(p.requires_grad for p in average.shadow.parameters())
