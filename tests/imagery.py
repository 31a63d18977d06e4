"""Small catalogues of imagery for the tests of the catalogue's modules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pystac
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import catalogue, publish, sensors

UTM = "EPSG:32615"


def box(rows: int, columns: int, *, x: float = 500_000, y: float = 4_100_000, step: float = 0.6) -> GeoBox:
    return GeoBox((rows, columns), Affine(step, 0, x, 0, -step, y), UTM)


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(1, 255, shape, dtype="uint8")


def smooth(rows: int, columns: int, *, x: float = 0, y: float = 0) -> NDArray[np.uint8]:
    """A picture (3, rows, columns) that follows the place (pixels from x, y), so that neighbours fit together."""
    row, column = np.mgrid[y : y + rows, x : x + columns].astype(float)
    waves = [np.sin(row / 9 + band) + np.cos(column / 7 - band) for band in range(3)]
    return np.rint(120 + 50 * np.stack(waves)).astype("uint8")


def write_image(
    root: Path,
    name: str,
    image: NDArray[np.uint8],
    geobox: GeoBox,
    *,
    nodata: float | None = None,
    collection: str = "c",
) -> pystac.Item:
    with catalogue.staged(root, collection, name) as folder:
        publish.write_cog(folder / "image.tif", image, geobox, nodata=nodata)
        sensor = sensors.read("aerial-rgb")
        item = publish.imagery_item(id=name, geobox=geobox, datetime="2020-06-01", sensor=sensor, folder=folder)
        item.collection_id = collection
        catalogue.write_item(folder, item)
    return catalogue.read_item(root / collection / name)


def index(root: Path, *collections: str) -> None:
    names = collections or ("c",)
    catalogue.index(root, id="test", title="Test", collections={name: {"title": name.upper()} for name in names})


def write_raster(path: Path, array: NDArray[np.generic], geobox: GeoBox, **profile: object) -> Path:
    """A plain GeoTIFF (bands, y, x), as a user may have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = array.shape
    options = {
        "driver": "GTiff",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": array.dtype.name,
        **profile,
    }
    with rasterio.open(path, "w", crs=str(geobox.crs), transform=geobox.affine, **options) as target:
        target.write(array)
    return path
