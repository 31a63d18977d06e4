"""Realism: how far rendered images are from real ones, in numbers: colours, spectra, edges, texture, features.

Both sides are cut into tiles of one size at one ground sampling distance. Beside each distance stands its `floor`: the
same distance between two random halves of the real side's tiles: what comes
near it is within the real side's own variety.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from mage_stac import texture
from mage_stac.errors import GridError
from mage_stac.tiles import Kind, Source, Tile, sources, tiles

ALL = "all"
"""The row's class that holds every pixel."""

BUILDING: Kind = "building"
PIXELS = 2048
"""Values drawn from a tile for each distribution."""
PATCHES = 8
"""Patches drawn from a tile."""
ENOUGH = 2 * texture.FEATURES
"""Patches without which a covariance of the features means nothing."""
LEAST = 2000
"""Pixels of a class without which its distribution is not compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure. `synthetic` and `real` are the sides' means (for the spectrum: slopes), `distance` is theirs.

    Measures: `values`, `gradient` and `deviation` have Wasserstein-1 distances in units of the values (0..1);
    `spectrum slope` the difference of the slopes; `features` the Frechet distance per feature, in variances of the
    real side's. None where a side has no such figure, or too little for it.
    """

    kind: str
    band: str
    measure: str
    synthetic: float | None
    real: float | None
    distance: float
    floor: float | None


