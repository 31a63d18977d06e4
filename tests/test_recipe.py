from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage_stac import recipe
from mage_stac.errors import RecipeError
from mage_stac.recipe import Augment, Data, Event, Optimiser, Recipe, Run

RECIPE = Recipe(name="tiny")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('name = "Upper"', ["name", "'Upper'", "pattern"]),
        ('name = "ab"\ncolour = 1', ["colour is unknown", "known at the top: name, title, seed"]),
        ('name = "ab"\n[data]\nsize = 33', ["data.size = 33", "multiple of 32"]),
        ('name = "ab"\n[data]\nedge = 64', ["data.edge is unknown", "known in data: bands, gsd, size"]),
        ('name = "ab"\n[data]\ngsd = nan', ["data.gsd = nan", "finite"]),
        ('name = "ab"\n[data]\nbands = ["red", "red"]', ["data.bands", "once"]),
        ('name = "ab"\n[data]\npost_bands = ["a", "b", "c", "d"]', ["data", "no more than the 3"]),
        ('name = "ab"\n[data]\npost_range = [-35, 15]', ["data", "name post_bands too"]),
        ('name = "ab"\n[data]\nrange = [1, 1]', ["data", "must differ"]),
        ('name = "ab"\n[optimiser]\nsteps = 0', ["optimiser.steps = 0", "greater than or equal to 1"]),
        ('name = "ab"\n[augment]\ngain = [2.0, 0.5]', ["augment.gain", "must not exceed"]),
        ('name = "ab"\n[augment]\nscale = [1.0]', ["augment.scale.1 is missing"]),
        ('name = "ab"\n[style]\nmethod = "paint"', ["style.method = 'paint'", "'histogram'"]),
        ("[data]\nsize = 64", ["name is missing"]),
        ("name =", ["not TOML", "Invalid value"]),
    ],
)
def test_a_bad_recipe_names_field_value_and_expectation(text: str, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.parse(text, "my.toml")
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in ["my.toml", *words]), message


def test_several_faults_are_told_at_once() -> None:
    with pytest.raises(RecipeError, match=r"name = 3.*; data\.size = 1"):
        recipe.parse("name = 3\n[data]\nsize = 1", "x")


@given(
    seed=st.integers(0, 2**31),
    rate=st.floats(1e-6, 1, allow_subnormal=False),
    bands=st.lists(st.text('abc_-é"\\', min_size=1, max_size=5), min_size=1, max_size=4, unique=True),
    flips=st.booleans(),
)
def test_toml_round_trip(seed: int, rate: float, bands: list[str], flips: bool) -> None:
    one = Recipe(
        name="tiny",
        title='quotes " and \\ backslash',
        seed=seed,
        data=Data(bands=tuple(bands)),
        augment=Augment(flips=flips),
        optimiser=Optimiser(learning_rate=rate),
    )
    assert recipe.parse(recipe.as_toml(one), "x") == one


def test_the_digest_follows_what_is_learnt_only() -> None:
    assert recipe.digest(RECIPE) == recipe.digest(Recipe(name="tiny", run=Run(checkpoint_every=7), title="Other"))
    assert recipe.digest(RECIPE) != recipe.digest(replace(RECIPE, seed=1))
    assert recipe.digest(RECIPE) != recipe.digest(replace(RECIPE, event=Event(batch_norm=1)))
    assert not [key for key in recipe.decisive(RECIPE) if key.startswith("event.")]
    assert recipe.digest(RECIPE, ["a"]) != recipe.digest(RECIPE, ["b"])


def test_bands_of_another_sensor_after_are_repeated_and_change_no_other_digest() -> None:
    before, after = Data(post_bands=("VV", "VH"), post_range=(-35, 15)).readings
    assert (before.bands, before.range) == (("red", "green", "blue"), (0, 1))
    assert (after.bands, after.range) == (("VV", "VH", "VV"), (-35, 15))
    assert not [key for key in recipe.decisive(RECIPE) if "post" in key]
    assert recipe.digest(RECIPE) != recipe.digest(replace(RECIPE, data=Data(post_bands=("VV",))))


def test_a_difference_names_fields_and_both_values() -> None:
    other = Recipe(name="tiny", optimiser=Optimiser(steps=7))
    assert recipe.difference(recipe.flat(RECIPE), recipe.flat(other)) == "optimiser.steps 7 -> 1000"


def test_every_recipe_of_the_package_is_valid_and_bears_its_file_name() -> None:
    assert {"demo", "joplin"} <= set(recipe.names())
    for name in recipe.names():
        assert recipe.read(name).name == name


def test_reading_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nseed = 0', "utf-8")
    assert recipe.read(path) == Recipe(name="mine")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="not UTF-8"):
        recipe.read(path)
    with pytest.raises(RecipeError, match=r"no such file.*demo"):
        recipe.read("absent")


def test_every_recipe_of_the_benchmarks_is_valid() -> None:
    found = sorted((Path(__file__).resolve().parents[1] / "benchmarks" / "recipes").rglob("*.toml"))
    assert len(found) > 1
    assert len({recipe.read(path).name for path in found}) == len(found)
