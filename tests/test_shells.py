from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import L_SHAPE, RECTANGLE, T_SHAPE, building, footprints, turned

from mage_stac.scene import fixtures, mesh, roofs, shells
from mage_stac.scene.materials import ROOFS
from mage_stac.scene.scene import SEMANTIC, Face, Ring


def normals(whole: mesh.Mesh) -> np.ndarray:
    corners = whole.vertices[whole.triangles].astype(float)
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


@settings(max_examples=30, deadline=None)
@given(footprints(), st.sampled_from(["flat", "gabled", "hipped", "shed"]))
def test_walls_face_outwards_and_reach_the_roof(footprint: Ring, kind: str) -> None:
    shell = shells.of([building(footprint, roof=kind, base=50.0)])[0]
    walls = shells._wall_quads(shell, shells._under_roof(shell, None))
    outward = normals(walls)
    assert outward[:, 2] == pytest.approx(0.0, abs=1e-2 * max(1.0, np.abs(outward).max()))
    middle = walls.centroids[:, :2]
    step = 0.001 * outward[:, :2] / np.maximum(np.linalg.norm(outward[:, :2], axis=1, keepdims=True), 1e-9)
    clear = shapely.distance(shell.outline.exterior, shapely.points(middle)) < 1e-3
    inner = shapely.contains_xy(shell.outline, *(middle - step)[clear].T)
    assert inner.mean() > 0.95
    length = np.hypot(*(roofs.sides(shell.outline)[:, 1] - roofs.sides(shell.outline)[:, 0]).T).sum()
    tops = shells._under_roof(shell, None)
    assert np.hypot(*(tops[:, 1, :2] - tops[:, 0, :2]).T).sum() == pytest.approx(length, rel=1e-2)


def test_the_roof_from_above_is_the_eaves_outline() -> None:
    shell = shells.of([building(L_SHAPE, roof="hipped", base=12.0)])[0]
    roof = shells.roof(shell, shell.tiles, shell.colour)
    assert (normals(roof)[:, 2] > 0).all()
    assert normals(roof)[:, 2].sum() / 2 == pytest.approx(roofs.eaves(shell.building).area, rel=1e-4)
    assert roof.vertices[:, 2].min() == pytest.approx(15.0 - 0.4 * np.tan(np.radians(25)), abs=1e-3)


def test_a_building_does_not_depend_on_its_neighbours() -> None:
    one, two = building(T_SHAPE, seed=11), building(turned(RECTANGLE, 30, 60, 5), seed=12, roof="hipped")
    alone, second = shells.of([two])[0], shells.of([one, two])[1]
    assert (alone.instance, second.instance) == (1, 2)
    assert np.array_equal(alone.tiles.corners, second.tiles.corners)
    assert np.array_equal(alone.colour, second.colour)
    first, again = fixtures.build(alone), fixtures.build(second)
    assert np.array_equal(first.vertices, again.vertices)


def test_colours_stay_near_the_material_and_follow_the_seed() -> None:
    one, same, other = (shells.of([building(roof_material="shingle_red", seed=seed)])[0] for seed in (1, 1, 2))
    assert np.array_equal(one.colour, same.colour)
    assert not np.array_equal(one.colour, other.colour)
    variants = np.array(ROOFS["shingle_red"].variants)
    assert 0.6 * variants.min() < one.colour.mean() < 1.5 * variants.max()
    assert 0.01 < np.std(np.log(one.colour[:, 0])) < 0.3


def test_a_large_flat_roof_has_a_parapet_and_machines() -> None:
    large = shells.of([building([(2 * x, 2 * y) for x, y in RECTANGLE], roof="flat", height=5.0)])[0]
    small = shells.of([building(RECTANGLE, roof="flat", height=5.0)])[0]
    assert shells.walls(large).vertices[:, 2].max() == pytest.approx(5.6)
    assert shells.walls(small).vertices[:, 2].max() == pytest.approx(4.97)
    counts = [len(fixtures.build(shells.of([building([(3 * x, 3 * y) for x, y in RECTANGLE], roof="flat", seed=s)])[0])
                  .triangles) for s in range(6)]  # fmt: skip
    assert max(counts) > 20


def test_fixtures_stand_on_the_roof_and_belong_to_the_building() -> None:
    for seed in range(12):
        shell = shells.of([building(L_SHAPE, seed=seed, base=3.0)])[0]
        parts = fixtures.build(shell)
        if len(parts.triangles):
            at = parts.centroids
            assert (at[:, 2] - 3.0 > shell.height(at[:, :2]) - 0.6).all()
            assert set(parts.instance) == {1}
            assert set(parts.semantic) == {SEMANTIC["building"]}


def test_measured_faces_are_drawn_as_they_are() -> None:
    ring = [(0.0, 0.0), (8.0, 0.0), (8.0, 6.0), (0.0, 6.0)]
    roof = Face(ring=tuple((x, y, 610.0 + 0.5 * x) for x, y in ring))
    wall = Face(ring=((0, 0, 600), (8, 0, 600), (8, 0, 614), (0, 0, 610)), kind="wall")
    shell = shells.of([building(ring, faces=(roof, wall), base=600.0, height=9.0)])[0]
    assert shell.height(np.array([[4.0, 3.0]])) == pytest.approx([12.0])
    whole = mesh.join([shells.roof(shell, shell.tiles, shell.colour), shells.walls(shell)])
    assert whole.vertices[:, 2].min() == pytest.approx(600.0)
    assert whole.vertices[:, 2].max() == pytest.approx(614.0)
    wall_mesh = shells._bare_walls(shell, None)
    assert np.linalg.norm(normals(wall_mesh), axis=1).sum() / 2 == pytest.approx(8 * 12.0)
    assert (normals(wall_mesh)[:, 1] < 0).all()
