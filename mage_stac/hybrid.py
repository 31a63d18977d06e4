"""Hybrids: scenes of a real place in the colours of a real image of it, for damage to be rendered into."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import shapely
import shapely.affinity
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio import features
from scipy import ndimage

from mage_stac import likeness as likenesses
from mage_stac.hazards import raster
from mage_stac.likeness import Likeness
from mage_stac.scene import outlines, photos, plane, shade, site, sun, twin
from mage_stac.scene.features import seed_of
from mage_stac.scene.outlines import View
from mage_stac.scene.scene import Building, Light, Photo, Scene
from mage_stac.scene.site import Site
from mage_stac.sensors import Sensor

Values = NDArray[np.float32]
Mask = NDArray[np.bool_]

MAPPED = ("road", "water")
"""Meanings of surfaces that data tell; lawns, drives and yards are invented, and the image shows the true ones."""
WIDEST = 2000
"""Pixels a side of the part of an image that the sun is estimated from."""
FIT = 40.0
"""Buildings that reach so far out of a scene are still fitted to the image whole, m."""
LONGER = 0.6
"""Ground counts as possibly shaded as if the sun stood at this share of its elevation: heights and elevation are
estimates, and ground is brightened only where it is darker than what lies around."""
EAVES = 0.3
"""Roofs reach so far over walls, m."""
RIM = 2
"""Pixels around a roof that are neither believed to be roof nor ground: image and footprint do not fit better."""
BURNT = ("scorched", "burnt")
"""States of trees after a fire."""
GREENER = ((0.65, 1.25), (0.85, 1.15), (0.7, 1.1))
"""Ranges of what plants are multiplied by in red, green, blue on another date: between dry and lush, by eye after
Joplin's two dates."""


def before(
    likeness: Likeness,
    data: twin.Place,
    geobox: GeoBox,
    sensor: Sensor,
    sunlight: Light,
    *,
    id: str,  # noqa: A002 - the field's name in STAC and in Scene
    seed: int,
) -> Scene:
    """The place as the image shows it: footprints raised to buildings with its roofs, on its ground; and trees, which
    the image shows too, for a hazard to act on.

    Args:
        likeness: the image.
        data: footprints and whatever else is known of the place, in the image's CRS.
        geobox: the part of the image's grid that the scene covers.
        sensor: what the image's numbers mean.
        sunlight: see `light`.
        id: of the scene.
        seed: heights and forms of roofs that the data do not tell are drawn from it.

    Raises:
        PlaceError, RenderError: as twin.around.
        AssetError: the image cannot be read.
    """
    wide = geobox.pad(round(FIT / likeness.gsd))
    image, valid = likenesses.reflectance(likeness, wide, sensor)
    lean, shown = _lean(likeness), np.where(valid[..., None], image, np.float32(np.nan))
    fit = partial(outlines.fitted, view=View(image=shown, affine=wide.affine, lean=lean))
    image, valid = likenesses.reflectance(likeness, geobox, sensor)
    west, south, east, north = geobox.boundingbox.bbox
    at = Site(crs=site.metric(str(geobox.crs)), bounds=(west, south, east, north))
    made = twin.around(data, at, id=id, seed=seed, datetime=likeness.datetime, fit=fit)
    buildings = tuple(_under_eaves(replace(one, balconies=())) for one in made.buildings)  # the image shows its own
    photo = _taken_apart(image, valid, geobox, buildings, sunlight, lean, np.random.default_rng(seed_of(id, seed)))
    names = ", ".join(item.id for item in likeness.items)
    return replace(
        made,
        datetime=likeness.stated,
        light=sunlight,
        view=likeness.view,
        surfaces=tuple(surface for surface in made.surfaces if surface.semantic in MAPPED),
        buildings=buildings,
        cars=(),
        powerlines=(),
        photo=photo,
        notes=(*made.notes, f"ground and roofs: pixels of {names}"),
    )


def _under_eaves(building: Building) -> Building:
    """The building with its walls so far inside that its roof ends where the footprint, seen from above, does."""
    if building.roof == "flat" or building.faces or building.holes:
        return replace(building, overhang=0.0)
    walls = shapely.Polygon(building.footprint).buffer(-EAVES, join_style="mitre")
    if not isinstance(walls, shapely.Polygon) or walls.area < 0.6 * shapely.Polygon(building.footprint).area:
        return replace(building, overhang=0.0)
    return replace(building, overhang=EAVES, footprint=plane.ring(shapely.get_coordinates(walls.exterior)[:-1]))


def light(likeness: Likeness, data: twin.Place, sensor: Sensor) -> Light:
    """The light in the image: the sun as stated, or estimated from the shadows of the buildings in its middle; and how
    dark those shadows are, which stands as `overcast`.
    """
    rows, columns = (_middle(length) for length in likeness.geobox.shape)
    geobox = likeness.geobox[rows, columns]
    image, valid = likenesses.reflectance(likeness, geobox, sensor)
    bright = image.mean(axis=-1)
    roofs = np.zeros(geobox.shape, bool)
    shapes = twin.footprints(data, geobox.boundingbox.bbox)
    if shapes:
        roofs = features.rasterize(shapes, geobox.shape, transform=geobox.affine).astype(bool) & valid
    azimuth, elevation = likeness.sun or shade.sun_of(bright, roofs, valid, likeness.gsd)
    found = Light(sun_azimuth=round(azimuth, 1), sun_elevation=round(elevation, 1))
    clear = sun.skylight(found)
    dull = (shade.left_in_shadow(bright, roofs, valid, likeness.gsd, azimuth) - clear) / (1 - clear)
    return replace(found, overcast=round(float(np.clip(dull, 0.0, 1.0)), 2))


