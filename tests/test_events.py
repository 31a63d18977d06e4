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


def test_texts_are_numbers_truth_values_or_words() -> None:
    told = events.settings(("source=rain", "hours = 2", "smoke=true", "turbidity=0.4"))
    assert told == {"source": "rain", "hours": 2, "smoke": True, "turbidity": 0.4}
    hazard = events.configured("flood", {"by": "return_period", "mean_annual": 100})
    assert (hazard.unit, hazard.range) == ("years", (1.1, 10_000.0))


@pytest.mark.parametrize(
    ("hazard", "text", "message"),
    [
        ("fire", "hours", "setting 'hours' is not NAME=VALUE"),
        ("fire", "hours=", "setting 'hours=' is not NAME=VALUE"),
        ("fire", "hours=many", "fire setting hours 'many': give a valid number"),
        ("fire", "hours=1000", "hours of fire 1000: give 0.05 to 48"),
        ("none", "hours=1", "none has no setting 'hours'"),
        ("flood", "source=tears", "no flood source 'tears': choose one of any, river, sea, rain"),
    ],
)
def test_settings_that_cannot_be_are_one_line(hazard: str, text: str, message: str) -> None:
    with pytest.raises(HazardError, match=message) as raised:
        events.configured(hazard, events.settings((text,)))
    assert "\n" not in str(raised.value)
