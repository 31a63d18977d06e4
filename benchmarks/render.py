"""The renderer's memory over many renders, and what a pair costs beside Cycles' own work.

    python benchmarks/render.py memory [--renders 200] [--size 32]
    python benchmarks/render.py pair [--size 512] [--pairs 2] [--sensor aerial-rgb]

`memory` renders so many small scenes, all passes, in one Blender that is not restarted, and prints its resident memory
now and then. `pair` makes pairs and prints CPU seconds by stage: time of all cores, so that other work on the machine
changes little.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from mage_stac import blender, exposure, rendering
from mage_stac.scenario import RenderSpec, draw
from mage_stac.scene import geometry

STYLES = ("suburb", "old_town", "village", "informal")


def resident(process: int) -> float:
    """Megabytes of memory that a process holds."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def memory(renders: int, size: int) -> None:
    start = time.perf_counter()
    spec = RenderSpec(hazard="wind", undamaged_share=0.0, size_px=size, sensor="naip")
    shots = [draw(replace(spec, style=style), number) for number, style in enumerate(STYLES)]
    jobs = [(shot, exposure.job(spec, shot, "pre")) for one in shots for shot in (one.pre, one.post)]
    built = [(job, geometry.build(shot.scene, spec.texel)) for shot, job in jobs]
    held = []
    with blender.Session(blender.find(), restart_after=10**9) as session, tempfile.TemporaryDirectory() as scratch:
        for number in range(renders):
            job, shapes = built[number % len(built)]
            folder = Path(scratch) / "job"
            job.write(shapes, folder)
            session.render(folder, str(number))
            held.append(resident(session.process or 0))
    middle = held[len(held) // 10]
    for number in sorted({0, 1, 5, *range(0, renders, max(renders // 10, 1)), renders - 1}):
        print(f"render {number + 1:4d}  {held[number]:7.1f} MB")
    print(f"growth from render {len(held) // 10 + 1} to {renders}: {held[-1] - middle:+.1f} MB,", end=" ")
    print(f"{time.perf_counter() - start:.0f} s, {len(jobs)} scenes of {size} px, passes {jobs[0][1].passes}")


def pair(size: int, pairs: int, sensor: str) -> None:
    spec = RenderSpec(hazard="wind", undamaged_share=0.0, size_px=size, pairs=pairs, sensor=sensor)
    clock = rendering.Clock()
    with tempfile.TemporaryDirectory() as scratch, blender.Session(blender.find()) as session:
        for number in range(pairs):
            for name, value in rendering.render_pair(spec, number, Path(scratch) / "wind-pairs", session).items():
                clock.add(name, value / pairs)
    cores = {name.removesuffix(".cpu"): value for name, value in clock.items() if name.endswith(".cpu")}
    images = sum(cores.get(f"render.{name}", 0.0) for name in ("image", "infrared"))
    labels = sum(value for name, value in cores.items() if name.startswith("render.labels"))
    whole = cores["total"] + sum(value for name, value in cores.items() if name.startswith("render."))
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = child.ru_utime + child.ru_stime - pairs * sum(v for n, v in cores.items() if n.startswith("render."))
    print(f"{pairs} pairs of {size} px, {sensor}; CPU seconds a pair")
    for name, value in sorted(cores.items()):
        print(f"  {name:26} {value:7.2f}")
    print(f"whole {whole:.2f} a pair, {whole / 2:.2f} an image, Blender's start {start:.1f} once")
    print(f"over Cycles, images and labels {whole / (images + labels):.2f}; over its images alone {whole / images:.2f}")
    print(f"label passes {labels / whole:.1%} of the whole, {labels / images:.1%} of the images")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("memory", "pair"))
    parser.add_argument("--renders", type=int, default=200)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--sensor", default="aerial-rgb")
    given = parser.parse_args()
    if given.part == "memory":
        memory(given.renders, given.size or 32)
    else:
        pair(given.size or 512, given.pairs, given.sensor)


if __name__ == "__main__":
    sys.exit(main())
