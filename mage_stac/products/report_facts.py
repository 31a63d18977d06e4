"""Facts of a report: what a prediction Item, its products and its sources say, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pystac
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from mage_stac import catalogue, grid, hrefs
from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import CatalogueError, MageStacError
from mage_stac.products import areas, buildings, units, wilson
from mage_stac.products.report_pictures import Pictures, drawn, round_length
from mage_stac.products.units import Units
from mage_stac.raster import opened, strips
from mage_stac.score import Scores, Table

CELLS = 8
"""Cells along the longer side of the map where no areas are given."""

UPRIGHT = 5.0
"""Degrees by which north may lie beside up where it is called that: UTM's lies up to three beside it in a zone."""

NUDGE = 1e-4
"""Degrees of latitude along which north is looked for: some ten metres."""

LONLAT = CRS("EPSG:4326")


@dataclass(frozen=True, kw_only=True, slots=True)
class Origins:
    """What a prediction was made from, as far as it can be read."""

    before: tuple[pystac.Item, ...]
    after: tuple[pystac.Item, ...]
    model: pystac.Item | None
    lost: tuple[str, ...]
    """Titles of those that are no longer where the Item says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """All that a report tells, whatever its format."""

    item: pystac.Item
    geobox: GeoBox
    """Of the map."""
    origins: Origins
    totals: dict[str, Any]
    """As `areas.totals`."""
    ranked: Any
    """Areas, the most affected first: the columns of `areas`."""
    unit: str
    """What the areas are."""
    listed: Any
    """Buildings, the most damaged first: the columns of `buildings`, with `lon` and `lat`."""
    pictures: Pictures
    scores: Scores | None
    title: str
    """Of the whole."""
    observed: float
    """Share of the map that both dates show, 0..1."""


def facts(
    item: pystac.Item, given: Units | None = None, scores: Scores | None = None, *, title: str | None = None
) -> Facts:
    """Read all that there is to tell about a prediction.

    Args:
        item: as `predict` writes it.
        given: areas to count by; square cells, about CELLS of them along the map, unless given.
        scores: of a validation, if there was one.
        title: of the whole; the Item's unless given.

    Raises:
        AssetError: the Item lacks its map or its buildings, or they are broken.
    """
    damage = areas.damage_of(item)
    geobox = grid.of_raster(damage)
    graded = areas.graded_of(item)
    chosen = given or units.of_grid(cell(geobox), geobox)
    table, outside = areas.summed(chosen, graded, damage)
    ranked = areas.sort(table, "count")
    found = origins(item)
    return Facts(
        item=item,
        geobox=geobox,
        origins=found,
        totals=areas.totals(ranked, outside),
        ranked=ranked,
        unit=chosen.title,
        listed=listed(graded),
        pictures=drawn(str(damage), graded, ranked, found.before, found.after),
        scores=scores,
        title=title or str(item.properties.get("title") or item.id),
        observed=_observed(damage),
    )


def _observed(damage: Path) -> float:
    """Share of a map's pixels that are not 255."""
    with opened(damage) as source:
        seen = sum(int((source.read(1, window=strip) != NOT_OBSERVED).sum()) for strip in strips(source))
        return float(seen / (source.height * source.width))


def place(told: Facts) -> str:
    """Where the map lies and how large it is, in words."""
    ground = told.geobox.shape[0] * told.geobox.shape[1] * float(np.prod(grid.pixel_metres(told.geobox))) / 1e6
    lon, lat = middle(told.geobox)
    return f"{ground:.3g} km² around {abs(lat):.4f}° {'NS'[lat < 0]}, {abs(lon):.4f}° {'EW'[lon < 0]}"


def middle(geobox: GeoBox) -> tuple[float, float]:
    """Longitude (-180 to 180) and latitude of the middle of a grid."""
    rows, columns = geobox.shape
    x, y = geobox.affine @ (columns / 2, rows / 2)
    lon, lat = geobox.crs.transformer_to_crs(LONLAT)(x, y)
    return (float(lon) + 180) % 360 - 180, float(lat)


def north(geobox: GeoBox) -> str:
    """Which way north lies in pictures of a grid, in its middle: grids may be turned, and polar ones are nearly always.

    "North is up." to within UPRIGHT degrees.
    """
    lon, lat = middle(geobox)
    x, y = LONLAT.transformer_to_crs(str(geobox.crs))(np.full(2, lon), np.array([lat - NUDGE, lat + NUDGE]))
    a, b, _, d, e, _ = (~geobox.affine)[:6]
    right, down = np.diff(a * x + b * y)[0], np.diff(d * x + e * y)[0]
    turn = float(np.degrees(np.arctan2(right, -down)))
    return (
        "North is up."
        if abs(turn) <= UPRIGHT
        else f"North is {abs(turn):.0f}° {'right' if turn > 0 else 'left'} of up."
    )


