"""Checkpoints: one safetensors file that holds weights, average, optimiser and, as JSON in its header, the rest.

Nothing about random numbers is stored: every draw of step k (chips, augmentation, dropout) is seeded with the recipe's
seed and k, so the step's number is the whole state of the sampler and of all generators.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from mage_stac import recipe as recipes
from mage_stac.errors import CatalogueError, RecipeError
from mage_stac.models.average import Average
from mage_stac.recipe import Recipe

_KEY = "state"


@dataclass(kw_only=True)
class Progress:
    """What has been done; grows with the run."""

    step: int = 0
    """Steps completed."""
    losses: list[tuple[float, ...]] = field(default_factory=list)
    """Of each step: total, building, damage, ordinal."""
    validation: list[dict[str, Any]] = field(default_factory=list)
    """Figures on the held-out places, each with its step."""
    seconds: float = 0.0
    """Spent in steps."""
    waited: float = 0.0
    """Of these, waiting for chips."""


@dataclass(frozen=True, kw_only=True)
class State:
    """All that changes during training."""

    model: nn.Module
    average: Average
    optimiser: Optimizer
    progress: Progress


def save(path: Path, state: State, *, recipe: Recipe, run: str) -> None:
    """Write the state so that the file is either the old one or the whole new one.

    Args:
        path: where.
        state: what.
        recipe: named in the header, to explain a refusal later.
        run: digest of recipe and data; only the same run may go on from here.

    Raises:
        CatalogueError: the disk refuses.
    """
    header = {"run": run, "recipe": recipes.flat(recipe), **vars(state.progress)}
    write(path, _tensors(state), {_KEY: json.dumps(header)})


def write(path: Path, tensors: dict[str, Tensor], told: dict[str, str] | None = None) -> None:
    """Write tensors, and what is told of them in the header, so that the file is either the old one or the whole new.

    Raises:
        CatalogueError: the disk refuses.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, metadata=told)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise CatalogueError(f"{path} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _tensors(state: State) -> dict[str, Tensor]:
    slots = state.optimiser.state_dict()["state"]
    named = {f"optimiser/{number}/{key}": value for number, slot in slots.items() for key, value in slot.items()}
    named |= {f"model/{key}": value for key, value in state.model.state_dict().items()}
    named |= {f"average/{key}": value for key, value in state.average.shadow.state_dict().items()}
    return {key: value.detach().cpu().contiguous() for key, value in named.items()}


def restore(path: Path, state: State, *, recipe: Recipe, run: str) -> None:
    """Bring a fresh state to where the checkpoint left off; nothing is unpickled.

    Raises:
        RecipeError: the checkpoint is of another recipe or other pairs (says what differs), or the file is broken.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_KEY])
            _check(path, header, recipe, run)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        _load(state, tensors)
        for name in vars(state.progress):
            setattr(state.progress, name, header[name])
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise RecipeError(f"checkpoint {path} is broken ({error}): remove it, or start anew with --restart") from error


def _check(path: Path, header: Mapping[str, Any], recipe: Recipe, run: str) -> None:
    if header["run"] == run:
        return
    changed = recipes.difference(recipes.decisive(recipe), header["recipe"])
    what = f"another recipe ({changed})" if changed else "the same recipe on other pairs"
    raise RecipeError(
        f"checkpoint {path} belongs to {what}: finish that run with its own inputs, rename this recipe, or start anew"
        " with --restart"
    )


def _load(state: State, tensors: Mapping[str, Tensor]) -> None:
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimiser": {}}
    for key, value in tensors.items():
        part, name = key.split("/", 1)
        parts[part][name] = value
    state.model.load_state_dict(parts["model"])
    state.average.shadow.load_state_dict(parts["average"])
    state.optimiser.load_state_dict({**state.optimiser.state_dict(), "state": _slots(state, parts["optimiser"])})


def _slots(state: State, tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The optimiser's tensors by parameter and name, in the memory order of their parameters, as fused steps need."""
    parameters = [parameter for group in state.optimiser.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, key = int(name.split("/", 1)[0]), name.split("/", 1)[1]
        like = parameters[number]
        placed = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
        slots.setdefault(number, {})[key] = placed.detach()
    return slots
