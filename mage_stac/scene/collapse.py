"""Collapse: the looks that shaking and fire give a building: pancaked, leaning, burnt, scorched on one side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from mage_stac.scene import fixtures, interiors, mesh, mottle, pieces, roofs, shells, tiling, wings
from mage_stac.scene.interiors import FLOOR
from mage_stac.scene.materials import material, pick
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.plans import Plane, lines, to_rim
from mage_stac.scene.shells import Shell

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

PANEL = 28.0
"""Area of the pieces that a fallen roof breaks into, m2."""
CRACK = 0.28
"""Width of the gaps between them, m."""
FLATTENED = 0.4
"""Share of its rise that a fallen roof keeps."""
CHIMNEYS = 0.35
"""Share of burnt houses from which a chimney sticks out."""
SOOT = (0.045, 0.042, 0.040)
"""Reflectance of blackened roofs and walls."""


def pancake(shell: Shell, rng: np.random.Generator) -> Mesh:
    """Roof low on what was under it, broken into panels that slid and tipped, dark cracks between, rubble around."""
    building = shell.building
    eaves = rng.uniform(0.7, 1.5) + 0.35 * max(building.storeys - 1, 0)
    panel, gap = _panels(shell, rng)
    tiles = shell.tiles
    kept = gap > CRACK * rng.uniform(0.3, 1.0)
    corners = tiles.corners.copy()
    corners[..., 2] = eaves + FLATTENED * (corners[..., 2] - building.height)
    corners = _settled(corners, panel, rng)
    corners[..., 2] = np.maximum(corners[..., 2], 0.15)
    dust = 0.5 * mottle.rough_at(tiles.xy, 3.0, building.seed % 65521)[:, None]
    pale = np.array([0.40, 0.37, 0.32])
    colour = (shell.colour * (1 - dust) + pale * dust).astype(np.float32)
    low = replace(tiles, corners=corners).where(kept)
    return mesh.join(
        [_core(shell, 0.6 * eaves), shells.roof(shell, low, colour[kept]), _rubble(shell, 0.5 * eaves, rng)]
    )


def tilt(shell: Shell, rng: np.random.Generator) -> Mesh:
    """The whole house leans towards one side, its lowest storey crushed there, tiles slipped off."""
    lost = np.zeros(len(shell.tiles.u), bool)
    slipped = mottle.rough_at(shell.tiles.xy, 2.0, int(rng.integers(2**16)))
    lost[slipped > np.quantile(slipped, 1 - rng.uniform(0.03, 0.15))] = True
    colour = shell.colour.copy()
    colour[lost] = np.array([0.075, 0.065, 0.055]) * rng.uniform(0.7, 1.6)
    whole = mesh.join([shells.walls(shell), shells.roof(shell, shell.tiles, colour), fixtures.build(shell)])
    bearing, lean = rng.uniform(0, 2 * np.pi), np.tan(np.radians(rng.uniform(5.0, 14.0)))
    ahead = np.array([np.sin(bearing), np.cos(bearing)])
    sunk = rng.uniform(0.2, 0.9) * min(2.6, shell.building.height / 3)
    middle = np.array(shell.outline.centroid.coords[0])
    vertices = whole.vertices.astype(np.float64)
    up = np.maximum(vertices[:, 2] - shell.building.base, 0.0)
    along = (vertices[:, :2] - middle) @ ahead
    # The far side keeps its height, the near side loses a part of its lowest storey.
    reach = max(float(np.abs(along).max(initial=0.0)), 1.0)
    vertices[:, 2] -= np.minimum(up, sunk * (0.5 + 0.5 * along / reach))
    vertices[:, :2] += (lean * up)[:, None] * ahead
    return mesh.join([replace(whole, vertices=vertices.astype(np.float32)), _rubble(shell, 0.0, rng, share=0.3)])


def scorched(shell: Shell, rng: np.random.Generator) -> Mesh:
    """Whole, but blackened on the side that a fire came near to."""
    bearing = rng.uniform(0, 2 * np.pi)
    along = shell.tiles.xy @ [np.sin(bearing), np.cos(bearing)]
    fraction = float(np.clip(shell.building.damage.fraction, 0.08, 0.6))
    near = (along - np.quantile(along, 1 - fraction)) / max(float(np.ptp(along)), 1.0) if len(along) else along
    patchy = 0.35 * (mottle.rough_at(shell.tiles.xy, 2.0, int(rng.integers(2**16))) - 0.5)
    black = np.clip(0.5 + 5.0 * (near + patchy), 0.0, 0.95)[:, None]
    colour = (shell.colour * (1 - black) + np.array(SOOT) * black).astype(np.float32)
    return mesh.join([shells.walls(shell), shells.roof(shell, shell.tiles, colour), fixtures.build(shell)])


def burnt(shell: Shell, rng: np.random.Generator) -> Mesh:
    """Ash within charred stumps of walls, a chimney perhaps; no roof, hardly any timber."""
    ground = [Plane(plan=shell.outline, slope=(0.0, 0.0, FLOOR))]
    tiles = tiling.cut(ground, [tiling.cell_size(shell.outline.area)])
    ash, char = (np.array(pick(material(name), int(rng.integers(2**16)))) for name in ("ash", "char"))
    # Ash lies deep and pale in the middle; along the walls charred timber and what fell off them keep it dark.
    edge = np.exp(-np.square(to_rim(shell.outline, tiles.xy) / 1.1))
    share = (mottle.rough_at(tiles.xy, 3.0, int(rng.integers(2**16))) ** 3 + 0.85 * edge)[:, None].clip(0, 1)
    grey = np.array([0.45, 0.44, 0.42]) * rng.uniform(0.4, 1.0)
    at = pieces.within(shell.outline, min(0.8, 9000.0 / max(shell.outline.area, 1.0)), rng)
    mix = {"metal": 0.4, "rubble": 0.4, "brick": 0.2}
    outer = lines(roofs.sides(shell.outline))
    floor = np.column_stack([at, np.full(len(at), shell.building.base + FLOOR)])
    return mesh.join(
        [
            shells.roof(shell, tiles, (ash * (1 - share) + char * share).astype(np.float32)),
            interiors.stumps(shell, outer, FLOOR, rng, standing=0.5, thickness=0.25, colour=grey, height=1.2),
            _chimney(shell, rng),
            pieces.lay(floor, mix, rng, owner=shell.instance, scale=0.8),
        ]
    )


def _chimney(shell: Shell, rng: np.random.Generator) -> Mesh:
    """What stands when a house has burnt down: brick up to the former ridge, in a third of the houses."""
    at = pieces.within(shell.outline.buffer(-1.0), 1.0, rng)[: 1 if rng.random() < CHIMNEYS else 0]
    size = np.tile([rng.uniform(0.7, 1.3), rng.uniform(0.6, 0.9), shell.building.height + 1.0], (len(at), 1))
    origin = np.column_stack([at, np.full(len(at), shell.building.base)])
    brick = np.array(pick(material("brick_red"), int(rng.integers(2**16)))) * rng.uniform(0.5, 0.9)
    turned = np.full(len(at), wings.box(shell.outline).angle)
    template = mesh.box(semantic="building", grain=0.1)
    return mesh.copies(
        template, origin, mesh.frames(turned, size), np.tile(brick, (len(at), 1)), instance=np.uint32(shell.instance)
    )


def _panels(shell: Shell, rng: np.random.Generator) -> tuple[NDArray[np.intp], Array]:
    """(T,) which panel each tile belongs to, and its distance from the nearest crack, m."""
    xy = shell.tiles.xy
    count = max(2, round(shell.outline.area / PANEL))
    seeds = xy[rng.integers(len(xy), size=count)] + rng.normal(0, 0.5, (count, 2)) if len(xy) else np.zeros((2, 2))
    away = np.linalg.norm(xy[:, None] - seeds[None], axis=2)
    order = np.argsort(away, axis=1)
    first, second = (np.take_along_axis(away, order[:, [rank]], axis=1)[:, 0] for rank in (0, 1))
    between = np.linalg.norm(seeds[order[:, 0]] - seeds[order[:, 1]], axis=1)
    # Distance to the bisector of the two nearest seeds.
    gap = (second**2 - first**2) / (2 * np.maximum(between, 0.1))
    return order[:, 0], gap


def _settled(corners: Array, panel: NDArray[np.intp], rng: np.random.Generator) -> Array:
    """Panels (T, 3, 3) shifted, dropped and tipped, each as one."""
    result = corners.copy()
    for number in range(int(panel.max(initial=-1)) + 1):
        own = panel == number
        shift, drop, tip = rng.normal(0, 0.35, 2), rng.normal(0, 0.25), rng.normal(0, 0.09, 2)
        if own.any():
            middle = corners[own].reshape(-1, 3).mean(axis=0)
            result[own, :, 2] += drop + (corners[own][..., :2] - middle[:2]) @ tip
            result[own, :, :2] += shift
    return result


def _core(shell: Shell, height: float) -> Mesh:
    """The crushed storeys: a low dark block with broken walls around."""
    walls = shells.upright(roofs.sides(shell.outline), shell.building.base - shells.FOOTING, height + shells.FOOTING)
    flat, _ = mesh.triangulate(np.array([shell.outline], dtype=object))
    top = np.concatenate([flat, np.full((len(flat), 3, 1), shell.building.base + height)], axis=2)
    colour = shells.wall_colour(shell) * 0.8
    return mesh.join(
        [
            mesh.faces(walls, colour, grain=0.2, semantic="building", instance=shell.instance),
            mesh.faces(top, colour * 0.35, grain=0.3, semantic="building", instance=shell.instance),
        ]
    )


def _rubble(shell: Shell, level: float, rng: np.random.Generator, share: float = 1.0) -> Mesh:
    """Pieces around the walls, thinning out, and in the cracks."""
    around = shell.outline.buffer(2.5)
    density = min(1.6 * share, 4000.0 / max(around.area, 1.0))
    at = pieces.within(around, density, rng)
    away = to_rim(shell.outline, at)
    covered = shapely.contains_xy(shell.outline, at[:, 0], at[:, 1])
    kept = (covered & (level > 0)) | (~covered & (rng.random(len(at)) < np.exp(-away / 1.2)))
    at, covered = at[kept], covered[kept]
    z = shell.building.base + np.where(covered, level + rng.exponential(0.25, len(at)), rng.exponential(0.15, len(at)))
    mix = pieces.mix_of(shell.building.wall_material, shell.building.roof_material)
    owner = np.where(covered, shell.instance, 0)
    dust = pieces.dust_of(shell.building.wall_material)
    return pieces.lay(np.column_stack([at, z]), mix, rng, owner=owner, dust=dust)
