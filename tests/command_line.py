"""mage-stac as a user calls it, in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, str, str]]
"""Words of the command line -> exit code, stdout, stderr."""


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """What the fixture `run` gives."""
    from mage_stac.cli.app import main

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mage-stac", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


def ended(call: tuple[int, str, str], code: int, said: str, out: Path) -> Any:
    """The JSON that a call printed, after seeing how it ended: a refused one says why in a line and leaves no `out`."""
    found, stdout, stderr = call
    assert found == code
    if not code:
        return json.loads(stdout)
    assert stderr.count("\n") == 1
    assert said in stderr
    assert not out.exists()
    return None
