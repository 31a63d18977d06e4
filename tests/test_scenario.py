"""Scenarios follow from the spec and the index alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from shapely import Polygon, box

from mage_stac.errors import HazardError, MageStacError, PlaceError, RenderError
from mage_stac.hazards.earthquake import Earthquake
from mage_stac.render_spec import MARGIN, RUN, RenderSpec
from mage_stac.scenario import check, draw
from mage_stac.scene.scene import save

SPEC = RenderSpec(hazard="wind", seed=0, size_px=48, undamaged_share=0.5)


def test_a_pair_depends_on_seed_and_index_only(tmp_path: Path) -> None:
    one = draw(SPEC, 3)
    two = draw(replace(SPEC, pairs=50, workers=4), 3)
    for phase in ("pre", "post"):
        texts = []
        for name, scenario in (("one", one), ("two", two)):
            shot = getattr(scenario, phase)
            texts.append((save(shot.scene, tmp_path / name / phase).read_bytes(), shot.look))
        assert texts[0] == texts[1]
    assert dict(one.truth.grades) == dict(two.truth.grades)
    assert draw(SPEC, 4).pre.scene.origin != one.pre.scene.origin
    assert draw(replace(SPEC, seed=1), 3).pre.scene.origin != one.pre.scene.origin


def test_the_image_lies_inside_the_scene_on_whole_pixels() -> None:
    scenario = draw(SPEC, 0)
    west, south = scenario.pre.scene.origin
    box = scenario.geobox.boundingbox
    assert scenario.geobox.shape == (48, 48)
    assert (box.left - west, box.bottom - south) == pytest.approx((MARGIN * 0.6, MARGIN * 0.6), abs=1e-6)
    assert scenario.pre.scene.size == pytest.approx(((48 + 2 * MARGIN) * 0.6,) * 2)
    assert box.left / 0.6 == pytest.approx(round(box.left / 0.6), abs=1e-5)


def test_dates_follow_each_other_and_differ_in_light() -> None:
    scenario = draw(SPEC, 1)
    assert scenario.pre.scene.datetime < scenario.post.scene.datetime
    assert scenario.pre.scene.light != scenario.post.scene.light
    assert scenario.pre.look.shift == (0.0, 0.0)
    assert np.abs(scenario.post.look.shift).max() <= SPEC.max_shift


def test_some_pairs_stay_undamaged() -> None:
    hazards = [draw(SPEC, index).hazard for index in range(12)]
    assert set(hazards) == {"wind", "none"}
    calm = draw(SPEC, hazards.index("none"))
    assert calm.intensity is None
    assert set(calm.truth.grades.values()) <= {1}
    assert [one.id for one in calm.pre.scene.buildings] == [one.id for one in calm.post.scene.buildings]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hazard": "frogs"}, r"no hazard 'frogs': there are .*none.*wind"),
        ({"style": "moon"}, r"no style 'moon': there are .*suburb"),
        ({"size_px": 8}, r"size 8 is outside 16\.\.8192"),
        ({"seed": -1}, "seed -1"),
        ({"gsd": 0.0}, "gsd 0.0"),
        ({"undamaged_share": 1.5}, "undamaged share 1.5"),
        ({"workers": 0}, "workers 0"),
        ({"off_nadir": 10.0, "off_nadir_from": 20.0}, r"least off-nadir 20\.0 is outside 0\.0\.\.10\.0"),
        ({"timeout": 0.0}, "timeout 0.0"),
    ],
)
def test_values_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MageStacError, match=message):
        replace(SPEC, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sensor": "moon"}, "no sensor 'moon'"),
        ({"post_sensor": "moon"}, "no sensor 'moon'"),
        ({"sensor": "drone", "off_nadir_from": 5.0}, r"least off-nadir 5\.0: a camera near the ground"),
        ({"altitude": 60.0, "off_nadir_from": 5.0}, r"least off-nadir 5\.0: a camera near the ground"),
        ({"sensor": "sar-x", "altitude": 60.0}, "altitude: sar-x is a radar"),
        ({"sensor": "sar-x", "off_nadir_from": 5.0}, "least off-nadir: sar-x is a radar"),
    ],
)
def test_sensors_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    spec = replace(SPEC, **change)
    with pytest.raises(MageStacError, match=message):
        check(spec)


def test_a_spec_opens_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "open", None)
    monkeypatch.setattr(Path, "read_text", None)
    spec = RenderSpec(sensor="nowhere.toml", like="nowhere", place=("nowhere.gpkg",), columns="nowhere.toml")
    assert spec.like == "nowhere"


def test_what_runs_a_spec_is_not_among_its_pixels() -> None:
    run = {"pairs": 9, "workers": 2, "scheduler": "tcp://there:1", "device": "cpu", "blender": "b", "keep": "k",
           "restart_after": 3, "timeout": 5.0}  # fmt: skip
    assert run.keys() == RUN
    assert replace(SPEC, **run).pixels() == SPEC.pixels()  # type: ignore[arg-type] # of several types
    assert not RUN & SPEC.pixels().keys()


def test_zero_is_a_seed() -> None:
    assert draw(replace(SPEC, seed=0), 0).pre.scene.origin != draw(replace(SPEC, seed=1), 0).pre.scene.origin


def test_an_intensity_or_an_event_sets_every_damaged_pair() -> None:
    calm = draw(RenderSpec(hazard="wind", intensity=60.0, size_px=48, undamaged_share=1.0), 0)
    assert (calm.hazard, calm.intensity) == ("none", None)
    cases: tuple[tuple[dict[str, Any], float], ...] = (
        ({"hazard": "wind", "intensity": 60.0}, 60.0),
        ({"hazard": "earthquake", "event": "norcia-2016"}, 6.5),
        ({"hazard": "earthquake", "event": "norcia-2016", "intensity": 6.8}, 6.8),
    )
    for fields, wanted in cases:
        spec = RenderSpec(size_px=64, style="informal", undamaged_share=0.0, **fields)
        assert draw(spec, 0).intensity == wanted
    assert "intensity" not in SPEC.pixels()


def test_settings_go_over_the_events_and_change_the_unit() -> None:
    flood = RenderSpec(
        hazard="flood",
        settings=("by=return_period", "mean_annual=120"),
        intensity=100.0,
        size_px=64,
        undamaged_share=0.0,
    )
    assert flood.happening().unit == "years"
    assert flood.pixels()["settings"] == ("by=return_period", "mean_annual=120")
    quake = RenderSpec(hazard="earthquake", event="norcia-2016", settings=("distance=30",))
    happening = quake.happening()
    assert isinstance(happening, Earthquake)
    assert (happening.distance, happening.stock) == (30.0, "masonry")
    assert "settings" not in SPEC.pixels()


def test_a_strength_that_cannot_be_is_refused() -> None:
    with pytest.raises(RenderError, match=r"flood of intensity 0\.5 years is outside 1\.1\.\.10000\.0 years"):
        RenderSpec(hazard="flood", settings=("by=return_period", "mean_annual=120"), intensity=0.5)
    with pytest.raises(HazardError, match="wind has no setting 'hours': choose among bearing"):
        RenderSpec(hazard="wind", settings=("hours=3",))
    with pytest.raises(RenderError, match=r"wind of intensity 999\.0 m/s is outside 25\.0\.\.120\.0 m/s"):
        RenderSpec(hazard="wind", intensity=999.0)
    with pytest.raises(RenderError, match="event 'norcia-2016' is of hazard earthquake, not wind"):
        RenderSpec(event="norcia-2016")
    with pytest.raises(HazardError, match="no event 'flood-of-noah'"):
        RenderSpec(event="flood-of-noah")


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> gpd.GeoDataFrame:
    """Thirty houses near Norcia, whose file is named in `attrs`."""
    boxes = [box(x, y, x + 11, y + 8) for x in range(352000, 352120, 20) for y in range(4739000, 4739100, 20)]
    table = gpd.GeoDataFrame({"height": [6.0] * len(boxes)}, geometry=boxes, crs="EPSG:32633")
    path = tmp_path_factory.mktemp("place") / "houses.geojson"
    table.to_crs("EPSG:4326").to_file(path)
    table.attrs["path"] = str(path)
    return table


def test_a_real_place_stands_where_its_data_say(houses: gpd.GeoDataFrame) -> None:
    scenario = draw(replace(SPEC, place=(houses.attrs["path"],), hazard="none"), 1)
    west, south = scenario.pre.scene.origin
    assert scenario.geobox.crs == "EPSG:32633"
    assert scenario.geobox.boundingbox.left / 0.6 == pytest.approx(
        round(scenario.geobox.boundingbox.left / 0.6), abs=1e-5
    )
    assert scenario.pre.scene.buildings
    for building in scenario.pre.scene.buildings:
        there = Polygon([(west + x, south + y) for x, y in building.footprint])
        # GeoJSON rounds to 7 decimals of a degree, a centimetre
        assert houses.geometry.intersection(there).area.max() > 0.99 * there.area
    assert scenario.pre.scene.sources == scenario.post.scene.sources != ()


def test_parts_of_a_real_place_follow_from_seed_and_index(houses: gpd.GeoDataFrame, tmp_path: Path) -> None:
    spec = replace(SPEC, place=(houses.attrs["path"],))
    texts = [save(draw(spec, index).pre.scene, tmp_path / str(n)).read_bytes() for n, index in enumerate((1, 1, 2))]
    assert texts[0] == texts[1] != texts[2]


def test_a_place_that_is_not_there_is_named_at_once() -> None:
    with pytest.raises(PlaceError, match=r"nowhere\.gpkg"):
        check(replace(SPEC, place=("nowhere.gpkg",)))


def test_views_lean_between_the_least_and_the_most() -> None:
    spec = replace(SPEC, off_nadir=25.0, off_nadir_from=25.0)
    for phase in ("pre", "post"):
        assert getattr(draw(spec, 2), phase).scene.view.off_nadir == 25.0
