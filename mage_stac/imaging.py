"""The sensor model: a render's linear radiance to an image product's numbers, without Blender."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, sparse
from scipy.special import erf

from mage_stac import clouds
from mage_stac.errors import RenderError
from mage_stac.scene import infrared
from mage_stac.sensors import Sensor

FWHM_PER_SIGMA = 2.354820045
"""Full width at half maximum of a Gaussian of unit standard deviation: 2 sqrt(2 ln 2)."""
APERTURE = 12.0**-0.5
"""Standard deviation of a square aperture of one pixel."""
PATH_COLOUR = (0.75, 1.0, 1.3, 0.40, 0.14, 0.09)
"""Path radiance relative to green, in the bands RENDERED: between Rayleigh's and a rural aerosol's."""
LOSS_COLOUR = (1.0, 1.0, 1.0, 0.55, 0.25, 0.18)
"""What the air takes away, relative to the visible mean, in the bands RENDERED: an aerosol's, to the power of -1.3."""
MOLECULES = (0.017, 0.035, 0.060, 0.0066, 0.0005, 0.0001)
"""What air's molecules add to reflectance seen from straight above under a sun 40 degrees off the zenith, in the bands
RENDERED: single scattering by the optical depths of Bodhaine et al. 1999, "On Rayleigh optical depth calculations"."""
MOLECULES_TAKE = (0.051, 0.103, 0.178, 0.020, 0.0015, 0.0004)
"""Share of the light that they turn back on its ways down and up: half of the depth, times the length of both."""
SHOULDER = 0.6
"""Level from which the tone curve bends towards white."""
STRETCH = 1.7
EXPOSURE = 1.8
"""Gain that puts concrete (reflectance 0.32) at 0.77 of a picture's range, as orthophotos do."""
INFRARED_EXPOSURE = 1.4
"""The same for infrared bands, which puts crops (0.42) where NAIP has them, at 0.77."""
RENDERED = ("red", "green", "blue", *infrared.BANDS)
"""Bands of the renderer, in its order: of its image pass, then of its infrared pass."""
ALIASES = {"nir08": "nir"}
"""Common names of STAC for bands that lie within a rendered one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """The conditions and the processing of one acquisition."""

    path: tuple[float, ...] = (0.0,) * len(RENDERED)
    """Radiance that air adds, by band of RENDERED, in units of a white ground in the same light."""
    transmittance: tuple[float, ...] = (1.0,) * len(RENDERED)
    """Share of the light that air lets through, by band of RENDERED."""
    exposure: float = 1.0
    """Gain before the tone curve, where `white` does not set it."""
    white: float | None = None
    """Level before the tone curve that the brightest hundredth of the image is brought to, as producers stretch their
    pictures; at most STRETCH times brighter or darker than EXPOSURE, for images without anything bright."""
    dehaze: float = 0.0
    """Share of the darkest hundredth's level that is subtracted before the tone curve, 0..1."""
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Gain per band: the product's white balance."""
    black: float = 0.0
    """Level that black is lifted to, of the product's range."""
    contrast: float = 0.0
    """Strength of the S-curve, 0 none .. 1."""
    saturation: float = 1.0
    gamma: float = 1.0
    psf_fwhm: float = 1.0
    """Product pixels, pixel aperture included."""
    noise: float = 0.0
    """Standard deviation, in units of the rendered radiance."""
    sharpening: float = 0.0
    """Amount of an unsharp mask of radius one pixel."""
    jpeg_quality: int | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    """Misregistration in product pixels (rows, columns): out[r, c] shows what lies at (r - rows, c - columns)."""
    clouds: clouds.Clouds | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def draw_look(
    sensor: Sensor,
    rng: np.random.Generator,
    *,
    haze: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Look:
    """An acquisition as the sensor's producer might deliver it, around the sensor's own PSF, noise and processing.

    Linear products (`gamma` 1) get air, PSF, noise and shift; tone-mapped pictures also differ in exposure, colour
    cast, lifted blacks, contrast and sharpening, ranges by eye after Joplin's two dates.
    """
    air = 0.012 + 0.10 * haze * rng.uniform(0.7, 1.3)
    clear = float(sensor.molecules)
    optics = Look(
        path=tuple(air * colour + clear * more for colour, more in zip(PATH_COLOUR, MOLECULES, strict=True)),
        transmittance=tuple(
            1.0 - 1.5 * air * colour - clear * less for colour, less in zip(LOSS_COLOUR, MOLECULES_TAKE, strict=True)
        ),
        psf_fwhm=sensor.psf_fwhm * rng.uniform(0.9, 1.25),
        noise=sensor.noise * rng.uniform(0.2, 1.0),
        gamma=sensor.gamma,
        shift=shift,
        jpeg_quality=sensor.jpeg_quality,
        sharpening=sensor.sharpening * rng.uniform(0.4, 1.4),
    )
    if sensor.gamma == 1.0:
        return optics
    quality = sensor.jpeg_quality and int(np.clip(sensor.jpeg_quality + rng.integers(-8, 6), 60, 98))
    warmth, tint = rng.normal(0.0, 0.12), rng.normal(0.0, 0.05)
    return replace(
        optics,
        psf_fwhm=optics.psf_fwhm * rng.uniform(1.0, 1.4),
        gamma=sensor.gamma * rng.uniform(0.75, 1.05),
        jpeg_quality=quality,
        exposure=EXPOSURE,
        white=rng.uniform(0.36, 0.72),
        dehaze=rng.uniform(0.3, 0.9),
        cast=(float(np.exp(warmth + tint)), float(np.exp(-tint)), float(np.exp(-warmth + tint))),
        black=rng.uniform(0.04, 0.18),
        contrast=rng.uniform(0.0, 0.5),
        saturation=rng.uniform(0.65, 1.1),
    )


def faithful(sensor: Sensor) -> Look:
    """The look that undoes `linear`: what is rendered from an image's own pixels comes out as they were."""
    return Look(gamma=sensor.gamma, exposure=1.0 if sensor.gamma == 1.0 else EXPOSURE, psf_fwhm=0.0)


def linear(values: NDArray[np.float32], sensor: Sensor) -> NDArray[np.float32]:
    """Reflectance in full light, 0..0.95, of an image's values (reflectance, or a picture's 0..1): the inverse of the
    tone curve that `faithful` has.
    """
    if sensor.gamma == 1.0:
        return np.clip(values, 0.0, 0.95).astype(np.float32)
    bright = np.clip(values, 0.0, 1.0) ** np.float32(sensor.gamma)
    room = 1.0 - SHOULDER
    bent = SHOULDER + room * np.arctanh(np.clip((bright - SHOULDER) / room, 0.0, 0.98))
    return np.clip(np.where(bright > SHOULDER, bent, bright) / EXPOSURE, 0.0, 0.95).astype(np.float32)


def expose(
    radiance: NDArray[np.float32],
    *,
    sensor: Sensor,
    look: Look,
    oversample: int,
    rng: np.random.Generator,
) -> NDArray[Any]:
    """Image of a rendered scene as `sensor` would deliver it.

    Args:
        radiance: (rows * oversample, columns * oversample, 3 or 6) linear bands RENDERED; white level ground is 1.
        sensor: the product; its bands must be among those of `radiance`.
        look: conditions of this acquisition.
        oversample: rendered pixels per product pixel, along each axis.
        rng: draws the noise.

    Returns:
        (bands, rows, columns) in the sensor's dtype, every pixel observed: none bears the sensor's nodata value.

    Raises:
        RenderError: the sensor has bands that are not rendered, or the shape is no multiple of `oversample`.
    """
    order = band_order(sensor)
    height, width, bands = radiance.shape
    if max(order) >= bands:
        raise RenderError(f"sensor {sensor.name} has infrared bands, the render has none")
    if height % oversample or width % oversample:
        raise RenderError(f"a render of {width}x{height} pixels cannot be cut into {oversample}x{oversample} blocks")
    pixels = resample(radiance, oversample=oversample, fwhm=look.psf_fwhm, shift=look.shift)
    if look.clouds is not None:
        pixels = clouds.lay(pixels, *look.clouds.over(pixels.shape[:2], sensor.gsd))
    pixels = np.asarray(look.transmittance[:bands], np.float32) * pixels + np.asarray(look.path[:bands], np.float32)
    coarse = _coarse(sensor, order)
    for band, side in coarse.items():
        pixels[..., band] = _blocks(pixels[..., band], side)
    if look.noise:
        # Photon noise grows with the square root of the signal; at 0.25, half of the variance is the readout's.
        spread = look.noise * np.sqrt(0.5 + 2.0 * np.clip(pixels, 0.0, None))
        grain = (spread * rng.standard_normal(pixels.shape)).astype(np.float32)
        for band, side in coarse.items():
            grain[..., band] = _repeated(grain[::side, ::side, band], side, grain.shape[:2])
        pixels += grain
    values = _tone(pixels, look) if sensor.gamma != 1.0 else pixels
    values = _sharpen(values, look.sharpening)[..., order]
    numbers = quantise(np.moveaxis(values, -1, 0), sensor)
    return compress(numbers, look.jpeg_quality) if look.jpeg_quality is not None else numbers


def band_order(sensor: Sensor) -> list[int]:
    """Positions of the sensor's bands among the rendered ones. RenderError names a band that is not rendered."""
    names = [band.common_name or band.name for band in sorted(sensor.bands, key=lambda band: band.index)]
    names = [ALIASES.get(name, name) for name in names]
    missing = [name for name in names if name not in RENDERED]
    if missing:
        raise RenderError(f"sensor {sensor.name} has {', '.join(missing)}; renders have {', '.join(RENDERED)} only")
    return [RENDERED.index(name) for name in names]


def _coarse(sensor: Sensor, order: list[int]) -> dict[int, int]:
    """Rendered band -> how many of the product's pixels along a side share one measurement, where more than one do."""
    bands = sorted(sensor.bands, key=lambda band: band.index)
    sides = {place: round((band.gsd or 0.0) / sensor.gsd) for place, band in zip(order, bands, strict=True)}
    return {place: side for place, side in sides.items() if side > 1}


def _blocks(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Means (rows, columns) over squares of `side` pixels, counted from the first row and column."""
    rows, columns = (np.arange(0, size, side) for size in values.shape)
    total = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    count = np.diff(np.append(rows, values.shape[0]))[:, None] * np.diff(np.append(columns, values.shape[1]))
    return _repeated((total / count).astype(np.float32), side, values.shape)


def _repeated(values: NDArray[np.float32], side: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Each value `side` times along both axes, cut to `shape`: nearest neighbour, as products and readers have it."""
    return values.repeat(side, axis=0).repeat(side, axis=1)[: shape[0], : shape[1]]


def needs_infrared(sensor: Sensor) -> bool:
    """Whether the sensor has bands of the infrared pass, which is rendered only then."""
    return sensor.radar is None and any(index >= len(RENDERED) - len(infrared.BANDS) for index in band_order(sensor))


def resample(
    image: NDArray[np.float32], *, oversample: int, fwhm: float, shift: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float32]:
    """Blur (rows * o, columns * o, bands) with a Gaussian PSF, shift it and take it down to (rows, columns, bands)."""
    rows, columns, _ = image.shape
    down = _weights(rows // oversample, oversample, fwhm, shift[0])
    across = _weights(columns // oversample, oversample, fwhm, shift[1])
    out = [(across @ np.ascontiguousarray((down @ band).T)).T for band in np.moveaxis(image, -1, 0)]
    return np.ascontiguousarray(np.stack(out, axis=-1), dtype=np.float32)


def _weights(count: int, oversample: int, fwhm: float, shift: float) -> sparse.csr_matrix:
    """(count, count * oversample): each row the PSF round a product pixel's centre, integrated over rendered pixels.

    Rows sum to one; where the PSF or the shift reaches beyond the frame, what lies inside is rescaled.
    """
    sigma = fwhm / FWHM_PER_SIGMA
    reach = max(4.0 * sigma, 0.5)
    centre = np.arange(count)[:, None] + 0.5 - shift
    span = int(np.ceil((2 * reach + 1) * oversample)) + 2
    first = np.floor((centre - reach) * oversample).astype(np.int64)
    index = first + np.arange(span)
    weight = _integral((index + 1) / oversample - centre, sigma) - _integral(index / oversample - centre, sigma)
    inside = np.clip(index, 0, count * oversample - 1)
    weight = np.where(index == inside, weight, 0.0)
    total = weight.sum(axis=1, keepdims=True)
    # A shift of more than the PSF's reach leaves rows with nothing inside: they repeat the edge.
    weight = np.where(total > 1e-6, weight / np.maximum(total, 1e-6), 1.0 / span)
    row = np.broadcast_to(np.arange(count)[:, None], index.shape)
    shape = (count, count * oversample)
    return sparse.csr_matrix((weight.astype(np.float32).ravel(), (row.ravel(), inside.ravel())), shape=shape)


def _integral(x: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Cumulated PSF: of a Gaussian, or of the bare pixel aperture for a sigma under the aperture's own."""
    if sigma < APERTURE:
        return np.clip(x + 0.5, 0.0, 1.0)
    return np.asarray(0.5 * (1.0 + erf(x / (sigma * np.sqrt(2.0)))))


def _tone(pixels: NDArray[np.float32], look: Look) -> NDArray[np.float32]:
    """Linear radiance to a picture in 0..1: exposure, white balance, saturation, gamma, S-curve, lifted blacks.

    Infrared bands are stretched each by itself, and their blacks stay black, as NAIP's do.
    """
    visible, beyond = pixels[..., :3], pixels[..., 3:]
    linear = _exposed(visible, look, look.exposure) * np.asarray(look.cast, np.float32)
    linear = _shoulder(linear)
    grey = linear.mean(axis=-1, keepdims=True)
    picture = _curve(grey + look.saturation * (linear - grey), look)
    parts = [look.black + (1.0 - look.black) * picture]
    for band in np.moveaxis(beyond, -1, 0):
        one = _exposed(band[..., None], look, INFRARED_EXPOSURE)
        parts.append(_curve(_shoulder(one), look))
    return np.concatenate(parts, axis=-1).astype(np.float32)


def _exposed(pixels: NDArray[np.float32], look: Look, exposure: float) -> NDArray[np.float32]:
    """Less the air's light, times a gain: both from the bands' own darkest and brightest hundredth."""
    low, high = np.percentile(pixels.mean(axis=-1), (1.0, 99.0))
    dark = look.dehaze * max(float(low), 0.0)
    gain = look.exposure
    if look.white is not None:
        gain = float(np.clip(look.white / max(float(high) - dark, 1e-3), exposure / STRETCH, exposure * STRETCH))
    return np.asarray((pixels - np.float32(dark)) * np.float32(gain), dtype=np.float32)


def _shoulder(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """A soft shoulder keeps white roofs from clipping to flat areas."""
    linear = np.clip(linear, 0.0, None)
    room = 1.0 - SHOULDER
    return np.where(linear > SHOULDER, SHOULDER + room * np.tanh((linear - SHOULDER) / room), linear)


def _curve(linear: NDArray[np.float32], look: Look) -> NDArray[np.float32]:
    picture = np.clip(linear, 0.0, 1.0) ** np.float32(1.0 / look.gamma)
    curved = picture * picture * (3.0 - 2.0 * picture)
    return np.asarray(picture + look.contrast * (curved - picture), dtype=np.float32)


def _sharpen(values: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
    """Unsharp mask with a Gaussian of one pixel."""
    if amount == 0:
        return values
    blurred = ndimage.gaussian_filter(values, sigma=(1.0, 1.0, 0.0), mode="nearest", truncate=3.0)
    return np.asarray(values + np.float32(amount) * (values - blurred), dtype=np.float32)


def quantise(values: NDArray[np.float32], sensor: Sensor) -> NDArray[Any]:
    """Values (reflectance, or a picture's 0..1) to digital numbers, clipped to the dtype and kept off nodata."""
    dtype = np.dtype(sensor.dtype)
    numbers = (values - np.float32(sensor.offset)) / np.float32(sensor.scale)
    if dtype.kind == "f":
        return numbers.astype(dtype)
    info = np.iinfo(dtype)
    whole: NDArray[Any] = np.clip(np.rint(numbers), info.min, info.max).astype(dtype)
    if sensor.nodata is not None and info.min <= sensor.nodata <= info.max:
        neighbour = sensor.nodata - 1 if sensor.nodata == info.max else sensor.nodata + 1
        whole[whole == dtype.type(sensor.nodata)] = dtype.type(neighbour)
    return whole


def compress(numbers: NDArray[Any], quality: int) -> NDArray[Any]:
    """A JPEG's losses on (1 or 3, rows, columns) uint8; other types and band counts pass unchanged."""
    if numbers.dtype != np.uint8 or numbers.shape[0] not in (1, 3):
        return numbers
    picture = Image.fromarray(
        numbers[0] if numbers.shape[0] == 1 else np.ascontiguousarray(np.moveaxis(numbers, 0, -1))
    )
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=quality)
    decoded = np.atleast_3d(np.asarray(Image.open(buffer), np.uint8))
    return np.ascontiguousarray(np.moveaxis(decoded, -1, 0))
