"""One render job: `job.json` and its arrays, a .npy file each, in a folder of their own."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA = "mage-stac-render/2"
PASSES = ("image", "labels", "labels_buildings")
CLEAR = 2.0
"""Least distance of a perspective camera from what it sees, m."""
KNOWN = (*PASSES, "infrared")
ARRAYS = (
    "vertices", "triangles", "colour", "grain", "semantic", "instance",
    "ground_texture", "ground_semantic", "ground_z",
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What to render of one scene: angles in degrees, lengths in metres, azimuths clockwise from north."""

    folder: Path
    width: int
    """Output pixels; the image pass has `oversample` times as many."""
    height: int
    gsd: float
    oversample: int
    sun_azimuth: float
    sun_elevation: float
    overcast: float
    """0 clear sky .. 1 closed cloud cover, no sun."""
    off_nadir: float
    view_azimuth: float
    """From the ground towards the sensor."""
    altitude: float
    """Of a perspective camera over the middle, above the ground there; 0 for parallel rays."""
    samples: int
    denoise: bool
    seed: int
    passes: tuple[str, ...]
    arrays: dict[str, Any]
    """ARRAYS, by name."""
    infrared: dict[str, Any]
    """For the pass of that name: reflectance of `faces` (T, 3) and `ground` (rows, columns, 3); empty without it."""

    @property
    def labelled(self) -> bool:
        """Whether labels are rendered; without them nothing but light needs to be known of a face."""
        return any(name.startswith("labels") for name in self.passes)

    @property
    def lean(self) -> tuple[float, float]:
        """Horizontal run towards the sensor per metre of height: (east, north)."""
        run = math.tan(math.radians(self.off_nadir))
        azimuth = math.radians(self.view_azimuth)
        return run * math.sin(azimuth), run * math.cos(azimuth)

    @property
    def level(self) -> float:
        """Height of the plane on which a perspective camera's pixels are the map's, m: the middle one of the ground."""
        return float(np.median(self.arrays["ground_z"]))

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height of the image on the ground, m."""
        return self.width * self.gsd, self.height * self.gsd


def read(folder: Path) -> Job:
    """Read a job. Raises ValueError that names the field or array that is wrong."""
    data = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    if data.get("schema") != SCHEMA:
        raise ValueError(f"{folder / 'job.json'}: schema is {data.get('schema')!r}, this renderer reads {SCHEMA!r}")
    sun, view = data["sun"], data.get("view", {})
    wanted = ("faces", "ground") if "infrared" in data.get("passes", ()) else ()
    job = Job(
        folder=folder,
        width=int(data["width"]),
        height=int(data["height"]),
        gsd=float(data["gsd"]),
        oversample=int(data.get("oversample", 1)),
        sun_azimuth=float(sun["azimuth"]),
        sun_elevation=float(sun["elevation"]),
        overcast=float(sun.get("overcast", 0.0)),
        off_nadir=float(view.get("off_nadir", 0.0)),
        view_azimuth=float(view.get("azimuth", 0.0)),
        altitude=float(view.get("altitude", 0.0)),
        samples=int(data.get("samples", 4)),
        denoise=bool(data.get("denoise", True)),
        seed=int(data.get("seed", 0)) % 2**31,
        passes=tuple(data.get("passes", PASSES)),
        arrays={name: _array(folder, name) for name in ARRAYS},
        infrared={name: _array(folder, f"infrared_{name}") for name in wanted},
    )
    _check(job)
    return job


def _array(folder: Path, name: str) -> Any:
    path = folder / f"{name}.npy"
    if not path.is_file():
        raise ValueError(f"{folder}: lacks {path.name}")
    return np.load(path, allow_pickle=False)


def _check(job: Job) -> None:
    where = job.folder / "job.json"
    if not 1.0 <= job.sun_elevation <= 90.0:
        raise ValueError(f"{where}: sun elevation {job.sun_elevation} is outside 1..90 degrees")
    if not 0.0 <= job.overcast <= 1.0:
        raise ValueError(f"{where}: overcast {job.overcast} is outside 0..1")
    if not 0.0 <= job.off_nadir <= 60.0:
        raise ValueError(f"{where}: off_nadir {job.off_nadir} is outside 0..60 degrees")
    top = float(job.arrays["vertices"][:, 2].max(initial=job.level))
    if job.altitude < 0 or (job.altitude and job.level + job.altitude < top + CLEAR):
        raise ValueError(f"{where}: altitude {job.altitude} is not over all that stands there: {top - job.level:.0f} m")
    if min(job.width, job.height, job.oversample, job.samples) < 1 or job.gsd <= 0:
        raise ValueError(f"{where}: width, height, oversample, samples and gsd must be positive")
    unknown = sorted(set(job.passes) - set(KNOWN))
    if unknown:
        raise ValueError(f"{where}: unknown passes {unknown}; there are {KNOWN}")
    triangles, vertices = job.arrays["triangles"], job.arrays["vertices"]
    if triangles.size and not 0 <= int(triangles.min()) <= int(triangles.max()) < len(vertices):
        raise ValueError(f"{job.folder}: triangles name vertices outside 0..{len(vertices) - 1}")
    if not np.isfinite(vertices).all():
        raise ValueError(f"{job.folder}: vertices hold values that are not finite")
