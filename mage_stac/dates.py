"""Dates: moments of Items in UTC. A text that names no zone is meant in UTC, as STAC has it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pystac
from pystac.utils import datetime_to_str, str_to_datetime

from mage_stac.errors import CatalogueError


def utc(moment: datetime) -> datetime:
    """The same moment in UTC; one without a zone is taken for it."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parsed(text: str) -> datetime:
    """A moment of RFC 3339 text, in UTC. ValueError where it is none."""
    return utc(str_to_datetime(text))


def span(properties: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """First and last moment that an Item's properties tell of; None for what they do not tell."""
    told = (properties.get(name) or properties.get("datetime") for name in ("start_datetime", "end_datetime"))
    first, last = (parsed(str(text)) if text else None for text in told)
    return first, last


def stated(item: pystac.Item) -> str:
    """When an Item is of, in RFC 3339 and UTC: its datetime, or else its interval "A/B".

    Raises:
        CatalogueError: it says neither.
    """
    if item.datetime is not None:
        return datetime_to_str(utc(item.datetime))
    start, end = item.common_metadata.start_datetime, item.common_metadata.end_datetime
    if start is None or end is None:
        raise CatalogueError(f"Item {item.id} has no date: give it a datetime, or a start_datetime and an end_datetime")
    return f"{datetime_to_str(utc(start))}/{datetime_to_str(utc(end))}"
