from __future__ import annotations

import re
import shutil
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar

import geopandas as gpd
import numpy as np
import pandas as pd
import predictions
import pypdf
import pyproj
import pystac
import pytest
import shapely
from affine import Affine
from mage_stac.cli import app as cli
from odc.geo.geobox import GeoBox

from mage_stac import catalogue, publish, sensors
from mage_stac.classes import DAMAGE_CLASSES
from mage_stac.errors import CatalogueError
from mage_stac.products import report, report_facts
from mage_stac.validate import validate

HOUSES = [(10, 10, 1), (10, 40, 4), (10, 70, 4), (110, 10, 2), (110, 40, 1), (10, 110, 3), (120, 250, 4)]
UNSEEN = (slice(100, 200), slice(200, 300))
OPTIONS = report.Options(cell=100, title="Storm <b>& flood</b>")


def photograph(root: Path, name: str, value: int) -> None:
    """An image where `predictions.write` says that one lies."""
    with catalogue.staged(root, "sources", name) as folder:
        image = np.full((3, *predictions.GRID.shape), value, np.uint8)
        publish.write_cog(folder / "image.tif", image, predictions.GRID)
        made = publish.imagery_item(
            id=name, geobox=predictions.GRID, datetime="2011-05-24", sensor=sensors.read("aerial-rgb"), folder=folder
        )
        made.collection_id = "sources"
        catalogue.write_item(folder, made)


@pytest.fixture(scope="module")
def item(tmp_path_factory: pytest.TempPathFactory) -> pystac.Item:
    folder = tmp_path_factory.mktemp("report")
    made = predictions.write(folder / "out", HOUSES, unseen=UNSEEN)
    photograph(folder / "sources", "pre", 90)
    photograph(folder / "sources", "post", 160)
    template = {
        "title": "Flights", "license": "CC-BY-4.0", "providers": [{"name": "Survey & Co", "roles": ["producer"]}]
    }  # fmt: skip
    with catalogue.staged(folder / "sources", "sources", "toy") as place:
        date = datetime(2026, 1, 1, tzinfo=UTC)
        catalogue.write_item(place, pystac.Item("toy", None, None, date, {"mlm:name": "Toy"}, collection="sources"))
    catalogue.write_json(folder / "sources/sources/collection.json", template)
    return made


