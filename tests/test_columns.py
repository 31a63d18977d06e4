from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage_stac.errors import PlaceError
from mage_stac.scene import columns, powerlines
from mage_stac.scene.buildings import FORMS, KINDS
from mage_stac.scene.columns import Columns, Layer
from mage_stac.scene.highways import LINES, PLANTED
from mage_stac.scene.landcover import AREAS
from mage_stac.scene.materials import GROUND, ROOFS, WALLS

LAYER = Layer(
    role="building",
    ids={"way": "way/", "rel": "relation/"},
    numbers={"height": ("height", "h2")},
    words={"kind": {"use|usage": {"no": "", "church*": "church", "*": "unknown"}}},
)


@pytest.mark.parametrize("name", columns.shipped())
def test_shipped_maps_use_our_words_only(name: str) -> None:
    kinds = {
        "building": {*KINDS, "unknown"},
        "line": {*LINES, *PLANTED, *powerlines.KINDS, "coastline"},
        "area": set(AREAS),
        "tree": {"tree"},
        "contour": {"contour"},
    }
    known = {"roof": set(FORMS), "roof_material": set(ROOFS), "wall_material": set(WALLS), "surface": set(GROUND)}
    made = columns.shipped()[name]
    for layer in made.layers:
        for field, table in layer.words.items():
            words = {word for patterns in table.values() for word in patterns.values()} - {""}
            allowed = kinds[layer.role] if field == "kind" else known.get(field, words)
            assert words <= allowed, (name, layer.name, field, words - allowed)
    for raster in made.rasters:
        assert set(raster.classes.values()) <= set(AREAS)


def test_values_become_ours() -> None:
    frame = pd.DataFrame(
        {
            "WAY": ["7", None, None],
            "rel": ["1", "2", None],
            "height": ["12 m", None, "x"],
            "h2": [1.0, 7.5, np.nan],
            "Usage": ["Church of X", "no", "y"],
        }
    )
    table = columns.translate(frame, LAYER)
    assert table.ids.tolist() == ["way/7", "relation/2", ""]
    assert table.numbers["height"][:2].tolist() == [12.0, 7.5]
    assert np.isnan(table.numbers["height"][2])
    assert table.words["kind"].tolist() == ["church", "", "unknown"]
    assert table.kept.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("text", "value"), [("7,5", 7.5), ("12 m", 12), ("40 ft", 12.192), ("40'", 12.192), ("3;4", None), ("", None)]
)
def test_numbers_in_text(text: str, value: float | None) -> None:
    found = columns.to_numbers(pd.Series([text, text]))
    assert np.isnan(found).all() if value is None else np.allclose(found, value)


@given(st.lists(st.one_of(st.none(), st.integers(-(10**6), 10**6)), min_size=1))
def test_whole_numbers_survive_missing_neighbours(values: list[int | None]) -> None:
    frame = pd.DataFrame({"way": pd.Series(values, dtype="float64")})
    ids = columns.translate(frame, LAYER).ids
    assert ids.tolist() == ["" if value is None else f"way/{value}" for value in values]


def test_the_users_map_comes_first_but_leaves_osm_alone() -> None:
    own = Columns(title="mine", layers=(LAYER,))
    assert columns.recognise("table", {"x": ("use",)}, own) is own
    assert columns.recognise("OSM", {"lines": ()}, own).title == "OpenStreetMap"
    assert columns.recognise("table", {"batiment": ("hauteur",)}).title.startswith("IGN")
    assert columns.recognise("table", {"x": ("height",)}).title == "features"


def test_a_missing_column_is_named() -> None:
    with pytest.raises(PlaceError, match=r"b\.gpkg has no column 'height' or 'h2'.*wants for height.*it has 'way'"):
        columns.require(LAYER, ["way", "rel", "use"][:1], "b.gpkg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "not valid TOML"),
        ('title = "x"\nwidth = 3', "width"),
        ('title = "x"\n[[layers]]\nrole = "house"', "layers.0.role = 'house'"),
        ('title = "x"\n[[layers]]\nrole = "line"\n[layers.numbers]\nbreadth = ["b"]', "no field 'breadth'"),
    ],
)
def test_a_wrong_map_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(PlaceError, match=message) as caught:
        columns.read(tmp_path / "map.toml")
    assert "\n" not in str(caught.value)


def test_a_map_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="osm"):
        columns.read(tmp_path / "none.toml")
