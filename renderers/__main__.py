"""`python -m renderers JOB_DIR...` or `blender -b -P renderers/__main__.py -- JOB_DIR...`: render jobs one by one.

Writes `{"job": FOLDER, "seconds": {...}}` on stdout, one line a job done. Blender's own chatter goes to stderr.
"""

import json
import os
import sys
import time
from pathlib import Path

if not __package__:  # run by path, from the source tree or from inside the installed package
    sys.path.append(str(Path(__file__).resolve().parents[1]))

import bpy

from renderers import camera, light, meshes, passes
from renderers import job as jobs


def render(folder: Path) -> dict[str, float]:
    """Render one job's passes into its folder; returns seconds by stage."""
    seconds = {}
    start = time.perf_counter()
    job = jobs.read(folder)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    objects = meshes.build(job)
    light.build(job)
    described = camera.build(job)
    passes.prepare(job)
    (folder / "camera.json").write_text(json.dumps(described), encoding="utf-8")
    seconds["build"] = time.perf_counter() - start
    for name in job.passes:
        start = time.perf_counter()
        if name == "image":
            passes.render_image(job)
        else:
            passes.render_labels(job, objects, name=f"{name}.exr", clutter=name == "labels")
        seconds[name] = time.perf_counter() - start
    return seconds


def main(arguments: list[str]) -> int:
    """Render every job folder named; 0 when all are done."""
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for argument in arguments:
        seconds = render(Path(argument))
        print(json.dumps({"job": argument, "seconds": seconds}), file=report, flush=True)
    return 0


if __name__ == "__main__":
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    if not words:
        sys.exit("usage: python -m renderers JOB_DIR...")
    sys.exit(main(words))
