"""The pictures of docs/hazards.md: before, after and truth of pairs of every hazard, and buildings by grade.

    python benchmarks/hazard_pictures.py ../shared out/joplin/real/pre OUT

`out/joplin/real` is the real catalogue that the README makes. Renders into OUT what is not there yet by the commands
of docs/hazards.md, checks it, and writes OUT/hazard-<name>.jpg (a row a pair: before, after, truth) and
OUT/hazard-grades.jpg: after each hazard a row of buildings of each grade, and a row of the real photograph of Joplin
with the grades that the xView2 winner gave. OUT/hazard-hybrids.jpg is the photograph of Kampala as it is and after a
flood, an earthquake and a fire. About thirty seconds of a processor a pair.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from mage_stac.classes import DAMAGE_CLASSES, rgb

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.generic]
BIN = Path(sys.executable).parent / "mage-stac"
GROUND, FLOOD, WATER, BURNT, DEBRIS = (64, 64, 64), (70, 120, 200), (25, 45, 95), (20, 20, 20), (110, 90, 70)
HIDDEN = (255, 255, 255)
EACH = 4
"""Buildings of a grade in a row of the sheet."""
CROP = 40.0
"""Side of the ground around each of them, m."""
TILE = 84
"""Side of its picture, pixels."""
LEAST = 15.0
"""Roof seen of a building that is shown, m2."""
GAP = 4
LARGEST = 300_000
"""Bytes of a picture."""


def commands(shared: Path, real: Path) -> dict[str, tuple[str, ...]]:
    """Options of `render` by name, as docs/hazards.md has them."""
    twins, joplin = shared / "data" / "twins", shared / "data" / "joplin"
    norcia = twins / "norcia" / "EMSR190_10NORCIA_GRADING_OVERVIEW-MONIT02_v1_vector.zip"
    delft = twins / "delft" / "delft.json"
    return {
        "earthquake": (
            *("--place", str(norcia), "--event", "norcia-2016"),
            *("--seed", "13", "--pairs", "2", "--size", "320", "--undamaged", "0"),
        ),
        "flood": (
            *("--place", str(delft), "--hazard", "flood"),
            *("--seed", "1", "--pairs", "2", "--size", "256", "--gsd", "0.5"),
        ),
        "flood-low": (
            *("--place", str(delft), "--hazard", "flood", "--intensity", "0.5"),
            *("--seed", "1", "--size", "256", "--samples", "4", "--undamaged", "0"),
        ),
        "fire": ("--hazard", "fire", "--seed", "0", "--pairs", "2", "--size", "320", "--gsd", "0.6"),
        "wind": (
            *("--like", str(real), "--place", str(joplin / "joplin_damage_pseudolabel.geojson"), "--hazard", "wind"),
            *("--seed", "3", "--pairs", "2", "--size", "384", "--undamaged", "0.1"),
        ),
        "smoke": (
            *("--hazard", "fire", "--set", "smoke=true", "--set", "hours=0.8"),
            *("--seed", "0", "--size", "256", "--undamaged", "0"),
        ),
    }


def hybrids(shared: Path, out: Path) -> None:
    """One place in its own pixels: before, and after three hazards."""
    kampala, real = shared / "data" / "kampala", out / "kampala"
    given = (kampala / "kampala_rgb_z21.tif", "--datetime", "2020-01-01", "--sensor", "aerial-rgb", "--out", real)
    subprocess.run([BIN, "ingest", *given], check=True)
    like = ("--like", str(real), "--place", str(kampala / "kampala_buildings.geojson"), "--gsd", "0.3")
    how = (*like, "--seed", "4", "--pairs", "2", "--size", "384", "--undamaged", "0")
    struck = (("flood", 1), ("earthquake", 0), ("fire", 1))
    pairs = [render(out / f"hybrid-{hazard}", ("--hazard", hazard, *how))[number] for hazard, number in struck]
    images = [photo(part(pairs[0], "pre", "visual.tif")), *(photo(part(pair, "post", "visual.tif")) for pair in pairs)]
    gap = np.full((images[0].shape[0], GAP, 3), 255, np.uint8)
    row = [images[0], *(piece for image in images[1:] for piece in (gap, image))]
    save(out / "hazard-hybrids.jpg", Image.fromarray(np.concatenate(row, axis=1)))


def render(folder: Path, options: tuple[str, ...]) -> list[Path]:
    """The folders of the pairs, without their endings -pre, -post and -label."""
    subprocess.run([BIN, "render", *options, "--out", folder], check=True)
    subprocess.run([BIN, "check", folder], check=True)
    labels = sorted(folder.glob("*-pairs/*-label"))
    return [label.with_name(label.name.removesuffix("-label")) for label in labels]


def read(path: Path, bands: int | list[int] = 1) -> Pixels:
    with rasterio.open(path) as source:
        return np.asarray(source.read(bands))


def photo(path: Path) -> Pixels:
    return np.moveaxis(read(path, [1, 2, 3]), 0, -1)


def part(pair: Path, phase: str, file: str) -> Path:
    return pair.with_name(f"{pair.name}-{phase}") / file


def truth(pair: Path) -> Pixels:
    """Grades over water, burnt ground and debris; white what an image does not show."""
    keys = ("damage", "water", "burnt", "debris")
    grade, water, burnt, debris = (read(part(pair, "label", f"{key}.tif")) for key in keys)
    picture = np.full((*grade.shape, 3), GROUND, np.uint8)
    for mask, colour in ((debris == 1, DEBRIS), (burnt == 1, BURNT), (water == 1, FLOOD), (water == 2, WATER)):
        picture[mask] = colour
    for entry in DAMAGE_CLASSES:
        if entry.value in {1, 2, 3, 4}:
            picture[grade == entry.value] = rgb(entry.colour)
    picture[grade == 255] = HIDDEN
    return picture


def rows_of(path: Path, pairs: list[Path]) -> None:
    """A row for each pair: before, after, truth."""
    rows = []
    for pair in pairs:
        before, after = (photo(part(pair, phase, "visual.tif")) for phase in ("pre", "post"))
        gap = np.full((before.shape[0], GAP, 3), 255, np.uint8)
        rows.append(np.concatenate([before, gap, after, gap, truth(pair)], axis=1))
        rows.append(np.full((GAP, rows[0].shape[1], 3), 255, np.uint8))
    save(path, Image.fromarray(np.concatenate(rows[:-1])))


def save(path: Path, picture: Image.Image) -> None:
    """As good a JPEG as LARGEST bytes hold."""
    for quality in range(88, 40, -4):
        picture.save(path, quality=quality, optimize=True)
        if path.stat().st_size < LARGEST:
            return


def crops(image: Pixels, label: Numbers, grade: Numbers, wanted: int, gsd: float) -> list[Pixels]:
    """Buildings of a grade, cut out around their middles as far as the image goes, from large to small."""
    side = round(CROP / gsd)
    found = []
    for number, window in enumerate(ndimage.find_objects(label.astype(int)), start=1):
        if window is None:
            continue
        own = label[window] == number
        if own.sum() * gsd**2 < LEAST or np.median(grade[window][own]) != wanted:
            continue
        top, left = (
            int(np.clip((one.start + one.stop - side) / 2, 0, size - side))
            for one, size in zip(window, image.shape[:2], strict=True)
        )
        found.append((int(own.sum()), top, left))
    found.sort(reverse=True)
    # The largest are often several buildings in one.
    found = found[len(found) // 8 :]
    chosen = [found[i] for i in _spread(len(found))]
    return [image[top : top + side, left : left + side] for _, top, left in chosen]


def sheet(path: Path, rows: dict[str, dict[int, list[Pixels]]]) -> None:
    """A row for each name, with its crops by grade."""
    wide = EACH * (TILE + 2) + 10
    page = Image.new("RGB", (70 + 4 * wide, 16 + len(rows) * (TILE + 4)), "white")
    draw = ImageDraw.Draw(page)
    for grade in (1, 2, 3, 4):
        draw.text((70 + (grade - 1) * wide, 2), DAMAGE_CLASSES[grade].name, fill="black")
    for number, (name, found) in enumerate(rows.items()):
        top = 16 + number * (TILE + 4)
        draw.text((2, top + TILE // 2), name, fill="black")
        for grade, some in found.items():
            for place, crop in enumerate(some[:EACH]):
                left = 70 + (grade - 1) * wide + place * (TILE + 2)
                page.paste(Image.fromarray(crop).resize((TILE, TILE), Image.Resampling.BICUBIC), (left, top))
    save(path, page)


def graded(pairs: list[Path]) -> dict[int, list[Pixels]]:
    """Crops by grade from the images after the event."""
    found: dict[int, list[Pixels]] = {grade: [] for grade in (1, 2, 3, 4)}
    for pair in pairs:
        with rasterio.open(part(pair, "post", "image.tif")) as source:
            gsd = float(source.res[0])
        label, grade = (read(part(pair, "label", file)) for file in ("instance.tif", "damage.tif"))
        image = photo(part(pair, "post", "visual.tif"))
        for wanted, some in found.items():
            some.extend(crops(image, label, grade, wanted, gsd))
    return {wanted: [some[i] for i in _spread(len(some))] for wanted, some in found.items()}


def _spread(count: int) -> list[int]:
    """At most EACH positions among `count`, evenly."""
    return sorted(set(np.linspace(0, count - 1, min(EACH, count)).round().astype(int).tolist()))


def main(shared: Path, real: Path, out: Path) -> None:
    pairs = {name: render(out / name, options) for name, options in commands(shared, real).items()}
    draw(pairs, shared, out)
    hybrids(shared, out)


def draw(pairs: dict[str, list[Path]], shared: Path, out: Path) -> None:
    """All pictures of the pairs by name."""
    together = {**pairs, "flood": pairs["flood-low"] + pairs["flood"]}
    del together["flood-low"]
    for name, some in together.items():
        rows_of(out / f"hazard-{name}.jpg", some)
    rows = {name: graded(some) for name, some in together.items() if name != "smoke"}
    joplin = shared / "data" / "joplin"
    grade, image = read(joplin / "joplin_damage_pseudolabel_60cm.tif"), photo(joplin / "joplin_post_60cm.tif")
    label = ndimage.label(grade)[0]
    rows["photograph"] = {wanted: crops(image, label, grade, wanted, 0.6) for wanted in (1, 2, 3, 4)}
    sheet(out / "hazard-grades.jpg", rows)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
