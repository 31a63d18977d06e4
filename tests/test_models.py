from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pystac
import pytest
import torch
from safetensors.torch import load_file, save_file

from mage_stac import catalogue, models
from mage_stac import recipe as recipes
from mage_stac.errors import ModelError, RecipeError
from mage_stac.models import item
from mage_stac.models.siamese import SiameseUnet
from mage_stac.recipe import Augment, Data, Event, Network, Recipe

RECIPE = Recipe(
    name="tiny", data=Data(bands=("red", "nir"), size=64), network=Network(encoder="tu-test_resnet", decoder=(16, 8))
)


def network(seed: int = 0) -> SiameseUnet:
    torch.manual_seed(seed)
    return models.build(RECIPE).eval()


def images(size: tuple[int, int] = (64, 64), seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 2, 2, *size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def published(tmp_path: Path) -> pystac.Item:
    source = pystac.Item("s", None, [0, 0, 1, 1], datetime(2020, 1, 1, tzinfo=UTC), {})
    source.set_self_href(str(tmp_path / "synthetic" / "blocks" / "s" / "s.json"))
    trained = item.Trained(
        id="tiny-0123", recipe=RECIPE, weights=network().state_dict(), parameters=1, mean=(0.25, 0.5), std=(0.5, 2.0),
        sources=[source], losses=[(1.0, 0.5, 0.4, 0.2)], validation=[], record={},
    )  # fmt: skip
    return catalogue.read_item(item.publish(trained, tmp_path / "models"))


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (50, 77)])
def test_logits_lie_on_the_image_s_grid(size: tuple[int, int]) -> None:
    out = network()(images(size))
    assert out["building"].shape == (2, 1, *size)
    assert out["damage"].shape == (2, 4, *size)


@torch.no_grad()
def test_buildings_follow_from_the_pre_image_alone_and_damage_from_both() -> None:
    model, one = network(), images()
    other = one.clone()
    other[:, 1] = torch.rand(other[:, 1].shape, generator=torch.Generator().manual_seed(9))
    before, after = model(one), model(other)
    assert torch.equal(before["building"], after["building"])
    assert not torch.allclose(before["damage"], after["damage"])
    swapped = model(one.flip(1))
    assert not torch.allclose(before["building"], swapped["building"])


@torch.no_grad()
def test_a_single_image_has_buildings_and_no_damage() -> None:
    torch.manual_seed(0)
    model = models.build(replace(RECIPE, network=replace(RECIPE.network, dates=1))).eval()
    one = images((50, 77))
    other = torch.stack([one[:, 0], torch.rand(one[:, 1].shape)], dim=1)
    shares = models.probabilities(model(one))
    assert torch.equal(shares, models.probabilities(model(other)))
    assert shares.shape == (2, 5, 50, 77)
    torch.testing.assert_close(shares[:, 0] + shares[:, 1], torch.ones(2, 50, 77))
    assert shares[:, 1].std() > 0
    assert len(model.state_dict()) < len(network().state_dict())


