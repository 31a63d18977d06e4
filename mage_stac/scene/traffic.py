"""Cars: parked in stalls, drives and along kerbs, and on the move; anew for every date."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from mage_stac.scene import chance
from mage_stac.scene.materials import CARS, pick
from mage_stac.scene.plane import DIGITS
from mage_stac.scene.scene import Car, Surface

BAY = 2.75
"""Width of a stall, m."""


def park(surfaces: Iterable[Surface], share: chance.Range, rng: np.random.Generator) -> tuple[Car, ...]:
    """Cars for one moment on every stall, drive and street; `share` bounds how full stalls and drives are."""
    full = chance.between(rng, share)
    traffic = float(np.exp(0.6 * rng.standard_normal()))
    cars: list[Car] = []
    for surface in surfaces:
        if len(surface.line) < 2:
            continue
        if surface.use == "stalls":
            cars += _stalls(surface, full * float(np.exp(0.5 * rng.standard_normal())), rng)
        elif surface.use == "drive":
            cars += _drive(surface, full, rng)
        elif surface.use in ("street", "arterial"):
            cars += _kerbs(surface, 0.016 * traffic, rng)
            cars += _lanes(surface, (0.009 if surface.use == "arterial" else 0.0006) * traffic, rng)
    return tuple(cars)


def _walk(surface: Surface, step: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (N, 2) every `step` metres along the line, from half a step on, and unit directions (N, 2)."""
    points = np.array(surface.line)
    lengths = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    at = np.arange(step / 2, along[-1], step)
    spots = np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], axis=1)
    segment = np.clip(np.searchsorted(along, at, side="right") - 1, 0, len(lengths) - 1)
    return spots, np.diff(points, axis=0)[segment] / np.maximum(lengths[segment], 1e-9)[:, None]


def _left(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([-direction[..., 1], direction[..., 0]], axis=-1)


def _car(at: NDArray[np.float64], along: NDArray[np.float64], rng: np.random.Generator, long: float = 0.0) -> Car:
    bearing = float(np.degrees(np.arctan2(along[0], along[1]))) + 180 * float(rng.random() < 0.5)
    return Car(
        x=round(float(at[0]), DIGITS),
        y=round(float(at[1]), DIGITS),
        bearing=round((bearing + 1.5 * float(rng.standard_normal())) % 360, DIGITS),
        colour=pick(CARS, chance.seed(rng)),
        length=round(long or rng.uniform(4.1, 5.5), 2),
    )


def _stalls(surface: Surface, share: float, rng: np.random.Generator) -> Iterator[Car]:
    spots, ahead = _walk(surface, BAY)
    for at, along in zip(spots, ahead, strict=True):
        if rng.random() < share:
            into = _left(along)
            shift = into * (surface.width / 2 + 0.2 * rng.standard_normal()) + along * 0.12 * rng.standard_normal()
            yield _car(at + shift, into, rng)


def _drive(surface: Surface, share: float, rng: np.random.Generator) -> Iterator[Car]:
    start, stop = np.array(surface.line[0]), np.array(surface.line[-1])
    length = float(np.hypot(*(stop - start)))
    if length < 5:
        return
    along = (stop - start) / length
    places = int(min(length // 6, 2)) * (2 if surface.width > 4.6 else 1)
    for place in range(places):
        if rng.random() < 0.75 * share:
            side = (1.25 if place % 2 else -1.25) if surface.width > 4.6 else 0.0
            back = 3.2 + 6.0 * (place // 2 if surface.width > 4.6 else place) + rng.uniform(0, 0.8)
            yield _car(stop - along * back + _left(along) * (side + 0.15 * rng.standard_normal()), along, rng)


def _kerbs(surface: Surface, share: float, rng: np.random.Generator) -> Iterator[Car]:
    if surface.width < 6.8 or surface.use == "arterial":
        return
    spots, ahead = _walk(surface, 6.5)
    for side in (-1.0, 1.0):
        for at, along in zip(spots, ahead, strict=True):
            if rng.random() < share:
                yield _car(at + side * _left(along) * (surface.width / 2 - 1.15), along, rng)


def _lanes(surface: Surface, share: float, rng: np.random.Generator) -> Iterator[Car]:
    """On the move, keeping right, about `share` cars per metre and direction over 7 m spots."""
    spots, ahead = _walk(surface, 7.0)
    lanes = 2 if surface.width > 12 else 1
    for side in (-1.0, 1.0):
        for at, along in zip(spots, ahead, strict=True):
            if rng.random() < 7.0 * share:
                offset = surface.width / 2 * (rng.integers(lanes) + 0.5) / lanes
                long = rng.uniform(8.0, 12.5) if rng.random() < 0.05 else 0.0
                yield _car(at + side * _left(along) * (0.85 * offset + 0.2), along, rng, long)
