"""mage-stac: map disaster damage where no labels exist, STAC in and STAC out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mage_stac.dataset import named, open  # noqa: A004 - as xarray and rasterio call it
else:

    def __getattr__(name: str) -> Any:
        """`mage_stac.open` and `mage_stac.named`: xarray is imported when they are first asked for."""
        if name in ("named", "open"):
            from mage_stac import dataset

            return getattr(dataset, name)
        raise AttributeError(f"module 'mage_stac' has no attribute {name!r}")


__all__ = ["__version__", "named", "open"]
__version__ = "0.1.0"
