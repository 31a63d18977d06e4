"""What an annotated image of one of our scenes costs BlenderProc itself.

    python benchmarks/render.py pair --keep JOB_DIR
    uv venv --seed --python 3.11 PEER/4.2/python   # the layout by which BlenderProc finds its Blender's Python
    uv pip install --python PEER/4.2/python/bin/python bpy==4.2.0 "numpy<2" requests pyyaml imageio gitpython \
        scikit-image pypng scipy matplotlib pytz h5py Pillow opencv-contrib-python scikit-learn rich trimesh pyrender
    uv pip install --no-deps --target PEER/blenderproc blenderproc==2.8.0
    PYTHONPATH=PEER/blenderproc PEER/4.2/python/bin/python benchmarks/peer_blenderproc.py JOB_DIR [--samples 8 64 1024]

Its own start fetches a Blender 4.2, so this is the same Blender as a module (bpy 4.2.0). The scene of JOB_DIR is built
by our renderers/ there, unlike for us not counted; then BlenderProc's public API renders colours, depth, normals and
segments and writes its HDF5. Its other defaults stand: adaptive to a noise of 0.01, denoised, 3 bounces. Prints CPU
seconds and writes its image of the fewest samples as JOB_DIR/blenderproc.png, to look at. The module then ends with a
segmentation fault while it cleans up.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))
os.environ["INSIDE_OF_THE_INTERNAL_BLENDER_PYTHON_ENVIRONMENT"] = "1"  # as its command line sets it

import blenderproc
import bpy
import imageio
import numpy as np
from blenderproc.python.renderer import RendererUtility
from blenderproc.python.utility.Initializer import _Initializer

from renderers import camera, light, meshes
from renderers import job as jobs


def begin(folder: Path) -> None:
    """Our scene under BlenderProc's settings."""
    blenderproc.clean_up(clean_up_camera=True)  # its init() but for the language, which a module does not have
    bpy.context.scene.render.engine = "CYCLES"
    RendererUtility.set_render_devices()
    _Initializer.set_default_parameters()
    job = jobs.read(folder)
    meshes.build(job)
    light.build(job)
    camera.build(job)
    for number, thing in enumerate(bpy.data.objects):
        thing["category_id"] = number
    bpy.context.scene.world["category_id"] = 0
    blenderproc.camera.set_resolution(job.width, job.height)
    # Its camera poses are rigid and would replace ours, which slants: a frame to render is all that it is told.
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 0, 1
    blenderproc.renderer.enable_depth_output(activate_antialiasing=False)
    blenderproc.renderer.enable_normals_output()
    blenderproc.renderer.enable_segmentation_output(map_by=["category_id", "instance", "name"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path)
    parser.add_argument("--samples", type=int, nargs="+", default=[8, 64, 1024])
    given = parser.parse_args()
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Blender's chatter
    begin(given.job)
    for samples in sorted(given.samples):
        blenderproc.renderer.set_max_amount_of_samples(samples)
        start = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            found: dict[str, Any] = blenderproc.renderer.render()
            rendered = time.process_time() - start
            blenderproc.writer.write_hdf5(folder, found)
        whole = time.process_time() - start
        names = ", ".join(f"{name} {np.shape(values)}" for name, values in found.items() if name != "colors")
        print(
            f"{samples} samples at most: {rendered:.2f} + {whole - rendered:.2f} s; {names}", file=channel, flush=True
        )
        if samples == min(given.samples):
            imageio.imwrite(given.job / "blenderproc.png", found["colors"][0])


if __name__ == "__main__":
    main()
