"""Pictures for people: damage in colours, damage over a photograph, panels side by side with captions and a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mage_stac.classes import DAMAGE_CLASSES, NOT_OBSERVED, Classes, colour_table, rgb
from mage_stac.cog import writing

Rgb = NDArray[np.uint8]
"""(y, x, 3)"""

SIDE = 480
"""Pixels along the longer side of a panel unless said otherwise."""
GAP = 12
LINE = 26
"""Height of a caption and of a line of the legend."""
TEXT = 15
INK, EDGE, PAPER = (32, 32, 32), (176, 176, 176), (255, 255, 255)

OPACITY = 0.5
"""Of the colours over a photograph: what lies below must stay readable."""
HATCH = 8
"""Pixels between the stripes that mark what was not observed."""


def classes(damage: NDArray[np.uint8]) -> Rgb:
    """Damage classes (y, x) in their colours: background dark grey, not observed white."""
    table = np.full((256, 3), 255, np.uint8)
    for value, colour in colour_table(DAMAGE_CLASSES).items():
        table[value] = colour
    coloured: Rgb = table[damage]
    return coloured


def overlay(photograph: Rgb, damage: NDArray[np.uint8], opacity: float = OPACITY) -> Rgb:
    """A photograph with the buildings of a damage map (y, x) laid over it.

    Grades 1-4 shine through in their colours within an outline; background stays as it is; what was not observed is
    striped white.
    """
    graded = (damage > 0) & (damage != NOT_OBSERVED)
    mixed = photograph * (1 - opacity) + classes(damage) * opacity
    shown = np.where(graded[..., None], mixed, photograph)
    shown[_borders(damage) & graded] = classes(damage)[_borders(damage) & graded]
    rows, columns = np.indices(damage.shape)
    shown[(damage == NOT_OBSERVED) & ((rows + columns) % HATCH == 0)] = 255
    return np.rint(shown).astype(np.uint8)


def _borders(damage: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels with another class above, below, left or right of them."""
    around = np.pad(damage, 1, mode="edge")
    sides = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    border: NDArray[np.bool_] = np.logical_or.reduce([side != damage for side in sides])
    return border


def panel(
    out: Path, titles: Sequence[str], images: Sequence[Rgb], *, columns: int | None = None, side: int = SIDE,
    legend: bool = True, told: Classes = DAMAGE_CLASSES,
) -> None:  # fmt: skip
    """Write a PNG of equal panels with captions above and the legend of classes below.

    Args:
        out: the file; appears whole or not at all.
        titles: captions, one an image.
        images: of any size; each is scaled to fit its panel.
        columns: panels in a row; all of them unless given.
        side: pixels along the longer side of a panel.
        legend: whether to draw it.
        told: the classes in it.

    Raises:
        ValueError: as many titles as images are needed, and at least one.
        CatalogueError: the disk refuses.
    """
    if not images or len(titles) != len(images):
        raise ValueError(f"{len(titles)} titles for {len(images)} images")
    across = min(columns or len(images), len(images))
    down = math.ceil(len(images) / across)
    tall = max(image.shape[0] / max(image.shape[:2]) for image in images)
    wide = max(image.shape[1] / max(image.shape[:2]) for image in images)
    width, height = max(1, round(side * wide)), max(1, round(side * tall))
    whole, pictures = GAP + across * (width + GAP), GAP + down * (LINE + height + GAP)
    keys = _legend_places(whole, told) if legend else []
    sheet = Image.new("RGB", (whole, pictures + LINE * (keys[-1][1] + 1 if keys else 0)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, (title, image) in enumerate(zip(titles, images, strict=True)):
        left = GAP + place % across * (width + GAP)
        top = GAP + place // across * (LINE + height + GAP)
        draw.text((left, top), _fitting(draw, title, width), INK, _font())
        fitted = _scaled(image, width, height)
        x, y = left + (width - fitted.width) // 2, top + LINE + (height - fitted.height) // 2
        if title or legend:  # blank cells of a contact sheet stay blank
            draw.rectangle((x - 1, y - 1, x + fitted.width, y + fitted.height), outline=EDGE)
        sheet.paste(fitted, (x, y))
    if keys:
        _legend(draw, pictures, keys, told)
    partial = out.with_name(f".{out.name}.partial")
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            sheet.save(partial, format="PNG")
            partial.replace(out)
        finally:
            partial.unlink(missing_ok=True)


def contact_sheet(
    out: Path, rows: Sequence[tuple[str, Sequence[Rgb]]], *, side: int = 192, legend: Classes = ()
) -> None:
    """Write a PNG of many images, a row for each name; shorter rows end in white. See `panel`."""
    across = max((len(images) for _, images in rows), default=0)
    blank = np.full((side, side, 3), 255, np.uint8)
    titles: list[str] = []
    cells: list[Rgb] = []
    for name, images in rows:
        titles += [name, *[""] * (across - 1)]
        cells += [*images, *[blank] * (across - len(images))]
    panel(out, titles, cells, columns=across, side=side, legend=bool(legend), told=legend)


def _scaled(image: Rgb, width: int, height: int) -> Image.Image:
    """Fitted into a box: averaged when it shrinks, in whole blocks of one colour when it grows."""
    factor = min(width / image.shape[1], height / image.shape[0])
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return Image.fromarray(image).resize(size, Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX)


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(TEXT)


def _fitting(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """The text, cut with an ellipsis if it is wider than its panel."""
    if draw.textlength(text, _font()) <= width:
        return text
    while text and draw.textlength(f"{text}…", _font()) > width:
        text = text[:-1]
    return f"{text}…"


def _legend_places(width: int, classes: Classes) -> list[tuple[int, int]]:
    """Left edge and line, from 0, of each class's entry in a legend that is so wide: as many lines as it takes."""
    places: list[tuple[int, int]] = []
    left, line = GAP, 0
    for entry in classes:
        needed = TEXT + 6 + math.ceil(_font().getlength(_said(entry.name)))
        if left > GAP and left + needed > width:
            left, line = GAP, line + 1
        places.append((left, line))
        left += needed + 2 * GAP
    return places


def _said(name: str) -> str:
    return name.replace("-", " ")


def _legend(draw: ImageDraw.ImageDraw, first: int, places: Sequence[tuple[int, int]], classes: Classes) -> None:
    """Swatches with names from the pixel row `first` downwards."""
    for entry, (left, line) in zip(classes, places, strict=True):
        top = first + line * LINE
        draw.rectangle((left, top, left + TEXT, top + TEXT), fill=rgb(entry.colour), outline=INK)
        draw.text((left + TEXT + 6, top - 1), _said(entry.name), INK, _font())
