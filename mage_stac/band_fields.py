"""What an asset states about its bands: STAC 1.1 `bands`, the older `raster:bands` and `eo:bands`, or the asset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pystac

from mage_stac.errors import AssetError

CLASS_FIELDS = ("classification:classes", "classification:bitfields")
MASKS = frozenset(
    {"scl", "fmask", "oa_fmask", "qa", "qa60", "qa_pixel", "qa_radsat", "qa_aerosol", "sr_qa_aerosol", "cloud_mask"}
)
"""Keys of assets that hold classes, for Items that do not say so."""
MASK_ROLES = frozenset({"cloud", "cloud-shadow", "snow-ice", "water-mask", "land-water", "saturation", "data-mask"})
"""Roles of such assets (extension eo, best practices of STAC)."""


def listed(fields: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The entries of `bands` and of `raster:bands`; empty where there are none."""
    return fields.get("bands") or [], fields.get("raster:bands") or []


def stated(asset: pystac.Asset, name: str, bands: Sequence[int]) -> list[Any]:
    """A field for each band (positions from 1): of the band, new style before old, else of the asset, else None."""
    fields = asset.extra_fields
    old = name.removeprefix("raster:")
    values = []
    for band in bands:
        now, before = (entries[band - 1] if band <= len(entries) else {} for entries in listed(fields))
        values.append(next((v for v in (now.get(name), before.get(old), fields.get(name)) if v is not None), None))
    return values


def nodata(asset: pystac.Asset, bands: Sequence[int]) -> float | None:
    """The nodata value that an asset states for the first of some bands (positions from 1); None if it states none."""
    (value,) = stated(asset, "nodata", bands[:1])
    return None if value is None else float(value)  # STAC writes "nan" and "inf" as text


PREFIXED = {
    **{
        name: f"eo:{name}" for name in ("common_name", "center_wavelength", "full_width_half_max", "solar_illumination")
    },
    **{
        name: f"raster:{name}"
        for name in ("scale", "offset", "sampling", "bits_per_sample", "spatial_resolution", "histogram")
    },
}
"""Fields of a band in `eo:bands` and `raster:bands` -> in STAC 1.1's `bands`; others keep their names."""


def upgraded(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of an asset with its `eo:bands` and `raster:bands` as STAC 1.1 has them, in `bands`.

    A file whose other assets are of version 2 of both extensions cannot keep the older fields.
    """
    older = ("eo:bands", "raster:bands")
    if not any(fields.get(name) for name in older):
        return fields
    rows = [fields.get(name) or [] for name in ("bands", *older)]
    bands: list[dict[str, Any]] = [{} for _ in range(max(map(len, rows)))]
    for entries in reversed(rows):  # what is there in the new style counts
        for band, entry in zip(bands, entries, strict=False):
            band |= {PREFIXED.get(name, name): value for name, value in entry.items()}
    return {name: value for name, value in fields.items() if name not in older} | {"bands": bands}


def holds_classes(key: str, asset: pystac.Asset) -> bool:
    """Whether an asset holds classes or bits (a label, SCL, QA): values that no resampling may mix and none scale."""
    entries = [asset.extra_fields, *(row for rows in listed(asset.extra_fields) for row in rows)]
    told = any(name in entry for entry in entries for name in CLASS_FIELDS)
    return told or key.lower() in MASKS or bool(MASK_ROLES & set(asset.roles or ()))


def positions(item: pystac.Item, key: str, wanted: Sequence[str]) -> tuple[int, ...]:
    """Positions from 1 of the bands of an asset that are called so, by name or common name.

    Raises:
        AssetError: the asset lacks a band (names those it has).
    """
    fields = item.assets[key].extra_fields
    rows = fields.get("bands") or fields.get("eo:bands") or []
    names = [{row.get("name"), row.get("eo:common_name"), row.get("common_name")} - {None} for row in rows]
    found = [next((at for at, known in enumerate(names, 1) if band in known), None) for band in wanted]
    if None in found:
        have = ", ".join("/".join(sorted(known)) for known in names) or "no named bands"
        absent = ", ".join(dict.fromkeys(band for band, at in zip(wanted, found, strict=True) if at is None))
        raise AssetError(f"asset {key!r} of Item {item.id} lacks band {absent}; it has {have}")
    return tuple(at for at in found if at is not None)
