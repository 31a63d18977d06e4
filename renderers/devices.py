"""What renders: how many processor cores, and which GPU, if Cycles finds one. Without bpy, so that it can be tested."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

KINDS = ("OPTIX", "CUDA", "HIP", "ONEAPI", "METAL")
"""Cycles' ways to a GPU; of two ways to the same card the faster one first."""


@dataclass(frozen=True)
class Machine:
    """What a renderer may use of its machine."""

    threads: int = 0
    """Processor cores; 0: as many as there are."""
    device: str = "auto"
    """`gpu`, `cpu`, or `auto`: a GPU if there is one."""
    turn: int = 0
    """Number of this process among those of its machine: they take the GPUs in turn."""


def parsed(words: Sequence[str]) -> tuple[Machine, list[str]]:
    """The machine that a command line describes, and its other words. SystemExit for what it cannot be."""
    parser = argparse.ArgumentParser(prog="renderers", allow_abbrev=False)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto")
    parser.add_argument("--turn", type=int, default=0)
    known, rest = parser.parse_known_args(list(words))
    return Machine(threads=known.threads, device=known.device, turn=known.turn), rest


def gpus(preferences: Any) -> list[Any]:
    """GPUs in the order of KINDS, those of the first kind that there is; entries with `type`, `name`, `id` and `use`.

    Args:
        preferences: Cycles' own: bpy.context.preferences.addons["cycles"].preferences.
    """
    for kind in KINDS:
        found = [entry for entry in preferences.get_devices_for_type(kind) if entry.type == kind]
        if found:
            return found
    return []


def use(preferences: Any, machine: Machine) -> str:
    """Switch the process's GPU on, and the others off; returns what Cycles calls the device: `GPU` or `CPU`.

    Raises RuntimeError where a GPU is asked for and there is none.
    """
    found = [] if machine.device == "cpu" else gpus(preferences)
    if not found:
        if machine.device == "gpu":
            raise RuntimeError("Cycles finds no GPU here")
        return "CPU"
    mine = found[machine.turn % len(found)]
    preferences.compute_device_type = mine.type
    for entry in preferences.devices:
        entry.use = entry.type == mine.type and entry.id == mine.id
    return "GPU"
