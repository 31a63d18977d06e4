"""Networks by recipe, and trained ones by their STAC Item."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pystac
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mage_stac import recipe as recipes
from mage_stac.catalogue import asset_path
from mage_stac.errors import AssetError, ModelError, RecipeError
from mage_stac.models.calibration import Offsets, Temperatures
from mage_stac.models.siamese import SiameseUnet
from mage_stac.models.single import SingleUnet
from mage_stac.recipe import Recipe

TEMPERATURES = "mage:temperatures"
"""Property of a model Item: what the logits of each head are divided by."""
OFFSETS = "mage:logit_offsets"
"""Property of a model Item that was fitted to an event: what is then added to the logits of each head."""
ASSETS = ("model", "recipe")
"""What a model Item must have to be used."""
WEIGHTS = "mlm:weights"
"""Role of an asset that holds weights."""


def build(recipe: Recipe) -> SiameseUnet | SingleUnet:
    """The recipe's network with random weights, in channels-last memory order (a third faster on CPUs).

    Raises:
        RecipeError: the encoder's name is unknown, or see `check`.
    """
    check(recipe)
    network, bands = recipe.network, len(recipe.data.bands)
    model = (
        SiameseUnet(
            bands=bands,
            encoder=network.encoder,
            decoder=network.decoder,
            lost=network.lost,
            shared=not recipe.data.post_bands,
        )
        if network.dates == 2
        else SingleUnet(bands=bands, encoder=network.encoder, decoder=network.decoder)
    )
    return model.to(memory_format=torch.channels_last)


def check(recipe: Recipe) -> None:
    """Raise RecipeError where a network is given what it cannot use."""
    if recipe.data.post_bands and (recipe.network.lost or recipe.augment.swap):
        raise RecipeError(
            "network.lost and augment.swap carry pixels from before into the image after, which data.post_bands says is"
            " of another sensor: leave them out"
        )
    shifts = recipe.event.prior != "none" or recipe.event.thresholds
    if recipe.network.dates == 1 and (recipe.data.post_bands or shifts):
        raise RecipeError(
            "data.post_bands, event.prior and event.thresholds are of an image after and of grades, and with"
            " network.dates = 1 there is neither: leave them out"
        )
    if not recipe.network.lost:
        return
    if recipe.network.dates == 1:
        raise RecipeError("network.lost = true needs both dates, as before nothing is lost: set network.dates = 2")
    if shifts:
        raise RecipeError(
            "event.prior and event.thresholds correct grades that are told by looks, but with network.lost = true"
            " buildings are graded by what of their roofs is lost: leave them out"
        )


def probabilities(outputs: dict[str, Tensor]) -> Tensor:
    """Probability of each damage class, (B, 5, H, W) float32 that sums to 1 over the classes.

    P(0) = 1 - p and P(k) = p softmax(damage)_k, where p is the probability of building.
    """
    building = torch.sigmoid(outputs["building"].float())
    grades = torch.softmax(outputs["damage"].float(), dim=1)
    return torch.cat([1 - building, building * grades], dim=1)


def states(outputs: dict[str, Tensor]) -> Tensor:
    """What each pixel shows, (B, 5, H, W) float32 like `probabilities`, of a network with the head `lost`.

    P(4) = p l and P(1) + P(2) = p (1 - l), shared as the grades 1 and 2 say; l is the probability that the roof is
    lost there. P(3) is 0: no pixel is partly lost; `products.buildings` takes a building's grade from its share of l.
    """
    shares = probabilities(outputs)
    lost = torch.sigmoid(outputs["lost"].float())
    built, light = 1 - shares[:, :1], shares[:, 1:3]
    light = light / light.sum(dim=1, keepdim=True).clamp(min=1e-9)
    return torch.cat([shares[:, :1], built * (1 - lost) * light, torch.zeros_like(built), built * lost], dim=1)


def classes(shares: Tensor, threshold: float = 0.5) -> Tensor:
    """Damage class of each pixel, (B, H, W) uint8, from probabilities (B, 5, H, W).

    First whether there is a building (its probability reaches `threshold`), then its likeliest grade: the plain
    maximum of the five would turn a building of uncertain grade into no building.
    """
    grade = shares[:, 1:].argmax(dim=1) + 1
    return torch.where(1 - shares[:, 0] >= threshold, grade, 0).to(torch.uint8)


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A trained network with what is needed to feed it."""

    id: str
    """Of its Item."""
    model: nn.Module
    """In evaluation mode; takes normalised images."""
    recipe: Recipe
    mean: Tensor
    """Of the training images, 0..1: (C,), or (2 C,) of a network with an encoder for each date."""
    std: Tensor
    """Likewise."""
    bands: tuple[str, ...]
    """Names, in the order of C; of the image before, if that of after has others."""
    gsd: float
    """Metres."""
    temperatures: Temperatures = field(default_factory=Temperatures)
    """Of its logits."""
    offsets: Offsets = field(default_factory=Offsets)
    """Added to the calibrated logits."""

    def normalise(self, image: Tensor) -> Tensor:
        """Images (..., C, H, W) from 0..1 to zero mean and unit variance over the training set."""
        return normalise(image, self.mean, self.std)

    @torch.inference_mode()
    def probabilities(self, image: Tensor, valid: Tensor | None = None) -> Tensor:
        """Probabilities (B, 5, H, W) float32 of the damage classes, or, by a network that says what is lost, `states`.

        Args:
            image: (B, 2, C, H, W) float32 0..1, pre before post.
            valid: (B, 2, H, W) or (B, H, W) bool, True = observed; other pixels are fed as the mean.
        """
        fed = blank(self.normalise(image), valid)
        outputs = self.offsets.applied(self.temperatures.applied(self.model(fed.to(self.mean.device))))
        return states(outputs) if self.recipe.network.lost else probabilities(outputs)


