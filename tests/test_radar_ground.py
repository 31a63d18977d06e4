"""The ground a radar sees: what differs from its table, and what a photograph tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mage_stac import backscatter, radar_ground
from mage_stac.passes import Labels
from mage_stac.scene.lattice import Canvas
from mage_stac.scene.scene import SEMANTIC, Flood, Light, Photo, Scene, Surface

SIDE = 60
TABLES = (backscatter.of("C", "VV"), backscatter.of("C", "VH"))
CANVAS = Canvas(size=(float(SIDE), float(SIDE)), texel=1.0, seed=0)
STRIPES = 6


def scene(**change: object) -> Scene:
    """Fields side by side, each a sixth of the scene wide, west to east."""
    width = SIDE / STRIPES
    fields = tuple(
        Surface(
            ring=((n * width, 0.0), ((n + 1) * width, 0.0), ((n + 1) * width, SIDE), (n * width, SIDE)),
            kind="field",
            semantic="field",
        )
        for n in range(STRIPES)
    )
    made = Scene(
        id="s", seed=0, crs="EPSG:32615", origin=(5e5, 4e6), size=CANVAS.size, datetime="2020-05-01T17:00:00Z",
        surfaces=fields,
    )  # fmt: skip
    return replace(made, **change)  # type: ignore[arg-type]


def seen(semantic: np.ndarray) -> Labels:
    flat = np.zeros((SIDE, SIDE), np.float32)
    up = np.broadcast_to(np.array([0, 0, 1], np.float32), (SIDE, SIDE, 3))
    return Labels(
        semantic=semantic.astype(np.uint8),
        instance=flat.astype(np.uint32),
        height=flat,
        position=np.zeros((SIDE, SIDE, 3), np.float32),
        normal=up,
        depth=flat,
    )


def all_of(name: str) -> np.ndarray:
    return np.full((SIDE, SIDE), SEMANTIC[name])


def middles(values: np.ndarray) -> np.ndarray:
    """A value of each field, away from its borders, which wander."""
    return values[SIDE // 2, SIDE // STRIPES // 2 :: SIDE // STRIPES]


def test_fields_differ_by_the_spread_of_their_table() -> None:
    drawn = []
    for number in range(300):
        rng = np.random.default_rng(number)
        found = radar_ground.differences(seen(all_of("field")), scene(), CANVAS, TABLES, rng)
        assert found is not None
        drawn.append([middles(one) for one in found])
    like, cross = np.moveaxis(np.array(drawn), 1, 0).reshape(2, -1)  # 1,800 draws: 2 % of a deviation
    assert like.std() == pytest.approx(TABLES[0].spread["field"], rel=0.08)
    assert cross.std() == pytest.approx(TABLES[1].spread["field"], rel=0.08)
    assert np.corrcoef(like, cross)[0, 1] == pytest.approx(backscatter.COMMON, abs=0.04)
    assert abs(like.mean()) < 0.25


def test_water_is_as_rough_everywhere_and_never_a_field() -> None:
    mixed = np.where(np.arange(SIDE) < SIDE // 2, SEMANTIC["water"], SEMANTIC["field"])
    found = radar_ground.differences(
        seen(np.broadcast_to(mixed, (SIDE, SIDE))), scene(), CANVAS, TABLES, np.random.default_rng(0)
    )
    assert found is not None
    for band in found:
        assert len(np.unique(band[:, : SIDE // 2])) == 1
        assert len(np.unique(middles(band)[STRIPES // 2 :])) == STRIPES // 2


def test_a_flood_soaks_the_ground_and_nothing_else() -> None:
    flood = Flood(depth=np.zeros((4, 4), np.float32), soaked=0.5)
    for name in ("bare", "building"):
        dry, wet = (
            radar_ground.differences(seen(all_of(name)), one, CANVAS, TABLES, np.random.default_rng(1))
            for one in (scene(), scene(flood=flood))
        )
        assert dry is not None
        assert wet is not None
        for band, table in enumerate(TABLES):
            np.testing.assert_allclose(wet[band] - dry[band], 0.5 * table.soaked.get(name, 0.0), atol=1e-6)


def test_a_band_without_spread_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    table = backscatter.of("X", "VV")
    assert radar_ground.differences(seen(all_of("field")), scene(), CANVAS, (table,), rng) is None
    assert rng.random() == np.random.default_rng(0).random()


def test_a_photograph_tells_lawns_from_bare_ground() -> None:
    green, grey = (0.08, 0.14, 0.05), (0.2, 0.2, 0.2)
    ground = np.empty((SIDE, SIDE, 3), np.float32)
    ground[:, : SIDE // 2], ground[:, SIDE // 2 :] = green, grey
    photo = Photo(ground=ground, roofs=ground, light=Light())
    before = all_of("ground")
    before[:10] = SEMANTIC["road"]
    after = radar_ground.photographed(seen(before), scene(surfaces=(), photo=photo), CANVAS).semantic
    assert (after[:10] == SEMANTIC["road"]).all()  # data are believed before colours
    assert (after[10:, : SIDE // 2 - 5] == SEMANTIC["grass"]).all()
    assert (after[10:, SIDE // 2 + 5 :] == SEMANTIC["ground"]).all()
    unseen = seen(before)
    assert radar_ground.photographed(unseen, scene(), CANVAS) is unseen
