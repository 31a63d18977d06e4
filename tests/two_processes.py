"""Trains a tiny recipe and writes the loss of every step; run by test_step.py under torchrun and by itself.

python two_processes.py SYNTHETIC REAL OUT
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

from mage_stac import train
from mage_stac.recipe import Consistency, Data, Network, Optimiser, Recipe, Run, SelfTraining, Style

RECIPE = Recipe(
    name="tiny",
    data=Data(size=32, margin=6),
    network=Network(encoder="tu-test_resnet", decoder=(16, 8), lost=True),
    style=Style(share=1.0),
    self_training=SelfTraining(weight=1.0, threshold=0.3, rise=0),
    consistency=Consistency(weight=1.0, threshold=0.6),
    optimiser=Optimiser(steps=4, batch=4),
    run=Run(validation_chips=4),
)


def main(synthetic: str, real: str, out: str) -> None:
    torch.set_num_threads(1)
    told: list[str] = []
    path = train.train(
        RECIPE, Path(synthetic), Path(out), real=Path(real), progress=lambda _, __, what: told.append(what)
    )
    if os.environ.get("RANK", "0") == "0":
        (Path(out) / "losses.json").write_text(json.dumps({"item": str(path), "told": told}))


if __name__ == "__main__":
    main(*sys.argv[1:])
