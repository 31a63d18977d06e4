"""Which two images of an event to compare: before and after, clear, upright, near in time, and over the same ground.

score = cloud * angle * date * overlap, each 0..1 and from the Items alone: no file is opened.

- cloud: the clear share of both images, (1 - cover before) * (1 - cover after).
- angle: cos * cos of both off-nadir angles, divided by 1 + the difference of their leans. A lean is tan(off-nadir)
  along the view's azimuth: how far a roof of height 1 is displaced. What leans differently looks changed and is not.
- date: halves with every 30 days after the event (it is cleared up) and every 730 before (it is built upon), and loses
  up to a half where the two dates are of opposite seasons.
- overlap: the share of the area asked for that both show; without one, of the image after.

Pairs are chosen one by one: each time the one whose new ground, weighed by cloud * angle * date, is largest.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pystac
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from mage_stac import dates
from mage_stac.errors import SearchError
from mage_stac.query import interval

UNKNOWN_COVER = 0.3
"""Share of cloud of an Item that states none."""
UNKNOWN_ANGLE = 15.0
"""Degrees off nadir of an Item that states none."""
CLEARED, BUILT = 30.0, 730.0
"""Days after and before the event in which an image loses half of its worth."""
SEASONS = 0.5
"""Part of the worth that opposite seasons take."""
YEAR = 365.25
"""Days."""
NEW = 0.05
"""Share of a pair's ground that must be new for it to be taken beside those chosen before."""
UNDATED = datetime(1900, 1, 1, tzinfo=UTC)
"""When an image without a date was taken: before any event."""
SLIVER = 1e-3
"""Share of the area asked for below which ground does not count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventPair:
    """An image before an event and one after it."""

    pre: pystac.Item
    post: pystac.Item
    ground: BaseGeometry
    """Lon/lat: what both show of the area asked for."""
    cloud: float
    angle: float
    date: float
    overlap: float

    @property
    def quality(self) -> float:
        """What its ground is weighed by, 0..1."""
        return self.cloud * self.angle * self.date

    @property
    def score(self) -> float:
        """0..1."""
        return self.quality * self.overlap


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The pairs of an event, best first."""

    pairs: tuple[EventPair, ...]
    covered: float | None
    """Share of the area asked for that they show before and after; None where none was asked for."""
    during: int
    """Items of the event's own time, neither before nor after it."""


def choose(
    items: Sequence[pystac.Item], event: str, *, area: BaseGeometry | None = None, limit: int | None = None
) -> Chosen:
    """The best pairs that together show the area, at most `limit`.

    Args:
        items: found without regard to the date.
        event: when it struck: a moment, a day, or an interval A/B. Images of its own time belong to neither side.
        area: lon/lat; without one, all that was imaged.
        limit: number of pairs.

    Raises:
        SearchError: the date cannot be read; there is no image before, none after, or no place that both show.
    """
    start, end = interval(event)
    if start is None or end is None:
        raise SearchError(f"--event-date {event!r} must have a beginning and an end")
    pre = [item for item in items if item.geometry and _span(item)[1] < start]
    post = [item for item in items if item.geometry and _span(item)[0] > end]
    if not pre or not post:
        side, there = ("before", "after") if not pre else ("after", "before")
        raise SearchError(f"no image {side} {event} among {len(items)} Items ({len(pre) + len(post)} lie {there} it)")
    pairs = _candidates(pre, post, (start, end), area)
    if not pairs:
        raise SearchError(f"no place is shown both before ({len(pre)} Items) and after {event} ({len(post)} Items)")
    chosen, shown = _covering(pairs, area, limit)
    return Chosen(
        pairs=tuple(chosen),
        covered=None if area is None else float(min(1, flat(shown).area / flat(area).area)),
        during=len(items) - len(pre) - len(post),
    )


def flat(geometry: Any) -> Any:
    """Lon/lat geometries on Lambert's cylinder, where areas are true (steradians)."""

    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([np.radians(points[:, 0]), np.sin(np.radians(points[:, 1]))])

    return shapely.transform(geometry, moved)


