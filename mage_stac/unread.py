"""Unread: assets that cannot be read, each told once, while a run goes on with the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from mage_stac.errors import AssetError

LOG = logging.getLogger(__name__)

Problem = Callable[[AssetError], None]
"""Told of each asset that cannot be read, where work goes on without it; where there is none, the error is raised."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unread:
    """A Problem that logs one line for each asset: a file may fail in many windows, with other words each time."""

    assets: list[str] = field(default_factory=list)
    """Those told so far."""

    def __call__(self, problem: AssetError) -> None:
        """Tell of an asset, unless it was told already."""
        if problem.asset not in self.assets:
            self.assets.append(problem.asset)
            LOG.warning("%s; going on without it", problem)

    def record(self) -> dict[str, list[str]]:
        """What a run's record says of them, if there were any; the log then gets their number."""
        if not self.assets:
            return {}
        LOG.warning("%d assets could not be read; learnt from all the others", len(self.assets))
        return {"unread": sorted(self.assets)}


def nothing(problem: AssetError, number: int, what: str) -> AssetError:
    """The end of a run of which nothing can be read any more: of `number` of `what`, the first because of a problem."""
    return AssetError(f"none of {number} {what} can be read; the first: {problem}", asset=problem.asset)
