"""Shells: a building as it was built: walls up to its roof, roof cells in their colours, what stands on the roof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from mage_stac.scene import balconies, facades, measured, mesh, mottle, photos, roofs, tiling
from mage_stac.scene.materials import material, pick
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.plans import Plane, lines, polygons
from mage_stac.scene.scene import Building, Damage, Photo
from mage_stac.scene.tiling import Tiles

Array = NDArray[np.float64]

LARGE = 250.0
"""Flat roofs above this area get a parapet and machines, m2."""
PARAPET = 0.6
"""Height and about twice the width of a parapet, m."""
FOOTING = 0.3
"""Walls go so far into the ground, which need not be level, m."""
SHEET = (1.8, 2.6)
"""Sheet metal put up at once, level and up the slope, m."""
WHOLE = Damage(grade=1)
"""Of a building as built."""
GALVANISED = (0.40, 0.405, 0.405)
"""Reflectance of sheets that do not rust yet: materials' metal_grey."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shell:
    """A building with the shapes that every look of it starts from; z above its base."""

    building: Building
    instance: int
    outline: Polygon
    """Plan within the walls' outer side."""
    planes: tuple[Plane, ...]
    tiles: Tiles
    """The roof; `face` counts within this building."""
    colour: NDArray[np.float32]
    """(T, 3) reflectance of the whole roof's tiles."""
    photographed: bool = False
    """The colours are an image's, in which whatever stands on the roof shows."""

    @property
    def parapet(self) -> bool:
        flat = self.building.roof == "flat" and not self.building.faces and not self.photographed
        return flat and self.outline.area > LARGE

    @property
    def axes(self) -> Array:
        """(2, 2) rows: level and upward direction of the first roof plane, in plan."""
        return tiling.axes(self.planes[0])

    def height(self, xy: Array) -> Array:
        """Roof height at points (N, 2); the eaves' outside the roof."""
        z = np.full(len(xy), self.building.height)
        for plane in self.planes:
            inside = shapely.contains_xy(plane.plan, xy[:, 0], xy[:, 1])
            z[inside] = plane.height(xy[inside])
        return z


def of(
    buildings: Sequence[Building],
    photo: Photo | None = None,
    size: tuple[float, float] = (0.0, 0.0),
    known: dict[Building, Shell] | None = None,
) -> list[Shell]:
    """Shape all buildings; instance is 1 + position. With a photo of a scene of `size` metres roofs look as there.

    `known` holds shells of the same place by their buildings as built: those are not shaped again, new ones are added.
    """
    known = {} if known is None else known
    built = [replace(building, damage=WHOLE) for building in buildings]
    new = list(dict.fromkeys(one for one in built if one not in known))
    known.update(zip(new, _shaped(new, photographed=photo is not None), strict=True))
    shells = [
        replace(known[one], building=building, instance=number)
        for number, (one, building) in enumerate(zip(built, buildings, strict=True), start=1)
    ]
    if photo is None:
        return shells
    return [replace(shell, colour=_pictured(shell, photo, size)) for shell in shells]


def _shaped(buildings: Sequence[Building], *, photographed: bool) -> list[Shell]:
    """Shells of buildings as built, all numbered 0; without colours where a photo gives them."""
    planes = [roofs.planes(building) for building in buildings]
    counts = np.array([len(group) for group in planes], np.intp)
    areas = [sum(plane.plan.area for plane in group) for group in planes]
    sizes = np.repeat([tiling.cell_size(area, photo=photographed) for area in areas], counts)
    tiles = tiling.cut([plane for group in planes for plane in group], sizes.tolist())
    first = np.cumsum(counts) - counts
    bounds = np.searchsorted(tiles.face, [*first, counts.sum()])
    shells = []
    for number, building in enumerate(buildings):
        own = tiles.part(slice(int(bounds[number]), int(bounds[number + 1])), int(first[number]))
        shells.append(
            Shell(
                building=building,
                instance=0,
                outline=roofs.plan(building),
                planes=tuple(planes[number]),
                tiles=own,
                colour=np.zeros((0, 3), np.float32) if photographed else _colours(building, own),
                photographed=photographed,
            )
        )
    return shells


