"""Shade: where buildings throw shadows in an image, from where the sun shone, and the ground as it is without them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Values = NDArray[np.float32]

LIFT = 4.0
"""Most that shaded ground is brightened: clear skylight alone is about a quarter of full light."""
BRIGHTEST = 1.3
"""Shaded ground is not brightened beyond this multiple of the lit ground around it."""
AROUND = 5.0
"""Ground so far from a shaded place tells how bright it would be in the sun, m (Gaussian)."""
BEARINGS = 36
WIDER = (1.5, 3.0, 6.0, 12.0, 24.0, 48.0)
"""Widths of the means that unknown ground is filled with, pixels: the narrowest that reaches known ground."""
SEEN = 0.02
"""Weight of known pixels from which a mean counts."""
REACH = 12.0
"""Shadows of buildings are looked for so far from them, m."""
DARKEST = 1e-3
"""Reflectance that open ground is taken to have at least: an image may be black."""
STRIP = 2.5
"""Width of the strip behind a building that is in its shadow whatever its height, m."""
EAVES = 4.5
"""Height of what throws the far edge of a house's shadow, half way from eaves to ridge of one storey and attic, m."""


def cast(heights: Values, gsd: float, azimuth: float, elevation: float) -> Mask:
    """Ground in the shadow of what stands: walks from every pixel towards the sun until it clears the highest.

    Args:
        heights: (rows, columns) m above level ground, row 0 north.
        gsd: side of a pixel, m.
        azimuth: of the sun, degrees clockwise from north.
        elevation: of the sun, degrees, more than 0.
    """
    top, rise = float(heights.max(initial=0.0)), float(np.tan(np.radians(elevation)))
    east, north = float(np.sin(np.radians(azimuth))), float(np.cos(np.radians(azimuth)))
    dark = np.zeros(heights.shape, bool)
    for step in range(1, int(np.ceil(top / rise / gsd)) + 1):
        # What stands `step` pixels towards the sun.
        towards = _moved(heights, round(step * north), round(-step * east))
        dark |= towards > heights + step * gsd * rise
    return dark


def _moved(values: Values, down: int, right: int) -> Values:
    """`values` shifted by whole pixels, zero where nothing comes from."""
    rows, columns = values.shape
    result = np.zeros_like(values)
    if abs(down) < rows and abs(right) < columns:
        to = slice(max(down, 0), rows + min(down, 0)), slice(max(right, 0), columns + min(right, 0))
        of = slice(max(-down, 0), rows + min(-down, 0)), slice(max(-right, 0), columns + min(-right, 0))
        result[to] = values[of]
    return result


def sun_of(light: Values, roofs: Mask, seen: Mask, gsd: float) -> tuple[float, float]:
    """Azimuth and elevation of the sun, degrees, from an image in which buildings throw shadows.

    The azimuth is opposite to the side of the buildings where the ground is darkest; the elevation follows from how
    far it stays dark, taking EAVES for the height that throws the edge. Good to some ten degrees: enough to take
    shadows out of the ground and to throw them again to the same side.

    Args:
        light: (rows, columns) brightness, linear.
        roofs: True on buildings.
        seen: False where the image shows nothing, as in its collar: no shadow lies there.
        gsd: side of a pixel, m.
    """
    near = ndimage.binary_dilation(roofs, iterations=2) | ~seen
    usual = max(float(np.median(light[~near])), DARKEST) if (~near).any() else 1.0
    solid = roofs.astype(np.float32)
    bearings = np.arange(BEARINGS) * 360.0 / BEARINGS
    steps = np.arange(2, int(REACH / gsd) + 1)
    dark = np.zeros((BEARINGS, len(steps)))
    for number, bearing in enumerate(bearings):
        east, north = np.sin(np.radians(bearing)), np.cos(np.radians(bearing))
        for position, step in enumerate(steps):
            ring = _moved(solid, round(-step * north), round(step * east)).astype(bool) & ~near
            dark[number, position] = 1 - float(light[ring].mean()) / usual if ring.any() else 0.0
    first = steps * gsd <= 4.0
    side = dark[:, first].mean(axis=1)
    phase = np.sum(side * np.exp(1j * np.radians(bearings)))
    away = float(np.degrees(np.angle(phase)) % 360)
    profile = dark[round(away / 360 * BEARINGS) % BEARINGS] - dark.mean(axis=0)
    peak = float(profile[first].max())
    length = float(steps[np.flatnonzero(profile > 0.5 * peak)[-1]] * gsd) if peak > 0 else EAVES
    return (away + 180) % 360, float(np.clip(np.degrees(np.arctan2(EAVES, length)), 20.0, 65.0))


