"""Stands in for Blender in tests: reads job folders from stdin and writes plausible passes, without rendering.

Buildings are the boxes round their vertices. FAKE_BLENDER_CRASH may name a JSON file {job number: "crash" or "hang"};
jobs are counted over all processes, in a `.count` file beside it.
"""

import fcntl
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import OpenEXR


def main() -> None:
    if sys.argv[-1] == "?":
        sys.stdout.write(json.dumps({"gpus": json.loads(os.environ.get("FAKE_BLENDER_GPUS", "[]"))}) + "\n")
        return
    for line in sys.stdin:
        folder = Path(line.strip())
        accident()
        job = json.loads((folder / "job.json").read_text())
        arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
        for name in job["passes"]:
            path = folder / f"{name}.exr"
            image(path, job) if name in ("image", "infrared") else labels(path, job, arrays)
        sys.stdout.write(json.dumps({"job": str(folder), "seconds": {"image": 0.01}}) + "\n")
        sys.stdout.flush()


def accident() -> None:
    plan = os.environ.get("FAKE_BLENDER_CRASH")
    if not plan:
        return
    with Path(plan).with_suffix(".count").open("a+") as counter:
        fcntl.flock(counter, fcntl.LOCK_EX)  # workers count at the same time
        counter.seek(0)
        count = int(counter.read() or 0)
        counter.truncate(0)
        counter.write(str(count + 1))
    what = json.loads(Path(plan).read_text()).get(str(count))
    if what == "crash":
        sys.stderr.write("Segmentation fault, said the fake\n")
        sys.stderr.flush()
        os._exit(11)
    if what == "hang":
        time.sleep(120)


def boxes(job: dict, arrays: dict) -> np.ndarray:
    out = np.zeros((job["height"], job["width"]), np.float32)
    for number in np.unique(arrays["instance"])[1:]:
        points = arrays["vertices"][arrays["triangles"][arrays["instance"] == number].ravel()] / job["gsd"]
        west, south = np.floor(points[:, :2].min(0)).astype(int)
        east, north = np.ceil(points[:, :2].max(0)).astype(int)
        rows = slice(max(job["height"] - north, 0), max(job["height"] - south, 0))
        out[rows, max(west, 0) : max(east, 0)] = number
    return out


def image(path: Path, job: dict) -> None:
    rng = np.random.default_rng(job["seed"])
    shape = (job["height"] * job["oversample"], job["width"] * job["oversample"], 3)
    light = rng.uniform(0.05, 0.4, shape).astype(np.float32)
    OpenEXR.File({"type": OpenEXR.scanlineimage}, {"RGB": light}).write(str(path))


def labels(path: Path, job: dict, arrays: dict) -> None:
    instance = boxes(job, arrays)
    up = np.ones_like(instance)
    none = np.zeros_like(instance)
    channels = {
        "semantic.X": (instance > 0).astype(np.float32),
        "instance.X": instance,
        "height.X": np.where(instance > 0, 5, 0).astype(np.float32),
        "Position.X": none, "Position.Y": none, "Position.Z": none,
        "Normal.X": none, "Normal.Y": none, "Normal.Z": up,
        "Depth.Z": up,
    }  # fmt: skip
    OpenEXR.File({"type": OpenEXR.scanlineimage}, {f"ViewLayer.{k}": v for k, v in channels.items()}).write(str(path))


main()
