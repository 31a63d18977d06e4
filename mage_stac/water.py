"""Water from one image: a network trained on rendered floods, and the map that it makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
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
    chips,
    cube,
    folders,
    grid,
    models,
    pairs,
    prediction,
    quicklook,
    tally,
    value_range,
    water_items,
)
from mage_stac import recipe as recipes
from mage_stac.adapt import augment
from mage_stac.adapt.augment import Chips
from mage_stac.adapt.chance import Chance
from mage_stac.classes import NOT_OBSERVED, SURFACE_WATER, colour_table
from mage_stac.cog import stream_cog
from mage_stac.errors import AssetError, CatalogueError, GridError, ModelError, RecipeError
from mage_stac.loader import Access, Batch
from mage_stac.models import blank, losses, normalise
from mage_stac.models.average import Average
from mage_stac.models.water_unet import WaterUnet
from mage_stac.mosaic import LEVELS
from mage_stac.progress import Step
from mage_stac.recipe import Recipe
from mage_stac.samplers import Sampling
from mage_stac.tally import ChipIndex
from mage_stac.train import learning_rate
from mage_stac.unread import Unread

LABEL = "water"
"""Asset of a label Item: classes.WATER_CLASSES."""
FLOOD, PERMANENT = 1, 2
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
        unit = _unit(torch.from_numpy(image)[None, None], self.recipe)
        fed = _fed(unit, torch.from_numpy(seen)[None], self.mean, self.std)
        found: NDArray[np.float32] = torch.sigmoid(self.network(fed))[0, 0].numpy()
        return found


def train(recipe: Recipe, synthetic: Sequence[Path], out: Path, *, progress: Step | None = None) -> Path:
    """Train the recipe's water head on both dates of labelled pairs and publish it as a model Item.

    Before the event only permanent water is water; after it, the flood too. Whole places are held out for the figures
    that the Item tells; no figure chooses the weights, which are the moving average after the last step. An asset that
    cannot be read costs a line in the log and its own chips.

    Args:
        recipe: with the task `water`.
        synthetic: catalogues of pairs whose labels have an asset `water`.
        out: the models catalogue.
        progress: called after every step.

    Returns:
        Path of the model Item's JSON.

    Raises:
        CatalogueError: no labelled pairs, no water in them, fewer than two places, or `out` cannot be written.
        AssetError: an Item lacks an asset or band, or nothing can be read any more.
        GridError: a pair's rasters lie on different grids.
        RecipeError: the recipe does not fit the pairs.
        ModelError: the loss is no longer a number.
    """
    folders.check_writable(out)
    unread = Unread()
    training, validation = tally.split(_index(recipe, synthetic, progress, unread), recipe.data.holdout)
    if not sum(training.totals()[FLOOD:]):
        raise CatalogueError(f"the water labels of the {len(training.pairs)} training pairs hold no water")
    low, high = recipe.data.range
    mean, std = (
        tuple((value - zero) / (high - low) for value in values)
        for values, zero in zip(chips.statistics(training, recipe.seed, unread), (low, 0.0), strict=True)
    )
    ids = [[pair.id for pair in part.pairs] for part in (training, validation)]
    name = f"{recipe.name}-{recipes.digest(recipe, ids, training.totals(), mean, std)}"
    if not catalogue.has(out, water_items.MODELS, name):
        network, curve = _fit(recipe, training, (mean, std), progress, unread)
        figures = _held_out(network, validation, recipe, (mean, std), unread)
        trained = water_items.Trained(
            id=name, recipe=recipe, weights=network.state_dict(), mean=mean, std=std, losses=curve, held_out=figures,
            sources=[source for part in (training, validation) for pair in part.pairs for source in pair.items],
            pairs={"training": ids[0], "validation": ids[1]}, unread=unread.record(),
        )  # fmt: skip
        water_items.publish_model(trained, out)
    return out / water_items.MODELS / name / f"{name}.json"


def _index(recipe: Recipe, roots: Sequence[Path], progress: Step | None, unread: Unread) -> ChipIndex:
    """The pairs by their water label."""
    found = [
        replace(pair, label=catalogue.asset_path(pair.items[2], LABEL))
        for pair in pairs.read(roots, bands=recipe.data.bands, gsd=recipe.data.gsd)
    ]
    whole = tally.build(found, progress=progress, on_problem=unread)
    odd = set(whole.table.classes) - {0, FLOOD, PERMANENT}
    if odd:
        raise AssetError(f"water labels hold {sorted(odd)}: they have 0 dry, 1 flood, 2 permanent, 255 not observed")
    return whole


def _fit(
    recipe: Recipe,
    training: ChipIndex,
    scaling: tuple[tuple[float, ...], ...],
    progress: Step | None,
    unread: Unread,
) -> tuple[nn.Module, list[float]]:
    """The averaged network after all steps, and the loss of each; everything random follows from the recipe's seed."""
    settings, data = recipe.optimiser, recipe.data
    torch.manual_seed(recipe.seed)
    network = _network(recipe)
    average = Average(network, settings.average)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    sampling = Sampling(kind="balanced", background=data.background, reuse=data.reuse)
    edge, curve = data.size + 2 * data.margin, list[float]()
    access = Access(on_problem=unread)
    stream = chips.batches(
        training, edge=edge, batch=settings.batch, seed=recipe.seed, sampling=sampling, access=access
    )
    with closing(stream):
        for step, batch in zip(range(settings.steps), stream, strict=False):
            generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
            made = _augmented(batch, recipe, Chance(generator=generator, chips=settings.batch))
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(recipe, step)
            network.train()
            loss = _loss(network(_fed(made.image, made.valid, *scaling)), made)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
            optimiser.step()
            average.update(step)
            curve.append(float(loss.detach()))
            if not np.isfinite(curve[-1]):
                raise ModelError(f"the loss is {curve[-1]} at step {step + 1}: lower optimiser.learning_rate")
            if progress:
                progress(step + 1, settings.steps, f"loss {curve[-1]:.3f}")
    return average.shadow, curve


