"""What pairs cost beside Cycles' own work, the renderer's memory over many renders, and whether runs agree.

    python benchmarks/render.py pair [--size 512] [--pairs 2] [--sensor aerial-rgb] [--samples 2] [--keep JOB_DIR]
    python benchmarks/render.py memory [--renders 200] [--size 32]
    python benchmarks/render.py same [--size 48]

`pair` makes pairs and prints CPU seconds by stage: time of all cores, so that other work on the machine changes
little; it keeps the first job for benchmarks/peer_blenderproc.py. `memory` makes small pairs, two renders each, with
one Blender that is not restarted, and prints what both processes hold. `same` makes pairs by one worker, by two, and
in a run that is cut in two, and compares.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio

from mage_stac import blender, exposure, rendering
from mage_stac.render_spec import RenderSpec
from mage_stac.scenario import draw
from mage_stac.scene import geometry
from mage_stac.synthesis import render_pairs

STYLES = ("suburb", "old_town", "village", "informal")


def resident(process: int) -> float:
    """Megabytes of memory that a process holds."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def memory(renders: int, size: int) -> None:
    start = time.process_time()
    spec = RenderSpec(hazard="wind", undamaged_share=0.0, size_px=size)
    held = []
    with blender.Session(blender.find(), restart_after=10**9) as session, tempfile.TemporaryDirectory() as scratch:
        for number in range(renders // 2):
            styled = replace(spec, style=STYLES[number % len(STYLES)])
            folder = Path(scratch) / "wind-pairs"
            rendering.render_pair(styled, number, folder, session)
            shutil.rmtree(folder)
            held.append((resident(os.getpid()), resident(session.process or 0)))
            if number in (0, 1, 4) or number % 10 == 9:
                ours, theirs = held[-1]
                print(f"render {2 * number + 2:4d}  ours {ours:7.1f} MB  Blender {theirs:7.1f} MB", flush=True)
    after = len(held) // 5
    growth = [held[-1][side] - held[after][side] for side in (0, 1)]
    print(f"from render {2 * after + 2} on: ours {growth[0]:+.1f} MB, Blender {growth[1]:+.1f} MB")
    print(f"{time.process_time() - start:.0f} CPU s of ours, pairs of {size} px in {len(STYLES)} styles")


def pair(size: int, pairs: int, sensor: str, samples: int, keep: Path | None) -> None:
    spec = RenderSpec(hazard="wind", undamaged_share=0.0, size_px=size, pairs=pairs, sensor=sensor, samples=samples)
    if keep is not None:
        first = draw(spec, 0).post
        exposure.job(spec, first, "post").write(geometry.build(first.scene, spec.texel), keep)
    clock = rendering.Clock()
    with tempfile.TemporaryDirectory() as scratch, blender.Session(blender.find()) as session:
        for number in range(pairs):
            for name, value in rendering.render_pair(spec, number, Path(scratch) / "wind-pairs", session).items():
                clock.add(name, value / pairs)
    cores = {name.removesuffix(".cpu"): value for name, value in clock.items() if name.endswith(".cpu")}
    images = sum(cores.get(f"render.{name}", 0.0) for name in ("image", "infrared"))
    labels = sum(value for name, value in cores.items() if name.startswith("render.labels"))
    theirs = sum(value for name, value in cores.items() if name.startswith("render."))
    whole = cores["total"] + theirs
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = child.ru_utime + child.ru_stime - pairs * theirs
    print(f"{pairs} pairs of {size} px, {sensor}, {samples} samples; CPU seconds a pair")
    for name, value in sorted(cores.items()):
        print(f"  {name:26} {value:7.2f}")
    print(f"whole {whole:.2f} a pair, {whole / 2:.2f} an image, Blender's start {start:.1f} once")
    print(f"over Cycles, images and labels {whole / (images + labels):.2f}; over its images alone {whole / images:.2f}")
    print(f"label passes {labels / whole:.1%} of the whole, {labels / images:.1%} of the images")


def same(size: int) -> None:
    spec = RenderSpec(hazard="wind", undamaged_share=0.0, size_px=size, pairs=4)
    with tempfile.TemporaryDirectory() as scratch:
        runs = {name: Path(scratch) / name for name in ("one worker", "two workers", "resumed")}
        render_pairs(spec, runs["one worker"])
        render_pairs(replace(spec, workers=2), runs["two workers"])
        render_pairs(replace(spec, pairs=2), runs["resumed"])
        render_pairs(spec, runs["resumed"])
        first = rasters(runs.pop("one worker"))
        for name, folder in runs.items():
            other = rasters(folder)
            labels = [key for key in first if "-label/" in key]
            apart = [
                int(np.abs(first[key].astype(int) - other[key].astype(int)).max()) for key in first.keys() - labels
            ]
            equal = sum(np.array_equal(first[key], other[key]) for key in labels)
            print(f"{name}: {equal} of {len(labels)} label rasters equal, images at most {max(apart)}/255 apart")


def rasters(root: Path) -> dict[str, np.ndarray]:
    """Every raster's numbers, by its path."""
    found = {}
    for path in sorted(root.rglob("*.tif")):
        with rasterio.open(path) as source:
            found[str(path.relative_to(root))] = source.read()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("memory", "pair", "same"))
    parser.add_argument("--renders", type=int, default=200)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--sensor", default="aerial-rgb")
    parser.add_argument("--samples", type=int, default=RenderSpec().samples)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    if given.part == "memory":
        memory(given.renders, given.size or 32)
    elif given.part == "same":
        same(given.size or 48)
    else:
        pair(given.size or 512, given.pairs, given.sensor, given.samples, given.keep)


if __name__ == "__main__":
    main()
