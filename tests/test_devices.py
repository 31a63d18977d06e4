"""Which GPU is taken, of those that Cycles says it finds; the entries stand in for Cycles' own."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from mage_stac.renderers import devices
from mage_stac.renderers.devices import Machine


@dataclass
class Entry:
    type: str
    id: str
    name: str = "card"
    use: bool = False


@dataclass
class Preferences:
    """As bpy.context.preferences.addons["cycles"].preferences."""

    devices: list[Entry]
    compute_device_type: str = "NONE"
    asked: list[str] = field(default_factory=list)

    def get_devices_for_type(self, kind: str) -> list[Entry]:
        self.asked.append(kind)
        found = [entry for entry in self.devices if entry.type == kind]
        return [*found, *(entry for entry in self.devices if entry.type == "CPU")]


def cpu() -> Entry:
    return Entry("CPU", "cpu", use=True)


def test_without_a_gpu_the_processor_renders() -> None:
    found = Preferences([cpu()])
    assert devices.use(found, Machine()) == "CPU"
    assert found.compute_device_type == "NONE"
    assert found.asked == list(devices.KINDS)


def test_a_gpu_that_must_be_and_is_not_is_told() -> None:
    with pytest.raises(RuntimeError, match="finds no GPU"):
        devices.use(Preferences([cpu()]), Machine(device="gpu"))


def test_the_faster_of_two_ways_to_a_card_is_taken_alone() -> None:
    card, same, processor = Entry("CUDA", "a", use=True), Entry("OPTIX", "a"), cpu()
    found = Preferences([card, same, processor])
    assert devices.use(found, Machine()) == "GPU"
    assert found.compute_device_type == "OPTIX"
    assert (card.use, same.use, processor.use) == (False, True, False)


@pytest.mark.parametrize("kind", devices.KINDS)
def test_every_kind_is_taken(kind: str) -> None:
    found = Preferences([cpu(), Entry(kind, "a")])
    assert devices.use(found, Machine(device="gpu")) == "GPU"
    assert found.compute_device_type == kind


@pytest.mark.parametrize(("turn", "taken"), [(0, "a"), (1, "b"), (2, "a"), (5, "b")])
def test_processes_take_the_cards_in_turn(turn: int, taken: str) -> None:
    found = Preferences([Entry("HIP", "a"), Entry("HIP", "b"), cpu()])
    devices.use(found, Machine(turn=turn))
    assert [entry.id for entry in found.devices if entry.use] == [taken]


def test_the_processor_can_be_asked_for() -> None:
    found = Preferences([Entry("METAL", "a")])
    assert devices.use(found, Machine(device="cpu")) == "CPU"
    assert found.asked == []  # asking can crash where a driver is broken


def test_options_are_what_the_library_gives() -> None:
    from mage_stac import blender

    given = blender.Machine(threads=3, device="gpu", turn=2)
    assert devices.parsed([*given.options(), "a", "b"]) == (Machine(threads=3, device="gpu", turn=2), ["a", "b"])
    assert devices.parsed(["-"]) == (Machine(), ["-"])
