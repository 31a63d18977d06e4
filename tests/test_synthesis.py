"""From a spec to Items: with a stand-in for Blender (tests/fake_blender.py), and once with the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from shapely.geometry import shape

from mage_stac import blender, catalogue, registration
from mage_stac.errors import RenderError
from mage_stac.render_spec import RenderSpec
from mage_stac.scenario import draw
from mage_stac.synthesis import Report, render_pairs
from mage_stac.validate import validate

FAKE = Path(__file__).with_name("fake_blender.py")


@pytest.fixture
def fake(tmp_path: Path) -> str:
    """A program that behaves like Blender's Python with the renderer, in a fraction of its time."""
    program = tmp_path / "python-with-bpy"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n')
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def accidents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, str]], None]:
    """Plan what happens to the n-th render job."""

    def plan(what: dict[int, str]) -> None:
        path = tmp_path / "accidents.json"
        path.write_text(json.dumps(what))
        path.with_suffix(".count").unlink(missing_ok=True)
        monkeypatch.setenv("FAKE_BLENDER_CRASH", str(path))

    return plan


def spec(fake: str, **change: object) -> RenderSpec:
    return replace(RenderSpec(hazard="wind", size_px=64, seed=3, pairs=1, blender=fake, timeout=60.0), **change)


def pixels(root: Path) -> dict[str, bytes]:
    """Every raster's pixels, by its path."""
    found = {}
    for path in sorted(root.rglob("*.tif")):
        with rasterio.open(path) as source:
            found[str(path.relative_to(root))] = source.read().tobytes()
    return found


def test_a_pair_is_three_items_that_pass_the_check(fake: str, tmp_path: Path, schemas: Path) -> None:
    out = tmp_path / "out"
    report = render_pairs(spec(fake, pairs=2), out)
    assert report.made == ("wind-3-00000", "wind-3-00001")
    assert report.failed == {}
    assert not list(out.rglob("*partial*"))
    assert validate(out, schemas).problems == ()
    items = {item.id: item for item in catalogue.read_items(out)}
    assert len(items) == 6
    pre, post, label = (items[f"wind-3-00000-{part}"] for part in ("pre", "post", "label"))
    assert {link.rel for link in label.links} >= {"source"}
    assert pre.properties["synthetic:phase"] == "pre"
    assert post.properties["synthetic:phase"] == "post"
    assert pre.properties["gsd"] == 0.6
    assert pre.properties["proj:code"] == label.properties["proj:code"]
    assert set(label.assets) >= {
        "damage",
        "water",
        "semantic",
        "instance",
        "height",
        "flood_depth",
        "buildings",
        "scene",
    }
    assert {pre.properties["synthetic:pair"], label.properties["synthetic:pair"]} == {"wind-3-00000"}


