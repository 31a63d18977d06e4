from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pystac
import pytest
import shapely
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

from mage_stac import catalogue, event_pairs
from mage_stac.errors import SearchError
from mage_stac.event_pairs import choose, flat

EVENT = "2023-02-06"


def image(
    name: str, date: str, ground: BaseGeometry | None = None, *, cloud: float | None = 0, nadir: float = 0, **more: Any
) -> pystac.Item:
    place = ground or shapely.box(36, 37, 36.1, 37.1)
    told = {"eo:cloud_cover": cloud, "view:off_nadir": nadir, **more}
    properties = {key: value for key, value in told.items() if value is not None}
    moment = pystac.utils.str_to_datetime(f"{date}T10:00:00Z")
    return pystac.Item(name, mapping(place), list(place.bounds), moment, properties)


def names(items: list[pystac.Item], **options: Any) -> list[tuple[str, str]]:
    return [(pair.pre.id, pair.post.id) for pair in choose(items, EVENT, **options).pairs]


def test_each_factor_decides_where_all_else_is_equal() -> None:
    base = [image("pre", "2023-01-20"), image("post", "2023-02-08")]
    for worse in (
        image("pre-cloudy", "2023-01-20", cloud=40),
        image("pre-slanted", "2023-01-20", nadir=25),
        image("pre-old", "2019-01-20"),
        image("pre-summer", "2022-08-06"),
        image("pre-half", "2023-01-20", shapely.box(36, 37, 36.05, 37.1)),
        image("post-cloudy", "2023-02-08", cloud=40),
        image("post-late", "2023-04-08"),
    ):
        assert names([worse, *base]) == [("pre", "post")], worse.id


def test_a_date_without_a_zone_is_utc() -> None:
    local = image("local", "2023-02-05")
    local.properties |= {"start_datetime": "2023-02-05T23:00:00", "end_datetime": "2023-02-05T23:30:00"}
    assert names([local, image("post", "2023-02-08")]) == [("local", "post")]
    local.properties |= {"end_datetime": "2023-02-05T23:30:00-02:00"}  # half past one of the day itself
    with pytest.raises(SearchError, match="no image before"):
        names([local, image("post", "2023-02-08")])


def test_the_score_is_what_the_text_says() -> None:
    pre = image("pre", "2022-02-06", cloud=10, nadir=20, **{"view:azimuth": 90})
    post = image("post", "2023-02-08", cloud=None, nadir=20, **{"view:azimuth": 270})
    (pair,) = choose([pre, post], EVENT).pairs
    assert pair.cloud == pytest.approx(0.9 * 0.7)
    lean = math.tan(math.radians(20))
    assert pair.angle == pytest.approx(math.cos(math.radians(20)) ** 2 / (1 + 2 * lean))
    after, before = 10 / 24 + 1, 364 + 14 / 24  # from the day's last second, from its first
    assert pair.date == pytest.approx(0.5 ** (after / 30 + before / 730), rel=0.01)
    assert pair.overlap == pytest.approx(1)
    assert pair.score == pytest.approx(pair.cloud * pair.angle * pair.date)


def test_views_that_lean_alike_are_better_than_one_from_above() -> None:
    slanted, upright = (
        image(name, "2023-01-20", nadir=nadir, **{"view:azimuth": 100}) for name, nadir in (("slanted", 25), ("up", 0))
    )
    post = image("post", "2023-02-08", nadir=25, **{"view:azimuth": 100})
    assert names([upright, slanted, post]) == [("slanted", "post")]


