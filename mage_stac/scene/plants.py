"""Plants: trees and bushes as copies of a few shapes: clumps of leaves, bare branches, felled and stripped trunks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from mage_stac.scene import mesh
from mage_stac.scene.materials import LEAFLESS, material
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.scene import Tree

Array = NDArray[np.float64]

SHAPES = 8
"""Different shapes of each kind."""
MANY = 400
"""Trees in a scene, low ones not counted, above which each gets half as many leaf clusters, larger ones."""
LEAVES_TO_CROWN = 1.6
"""Reflectance of leaf clusters over that of whole crowns, which is what materials.py gives: here shade is cast."""
SCORCHED = (0.090, 0.058, 0.036)
"""Reflectance of dry brown leaves."""


def build(trees: Sequence[Tree], season: str) -> Mesh:
    """All trees as they look in a season; a tree's own seed chooses its shape, turn and colour."""
    detail = 1 if sum(tree.radius > 1.5 for tree in trees) <= MANY else 2
    groups: dict[tuple[str, int], list[Tree]] = {}
    for tree in trees:
        groups.setdefault((_kind(tree, season), tree.seed % SHAPES), []).append(tree)
    parts = []
    for (kind, shape), members in sorted(groups.items()):
        for template, paint in _templates(kind, shape, detail):
            parts.append(_planted(template, members, kind, _tints(members, paint, season)))
    return mesh.join(parts)


def _kind(tree: Tree, season: str) -> str:
    leafless = season in LEAFLESS
    if tree.species in {"conifer", "shrub", "hedge"} and tree.state == "standing":
        return "conifer" if tree.species == "conifer" else "bush"
    standing = "bare" if leafless else "broadleaf"
    felled = "felled" if leafless else "felled_green"
    return {"standing": standing, "felled": felled}.get(tree.state, tree.state)