@dataclass(frozen=True, kw_only=True)
class Side:
    """What was measured on the tiles of one side."""

    samples: Mapping[tuple[str, str], Sequence[NDArray[np.float32]]]
    """(class, measure) -> of each tile, values (n, bands)."""
    spectra: NDArray[np.float64]
    """(tiles, bands, side // 2)"""
    patches: Sequence[NDArray[np.float32]]
    """Of each tile, (n, bands, PATCH, PATCH)."""

    def half(self, chosen: NDArray[np.bool_]) -> Side:
        """The tiles chosen (tiles)."""

        def kept(parts: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
            return [part for part, wanted in zip(parts, chosen, strict=True) if wanted]

        return Side(
            samples={key: kept(parts) for key, parts in self.samples.items()},
            spectra=self.spectra[chosen],
            patches=kept(self.patches),
        )

    def pooled(self, kind: str, measure: str) -> NDArray[np.float32]:
        """Values (n, bands) of a class over all tiles."""
        return np.concatenate(self.samples[kind, measure])


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Rows and, for the plot, the sides themselves."""

    rows: tuple[Row, ...]
    bands: tuple[str, ...]
    gsd: float
    """Metres at which both sides were compared."""
    tiles: tuple[int, int]
    """Synthetic, real."""
    notes: tuple[str, ...]
    synthetic: Side
    real: Side

    def as_dict(self) -> dict[str, object]:
        """All figures, ready for JSON."""
        found = {"bands": self.bands, "gsd": self.gsd, "tiles": self.tiles, "notes": self.notes}
        return found | {"rows": [asdict(row) for row in self.rows]}


def compare(
    synthetic: Path, real: Path, *, labels: Path | None = None, phase: str | None = "pre", side: int = 128,
    most: int = 192, seed: int = 0,
) -> Comparison:  # fmt: skip
    """Compare the images of two catalogues.

    Args:
        synthetic: catalogue, collection or Item; its `image` assets are measured.
        real: the same of the real side.
        labels: a raster over the real side: 0 no building, 255 or its nodata not observed, else building. Without, the
            label Items of the catalogue are used, if there are any.
        phase: which rendered dates to take (`pre`, `post`); None takes both. Items without a phase always count.
        side: of a tile, pixels at the common sampling distance, which is the coarser side's.
        most: tiles of each side at the most, drawn by chance over all its images.
        seed: of what is drawn.

    Raises:
        CatalogueError, AssetError: something cannot be read.
        GridError: a side holds no whole tile, or the two have no band in common.
    """
    given = sources(synthetic, phase=phase), sources(real, phase=phase, labels=labels)
    bands = _shared_bands(*given)
    gsds = [float(np.median([source.gsd for source in part])) for part in given]
    gsd = max(gsds)
    rng = np.random.default_rng(seed)
    cut = [list(tiles(part, bands, gsd=gsd, side=side, most=most, rng=rng)) for part in given]
    for part, path, own in zip(cut, (synthetic, real), gsds, strict=True):
        if not part:
            raise GridError(
                f"{path}: no image of {own:.3g} m holds a whole observed tile of {side} px at {gsd:.3g} m; "
                "ask for smaller tiles"
            )
    measured = [_measured(part, rng) for part in cut]
    halves = _halves(measured[1], len(cut[1]), rng)
    return Comparison(
        rows=tuple(_rows(measured[0], measured[1], halves, bands)),
        bands=bands,
        gsd=gsd,
        tiles=(len(cut[0]), len(cut[1])),
        notes=tuple(_notes(gsds, gsd, measured)),
        synthetic=measured[0],
        real=measured[1],
    )


def _shared_bands(synthetic: Sequence[Source], real: Sequence[Source]) -> tuple[str, ...]:
    sets = [set.intersection(*(set(source.bands) for source in part)) for part in (synthetic, real)]
    shared = tuple(name for name in synthetic[0].bands if name in sets[0] & sets[1])
    if not shared:
        names = " and ".join(", ".join(part[0].bands) for part in (synthetic, real))
        raise GridError(f"the two sides share no band: they have {names}")
    return shared


def _notes(gsds: Sequence[float], gsd: float, measured: Sequence[Side]) -> Iterator[str]:
    for name, own in zip(("synthetic", "real"), gsds, strict=True):
        if own < 0.99 * gsd:
            yield f"{name} side averaged from {own:.3g} m to {gsd:.3g} m"
    for name, side in zip(("synthetic", "real"), measured, strict=True):
        if not any(len(part) for part in side.samples[BUILDING, "values"]):
            yield f"no labels on the {name} side: nothing is compared by class"


def _measured(cut: Sequence[Tile], rng: np.random.Generator) -> Side:
    samples: dict[tuple[str, str], list[NDArray[np.float32]]] = {}
    for tile in cut:
        layers = {
            "values": tile.values,
            "gradient": texture.gradients(tile.values),
            "deviation": texture.deviations(tile.values),
        }
        everything = np.ones(tile.values.shape[1:], bool)
        for kind, mask in ((ALL, everything), *tile.kinds.items()):
            places = np.flatnonzero(mask)
            drawn = rng.choice(places, min(PIXELS, len(places)), replace=False)
            for measure, layer in layers.items():
                samples.setdefault((kind, measure), []).append(layer.reshape(len(layer), -1)[:, drawn].T)
    return Side(
        samples=samples,
        spectra=np.stack([texture.spectrum(tile.values) for tile in cut]),
        patches=[texture.patches(tile.values, PATCHES) for tile in cut],
    )


def _halves(real: Side, count: int, rng: np.random.Generator) -> tuple[Side, Side] | None:
    if count < 2:
        return None
    first = rng.permutation(count) < count // 2
    return real.half(first), real.half(~first)


def _rows(synthetic: Side, real: Side, halves: tuple[Side, Side] | None, bands: Sequence[str]) -> Iterator[Row]:
    for kind, measure in synthetic.samples:
        pools = [side.pooled(kind, measure) for side in (synthetic, real)]
        if min(map(len, pools)) < LEAST:
            continue
        split = [side.pooled(kind, measure) for side in halves] if halves else []
        sound = bool(split) and min(map(len, split)) >= LEAST
        for number, band in enumerate(bands):
            one, other = pools[0][:, number], pools[1][:, number]
            floor = float(wasserstein_distance(split[0][:, number], split[1][:, number])) if sound else None
            yield Row(
                kind=kind,
                band=band,
                measure=measure,
                synthetic=float(one.mean()),
                real=float(other.mean()),
                distance=float(wasserstein_distance(one, other)),
                floor=floor,
            )
    yield from _slopes(synthetic, real, halves, bands)
    yield from _likeness(synthetic, real, halves)


def _slopes(synthetic: Side, real: Side, halves: tuple[Side, Side] | None, bands: Sequence[str]) -> Iterator[Row]:
    for number, band in enumerate(bands):
        one, other, *split = (
            texture.slope(side.spectra.mean(axis=0)[number]) for side in (synthetic, real, *(halves or ()))
        )
        if np.isfinite([one, other]).all():
            floor = abs(split[0] - split[1]) if split and np.isfinite(split).all() else None
            yield Row(
                kind=ALL,
                band=band,
                measure="spectrum slope",
                synthetic=one,
                real=other,
                distance=abs(one - other),
                floor=floor,
            )


def _likeness(synthetic: Side, real: Side, halves: tuple[Side, Side] | None) -> Iterator[Row]:
    cuts = [np.concatenate(side.patches) for side in (synthetic, real)]
    if min(map(len, cuts)) < ENOUGH:
        return
    mean, spread = (getattr(cuts[1], way)(axis=(0, 2, 3), keepdims=True) for way in ("mean", "std"))
    scaled = [texture.features((cut - mean) / np.maximum(spread, 1e-6)) for cut in cuts]
    unit = np.maximum(scaled[1].std(axis=0), 1e-6)
    one, other = (found / unit for found in scaled)
    floor = None
    if halves:
        pair = [
            texture.features((np.concatenate(half.patches) - mean) / np.maximum(spread, 1e-6)) / unit for half in halves
        ]
        if min(map(len, pair)) >= ENOUGH:
            floor = texture.frechet(pair[0], pair[1]) / texture.FEATURES
    yield Row(
        kind=ALL,
        band="together",
        measure="features",
        synthetic=None,
        real=None,
        distance=texture.frechet(one, other) / texture.FEATURES,
        floor=floor,
    )