def _span(item: pystac.Item) -> tuple[datetime, datetime]:
    """First and last moment of an image."""
    first, last = dates.span(item.properties)
    moment = dates.utc(item.datetime) if item.datetime else UNDATED
    return first or moment, last or moment


def _candidates(
    pre: list[pystac.Item], post: list[pystac.Item], event: tuple[datetime, datetime], area: BaseGeometry | None
) -> list[EventPair]:
    """Every two images that share ground of the area."""
    before, after = (shapely.make_valid([shape(item.geometry or {}) for item in side]) for side in (pre, post))
    if area is not None:
        before, after = shapely.intersection(before, area), shapely.intersection(after, area)
    late, early = shapely.STRtree(before).query(after, predicate="intersects")
    ground = shapely.intersection(before[early], after[late])
    shared, alone = shapely.area(flat(ground)), shapely.area(flat(after))
    whole = np.full(len(post), flat(area).area) if area is not None and area.area else alone
    return [
        EventPair(
            pre=pre[i], post=post[j], ground=both, overlap=float(min(1, part / whole[j])),
            **_worth(pre[i], post[j], event),
        )
        for i, j, both, part in zip(early.tolist(), late.tolist(), ground, shared, strict=True)
        if part > SLIVER * whole[j]
    ]  # fmt: skip


def _worth(pre: pystac.Item, post: pystac.Item, event: tuple[datetime, datetime]) -> dict[str, float]:
    """Cloud, angle and date of a pair."""
    leans = [_lean(item) for item in (pre, post)]
    upright = math.prod(math.cos(math.atan(abs(lean))) for lean in leans)
    known = all("view:azimuth" in item.properties for item in (pre, post))
    apart = abs(leans[0] - leans[1]) if known else abs(abs(leans[0]) - abs(leans[1]))
    before = (event[0] - _span(pre)[1]).total_seconds() / 86_400
    after = (_span(post)[0] - event[1]).total_seconds() / 86_400
    turn = 2 * math.pi * (_span(post)[0] - _span(pre)[1]).total_seconds() / 86_400 / YEAR
    season = 1 - SEASONS * (1 - math.cos(turn)) / 2
    return {
        "cloud": _clear(pre) * _clear(post),
        "angle": upright / (1 + apart),
        "date": 0.5 ** (after / CLEARED + before / BUILT) * season,
    }


def _clear(item: pystac.Item) -> float:
    cover = item.properties.get("eo:cloud_cover")
    return 1 - (UNKNOWN_COVER if cover is None else min(100.0, max(0.0, float(cover))) / 100)


def _lean(item: pystac.Item) -> complex:
    """Displacement of a point of height 1, east + i north."""
    told = (item.properties.get(name) for name in ("view:off_nadir", "view:incidence_angle"))
    angle = next((float(value) for value in told if value is not None), UNKNOWN_ANGLE)
    azimuth = math.radians(float(item.properties.get("view:azimuth") or 0))
    length = math.tan(math.radians(min(85.0, abs(angle))))
    return length * complex(math.sin(azimuth), math.cos(azimuth))


def _covering(
    pairs: list[EventPair], area: BaseGeometry | None, limit: int | None
) -> tuple[list[EventPair], BaseGeometry]:
    """The pairs that add most, one after the other, and all that they show. What a pair adds never grows."""
    plane = [flat(pair.ground) for pair in pairs]
    least = 0.0 if area is None else SLIVER * flat(area).area
    heap = [(-pair.quality * one.area, number) for number, (pair, one) in enumerate(zip(pairs, plane, strict=True))]
    heapq.heapify(heap)
    taken: list[int] = []
    while heap and (limit is None or len(taken) < limit):
        _, number = heapq.heappop(heap)
        near = [plane[other] for other in taken if plane[other].intersects(plane[number])]
        new = plane[number].difference(shapely.union_all(near)).area if near else plane[number].area
        if new <= max(least, NEW * plane[number].area):
            continue
        gain = -pairs[number].quality * new
        if heap and gain > heap[0][0]:
            heapq.heappush(heap, (gain, number))
        else:
            taken.append(number)
    return [pairs[number] for number in taken], shapely.union_all([pairs[number].ground for number in taken])
