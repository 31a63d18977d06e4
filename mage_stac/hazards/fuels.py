"""Fuels: what burns on the ground, and how fast fire runs through it by Rothermel's equations."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TONS_PER_ACRE = 2000.0 / 43_560.0
"""lb/ft2 in a short ton per acre."""
FEET = 0.3048
FEET_PER_MINUTE = FEET / 60.0
"""m/s."""
DENSITY, HEAT = 32.0, 8000.0
"""Of fuel particles, lb/ft3, and of their combustion, Btu/lb."""
TOTAL_MINERAL, EFFECTIVE_MINERAL = 0.0555, 0.010


@dataclass(frozen=True, kw_only=True, slots=True)
class Fuel:
    """A stylised fuel model of Anderson (1982, USDA GTR INT-122, table 1), in its own units."""

    number: int
    load: tuple[float, float, float, float]
    """Dead of 1, 10 and 100 hours, and live; tons per acre."""
    fineness: tuple[float, float]
    """Surface to volume of the dead 1-hour and the live particles, 1/ft; 109 and 30 for 10 and 100 hours."""
    depth: float
    """Of the fuel bed, ft."""
    extinction: float
    """Moisture of dead fuel at which fire goes out, share of dry weight."""
    shelter: float
    """Wind at half flame height over wind at 6.1 m: the factors that WRF-SFIRE ships, after Baughman and Albini."""


GRASS = Fuel(number=1, load=(0.74, 0, 0, 0), fineness=(3500, 1500), depth=1.0, extinction=0.12, shelter=0.36)
OPEN_WOODLAND = Fuel(
    number=2, load=(2.0, 1.0, 0.5, 0.5), fineness=(3000, 1500), depth=1.0, extinction=0.15, shelter=0.36
)
TALL_GRASS = Fuel(number=3, load=(3.01, 0, 0, 0), fineness=(1500, 1500), depth=2.5, extinction=0.25, shelter=0.44)
CHAPARRAL = Fuel(
    number=4, load=(5.01, 4.01, 2.0, 5.01), fineness=(2000, 1500), depth=6.0, extinction=0.20, shelter=0.55
)
BRUSH = Fuel(number=5, load=(1.0, 0.5, 0, 2.0), fineness=(2000, 1500), depth=2.0, extinction=0.20, shelter=0.42)
LITTER = Fuel(number=8, load=(1.5, 1.0, 2.5, 0), fineness=(2000, 1500), depth=0.2, extinction=0.30, shelter=0.36)
LEAVES = Fuel(number=9, load=(2.92, 0.41, 0.15, 0), fineness=(2500, 1500), depth=0.2, extinction=0.25, shelter=0.36)
TIMBER = Fuel(number=10, load=(3.01, 2.0, 5.01, 2.0), fineness=(2000, 1500), depth=1.0, extinction=0.25, shelter=0.36)
FUELS = (GRASS, OPEN_WOODLAND, TALL_GRASS, CHAPARRAL, BRUSH, LITTER, LEAVES, TIMBER)
"""Those that gardens, parks and the land around towns are made of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bed:
    """A fuel model at one moisture: what Rothermel's equations need of it."""

    rate: float
    """Without wind on the level, m/s."""
    wind: tuple[float, float]
    """Wind factor = first * U^second, U in m/s at half flame height."""
    slope: float
    """Slope factor = slope * tan(angle)^2."""
    intensity: float
    """Heat released per area of the front, kW/m2."""
    residence: float
    """Time that the front stays, s."""

    def factor(self, wind: float) -> float:
        """By how much wind (m/s at half flame height) adds to the rate."""
        return float(self.wind[0] * wind ** self.wind[1]) if wind > 0 else 0.0

    def equivalent(self, factor: Floats) -> Floats:
        """Wind, m/s at half flame height, that alone adds as much as `factor`."""
        result: Floats = (np.maximum(factor, 0.0) / self.wind[0]) ** (1 / self.wind[1])
        return result

    def line(self, rate: Floats) -> Floats:
        """Fireline intensity, kW/m, of a front that runs at `rate` m/s: Byram (1959)."""
        result: Floats = self.intensity * self.residence * rate
        return result