def _colours(building: Building, tiles: Tiles) -> NDArray[np.float32]:
    """(T, 3) reflectance: one colour with a little of each: slope by slope, stains, streaks down the slope, repairs."""
    seed = building.seed % 65521
    base = np.array(pick(material(building.roof_material), building.seed))
    if building.roof_material == "metal_rusty":
        base = _sheets(base, tiles, seed)
    rng = np.random.default_rng([building.seed, 1])
    slope = rng.normal(0, 0.03, 1 + int(tiles.face.max(initial=0)))[tiles.face]
    stains = mottle.rough_at(tiles.uv, 5.0, seed) - 0.5
    streaks = mottle.field(tiles.u, tiles.v / 8.0, 0.9, seed + 7 * tiles.face) - 0.5
    speckle = mottle.cells(tiles.cell, tiles.face, seed) - 0.5
    strength = rng.uniform(0.1, 0.3) * (1.8 if building.roof == "flat" else 1.0)
    shade = slope + strength * stains + 0.12 * streaks + 0.05 * speckle + _repairs(tiles, rng)
    return (base * np.exp(shade)[:, None]).clip(0, 0.95).astype(np.float32)


def _sheets(rust: Array, tiles: Tiles, seed: int) -> Array:
    """(T, 3) reflectance of sheets put up one by one: some as rusty as the roof, some hardly."""
    sheet = mottle.cells(np.floor(tiles.u / SHEET[0]), np.floor(tiles.v / SHEET[1]), seed + 3 * tiles.face)
    newer = 0.8 * np.clip(2.5 * sheet - 1.2, 0, 1)[:, None]
    return rust * (1 - newer) + np.array(GALVANISED) * newer


def _pictured(shell: Shell, photo: Photo, size: tuple[float, float]) -> NDArray[np.float32]:
    """(T, 3) reflectance: what the photo shows at each tile."""
    upward = np.array([slope_frame(plane)[:, 2] for plane in shell.planes]).reshape(-1, 3)
    middles = shell.tiles.corners.mean(axis=1)
    return photos.roof_colours(photo, size, middles, upward[shell.tiles.face])


def _repairs(tiles: Tiles, rng: np.random.Generator) -> Array:
    """A few rectangles of one slope that were covered anew."""
    shade = np.zeros(len(tiles.u))
    for _ in range(int(rng.choice([0, 0, 0, 1, 2])) if len(shade) else 0):
        middle = int(rng.integers(len(tiles.u)))
        half = rng.uniform(0.6, 2.0, 2)
        patch = (
            (tiles.face == tiles.face[middle])
            & (np.abs(tiles.u - tiles.u[middle]) < half[0])
            & (np.abs(tiles.v - tiles.v[middle]) < half[1])
        )
        shade[patch] = rng.normal(0, 0.15)
    return shade


def roof(shell: Shell, tiles: Tiles, colour: NDArray[np.float32]) -> Mesh:
    """Roof tiles as a mesh in the scene."""
    up = np.array([0.0, 0.0, shell.building.base])
    grain = 0.0 if shell.photographed else material(shell.building.roof_material).grain
    return mesh.faces(tiles.corners + up, colour, grain=grain, semantic="building", instance=shell.instance)


def walls(shell: Shell, without: BaseGeometry | None = None) -> Mesh:
    """Outer walls from the ground to the underside of the roof, or to the top of the parapet, with their windows and
    balconies; none inside `without`.
    """
    bare = _bare_walls(shell, without)
    if shell.photographed:  # at most the image would show what was in them
        return bare
    parts = [bare, facades.build(shell.building, roofs.sides(shell.outline), shell.instance, without)]
    return mesh.join([*parts, balconies.build(shell.building, shell.instance)] if without is None else parts)


def _bare_walls(shell: Shell, without: BaseGeometry | None) -> Mesh:
    if without is None and shell.building.faces:
        return _measured(shell)
    if without is None and shell.parapet:
        return mesh.join([_wall_quads(shell, _level(shell, PARAPET)), _parapet(shell)])
    return _wall_quads(shell, _under_roof(shell, without))


def wall_colour(shell: Shell) -> Array:
    """(3,) reflectance of the outer walls."""
    return np.array(pick(material(shell.building.wall_material), shell.building.seed + 1))


def _measured(shell: Shell) -> Mesh:
    """The wall faces of a measured building."""
    corners = [part for face in shell.building.faces if face.kind == "wall" for part in measured.triangles(face)]
    if not corners:
        return _wall_quads(shell, _under_roof(shell, None))
    grain = material(shell.building.wall_material).grain
    return mesh.faces(corners, wall_colour(shell), grain=grain, semantic="building", instance=shell.instance)


def _wall_quads(shell: Shell, tops: Array) -> Mesh:
    """`tops` (N, 2, 3): upper edges, outline counter-clockwise, z above the base."""
    foot = tops.copy()
    foot[..., 2] = -FOOTING
    corners = np.stack([foot[:, 0], foot[:, 1], tops[:, 1], tops[:, 0]], axis=1)
    corners[..., 2] += shell.building.base
    grain = material(shell.building.wall_material).grain
    return mesh.faces(corners, wall_colour(shell), grain=grain, semantic="building", instance=shell.instance)


