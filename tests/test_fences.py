from __future__ import annotations

import numpy as np
import pytest

from mage_stac.scene import fences
from mage_stac.scene.scene import SEMANTIC, Debris, Film, Scene, Surface

LINE = ((10.0, 10.0), (34.0, 10.0), (34.0, 22.0))


def scene(debris: Debris | None = None, *films: Film) -> Scene:
    ring = ((10.0, 9.9), (34.1, 9.9), (34.1, 22.0), (33.9, 22.0), (33.9, 10.1), (10.0, 10.1))
    fence = Surface(ring=ring, kind="fence", semantic="object", line=LINE, width=0.2, seed=1)
    return Scene(
        id="s", seed=0, crs="EPSG:32615", origin=(0.0, 0.0), size=(40.0, 40.0), datetime="2020-06-01T17:00:00Z",
        surfaces=(fence,), debris=debris, films=films,
    )  # fmt: skip


def test_a_fence_stands_along_its_line_on_the_ground() -> None:
    slope = np.array([[0.0, 40.0], [0.0, 40.0]])  # rises by 1 to the east
    whole = fences.build(scene(), slope)
    assert np.ptp(whole.vertices[:, :2], axis=0) == pytest.approx([24.05, 12.05], abs=0.02)
    assert whole.vertices[:, 2].max() == pytest.approx(34.0 + fences.HEIGHT)
    assert set(whole.semantic) == {SEMANTIC["object"]}
    assert len(whole.triangles) == 15 * 10


def test_fences_are_gone_where_debris_lies() -> None:
    density = np.zeros((40, 40), np.float32)
    density[:, 20:] = 5.0
    left = fences.build(scene(Debris(density=density)), np.zeros((2, 2)))
    assert left.vertices[:, 0].max() < 23.0
    assert left.vertices[:, 0].min() == pytest.approx(10.0)


def test_fences_burn_with_the_ground_and_not_with_mud() -> None:
    cover = np.zeros((40, 40), np.float32)
    cover[:, 20:] = 1.0
    burnt, muddy = (
        fences.build(scene(None, Film(kind=kind, cover=cover)), np.zeros((2, 2))) for kind in ("burnt_ground", "mud")
    )
    assert len(muddy.triangles) == 15 * 10
    assert len(burnt.triangles) <= 7 * 10
    assert burnt.vertices[:, 0].min() == pytest.approx(10.0)
