"""Report: a prediction told to people, as one HTML file and one PDF that open without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pystac

from mage_stac import catalogue, grid, publish
from mage_stac.cog import writing
from mage_stac.errors import CatalogueError
from mage_stac.products import areas, derived, report_html, report_pdf, units
from mage_stac.products.report_facts import Facts, facts
from mage_stac.products.units import Units
from mage_stac.quicklook import THUMBNAIL
from mage_stac.score import score

COLLECTION = "reports"
TEMPLATE = {
    "title": "Reports",
    "description": "Damage maps told to people: HTML and PDF that open without a network; not checked on the ground.",
    "license": "other",
    "keywords": ["damage", "buildings", "report"],
    "providers": [{"name": "mage-stac", "roles": ["processor"]}],
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What a report tells beside the map."""

    reference: Path | None = None
    """What to validate against: see `score`."""
    column: str | None = None
    """Of a vector reference, that with the grades."""
    areas: Path | None = None
    """Vector file of the areas to count by."""
    cell: float | None = None
    """Metres: square cells instead."""
    h3: int | None = None
    """Resolution: H3 cells instead. Without any of the three, cells of a round size."""
    title: str | None = None
    """Of the report; the Item's unless given."""
    pdf: bool = True
    """Whether to write the PDF too."""


def predictions(paths: Sequence[Path]) -> list[pystac.Item]:
    """The damage maps at some paths: Items, or catalogues of them.

    Raises:
        CatalogueError: a path holds none.
    """
    found: dict[str, pystac.Item] = {}
    for path in paths:
        items = [item for item in catalogue.read_items(path) if {"damage", "buildings"} <= set(item.assets)
                 and item.properties.get("processing:expression")]  # fmt: skip
        if not items:
            raise CatalogueError(f"{path} holds no prediction: give an Item as `mage-stac predict` writes it")
        found |= {item.get_self_href() or item.id: item for item in items}
    return list(found.values())


def report(item: pystac.Item, out: Path | None = None, options: Options | None = None) -> Path:
    """Write the report of a prediction as an Item `<prediction>-report`; returns its folder, which has report.html.

    Args:
        item: as `predict` writes it.
        out: catalogue to write to; that of the prediction unless given.
        options: what to tell.

    Raises:
        AssetError: the map, its buildings or the reference are missing or broken, or ReportLab is not installed.
        GridError: areas or reference do not lie on the map.
        CatalogueError: the Item lies in no catalogue, or `out` cannot be written.
    """
    chosen = options or Options()
    root = out or derived.root_of(item)
    source = Path(item.get_self_href() or "")
    scores = score(source, chosen.reference, column=chosen.column) if chosen.reference else None
    told = facts(item, _units(item, chosen), scores, title=chosen.title)
    name = f"{catalogue.checked_id(item.id)}-report"
    with catalogue.staged(root, COLLECTION, name) as folder:
        _write(folder, told, pdf=chosen.pdf)
        catalogue.write_item(folder, _item(name, told, pdf=chosen.pdf))
    derived.index(root, COLLECTION, TEMPLATE)
    return root / COLLECTION / name


def _units(item: pystac.Item, options: Options) -> Units | None:
    geobox = grid.of_raster(areas.damage_of(item))
    if options.areas is not None:
        return units.of_file(options.areas, geobox)
    if options.cell is not None:
        return units.of_grid(options.cell, geobox)
    return None if options.h3 is None else units.of_h3(options.h3, geobox)


def _write(folder: Path, told: Facts, *, pdf: bool) -> None:
    if pdf:
        report_pdf.write(folder / "report.pdf", told)
    with writing(folder):
        (folder / "report.html").write_text(report_html.html(told), "utf-8")
        told.listed.to_csv(folder / "buildings.csv", index=False)
        small = told.pictures.map.copy()
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        small.save(folder / "thumbnail.png")
    areas.write_csv(folder / "areas.csv", told.ranked)


def _item(name: str, told: Facts, *, pdf: bool) -> pystac.Item:
    assets = {"html": pystac.Asset("report.html", title="Report", media_type="text/html", roles=["overview"])}
    if pdf:
        assets["pdf"] = pystac.Asset(
            "report.pdf", title="Report (PDF)", media_type="application/pdf", roles=["overview"]
        )
    for key, title in (("buildings", "Buildings as a table"), ("areas", "Affected areas as a table")):
        assets[key] = pystac.Asset(f"{key}.csv", title=title, media_type="text/csv", roles=["data"])
    assets["thumbnail"] = publish.thumbnail("thumbnail.png")
    return derived.item(
        name, told.item, COLLECTION,
        words={
            "title": f"Report: {told.title}",
            "description": f"{told.item.id} for people: map, both dates, areas, buildings, limits, lineage, credits.",
            "lineage": f"Told from {told.item.id} and the Items that it was derived from",
        },
        fields={"mage:totals": told.totals},
        assets=assets,
    )  # fmt: skip
