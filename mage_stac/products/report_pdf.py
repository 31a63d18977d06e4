"""A report as PDF, laid out by ReportLab: pure Python, and its tables break over pages. The HTML has the same facts."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from mage_stac.classes import DAMAGE_CLASSES, rgb
from mage_stac.cog import writing
from mage_stac.errors import AssetError
from mage_stac.products import report_facts
from mage_stac.products.report_facts import Facts
from mage_stac.score import Table as Compared

AREAS = 20
BUILDINGS = 60
"""Rows at most."""

TEXT = 24.0
"""Millimetres: a column of names."""

COLOURS = {entry.name.replace("-", " "): rgb(entry.colour) for entry in DAMAGE_CLASSES if entry.value}

FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
"""Latin, Greek, Cyrillic, Arabic and more; with matplotlib or the system. Else ReportLab's own Vera: Latin only."""


def available() -> bool:
    """Whether ReportLab is installed."""
    return importlib.util.find_spec("reportlab") is not None


def write(path: Path, told: Facts) -> None:
    """Write the report, A4.

    Raises:
        AssetError: ReportLab is not installed.
        CatalogueError: the disk refuses.
    """
    if not available():
        raise AssetError("a report in PDF needs ReportLab: pip install 'mage-stac[report]', or give --no-pdf")
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.platypus import SimpleDocTemplate

    names = _registered()
    styles = _styles(*names)
    document = SimpleDocTemplate(
        str(path), pagesize=A4, leftMargin=16 * mm, rightMargin=16 * mm, topMargin=16 * mm, bottomMargin=16 * mm,
        title=told.title, author="mage-stac", invariant=1,
    )  # fmt: skip

    def foot(canvas: Any, page: Any) -> None:
        canvas.setFont(names[0], 7.5)
        canvas.drawString(16 * mm, 9 * mm, f"{told.item.id} - a model's output, not checked on the ground"[:110])
        canvas.drawRightString(A4[0] - 16 * mm, 9 * mm, str(page.page))

    with writing(path):
        document.build(list(_story(told, styles, document.width)), onFirstPage=foot, onLaterPages=foot)


