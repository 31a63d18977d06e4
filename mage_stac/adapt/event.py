"""Event: fit a trained network to unlabelled images of an event, without learning anew.

Batch norm statistics are taken from its images; as much is called building as its twin is built over; how often each
grade occurs in it is read off what the network says of it, and the grades' probabilities are corrected to that. What
the network says of held-out renders, whose truth is known, tells how far its words can be trusted. Nothing real that is
labelled has a part in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mage_stac import loader, models, samplers
from mage_stac.adapt import batch_norm, built, label_shift
from mage_stac.chip_table import ChipTable
from mage_stac.classes import GRADES
from mage_stac.errors import ModelError
from mage_stac.models.calibration import STRIDE, Offsets, Temperatures
from mage_stac.models.held_out import Said
from mage_stac.recipe import Event, Recipe
from mage_stac.samplers import Sampling

BUILDING = 0.5
"""Grades are asked for where a building is at least so probable."""
TOGETHER = 16
"""Windows that are looked at together, at most."""
OBSERVED = 0.9
"""Share of a real window that must be observed, for its statistics to be those of a place."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What came of it."""

    offsets: Offsets
    record: dict[str, Any]
    """Figures for training.json; empty if nothing was asked for."""


def wanted(settings: Event) -> bool:
    """Whether anything is asked for."""
    return settings.batch_norm > 0 or settings.prior != "none" or settings.thresholds or settings.built


def more(settings: Event) -> bool:
    """Whether anything is asked for but `built`, which is done where it can be."""
    return wanted(replace(settings, built=False))


