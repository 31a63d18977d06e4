"""Infrared reflectance of what a scene is made of, against what such things are known, and measured, to show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from mage_stac.scene import infrared, materials
from mage_stac.scene.scene import SEMANTIC


def seen(name: str, season: str = "summer", what: str = "grass") -> tuple[np.ndarray, np.ndarray]:
    """Colours of a material's variants (N, 3) and their infrared."""
    colour = np.array(materials.material(name, season).variants, np.float32)
    return colour, infrared.of(colour, np.full(len(colour), SEMANTIC[what], np.uint8))


def contrast(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one - other) / (one + other)


def ndvi(name: str, season: str = "summer", what: str = "grass") -> float:
    colour, beyond = seen(name, season, what)
    return float(contrast(beyond[:, 0], colour[:, 0]).mean())


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("grass", "grass"),
        ("field", "field"),
        ("leaf_broadleaf", "tree"),
        ("leaf_conifer", "tree"),
        ("leaf_hedge", "tree"),
    ],
)
def test_plants_are_bright_in_summer(name: str, what: str) -> None:
    assert ndvi(name, "summer", what) > 0.5
    assert seen(name, "summer", what)[1][:, 0].mean() > 0.2


@pytest.mark.parametrize(
    ("name", "what"), [("meadow", "grass"), ("woodland", "tree"), ("branch", "tree"), ("bark", "tree")]
)
def test_what_is_dry_or_leafless_is_not(name: str, what: str) -> None:
    assert 0.0 < ndvi(name, "winter", what) < 0.3


@pytest.mark.parametrize(("name", "what"), [
    ("asphalt", "road"), ("concrete", "paved"), ("bare", "bare"), ("shingle_green", "building"),
    ("metal_white", "building"),    ("tarpaulin_blue", "building"), ("court_green", "paved"),
])  # fmt: skip
def test_nothing_else_passes_for_a_plant(name: str, what: str) -> None:
    assert ndvi(name, "summer", what) < 0.35 or name.startswith("tarpaulin")  # plastics are bright, but not green
    assert (seen(name, "summer", what)[1] > 0.02).all()


@pytest.mark.parametrize("name", ["water", "pool"])
def test_water_is_black_beyond_the_visible(name: str) -> None:
    colour, beyond = seen(name, what="water")
    assert (contrast(colour[:, 1], beyond[:, 0]) > 0).all()  # NDWI of McFeeters
    assert (beyond[:, 1:] < 0.02).all()


@pytest.mark.parametrize("table", [infrared.BUILT, infrared.PLANTS, infrared.GROUND, infrared.WATER])
def test_a_material_of_its_own_colour_has_its_own_reflectance(table: dict[str, infrared.Spectrum]) -> None:
    what = {"leaf_broadleaf": "tree", "siding_tan": "building", "asphalt": "road", "pool": "water"}
    kind = next(what[name] for name in table if name in what)
    errors = []
    for name, spectrum in table.items():
        _, found = seen(name, what=kind)
        stated = np.atleast_2d(spectrum).mean(axis=0)
        errors.append(np.abs(np.log(found.mean(axis=0)[0] / stated[0])))
    assert np.median(errors) < 0.15
    assert max(errors) < 0.8  # greys of one hue are one thing to it


def test_soil_shines_more_the_longer_the_wave_and_leaves_less() -> None:
    soil, leaf = seen("bare", what="bare")[1].mean(axis=0), seen("leaf_broadleaf", what="tree")[1].mean(axis=0)
    assert soil[1] > soil[0]
    assert leaf[0] > leaf[1] > leaf[2]


def test_fire_shows_as_less_near_and_more_short_wave_infrared() -> None:
    burnt = np.array([[0.042, 0.038, 0.034]], np.float32)
    near, _, short = infrared.of(burnt, np.array([SEMANTIC["grass"]], np.uint8))[0]
    lawn = seen("grass")[1].mean(axis=0)
    assert near < 0.25 * lawn[0]
    assert contrast(near, short) < 0 < contrast(lawn[0], lawn[2])  # the normalised burn ratio turns


@given(
    st.lists(st.tuples(*3 * [st.floats(0, 0.95)]), min_size=1, max_size=8), st.sampled_from(sorted(SEMANTIC.values()))
)
def test_it_is_a_reflectance_whatever_the_colour(colours: list[tuple[float, float, float]], code: int) -> None:
    found = infrared.of(np.array(colours, np.float32), np.full(len(colours), code, np.uint8))
    assert found.shape == (len(colours), 3)
    assert ((found >= 0) & (found <= 0.95)).all()


@given(st.floats(0.2, 2.0))
def test_brightness_changes_nothing_else(factor: float) -> None:
    colour = np.array([[0.06, 0.09, 0.035]], np.float32)
    code = np.array([SEMANTIC["grass"]], np.uint8)
    np.testing.assert_allclose(
        infrared.of(colour * np.float32(factor), code), infrared.of(colour, code) * factor, rtol=1e-3
    )


def test_spain_as_sentinel_2_saw_it(shared: Path) -> None:
    """Crops and water of a real image (top of the atmosphere) beside the table's."""
    with rasterio.open(shared / "sen1floods11_spain/Spain_7370579_S2Hand.tif") as source:
        bands = dict(zip(source.descriptions, source.read() * 1e-4, strict=True))
    with rasterio.open(shared / "sen1floods11_spain/Spain_7370579_LabelHand.tif") as source:
        water = source.read(1) == 1
    crops = contrast(bands["B8"], bands["B4"]) > 0.4
    green = crops & (bands["B8"] > np.percentile(bands["B8"][crops], 95))  # in a dry September: irrigated fields
    near, short = (float(np.median(bands[name][green])) for name in ("B8", "B12"))
    field = seen("field", what="field")[1][0]
    assert field[0] == pytest.approx(near, rel=0.35)
    assert field[2] == pytest.approx(short, rel=0.35)
    pond = seen("water", what="water")[1].mean(axis=0)
    assert pond[0] < np.median(bands["B8"][water])  # real air adds to it
    assert pond[1] < np.median(bands["B11"][water])