def left_in_shadow(light: Values, roofs: Mask, seen: Mask, gsd: float, azimuth: float) -> float:
    """Share of the light on open ground that shaded ground gets in an image, 0..1: skylight, haze and blur together.

    Taken from the darker fifth of the strip along the buildings' sides that face away from the sun at `azimuth`;
    1 without such a strip. Where nothing is `seen`, neither is.
    """
    east, north = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    near = ndimage.binary_dilation(roofs) | ~seen
    strip = np.zeros(roofs.shape, bool)
    for step in range(2, max(3, round(STRIP / gsd)) + 1):
        strip |= _moved(roofs.astype(np.float32), round(step * north), round(-step * east)) > 0
    strip &= ~near
    open_ground = ~ndimage.binary_dilation(near | strip, iterations=2)
    if not strip.any() or not open_ground.any():
        return 1.0
    usual = max(float(np.median(light[open_ground])), DARKEST)
    return float(np.clip(np.percentile(light[strip], 20) / usual, 0.0, 1.0))


def lifted(image: Values, shaded: Mask, lit: Mask, gsd: float) -> Values:
    """An image (rows, columns, bands) whose shaded ground is as bright as the lit ground around it, band by band.

    Ground that is said to be shaded but is not darker than its surroundings stays as it is.
    """
    weight, dark = (lit & ~shaded).astype(np.float32), shaded.astype(np.float32)
    sigma = AROUND / gsd
    share, own_share = ndimage.gaussian_filter(weight, sigma), ndimage.gaussian_filter(dark, 1.0)
    told = shaded & (share > 1e-3)
    result = image.copy()
    for band in range(image.shape[-1]):
        values = image[..., band]
        bright = ndimage.gaussian_filter(values * weight, sigma)[told] / share[told]
        own = ndimage.gaussian_filter(values * dark, 1.0)[told] / own_share[told]
        gain = (bright / np.maximum(own, 1e-3)).clip(1.0, LIFT)
        result[..., band][told] = np.minimum(values[told] * gain, np.maximum(values[told], BRIGHTEST * bright))
    return result


def filled(image: Values, known: Mask, rng: np.random.Generator) -> Values:
    """An image (rows, columns, bands) whose unknown pixels are made up from the known ones around them.

    The smooth part comes from ever wider Gaussian means of what is known; the grain is that of known pixels, taken
    from a place some way off.
    """
    if known.all() or not known.any():
        return image.copy()
    smooth = np.broadcast_to(image[known].mean(axis=0), image.shape).astype(np.float32)
    missing = np.ones(known.shape, bool)
    for sigma in WIDER:
        share = ndimage.gaussian_filter(known.astype(np.float32), sigma)
        ready = missing & (share > SEEN)
        for band in range(image.shape[-1]):
            mean = ndimage.gaussian_filter(np.where(known, image[..., band], np.float32(0)), sigma)
            smooth[..., band][ready] = mean[ready] / share[ready]
        missing &= ~ready
    grain = _grain(image, known, rng)
    return np.where(known[..., None], image, (smooth * grain[..., None]).clip(0.005, 0.95)).astype(np.float32)


def _grain(image: Values, known: Mask, rng: np.random.Generator) -> Values:
    """(rows, columns) factors around 1: relative detail of the known image, turned about and shifted."""
    grey = image.mean(axis=-1)
    detail = np.where(known, grey / np.maximum(ndimage.gaussian_filter(grey, 2.0), 1e-3), 1.0).clip(0.7, 1.4)
    detail[ndimage.binary_dilation(~known, iterations=3)] = 1.0
    shift = rng.integers(10, max(11, min(grey.shape) - 10), 2)
    moved: Values = np.roll(detail[::-1, ::-1], shift, axis=(0, 1)).astype(np.float32)
    return moved