@torch.no_grad()
def test_one_encoder_serves_both_dates() -> None:
    model = network()
    pre, post = model._features(images()[:, :1].expand(-1, 2, -1, -1, -1))
    for ours, theirs in zip(pre, post, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(RecipeError, match=r"network\.encoder = 'resnet9000'"):
        SiameseUnet(bands=3, encoder="resnet9000", decoder=(8, 8))


def test_probabilities_sum_to_one_and_follow_the_definition() -> None:
    outputs = {
        "building": torch.zeros(1, 1, 2, 2),
        "damage": torch.log(torch.tensor([0.1, 0.2, 0.3, 0.4]))[None, :, None, None].expand(1, 4, 2, 2),
    }
    shares = models.probabilities(outputs)
    torch.testing.assert_close(shares[0, :, 0, 0], torch.tensor([0.5, 0.05, 0.1, 0.15, 0.2]))
    torch.testing.assert_close(shares.sum(1), torch.ones(1, 2, 2))


def test_a_building_of_uncertain_grade_stays_a_building() -> None:
    shares = torch.tensor([[0.4, 0.1, 0.2, 0.15, 0.15], [0.51, 0.49, 0, 0, 0], [0.5, 0, 0, 0, 0.5]]).T[None, :, None]
    assert models.classes(shares).tolist() == [[[2, 0, 4]]]
    assert models.classes(shares, threshold=0.3).tolist() == [[[2, 1, 4]]]
    assert models.classes(shares).dtype == torch.uint8


def test_a_loaded_model_gives_what_the_saved_one_gave(published: pystac.Item) -> None:
    loaded = models.load(published)
    assert (loaded.id, loaded.bands, loaded.gsd) == ("tiny-0123", ("red", "nir"), 0.6)
    assert loaded.recipe == RECIPE
    assert not loaded.model.training
    image = images()
    mean, std = torch.tensor([0.25, 0.5])[:, None, None], torch.tensor([0.5, 2.0])[:, None, None]
    with torch.no_grad():
        expected = models.probabilities(network()((image - mean) / std))
    torch.testing.assert_close(loaded.probabilities(image), expected)


def test_what_was_not_observed_does_not_reach_the_network(published: pystac.Item) -> None:
    loaded, image = models.load(published), images()
    for valid in (torch.rand(2, 64, 64) > 0.5, torch.rand(2, 2, 64, 64) > 0.5):
        seen = valid[:, None, None] if valid.ndim == 3 else valid[:, :, None]
        holed = torch.where(seen, image, torch.nan)
        other = torch.where(seen, image, 7.0)
        assert torch.equal(loaded.probabilities(holed, valid), loaded.probabilities(other, valid))
        assert torch.isfinite(loaded.probabilities(holed, valid)).all()


def test_incomplete_models_are_refused(published: pystac.Item) -> None:
    weights = Path(published.assets["model"].href)
    tensors = load_file(weights)
    save_file({**tensors, "stray": torch.zeros(1)}, weights)
    with pytest.raises(ModelError, match=r"tiny-0123 do not fit its recipe: .*stray"):
        models.load(published)
    weights.write_bytes(b"\x80\x04pickle?")
    with pytest.raises(ModelError, match="cannot be read from"):
        models.load(published)
    weights.unlink()
    with pytest.raises(ModelError, match="asset 'model' is not on this disk"):
        models.load(published)
    del published.assets["recipe"]
    save_file(tensors, weights)
    with pytest.raises(ModelError, match="has no asset 'recipe'"):
        models.load(published)


def test_a_card_without_weights_says_so() -> None:
    folder = Path(__file__).parents[1] / "catalogs" / "example" / "models"
    (card,) = [catalogue.read_item(path) for path in catalogue.item_files(folder)]
    assert not list(folder.rglob("*.safetensors"))
    with pytest.raises(ModelError, match=r"^model Item joplin.* is a card without weights: train (.*) with") as caught:
        models.load(card)
    said = re.search(r"train (\S+) with `mage-stac train`", str(caught.value))
    assert said is not None
    assert recipes.read(said[1]).name in card.id
    card.assets.clear()
    with pytest.raises(ModelError, match="is a card without weights: train its recipe with"):
        models.load(card)


def test_a_model_without_its_scaling_is_refused(published: pystac.Item) -> None:
    published.properties["mlm:input"][0]["value_scaling"].pop()
    with pytest.raises(ModelError, match="z-score value_scaling for each of its 2 bands, it has 1"):
        models.load(published)


def test_a_recipe_of_another_network_is_refused(published: pystac.Item) -> None:
    wider = replace(RECIPE, network=replace(RECIPE.network, decoder=(16, 16)))
    Path(published.assets["recipe"].href).write_text(recipes.as_toml(wider), "utf-8")
    with pytest.raises(ModelError, match="do not fit its recipe: size mismatch"):
        models.load(published)


def test_an_item_s_temperatures_cool_its_probabilities(published: pystac.Item) -> None:
    plain = models.load(published)
    published.properties[models.TEMPERATURES] = {"building": 2.0, "damage": 0.5}
    cooled = models.load(published)
    image = images()
    building, other = (one.probabilities(image)[:, 0].logit() for one in (plain, cooled))
    torch.testing.assert_close(other, building / 2, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("told", [{"building": 0.0}, {"building": "hot"}, {"roof": 1.0}, [1.0]])
def test_temperatures_that_cannot_be_are_one_line(published: pystac.Item, told: object) -> None:
    published.properties[models.TEMPERATURES] = told
    with pytest.raises(ModelError, match="mage:temperatures"):
        models.load(published)


@torch.no_grad()
def test_a_third_head_says_what_is_lost_and_pixels_show_one_thing_each() -> None:
    torch.manual_seed(0)
    recipe = replace(RECIPE, network=replace(RECIPE.network, lost=True))
    out = models.build(recipe).eval()(images((50, 77)))
    assert out["lost"].shape == (2, 1, 50, 77)
    shares, grades = models.states(out), models.probabilities(out)
    built, lost = 1 - grades[:, 0], torch.sigmoid(out["lost"][:, 0])
    torch.testing.assert_close(shares.sum(1), torch.ones_like(built))
    torch.testing.assert_close(shares[:, 4], built * lost)
    torch.testing.assert_close(shares[:, 1] / shares[:, 2], grades[:, 1] / grades[:, 2], rtol=1e-4, atol=1e-5)
    assert (shares[:, 3] == 0).all()


def test_what_a_network_that_says_what_is_lost_cannot_use_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"network\.dates = 2"):
        models.build(replace(RECIPE, network=replace(RECIPE.network, dates=1, lost=True)))
    for settings in (Event(prior="em"), Event(thresholds=True)):
        with pytest.raises(RecipeError, match="leave them out"):
            models.build(replace(RECIPE, network=replace(RECIPE.network, lost=True), event=settings))


@torch.no_grad()
def test_dates_of_two_sensors_have_an_encoder_each() -> None:
    other = replace(RECIPE, data=replace(RECIPE.data, post_bands=("VV",)))
    torch.manual_seed(0)
    model, one = models.build(other).eval(), images((50, 77))
    names = {key.split(".")[0] for key in model.state_dict()} - {key.split(".")[0] for key in network().state_dict()}
    assert names == {"post_encoder"}
    before = model(one)
    model.post_encoder.requires_grad_(requires_grad=False)
    for weight in model.post_encoder.parameters():
        weight.add_(0.1)
    after = model(one)
    assert torch.equal(before["building"], after["building"])
    assert not torch.allclose(before["damage"], after["damage"])
    assert after["damage"].shape == (2, 4, 50, 77)


def test_each_date_is_normalised_by_its_own() -> None:
    mean, std = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([1.0, 2.0, 4.0, 8.0])
    found = models.normalise(images(), mean, std)
    wanted = [models.normalise(images()[:, date], *(part[2 * date :][:2] for part in (mean, std))) for date in (0, 1)]
    torch.testing.assert_close(found, torch.stack(wanted, dim=1))


@pytest.mark.parametrize(
    "changes", [{"network": Network(lost=True)}, {"augment": Augment(swap=0.1)}], ids=["lost", "swap"]
)
def test_nothing_is_carried_from_one_sensor_s_image_into_another_s(changes: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=r"network\.lost and augment\.swap.*another sensor"):
        models.check(Recipe(name="tiny", data=Data(post_bands=("VV",)), **changes))


@pytest.mark.parametrize(
    "changes",
    [{"event": Event(prior="em")}, {"event": Event(thresholds=True)}, {"data": Data(post_bands=("VV",))}],
    ids=["prior", "thresholds", "post_bands"],
)
def test_a_model_of_one_date_grades_nothing(changes: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=r"network\.dates = 1 there is neither"):
        models.check(Recipe(name="tiny", network=Network(dates=1), **changes))
