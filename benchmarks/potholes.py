"""Water of the North Dakota quarter, 2009 and 2017: NDWI with Otsu's threshold beside a map of ours.

python benchmarks/potholes.py out/dakota/maps/predictions [--picture docs/dakota.jpg]

Nobody labelled this place: the index is a proxy, plain to the eye over open lakes and poor over black and overgrown
ponds. Agreement is printed whole, and without the index's borders (its outermost pixels and those beside them).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from water import colours, otsu

PLACE = Path("../shared/data/naip_north_dakota")
DATES = {"pre": "20090818", "post": "20170827"}
OURS, INDEX = (255, 150, 0), (200, 0, 160)
"""Where one alone says water."""
WIDE, HEAD = 400, 20


def ndwi(image: NDArray[Any]) -> NDArray[np.floating]:
    """McFeeters 1996: green against near infrared, here of tone-mapped numbers."""
    green, infrared = image[1].astype(float), image[3].astype(float)
    return (green - infrared) / np.maximum(green + infrared, 1)


def agreement(said: NDArray[np.bool_], index: NDArray[np.bool_]) -> str:
    border = ndimage.binary_dilation(index) ^ ndimage.binary_erosion(index)
    whole, inside = (
        (said & index & kept).sum() / ((said | index) & kept).sum() for kept in (np.ones_like(index), ~border)
    )
    return f"IoU {whole:.3f} ({inside:.3f} without borders), ours {said.mean():.3f} of the ground"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, help="folder with water-pre and water-post")
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    rows = []
    for name, date in DATES.items():
        with rasterio.open(PLACE / f"m_4709963_se_14_1_{date}.tif") as source:
            image = source.read()
        with rasterio.open(chosen.maps / f"water-{name}" / "water.tif") as source:
            said = source.read(1) == 1
        values = ndwi(image)
        level = otsu(values)
        index = values > level
        print(f"{date}: {agreement(said, index)}; NDWI above {level:.3f}, {index.mean():.3f}")
        apart = colours(said & index)
        apart[said & ~index], apart[index & ~said] = OURS, INDEX
        rows.append([np.moveaxis(image[:3], 0, -1), np.moveaxis(image[[3, 0, 1]], 0, -1), apart])
    if chosen.picture is not None:
        high = round(WIDE * rows[0][0].shape[0] / rows[0][0].shape[1])
        sheet = Image.new("RGB", (3 * WIDE + 12, 2 * (high + HEAD)), "white")
        for row, (date, parts) in enumerate(zip(DATES.values(), rows, strict=True)):
            titles = (date[:4], "near infrared, red, green", "water: blue both, orange ours, purple the index alone")
            for column, (title, part) in enumerate(zip(titles, parts, strict=True)):
                left, top = column * (WIDE + 6), row * (high + HEAD)
                ImageDraw.Draw(sheet).text((left + 4, top + 4), title, fill="black")
                sheet.paste(Image.fromarray(part).resize((WIDE, high), Image.Resampling.BOX), (left, top + HEAD))
        sheet.save(chosen.picture, quality=82)


if __name__ == "__main__":
    main()