@pytest.fixture(scope="module")
def folder(item: pystac.Item, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.report(item, tmp_path_factory.mktemp("reports") / "out", OPTIONS)


class Page(HTMLParser):
    """Reads a document; keeps its tables' rows, its text, and whatever it refers to."""

    VOID: ClassVar = {"meta", "img", "input", "br"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.references += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data", "action"}]
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        if not {"style", "script"} & set(self.open):
            self.text += data


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text("utf-8"))


def graded(item: pystac.Item) -> pd.DataFrame:
    return gpd.read_parquet(catalogue.asset_path(item, "buildings"))


def test_one_file_that_fetches_nothing(folder: Path, page: Page, schemas: Path) -> None:
    text = (folder / "report.html").read_text("utf-8")
    assert not page.open
    assert "default-src 'none'" in text
    outside = [to for to in page.references if not to.startswith(("data:image/", "geo:"))]
    assert set(outside) == {"areas.csv", "buildings.csv"}
    assert all((folder / name).is_file() for name in outside)
    assert not re.findall(r"url\(|@import|https?://", text)
    assert "Storm <b>& flood</b>" in page.text
    checked = validate(folder.parents[1], schemas)
    assert (checked.problems, checked.checked) == ((), 3)


def test_buildings_in_none_of_the_areas_count_too(item: pystac.Item, tmp_path: Path) -> None:
    frame = graded(item)
    middles = frame.geometry.representative_point()
    west = middles.x <= middles.x.median()
    border = shapely.box(*frame[west].total_bounds).buffer(0.1)
    gpd.GeoDataFrame({"name": ["West"]}, geometry=[border], crs=frame.crs).to_file(tmp_path / "district.geojson")
    folder = report.report(item, tmp_path / "out", report.Options(areas=tmp_path / "district.geojson", pdf=False))
    text = Page((folder / "report.html").read_text("utf-8")).text
    beyond = int((~middles.intersects(border)).sum())
    assert beyond
    assert f"{len(frame)} buildings on the map" in text
    assert f"{beyond} buildings lie in none." in text
    for entry in DAMAGE_CLASSES:
        if entry.value:
            count = int((frame["grade"] == entry.value).sum())
            assert re.search(rf"\b{count}{entry.name.replace('-', ' ')}", text), entry.name


def test_an_area_is_called_by_its_name_or_else_its_id(item: pystac.Item, tmp_path: Path) -> None:
    frame = graded(item)
    west, south, east, north = frame.total_bounds
    halves = [shapely.box(west, south, west + 80, north), shapely.box(west + 80, south, east, north)]
    districts = {"id": ["8f2a<1>", "b"], "name": [None, "Obere Altstadt"]}
    gpd.GeoDataFrame(districts, geometry=halves, crs=frame.crs).to_file(tmp_path / "district.gpkg")
    folder = report.report(item, tmp_path / "out", report.Options(areas=tmp_path / "district.gpkg"))
    rows = Page((folder / "report.html").read_text("utf-8")).rows
    assert {"8f2a<1>", "Obere Altstadt"} <= {row[1] for row in rows if row[0] in ("1", "2")}
    text = "\n".join(page.extract_text() for page in pypdf.PdfReader(folder / "report.pdf").pages)
    assert {"8f2a<1>", "Obere Altstadt"} <= set(text.splitlines())


def test_its_numbers_are_those_of_the_tables(item: pystac.Item, folder: Path, page: Page) -> None:
    frame = graded(item)
    for entry in DAMAGE_CLASSES:
        if entry.value:
            count = int((frame["grade"] == entry.value).sum())
            assert re.search(rf"\b{count}{entry.name.replace('-', ' ')}", page.text), entry.name
    cells = {row[0]: row for row in page.rows if len(row) == 8}
    for row in frame.itertuples():
        told = cells[str(row.building_id)]
        assert told[1:3] == [row.footprint_id, row.damage]
        own = frame.loc[row.Index].get(f"probability_{row.grade}")
        assert told[3] == ("" if own is None else f"{own:.2f}")
        assert [told[5], told[6]] == [f"{row.observed:.2f}", f"{row.area:.0f}"]
    table = pd.read_csv(folder / "areas.csv").dropna(subset="rank")
    told_areas = [row for row in page.rows if len(row) == 11][1:]
    assert [[row[1], int(row[2]), int(row[7])] for row in told_areas] == table[
        ["name", "buildings", "damaged"]
    ].values.tolist()
    assert len(pd.read_csv(folder / "buildings.csv")) == len(frame)
    assert f"{1 - 100 * 100 / (200 * 300):.0%} of it was observed" in page.text


def test_limits_lineage_and_credits_are_told(page: Page) -> None:
    for words in (
        "Nobody has checked it", "17% of the area and 1 of the buildings were not observed", "unknown, not undamaged",
        "No reference was given", "houses drawn by hand", "Toy", "Flights; by Survey & Co; licence CC-BY-4.0",
        "0.06 km² around 37.0453° N, 92.9983° W", "North is up.",
    ):  # fmt: skip
        assert words in page.text, words


def test_the_pdf_has_the_same_facts(item: pystac.Item, folder: Path) -> None:
    document = pypdf.PdfReader(folder / "report.pdf")
    text = "\n".join(each.extract_text() for each in document.pages)
    assert len(document.pages) >= 2
    assert document.metadata is not None
    assert document.metadata.title == OPTIONS.title
    for row in graded(item).itertuples():
        assert row.footprint_id in text
    for words in ("Most affected areas", "CC-BY-4.0", "Limits", "not observed", "Toy"):
        assert words in text, words
    assert sum(len(each.images) for each in document.pages) == 3


def test_the_pdf_names_footprints_only_where_some_were_given(tmp_path: Path, folder: Path) -> None:
    made = predictions.write(tmp_path / "map", HOUSES)
    path = catalogue.asset_path(made, "buildings")
    gpd.read_parquet(path).assign(footprint_id=None).to_parquet(path)
    pages = pypdf.PdfReader(report.report(made, tmp_path / "out", OPTIONS) / "report.pdf").pages
    assert not any(re.search(r"^footprint$", each.extract_text(), re.MULTILINE) for each in pages)
    given = pypdf.PdfReader(folder / "report.pdf").pages
    assert any(re.search(r"^footprint$", each.extract_text(), re.MULTILINE) for each in given)


def test_a_validation_says_against_what(item: pystac.Item, tmp_path: Path) -> None:
    path = tmp_path / "checked.gpkg"
    frame = graded(item)[["grade", "geometry"]]
    frame[frame["grade"] != 255].rename(columns={"grade": "damage"}).to_file(path)
    folder = report.report(item, tmp_path / "out", report.Options(cell=100, reference=path, pdf=False))
    assert not (folder / "report.pdf").exists()
    page = Page((folder / "report.html").read_text("utf-8"))
    assert "Against checked.gpkg." in page.text
    assert report_facts.CAVEAT in page.text
    assert "6 buildings" in page.text
    assert ["destroyed", "2", "2", "1.00", "1.00", "1.00", "1.00"] in page.rows


def test_a_folder_may_bear_any_name(item: pystac.Item, tmp_path: Path, schemas: Path) -> None:
    whole = Path(str(item.get_self_href())).parents[3]
    for name in ("sources", "out"):
        shutil.copytree(whole / name, tmp_path / "event #3?" / name)
    moved = catalogue.read_item(tmp_path / "event #3?/out/predictions/map")
    told = report_facts.facts(moved)
    assert told.pictures.before is not None
    assert [found.id for found in told.origins.after] == ["post"]
    assert list(report_facts.credit(told)) == ["Flights; by Survey & Co; licence CC-BY-4.0"]
    elsewhere = report.report(moved, tmp_path / "elsewhere", report.Options(pdf=False))
    assert any("#" in link.target for link in catalogue.read_item(elsewhere).get_links("derived_from"))
    assert not validate(tmp_path / "elsewhere", schemas).problems
    assert not validate(tmp_path / "event #3?/out", schemas).problems


def test_no_building_and_images_that_are_gone(tmp_path: Path) -> None:
    bare = predictions.write(tmp_path / "out", [])
    folder = report.report(bare, options=report.Options())
    page = Page((folder / "report.html").read_text("utf-8"))
    assert "No building was found on the map: that is no proof that there are none." in page.text
    assert "The map shows no building." in page.text
    assert "Not shown" in page.text
    assert "post could not be read any more" in page.text
    assert folder.parents[1] == tmp_path / "out"
    text = "\n".join(each.extract_text() for each in pypdf.PdfReader(folder / "report.pdf").pages)
    assert "The map shows no building." in text


def test_the_verb(
    item: pystac.Item, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mage-stac", "report", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    path, out = str(item.get_self_href()), str(tmp_path / "out")
    code, said, _ = run(path, "--out", out, "--grid", "100", "--no-pdf")
    assert code == 0
    assert Path(said.strip()).name == "report.html"
    code, _, err = run(path, "--out", out, "--grid", "100", "--h3", "8")
    assert (code, "give only one of --units, --grid and --h3" in err) == (2, True)
    (tmp_path / "empty").mkdir()
    code, _, err = run(str(tmp_path / "empty"), "--out", out)
    assert (code, err.count("\n")) == (1, 1)


def test_what_is_no_prediction_is_refused(item: pystac.Item) -> None:
    images = Path(str(item.get_self_href())).parents[3] / "sources/sources/pre"
    with pytest.raises(CatalogueError, match="holds no prediction: give an Item as `mage-stac predict` writes it"):
        report.predictions([images])
    assert [found.id for found in report.predictions([Path(str(item.get_self_href())).parents[2]])] == ["map"]


def around(lon: float, lat: float, crs: str, turned: float = 0) -> GeoBox:
    """A grid of 100 m a side whose middle lies there, its rows turned anticlockwise by so many degrees."""
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    affine = Affine.translation(x, y) @ Affine.rotation(turned) @ Affine.scale(1, -1) @ Affine.translation(-50, -50)
    return GeoBox((100, 100), affine, crs)


def test_the_place_of_a_map_across_the_antimeridian_is_its_own(tmp_path: Path) -> None:
    across = predictions.write(tmp_path / "out", [(20, 20, 4)], grid=around(-179.9999, -17, "EPSG:32701"))
    west, _, east, _ = across.bbox
    assert west > east
    assert report_facts.place(report_facts.facts(across)).endswith("around 17.0000° S, 179.9999° W")


@pytest.mark.parametrize(
    ("geobox", "said"),
    [
        (around(-93, 37, "EPSG:32615"), "North is up."),
        (around(25, 60, "EPSG:3857"), "North is up."),
        (around(-93, 37, "EPSG:32615", turned=30), "North is 30° right of up."),
        # A polar stereographic grid is turned by the distance from its central meridian: 45 degrees west, 0.
        (around(-10, 78, "EPSG:3413"), "North is 35° left of up."),
        (around(-60, -70, "EPSG:3031"), "North is 60° left of up."),
    ],
)
def test_which_way_north_lies_is_told_of_any_grid(geobox: GeoBox, said: str) -> None:
    assert report_facts.north(geobox) == said