def centres(told: Facts) -> list[tuple[float, float]]:
    """Latitude and longitude of a point in each area, in their order."""
    points = told.ranked.geometry.representative_point().to_crs("EPSG:4326")
    return list(zip(points.y.round(5), points.x.round(5), strict=True))


def compared(scores: Scores) -> list[tuple[str, Table]]:
    """What was compared in words, and how it came out."""
    tables = (scores.pixels, scores.buildings, scores.given)
    return [(f"{table.compared:,} {table.unit}", table) for table in tables if table is not None]


def verdict(table: Table) -> str:
    """The figures of a comparison that matter most, in a sentence."""
    whole, nothing = table.figures.summary, table.figures.no_damage_anywhere
    return (
        f"F1 of damage (minor to destroyed) {figure(whole.damage_f1)}, of buildings {figure(whole.localisation_f1)};"
        f" macro-F1 of the grades {figure(whole.macro_f1)}, where calling every building undamaged would score"
        f" {figure(nothing.macro_f1)}."
    )


def figure(value: float | None) -> str:
    """A score, or that there is none."""
    return "-" if value is None else f"{value:.2f}"


CAVEAT = (
    "A reference is as good as those who made it: ask whether they stood on the ground, looked at images, or ran"
    " another model."
)


def cell(geobox: GeoBox) -> float:
    """A round size of cells, metres: about CELLS along the longer side of a map."""
    rows, columns = geobox.shape
    width, height = grid.pixel_metres(geobox)
    return max(1.0, round_length(max(columns * width, rows * height) / CELLS * 1.5))


def listed(graded: Any) -> Any:
    """Buildings with the place of each, destroyed ones first, the surest of a grade first, those not observed last."""
    points = graded.geometry.representative_point().to_crs("EPSG:4326")
    grade = graded["grade"].to_numpy()
    own = graded[[f"probability_{k}" for k in range(5)]].to_numpy(np.float64)
    sure = np.nan_to_num(own[np.arange(len(own)), np.where(grade < own.shape[1], grade, 0)])
    order = np.lexsort((-sure, -np.where(grade == NOT_OBSERVED, -1, grade.astype(int))))
    columns = [name for name in buildings.COLUMNS if name in graded and name != "geometry"]
    plain = pd.DataFrame(graded[columns]).assign(lon=points.x.round(6), lat=points.y.round(6))
    return plain.iloc[order].reset_index(drop=True)


def origins(item: pystac.Item) -> Origins:
    """The images and the model that a prediction's links lead to."""
    found: dict[str, list[pystac.Item]] = {"pre": [], "post": [], "model": [], "image": []}
    lost = []
    for link in item.get_links("derived_from"):
        kind = "model" if "mlm:name" in link.extra_fields else str(link.extra_fields.get("mage:phase", "image"))
        try:
            found.setdefault(kind, []).append(catalogue.read_item(_led_to(link)))
        except MageStacError:
            lost.append(str(link.title or link.href))
    # Items written before links told the phase: the images of the map's own day are those after.
    for image in found["image"]:
        found["post" if _day(image) == _day(item) else "pre"].append(image)
    return Origins(
        before=tuple(found["pre"]),
        after=tuple(found["post"]),
        model=next(iter(found["model"]), None),
        lost=tuple(lost),
    )


def _led_to(link: pystac.Link) -> str:
    """Where a link of an Item on this disk leads."""
    home = Path(link.owner.get_self_href() or "") if link.owner else Path()
    return hrefs.placed(link.href, home.parent)


def _day(item: pystac.Item) -> str:
    return str(item.datetime or item.properties.get("end_datetime") or "")[:10]


def dates(items: Sequence[pystac.Item]) -> str:
    """When images were taken, in words: a day, or from the first to the last."""
    found = sorted({str(day)[:10] for item in items for day in _span(item) if day})
    return " to ".join(found if len(found) < 3 else (found[0], found[-1])) or "unknown date"


def _span(item: pystac.Item) -> tuple[Any, Any]:
    fields = item.properties
    return fields.get("start_datetime") or item.datetime, fields.get("end_datetime") or item.datetime