def _network(recipe: Recipe) -> WaterUnet:
    network = recipe.network
    if network.weights != "none":
        raise RecipeError(f"network.weights = {network.weights!r}: the water head starts from chance, weights = 'none'")
    made = WaterUnet(bands=len(recipe.data.bands), encoder=network.encoder, decoder=network.decoder)
    return made.to(memory_format=torch.channels_last)


def _augmented(batch: Batch, recipe: Recipe, chance: Chance) -> Chips:
    given = Chips(_unit(batch["image"], recipe), batch["mask"], batch["valid"])
    return augment.augment(given, size=recipe.data.size, settings=recipe.augment, chance=chance)


def _unit(image: Tensor, recipe: Recipe) -> Tensor:
    """Values of `data.range` as 0..1, others beyond."""
    low, high = recipe.data.range
    return (image - low) / (high - low)


def _fed(image: Tensor, seen: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    return blank(normalise(image, torch.tensor(mean), torch.tensor(std)), seen)


def _truth(mask: Tensor) -> Tensor:
    """(B, 2, H, W) bool: permanent water before, all water after."""
    return torch.stack([mask == PERMANENT, (mask == FLOOD) | (mask == PERMANENT)], dim=1)


def _loss(logits: Tensor, made: Chips) -> Tensor:
    seen = (made.valid & (made.mask != NOT_OBSERVED))[:, None].expand_as(logits)
    return losses.building(logits.flatten(0, 1), _truth(made.mask).flatten(0, 1), seen.flatten(0, 1))


@torch.inference_mode()
def _held_out(
    network: nn.Module,
    part: ChipIndex,
    recipe: Recipe,
    scaling: tuple[tuple[float, ...], ...],
    unread: Unread,
) -> dict[str, float]:
    """Water of both dates on the held-out places, unaugmented: IoU, precision and recall."""
    size, counts = recipe.data.size, np.zeros(3)
    places = tally.tiles(part, size, recipe.run.validation_chips)
    with closing(chips.at(part, places, size, recipe.optimiser.batch, unread)) as stream:
        for batch in stream:
            said = network(_fed(_unit(batch["image"], recipe), batch["valid"], *scaling)) > 0
            seen, truth = (batch["valid"] & (batch["mask"] != NOT_OBSERVED))[:, None], _truth(batch["mask"])
            hits = (said & truth, said & ~truth, ~said & truth)
            counts += [int((part & seen).sum()) for part in hits]
    hit, false, missed = counts
    return {
        "water_iou": float(hit / max(hit + false + missed, 1)),
        "precision": float(hit / max(hit + false, 1)),
        "recall": float(hit / max(hit + missed, 1)),
    }


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
        network = _network(recipe)
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
