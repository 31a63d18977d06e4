"""Truth as labels: what the passes show and the hazard did, as rasters on the image's grid and as buildings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pystac
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.features import rasterize
from scipy import ndimage

from mage_stac import catalogue, footprint, publish, quicklook, visible
from mage_stac.classes import DAMAGE_CLASSES, NOT_OBSERVED, UNSEEN, WATER_CLASSES, Class, Classes, colour_table
from mage_stac.hazards import raster
from mage_stac.passes import Labels
from mage_stac.scenario import Scenario
from mage_stac.scene import balconies, roofnet
from mage_stac.scene.scene import SEMANTIC, Building

ROOF_SLOPE = 0.05
"""Least upward part of a surface's normal for it to count as roof, not as wall."""
EAVES_SLACK = 0.1
"""Metres under the eaves from which a wall counts as roof: fascias and gutters."""
OPEN = 0.75
"""Away from its shore a flood is open water where more of a pixel than this shows it: of its four rays, all."""
SEMANTIC_COLOURS = {
    "ground": "A89F91", "building": "E31A1C", "road": "636363", "tree": "1B7837", "grass": "7FBF7B", "water": "2B8CBE",
    "vehicle": "FFD92F", "debris": "B35806", "paved": "BDBDBD", "bare": "D8B365", "field": "E6F598", "object": "C51B7D",
}  # fmt: skip
SEMANTIC_CLASSES: Classes = (
    *(
        Class(value=code, name=name, description=f"What is seen is {name}", colour=SEMANTIC_COLOURS[name])
        for name, code in SEMANTIC.items()
    ),
    UNSEEN,
)


def _yes_or_no(no: str, yes: str, what: str, colour: str) -> Classes:
    return (
        Class(value=0, name=no, description=f"No {what}", colour="404040"),
        Class(value=1, name=yes, description=what.capitalize(), colour=colour),
        UNSEEN,
    )


DEBRIS_CLASSES = _yes_or_no("clear", "debris", "loose debris on the ground", "B35806")
BURNT_CLASSES = _yes_or_no("unburnt", "burnt", "burnt ground or vegetation", "1A1A1A")
PASSABLE_CLASSES: Classes = (
    Class(value=0, name="no-road", description="No road", colour="404040"),
    Class(value=1, name="passable", description="A road that can be driven", colour="2CA25F"),
    Class(value=2, name="blocked", description="A road that is blocked somewhere", colour="D7191C"),
    UNSEEN,
)
CLASSES = {
    "damage": DAMAGE_CLASSES,
    "water": WATER_CLASSES,
    "semantic": SEMANTIC_CLASSES,
    "debris": DEBRIS_CLASSES,
    "burnt": BURNT_CLASSES,
    "passable": PASSABLE_CLASSES,
}
"""Of each class raster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rasters:
    """The label rasters, each (rows, columns) on the image's grid."""

    damage: NDArray[np.uint8]
    """DAMAGE_CLASSES: a building's grade over its roof as it stood before, trees over it or not."""
    water: NDArray[np.uint8]
    """WATER_CLASSES after the event; of a flood, what shows of it."""
    semantic: NDArray[np.uint8]
    """SEMANTIC_CLASSES before the event, trees and cars in front."""
    instance: NDArray[np.uint32]
    """0, or 1 + number of the building whose roof is seen bare of trees."""
    footprint: NDArray[np.uint32]
    """0, or 1 + number of the building whose footprint it is, seen or not; off-nadir, roofs lean off it."""
    height: NDArray[np.float32]
    """Metres above ground of what is seen before the event, trees and cars in front."""
    flood_depth: NDArray[np.float32]
    """Metres after the event, also under trees, crops and cars."""
    debris: NDArray[np.uint8]
    """DEBRIS_CLASSES after the event."""
    burnt: NDArray[np.uint8]
    """BURNT_CLASSES after the event."""
    passable: NDArray[np.uint8]
    """PASSABLE_CLASSES after the event, over the plans of the roads that the truth speaks of."""