def numbers(told: Facts) -> list[tuple[str, int, str]]:
    """Grade, buildings on the map, and their share of those observed with its interval; then those not observed."""
    counts = [int((told.listed["grade"] == value).sum()) for value in areas.GRADES]
    seen = sum(counts[:-1])
    rows = []
    for name, count in zip(areas.GRADES.values(), counts, strict=True):
        low, high = (float(bound) for bound in wilson.interval(count, seen)) if seen else (0.0, 0.0)
        share = f"{count / seen:.0%} ({low:.0%}-{high:.0%})" if seen and name != "not_observed" else ""
        rows.append((name.replace("_", " "), count, share))
    return rows


def limits(told: Facts) -> Iterator[str]:
    """What a reader must know before acting on the figures."""
    fields = told.item.properties
    yield "A model made this map from two images. Nobody has checked it on the ground."
    if not len(told.listed):
        yield "No building was found on the map: that is no proof that there are none."
    unseen, unknown = 1 - told.observed, int((told.listed["grade"] == NOT_OBSERVED).sum())
    if unseen > 0.005 or unknown:
        yield (
            f"{unseen:.0%} of the area and {unknown:,} of the buildings were not observed on both"
            " dates: they are unknown, not undamaged."
        )
    yield (
        "From above, minor damage is hard to tell from none, and walls, floods inside and storeys that gave way under a"
        " whole roof are not seen."
    )
    yield "Intervals tell the doubt of small numbers (Wilson, 95%), not the errors of the model."
    if "mage:footprints_moved" in fields:
        median, most = fields["mage:footprints_shift_median"], fields["mage:footprints_shift_max"]
        how = f"moved by {median:g} m in the median (at most {most:g} m) to fit the image" if most else "unmoved"
        yield f"Buildings are those of a file of footprints, {how}; what the file lacks is missing."
    else:
        yield "Buildings are outlines found in the map: neighbours may be joined, and what the model missed is missing."
    if "mage:shift_confidence" in fields:
        yield _shift(fields)
    yield from (f"{name} could not be read any more; what it says is missing here." for name in told.origins.lost)


def _shift(fields: dict[str, Any]) -> str:
    size = float(np.hypot(fields["mage:shift_columns"], fields["mage:shift_rows"]))
    if fields["mage:shift_confidence"] < 0.5:
        return "How far the two images lie apart could not be measured: where they do, damage may be an error of place."
    done = "was corrected" if fields.get("mage:shift_corrected") else "was left"
    return f"The image after lies {size:.1f} pixels off the one before, which {done}; from place to place it differs."


def lineage(told: Facts) -> Iterator[tuple[str, str]]:
    """What the map was made from and how, as pairs of a word and a sentence."""
    fields = told.item.properties
    yield "Item", told.item.id
    for word, items in (("Before", told.origins.before), ("After", told.origins.after)):
        if items:
            yield word, f"{dates(items)}: {', '.join(item.id for item in items)}"
    model = told.origins.model
    if model is not None:
        about = model.properties.get("description") or model.properties.get("title") or ""
        name = str(model.properties.get("mlm:name") or model.id)
        yield "Model", f"{name}{f' ({model.id})' if name != model.id else ''}. {about}".strip()
    yield "Method", str(fields.get("processing:lineage", "not stated"))
    software = ", ".join(f"{name} {version}" for name, version in fields.get("processing:software", {}).items())
    yield "Made", f"{str(fields.get('created', ''))[:19].replace('T', ' ')} UTC with {software}"
    if fields.get("mage:inputs"):
        yield "Inputs", f"sha256 {fields['mage:inputs']}"


def credit(told: Facts) -> Iterator[str]:
    """Licence and providers of the images, a line for each Collection they come from."""
    said = set()
    for item in (*told.origins.before, *told.origins.after):
        line = _credited(item)
        if line not in said:
            said.add(line)
            yield line
    if not said:
        yield "Licence and source of the images are not known: they could not be read."


def _credited(item: pystac.Item) -> str:
    about = {**_collection(item), **{key: item.properties[key] for key in CREDITS if key in item.properties}}
    who = ", ".join(
        str(entry["name"]) for entry in about.get("providers") or () if isinstance(entry, dict) and entry.get("name")
    )
    title = about.get("title") or item.collection_id or item.id
    words = [str(title), f"by {who}" if who else "provider not stated", str(about.get("attribution") or "")]
    licence = about.get("license")
    words.append(f"licence {licence}" if licence else "licence not stated")
    return "; ".join(word for word in words if word)


CREDITS = ("license", "providers", "attribution")
"""Properties of an Item that go before those of its Collection."""


def _collection(item: pystac.Item) -> dict[str, Any]:
    link = item.get_single_link("collection")
    try:
        return catalogue.read_json(Path(_led_to(link))) if link is not None else {}
    except CatalogueError:
        return {}
