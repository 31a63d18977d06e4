from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pystac
import pytest

from mage_stac import dates
from mage_stac.errors import CatalogueError

NOON = datetime(2020, 6, 15, 12, tzinfo=UTC)
SUMMER = timezone(timedelta(hours=2))


def item(date: datetime | None, **properties: str | None) -> pystac.Item:
    told = {"datetime": None, **properties} if date is None else properties
    return pystac.Item("i", None, None, date, told)


@pytest.mark.parametrize("moment", [NOON, NOON.replace(tzinfo=None), datetime(2020, 6, 15, 14, tzinfo=SUMMER)])
def test_one_moment_however_it_is_written(moment: datetime) -> None:
    assert dates.utc(moment) == NOON
    assert dates.utc(moment).utcoffset() == timedelta(0)
    assert dates.parsed(moment.isoformat()) == NOON
    assert dates.stated(item(moment)) == "2020-06-15T12:00:00Z"


def test_a_span_is_the_interval_or_else_the_moment() -> None:
    ends = {"start_datetime": "2020-06-15T12:00:00", "end_datetime": "2020-06-15T15:00:00+02:00"}
    assert dates.span({"datetime": None, **ends}) == (NOON, NOON + timedelta(hours=1))
    assert dates.span({"datetime": "2020-06-15T12:00:00Z"}) == (NOON, NOON)
    assert dates.span({"datetime": None}) == (None, None)
    made = item(None, **ends)
    assert dates.stated(made) == "2020-06-15T12:00:00Z/2020-06-15T13:00:00Z"


def test_an_item_without_a_date_is_named() -> None:
    start = item(NOON)
    start.datetime = None
    with pytest.raises(CatalogueError, match="Item i has no date: give it a datetime"):
        dates.stated(start)
