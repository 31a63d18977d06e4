"""What a map costs beyond its network: throughput against the bare forward pass, and peak memory by width.

    python benchmarks/predict.py speed  --encoder tu-efficientnet_lite0 --windows 16
    python benchmarks/predict.py memory --columns 20000 --rows 2000

`speed`: windows of 512 px in batches of four from arrays in memory; first the bare network, fed with what is normalised
already, then the whole way with blending, the COGs and the style on disk, in turns. CPU-seconds of the process: on CPUs
every one spent beside the network is one that it could have computed. And seconds of the clock, which tell what is
hidden behind the network, but nothing where others share the machine.
`memory`: one process maps two invented images of that size with a tiny network, from memory; its peak (VmHWM) is told
together with what it was before the map.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
import torch
from affine import Affine
from odc.geo.geobox import GeoBox

from mage_stac import jobs, models, mosaic, predict, prediction, resumption
from mage_stac.models import LoadedModel, blank
from mage_stac.mosaic import Scene, Tiling
from mage_stac.recipe import Network, Recipe

TILING = Tiling()


def loaded(encoder: str, decoder: tuple[int, ...]) -> LoadedModel:
    recipe = Recipe(name="bench", network=Network(encoder=encoder, decoder=decoder))
    torch.manual_seed(0)
    bands = len(recipe.data.bands)
    return LoadedModel(
        id="bench", model=models.build(recipe).eval(), recipe=recipe, mean=torch.full((bands,), 0.4),
        std=torch.full((bands,), 0.2), bands=recipe.data.bands, gsd=recipe.data.gsd,
    )  # fmt: skip


def grid(rows: int, columns: int) -> GeoBox:
    return GeoBox((rows, columns), Affine(0.5, 0, 300_000, 0, -0.5, 4_100_000), "EPSG:32615")


def made(rows: slice, columns: slice) -> Scene:
    """Two images of noise, made as they are asked for."""
    rng = np.random.default_rng(rows.start)
    shape = (2, 3, rows.stop - rows.start, columns.stop - columns.start)
    return rng.random(shape, dtype=np.float32), np.ones((2, *shape[2:]), bool)


def mapped(network: jobs.Network, geobox: GeoBox, read: mosaic.Read) -> None:
    with tempfile.TemporaryDirectory() as folder:
        final = Path(folder) / "map"
        final.mkdir()
        with (
            rasterio.Env(GDAL_CACHEMAX=predict.CACHE),
            resumption.shelf(final, "bench") as kept,
            jobs.beside(network) as running,
        ):
            make = partial(mosaic.strips, geobox, TILING, read, running)
            prediction.write_maps(final, geobox, resumption.resumed(kept, make))


def speed(encoder: str, windows: int, rounds: int) -> None:
    side = max(1, round(windows**0.5))
    geobox = grid(side * TILING.core, side * TILING.core)
    image, seen = made(slice(0, geobox.shape[0]), slice(0, geobox.shape[1]))
    model = loaded(encoder, (128, 64, 32, 32))
    batch = made(slice(0, TILING.window * TILING.batch), slice(0, TILING.window))
    images = torch.from_numpy(np.stack(np.split(batch[0], TILING.batch, axis=2)))
    fed = blank(model.normalise(images), torch.ones((TILING.batch, 2, TILING.window, TILING.window), dtype=torch.bool))
    count = side**2
    calls = -(-count // TILING.batch)

    def alone() -> None:
        with torch.inference_mode():
            for _ in range(calls):
                model.model(fed)

    def read(rows: slice, columns: slice) -> Scene:
        return image[:, :, rows, columns], seen[:, rows, columns]

    alone()
    bare, whole = [], []
    for _ in range(rounds):
        bare.append(timed(alone, calls * TILING.batch))
        whole.append(timed(lambda: mapped(predict.network_of(model), geobox, read), count))
        own, ours = bare[-1], whole[-1]
        print(
            f"network {own[0]:.3f} CPU-s a window, map {ours[0]:.3f}: {own[0] / ours[0]:.2f};"
            f" by the clock {own[1]:.3f} and {ours[1]:.3f}: {own[1] / ours[1]:.2f}",
            flush=True,
        )
    best, middle = (
        [choose(way[k] for way in bare) / choose(way[k] for way in whole) for k in (0, 1)]
        for choose in (min, statistics.median)
    )
    print(
        f"{encoder}, {count} windows of {TILING.window} px, of the network's own speed: {best[0]:.2f} by CPU-seconds,"
        f" {best[1]:.2f} by the clock (best of {rounds}; of medians {middle[0]:.2f} and {middle[1]:.2f})"
    )


def timed(work: Callable[[], None], windows: int) -> tuple[float, float]:
    """CPU-seconds and seconds of the clock, a window."""
    cpu, clock = time.process_time(), time.perf_counter()
    work()
    return (time.process_time() - cpu) / windows, (time.perf_counter() - clock) / windows


def memory(rows: int, columns: int) -> None:
    network = predict.network_of(loaded("tu-test_resnet", (16, 8)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    start = time.process_time()
    mapped(network, grid(rows, columns), made)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    spent = time.process_time() - start
    print(f"{rows} x {columns} px: peak {peak:.2f} GiB, of which {before:.2f} before the map; {spent:.0f} CPU-s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    fast = verbs.add_parser("speed")
    fast.add_argument("--encoder", default="tu-efficientnet_lite0")
    fast.add_argument("--windows", type=int, default=16)
    fast.add_argument("--rounds", type=int, default=3)
    large = verbs.add_parser("memory")
    large.add_argument("--rows", type=int, default=2000)
    large.add_argument("--columns", type=int, default=20_000)
    given = parser.parse_args()
    if given.verb == "speed":
        speed(given.encoder, given.windows, given.rounds)
    else:
        memory(given.rows, given.columns)


if __name__ == "__main__":
    main()