def rasters(seen: Labels, bare: Labels, scenario: Scenario) -> Rasters:
    """Labels of a scenario.

    Args:
        seen: the label pass of the pre scene, margins included.
        bare: the same without trees, vehicles and debris.
        scenario: gives the grades, the water and the grid.
    """
    margin = _margin(scenario)
    cut = (slice(margin, -margin), slice(margin, -margin))
    roof = _roofs(bare, scenario)[cut]
    grades = np.array([0, *(scenario.truth.grades[one.id] for one in scenario.pre.scene.buildings)], np.uint8)
    permanent = bare.semantic[cut] == SEMANTIC["water"]
    flooded = _on_grid(scenario.truth.water, scenario)
    depth = _on_grid(scenario.truth.flood_depth, scenario)
    debris, burnt = _on_grid(scenario.truth.debris, scenario), _on_grid(scenario.truth.burnt, scenario)
    none = np.zeros(scenario.geobox.shape, np.uint8)
    water = np.where(permanent, 2, 0) if flooded is None else np.where(permanent & (flooded == 0), 2, flooded)
    return Rasters(
        damage=grades[roof],
        water=water.astype(np.uint8),
        semantic=seen.semantic[cut],
        instance=roof,
        footprint=_plans(scenario),
        height=np.maximum(seen.height[cut], 0.0),
        flood_depth=(none if depth is None else depth).astype(np.float32),
        debris=none if debris is None else debris.astype(np.uint8),
        burnt=none if burnt is None else burnt.astype(np.uint8),
        passable=_driven(scenario),
    )


def _driven(scenario: Scenario) -> NDArray[np.uint8]:
    """PASSABLE_CLASSES on the image's grid; where two roads cross, a blocked one shows."""
    scene, roads = scenario.pre.scene, scenario.truth.roads
    code: NDArray[np.uint8] = np.zeros(raster.shape(scene, scenario.geobox.affine.a / 2), np.uint8)
    for number, open_ in ((1, True), (2, False)):
        plans = (
            raster.polygon(scene.surfaces[index].ring, scene.surfaces[index].holes)
            for index in (
                int(name.removeprefix("road-")) for name, passable in roads.items() if bool(passable) == open_
            )
        )
        code[raster.inside(scene, plans, scenario.geobox.affine.a / 2)] = number
    found = _on_grid(code, scenario)
    return np.zeros(scenario.geobox.shape, np.uint8) if found is None else found.astype(np.uint8)


def _plans(scenario: Scenario) -> NDArray[np.uint32]:
    """Building numbers over the footprints on the ground, at pixel centres; of two that overlap, the later."""
    scene, gsd = scenario.pre.scene, scenario.geobox.affine.a
    rows, columns = scenario.geobox.shape
    shapes = [
        ({"type": "Polygon", "coordinates": [one.footprint, *one.holes]}, number)
        for number, one in enumerate(scene.buildings, start=1)
    ]
    if not shapes:
        return np.zeros((rows, columns), np.uint32)
    margin = _margin(scenario)
    grid = Affine(gsd, 0.0, margin * gsd, 0.0, -gsd, (rows + margin) * gsd)
    burnt: NDArray[np.uint32] = rasterize(shapes, (rows, columns), transform=grid, dtype="uint32")
    return burnt


def surface(truth: Rasters, shown: NDArray[np.floating]) -> Rasters:
    """The labels with water only where it shows; `flood_depth` still has what plants hide.

    Along a shore that is where most of a pixel is water; farther out, where what is no water stands in it, where
    hardly anything else is, as people who draw water leave out what plants stand in.

    Args:
        truth: water as the ground is covered.
        shown: (rows, columns) 0..1, the part of each pixel that is seen to be water.
    """
    inner = ndimage.minimum_filter(truth.water != 0, 3)
    return replace(truth, water=np.where(shown > np.where(inner, OPEN, 0.5), truth.water, np.uint8(0)))


