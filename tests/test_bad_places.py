"""What `render --place` says to data that are not as they should be: one line, nothing left; or a scene and a note."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from mage_stac.cli import app
from shapely import Polygon
from test_sources import grid
from test_twin import town

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`mage-stac render --hazard none ... --out OUT` with tests/fake_blender.py: the exit code and stderr."""
    program = tmp_path / "python-with-bpy"
    fake = Path(__file__).with_name("fake_blender.py")
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake}" "$@"\n')
    program.chmod(0o755)

    def call(*words: str | Path) -> tuple[int, str]:
        fixed = ("--hazard", "none", "--size", "64", "--blender", str(program), "--out", str(tmp_path / "out"))
        monkeypatch.setattr(sys, "argv", ["mage-stac", "render", *map(str, words), *fixed])
        with pytest.raises(SystemExit) as stop:
            app.main()
        return int(stop.value.code or 0), capsys.readouterr().err

    return call


def refused(run: Run, tmp_path: Path, *words: str | Path) -> str:
    """The one line that a command ends with; it leaves nothing."""
    code, said = run(*words)
    assert code == 1
    assert len(said.strip().splitlines()) == 1, said
    assert not list((tmp_path / "out").rglob("*.tif"))
    return said


def houses(path: Path, shapes: list[Polygon], crs: str | None = "EPSG:32632") -> Path:
    gpd.GeoDataFrame({"height": np.full(len(shapes), 6.0)}, geometry=shapes, crs=crs).to_file(path)
    return path


def label(tmp_path: Path) -> dict[str, Any]:
    (path,) = (tmp_path / "out").glob("none-pairs/*-label/*-label.json")
    return dict(json.loads(path.read_text())["properties"])


def square(x: float, y: float, side: float = 10.0) -> Polygon:
    return shapely.box(500_000 + x, 5_000_000 + y, 500_000 + x + side, 5_000_000 + y + side)


def test_outlines_that_cross_themselves_are_mended_and_flat_ones_left_out(run: Run, tmp_path: Path) -> None:
    bow = Polygon([(500030, 5000000), (500040, 5000010), (500040, 5000000), (500030, 5000010)])
    flat = Polygon([(500020, 5000000), (500025, 5000005), (500028, 5000008)])
    path = houses(tmp_path / "a.gpkg", [square(0, 0), bow, flat, square(0, 30), square(30, 30)])
    assert run("--place", path)[0] == 0
    notes = label(tmp_path)["synthetic:notes"]
    assert "footprints: 1 cross themselves: mended" in notes
    assert "footprints: 1 have no area: left out" in notes
    (table,) = (tmp_path / "out").glob("none-pairs/*-label/buildings.geojson")
    rings = [shapely.geometry.shape(one["geometry"]) for one in json.loads(table.read_text())["features"]]
    assert all(ring.is_valid and ring.area > 0 for ring in rings)


def test_a_place_of_flat_outlines_only_has_no_buildings_and_says_so(run: Run, tmp_path: Path) -> None:
    flat = Polygon([(500020, 5000000), (500025, 5000005), (500028, 5000008)])
    assert run("--place", houses(tmp_path / "a.gpkg", [flat]))[0] == 0
    assert "footprints: 1 have no area: left out" in label(tmp_path)["synthetic:notes"]


def test_no_crs(run: Run, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="crs"):
        path = houses(tmp_path / "a.shp", [square(0, 0)], crs=None)
    assert "a.shp has no CRS: assign it" in refused(run, tmp_path, "--place", path)


def test_a_terrain_smaller_than_the_place(run: Run, tmp_path: Path) -> None:
    dem = grid(tmp_path / "dem.tif", np.zeros((4, 4), np.float32))
    said = run("--place", town(tmp_path / "a.gpkg", 5), "--place", dem, "--strict")
    assert said[0] == 1
    failed = json.loads((tmp_path / "out" / "none-pairs" / "failures.json").read_text())
    assert "dem.tif covers" in str(failed)


def test_a_hundred_thousand_buildings_are_rendered_in_parts(run: Run, tmp_path: Path) -> None:
    x, y = (12.0 * axis.ravel() for axis in np.mgrid[0:317, 0:317])
    boxes = shapely.box(500_000 + x, 5_000_000 + y, 500_008 + x, 5_000_008 + y)
    assert len(boxes) > 100_000
    frame = gpd.GeoDataFrame({"height": np.full(len(boxes), 6.0)}, geometry=boxes, crs="EPSG:32632")
    frame.to_parquet(tmp_path / "a.parquet")
    assert run("--place", tmp_path / "a.parquet")[0] == 0
    (scene,) = (tmp_path / "out").glob("*/*-label/scene.json")
    assert 1 < len(json.loads(scene.read_text())["buildings"]) < 50


def test_degrees_become_metres(run: Run, tmp_path: Path) -> None:
    frame = gpd.read_file(town(tmp_path / "a.gpkg", 4)).to_crs("EPSG:4326")
    frame.to_file(tmp_path / "b.geojson")
    assert run("--place", tmp_path / "b.geojson")[0] == 0
    assert label(tmp_path)["proj:code"] == "EPSG:32632"


def test_a_map_of_columns_that_are_not_there(run: Run, tmp_path: Path) -> None:
    text = 'title = "mine"\n[[layers]]\nrole = "building"\n[layers.numbers]\nheight = ["HAUTEUR"]\n'
    (tmp_path / "map.toml").write_text(text)
    said = refused(run, tmp_path, "--place", town(tmp_path / "a.gpkg", 4), "--columns", tmp_path / "map.toml")
    assert "no column 'HAUTEUR'" in said


def test_a_file_that_is_not_what_its_name_says(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.gpkg").write_text("<!DOCTYPE html><html>not found</html>")
    said = refused(run, tmp_path, "--place", tmp_path / "a.gpkg")
    assert "begins like a web page, not SQLite" in said