def _templates(kind: str, shape: int, detail: int) -> list[tuple[Mesh, str]]:
    """The parts of a tree, of unit height and radius, and the paint of each."""
    size = 1.0 if detail == 1 else 1.4
    crown = _crown(shape, cards=230 // detail, size=1.15 * size)
    return {
        "broadleaf": [(crown, "leaf_broadleaf"), (_wood(shape, 1), "bark")],
        "conifer": [(_cone(shape, cards=200 // detail, size=1.1 * size), "leaf_conifer")],
        "bush": [(_crown(shape, low=0.0, lobes=3, cards=30, size=1.6), "leaf_hedge")],
        "felled_green": [
            (_wood(shape, 3), "felled"),
            (_crown(shape, cards=40, hull=0.0, size=1.1), "torn"),
            (_roots(), "bare"),
        ],
        "felled": [(_wood(shape, 3), "felled"), (_roots(), "bare")],
        "scorched": [(crown, "scorched"), (_wood(shape, 1), "char")],
        "burnt": [(_wood(shape, 2), "char")],
        "bare": [(_wood(shape, 3), "branch")],
    }.get(kind, [(_wood(shape, 2, whole=False), "branch")])


def _planted(template: Mesh, trees: Sequence[Tree], kind: str, tint: Array) -> Mesh:
    radius, height = (np.array([getattr(tree, name) for tree in trees]) for name in ("radius", "height"))
    origin = np.array([(tree.x, tree.y, tree.base) for tree in trees])
    if kind.startswith("felled"):
        return mesh.copies(template, origin, _lying(trees, radius, height), tint)
    turn = np.array([_turn(tree.seed) for tree in trees])
    return mesh.copies(template, origin, mesh.frames(turn, np.column_stack([radius, radius, height])), tint)


@lru_cache(1 << 14)
def _turn(seed: int) -> float:
    """Radians by which a tree's shape is turned."""
    return float(np.random.default_rng([seed, 6]).uniform(0, 2 * np.pi))


def _lying(trees: Sequence[Tree], radius: Array, height: Array) -> Array:
    """(N, 3, 3) the tree's height along its bearing on the ground, its crown crushed to a third."""
    bearing = np.radians([tree.bearing for tree in trees])
    ahead = np.column_stack([np.sin(bearing), np.cos(bearing), np.full(len(bearing), 0.02)])
    side = np.column_stack([np.cos(bearing), -np.sin(bearing), np.zeros(len(bearing))])
    up = np.tile([0.0, 0.0, 1.0], (len(bearing), 1))
    # Columns: where the template's x, y and z go; x to the side, y upwards, z ahead keeps the handedness.
    return np.stack([-1.15 * side * radius[:, None], up * 0.35 * radius[:, None], ahead * height[:, None]], axis=2)


def _tints(trees: Sequence[Tree], paint: str, season: str) -> Array:
    """(N, 3) a colour for each tree. `paint`: a material, or `scorched`, or `felled` for torn, wet branches and `torn`
    for the leaves that the storm left on them.
    """
    name = {"scorched": "leaf_broadleaf", "torn": "leaf_broadleaf", "felled": "branch"}.get(paint, paint)
    kind = material(name, season)
    variants = np.array([SCORCHED] if paint == "scorched" else kind.variants)
    if paint == "torn":
        variants = 0.5 * (variants + np.array(SCORCHED))  # half wilted
    level = {"felled": 0.8, "torn": 1.0}.get(paint, LEAVES_TO_CROWN if name.startswith("leaf") else 1.0)
    drawn = [_shade(tree.seed, len(variants)) for tree in trees]
    tone, hue, which = (np.array(values) for values in zip(*drawn, strict=True))
    result: Array = level * variants[which] * np.exp(kind.spread * tone[:, None] + hue)
    return result


@lru_cache(1 << 14)
def _shade(seed: int, variants: int) -> tuple[float, tuple[float, ...], int]:
    """How bright a tree is, how far each band strays, and which of its material's variants it has."""
    rng = np.random.default_rng([seed, 7])
    return rng.standard_normal(), tuple(rng.normal(0, 0.04, 3).tolist()), int(rng.integers(variants))


def _cards(
    middle: Array, normal: Array, size: Array, shade: Array, rng: np.random.Generator, *, grain: float = 0.25
) -> Mesh:
    """Square leaf clusters (N) facing along their normals, turned at random."""
    turn = rng.normal(size=normal.shape)
    one = np.cross(normal, turn)
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    two = np.cross(normal, one)
    half = size[:, None] / 2
    # A kite rather than a square: corners at uneven distances leave no edges that the eye could follow.
    reach = rng.uniform(0.6, 1.3, (4, len(middle), 1)) * half
    corners = np.stack(
        [middle - one * reach[0], middle - two * reach[1], middle + one * reach[2], middle + two * reach[3]], axis=1
    )
    colour = np.repeat(shade[:, None], 3, axis=1)
    return mesh.faces(corners, colour, grain=grain, semantic="tree")


@cache
def _crown(
    shape: int, *, low: float = 0.3, lobes: int = 9, cards: int = 330, hull: float = 0.72, size: float = 1.0
) -> Mesh:
    """Broad crown of unit radius between `low` and 1: leaf clusters on several bulges, gaps between, dark within."""
    rng = np.random.default_rng([shape, 8, lobes])
    angle = np.arange(lobes) * 2.4 + rng.uniform(0, 0.8, lobes)
    out = np.sqrt((np.arange(lobes) + 0.5) / lobes) * rng.uniform(0.55, 0.75, lobes)
    bulge = rng.uniform(0.3, 0.5, lobes)
    middle = np.column_stack(
        [out * np.cos(angle), out * np.sin(angle), rng.uniform(-0.1, 0.25, lobes) + 0.45 * (1 - out**2)]
    )
    own = rng.integers(lobes, size=cards)
    normal = rng.normal(size=(cards, 3))
    normal[:, 2] = np.abs(normal[:, 2]) * 1.2 - 0.3
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    place = middle[own] + normal * (bulge[own] * rng.uniform(0.75, 1.08, cards))[:, None]
    tall = 1.0 - low
    place[:, 2] = low + tall * (place[:, 2] + 0.4) / 1.3
    shade = np.exp(rng.normal(0, 0.28, cards) + rng.normal(0, 0.18, lobes)[own]) * (
        0.75 + 0.5 * (place[:, 2] - low) / tall
    )
    facing = normal + rng.normal(0, 0.35, normal.shape) + [0, 0, 0.5]
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    leaves = _cards(place, facing, size * rng.uniform(0.17, 0.34, cards), shade, rng)
    if hull <= 0:
        return leaves
    return mesh.join([leaves, *(_ball(middle[i], hull * bulge[i], low, tall) for i in range(lobes))])


def _ball(middle: Array, radius: float, low: float, tall: float) -> Mesh:
    """Dark octahedron within a bulge, so that the crown is not seen through everywhere."""
    tips = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float) * radius + middle
    tips[:, 2] = low + tall * (tips[:, 2] + 0.4) / 1.3
    sides = [[i, (i + 1) % 4, 4] for i in range(4)] + [[(i + 1) % 4, i, 5] for i in range(4)]
    return mesh.faces(tips[np.array(sides)], (0.55, 0.55, 0.55), grain=0.25, semantic="tree")


@cache
def _cone(shape: int, *, cards: int = 260, size: float = 1.0) -> Mesh:
    """Conifer of unit radius and height: whorls of drooping boughs, lighter at their tips."""
    rng = np.random.default_rng([shape, 9])
    z = 1 - np.sqrt(rng.random(cards))
    whorl = np.round(z * 9) / 9
    z = 0.5 * z + 0.5 * whorl
    boughs = rng.integers(5, 9)
    angle = rng.integers(boughs, size=cards) * 2 * np.pi / boughs + whorl * 11.0 + rng.normal(0, 0.2, cards)
    reach = (1.02 - z) * rng.uniform(0.25, 1.0, cards)
    place = np.column_stack([reach * np.cos(angle), reach * np.sin(angle), 0.05 + 0.93 * z - 0.06 * reach])
    normal = np.column_stack([0.5 * np.cos(angle), 0.5 * np.sin(angle), np.ones(cards)]) + rng.normal(
        0, 0.25, (cards, 3)
    )
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    shade = (0.6 + 0.6 * reach / (1.02 - z)) * np.exp(rng.normal(0, 0.2, cards))
    return _cards(place, normal, size * rng.uniform(0.16, 0.32, cards) * (1.2 - 0.7 * z), shade, rng)


@cache
def _wood(shape: int, levels: int, *, whole: bool = True) -> Mesh:
    """Trunk and branches of a tree of unit radius and height; `levels` of branching, 3 with fine twigs.

    Twigs are drawn wider and fewer than they are, so that at 0.3 to 0.6 m they shade as much as all of them. Of a tree
    that is not `whole` most limbs are broken off.
    """
    rng = np.random.default_rng([shape, 10])
    start = np.array([[0.0, 0.0, 0.0]])
    end = np.array([[*rng.normal(0, 0.04, 2), 0.55 if whole else 0.8]])
    parts = [_ribbons(start, end, np.array([0.12]), rng, crossed=True)]
    for level in range(levels):
        count = (8, 5, 4)[level] if whole else (5, 2, 2)[level]
        parent = np.repeat(np.arange(len(start)), count)
        along = rng.uniform(0.45 if level == 0 else 0.25, 1.0, len(parent))
        base = start[parent] + along[:, None] * (end - start)[parent]
        before = np.arctan2(*(end - start)[parent][:, 1::-1].T)
        around = np.arange(count) * 2.4 + rng.uniform(0, 1, count)
        heading = before + rng.normal(0, 0.75, len(parent)) if level else around
        length = (0.75, 0.42, 0.26)[level] * rng.uniform(0.6 if whole else 0.2, 1.1 if whole else 0.7, len(parent))
        rise = (0.35, 0.14, 0.07)[level] * rng.uniform(0.3, 1.2, len(parent))
        start, end = base, base + np.column_stack([length * np.cos(heading), length * np.sin(heading), rise])
        width = np.full(len(start), (0.055, 0.036, 0.034)[level])
        parts.append(_ribbons(start, end, width, rng, crossed=level == 0))
    return mesh.join(parts)


def _ribbons(start: Array, end: Array, width: Array, rng: np.random.Generator, *, crossed: bool) -> Mesh:
    """Flat tapering strips between points, slanted; or `crossed`, one level and one upright: seen from everywhere."""
    step = end - start
    side = np.column_stack([-step[:, 1], step[:, 0], np.zeros(len(step))])
    side[np.linalg.norm(side, axis=1) < 0.05] = [1.0, 0.0, 0.0]
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(step, side)
    up /= np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-9)
    corners = []
    slanted = (side + up * np.where(rng.random((len(step), 1)) < 0.5, 1.0, -1.0)) / np.sqrt(2.0)
    for across in (side, up) if crossed else (slanted,):
        wide, narrow = across * width[:, None] / 2, across * width[:, None] / 3.5
        corners.append(np.stack([start - wide, start + wide, end + narrow, end - narrow], axis=1))
    shade = np.tile(np.exp(rng.normal(0, 0.2, len(start))), len(corners))
    return mesh.faces(np.concatenate(corners), np.repeat(shade[:, None], 3, axis=1), grain=0.1, semantic="tree")


@cache
def _roots() -> Mesh:
    """Plate of roots and soil that a felled tree tears out: a disc across the trunk's foot."""
    angle = np.linspace(0, 2 * np.pi, 9)[:-1]
    rng = np.random.default_rng(11)
    reach = 0.42 * rng.uniform(0.7, 1.2, len(angle))
    rim = np.column_stack([reach * np.cos(angle), reach * np.sin(angle), np.zeros(len(angle))])
    hub = np.array([0.0, 0.0, -0.04])
    corners = np.stack([np.tile(hub, (8, 1)), np.roll(rim, -1, axis=0), rim], axis=1)
    both = np.concatenate([corners, corners[:, ::-1] + [0, 0, 0.03]])
    return mesh.faces(both, (0.7, 0.7, 0.7), grain=0.2, semantic="tree")
