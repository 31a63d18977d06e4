from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.random import SeedSequence
from plans import L_SHAPE, RECTANGLE, building, turned

from mage_stac.errors import RenderError
from mage_stac.scene import geometry, procedural
from mage_stac.scene.geometry import Geometry
from mage_stac.scene.scene import SEMANTIC, Car, Damage, Debris, Scene, Tree


@pytest.fixture(scope="module")
def town() -> Scene:
    return procedural.town(
        seed=SeedSequence(5), id="t", size=(90.0, 60.0), style="suburb", datetime="2020-06-01T17:00:00Z"
    )


def small(**changes: object) -> Scene:
    scene = Scene(
        id="s", seed=0, crs="EPSG:32615", origin=(0.0, 0.0), size=(60.0, 48.0), datetime="2020-06-01T17:00:00Z",
        buildings=(building(turned(L_SHAPE, 0, 5, 5)), building(turned(RECTANGLE, 10, 36, 20), id="c", look="rubble")),
        trees=(Tree(x=30.0, y=40.0),), cars=(Car(x=50.0, y=5.0, bearing=30.0),),
        debris=Debris(density=np.full((48, 60), 0.2, np.float32)),
    )  # fmt: skip
    return replace(scene, **changes)


def same(one: Geometry, other: Geometry) -> bool:
    names = [field.name for field in fields(Geometry)]
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in names)


def test_shapes_types_and_codes(town: Scene) -> None:
    built = geometry.build(town, texel=1.0)
    count = len(built.triangles)
    assert built.vertices.dtype == np.float32
    assert built.triangles.dtype == np.int32
    assert built.triangles.min() >= 0
    assert built.triangles.max() < len(built.vertices)
    assert built.colour.shape == (count, 3)
    assert built.grain.shape == built.semantic.shape == built.instance.shape == (count,)
    assert built.ground_texture.shape == (60, 90, 3)
    assert built.ground_semantic.shape == (60, 90)
    assert built.ground_z.shape == (2, 2)
    assert set(built.semantic) <= set(SEMANTIC.values())
    assert ((built.instance > 0) == (built.semantic == SEMANTIC["building"])).all()
    assert set(built.instance) - {0} == set(range(1, len(town.buildings) + 1))


def test_the_same_scene_gives_the_same_bytes(town: Scene) -> None:
    assert same(geometry.build(town, texel=1.0), geometry.build(town, texel=1.0))


def test_instances_lie_on_their_footprints() -> None:
    built = geometry.build(small(), texel=1.0)
    middle = built.vertices[built.triangles].mean(axis=1)
    for number, house in enumerate(small().buildings, start=1):
        own = middle[built.instance == number][:, :2]
        points = np.array(house.footprint)
        assert (own > points.min(axis=0) - 3).all()
        assert (own < points.max(axis=0) + 3).all()


def test_everything_is_there_once() -> None:
    built = geometry.build(small(), texel=1.0)
    found = {name for name, code in SEMANTIC.items() if (built.semantic == code).any()}
    assert found == {"building", "tree", "vehicle", "debris"}
    empty = geometry.build(small(buildings=(), trees=(), cars=(), debris=None), texel=1.0)
    assert empty.triangles.shape == (0, 3)


def test_terrain_reaches_the_corners() -> None:
    assert geometry.ground_heights(small()).tolist() == [[0, 0], [0, 0]]
    ramp = np.tile(np.arange(0.5, 6.0), (4, 1)).astype(np.float32)
    nodes = geometry.ground_heights(small(terrain=ramp))
    assert nodes.shape == (5, 7)
    assert nodes[2] == pytest.approx([0.5, 1, 2, 3, 4, 5, 5.5])


def test_a_saved_geometry_comes_back(tmp_path: Path) -> None:
    built = geometry.build(small(), texel=1.0)
    geometry.save(built, tmp_path)
    assert same(geometry.load(tmp_path), built)


@pytest.mark.parametrize("content", [b"", b"no array at all", b"\x93NUMPY broken"])
def test_a_broken_file_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    geometry.save(geometry.build(small(), texel=1.0), tmp_path)
    (tmp_path / "grain.npy").write_bytes(content)
    with pytest.raises(RenderError, match=r"geometry .* cannot be read"):
        geometry.load(tmp_path)


def test_an_array_that_is_missing_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "vertices.npy", np.zeros((0, 3)))
    with pytest.raises(RenderError, match="triangles"):
        geometry.load(tmp_path)


def test_two_dates_of_a_place_share_what_stands_and_are_as_if_built_alone(town: Scene) -> None:
    first, *rest = town.buildings
    later = replace(town, buildings=(replace(first, damage=Damage(grade=4, look="rubble", seed=3)), *rest))
    winter = replace(later, season="winter", trees=later.trees[1:])
    torn_up = replace(winter, surfaces=winter.surfaces[:-1], buildings=winter.buildings[1:])
    dates = geometry.Dates(0.5)
    for scene in (town, later, winter, torn_up, replace(town, ground_seed=town.ground_seed + 1), town):
        built, alone = dates.build(scene), geometry.build(scene, 0.5)
        for field in fields(Geometry):
            np.testing.assert_array_equal(getattr(built, field.name), getattr(alone, field.name))
