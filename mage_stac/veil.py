"""Smoke between the ground and the sensor: what it hides and adds, laid on by the sensor model, never rendered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float32]

WAVELENGTHS = (0.65, 0.56, 0.48, 0.85, 1.61, 2.20)
"""Of the bands imaging.RENDERED, um."""
ANGSTROM = 1.8
"""Optical depth falls with the wavelength to this power in fresh smoke, so it is bluish, and short-wave infrared sees
through it: Reid et al. (2005, doi:10.5194/acp-5-827-2005), 1.7 to 2.3."""
ALBEDO, FORWARD = 0.88, 0.6
"""Share of the light that smoke scatters instead of taking it, and mean cosine of where to: as there, fresh smoke."""
BLURRED = 25.0
"""Blur of the light that smoke scatters on its way up, in parts of the image's side: it comes from all around."""
BILLOW, CONTRAST = 5.0, 0.35
"""Metres, and the most by which lumps of smoke are brighter or darker than 1; by eye."""
HIDES = 0.5
"""Share of the ground's own light left at 0.55 um below which the ground counts as not observed."""


def layer(depth: NDArray[np.floating], band: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Reflectance and transmittance, 0..1 each, of smoke over black ground for light from anywhere.

    Two streams in quadrature closure (Toon et al. 1989, doi:10.1029/JD094iD13p16287): with
    s = sqrt((1 - w) / (1 - w g)), k = sqrt(3 (1 - w) (1 - w g)) and R = (1 - s) / (1 + s), what endless smoke reflects,
    r = R (1 - e^-2kt) / (1 - R^2 e^-2kt) and t = (1 - R^2) e^-kt / (1 - R^2 e^-2kt).
    """
    thick = at_band(depth, band)
    lost, turned = 1.0 - ALBEDO, 1.0 - ALBEDO * FORWARD
    fade = np.exp(-np.sqrt(3.0 * lost * turned) * thick)
    endless = (1.0 - np.sqrt(lost / turned)) / (1.0 + np.sqrt(lost / turned))
    below = 1.0 - endless**2 * fade**2
    added: NDArray[np.float64] = endless * (1.0 - fade**2) / below
    through: NDArray[np.float64] = (1.0 - endless**2) * fade / below
    return added, through


def at_band(depth: NDArray[np.floating], band: int) -> NDArray[np.float64]:
    """Optical depth in a band, a position in WAVELENGTHS, of smoke of `depth` at 0.55 um."""
    return np.asarray(np.asarray(depth, np.float64) * (0.55 / WAVELENGTHS[band]) ** ANGSTROM)


def direct(depth: NDArray[np.floating], band: int) -> NDArray[np.float64]:
    """Share of the light that comes straight up through smoke; what is thrown within FORWARD^2 of ahead counts too."""
    result: NDArray[np.float64] = np.exp(-at_band(depth, band) * (1.0 - ALBEDO * FORWARD**2))
    return result


def lay(light: Image, depth: NDArray[np.floating], *, gsd: float, sun_azimuth: float) -> Image:
    """An image (rows, columns, 3 or 6) in units of a white ground, seen through smoke.

    Args:
        light: the image.
        depth: (any rows, columns over the same ground) optical depth at 0.55 um.
        gsd: of the image, m.
        sun_azimuth: degrees clockwise from north.
    """
    rows, columns, bands = light.shape
    depth = _on(depth, (rows, columns))
    lumps = billows(depth, gsd, sun_azimuth)
    blur = max(rows, columns) / BLURRED
    result = np.empty_like(light)
    for band in range(bands):
        added, through = layer(depth, band)
        own = np.minimum(direct(depth, band), through)
        around = ndimage.gaussian_filter(light[..., band], blur, mode="nearest")
        # Light that bounces between ground and smoke brightens both a little.
        lit = through / (1.0 - added * np.clip(around, 0.0, 0.95))
        result[..., band] = added * lumps + lit * (own * light[..., band] + (through - own) * around)
    return result


def billows(depth: NDArray[np.floating], gsd: float, sun_azimuth: float) -> NDArray[np.float64]:
    """(rows, columns) brightness, about 1, of the top of thick smoke: lumps have a lit side and a shaded one.

    The top stands BILLOW metres higher for every factor of e in depth.
    """
    top = BILLOW * np.log1p(np.asarray(depth, np.float64))
    south, east = np.gradient(top, gsd)
    towards = east * np.sin(np.radians(sun_azimuth)) - south * np.cos(np.radians(sun_azimuth))
    # What faces the sun falls away towards it.
    result: NDArray[np.float64] = 1.0 - CONTRAST * np.tanh(towards / CONTRAST)
    return result


def hidden(shape: tuple[int, ...], depth: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(rows, columns) True where smoke hides the ground."""
    thick = _on(depth, shape)
    return np.asarray(np.exp(-thick * (1.0 - ALBEDO * FORWARD**2)) < HIDES)


def _on(depth: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(rows, columns) of `depth`, a raster of any resolution over the same ground, by cubic splines."""
    where = np.meshgrid(
        *((np.arange(size) + 0.5) / size * own - 0.5 for size, own in zip(shape[:2], depth.shape, strict=True)),
        indexing="ij",
    )
    values: NDArray[np.float64] = ndimage.map_coordinates(np.asarray(depth, np.float64), where, order=3, mode="nearest")
    return values.clip(0.0)