def _registered() -> tuple[str, str]:
    """Names of the plain and the bold font."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    matplotlib = importlib.util.find_spec("matplotlib")
    beside = Path(matplotlib.origin).parent / "mpl-data/fonts/ttf" if matplotlib and matplotlib.origin else Path()
    for files in ([str(beside / name) for name in FONTS], list(FONTS), ["Vera.ttf", "VeraBd.ttf"]):
        try:
            for name, file in zip(("report", "report-bold"), files, strict=True):
                pdfmetrics.registerFont(TTFont(name, file))
        except (TTFError, OSError):
            continue
        return "report", "report-bold"
    return "Helvetica", "Helvetica-Bold"


def _styles(plain: str, bold: str) -> dict[str, Any]:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle

    text = ParagraphStyle("text", fontName=plain, fontSize=9, leading=12.5, spaceAfter=4)
    return {
        "text": text,
        "bullet": ParagraphStyle("bullet", text, leftIndent=9, bulletIndent=0),
        "soft": ParagraphStyle("soft", text, fontSize=8, leading=10.5, textColor=HexColor("#5b6470")),
        "title": ParagraphStyle("title", text, fontName=bold, fontSize=18, leading=22),
        "head": ParagraphStyle("head", text, fontName=bold, fontSize=12, leading=15, spaceBefore=10),
        "warning": ParagraphStyle(
            "warning", text, backColor=HexColor("#fff4d6"), borderPadding=5, spaceBefore=6, spaceAfter=10
        ),
        "cell": ParagraphStyle("cell", text, fontSize=7.5, leading=9.5, spaceAfter=0),
        "fonts": (plain, bold),
    }


def _story(told: Facts, styles: dict[str, Any], width: float) -> Iterator[Any]:
    from reportlab.lib.units import mm
    from reportlab.platypus import CondPageBreak, Paragraph

    def text(words: str, style: str = "text", **options: Any) -> Any:
        return Paragraph(escape(words), styles[style], **options)

    def head(words: str) -> Iterator[Any]:
        yield CondPageBreak(45 * mm)  # a heading takes the first rows of its table along
        yield text(words, "head")

    yield text(told.title, "title")
    before, after = (report_facts.dates(items) for items in (told.origins.before, told.origins.after))
    yield text(f"{report_facts.place(told)}. Image after: {after}. Image before: {before}.", "soft")
    yield text("A model's output, not checked on the ground: use it to decide where to look first.", "warning")
    yield _numbers(told, styles, width)
    yield text(f"{told.observed:.0%} of the map was observed on both dates. In brackets: 95% intervals.", "soft")
    yield from head("Map")
    yield _picture(told.pictures.map, width, 165)
    colours = "Buildings in the colours above, grey stripes and empty outlines not observed: unknown."
    yield text(
        f"{colours} Lines are {told.unit}, numbers the ranks of the most affected. {report_facts.north(told.geobox)}",
        "soft",
    )
    yield from _both(told, text, width)
    yield from head("Most affected areas")
    yield _areas(told, styles)
    yield from head("Buildings")
    yield text(f"The first of {len(told.listed):,}, the most damaged and surest first; buildings.csv has all.", "soft")
    yield _buildings(told, styles)
    yield from head("Validation")
    yield from _validation(told, text, styles)
    yield from head("Limits")
    yield from (text(line, "bullet", bulletText="•") for line in report_facts.limits(told))
    yield from head("How it was made")
    yield from (text(f"{word}: {line}") for word, line in report_facts.lineage(told))
    yield from head("Imagery: licence and attribution")
    yield from (text(line, "bullet", bulletText="•") for line in report_facts.credit(told))


def _picture(image: Image.Image, width: float, tallest: float) -> Any:
    """A picture as wide as that, and at most so many millimetres tall."""
    from reportlab.lib.units import mm
    from reportlab.platypus import Image as Placed

    stream = io.BytesIO()
    image.convert("RGB").save(stream, "jpeg", quality=85)
    stream.seek(0)
    factor = min(width / image.width, tallest * mm / image.height)
    return Placed(stream, image.width * factor, image.height * factor)


def _both(told: Facts, text: Any, width: float) -> Iterator[Any]:
    from reportlab.platypus import KeepTogether, Table

    images = (told.pictures.before, told.pictures.after)
    captions = [text(name, "soft") for name in ("Before", "After")]
    cells = [text("could not be read") if image is None else _picture(image, width / 2 - 6, 110) for image in images]
    table = Table([captions, cells], colWidths=[width / 2] * 2, style=[("LEFTPADDING", (0, 0), (-1, -1), 0)])
    yield KeepTogether([text("Before and after", "head"), table])


def _numbers(told: Facts, styles: dict[str, Any], width: float) -> Any:
    from reportlab.lib.colors import Color
    from reportlab.platypus import Table

    rows = report_facts.numbers(told)
    cells = [[f"{count:,}" for _, count, _ in rows], [name for name, _, _ in rows], [share for _, _, share in rows]]
    plain, bold = styles["fonts"]
    look: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, 0), bold, 15, 20), ("FONT", (0, 1), (-1, 1), plain, 8.5),
        ("FONT", (0, 2), (-1, 2), plain, 7.5), ("LEFTPADDING", (0, 0), (-1, -1), 4),
    ]  # fmt: skip
    for place, (name, _, _) in enumerate(rows):
        shade = COLOURS[name] if name != "not observed" else (138, 143, 150)
        look.append(("LINEABOVE", (place, 0), (place, 0), 4, Color(*(value / 255 for value in shade))))
    return Table(cells, colWidths=[width / len(rows)] * len(rows), style=look)


def _tabular(head: Sequence[str], rows: Sequence[Sequence[Any]], styles: dict[str, Any]) -> Any:
    """A table with a head; columns of text that wraps (`_cell`) are TEXT wide, which else break names anywhere."""
    from reportlab.lib.colors import HexColor
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, Table

    plain, bold = styles["fonts"]
    look = [
        ("FONT", (0, 0), (-1, 0), bold, 7.5), ("FONT", (0, 1), (-1, -1), plain, 7.5),
        ("BACKGROUND", (0, 0), (-1, 0), HexColor("#f5f7f9")), ("ALIGN", (0, 0), (-1, -1), "RIGHT"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, HexColor("#d9dee4")), ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2), ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("LEFTPADDING", (0, 0), (-1, -1), 4), ("RIGHTPADDING", (0, 0), (-1, -1), 2),
    ]  # fmt: skip
    widths = [TEXT * mm if isinstance(value, Paragraph) else None for value in rows[0]]
    return Table([list(head), *rows], colWidths=widths, repeatRows=1, style=look, hAlign="LEFT")


def _cell(words: str, styles: dict[str, Any]) -> Any:
    """Text that wraps within its cell."""
    from reportlab.platypus import Paragraph

    return Paragraph(escape(words), styles["cell"])


def _areas(told: Facts, styles: dict[str, Any]) -> Any:
    affected = told.ranked[told.ranked["rank"].notna()].head(AREAS).rename(columns={"name": "name_"})
    if affected.empty:
        return _cell("No building is seen to be damaged in any area.", styles)
    head = ("rank", "area", "buildings", "minor", "major", "destroyed", "unseen", "damaged", "share (95%)", "lat, lon")
    rows = [
        [row.rank, _cell((row.name_ or row.unit_id)[:60], styles), row.buildings, row.minor_damage, row.major_damage,
         row.destroyed, row.not_observed, row.damaged,
         f"{row.damaged_share:.0%} ({row.damaged_low:.0%}-{row.damaged_high:.0%})", f"{lat:.5f}, {lon:.5f}"]
        for row, (lat, lon) in zip(affected.itertuples(), report_facts.centres(told), strict=False)
    ]  # fmt: skip
    return _tabular(head, rows, styles)


def _buildings(told: Facts, styles: dict[str, Any]) -> Any:
    if not len(told.listed):
        return _cell("The map shows no building.", styles)
    head = ["building", "footprint", "damage", "probability", "observed", "area m²", "lat", "lon"]
    rows = []
    for row in told.listed.head(BUILDINGS).to_dict("records"):
        own = row.get(f"probability_{row['grade']}")
        known = isinstance(row["footprint_id"], str)
        rows.append([
            row["building_id"], _cell(row["footprint_id"][:40] if known else "", styles), row["damage"],
            "" if own is None else f"{own:.2f}", f"{row['observed']:.2f}", f"{row['area']:.0f}",
            f"{row['lat']:.6f}", f"{row['lon']:.6f}",
        ])  # fmt: skip
    if told.listed["footprint_id"].isna().all():  # outlines found in the map have no ids but ours
        head, rows = head[:1] + head[2:], [row[:1] + row[2:] for row in rows]
    return _tabular(head, rows, styles)


def _validation(told: Facts, text: Any, styles: dict[str, Any]) -> Iterator[Any]:
    if told.scores is None:
        yield text("No reference was given: nobody knows how right this map is here.")
        return
    notes = "; ".join(told.scores.notes)
    yield text(f"Against {Path(told.scores.reference).name} ({notes}). {report_facts.CAVEAT}")
    for words, table in report_facts.compared(told.scores):
        yield _scored(words, table, styles)
        yield text(report_facts.verdict(table), "soft")


def _scored(words: str, table: Compared, styles: dict[str, Any]) -> Any:
    rows = [
        [one.name.replace("-", " "), f"{one.support:,}", f"{one.predicted:,}",
         *map(report_facts.figure, (one.iou, one.precision, one.recall, one.f1))]
        for one in table.figures.classes
    ]  # fmt: skip
    head = (words, "in reference", "on map", "IoU", "precision", "recall", "F1")
    return _tabular(head, rows, styles)
