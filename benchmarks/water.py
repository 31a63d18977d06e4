"""Water on the Vega Baja chip: indices with Otsu's threshold beside a map of ours, in numbers and as a picture.

python benchmarks/water.py [--map out/spain/predictions/predictions/water-...] [--picture docs/spain.jpg]

The label is read here alone, after the map was made.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw

CHIP = Path("../shared/data/sen1floods11_spain")
STEM = "Spain_7370579"
WET, DRY, UNKNOWN = (43, 140, 190), (64, 64, 64), (255, 255, 255)


def read(name: str) -> NDArray[Any]:
    with rasterio.open(CHIP / f"{STEM}_{name}.tif") as source:
        return source.read()


def otsu(values: NDArray[np.floating]) -> float:
    """Threshold of largest variance between the two sides (Otsu 1979), over 512 bins."""
    counts, edges = np.histogram(values, 512)
    middle = (edges[1:] + edges[:-1]) / 2
    below, total = np.cumsum(counts), counts.sum()
    first = np.cumsum(counts * middle)
    share = below / total
    mean = first[-1] / total
    spread = (mean * share - first / total) ** 2 / np.maximum(share * (1 - share), 1e-12)
    return float(middle[int(spread[:-1].argmax())])


def iou(said: NDArray[np.bool_], truth: NDArray[Any]) -> float:
    known, wet = truth >= 0, truth == 1
    return float((said & wet & known).sum() / ((said | wet) & known).sum())


def best(values: NDArray[np.floating], truth: NDArray[Any]) -> float:
    """IoU of the best threshold in hindsight."""
    return max(iou(values > level, truth) for level in np.quantile(values, np.linspace(0.4, 0.95, 56)))


def colours(said: NDArray[np.bool_], truth: NDArray[Any] | None = None) -> NDArray[np.uint8]:
    picture = np.where(said[..., None], WET, DRY)
    return (picture if truth is None else np.where((truth < 0)[..., None], UNKNOWN, picture)).astype(np.uint8)


def composite(bands: NDArray[np.floating], top: tuple[float, ...]) -> NDArray[np.uint8]:
    scaled = np.moveaxis(bands, 0, -1) / top
    return (255 * np.clip(scaled, 0, 1)).astype(np.uint8)


def panel(path: Path, parts: dict[str, NDArray[np.uint8]]) -> None:
    size, head = 400, 24
    sheet = Image.new("RGB", (size * len(parts) + 6 * (len(parts) - 1), size + head), "white")
    for number, (title, part) in enumerate(parts.items()):
        sheet.paste(Image.fromarray(part).resize((size, size), Image.Resampling.BOX), (number * (size + 6), head))
        ImageDraw.Draw(sheet).text((number * (size + 6) + 4, 6), title, fill="black")
    sheet.save(path, quality=85)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--map", type=Path, help="folder of a water map's Item")
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    optical, radar, truth = read("S2Hand") / 1e4, read("S1Hand"), read("LabelHand")[0]
    mndwi = (optical[2] - optical[11]) / np.maximum(optical[2] + optical[11], 1e-4)
    found = {"MNDWI": mndwi, "VV": -radar[0], "VH": -radar[1]}
    for name, values in found.items():
        level = otsu(values)
        print(f"{name}: Otsu {iou(values > level, truth):.3f} at {level:.3f}, best {best(values, truth):.3f}")
    parts = {
        "Sentinel-2, true colour": composite(optical[[3, 2, 1]] - 0.04, (0.2, 0.2, 0.2)),
        "short-wave and near infrared, red": composite(optical[[11, 7, 3]], (0.35, 0.4, 0.25)),
        "label (by hand)": colours(truth == 1, truth),
        f"MNDWI and Otsu: IoU {iou(mndwi > otsu(mndwi), truth):.3f}": colours(mndwi > otsu(mndwi)),
    }
    if chosen.map is not None:
        with rasterio.open(chosen.map / "water.tif") as source:
            ours = source.read(1) == 1
        print(f"map: {iou(ours, truth):.3f}")
        parts[f"ours, no real label: IoU {iou(ours, truth):.3f}"] = colours(ours)
    if chosen.picture is not None:
        panel(chosen.picture, parts)


if __name__ == "__main__":
    main()
