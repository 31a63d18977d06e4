from __future__ import annotations

import pytest
from shapely import Point

from mage_stac import visible
from mage_stac.hazards import Truth
from mage_stac.scene.scene import Building, Scene, Tree

HOUSE = Building(id="a", footprint=((0, 0), (10, 0), (10, 10), (0, 10)), height=4.0)
OAK = Tree(x=5.0, y=5.0, height=9.0, radius=3.0)
CROWN = Point(0, 0).buffer(3.0, quad_segs=4).area / 100


def shown(*trees: Tree, season: str = "summer", visibility: dict[str, float] | None = None) -> float:
    scene = Scene(
        id="s", seed=0, crs="EPSG:32615", origin=(0.0, 0.0), size=(20.0, 20.0), datetime="2020-05-01T17:00:00Z",
        buildings=(HOUSE,), trees=trees, season=season,
    )  # fmt: skip
    return visible.shares(scene, Truth(grades={"a": 1}, visible=visibility or {}))["a"]


def test_a_bare_roof_shows_what_the_hazard_says() -> None:
    assert shown() == 1.0
    assert shown(visibility={"a": 0.35}) == 0.35


def test_crowns_hide_what_they_cover_once() -> None:
    assert shown(OAK) == pytest.approx(1 - visible.OPAQUE * CROWN)
    assert shown(OAK, OAK, visibility={"a": 0.5}) == pytest.approx(0.5 * (1 - visible.OPAQUE * CROWN))
    assert shown(OAK, season="winter") == pytest.approx(1 - visible.TWIGGY * CROWN)


@pytest.mark.parametrize("change", [{"state": "felled"}, {"state": "burnt"}, {"species": "shrub"}, {"height": 3.0}])
def test_what_does_not_stand_over_the_roof_hides_nothing(change: dict[str, object]) -> None:
    fields = {"x": 5.0, "y": 5.0, "height": 9.0, "radius": 3.0, **change}
    assert shown(Tree(**fields)) == 1.0  # type: ignore[arg-type]
