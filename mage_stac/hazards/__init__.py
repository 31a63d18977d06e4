"""Hazards: what damages a scene, by name. Each is pure physics and chance, without Blender and without files."""

from __future__ import annotations

from mage_stac.hazards.earthquake import Earthquake
from mage_stac.hazards.fire import Fire
from mage_stac.hazards.flood import Flood
from mage_stac.hazards.hazard import Hazard, Nothing, Truth
from mage_stac.hazards.wind import Wind

__all__ = ["HAZARDS", "Hazard", "Truth"]

HAZARDS: dict[str, Hazard] = {hazard.name: hazard for hazard in (Nothing(), Flood(), Earthquake(), Fire(), Wind())}
