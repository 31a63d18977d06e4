"""Chance: random numbers for the chips of a batch, the same whether one process has all of them or each has some."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Chance:
    """Draws for chips, or for things of which each chip has as many.

    Process r of n has chips r, r + n, r + 2n ... of a batch. It draws for all of them and keeps its own, so the numbers
    of a chip depend on its place in the batch alone.
    """

    generator: Generator
    chips: int = 1
    """That this process has."""
    rank: int = 0
    world: int = 1
    """Number of processes."""

    @property
    def device(self) -> torch.device:
        """Where the numbers lie."""
        return self.generator.device

    def uniform(self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Tensor:
        """float32 of a shape whose first axis goes over this process's chips, or over what each of them has."""
        return (
            self._own(torch.rand(self._all(shape), generator=self.generator, device=self.device)) * (high - low) + low
        )

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """float32 of mean 0 and variance 1, likewise."""
        return self._own(torch.randn(self._all(shape), generator=self.generator, device=self.device))

    def integers(self, stop: int, shape: tuple[int, ...]) -> Tensor:
        """int64 from 0 up to `stop`, likewise."""
        return self._own(torch.randint(stop, self._all(shape), generator=self.generator, device=self.device))

    def _all(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (shape[0] * self.world, *shape[1:])

    def _own(self, drawn: Tensor) -> Tensor:
        if self.world == 1:
            return drawn
        each = drawn.shape[0] // (self.chips * self.world)
        return drawn.reshape(self.chips, self.world, each, *drawn.shape[1:])[:, self.rank].flatten(0, 1)
