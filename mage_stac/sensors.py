"""Sensors: which bands an image has, what its numbers mean, and how it blurs and quantises the world."""

from __future__ import annotations

import tomllib
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mage_stac import presets
from mage_stac.errors import RecipeError

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class Band:
    """One band of an asset."""

    name: str
    common_name: str | None = None
    """A common name of the STAC eo extension: red, green, blue, nir, ..."""
    center_wavelength: float | None = Field(default=None, gt=0)
    """Micrometres."""
    fwhm: float | None = Field(default=None, gt=0)
    """Full width at half maximum of the spectral response, micrometres."""
    asset: str = "image"
    """Key of the asset that holds the band."""
    index: int = Field(default=1, ge=1)
    """Position in that asset, from 1."""
    gsd: float | None = Field(default=None, gt=0)
    """Metres at which the band is measured, where that is coarser than the product's pixels, which then repeat it."""


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class Radar:
    """How an imaging radar looks: sideways, and with speckle."""

    incidence: float = Field(gt=5, lt=85)
    """Degrees from the vertical at the ground."""
    looks: float = Field(gt=0)
    """Equivalent number of looks: mean squared over variance of the speckle."""
    speckle_fwhm: float = Field(default=0.0, ge=0)
    """Full width at half maximum of the resolution, in pixels, by which neighbours share speckle; 0 for not at all."""
    frequency_band: Literal["L", "S", "C", "X"] = "X"
    polarizations: tuple[Literal["VV", "VH", "HH", "HV"], ...] = Field(default=("VV",), min_length=1)
    """Sent and received, in the order of the bands."""
    noise_floor: float = -20.0
    """Noise-equivalent sigma nought, dB."""
    noise_subtracted: bool = False
    """Whether the product has the mean of the noise taken away; its scatter stays."""
    regridded: bool = False
    """Whether power was brought from the radar's own grid to the map's by bilinear interpolation, speckle and all."""
    instrument_mode: str = "SM"
    """As the SAR extension of STAC names it."""
    product_type: str = "GTC"
    """As the SAR extension of STAC names it; GTC: the ground is where the map has it, what stands on it leans."""


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class Sensor:
    """An imaging sensor and its product.

    A pixel's value is `DN * scale + offset`: reflectance, or for tone-mapped pictures (`gamma` other than 1) its
    `1 / gamma` power.
    """

    name: str
    title: str
    gsd: float = Field(gt=0)
    """Ground sampling distance, metres."""
    bands: tuple[Band, ...] = Field(min_length=1)
    dtype: Literal["uint8", "uint16", "int16", "float32"] = "uint8"
    scale: float = Field(default=1.0, gt=0)
    offset: float = 0.0
    nodata: float | None = None
    """DN of pixels not observed; None when the product marks none."""
    psf_fwhm: float = Field(default=1.2, ge=0)
    """Full width at half maximum of the point spread function, in pixels of the product."""
    noise: float = Field(default=0.0, ge=0)
    """Standard deviation of the noise, in units of reflectance."""
    sharpening: float = Field(default=0.0, ge=0)
    """Amount of the unsharp mask that the producer applied; 0 for none."""
    jpeg_quality: int | None = Field(default=None, ge=1, le=100)
    """Quality of the JPEG compression the product went through; None for none."""
    gamma: float = Field(default=1.0, gt=0)
    """Tone curve: DN follows reflectance to the power 1 / gamma. 1 is linear."""
    platform: str | None = None
    instruments: tuple[str, ...] = field(default_factory=tuple)
    altitude: float | None = Field(default=None, gt=0)
    """Metres above ground from which a camera flies so low that its perspective shows; None for parallel rays."""
    molecules: bool = False
    """Whether the light that air's molecules scatter is in the numbers: reflectance at the top of the atmosphere."""
    radar: Radar | None = None
    """Set for a radar: a pixel's value is then sigma nought in dB."""

    def __post_init__(self) -> None:
        """Raise ValueError where a radar has not one band for each polarisation."""
        if self.radar is not None and len(self.radar.polarizations) != len(self.bands):
            raise ValueError(
                f"{len(self.radar.polarizations)} radar.polarizations for {len(self.bands)} bands: give one for each"
            )

    def picture(self) -> tuple[int, int, int]:
        """Positions (from 1) of red, green and blue in the `image` asset; the first band thrice if it lacks them."""
        found = {band.common_name: band.index for band in self.bands if band.asset == "image"}
        if {"red", "green", "blue"} <= found.keys():
            return found["red"], found["green"], found["blue"]
        return (self.bands[0].index,) * 3


def names() -> tuple[str, ...]:
    """The sensors that come with mage-stac, sorted."""
    return presets.names("sensors")


def read(name_or_path: str) -> Sensor:
    """A sensor by its name, or from a TOML file of the same form.

    Raises:
        RecipeError: no such sensor (lists those that exist), or a field of the file is missing or wrong (names it).
    """
    path = Path(name_or_path)
    if path.suffix == ".toml":
        text = presets.own(path, "sensor file")
    elif name_or_path in names():
        text = presets.shipped("sensors", name_or_path)
    else:
        raise RecipeError(f"no sensor {name_or_path!r}: there are {', '.join(names())}, or give a .toml file")
    return _parse(text, name_or_path)


def _parse(text: str, source: str) -> Sensor:
    try:
        fields: dict[str, Any] = tomllib.loads(text)
        return TypeAdapter(Sensor).validate_python(fields)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"sensor {source} is not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        value = f"{where} = {first['input']!r}: " if where else ""  # without a place it is the file as a whole
        raise RecipeError(f"sensor {source}: {value}{first['msg'].removeprefix('Value error, ')}") from error