def bed(fuel: Fuel, dead: float, live: float) -> Bed:
    """Rothermel (1972) with Albini's (1976) changes, as Andrews (2018, USDA RMRS-GTR-371) writes them out.

    Args:
        fuel: what lies there.
        dead: moisture of the 1-hour fuel, share of dry weight; the coarser ones are taken as moist.
        live: moisture of the live fuel.
    """
    load = np.array(fuel.load) * TONS_PER_ACRE
    fine = np.array([fuel.fineness[0], 109.0, 30.0, fuel.fineness[1]])
    moist = np.array([dead, dead, dead, live])
    area = fine * load / DENSITY
    sides = np.array([area[:3].sum(), area[3]])
    share = np.append(area[:3] / sides[0], 1.0)
    weight = sides / sides.sum()
    sigma = weight[0] * (share[:3] @ fine[:3]) + weight[1] * fine[3]
    packing = load.sum() / fuel.depth / DENSITY
    best = 3.348 * sigma**-0.8189
    moisture = np.array([share[:3] @ moist[:3], live])
    limit = np.array([fuel.extinction, _live_extinction(fuel, load, fine, moist)])
    net = np.array([share[:3] @ load[:3], load[3]]) * (1 - TOTAL_MINERAL)
    heat = net * HEAT * _damping(moisture / limit) * 0.174 * EFFECTIVE_MINERAL**-0.19
    bend = 133.0 * sigma**-0.7913
    fastest = sigma**1.5 / (495.0 + 0.0594 * sigma**1.5)
    reaction = fastest * (packing / best) ** bend * exp(bend * (1 - packing / best)) * heat.sum()
    flux = exp((0.792 + 0.681 * sqrt(sigma)) * (packing + 0.1)) / (192.0 + 0.2595 * sigma)
    ignition = (250.0 + 1116.0 * moist) * np.exp(-138.0 / fine)
    sink = load.sum() / fuel.depth * (weight[0] * (share[:3] @ ignition[:3]) + weight[1] * ignition[3])
    power = 0.02526 * sigma**0.54
    blown = 7.47 * exp(-0.133 * sigma**0.55) * (packing / best) ** -(0.715 * exp(-3.59e-4 * sigma))
    return Bed(
        rate=reaction * flux / sink * FEET_PER_MINUTE,
        wind=(blown * FEET_PER_MINUTE**-power, power),
        slope=5.275 * packing**-0.3,
        # Btu/ft2/min to kW/m2.
        intensity=reaction * 1.05506 / FEET**2 / 60.0,
        residence=384.0 / sigma * 60.0,
    )


def _live_extinction(fuel: Fuel, load: Floats, fine: Floats, moist: Floats) -> float:
    """Moisture at which live fuel stops to burn: the more fine dead fuel lies in it, the wetter it may be."""
    if load[3] == 0:
        return fuel.extinction
    easily = load[:3] * np.exp(-138.0 / fine[:3])
    ratio = easily.sum() / (load[3] * exp(-500.0 / fine[3]))
    dead = float(moist[:3] @ easily / easily.sum())
    return max(float(2.9 * ratio * (1 - dead / fuel.extinction) - 0.226), fuel.extinction)


def _damping(ratio: Floats) -> Floats:
    """Share of the heat left by moisture over its extinction, 0..1."""
    left = 1 - 2.59 * ratio + 5.11 * ratio**2 - 3.52 * ratio**3
    result: Floats = np.where(ratio < 1, np.maximum(left, 0.0), 0.0)
    return result


def flame(line: Floats) -> Floats:
    """Length of flames, m, of a fireline intensity in kW/m: 0.0775 I^0.46, Byram (1959)."""
    result: Floats = 0.0775 * np.maximum(line, 0.0) ** 0.46
    return result


def scorch(line: Floats, air: float = 30.0) -> Floats:
    """Height, m, up to which leaves die over a fireline intensity in kW/m in air of some degrees Celsius.

    4.4713 I^(2/3) / (60 - T): Van Wagner (1973, doi:10.1139/x73-055), in calm air.
    """
    result: Floats = 4.4713 * np.maximum(line, 0.0) ** (2 / 3) / (60.0 - air)
    return result


def crowning(base: Floats, moisture: float = 1.0) -> Floats:
    """Fireline intensity, kW/m, that sets crowns alight whose leaves begin `base` m up: Van Wagner (1977).

    (0.010 CBH (460 + 25.9 FMC))^1.5, doi:10.1139/x77-004, with the moisture of the leaves as a share of dry weight.
    """
    result: Floats = (0.010 * base * (460.0 + 2590.0 * moisture)) ** 1.5
    return result