def hide(truth: Rasters, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Rasters:
    """The labels with 255 where an image does not show the ground: `before` and `after`, (rows, columns).

    Damage takes both dates to see. What lies where (instance, height) and how deep the water is stays known.
    """
    return replace(
        truth,
        damage=np.where(before | after, np.uint8(NOT_OBSERVED), truth.damage),
        water=np.where(after, np.uint8(NOT_OBSERVED), truth.water),
        semantic=np.where(before, np.uint8(NOT_OBSERVED), truth.semantic),
        debris=np.where(after, np.uint8(NOT_OBSERVED), truth.debris),
        burnt=np.where(after, np.uint8(NOT_OBSERVED), truth.burnt),
        passable=np.where(after, np.uint8(NOT_OBSERVED), truth.passable),
    )


def _roofs(bare: Labels, scenario: Scenario) -> NDArray[np.uint32]:
    """Instances without the walls: what faces up, or stands above the eaves as a chimney's side does."""
    eaves = np.array([0.0, *(one.height for one in scenario.pre.scene.buildings)], np.float32)
    above = bare.height > eaves[bare.instance] - EAVES_SLACK
    roof = (bare.normal[..., 2] > ROOF_SLOPE) | above
    # The floor of a balcony faces up too, but lies lower than any roof of its building.
    houses = scenario.pre.scene.buildings
    low = [
        one.base + balconies.lowest_roof(one) - balconies.UNDER_ROOF / 2 if one.balconies else -np.inf for one in houses
    ]
    roof &= bare.position[..., 2] > np.array([-np.inf, *low], np.float32)[bare.instance]
    return np.where(roof, bare.instance, 0).astype(np.uint32)


def _on_grid(values: NDArray[Any] | None, scenario: Scenario) -> NDArray[Any] | None:
    """A raster over the whole scene (row 0 north) at the pixel centres of the image: nearest."""
    if values is None:
        return None
    width, height = scenario.pre.scene.size
    rows, columns = scenario.geobox.shape
    gsd = scenario.geobox.affine.a
    margin = _margin(scenario)
    x = (np.arange(columns) + margin + 0.5) * gsd / width
    y = (np.arange(rows) + margin + 0.5) * gsd / height
    picked = (np.minimum((part * size).astype(int), size - 1) for part, size in zip((y, x), values.shape, strict=True))
    return values[np.ix_(*picked)]


def _margin(scenario: Scenario) -> int:
    """Pixels of the scene beyond each side of the image."""
    return round(float(scenario.pre.scene.size[0] / scenario.geobox.affine.a - scenario.geobox.shape[1]) / 2)


def write(folder: Path, scenario: Scenario, truth: Rasters, properties: dict[str, Any]) -> pystac.Item:
    """Write the label rasters and buildings into a folder, and the Item that holds them; not yet its JSON.

    Raises:
        CatalogueError: the disk refuses.
    """
    geobox = scenario.geobox
    geometry, bbox = footprint.of_grid(geobox)
    item = pystac.Item(
        id=f"{scenario.id}-label",
        geometry=geometry,
        bbox=bbox,
        datetime=publish.when(scenario.post.scene.datetime)[0],
        properties={**properties, **_label_fields(scenario, truth), **publish.grid_fields(geobox)},
    )
    for key, table in CLASSES.items():
        array = getattr(truth, key)
        publish.write_cog(folder / f"{key}.tif", array, geobox, nodata=NOT_OBSERVED, colours=colour_table(table))
        roles = ("data", "labels") if key == "damage" else ("data",)
        item.add_asset(
            key, publish.class_asset(f"./{key}.tif", title=key.capitalize(), classes=table, geobox=geobox, roles=roles)
        )
    _add_pictures(folder, item, geobox)
    _add_measures(folder, item, truth, scenario)
    _add_vector(folder, item, "buildings", "Buildings and their grades", buildings(scenario, truth), ["data", "labels"])
    if scenario.truth.roads:
        _add_vector(folder, item, "roads", "Roads and whether they can be driven", roads(scenario), ["data"])
    return item


def _add_pictures(folder: Path, item: pystac.Item, geobox: GeoBox) -> None:
    """The damage in its colours, for browsers that draw no palettes."""
    quicklook.draw_classes(folder / "damage.tif", DAMAGE_CLASSES, folder)
    picture = publish.raster_asset(
        "./visual.tif", title="Damage in colours", geobox=geobox, dtype="uint8", bands=("red", "green", "blue"),
        roles=("visual", "overview"),
    )  # fmt: skip
    item.add_asset("visual", picture)
    item.add_asset("thumbnail", publish.thumbnail("./thumbnail.png"))


def _add_vector(
    folder: Path, item: pystac.Item, key: str, title: str, features: dict[str, Any], roles: list[str]
) -> None:
    catalogue.write_json(folder / f"{key}.geojson", features)
    item.add_asset(key, pystac.Asset(f"./{key}.geojson", title=title, media_type="application/geo+json", roles=roles))


def _add_measures(folder: Path, item: pystac.Item, truth: Rasters, scenario: Scenario) -> None:
    for key, title, unit in (
        ("instance", "Building numbers over visible roofs", None),
        ("footprint", "Building numbers over footprints on the ground", None),
        ("height", "Height above ground before the event", "m"),
        ("flood_depth", "Flood depth", "m"),
    ):
        array = getattr(truth, key)
        publish.write_cog(folder / f"{key}.tif", array, scenario.geobox)
        asset = publish.raster_asset(
            f"./{key}.tif", title=title, geobox=scenario.geobox, dtype=array.dtype.name, unit=unit
        )
        item.add_asset(key, asset)


def _label_fields(scenario: Scenario, truth: Rasters) -> dict[str, Any]:
    counts = np.bincount(truth.damage.ravel(), minlength=5)
    names = [entry.name for entry in DAMAGE_CLASSES if not entry.nodata]
    return {
        "title": f"{scenario.id}: truth",
        "label:type": "raster",
        "label:properties": None,
        "label:classes": [{"name": None, "classes": names}],
        "label:tasks": ["segmentation"],
        "label:methods": ["synthetic"],
        "label:description": (
            f"Damage by {scenario.hazard} (Joint Damage Scale) over rendered roofs, exact at pixel centres"
        ),
        "label:overviews": [
            {
                "property_key": "damage",
                "counts": [{"name": name, "count": int(count)} for name, count in zip(names, counts, strict=False)],
            }
        ],
    }


def buildings(scenario: Scenario, truth: Rasters) -> dict[str, Any]:
    """GeoJSON (lon/lat) of the buildings seen in the image, with their grades.

    `id` is the building's in the scenes of both dates (of a real place: of its source). `roof_pixels` counts the
    pixels that a building has in `instance`; `visible` is how much of the grade the image after the event can show,
    0..1 (visible.shares).
    """
    before, after = scenario.pre.scene, scenario.post.scene
    pixels = np.bincount(truth.instance.ravel(), minlength=len(before.buildings) + 1)
    carry = Transformer.from_crs(before.crs, "OGC:CRS84", always_xy=True)
    shown = visible.shares(after, scenario.truth)
    features = []
    for number, (intact, damaged) in enumerate(zip(before.buildings, after.buildings, strict=True), start=1):
        if not pixels[number]:
            continue
        rings = [_lonlat(ring, before.origin, carry) for ring in (intact.footprint, *intact.holes)]
        seen = {"roof_pixels": int(pixels[number]), "visible": round(shown[intact.id], 3)}
        properties = {**_facts(intact, damaged, scenario.truth.grades[intact.id]), "instance": number, **seen}
        geometry = {"type": "Polygon", "coordinates": rings}
        features.append({"type": "Feature", "id": intact.id, "geometry": geometry, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def _facts(intact: Building, damaged: Building, grade: int) -> dict[str, Any]:
    return {
        "id": intact.id,
        "grade": grade,
        "damage": DAMAGE_CLASSES[grade].name,
        "look": damaged.damage.look,
        "kind": intact.kind,
        "height": round(intact.height, 2),
        "storeys": intact.storeys,
        "roof": intact.roof,
        "roof_material": intact.roof_material,
        "roofnet_class": roofnet.class_of(intact.roof_material),
    }


def roads(scenario: Scenario) -> dict[str, Any]:
    """GeoJSON (lon/lat) of the roads that the truth speaks of: middle lines where known, outlines otherwise."""
    scene = scenario.post.scene
    carry = Transformer.from_crs(scene.crs, "OGC:CRS84", always_xy=True)
    features = []
    for name, passable in scenario.truth.roads.items():
        surface = scene.surfaces[int(name.removeprefix("road-"))]
        line = _lonlat(surface.line or surface.ring, scene.origin, carry)
        geometry = (
            {"type": "LineString", "coordinates": line[:-1]}
            if surface.line
            else {"type": "Polygon", "coordinates": [line]}
        )
        properties = {"id": name, "passable": bool(passable), "width": surface.width, "kind": surface.kind}
        features.append({"type": "Feature", "id": name, "geometry": geometry, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def _lonlat(ring: Any, origin: tuple[float, float], carry: Transformer) -> list[list[float]]:
    """A ring of local metres as closed lon/lat, to about a centimetre."""
    east, north = origin
    closed = [*ring, ring[0]]
    lon, lat = carry.transform([east + x for x, _ in closed], [north + y for _, y in closed])
    return [[round(x, 7), round(y, 7)] for x, y in zip(lon, lat, strict=True)]
