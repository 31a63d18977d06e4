"""Presets of well-known events."""

from __future__ import annotations

import pytest

from mage_stac.errors import HazardError
from mage_stac.hazards import events


@pytest.mark.parametrize("name", events.names())
def test_every_event_is_one_that_its_hazard_takes(name: str) -> None:
    event = events.read(name)
    hazard = event.happening()
    low, high = hazard.range
    assert low <= event.intensity <= high
    assert hazard.name == event.hazard
    assert event.source
    for field, value in event.settings.items():
        assert getattr(hazard, field) == value


def test_every_hazard_has_an_event() -> None:
    assert {events.read(name).hazard for name in events.names()} == {"flood", "earthquake", "fire", "wind"}


def test_what_does_not_exist_is_named() -> None:
    with pytest.raises(HazardError, match="no event 'atlantis': choose one of amatrice-2016"):
        events.read("atlantis")
    with pytest.raises(HazardError, match="no hazard 'meteor'"):
        events.configured("meteor", {})
    with pytest.raises(HazardError, match="fire has no setting 'wind': choose among bearing, hours"):
        events.configured("fire", {"wind": 3})
