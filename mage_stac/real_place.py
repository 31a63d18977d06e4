"""Real places: the image and the data of a place that a render spec names, read once for all pairs of a process."""

from __future__ import annotations

from functools import cache

import shapely
from odc.geo.geobox import GeoBox

from mage_stac import hybrid, likeness, sensors
from mage_stac.likeness import Likeness
from mage_stac.render_spec import RenderSpec
from mage_stac.scene import twin
from mage_stac.scene.scene import Light

Files = tuple[tuple[str, ...], str | None, str | None]
"""Of a real place: paths, a columns map, the CRS that is wanted."""


@cache
def image(spec: RenderSpec) -> Likeness:
    """The image of a spec with `like`; raises as `likeness.opened`."""
    return likeness.opened(spec.like or "", spec.gsd)


def data(spec: RenderSpec) -> twin.Place:
    """The data of a spec with a `place`, in the CRS of its image where it has one; raises as `twin.opened`."""
    return _data(_files(spec))


def squares(spec: RenderSpec) -> tuple[tuple[float, float, int], ...]:
    """The built-up squares of a spec's place, as large as a scene: raises as `twin.spots`, which see."""
    return _squares(_files(spec), spec.side)


@cache
def light(spec: RenderSpec) -> Light:
    """The light in the image of a spec with `like` and a `place`."""
    return hybrid.light(image(spec), data(spec), sensors.read(spec.sensor))


def ground(spec: RenderSpec) -> shapely.Geometry:
    """The box of the place's data, in their CRS."""
    return shapely.box(*data(spec).bounds)


def stands(spec: RenderSpec, part: GeoBox) -> bool:
    """Whether a footprint of the place lies on a grid in the CRS of its data."""
    return bool(twin.footprints(data(spec), part.boundingbox.bbox))


def _files(spec: RenderSpec) -> Files:
    return spec.place or (), spec.columns, str(image(spec).geobox.crs) if spec.like is not None else None


@cache
def _data(files: Files) -> twin.Place:
    paths, columns, crs = files
    return twin.opened(paths, columns=columns, crs=crs)


@cache
def _squares(files: Files, side: float) -> tuple[tuple[float, float, int], ...]:
    return twin.spots(_data(files), side)
