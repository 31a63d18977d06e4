"""Loose outlines against the true ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from shapely import affinity
from survey import Survey, survey

from mage_stac.scene import footprints, outlines
from mage_stac.scene.columns import NUMBERS, WORDS, Table
from mage_stac.scene.features import Features


def given(shapes: list[shapely.Geometry]) -> Features:
    count = len(shapes)
    names = np.array([f"house-{number}" for number in range(count)], object)
    table = Table(
        ids=names,
        numbers={name: np.full(count, np.nan) for name in NUMBERS},
        words={name: np.full(count, "", object) for name in WORDS},
        kept=np.ones(count, bool),
    )
    geometry = np.empty(count, object)
    geometry[:] = shapes
    return Features(role="building", geometry=geometry, table=table)


def view(made: Survey) -> outlines.View:
    return outlines.View(image=made.image, affine=made.geobox.affine)


def agreement(one: shapely.Geometry, other: shapely.Geometry) -> float:
    return float(shapely.intersection(one, other).area / shapely.union(one, other).area)


def test_round_outlines_with_their_shadow_become_the_house() -> None:
    made = survey()
    loose = [house.buffer(2.5).simplify(0.2) for house in made.houses]
    found = outlines.fitted(given(loose), view(made))
    assert len(found) == len(loose)
    before = np.mean([agreement(a, b) for a, b in zip(loose, made.houses, strict=True)])
    after = [agreement(a, b) for a, b in zip(found.geometry, made.houses, strict=True)]
    assert min(after) > 0.75
    assert np.mean(after) > before + 0.1


def test_an_outline_around_two_houses_is_cut_in_two() -> None:
    made = survey()
    one, two = made.houses[:2]
    found = outlines.fitted(given([shapely.union(one, two).convex_hull]), view(made))
    assert len(found) == 2
    assert found.table.ids.tolist() == ["house-0", "house-0"]
    assert all(max(agreement(shape, house) for house in (one, two)) > 0.7 for shape in found.geometry)


def test_outlines_that_fit_small_ones_and_those_beyond_the_image_stay() -> None:
    made = survey()
    west, south, _, _ = made.geobox.boundingbox.bbox
    kept = [made.houses[0], shapely.box(west + 50, south + 50, west + 53, south + 53), shapely.box(0, 0, 20, 20)]
    found = outlines.fitted(given(kept), view(made))
    assert all(a.equals(b) for a, b in zip(found.geometry, kept, strict=True))


def test_no_outlines_are_no_error() -> None:
    assert len(outlines.fitted(given([]), view(survey()))) == 0


@pytest.mark.parametrize("height", [np.nan, 9.0])
def test_a_leaning_roof_is_looked_for_where_it_leans_to(height: float) -> None:
    made, lean = survey(), (0.5, -0.4)  # towards the sensor: the roof is imaged so far the other way
    rise = outlines.ROOF if np.isnan(height) else height
    standing = [affinity.translate(house, rise * lean[0], rise * lean[1]) for house in made.houses]
    loose = given([house.buffer(2.5).simplify(0.2) for house in standing])
    loose.table.numbers["height"][:] = height
    found = outlines.fitted(loose, replace(view(made), lean=lean))
    assert len(found) == len(standing)
    assert min(agreement(a, b) for a, b in zip(found.geometry, standing, strict=True)) > 0.75


def test_what_was_not_observed_cuts_no_outline() -> None:
    made = survey()
    dark = made.image.copy()
    column = int((~made.geobox.affine @ made.houses[0].centroid.coords[0])[0])
    dark[:, :column] = np.nan
    loose = made.houses[0].buffer(2.5).simplify(0.2)
    found = outlines.fitted(given([loose]), replace(view(made), image=dark))
    assert found.geometry[0].equals(footprints.straightened(np.array([loose], object))[0])
