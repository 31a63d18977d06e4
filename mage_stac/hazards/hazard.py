"""What every hazard is and tells: the protocol, the truth, and the hazard that does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mage_stac.scene.scene import Scene


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """What happened, as exactly as it is known. Rasters: (rows, columns) of 1 m cells over the scene, row 0 north."""

    grades: Mapping[str, int]
    """Building.id -> Joint Damage Scale, 1 no damage .. 4 destroyed; every building of the scene."""
    debris: NDArray[np.bool_] | None = None
    """True where loose debris covers the ground."""
    water: NDArray[np.uint8] | None = None
    """0 dry, 1 flood water, 2 permanent water."""
    flood_depth: NDArray[np.float32] | None = None
    """m, 0 where dry."""
    burnt: NDArray[np.bool_] | None = None
    roads: Mapping[str, bool] = field(default_factory=dict)
    """`road-<index in Scene.surfaces>` -> True where it can be driven."""
    visible: Mapping[str, float] = field(default_factory=dict)
    """Building.id -> share of its grade that a view from the zenith can show, 0..1."""
    notes: tuple[str, ...] = ()


class Hazard(Protocol):
    """A cause of damage. Implementations are frozen dataclasses; their own fields set the scenario."""

    @property
    def name(self) -> str:
        """Key in HAZARDS."""
        ...

    @property
    def unit(self) -> str:
        """Of the intensity; empty where there is none."""
        ...

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest intensity that `apply` takes."""
        ...

    def draw(self, rng: np.random.Generator) -> float:
        """An intensity that makes a useful scene."""
        ...

    def apply(self, scene: Scene, intensity: float, rng: np.random.Generator) -> tuple[Scene, Truth]:
        """The scene afterwards, and what happened to it. Pure: the same arguments, the same result to the bit."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Nothing:
    """The hazard of undamaged pairs."""

    name: str = "none"
    unit: str = ""
    range: tuple[float, float] = (0.0, 0.0)

    def draw(self, rng: np.random.Generator) -> float:  # noqa: ARG002 - the protocol's signature
        """Always 0."""
        return 0.0

    def apply(
        self,
        scene: Scene,
        intensity: float,  # noqa: ARG002 - the protocol's signature
        rng: np.random.Generator,  # noqa: ARG002 - the protocol's signature
    ) -> tuple[Scene, Truth]:
        """The scene as it is, every building graded 1 and every road open."""
        roads = {f"road-{index}": True for index, one in enumerate(scene.surfaces) if one.semantic == "road"}
        return scene, Truth(grades={building.id: 1 for building in scene.buildings}, roads=roads)
