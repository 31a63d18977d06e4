"""What hides the ground: which values or bits of a mask asset (SCL, QA_PIXEL, Fmask) mean cloud, shadow or no data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pystac
from numpy.typing import NDArray

from mage_stac.band_fields import CLASS_FIELDS, listed
from mage_stac.errors import AssetError

HIDES = re.compile(r"cloud|shadow|cirrus|no.?data|fill|saturat|defective", re.IGNORECASE)
SHOWS = re.compile(r"\bnot?[ _-](?!data)|clear|free|confidence", re.IGNORECASE)
"""Names of classes that hide the ground, unless they say that something is not there or how sure it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hiding:
    """Pixels hide the ground where their value is one of `values`, or has one of `bits`."""

    values: tuple[int, ...] = ()
    bits: int = 0

    def hidden(self, codes: NDArray[Any]) -> NDArray[np.bool_]:
        """Where the ground is hidden; codes of any shape, whole numbers in any type."""
        whole = codes.astype(np.int64)
        found: NDArray[np.bool_] = np.isin(whole, self.values) | ((whole & self.bits) != 0)
        return found


KNOWN = {
    "scl": Hiding(values=(0, 1, 3, 8, 9, 10)),
    "qa60": Hiding(bits=1 << 10 | 1 << 11),
    "qa_pixel": Hiding(bits=0b11111),
    "fmask": Hiding(values=(255,), bits=0b1110),
    "oa_fmask": Hiding(values=(0, 2, 3)),
}
"""Of masks whose Items state no classes. Sentinel-2 L2A: no data, saturated, cloud shadow, clouds and cirrus; its older
QA60: opaque cloud and cirrus. Landsat Collection 2: fill, dilated cloud, cirrus, cloud, shadow. HLS: cloud, beside
cloud, shadow. Geoscience Australia: no data, cloud, shadow. Snow and water hide nothing."""


def rule(item: pystac.Item, key: str) -> Hiding:
    """What hides the ground in a mask asset: as its classes or bitfields are named, else as its key is known.

    Raises:
        AssetError: the Item lacks the asset, or nothing tells what its values mean.
    """
    asset = item.assets.get(key)
    if asset is None:
        raise AssetError(f"Item {item.id} has no asset {key!r}; it has: {', '.join(sorted(item.assets)) or 'none'}")
    values = tuple(int(one["value"]) for one in _stated(asset, CLASS_FIELDS[0]) if _hides(one))
    bits = sum({1 << int(one["offset"]) for one in _stated(asset, CLASS_FIELDS[1]) if _bit_hides(one)})
    if values or bits:
        return Hiding(values=values, bits=bits)
    if key.lower() in KNOWN:
        return KNOWN[key.lower()]
    raise AssetError(
        f"asset {key!r} of Item {item.id} states no class or bit that is a cloud, and is none of {', '.join(KNOWN)}"
    )


def _stated(asset: pystac.Asset, field: str) -> Iterator[dict[str, Any]]:
    for entry in (asset.extra_fields, *(row for rows in listed(asset.extra_fields) for row in rows)):
        yield from entry.get(field, [])


def _hides(named: dict[str, Any]) -> bool:
    name = str(named.get("name") or named.get("description") or "")
    return bool(HIDES.search(name)) and not SHOWS.search(name)


def _bit_hides(field: dict[str, Any]) -> bool:
    """A single bit whose name, or the name of whose 1, hides."""
    told = [one for one in field.get("classes", []) if int(one.get("value", 0)) == 1]
    return int(field.get("length", 1)) == 1 and (_hides(told[0]) if told else _hides(field))
