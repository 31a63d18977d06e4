"""Water on the Vega Baja chip: indices with Otsu's threshold beside a map of ours, in numbers and as a picture.

python benchmarks/water.py [--map out/spain/predictions/predictions/water-...] [--picture docs/spain.jpg] [--halves]

The label is read here alone, after the map was made. With --halves, also what labels are worth: a small network that
learns from the label of one half of the chip maps the other, from spectra and from means around each pixel.
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

CHIP = Path("../shared/data/sen1floods11_spain")
STEM = "Spain_7370579"
STEPS = 500
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


def halves(features: NDArray[np.floating], truth: NDArray[Any]) -> float:
    """IoU of both halves, east and west, each mapped by a network that learnt from the label of the other."""
    import torch

    torch.set_num_threads(1)
    columns = np.broadcast_to(np.arange(truth.shape[1]) < truth.shape[1] // 2, truth.shape).ravel()
    rows = features.reshape(len(features), -1).T
    rows = torch.from_numpy(((rows - rows.mean(0)) / rows.std(0)).astype(np.float32))
    wet, said = torch.from_numpy((truth.ravel() == 1).astype(np.float32)), np.zeros(truth.size, bool)
    for here in (columns, ~columns):
        torch.manual_seed(0)
        known = torch.from_numpy(np.flatnonzero(~here & (truth.ravel() >= 0)))
        size, layer = rows.shape[1], torch.nn.Linear
        network = torch.nn.Sequential(
            layer(size, 48), torch.nn.ReLU(), layer(48, 48), torch.nn.ReLU(), layer(48, 1), torch.nn.Flatten(0)
        )
        optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, STEPS)
        for _ in range(STEPS):
            drawn = known[torch.randint(len(known), (2048,))]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(network(rows[drawn]), wet[drawn])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            said[here] = (network(rows[torch.from_numpy(here.copy())]) > 0).numpy()
    return iou(said.reshape(truth.shape), truth)


def yardsticks(optical: NDArray[np.floating], radar: NDArray[np.floating], truth: NDArray[Any]) -> dict[str, float]:
    """What the label of the other half is worth to each sensor."""
    spectra = optical[[1, 2, 3, 7, 11, 12]]
    around = np.concatenate([spectra, *(ndimage.gaussian_filter(spectra, (0, size, size)) for size in (1, 2.5, 6))])
    power = 10 ** (radar / 10)
    smooth = [10 * np.log10(ndimage.gaussian_filter(power, (0, size, size))) for size in (0.7, 1.2, 2, 4, 8)]
    return {
        "Sentinel-2, spectra": halves(spectra, truth),
        "Sentinel-2, spectra and around": halves(around, truth),
        "Sentinel-1, VV around": halves(np.stack([one[0] for one in smooth]), truth),
        "Sentinel-1, VV and VH around": halves(np.concatenate(smooth), truth),
    }


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
    parser.add_argument("--halves", action="store_true", help="also learn from the label of each half; for comparison")
    chosen = parser.parse_args()
    optical, radar, truth = read("S2Hand") / 1e4, read("S1Hand"), read("LabelHand")[0]
    mndwi = (optical[2] - optical[11]) / np.maximum(optical[2] + optical[11], 1e-4)
    found = {"MNDWI": mndwi, "VV": -radar[0], "VH": -radar[1]}
    for name, values in found.items():
        level = otsu(values)
        print(f"{name}: Otsu {iou(values > level, truth):.3f} at {level:.3f}, best {best(values, truth):.3f}")
    if chosen.halves:
        for name, value in yardsticks(optical, radar, truth).items():
            print(f"label of the other half, {name}: {value:.3f}")
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