def normalise(image: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(image - mean) / std per band; image (..., C, H, W), mean and std (C,); or (..., 2, C, H, W) and (2 C,)."""
    shape = (-1, 1, 1) if len(mean) == image.shape[-3] else (2, -1, 1, 1)
    scale, offset = (1 / std).reshape(shape), (-mean / std).reshape(shape)
    return torch.addcmul(offset, image.to(mean.device), scale)  # one pass over the image


def blank(image: Tensor, valid: Tensor | None) -> Tensor:
    """Set what was not observed to 0, the mean of normalised images; shapes as in `LoadedModel.probabilities`."""
    if valid is None or bool(valid.all()):
        return torch.nan_to_num(image)
    seen = valid[:, None, None] if valid.ndim == 3 else valid[:, :, None]
    return torch.where(seen.to(image.device), torch.nan_to_num(image), 0.0)


def files(item: pystac.Item) -> dict[str, Path]:
    """Where the assets of a model Item lie that it must have to be used, by their keys.

    Raises:
        ModelError: it is a model's card without weights, or no model of ours, or a file is missing.
    """
    if _is_card(item):
        found = [asset.get_absolute_href() or asset.href for asset in item.assets.values()]
        recipe = next((href for href in found if href.endswith(".toml")), "its recipe")
        raise ModelError(
            f"model Item {item.id} is a card without weights: train {recipe} with `mage-stac train`, or give a model"
            " Item that has an asset 'model' of weights"
        )
    return {key: _local(item, key) for key in ASSETS}


def _is_card(item: pystac.Item) -> bool:
    """Whether an Item tells of a model, lacks what it takes to use it, and has no weights."""
    tells = any(key.startswith("mlm:") for key in item.properties)
    incomplete = any(key not in item.assets for key in ASSETS)
    return tells and incomplete and not any(WEIGHTS in (asset.roles or ()) for asset in item.assets.values())


def recipe_of(item: pystac.Item) -> Recipe:
    """The recipe that a model Item was trained by.

    Raises:
        ModelError: the Item is no model of ours, or its recipe is missing or broken.
    """
    return recipes.parse(_text(files(item)["recipe"], item), f"of model Item {item.id}")


def load(item: pystac.Item, device: str | torch.device = "cpu") -> LoadedModel:
    """The trained network of a model Item, from its safetensors weights and its recipe; nothing is unpickled.

    Raises:
        ModelError: the Item is no model of ours, a card without weights, an asset is missing or broken, or weights and
            recipe disagree.
    """
    paths = files(item)
    recipe = recipe_of(item)
    if recipe.task != "damage":
        raise ModelError(f"model Item {item.id} maps {recipe.task}, not damage: use `mage-stac {recipe.task}`")
    model = build(recipe)
    try:
        model.load_state_dict(load_file(paths["model"], device="cpu"))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"weights of model Item {item.id} cannot be read from {paths['model']}: {error}") from error
    except RuntimeError as error:
        first = str(error).split("\n")[1].strip() if "\n" in str(error) else str(error)
        raise ModelError(f"weights of model Item {item.id} do not fit its recipe: {first[:200]}") from error
    mean, std = _scaling(item, recipe)
    return LoadedModel(
        id=item.id,
        model=model.to(device).eval(),
        recipe=recipe,
        mean=torch.tensor(mean, device=device),
        std=torch.tensor(std, device=device),
        bands=recipe.data.bands,
        gsd=recipe.data.gsd,
        temperatures=_temperatures(item),
        offsets=_offsets(item),
    )


def _temperatures(item: pystac.Item) -> Temperatures:
    """Of the Item; 1 where it states none, as models of before calibration."""
    told = item.properties.get(TEMPERATURES) or {}
    try:
        found = Temperatures(**{name: float(value) for name, value in told.items()})
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(
            f"model Item {item.id}: {TEMPERATURES} {told!r} is not a number for building and damage"
        ) from error
    if not min(found.building, found.damage) > 0:
        raise ModelError(f"model Item {item.id}: {TEMPERATURES} {told!r} must be more than 0")
    return found


def _offsets(item: pystac.Item) -> Offsets:
    """Of the Item; none where it states none."""
    told = item.properties.get(OFFSETS) or {}
    try:
        found = Offsets(
            building=float(told.get("building", 0.0)),
            damage=tuple(float(value) for value in told.get("damage", Offsets().damage)),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"model Item {item.id}: {OFFSETS} {told!r} are no numbers for building and damage") from error
    if len(found.damage) != len(Offsets().damage) or not all(map(math.isfinite, (found.building, *found.damage))):
        raise ModelError(f"model Item {item.id}: {OFFSETS} {told!r} must be one number for building, four for damage")
    return found


def _local(item: pystac.Item, key: str) -> Path:
    try:
        path = Path(asset_path(item, key))
    except AssetError as error:
        raise ModelError(f"{error}; a model Item as `mage-stac train` writes it has: {', '.join(ASSETS)}") from error
    if not path.is_file():
        raise ModelError(f"model Item {item.id}: its asset {key!r} is not on this disk: {path}")
    return path


def _text(path: Path, item: pystac.Item) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"recipe of model Item {item.id} is no text: {path}") from error


def _scaling(item: pystac.Item, recipe: Recipe) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each band, of each date if they differ, from `mlm:input`."""
    inputs: Any = item.properties.get("mlm:input") or [{}]
    scaling = inputs[0].get("value_scaling") or []
    wanted = len(recipe.data.bands) * (2 if recipe.data.post_bands else 1)
    if len(scaling) != wanted or any(entry.get("type") != "z-score" for entry in scaling):
        raise ModelError(
            f"model Item {item.id}: mlm:input needs a z-score value_scaling for each of its {wanted} bands, it has"
            f" {len(scaling)}"
        )
    return [float(entry["mean"]) for entry in scaling], [float(entry["stddev"]) for entry in scaling]