def windows(table: ChipTable, recipe: Recipe, mean: Tensor, std: Tensor) -> list[Tensor]:
    """Normalised real windows (B, 2, C, size, size), spread over what was observed on both dates.

    Raises:
        ModelError: no window is observed well enough.
    """
    size, number = recipe.data.size, recipe.event.chips
    places = samplers.draw(table, Sampling(), np.random.default_rng(recipe.seed), number, size)
    kept = []
    with closing(loader.epoch(table, places, edge=size, batch=min(number, TOGETHER))) as stream:
        for batch in stream:
            well = batch["valid"].flatten(1).float().mean(1) >= OBSERVED
            image = models.blank(models.normalise(batch["image"], mean.cpu(), std.cpu()), batch["valid"])
            if well.any():
                kept.append(image[well])
    if not kept:
        raise _too_little(size)
    every = torch.cat(kept)
    return list(every.tensor_split(-(-len(every) // TOGETHER)))  # no window by itself, if there are several


def check(table: ChipTable, size: int) -> None:
    """Raise ModelError where `windows` of `size` px will find nothing: before a model is trained, not after it."""
    within = np.minimum(table.sizes, size).prod(axis=1) / size**2  # windows that are larger than the images
    best = [share * table.share(number, size, size // 2)[1].max() for number, share in enumerate(within)]
    if not max(best, default=0.0) >= OBSERVED:
        raise _too_little(size)


def _too_little(size: int) -> ModelError:
    return ModelError(
        f"no real window of {size} px is observed to {OBSERVED:.0%} on both dates: there is too little to fit a model"
        " to; leave it out, or give larger images"
    )


def fit(
    network: nn.Module,
    temperatures: Temperatures,
    settings: Event,
    *,
    held_out: Iterable[Said],
    real: Sequence[Tensor],
    twin: float | None = None,
) -> Fitted:
    """Fit a network to an event; its batch norms change in place, the rest are offsets of its logits.

    Args:
        network: in evaluation mode.
        temperatures: of its logits.
        settings: what to fit.
        held_out: what it says of held-out renders now.
        real: as `windows` gives them.
        twin: share of the place that is built over (built.share), if known.

    Raises:
        ModelError: no building in the held-out renders, or none found in the event, where shares are asked for.
    """
    logits, truth = _graded(held_out, temperatures) if settings.prior != "none" or settings.thresholds else _nothing()
    device = next(network.parameters()).device
    images = [image.to(device) for image in real]
    layers = batch_norm.adapt(network, images, settings.batch_norm)
    record: dict[str, Any] = {"batch_norms_changed": layers} if settings.batch_norm else {}
    bias = np.zeros(len(GRADES))
    ratio = np.ones(len(GRADES))
    if settings.prior != "none":
        bias = label_shift.biases(logits, truth)
        said = _said(network, temperatures, images) + bias
        ratio = _ratio(settings.prior, logits + bias, truth, said)
        bias = bias + label_shift.offsets(ratio, settings.strength)
        before = label_shift.shares(truth, len(GRADES))
        record |= {
            "shares_of_grades": {
                "held out": _rounded(before),
                "said of the event": _rounded(label_shift.shares(said.argmax(axis=1), len(GRADES))),
                "estimated": _rounded(before * ratio),
            }
        }
    if settings.thresholds:
        bias = bias + label_shift.thresholds(logits + bias, truth, ratio)
    moved = 0.0
    if settings.built and twin is not None:
        said_built = _built(network, temperatures, images)
        moved = built.offset(said_built, twin)
        record["built"] = {"twin": twin, "said of the event": float((said_built >= 0).mean()), "offset": moved}
        record["built"] = {name: round(value, 4) for name, value in record["built"].items()}
    damage = tuple(round(float(value), 4) for value in bias) if bias.any() else Offsets().damage
    offsets = Offsets(building=round(moved, 4), damage=damage)
    return Fitted(offsets=offsets, record=record | {"offsets": list(offsets.damage)} if wanted(settings) else {})


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 4) for value in values]


def _ratio(
    method: str, logits: NDArray[np.float64], truth: NDArray[np.int64], said: NDArray[np.float64]
) -> NDArray[np.float64]:
    if method == "em":
        return label_shift.em(label_shift.probabilities(said), label_shift.shares(truth, len(GRADES)))
    called = label_shift.joint(truth, logits.argmax(axis=1), len(GRADES))
    return label_shift.bbse(called, label_shift.shares(said.argmax(axis=1), len(GRADES)))


def _nothing() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    return np.zeros((0, len(GRADES))), np.zeros(0, np.int64)


def _graded(said: Iterable[Said], temperatures: Temperatures) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Grades' logits (N, 4) and true grades (N,) 0..3 of building pixels that are found as such."""
    logits, truths = [], []
    for outputs, mask, valid in said:
        calibrated = temperatures.applied(outputs)
        truth = mask[:, ::STRIDE, ::STRIDE]
        found = _found(calibrated).cpu() & valid[:, ::STRIDE, ::STRIDE] & (truth > 0) & (truth <= GRADES[-1])
        logits.append(_grades(calibrated).cpu()[found].double().numpy())
        truths.append((truth[found] - 1).numpy())
    joined = np.concatenate(truths) if truths else np.zeros(0, np.int64)
    if not len(joined):
        raise ModelError(
            "the model finds no building in the held-out renders: the shares of its grades say nothing; train it longer"
        )
    return np.concatenate(logits), joined


@torch.inference_mode()
def _said(network: nn.Module, temperatures: Temperatures, images: Sequence[Tensor]) -> NDArray[np.float64]:
    """Grades' logits (N, 4) wherever the network finds a building in real windows."""
    parts = []
    for image in images:
        calibrated = temperatures.applied(network(image))
        parts.append(_grades(calibrated)[_found(calibrated)].double().cpu().numpy())
    joined = np.concatenate(parts) if parts else np.zeros((0, len(GRADES)))
    if not len(joined):
        raise ModelError("the model finds no building in the real images: their grades' shares cannot be estimated")
    return joined


@torch.inference_mode()
def _built(network: nn.Module, temperatures: Temperatures, images: Sequence[Tensor]) -> NDArray[np.float64]:
    """Logits (N,) of "building" all over real windows, thinned."""
    said = (temperatures.applied(network(image))["building"][:, 0, ::STRIDE, ::STRIDE] for image in images)
    return torch.cat([part.flatten() for part in said]).double().cpu().numpy()


def _found(outputs: dict[str, Tensor]) -> Tensor:
    """(B, h, w) bool, thinned."""
    return torch.sigmoid(outputs["building"][:, 0, ::STRIDE, ::STRIDE].float()) >= BUILDING


def _grades(outputs: dict[str, Tensor]) -> Tensor:
    """(B, h, w, 4), thinned."""
    return outputs["damage"][:, :, ::STRIDE, ::STRIDE].movedim(1, -1)
