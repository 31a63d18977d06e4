"""A report as one HTML file that needs nothing else: pictures, style and script are inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from mage_stac.classes import DAMAGE_CLASSES
from mage_stac.products import report_facts
from mage_stac.products.report_facts import Facts
from mage_stac.score import Table

AREAS = 50
BUILDINGS = 500
"""Rows at most; the files beside the report have all."""

PAGE = 25
"""Rows of buildings shown at a time."""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""Nothing may be fetched, whatever an Item's texts say."""

COLOURS = {entry.name.replace("-", " "): entry.colour for entry in DAMAGE_CLASSES if entry.value}

STYLE = """
:root { --ink: #1f2328; --soft: #5b6470; --line: #d9dee4; --paper: #fff; --band: #f5f7f9; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
p { margin: .5rem 0; } .soft { color: var(--soft); }
.warning { background: #fff4d6; border-left: 4px solid #d99a00; padding: .6rem .9rem; margin: 1rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.tile { border: 1px solid var(--line); border-top: 6px solid var(--colour); padding: .6rem .8rem; border-radius: 4px; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.2; } .tile small { display: block; color: var(--soft); }
[hidden] { display: none !important; } img { display: block; width: 100%; height: auto; } figure { margin: 0; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .4rem; }
.swipe { position: relative; overflow: hidden; user-select: none; --at: 50%; }
.swipe .over { position: absolute; inset: 0; }
.swipe .first { clip-path: inset(0 calc(100% - var(--at)) 0 0); }
.swipe i { position: absolute; top: 0; bottom: 0; left: var(--at); width: 3px; margin-left: -1.5px; background: #fff;
  box-shadow: 0 0 4px #000; pointer-events: none; }
.swipe span { position: absolute; top: .5rem; background: #000a; color: #fff; padding: .1rem .5rem; font-size: .85rem;
  border-radius: 3px; pointer-events: none; }
.controls { display: flex; gap: 1rem; flex-wrap: wrap; align-items: center; margin: .5rem 0; }
input[type=range] { flex: 1 1 16rem; accent-color: #2166ac; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .5rem 0; font-size: .9rem; }
.stripes { background: repeating-linear-gradient(135deg, #fff 0 2px, #888 2px 3px); }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { background: var(--band); vertical-align: bottom; } .text { text-align: left; }
td.text { white-space: normal; } .key { display: inline-block; width: .8em; height: .8em; margin-right: .4em;
  border: 1px solid #0004; background: var(--colour); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: 0; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
button, select { font: inherit; padding: .2rem .7rem; }
@media print { .controls, .swipe i { display: none; } h2 { break-after: avoid; } tr, figure { break-inside: avoid; } }
"""

SCRIPT = """
for (const view of document.querySelectorAll('.viewer')) {
  const swipe = view.querySelector('.swipe'), slider = view.querySelector('input[type=range]');
  const set = value => { slider.value = value; swipe.style.setProperty('--at', value + '%'); };
  const point = event => {
    const box = swipe.getBoundingClientRect();
    set(Math.max(0, Math.min(100, 100 * (event.clientX - box.left) / box.width)));
  };
  slider.oninput = () => set(slider.value);
  swipe.onpointerdown = event => { swipe.setPointerCapture(event.pointerId); point(event); };
  swipe.onpointermove = event => { if (event.buttons) point(event); };
  view.querySelector('input[type=checkbox]').onchange = event => {
    swipe.querySelector('.buildings').hidden = !event.target.checked;
  };
}
const list = document.querySelector('#buildings');
if (list) {
  const rows = [...list.tBodies[0].rows], size = Number(list.dataset.page), grade = document.querySelector('#grade');
  const said = document.querySelector('#said'), steps = document.querySelectorAll('button[data-step]');
  let page = 0;
  const show = () => {
    const chosen = rows.filter(row => !grade.value || row.dataset.grade === grade.value);
    const pages = Math.max(1, Math.ceil(chosen.length / size));
    page = Math.max(0, Math.min(page, pages - 1));
    for (const row of rows) row.hidden = true;
    for (const row of chosen.slice(page * size, (page + 1) * size)) row.hidden = false;
    said.textContent = `page ${page + 1} of ${pages}, ${chosen.length} rows`;
    steps.forEach(step => {
      const next = page + Number(step.dataset.step);
      step.disabled = next < 0 || next >= pages;
    });
  };
  steps.forEach(step => step.onclick = () => { page += Number(step.dataset.step); show(); });
  grade.onchange = () => { page = 0; show(); };
  document.querySelector('#paging').hidden = false;
  show();
}
"""


