"""Clouds over an image, and the shadows they throw into it: laid on by the sensor model, never rendered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import cos, radians, sin, tan

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtri

from mage_stac.scene.scene import Light

BRIGHTNESS = (0.78, 0.78, 0.80, 0.74, 0.52, 0.36)
"""Of a thick cloud, in units of a white ground in the same light, in red, green, blue, 0.85, 1.61 and 2.20 um: as
Sentinel-2 shows water clouds, whose droplets absorb beyond 1.4 um."""
LEFT = (0.34, 0.37, 0.42, 0.24, 0.14, 0.10)
"""Share of the light left in a cloud's shadow, which the sky and the cloud's sides give, in the same bands."""
HEIGHTS = (500.0, 1500.0)
"""Of the clouds' base above ground, m: fair-weather cumulus."""
PERIOD, CELLS = 2400.0, 256
"""The field of clouds repeats after so many metres, and is drawn on so many cells."""
SLOPE = 3.2
"""Power spectrum of the field falls with the wave number to this power, near the 3 of cumulus fields (Cahalan & Joseph
1989, doi:10.1175/1520-0493(1989)117<0261:FSOCF>2.0.CO;2)."""
EDGE = 0.35
"""Width of the edge, in standard deviations of the field, over which a cloud becomes opaque."""
HIDES, DIMS = 0.25, 0.5
"""Opacity and depth of shadow from which the ground counts as not observed."""


KEY = 1
"""Of the clouds among the seeds that a date's own seed gives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clouds:
    """Clouds of one moment."""

    share: float
    """Of the sky that is covered, in the mean over many images, 0..1."""
    seed: int
    height: float = 1000.0
    """Of the base above ground, m."""
    sun_azimuth: float = 150.0
    sun_elevation: float = 50.0
    """Degrees."""

    def over(self, shape: tuple[int, int], gsd: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Opacity of the clouds and depth of their shadows, both (rows, columns) 0..1, on pixels of `gsd` metres.

        Seen from straight above. A point of the ground lies in the shadow of the cloud that stands between it and the
        sun: `height / tan(elevation)` metres away, towards the sun.
        """
        away = self.height / tan(radians(self.sun_elevation))
        azimuth = radians(self.sun_azimuth)
        return self._opacity(shape, gsd, 0.0, 0.0), self._opacity(shape, gsd, away * sin(azimuth), away * cos(azimuth))

    def hidden(self, shape: tuple[int, int], gsd: float) -> NDArray[np.bool_]:
        """(rows, columns) True where a cloud or its shadow hides the ground."""
        opacity, shade = self.over(shape, gsd)
        return (opacity > HIDES) | (shade > DIMS)

    def _opacity(self, shape: tuple[int, int], gsd: float, east: float, north: float) -> NDArray[np.float32]:
        """Of the clouds above points that lie so many metres to the east and north of the pixels."""
        rows, columns = (np.arange(count) + 0.5 for count in shape)
        down = (rows * gsd - north) / PERIOD * CELLS
        right = (columns * gsd + east) / PERIOD * CELLS
        where = np.meshgrid(down, right, indexing="ij")
        values = ndimage.map_coordinates(_field(self.seed), where, order=1, mode="grid-wrap")
        # Half of the edge's width lies on either side of the level that `share` of the field exceeds.
        thick = np.clip((values - ndtri(1.0 - self.share)) / EDGE + 0.5, 0.0, 1.0) if self.share > 0 else 0.0 * values
        return np.asarray(thick * thick * (3.0 - 2.0 * thick), dtype=np.float32)


def draw(share: float, light: Light, noise: SeedSequence) -> Clouds:
    """Clouds of a date, drawn from a seed of their own, so that all else is as under a clear sky."""
    rng = np.random.default_rng(SeedSequence(noise.entropy, spawn_key=(*noise.spawn_key, KEY)))
    return Clouds(
        share=share,
        seed=int(rng.integers(2**31)),
        height=round(float(rng.uniform(*HEIGHTS)), 1),
        sun_azimuth=light.sun_azimuth,
        sun_elevation=light.sun_elevation,
    )


@lru_cache(maxsize=4)
def _field(seed: int) -> NDArray[np.float64]:
    """(CELLS, CELLS) a periodic random field of mean 0 and variance 1, with power falling by SLOPE."""
    wave = np.fft.fftfreq(CELLS, 1.0 / CELLS)
    number = np.hypot(wave[:, None], wave[None, :])
    number[0, 0] = np.inf
    white = np.fft.fft2(np.random.default_rng(seed).standard_normal((CELLS, CELLS)))
    field = np.real(np.fft.ifft2(white * number ** (-SLOPE / 2)))
    scaled: NDArray[np.float64] = field / field.std()
    return scaled


def lay(light: NDArray[np.float32], opacity: NDArray[np.float32], shade: NDArray[np.float32]) -> NDArray[np.float32]:
    """An image (rows, columns, 3 or 6) in units of a white ground, darkened by shadows and then covered by clouds."""
    bands = light.shape[-1]
    left, bright = np.array(LEFT[:bands], np.float32), np.array(BRIGHTNESS[:bands], np.float32)
    dimmed = light * (1.0 - shade[..., None] * (1.0 - left))
    return np.asarray(dimmed + opacity[..., None] * (bright - dimmed), dtype=np.float32)