def _level(shell: Shell, above: float) -> Array:
    sides = roofs.sides(shell.outline)
    return np.concatenate([sides, np.full((len(sides), 2, 1), shell.building.height + above)], axis=2)


def _under_roof(shell: Shell, without: BaseGeometry | None) -> Array:
    """(N, 2, 3) upper edges of the walls, cut where the roof above bends."""
    along = roofs.sides(shell.outline)
    sides = lines(along)
    if without is not None:
        sides = np.asarray(shapely.difference(sides, without.buffer(0.05)), dtype=object)
    plans = np.array([plane.plan for plane in shell.planes], dtype=object)
    pieces, index = shapely.get_parts(shapely.intersection(sides[:, None], plans[None]).ravel(), return_index=True)
    kept = (shapely.get_type_id(pieces) == 1) & (shapely.length(pieces) > 1e-3)
    pieces, index = pieces[kept], index[kept]
    points, owner = shapely.get_coordinates(pieces, return_index=True)
    steps = owner[1:] == owner[:-1]
    pairs = np.stack([points[:-1][steps], points[1:][steps]], axis=1)
    side, number = np.divmod(index[owner[:-1][steps]], len(plans))
    # An intersection may run either way: turn each piece along its side.
    step = along[side, 1] - along[side, 0]
    backwards = np.sum((pairs[:, 1] - pairs[:, 0]) * step, axis=1) < 0
    pairs[backwards] = pairs[backwards][:, ::-1]
    slope = np.array([plane.slope for plane in shell.planes]).reshape(-1, 3)[number]
    z = np.einsum("nij,nj->ni", pairs, slope[:, :2]) + slope[:, 2:]
    return np.concatenate([pairs, z[..., None] - 0.03], axis=2)


def _parapet(shell: Shell) -> Mesh:
    """Coping and inner side of the wall that stands above a flat roof."""
    building = shell.building
    inner = shell.outline.buffer(-PARAPET / 2, join_style="mitre", mitre_limit=2.0)
    flat, _ = mesh.triangulate(np.array([shell.outline.difference(inner)], dtype=object))
    top = building.base + building.height + PARAPET
    coping = np.concatenate([flat, np.full((len(flat), 3, 1), top)], axis=2)
    light = np.array(pick(material("metal_white"), building.seed + 2)) * 0.8
    parts = [mesh.faces(coping, light, semantic="building", instance=shell.instance)]
    for part in polygons(inner):
        sides = roofs.sides(part)[:, ::-1]
        corners = upright(sides, top - PARAPET, PARAPET)
        parts.append(mesh.faces(corners, light * 0.8, semantic="building", instance=shell.instance))
    return mesh.join(parts)


def upright(sides: Array, low: float, tall: float) -> Array:
    """(N, 4, 3) walls over the sides (N, 2, 2) of an outline: from a height of `low` m on, `tall` m high."""
    foot = np.concatenate([sides, np.full((len(sides), 2, 1), low)], axis=2)
    head = foot + np.array([0.0, 0.0, tall])
    return np.stack([foot[:, 0], foot[:, 1], head[:, 1], head[:, 0]], axis=1)


def on_slope(
    shell: Shell,
    chosen: NDArray[np.intp],
    size: Array,
    colour: Array,
    *,
    lift: float = 0.08,
    template: Mesh | None = None,
) -> Mesh:
    """Copies of a template (a sheet) parallel to the roof, `lift` m over the middles of the chosen tiles.

    `size` (N, 3): level, up the slope, across it.
    """
    tiles = shell.tiles
    frame = np.array([slope_frame(plane) for plane in shell.planes]).reshape(-1, 3, 3)[tiles.face[chosen]]
    origin = tiles.corners[chosen].mean(axis=1) + lift * frame[:, :, 2]
    origin[:, 2] += shell.building.base
    template = template or mesh.sheet(semantic="building")
    return mesh.copies(template, origin, frame * size[:, None, :], colour, instance=np.uint32(shell.instance))


def slope_frame(plane: Plane) -> Array:
    """(3, 3) columns: level direction, up the slope, outward normal."""
    level, upward = tiling.axes(plane)
    one = np.array([*level, 0.0])
    two = np.array([*upward, float(np.dot(plane.slope[:2], upward))])
    two /= np.linalg.norm(two)
    return np.stack([one, two, np.cross(one, two)], axis=1)
