from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mage_stac.errors import RenderError
from mage_stac.scene import scene as scenes
from mage_stac.scene.scene import Building, Car, Damage, Debris, Scene, Surface, Tree

PLAIN = Scene(
    id="place",
    seed=3,
    crs="EPSG:32615",
    origin=(364000.1, 4103000.7),
    size=(30.0, 20.0),
    datetime="2011-05-24T18:00:00Z",
    surfaces=(
        Surface(
            ring=((0.0, 0.0), (1 / 3, 0.0), (1.0, 1.0)), kind="grass", semantic="grass", line=((0.0, 0.1), (2.0, 3))
        ),
    ),
    buildings=(
        Building(
            id="b0",
            footprint=((0.0, 0.0), (9.0, 0.0), (9.0, 7.0)),
            height=2.7,
            damage=Damage(grade=3, look="decking", fraction=0.1 + 0.2),
        ),
    ),
    trees=(Tree(x=1.0, y=2.0, state="felled", bearing=33.0),),
    cars=(Car(x=3.0, y=4.0, bearing=90.0),),
)
DAMAGED = replace(
    PLAIN,
    debris=Debris(density=np.linspace(0, 2, 6, dtype=np.float32).reshape(2, 3), mix=(("timber", 0.7), ("brick", 0.3))),
    terrain=np.arange(4, dtype=np.float32).reshape(2, 2),
)


def test_a_scene_comes_back_as_it_was(tmp_path: Path) -> None:
    assert scenes.load(scenes.save(PLAIN, tmp_path)) == PLAIN
    assert scenes.load(tmp_path) == PLAIN


def test_arrays_come_back_to_the_bit(tmp_path: Path) -> None:
    scenes.save(DAMAGED, tmp_path)
    loaded = scenes.load(tmp_path)
    assert replace(loaded, debris=None, terrain=None) == PLAIN
    assert np.array_equal(loaded.terrain, DAMAGED.terrain)
    assert np.array_equal(loaded.debris.density, DAMAGED.debris.density)
    assert loaded.debris.mix == DAMAGED.debris.mix


def test_equal_scenes_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        scenes.save(DAMAGED, tmp_path / name)
    for file in ("scene.json", "arrays.npz"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize(
    "text", ["", "{}", '{"schema": "mage-stac-scene/0"}', '{"schema": "mage-stac-scene/1", "id": 3}', "[1]", "not json"]
)
def test_a_broken_scene_is_one_clear_error(tmp_path: Path, text: str) -> None:
    path = scenes.save(DAMAGED, tmp_path)
    path.write_text(text)
    with pytest.raises(RenderError, match=r"scene\.json") as caught:
        scenes.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="cannot be read"):
        scenes.load(tmp_path / "nowhere")
    scenes.save(DAMAGED, tmp_path)
    (tmp_path / "arrays.npz").write_bytes(b"not a zip")
    with pytest.raises(RenderError, match="broken"):
        scenes.load(tmp_path)
