"""A small survey image of houses with shadows, whose truth is known: for the tests of hybrids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pystac
from imagery import box, write_image
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio import features
from scipy import ndimage
from shapely import Polygon, affinity
from shapely import box as rectangle

AZIMUTH, ELEVATION, HEIGHT = 215.0, 40.0, 4.5
"""Of the sun, degrees, and of the houses, m."""
GROUND, ROOF = (0.10, 0.12, 0.08), (0.24, 0.17, 0.14)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The image in several states, (rows, columns, 3) reflectance, and where the houses are."""

    geobox: GeoBox
    houses: tuple[Polygon, ...]
    roofs: NDArray[np.bool_]
    shaded: NDArray[np.bool_]
    bare: NDArray[np.float32]
    """The ground without houses."""
    image: NDArray[np.float32]


def survey(size: int = 160, step: float = 0.6) -> Survey:
    """Houses of 9 x 15 m on a lawn with a little texture; their shadows by the sun's geometry, a quarter as bright."""
    geobox = box(size, size, step=step)
    west, north = geobox.affine.c, geobox.affine.f
    houses = tuple(
        affinity.rotate(rectangle(x, y, x + 15, y + 9), 10)
        for x in np.arange(west + 18, west + size * step - 30, 30)
        for y in np.arange(north - size * step + 18, north - 25, 28)
    )
    roofs = features.rasterize(houses, (size, size), transform=geobox.affine).astype(bool)
    away, length = np.radians(AZIMUTH + 180), HEIGHT / np.tan(np.radians(ELEVATION))
    shaded = np.zeros_like(roofs)
    for share in np.linspace(0.05, 1, 20):
        moved = [
            affinity.translate(one, share * length * np.sin(away), share * length * np.cos(away)) for one in houses
        ]
        shaded |= features.rasterize(moved, (size, size), transform=geobox.affine).astype(bool)
    shaded &= ~roofs
    texture = 1 + 0.1 * ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((size, size)), 1.0)
    bare = (texture[..., None] * np.array(GROUND)).astype(np.float32)
    image = np.where(shaded[..., None], 0.25 * bare, bare)
    image = np.where(roofs[..., None], np.array(ROOF, np.float32), image)
    return Survey(geobox=geobox, houses=houses, roofs=roofs, shaded=shaded, bare=bare, image=image)


def publish(root: Path, made: Survey) -> tuple[pystac.Item, Path]:
    """The image as an Item as a producer would make it (aerial-rgb), and the footprints as GeoJSON in degrees."""
    # The tone curve below its shoulder: v = (1.8 reflectance) ** (1 / 2.2).
    picture = np.rint(255 * np.clip(1.8 * made.image, 0, 1) ** (1 / 2.2)).astype(np.uint8)
    item = write_image(root, "before", np.moveaxis(picture, -1, 0), made.geobox)
    path = root / "houses.geojson"
    gpd.GeoDataFrame(geometry=list(made.houses), crs=str(made.geobox.crs)).to_crs("EPSG:4326").to_file(path)
    return item, path
