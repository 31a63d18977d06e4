"""How much of a training step is the network: pairs per second of the loop against the same network on data at hand.

    python benchmarks/train.py --synthetic out/joplin/hybrid --recipe joplin

Blocks of steps of both are interleaved, so a busy machine is busy for both; the figures are medians over the blocks.
*Loop*: what `train` does (chips read by threads, moved to the device, augmented, losses, gradients, clipping,
optimiser, moving average). *Limit*: gradients and optimiser on one normalised batch that lies on the device already. On
a GPU give --seconds 20 or more: the first blocks of cuDNN and compilation are dropped as warm-up. With --compile a
third kind, *compiled*: the limit of the network that `run.compile` makes; its loss on that batch is printed beside the
plain one's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from mage_stac import recipe as recipes
from mage_stac import train
from mage_stac.adapt import step as steps
from mage_stac.adapt.chance import Chance
from mage_stac.loader import Access
from mage_stac.material import Material, gather
from mage_stac.models import losses
from mage_stac.models.average import Average


class Loop:
    """Steps as `train` makes them."""

    def __init__(self, material: Material) -> None:
        recipe = material.recipe
        self.fabric = train._fabric(recipe)  # noqa: SLF001 - what is measured is what train does
        network = train._network(material, 1)  # noqa: SLF001
        made = train._optimiser(network, recipe.optimiser.learning_rate, recipe.optimiser.weight_decay)  # noqa: SLF001
        self.network = network
        self.model, self.optimiser = self.fabric.setup(train._compiled(network, recipe), made)  # noqa: SLF001
        self.average = Average(network, recipe.optimiser.average)
        self.learner = steps.Learner(
            fabric=self.fabric, model=self.model, teacher=self.average.shadow, material=material
        )
        self.stream = train._stream(self.fabric, material, 0, Access())  # noqa: SLF001
        self.material, self.number, self.waited = material, 0, 0.0

    def whole(self) -> None:
        started = time.perf_counter()
        batch, target = next(self.stream)
        self.waited += time.perf_counter() - started
        self.learner.gradients(batch, target, self.number)
        self._stepped()
        self.average.update(self.number)
        self.number += 1

    def held(self) -> None:
        """One batch, augmented and normalised, on the device, for `limit`."""
        batch, _ = next(self.stream)
        device = next(self.model.parameters()).device
        chance = Chance(generator=torch.Generator(device).manual_seed(0), chips=len(batch["mask"]))
        self.chips = steps.labelled(batch, self.material, chance)
        self.image = steps.normalised(self.chips, self.material)
        self.weights = torch.tensor(self.material.weights, device=device)

    def limit(self) -> None:
        self.model.train()
        self.fabric.backward(self.loss())
        self._stepped()

    def loss(self) -> torch.Tensor:
        """Of the held batch."""
        chips = self.chips
        terms = losses.total(
            self.model(self.image),
            chips.mask,
            chips.valid,
            weights=self.weights,
            loss=self.material.recipe.loss,
            lost=chips.lost,
        )
        return terms["total"]

    def _stepped(self) -> None:
        self.fabric.clip_gradients(self.model, self.optimiser, max_norm=self.material.recipe.optimiser.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        settle(self.model)


def compiled(eager: Loop) -> Loop:
    """The same network, weights, and held batch, compiled; says what that took and that its loss is the same."""
    material = eager.material
    other = Loop(replace(material, recipe=replace(material.recipe, run=replace(material.recipe.run, compile=True))))
    other.network.load_state_dict(eager.network.state_dict())
    other.chips, other.image, other.weights = eager.chips, eager.image, eager.weights
    for loop in (eager, other):
        loop.model.train()
    expected = eager.loss().item()
    started = time.perf_counter()
    found = other.loss().item()
    other.limit()
    print(f"compiled in {time.perf_counter() - started:.0f} s; loss {found:.6f}, without {expected:.6f}", flush=True)
    return other


def settle(model: nn.Module) -> None:
    """Wait for the GPU, if there is one."""
    if next(model.parameters()).is_cuda:
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--synthetic", type=Path, required=True)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--recipe", default="joplin")
    parser.add_argument("--batch", type=int, help="instead of the recipe's")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"))
    parser.add_argument("--seconds", type=float, default=6.0, help="of a block")
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--compile", action="store_true", help="time the compiled network too")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    recipe = recipes.read(options.recipe)
    changes = {key: getattr(options, key) for key in ("batch", "precision") if getattr(options, key)}
    recipe = replace(recipe, optimiser=replace(recipe.optimiser, **changes))
    loop = Loop(gather(recipe, [options.synthetic], options.real))
    with closing(loop.stream):
        loop.held()
        kinds = {"loop": loop.whole, "limit": loop.limit}
        if options.compile:
            kinds["compiled"] = compiled(loop).limit
        rates: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
        for turn in range(options.blocks + 1):
            for name, work in kinds.items():
                wall, processor, number = time.perf_counter(), time.process_time(), 0
                while time.perf_counter() - wall < options.seconds or number < 2:
                    work()
                    number += 1
                if turn:  # the first warms up
                    done = number * recipe.optimiser.batch
                    rates[name].append((done / (time.perf_counter() - wall), done / (time.process_time() - processor)))
    found = {
        name: tuple(statistics.median(column) for column in zip(*rows, strict=True)) for name, rows in rates.items()
    }
    for name, (wall, processor) in found.items():
        print(f"{name:6s} {wall:8.2f} pairs/s  {processor:8.2f} pairs per CPU-second")
    for name in kinds.keys() - {"limit"}:
        shares = (a / b for a, b in zip(found[name], found["limit"], strict=True))
        print("{}: {:.3f} of the limit by the wall, {:.3f} by CPU time".format(name, *shares))
    print(f"waiting for chips: {loop.waited:.2f} s of {loop.number} steps")


if __name__ == "__main__":
    main()