def _middle(length: int) -> slice:
    first = max(0, (length - WIDEST) // 2)
    return slice(first, min(length, first + WIDEST))


def _lean(likeness: Likeness) -> tuple[float, float]:
    run = float(np.tan(np.radians(likeness.view.off_nadir)))
    azimuth = np.radians(likeness.view.azimuth)
    return run * float(np.sin(azimuth)), run * float(np.cos(azimuth))


def _taken_apart(
    image: Values,
    valid: Mask,
    geobox: GeoBox,
    buildings: tuple[Building, ...],
    sunlight: Light,
    lean: tuple[float, float],
    rng: np.random.Generator,
) -> Photo:
    """Roofs and ground of an image, the ground without the shadows of buildings."""
    gsd = float(geobox.resolution.x)
    heights = _heights(buildings, geobox.shape, gsd, (0.0, 0.0))
    leaning = _heights(buildings, geobox.shape, gsd, lean)
    standing = (heights > 0) | (leaning > 0)
    roofs_known = ndimage.binary_erosion(leaning > 0, iterations=RIM - 1) & valid
    around = ndimage.binary_dilation(standing, iterations=RIM)
    shaded = shade.cast(heights, gsd, sunlight.sun_azimuth, LONGER * sunlight.sun_elevation)
    shaded = ndimage.binary_dilation(shaded, iterations=2) & ~standing
    lit = ~around & valid
    even = shade.lifted(image, shaded, lit, gsd)
    ground = shade.filled(even, ~ndimage.binary_dilation(standing, iterations=1) & valid, rng)
    roofs = shade.filled(image, roofs_known, rng)
    roofs = np.where(roofs_known[..., None], image, _nearest(image, roofs_known, roofs))
    return Photo(ground=_rounded(ground), roofs=_rounded(roofs), light=sunlight, lean=lean)


def _nearest(image: Values, known: Mask, otherwise: Values) -> Values:
    """Each pixel as the nearest known one; `otherwise` where there is none at all."""
    if not known.any():
        return otherwise
    rows, columns = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    near: Values = image[rows, columns]
    return near


def _rounded(values: Values) -> Values:
    """To half precision, in which it takes half the space on disk."""
    return values.clip(0.005, 0.95).astype(np.float16).astype(np.float32)


def _heights(buildings: tuple[Building, ...], shape: tuple[int, int], gsd: float, lean: tuple[float, float]) -> Values:
    """(rows, columns) height of roofs, m, as imaged under a lean: eaves, and from there as steep as the roof is."""
    if not buildings:
        return np.zeros(shape, np.float32)
    affine = Affine(gsd, 0, 0, 0, -gsd, shape[0] * gsd)
    plans = [
        shapely.affinity.translate(
            shapely.Polygon(one.footprint, one.holes).buffer(one.overhang), -lean[0] * one.height, -lean[1] * one.height
        )
        for one in buildings
    ]
    order = np.argsort([one.height for one in buildings], kind="stable")
    number = features.rasterize([(plans[i], int(i) + 1) for i in order], shape, transform=affine, dtype="int32")
    eaves = np.array([0.0, *(one.height for one in buildings)], np.float32)
    pitch = [0.0, *(0.0 if one.roof == "flat" else one.pitch for one in buildings)]
    slope = np.tan(np.radians(pitch)).astype(np.float32)
    inward = np.asarray(ndimage.distance_transform_edt(number > 0), np.float32) * gsd
    heights: Values = eaves[number] + slope[number] * inward
    return heights


def revisited(scene: Scene, rng: np.random.Generator) -> Scene:
    """The same place on another date: plants in other colours."""
    if scene.photo is None:
        return scene
    gain = tuple(float(rng.uniform(*span)) for span in GREENER)
    return replace(scene, photo=photos.tinted(scene.photo, (gain[0], gain[1], gain[2])))


def shown(scene: Scene, hit: Scene | None = None) -> Scene:
    """A scene of `before` as it is drawn: its trees are in the image, but for those that a hazard changed in `hit`.

    Trees that burnt are drawn only where the image shows crowns, as others' places are invented.
    """
    if hit is None:
        return replace(scene, trees=())
    unchanged = set(scene.trees)
    changed = [tree for tree in hit.trees if tree not in unchanged]
    if scene.photo is None or not any(tree.state in BURNT for tree in changed):
        return replace(hit, trees=tuple(changed))
    crowns = photos.growth_of(scene.photo, scene.size).crowns
    under = raster.sample(scene, crowns, [tree.x for tree in changed], [tree.y for tree in changed])
    drawn = (tree for tree, crown in zip(changed, under, strict=True) if crown > 0.5 or tree.state not in BURNT)
    return replace(hit, trees=tuple(drawn))