def test_labels_agree_with_each_other(fake: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    render_pairs(spec(fake, undamaged_share=0.0), out)
    folder = out / "wind-pairs" / "wind-3-00000-label"
    scenario = draw(spec(fake, undamaged_share=0.0), 0)
    with rasterio.open(folder / "damage.tif") as damage, rasterio.open(folder / "instance.tif") as instance:
        grades, numbers = damage.read(1), instance.read(1)
        assert damage.transform == scenario.geobox.affine
        assert damage.nodata == 255
    features = json.loads((folder / "buildings.geojson").read_text())["features"]
    assert {one["properties"]["instance"] for one in features} == set(np.unique(numbers)) - {0}
    for one in features:
        inside = grades[numbers == one["properties"]["instance"]]
        assert set(np.unique(inside)) == {one["properties"]["grade"]}
        assert one["properties"]["roof_pixels"] == inside.size
        assert one["properties"]["grade"] == scenario.truth.grades[one["id"]]
        assert shape(one["geometry"]).is_valid
    assert (grades[numbers == 0] == 0).all()


def test_running_again_makes_only_what_is_missing(fake: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    render_pairs(spec(fake), out)
    first = out / "wind-pairs" / "wind-3-00000-label" / "damage.tif"
    before = first.stat().st_mtime_ns
    report = render_pairs(spec(fake, pairs=2), out)
    assert report.skipped == ("wind-3-00000",)
    assert report.made == ("wind-3-00001",)
    assert first.stat().st_mtime_ns == before
    assert render_pairs(spec(fake, pairs=2, blender="/nowhere"), out).made == ()


def test_pairs_are_the_same_however_many_workers(fake: str, tmp_path: Path) -> None:
    render_pairs(spec(fake, pairs=2), tmp_path / "one")
    render_pairs(spec(fake, pairs=2, workers=2), tmp_path / "two")
    assert pixels(tmp_path / "one") == pixels(tmp_path / "two")


def test_pairs_of_a_dask_cluster_are_the_same(
    fake: str, tmp_path: Path, accidents: Callable[[dict[int, str]], None]
) -> None:
    distributed = pytest.importorskip("distributed")
    accidents({0: "crash"})  # the first job of the first pair that comes
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as local:
        given = spec(fake, pairs=2, scheduler=local.scheduler_address)
        first = render_pairs(given, tmp_path / "dask")
        assert len(first.made) == 1
        assert "Segmentation fault, said the fake" in next(iter(first.failed.values()))
        again = render_pairs(given, tmp_path / "dask")
        assert again.skipped == first.made
        assert again.failed == {}
    accidents({})
    render_pairs(spec(fake, pairs=2), tmp_path / "one")
    assert pixels(tmp_path / "one") == pixels(tmp_path / "dask")


def test_a_gpu_that_is_not_there_is_one_line(fake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RenderError, match="Cycles finds no GPU here: give --device auto or cpu"):
        render_pairs(spec(fake, device="gpu"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("FAKE_BLENDER_GPUS", '["a card"]')
    assert render_pairs(spec(fake, device="gpu"), tmp_path / "out").failed == {}


def test_a_crashed_scene_is_recorded_and_made_next_time(
    fake: str, tmp_path: Path, accidents: Callable[[dict[int, str]], None]
) -> None:
    out = tmp_path / "out"
    accidents({1: "crash"})
    report = render_pairs(spec(fake, pairs=2), out)
    assert report.made == ("wind-3-00001",)
    assert "ended with code 11: Segmentation fault, said the fake" in report.failed["wind-3-00000"]
    failures = out / "wind-pairs" / "failures.json"
    assert list(json.loads(failures.read_text())) == ["wind-3-00000"]
    assert not list((out / "wind-pairs").glob("*00000*"))
    assert len(catalogue.read_items(out)) == 3
    accidents({})
    assert render_pairs(spec(fake, pairs=2), out).made == ("wind-3-00000",)
    assert not failures.exists()


def test_a_hung_scene_is_recorded(fake: str, tmp_path: Path, accidents: Callable[[dict[int, str]], None]) -> None:
    accidents({0: "hang"})
    report = render_pairs(spec(fake, pairs=2, timeout=25.0), tmp_path / "out")
    assert "still busy after 25 s" in report.failed["wind-3-00000"]
    assert report.made == ("wind-3-00001",)


def test_a_run_without_hope_stops(fake: str, tmp_path: Path, accidents: Callable[[dict[int, str]], None]) -> None:
    accidents(dict.fromkeys(range(50), "crash"))
    with pytest.raises(RenderError, match="the first 5 scenes all failed"):
        render_pairs(spec(fake, pairs=20), tmp_path / "out")


def test_other_options_are_not_mixed_in(fake: str, tmp_path: Path) -> None:
    render_pairs(spec(fake), tmp_path / "out")
    with pytest.raises(RenderError, match=r"made with gsd 0\.6, not 0\.5: give another --out or --seed"):
        render_pairs(spec(fake, gsd=0.5, pairs=2), tmp_path / "out")


def test_without_blender_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="no Blender at"):
        render_pairs(spec(str(tmp_path / "none")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_leaves_whole_items_and_the_run_resumes(
    fake: str, tmp_path: Path, accidents: Callable[[dict[int, str]], None], workers: int
) -> None:
    out = tmp_path / "out"
    accidents({4: "hang", 5: "hang"})  # the first pairs pass
    code = (
        "import sys; from pathlib import Path; from mage_stac.synthesis import RenderSpec, render_pairs\n"
        "if __name__ == '__main__':\n"
        f"    render_pairs(RenderSpec(hazard='wind', size_px=64, seed=3, pairs=4, blender={fake!r}, workers={workers}),"
        f" Path({str(out)!r}))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    child = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, start_new_session=True)
    count = tmp_path / "accidents.count"
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline and not (count.exists() and int(count.read_text() or 0) >= 4 + workers):
        time.sleep(0.2)
    os.killpg(child.pid, signal.SIGINT)
    _, stderr = child.communicate(timeout=60)
    assert b"KeyboardInterrupt" in stderr
    assert child.returncode != 0
    assert not list(out.rglob("*.partial"))
    done = [path.name for path in (out / "wind-pairs").glob("*-label")]
    assert 0 < len(done) < 4
    assert len(catalogue.read_items(out)) == 3 * len(done)
    accidents({})
    report = render_pairs(spec(fake, pairs=4), out)
    assert len(report.made) == 4 - len(done)
    render_pairs(spec(fake, pairs=4), tmp_path / "whole")
    assert pixels(out) == pixels(tmp_path / "whole")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report, RenderSpec]:
    """Two small pairs by the real Blender."""
    try:
        blender.find()
    except RenderError as error:
        pytest.skip(str(error))
    out = tmp_path_factory.mktemp("real")
    real = RenderSpec(hazard="wind", size_px=128, seed=5, pairs=2, undamaged_share=0.0, max_shift=3.0)
    return out, render_pairs(real, out), real


@pytest.mark.blender
def test_real_pairs_pass_the_check(rendered: tuple[Path, Report, RenderSpec], schemas: Path) -> None:
    out, report, _ = rendered
    assert report.failed == {}
    assert validate(out, schemas).problems == ()


@pytest.mark.blender
def test_roofs_stand_on_their_footprints(rendered: tuple[Path, Report, RenderSpec]) -> None:
    out, _, real = rendered
    scenario = draw(real, 0)
    with rasterio.open(out / "wind-pairs" / f"{scenario.id}-label" / "instance.tif") as source:
        numbers = source.read(1)
        inverse = ~source.transform
    west, south = scenario.pre.scene.origin
    for number in np.unique(numbers)[1:]:
        building = scenario.pre.scene.buildings[number - 1]
        rows, columns = np.nonzero(numbers == number)
        corners = np.array([inverse @ (west + x, south + y) for x, y in building.footprint])
        # Eaves hang over, and what stands tall leans by at most tan(off-nadir) of its height.
        slack = (building.overhang + 0.15 * (building.height + 6.0)) / 0.6 + 1.0
        assert columns.min() + 0.5 > corners[:, 0].min() - slack
        assert columns.max() + 0.5 < corners[:, 0].max() + slack
        assert rows.min() + 0.5 > corners[:, 1].min() - slack
        assert rows.max() + 0.5 < corners[:, 1].max() + slack


@pytest.mark.blender
def test_real_pairs_repeat(rendered: tuple[Path, Report, RenderSpec], tmp_path: Path) -> None:
    out, _, real = rendered
    render_pairs(replace(real, pairs=1), tmp_path)
    first = {name: data for name, data in pixels(out).items() if real.pair_id(0) in name}
    again = pixels(tmp_path)
    for name, data in again.items():
        if "-label/" in name:
            assert data == first[name], name
        else:
            one, two = (np.frombuffer(raw, np.uint8).astype(int) for raw in (data, first[name]))
            assert np.abs(one - two).max() <= 1, name


def test_the_stored_shift_is_the_true_one(fake: str, tmp_path: Path) -> None:
    """The same radiance exposed without and with the shift: registration finds what the Item says."""
    images, stored = [], []
    for reach, name in ((0.0, "still"), (3.0, "moved")):
        render_pairs(spec(fake, hazard="none", size_px=128, max_shift=reach), tmp_path / name)
        item = catalogue.read_item(tmp_path / name / "none-pairs" / "none-3-00000-post")
        stored.append(item.properties["synthetic:shift"])
        with rasterio.open(catalogue.asset_path(item, "image")) as source:
            images.append(source.read().astype(np.float32).mean(0))
    rows, columns, peak = registration.match(images[0], images[1], np.ones(images[0].shape, bool))
    assert stored[0] == [0.0, 0.0]
    assert peak > registration.PEAK
    assert (rows, columns) == pytest.approx(tuple(stored[1]), abs=0.2)


def test_kept_passes_serve_another_sensor(
    fake: str, accidents: Callable[[dict[int, str]], None], tmp_path: Path
) -> None:
    keep, named = str(tmp_path / "keep"), {"sensor": "naip", "off_nadir": 0.0}
    first = spec(fake, **named)
    accidents({2: "crash", 3: "crash"})  # the third job and what might try it again
    assert render_pairs(replace(first, keep=keep), tmp_path / "naip").failed == {}
    other = replace(first, sensor="aerial-rgb", clouds=0.5, keep=keep)
    assert render_pairs(other, tmp_path / "rgb").failed == {}
    assert render_pairs(replace(other, keep=None), tmp_path / "anew").failed  # without the folder Blender is asked
    accidents({})
    render_pairs(replace(other, keep=None), tmp_path / "plain")
    assert pixels(tmp_path / "rgb") == pixels(tmp_path / "plain")


def test_passes_are_not_kept_for_another_scene(fake: str, tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    render_pairs(spec(fake, keep=str(keep)), tmp_path / "one")
    render_pairs(spec(fake, keep=str(keep), seed=4), tmp_path / "two")
    assert len(list(keep.iterdir())) == 4
