"""What window reuse costs in learning: the same network, steps and seeds on chips drawn alone or many from a window.

    .venv/bin/python benchmarks/reuse.py

Scenes of 256² px, 3 bands of uint16, written as COGs with their labels: four classes of ground, told apart by texture
and colour, in light that differs from scene to scene and drifts within each, so that chips of one window are alike in
what misleads. 24 scenes test, others teach. All is an eighth of benchmarks/loader.py: chips of 32 px out of
windows of 64, as there 256 px out of blocks of 512.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from mage_stac import chip_table, cog, loader, samplers
from mage_stac.chip_table import ChipTable
from mage_stac.samplers import Sampling
from mage_stac.stack import Raster, Stack

TESTED, SIZE, EDGE, BATCH, CLASSES = 24, 256, 32, 8, 4
SPAN = 2 * EDGE
SCALE = 1e-4


def place(number: int) -> GeoBox:
    return GeoBox((SIZE, SIZE), Affine(10, 0, 300_000 + 10 * SIZE * number, 0, -10, 5_100_000), "EPSG:32631")


def field(rng: np.random.Generator, smooth: float) -> NDArray[np.float64]:
    ground = gaussian_filter(rng.normal(size=(SIZE, SIZE)), smooth, mode="wrap")
    return np.asarray(ground / ground.std())


def scene(number: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    rng = np.random.default_rng([7, number])
    label = np.stack([field(rng, 12) for _ in range(CLASSES)]).argmax(axis=0).astype(np.uint8)
    grain = np.stack([rng.normal(size=(SIZE, SIZE)), *(field(rng, size) for size in (0.7, 1.5, 3.0))])
    texture = np.take_along_axis(grain, label[None].astype(np.int64), axis=0)[0]
    light = 1 + 0.25 * field(rng, 40) + rng.normal(0, 0.2)
    tint = np.array([0.0, 0.08, 0.16, 0.24])[label]
    bands = [(0.3 + tint * (band - 1) + 0.08 * texture) * light * rng.uniform(0.8, 1.2) for band in range(3)]
    noise = rng.normal(0, 0.02, (3, SIZE, SIZE))
    return ((np.stack(bands) + noise).clip(1e-4, 1) / SCALE).astype(np.uint16), label[None]


def raster(path: Path, geobox: GeoBox, bands: int, *, classes: bool) -> Raster:
    return Raster(
        item_id=path.stem, asset="image", path=str(path), bands=tuple(range(1, bands + 1)), geobox=geobox,
        scale=(None if classes else SCALE,) * bands, offset=(0.0,) * bands, nodata=None, classes=classes,
    )  # fmt: skip


def tables(folder: Path, scenes: int) -> tuple[ChipTable, ChipTable]:
    """Chip indices of the scenes that teach, and of those that test."""
    folder.mkdir(parents=True, exist_ok=True)
    stacks = []
    for number in range(TESTED + scenes):
        paths = [folder / f"{number}-{kind}.tif" for kind in ("image", "label")]
        if not paths[1].exists():
            for path, array in zip(paths, scene(number), strict=True):
                cog.write_cog(path, array, place(number))
        image, label = (raster(path, place(number), n, classes=n == 1) for path, n in zip(paths, (3, 1), strict=True))
        stacks.append(Stack(id=str(number), event="e", geobox=place(number), dates=((image,),), mask=(label,)))
    return chip_table.build(stacks[TESTED:]), chip_table.build(stacks[:TESTED])


def network() -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after, width in ((3, 10, 5), (10, 10, 3)):
        layers += [nn.Conv2d(before, after, width, padding=width // 2), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(10, CLASSES, 1))


def learnt(table: ChipTable, reuse: int, seed: int, steps: int) -> nn.Sequential:
    torch.manual_seed(seed)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    sampling = Sampling(kind="balanced", reuse=reuse, span=SPAN)
    with closing(loader.batches(table, edge=EDGE, batch=BATCH, seed=seed, sampling=sampling)) as stream:
        for batch in itertools.islice(stream, steps):
            loss = nn.functional.cross_entropy(model(batch["image"][:, 0]), batch["mask"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def score(model: nn.Sequential, table: ChipTable) -> float:
    """Mean IoU of the classes on all of the scenes that test."""
    confusion = torch.zeros((CLASSES, CLASSES), dtype=torch.int64)
    with closing(loader.epoch(table, samplers.grid(table, 256), edge=256, batch=4)) as stream:
        for batch in stream:
            found: Tensor = model(batch["image"][:, 0]).argmax(dim=1)
            both = (batch["mask"] * CLASSES + found).flatten()
            confusion += torch.bincount(both, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    hits = confusion.diag()
    return float((hits / (confusion.sum(0) + confusion.sum(1) - hits)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "mage-stac-reuse")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--scenes", type=int, default=6, help="to learn from")
    parser.add_argument("--seeds", type=int, default=9)
    parser.add_argument("--reuse", type=int, nargs="+", default=[1, 8], help="chips of a window")
    told = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    teach, test = tables(told.folder, told.scenes)
    print(f"mean IoU after {told.steps} steps of {BATCH} chips, {told.seeds} seeds")
    for reuse in told.reuse:
        found = [score(learnt(teach, reuse, seed, told.steps), test) for seed in range(told.seeds)]
        listed = " ".join(f"{one:.4f}" for one in found)
        print(
            f"  {reuse:2d} chips a window: {statistics.mean(found):.4f} +- {statistics.stdev(found):.4f}   {listed}",
            flush=True,
        )


if __name__ == "__main__":
    main()
