"""What BlenderProc's own settings cost on one of our scenes, in the same Blender.

    .venv-render/bin/python benchmarks/blenderproc.py JOB_DIR [THRESHOLD]

BlenderProc brings a Blender of its own, so it is not run: its settings are, those of its DefaultConfig.py (1024 samples
at most, adaptive to a noise of 0.01, OpenImageDenoise, 3 bounces), with normal, depth and index passes in the same
render. JOB_DIR is one that `benchmarks/render.py pair --keep JOB_DIR` leaves. Prints CPU seconds.
"""

import dataclasses
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import bpy

from renderers import camera, light, meshes, passes
from renderers import job as jobs
from renderers.devices import Machine


def configure(job: jobs.Job, threshold: float, samples: int) -> None:
    scene, layer = bpy.context.scene, bpy.context.view_layer
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.use_adaptive_sampling = threshold > 0
    scene.cycles.adaptive_threshold = threshold
    scene.cycles.use_denoising, scene.cycles.denoiser = True, "OPENIMAGEDENOISE"
    scene.cycles.max_bounces = scene.cycles.diffuse_bounces = 3
    layer.use_pass_normal = layer.use_pass_z = layer.use_pass_object_index = True
    scene.render.resolution_x, scene.render.resolution_y = job.width, job.height
    settings: Any = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    scene.render.filepath = str(job.folder / "peer.exr")


def main(folder: Path, threshold: float) -> None:
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Blender's chatter
    for name, limit, samples in (("8 samples, denoised", 0.0, 8), ("its defaults", threshold, 1024)):
        start = time.process_time()
        job = dataclasses.replace(jobs.read(folder), oversample=1)
        bpy.ops.wm.read_factory_settings(use_empty=True)
        meshes.build(job)
        light.build(job)
        camera.build(job)
        passes.prepare(job, Machine())
        configure(job, limit, samples)
        bpy.ops.render.render(write_still=True)
        print(f"{name}: {time.process_time() - start:.2f} CPU seconds an image", file=channel, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.01)