def test_pairs_are_taken_until_the_area_is_shown() -> None:
    west, east = shapely.box(36, 37, 36.5, 38), shapely.box(36.5, 37, 37, 38)
    items = [
        image("pre-west", "2023-01-20", west),
        image("pre-east", "2023-01-20", east),
        image("pre-all-cloudy", "2023-01-20", shapely.box(36, 37, 37, 38), cloud=80),
        image("post", "2023-02-08", shapely.box(35, 36, 38, 39)),
    ]
    area = shapely.box(36, 37, 37.25, 38)
    found = choose(items, EVENT, area=area)
    assert sorted(pair.pre.id for pair in found.pairs) == ["pre-east", "pre-west"]
    assert found.covered == pytest.approx(0.8, abs=1e-6)
    for pair in found.pairs:
        assert pair.overlap == pytest.approx(0.4, abs=1e-6)
        assert pair.ground.within(area.buffer(1e-9))
    assert len(choose(items, EVENT, area=area, limit=1).pairs) == 1


def test_areas_are_true_at_any_latitude() -> None:
    sphere = 4 * math.pi
    assert flat(shapely.box(-180, -90, 180, 90)).area == pytest.approx(sphere)
    assert flat(shapely.box(-180, 30, 180, 90)).area == pytest.approx(sphere / 4)


def test_images_of_the_event_s_own_time_belong_to_neither_side() -> None:
    items = [image("pre", "2023-01-20"), image("that-day", EVENT), image("post", "2023-02-08")]
    found = choose(items, EVENT)
    assert ([(pair.pre.id, pair.post.id) for pair in found.pairs], found.during) == ([("pre", "post")], 1)
    mosaic = image("mosaic", "2023-01-01", start_datetime="2022-01-01T00:00:00Z")
    mosaic.properties["end_datetime"] = "2023-12-31T00:00:00Z"
    assert choose([*items, mosaic], EVENT).during == 2
    assert choose(items, "2023-02-06T12:00:00Z").during == 0


@pytest.mark.parametrize(
    ("items", "event", "said"),
    [
        ([image("a", "2023-01-20")], EVENT, r"no image after 2023-02-06 among 1 Items \(1 lie before it\)"),
        ([image("a", "2023-03-20")], EVENT, "no image before 2023-02-06"),
        (
            [image("a", "2023-01-20"), image("b", "2023-02-20", shapely.box(0, 0, 1, 1))],
            EVENT,
            r"no place is shown both before \(1 Items\) and after",
        ),
        ([], "soon", "'soon' is not like"),
        ([], "2023/..", "must have a beginning and an end"),
    ],
)
def test_bad_input(items: list[pystac.Item], event: str, said: str) -> None:
    with pytest.raises(SearchError, match=said):
        choose(items, event)


def test_derna_before_and_after_the_flood(shared: Path) -> None:
    items = catalogue.read_items(shared / "stac" / "maxar" / "Libya-Floods-Sept-2023.geojson")
    derna = shapely.box(22.60, 32.74, 22.68, 32.78)
    found = choose(items, "2023-09-10/2023-09-11", area=derna)
    for pair in found.pairs:
        assert pair.pre.properties["datetime"] < "2023-09-10"
        assert pair.post.properties["datetime"] > "2023-09-11T23:59:59"
        assert shape(pair.pre.geometry).intersects(shape(pair.post.geometry))
        assert pair.ground.within(derna.buffer(1e-9))
    assert found.covered is not None
    assert found.covered > 0.9


@pytest.mark.parametrize(
    ("event", "date"),
    [("Kahramanmaras-turkey-earthquake-23", "2023-02-06"), ("Libya-Floods-Sept-2023", "2023-09-10/2023-09-11")],
)
def test_every_pair_of_an_event_is_better_than_those_it_was_chosen_from(shared: Path, event: str, date: str) -> None:
    items = catalogue.read_items(shared / "stac" / "maxar" / f"{event}.geojson")
    found = choose(items, date)
    start, end = event_pairs.interval(date)
    grounds = [flat(pair.ground) for pair in found.pairs]
    assert len(found.pairs) > 20
    best = found.pairs[0]
    for other in found.pairs[1:]:  # the first shows most, weighed by its quality
        assert best.quality * grounds[0].area >= other.quality * flat(other.ground).area - 1e-15
    for pair in found.pairs:
        assert pair.pre.datetime < start < end < pair.post.datetime
        assert 0 < pair.score <= pair.quality <= 1
