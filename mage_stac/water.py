"""Water from one image: the network that `water_training` has trained, and the map that it makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import torch
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mage_stac import (
    catalogue,
    cube,
    grid,
    models,
    pairs,
    prediction,
    quicklook,
    value_range,
    water_items,
)
from mage_stac import recipe as recipes
from mage_stac.classes import NOT_OBSERVED, SURFACE_WATER, colour_table
from mage_stac.cog import stream_cog
from mage_stac.errors import CatalogueError, GridError, ModelError, RecipeError
from mage_stac.models import blank, normalise, water_local
from mage_stac.models.water_local import WaterLocal
from mage_stac.models.water_unet import WaterUnet
from mage_stac.mosaic import LEVELS
from mage_stac.progress import Step
from mage_stac.recipe import Recipe

LABEL = "water"
"""Asset of a label Item: classes.WATER_CLASSES."""
CORE, MARGIN = 256, 64
"""Pixels a side of what is mapped at a time, and of what is looked at around it."""
SIZES = (0.5, 2.0)
"""Sizes of an image's pixels, in those that the network learnt from, between which it is used."""


@dataclass(frozen=True, kw_only=True)
class WaterModel:
    """A trained network with what is needed to feed it."""

    item: pystac.Item
    network: nn.Module
    recipe: Recipe
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @torch.inference_mode()
    def shares(self, image: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Probability of water (H, W) from an image (C, H, W) and where it was observed (H, W)."""
        scaled = unit(torch.from_numpy(image)[None, None], self.recipe)
        given = fed(scaled, torch.from_numpy(seen)[None], self.mean, self.std)
        found: NDArray[np.float32] = torch.sigmoid(self.network(given))[0, 0].numpy()
        return found


def network_of(recipe: Recipe) -> nn.Module:
    """The recipe's network with random weights.

    Raises:
        RecipeError: it asks for an encoder that there is not, or for weights to start from.
    """
    network = recipe.network
    if network.weights != "none":
        raise RecipeError(f"network.weights = {network.weights!r}: the water head starts from chance, weights = 'none'")
    bands = len(recipe.data.bands)
    if network.encoder == water_local.ENCODER:
        return WaterLocal(bands)
    made = WaterUnet(bands=bands, encoder=network.encoder, decoder=network.decoder)
    return made.to(memory_format=torch.channels_last)


def unit(image: Tensor, recipe: Recipe) -> Tensor:
    """Values of `data.range` as 0..1, others beyond."""
    low, high = recipe.data.range
    return (image - low) / (high - low)


def fed(image: Tensor, seen: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """What the network is fed: images (B, T, C, H, W) of `unit`, normalised, blank where not seen (B, H, W)."""
    return blank(normalise(image, torch.tensor(mean), torch.tensor(std)), seen)


def load(path: Path) -> WaterModel:
    """The trained network of a model Item.

    Raises:
        CatalogueError: no such Item.
        ModelError: it is no water model of ours, a card without weights, or incomplete.
    """
    item = catalogue.read_item(path)
    paths = models.files(item)
    try:
        recipe = recipes.parse(paths["recipe"].read_text("utf-8"), f"of {item.id}")
        if recipe.task != LABEL:
            raise ModelError(f"model Item {item.id} grades damage, not water: use `mage-stac predict`")
        network = network_of(recipe)
        network.load_state_dict(load_file(paths["model"]))
        scaling = item.properties["mlm:input"][0]["value_scaling"]
        mean, std = (tuple(float(entry[key]) for entry in scaling) for key in ("mean", "stddev"))
    except (OSError, SafetensorError, RuntimeError, KeyError, IndexError) as error:
        raise ModelError(f"model Item {item.id} is incomplete or broken: {str(error).splitlines()[0]}") from error
    return WaterModel(item=item, network=network.eval(), recipe=recipe, mean=mean, std=std)


def predict(
    model_item: Path,
    images: Path,
    out: Path,
    *,
    id: str | None = None,  # noqa: A002 - STAC's word
    progress: Step | None = None,
) -> Path:
    """Map the water of some images (one mosaic, on its own pixels) as an Item of the catalogue `out`; its folder.

    A map of the same model and images that is there already is kept; of the same `id` but other inputs, it is replaced.

    Raises:
        CatalogueError: an input is no catalogue, or `out` cannot be written.
        AssetError: an Item lacks the image or a band of it, or a file is broken.
        GridError: the pixels are of another size than the network learnt from, or none is observed.
        ModelError: the model is incomplete, or grades damage; the image's values are of another unit.
    """
    model, items = load(model_item), catalogue.read_items(images)
    if not items:
        raise CatalogueError(f"{images} holds no Items: give an Item, or a catalogue of those that make up one mosaic")
    box, gsd = grid.of_items(items, pairs.IMAGE), model.recipe.data.gsd
    size = grid.pixel_metres(box)
    if not all(SIZES[0] <= metres / gsd <= SIZES[1] for metres in size):
        raise GridError(f"{images} has pixels of {size[0]:.3g} x {size[1]:.3g} m, the model learnt from {gsd:g} m")
    digest = water_items.inputs(model.item, items)
    name = catalogue.checked_id(id or water_items.prediction_id(items, digest))
    if not prediction.is_made(out, name, digest):
        with catalogue.staged(out, water_items.PREDICTIONS, name) as folder:
            _write(folder, box, _windows(model, items, box, progress))
            catalogue.write_item(folder, water_items.map_item(name, folder, box, model.item, items, digest))
    prediction.index(out)  # of a map that is kept too: its run may have been stopped before this
    return out / water_items.PREDICTIONS / name


def _windows(
    model: WaterModel, items: Sequence[pystac.Item], box: GeoBox, progress: Step | None
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """Row, column and probability of water of each window, NaN where not observed."""
    at = pairs.positions(items, model.recipe.data.bands)
    every = list(grid.windows(box, CORE, MARGIN))
    for number, window in enumerate(every, start=1):
        image, seen = cube.read(items, grid.crop(box, *window.outer), bands=at)
        value_range.check(image, seen, model.recipe.data.range, f"the image of Item {items[0].id}")
        shares = np.where(seen, model.shares(image, seen), np.nan)
        rows, columns = window.core
        height, width = rows.stop - rows.start, columns.stop - columns.start
        yield rows.start, columns.start, shares[MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        if progress:
            progress(number, len(every), "windows")


def _write(folder: Path, box: GeoBox, windows: Iterator[tuple[int, int, NDArray[np.float32]]]) -> None:
    """water.tif, probability.tif and their pictures."""
    observed = False
    with ExitStack() as files:
        options: dict[str, Any] = {"dtype": "uint8", "nodata": NOT_OBSERVED}
        classes = files.enter_context(
            stream_cog(folder / "water.tif", box, colours=colour_table(SURFACE_WATER), **options)
        )
        probability = files.enter_context(stream_cog(folder / "probability.tif", box, **options))
        for row, column, shares in windows:
            seen = np.isfinite(shares)
            observed = observed or bool(seen.any())
            sure = np.nan_to_num(shares)
            classes.write(np.where(seen, sure > 0.5, NOT_OBSERVED).astype(np.uint8), row, column)
            probability.write(np.where(seen, np.rint(LEVELS * sure), NOT_OBSERVED).astype(np.uint8), row, column)
        if not observed:
            raise GridError("no pixel of the image is observed: it holds nothing but nodata")
    quicklook.draw_classes(folder / "water.tif", SURFACE_WATER, folder)
