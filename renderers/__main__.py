"""`python -m renderers JOB_DIR...` or `blender -b -P renderers/__main__.py -- JOB_DIR...`: render jobs one by one.

`-` in place of folders reads them from stdin, one a line, until it ends. Writes one line a job on stdout:
`{"job": FOLDER, "seconds": {STAGE: SECONDS}}`, or `{"job": FOLDER, "error": REASON}`. Blender's chatter goes to stderr.
`?` in place of folders writes `{"gpus": [NAME...]}`: those that Cycles finds. Options: see renderers/devices.py.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

if not __package__:  # run by path, from the source tree or from inside the installed package
    sys.path.append(str(Path(__file__).resolve().parents[1]))

import bpy

from renderers import camera, devices, light, meshes, passes
from renderers import job as jobs
from renderers.devices import Machine


def render(folder: Path, machine: Machine) -> dict[str, float]:
    """Render one job's passes into its folder; returns seconds by stage: of wall time and, as `STAGE.cpu`, of cores.

    The first stage is `build`, the others are the passes.
    """
    seconds: dict[str, float] = {}
    with _timed("build", seconds):
        job = jobs.read(folder)
        # Not read_factory_settings: it also loads preferences and add-ons anew, six times as long.
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        objects = meshes.build(job)
        light.build(job)
        described = camera.build(job)
        passes.prepare(job, machine)
        device = devices.use(_preferences(), machine)
        (folder / "camera.json").write_text(json.dumps(described), encoding="utf-8")
    for name in job.passes:
        with _timed(name, seconds):
            if name in ("image", "infrared"):
                device = _image(job, name, device, machine)
            else:
                passes.render_labels(job, objects, name=f"{name}.exr", clutter=name == "labels")
    return seconds


def _image(job: jobs.Job, name: str, device: str, machine: Machine) -> str:
    """Render one image; returns what it took: the processor where a GPU that may be left out fails."""
    draw = passes.render_image if name == "image" else passes.render_infrared
    try:
        draw(job, device)
    except RuntimeError as error:
        if device == "CPU" or machine.device == "gpu":
            raise
        print(f"the GPU failed, the processor renders instead: {error}", file=sys.stderr)
        device = "CPU"
        draw(job, device)
    return device


def _preferences() -> Any:
    return bpy.context.preferences.addons["cycles"].preferences


@contextmanager
def _timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    wall, cores = time.perf_counter(), time.process_time()
    yield
    seconds[stage] = time.perf_counter() - wall
    seconds[f"{stage}.cpu"] = time.process_time() - cores


def report(folder: str, machine: Machine) -> dict[str, Any]:
    """Render one job and say how it went; a job that fails does not end the process."""
    try:
        return {"job": folder, "seconds": render(Path(folder), machine)}
    except Exception as error:  # noqa: BLE001 - the parent decides what a failed scene means
        traceback.print_exc()
        return {"job": folder, "error": f"{type(error).__name__}: {error}"}


def main(folders: Iterable[str], machine: Machine) -> int:
    """Render every job folder; 0 when all are done, 1 when one failed."""
    # Blender writes on file descriptor 1 from C: keep our own way to stdout and send the rest to stderr.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    failed = False
    for folder in folders:
        if folder == "?":
            line: dict[str, Any] = {"gpus": [entry.name for entry in devices.gpus(_preferences())]}
        else:
            line = report(folder, machine)
        failed = failed or "error" in line
        print(json.dumps(line), file=channel, flush=True)
    return int(failed)


if __name__ == "__main__":
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    described, named = devices.parsed(words)
    if not named:
        sys.exit("usage: python -m renderers [OPTION...] JOB_DIR... | - | ?")
    sys.exit(main((line.rstrip("\n") for line in sys.stdin) if named == ["-"] else named, described))