def html(told: Facts) -> str:
    """The whole document."""
    parts = [_head(told), _tiles(told), _map(told), _swipe(told), _areas(told), _buildings(told), _validation(told)]
    limits = "".join(f"<li>{escape(line)}</li>" for line in report_facts.limits(told))
    parts.append(f"<h2>Limits</h2><ul>{limits}</ul>")
    steps = "".join(f"<dt>{escape(word)}</dt><dd>{escape(line)}</dd>" for word, line in report_facts.lineage(told))
    parts.append(f"<h2>How it was made</h2><dl>{steps}</dl>")
    credits_ = "".join(f"<li>{escape(line)}</li>" for line in report_facts.credit(told))
    parts.append(f"<h2>Imagery: licence and attribution</h2><ul>{credits_}</ul>")
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(told.title)}</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + f"<script>{SCRIPT}</script></body></html>\n"
    )


def embedded(image: Image.Image) -> str:
    """A picture as a data URI: JPEG, or PNG where it is see-through."""
    stream = io.BytesIO()
    kind = "png" if image.mode == "RGBA" else "jpeg"
    if kind == "png":
        image.quantize(256, method=Image.Quantize.FASTOCTREE).save(stream, "png", optimize=True)
    else:
        image.save(stream, "jpeg", quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def _img(image: Image.Image, alt: str, classes: str = "") -> str:
    return (
        f'<img src="{embedded(image)}" width="{image.width}" height="{image.height}" alt="{escape(alt)}"'
        f' class="{classes}">'
    )


def _head(told: Facts) -> str:
    before, after = (report_facts.dates(items) for items in (told.origins.before, told.origins.after))
    return (
        f"<h1>{escape(told.title)}</h1><p class=soft>{escape(report_facts.place(told))} · image after: {escape(after)}"
        f" · image before: {escape(before)}</p>"
        "<p class=warning>A model's output, not checked on the ground: use it to decide where to look first.</p>"
    )


def _tiles(told: Facts) -> str:
    made = []
    for name, count, share in report_facts.numbers(told):
        colour = COLOURS[name] if name != "not observed" else "8a8f96"
        note = escape(share) or ("unknown, not undamaged" if name == "not observed" else "")
        made.append(
            f'<div class=tile style="--colour:#{colour}"><b>{count:,}</b>{escape(name)}<small>{note}</small></div>'
        )
    return (
        f"<p>{len(told.listed):,} buildings on the map; {told.observed:.0%} of it was"
        " observed on both dates. In brackets the 95% interval of the share of observed buildings.</p>"
        f"<div class=tiles>{''.join(made)}</div>"
    )


def _map(told: Facts) -> str:
    ground = "a faded image" if told.pictures.after or told.pictures.before else "white, as no image could be read"
    return (
        f"<h2>Map</h2><figure>{_img(told.pictures.map, 'Map of the damage')}<div class=legend>{_legend()}</div>"
        f"<figcaption>Buildings over {ground}; lines are {escape(told.unit)}, numbers the ranks of the most affected of"
        f" them. {report_facts.north(told.geobox)}</figcaption></figure>"
    )


def _legend() -> str:
    shown = [(name, f' style="--colour:#{colour}"') for name, colour in COLOURS.items() if name != "not observed"]
    keys = "".join(f"<span><span class=key{colour}></span>{escape(name)}</span>" for name, colour in shown)
    return f'{keys}<span><span class="key stripes"></span>not observed: unknown</span>'


def _swipe(told: Facts) -> str:
    first, second = told.pictures.before, told.pictures.after
    if first is None or second is None:
        missing = " nor ".join(
            name for name, image in (("the image before", first), ("the image after", second)) if image is None
        )
        return f"<h2>Before and after</h2><p class=warning>Not shown: neither {missing} could be read.</p>".replace(
            "neither the image before could", "the image before could not"
        ).replace("neither the image after could", "the image after could not")
    buildings = _img(told.pictures.buildings, "Buildings", "over buildings").replace("<img ", "<img hidden ")
    return (
        "<h2>Before and after</h2><div class=viewer><div class=controls><label for=swipe>Before</label>"
        '<input id=swipe type=range min=0 max=100 step=0.1 value=50 aria-label="Before to after"> After'
        "<label><input type=checkbox> buildings</label></div>"
        f"<div class=swipe>{_img(second, 'After')}{_img(first, 'Before', 'over first')}{buildings}<i></i>"
        '<span style="left:.5rem">before</span><span style="right:.5rem">after</span></div></div>'
    )


def _table(head: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]], attributes: str = "") -> str:
    """A table; a column whose flag is set holds text. Cells are HTML already."""
    classes = ["class=text" if text else "" for _, text in head]
    top = "".join(f"<th {kind}>{escape(name)}</th>" for (name, _), kind in zip(head, classes, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td {kind}>{cell}</td>' for cell, kind in zip(row, classes, strict=True))}</tr>"
        for row in rows
    )
    return f"<div class=wide><table {attributes}><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def _areas(told: Facts) -> str:
    affected = told.ranked[told.ranked["rank"].notna()]
    if affected.empty:
        return "<h2>Affected areas</h2><p>No building is seen to be damaged in any area.</p>"
    head = [("rank", False), ("area", True), ("buildings", False), ("minor", False), ("major", False),
            ("destroyed", False), ("not observed", False), ("damaged", False), ("share (95%)", False),
            ("seen", False), ("lat, lon", False)]  # fmt: skip
    rows = [
        (
            str(row.rank), escape(row.name_ or row.unit_id), f"{row.buildings:,}", f"{row.minor_damage:,}",
            f"{row.major_damage:,}", f"{row.destroyed:,}", f"{row.not_observed:,}", f"<b>{row.damaged:,}</b>",
            f"{row.damaged_share:.0%} ({row.damaged_low:.0%}-{row.damaged_high:.0%})" + (" *" if row.few else ""),
            f"{row.observed:.0%}", _geo(*point),
        )
        for row, point in zip(
            affected.head(AREAS).rename(columns={"name": "name_"}).itertuples(),
            report_facts.centres(told), strict=False,
        )
    ]  # fmt: skip
    more, outside = len(affected) - len(rows), told.totals["outside"]
    return (
        f"<h2>Most affected areas</h2><p class=soft>{escape(told.unit)}; damaged are grades minor to destroyed."
        f" * fewer than ten buildings.{f' {more:,} more are in areas.csv.' if more else ''}"
        f"{f' {outside:,} buildings lie in none.' if outside else ''}</p>{_table(head, rows)}"
        '<p><a href="areas.csv">areas.csv</a> lies beside this file.</p>'
    )


def _geo(lat: float, lon: float) -> str:
    """A place that phones open in their own map."""
    return f'<a href="geo:{lat},{lon}">{lat}, {lon}</a>'


def _buildings(told: Facts) -> str:
    if not len(told.listed):
        return "<h2>Buildings</h2><p>The map shows no building.</p>"
    shown = told.listed.head(BUILDINGS)
    columns = ("building_id", "footprint_id", "damage", "probability", "fraction", "observed", "area", "lat, lon")
    head = "".join(f"<th{' class=text' if name == 'damage' else ''}>{name.replace('_id', '')}</th>" for name in columns)
    grades = sorted(set(shown["damage"]), key=list(shown["damage"]).index)
    options = "".join(f"<option>{escape(name)}</option>" for name in grades)
    return (
        f"<h2>Buildings</h2><p class=soft>The first {len(shown):,} of {len(told.listed):,}, the most damaged and surest"
        ' first; all are in <a href="buildings.csv">buildings.csv</a> beside this file. Probability is that of the'
        " grade, fraction the damaged share of the building, observed the share of it that was seen, area in m².</p>"
        "<div class=controls id=paging hidden><label>Grade <select id=grade><option value=''>all</option>"
        f"{options}</select></label><button data-step=-1>previous</button><span id=said></span>"
        "<button data-step=1>next</button></div>"
        f"<div class=wide><table id=buildings data-page={PAGE}><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(_rows(shown))}</tbody></table></div>"
    )


def _rows(shown: Any) -> Iterator[str]:
    for row in shown.to_dict("records"):
        name = str(row["damage"])
        colour = COLOURS[name.replace("-", " ")]
        own = row.get(f"probability_{row['grade']}")
        cells = [
            str(row["building_id"]), "" if pd.isna(row["footprint_id"]) else escape(str(row["footprint_id"])),
            f'<span class=key style="--colour:#{colour}"></span>{escape(name)}',
            *("" if pd.isna(value) else f"{value:.2f}" for value in (own, row["fraction"], row["observed"])),
            f"{row['area']:.0f}", _geo(row["lat"], row["lon"]),
        ]  # fmt: skip
        tags = ["<td class=text>" if place == 2 else "<td>" for place in range(len(cells))]
        line = "".join(f"{tag}{cell}</td>" for tag, cell in zip(tags, cells, strict=True))
        yield f'<tr data-grade="{escape(name)}">{line}</tr>'


def _validation(told: Facts) -> str:
    if told.scores is None:
        return "<h2>Validation</h2><p>No reference was given: nobody knows how right this map is here.</p>"
    notes = "".join(f"<li>{escape(note)}</li>" for note in told.scores.notes)
    tables = "".join(_scored(words, table) for words, table in report_facts.compared(told.scores))
    return (
        f"<h2>Validation</h2><p>Against {escape(Path(told.scores.reference).name)}. {report_facts.CAVEAT}</p>"
        f"<ul>{notes}</ul>{tables}"
    )


def _scored(words: str, table: Table) -> str:
    head = [(words, True)]
    head += [(name, False) for name in ("in reference", "on map", "IoU", "precision", "recall", "F1")]
    rows = [
        (escape(one.name.replace("-", " ")), f"{one.support:,}", f"{one.predicted:,}",
         *map(report_facts.figure, (one.iou, one.precision, one.recall, one.f1)))
        for one in table.figures.classes
    ]  # fmt: skip
    return f"{_table(head, rows)}<p>{escape(report_facts.verdict(table))}</p>"
