from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from plans import GRADES, L_SHAPE, NAMED, RECTANGLE, building, footprints, turned

from mage_stac.scene import covers, ruins, shells
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.scene import LOOKS, SEMANTIC, Damage, Ring

KEEPS_WALLS = ("intact", "cover_patches", "tarpaulin", "decking", "open_roof")
ROOFS = ("flat", "gabled", "hipped", "shed")
FALLEN = ("rooms", "rubble", "slab", "burnt", "gone")


def draw(footprint: Ring = RECTANGLE, **fields: object) -> Mesh:
    return ruins.build(shells.of([building(footprint, **fields)])[0])


def roof_cover(whole: Mesh, footprint: Ring, above: float) -> float:
    """Share of the footprint under building faces higher than `above`, by points."""
    rng = np.random.default_rng(0)
    outline = shapely.Polygon(footprint)
    x0, y0, x1, y1 = outline.bounds
    at = rng.uniform((x0, y0), (x1, y1), (1500, 2))
    at = at[shapely.contains_xy(outline, at[:, 0], at[:, 1])]
    high = (whole.centroids[:, 2] > above) & (whole.semantic == SEMANTIC["building"])
    triangles = shapely.polygons(whole.vertices[whole.triangles[high]][:, :, :2].astype(float))
    tree = shapely.STRtree(triangles)
    hit = tree.query(shapely.points(at), predicate="intersects")[0]
    return len(np.unique(hit)) / len(at)


@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    footprints(),
    st.sampled_from(sorted(GRADES)),
    st.sampled_from(["flat", "gabled", "hipped", "shed"]),
    st.floats(0, 1),
)
def test_every_look_works_on_every_plan(footprint: Ring, look: str, kind: str, fraction: float) -> None:
    house = building(footprint, look=look, roof=kind, fraction=fraction, base=20.0)
    shell = shells.of([house])[0]
    whole = ruins.build(shell)
    assert np.isfinite(whole.vertices).all()
    assert np.isfinite(whole.colour).all()
    assert (whole.colour >= 0).all()
    assert (whole.colour <= 1).all()
    assert whole.triangles.max(initial=-1) < len(whole.vertices)
    assert len(whole.triangles) < 4000 + 120 * shell.outline.area + 120_000 * (shell.outline.area > 1000)
    own = whole.semantic == SEMANTIC["building"]
    assert (whole.instance[own] == 1).all()
    assert (whole.instance[~own] == 0).all()
    assert set(whole.semantic[~own]) <= {SEMANTIC["debris"]}
    far = shapely.distance(shell.outline, shapely.points(whole.centroids[own][:, :2].astype(float)))
    assert far.max(initial=0.0) < 6.0
    assert whole.vertices[:, 2].min(initial=20.0) > 17.0


@pytest.mark.parametrize("look", sorted(GRADES))
def test_the_same_seed_gives_the_same_bytes(look: str) -> None:
    first, again = draw(L_SHAPE, look=look), draw(L_SHAPE, look=look)
    for name in ("vertices", "triangles", "colour", "grain", "semantic", "instance"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()


@pytest.mark.parametrize("look", KEEPS_WALLS)
def test_grades_below_part_missing_keep_their_outline(look: str) -> None:
    whole = draw(L_SHAPE, look=look, fraction=0.3)
    assert roof_cover(whole, L_SHAPE, 2.4) > 0.95 if look != "open_roof" else 0.6


@pytest.mark.parametrize("fraction", [0.25, 0.5])
def test_part_missing_takes_that_share_of_the_roof(fraction: float) -> None:
    shell = shells.of([building(RECTANGLE, look="part_missing", fraction=fraction)])[0]
    whole = ruins.build(shell)
    roof = whole.centroids[:, 2] > 3.0
    flat = whole.vertices[whole.triangles[roof & (whole.semantic == 1)]][:, :, :2].astype(float)
    left = shapely.union_all(shapely.polygons(flat)).area
    total = shapely.Polygon(RECTANGLE).buffer(0.4, join_style="mitre").area
    assert left / total == pytest.approx(1 - fraction, abs=0.15)


@pytest.mark.parametrize("look", FALLEN)
def test_what_is_destroyed_has_no_roof(look: str) -> None:
    for shape in (L_SHAPE, NAMED["arrow"]):
        whole = draw(shape, look=look, height=4.5)
        assert roof_cover(whole, shape, 3.6) < 0.02


def test_decking_shows_its_share_in_the_colour_of_boards() -> None:
    shell = shells.of([building(RECTANGLE, look="decking", fraction=0.5, roof_material="shingle_dark")])[0]
    rng = np.random.default_rng(1)
    whole = covers.decking(shell, rng)
    roof = slice(None)
    red = whole.colour[roof, 0] / np.maximum(whole.colour[roof, 2], 1e-6)
    tiles = (whole.semantic == 1) & (whole.centroids[:, 2] > 2.9)
    boards = tiles & (whole.colour[:, 0] > 0.28) & (red > 1.3)
    corners = whole.vertices[whole.triangles].astype(float)
    area = covers.areas(corners)
    assert 0.3 < area[boards].sum() / area[tiles].sum() < 0.6


def test_a_blue_tarpaulin_covers_about_its_share() -> None:
    shares = []
    for seed in range(8):
        house = building(RECTANGLE, look="tarpaulin", fraction=0.4, roof_material="shingle_dark")
        shell = shells.of([house])[0]
        whole = covers.tarpaulin(shell, np.random.default_rng(seed))
        corners = whole.vertices[whole.triangles].astype(float)
        roof = (whole.semantic == 1) & (whole.centroids[:, 2] > 2.7)
        blue = roof & (whole.colour[:, 2] > 2.0 * whole.colour[:, 0]) & (whole.colour[:, 2] > 0.2)
        shares.append(covers.areas(corners)[blue].sum() / covers.areas(shell.tiles.corners).sum())
    assert 0.25 < np.median(shares) < 0.6


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 0.95), st.integers(0, 1000))
def test_an_order_of_loss_takes_exactly_the_share_asked(fraction: float, seed: int) -> None:
    shell = shells.of([building(L_SHAPE)])[0]
    order = covers.order(shell, np.random.default_rng(seed))
    area = covers.areas(shell.tiles.corners)
    assert area[order.lost(fraction)].sum() / area.sum() == pytest.approx(fraction, abs=0.01)


def test_a_look_without_a_maker_shows_as_the_first_of_its_grade() -> None:
    for grade, looks in LOOKS.items():
        strange, known = (
            ruins.build(shells.of([replace(building(RECTANGLE), damage=Damage(grade=grade, look=look, seed=1))])[0])
            for look in ("strange", looks[0])
        )
        assert strange.vertices.tobytes() == known.vertices.tobytes()


def test_a_house_that_stands_is_the_same_before_and_after_others_fell() -> None:
    one, two = building(L_SHAPE), building(turned(RECTANGLE, 20, 60, 0), id="c", seed=9)
    fallen = building(L_SHAPE, look="rubble")
    before = ruins.build(shells.of([one, two])[1])
    after = ruins.build(shells.of([fallen, two])[1])
    assert before.vertices.tobytes() == after.vertices.tobytes()
    assert before.colour.tobytes() == after.colour.tobytes()
