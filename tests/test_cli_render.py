"""The render verb, as a user calls it; Blender is tests/fake_blender.py."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import rasterio
from mage_stac.cli import app
from shapely import box

from mage_stac import veil
from mage_stac.scene import scene as scenes


@pytest.fixture
def fake(tmp_path: Path) -> str:
    program = tmp_path / "python-with-bpy"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("fake_blender.py")}" "$@"\n')
    program.chmod(0o755)
    return str(program)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mage-stac", "render", *words])
    with pytest.raises(SystemExit) as stop:
        app.main()
    return int(stop.value.code or 0)


def test_the_folder_of_what_was_made_is_printed(
    fake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    words = ("--hazard", "none", "--size", "64", "--seed", "1", "--blender", fake, "--out", out)
    assert run(monkeypatch, *words) == 0
    assert capsys.readouterr().out.strip() == f"{out}/none-pairs"
    assert run(monkeypatch, *words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["skipped"] == ["none-1-00000"]
    assert told["made"] == []


@pytest.mark.parametrize(
    ("words", "asked"),
    [((), {"samples": 4, "denoise": True}), (("--samples", "2", "--no-denoise"), {"samples": 2, "denoise": False})],
)
def test_light_paths_and_denoiser_are_what_blender_is_asked_for(
    fake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], asked: dict[str, object]
) -> None:
    out = tmp_path / "out"
    plain = ("--hazard", "none", "--size", "64", "--seed", "1", "--blender", fake, "--out", str(out))
    assert run(monkeypatch, *plain, *words) == 0
    told = json.loads((out / "none-pairs/none-1-00000-label/render.json").read_text("utf-8"))
    for date in ("pre", "post"):
        assert asked.items() <= told[date]["job"].items()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--hazard", "frogs"), "no hazard 'frogs': there are"),
        (("--procedural", "moon"), "no style 'moon': there are"),
        (("--hazard", "fire", "--intensity", "300"), "fire of intensity 300.0 m/s is outside 0.0..40.0 m/s"),
        (("--hazard", "earthquake", "--intensity", "9"), "earthquake of intensity 9.0 Mw is outside 4.0..7.6 Mw"),
        (("--hazard", "flood", "--intensity", "99"), "flood of intensity 99.0 m is outside 0.05..20.0 m"),
        (
            ("--hazard", "flood", "--set", "by=return_period"),
            "a flood by return period needs the mean annual flood, m3/s",
        ),
        (("--hazard", "fire", "--set", "hours"), "setting 'hours' is not NAME=VALUE"),
        (("--hazard", "wind", "--set", "days=-1"), "days since the storm -1: give 0 to 365"),
        (("--blender", "/nowhere/blender"), "no Blender at /nowhere/blender (from --blender): run `make setup`"),
    ],
)
def test_bad_input_is_one_line(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, *words, "--out", str(out)) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert said.out == ""
    assert not out.exists()


TOWN = "houses.geojson"


@pytest.fixture
def town(tmp_path: Path) -> tuple[str, ...]:
    """A place of houses alone: no water, no roads, no terrain."""
    boxes = [box(x, y, x + 11, y + 8) for x in range(352000, 352120, 20) for y in range(4739000, 4739100, 20)]
    gpd.GeoDataFrame({"height": [6.0] * len(boxes)}, geometry=boxes, crs="EPSG:32633").to_file(tmp_path / TOWN)
    return ("--place", str(tmp_path / TOWN), "--size", "64", "--undamaged", "0")


def test_a_place_that_a_hazard_cannot_act_on_is_one_line_in_failures(
    fake: str,
    town: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    words = (*town, "--hazard", "flood", "--set", "source=river", "--blender", fake, "--out", str(out))
    assert run(monkeypatch, *words) == 1
    assert f"1 of 1 scenes failed: see {out}/flood-pairs/failures.json" in capsys.readouterr().err
    (reason,) = json.loads((out / "flood-pairs/failures.json").read_text()).values()
    assert reason.endswith("has no water that could rise: add a river or lake, or flood it by another source")
    assert "\n" not in reason


def test_a_hazard_that_touches_nothing_and_a_place_without_roads_are_said(
    fake: str,
    town: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    words = ("--hazard", "earthquake", "--intensity", "4.1", "--set", "distance=250", "--set", "residual=0")
    assert run(monkeypatch, *town, *words, "--blender", fake, "--out", str(out)) == 0
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("warning: earthquake-0-00000: earthquake of 4.1 Mw touches nothing in scene ")
    label = json.loads((out / "earthquake-pairs/earthquake-0-00000-label/earthquake-0-00000-label.json").read_text())
    assert any(
        note.endswith("has no roads: which can be driven is not said")
        for note in label["properties"]["synthetic:notes"]
    )


def test_what_smoke_hides_is_not_observed(fake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    words = ("--hazard", "fire", "--set", "smoke=true", "--set", "hours=0.8", "--set", "moisture=0.04")
    assert run(monkeypatch, *words, "--size", "96", "--undamaged", "0", "--blender", fake, "--out", str(out)) == 0
    label = out / "fire-pairs/fire-0-00000-label"
    scene = scenes.load(label)
    assert scene.smoke is not None
    with rasterio.open(label / "damage.tif") as source:
        hidden = source.read(1) == 255
    # The scene is 8 pixels wider on each side than its image.
    assert (hidden == veil.hidden((112, 112), scene.smoke.depth)[8:-8, 8:-8]).all()
    assert hidden.any()
    with rasterio.open(label / "burnt.tif") as source:
        assert ((source.read(1) == 255) == hidden).all()


def test_strict_makes_failures_an_error_and_so_does_a_run_that_made_nothing(
    fake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, out = tmp_path / "plan.json", tmp_path / "out"
    monkeypatch.setenv("FAKE_BLENDER_CRASH", str(plan))
    words = ("--hazard", "none", "--size", "64", "--blender", fake, "--out", str(out), "--pairs")
    plan.write_text(json.dumps({"0": "crash", "1": "crash"}))
    assert run(monkeypatch, *words, "1") == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert f"1 of 1 scenes failed: see {out}/none-pairs/failures.json; none-0-00000" in told.err
    assert run(monkeypatch, *words, "2", "--strict") == 1
    plan.write_text(json.dumps({plan.with_suffix(".count").read_text(): "crash"}))
    capsys.readouterr()
    assert run(monkeypatch, *words, "2") == 0
    told = capsys.readouterr()
    assert told.out.split() == [f"{out}/none-pairs"]
    assert "1 of 2 scenes failed" in told.err


@pytest.mark.parametrize(("name", "least"), [("helsinki", 2), ("harrisburg", 5)])
def test_a_part_of_an_osm_extract_stands_where_osm_has_it(
    fake: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, least: int
) -> None:
    """Footprints of the label beside what GDAL alone reads of the same ways."""
    file, out = shared / f"osm/{name}.osm.pbf", tmp_path / "out"
    words = ("--hazard", "none", "--size", "96", "--gsd", "1", "--seed", "2", "--blender", fake, "--out", str(out))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # GDAL's on broken rings of helsinki.osm.pbf
        assert run(monkeypatch, "--place", str(file), *words) == 0
        mapped = pyogrio.read_dataframe(
            file,
            layer="multipolygons",
            columns=["osm_id", "osm_way_id"],
            where="building IS NOT NULL",
            on_invalid="ignore",
        )
    folder = out / "none-pairs/none-2-00000-label"
    label = gpd.read_file(folder / "buildings.geojson")
    crs = label.estimate_utm_crs()
    mapped = mapped[mapped.geometry.notna()].to_crs(crs)
    ways = mapped.set_index(("way/" + mapped.osm_way_id).fillna("relation/" + mapped.osm_id)).geometry.make_valid()
    own = label.to_crs(crs).set_index("id").geometry
    both = own.index.intersection(ways.index)
    assert len(both) >= least
    assert len(both) > 0.5 * len(own)
    shared_area = own[both].intersection(ways[both]).area / own[both].union(ways[both]).area
    assert shared_area.median() > 0.98
    scene = scenes.load(folder)
    assert any(surface.semantic == "road" and surface.line for surface in scene.surfaces)
    assert "OpenStreetMap" in scene.sources[0]
