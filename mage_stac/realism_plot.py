"""A picture of a comparison: distributions, spectra and deviations of both sides, one line style a side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mage_stac import texture
from mage_stac.errors import MageStacError
from mage_stac.realism import ALL, Comparison

COLOURS = {"blue": "tab:blue", "green": "tab:green", "red": "tab:red", "nir": "tab:purple"}
STEPS = 60
"""Bins of the histograms."""
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Cycles per pixel that the axis names: what matplotlib writes of its own accord there overlaps."""


def draw(path: Path, found: Comparison) -> None:
    """Write a PNG: values, gradients and local deviations by band, and radial power; real solid, synthetic dashed.

    Raises:
        MageStacError: matplotlib is not installed.
    """
    try:
        figure = drawn(found)
    except ImportError:
        raise MageStacError("drawing needs matplotlib: install mage-stac[train], or leave out --out") from None
    figure.savefig(path, dpi=100)


def drawn(found: Comparison) -> Any:
    """The matplotlib Figure that `draw` writes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    for measure, place in (("values", axes[0, 0]), ("gradient", axes[1, 0]), ("deviation", axes[1, 1])):
        pools = [side.pooled(ALL, measure) for side in (found.real, found.synthetic)]
        top = float(np.quantile(np.concatenate(pools), 0.995))
        for number, band in enumerate(found.bands):
            for pool, style in zip(pools, ("-", "--"), strict=True):
                density, edges = np.histogram(pool[:, number], bins=STEPS, range=(0, top), density=True)
                place.plot((edges[1:] + edges[:-1]) / 2, density, style, color=COLOURS.get(band, "grey"), lw=1.3)
        place.set(title=measure, xlim=(0, top), ylim=(0, None), ylabel="density")
    power = axes[0, 1]
    for side, style, name in ((found.real, "-", "real"), (found.synthetic, "--", "synthetic")):
        mean = side.spectra.mean(axis=0)
        along = texture.frequencies(2 * mean.shape[-1])
        for number, band in enumerate(found.bands):
            colour = COLOURS.get(band, "grey")
            power.loglog(along, mean[number], style, color=colour, lw=1.3, label=f"{band}, {name}")
    power.set(title="radial power", xlabel="cycles per pixel")
    power.set_xticks([tick for tick in TICKS if along[0] <= tick <= along[-1]])
    power.xaxis.set_major_formatter("{x:g}")
    power.xaxis.set_minor_formatter("")
    power.legend(fontsize="small")
    for place in axes.flat:
        place.grid(alpha=0.3)
    figure.suptitle(f"{found.tiles[0]} synthetic and {found.tiles[1]} real tiles at {found.gsd:.3g} m")
    return figure
