"""What every test may ask for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from command_line import Run, runner
from hypothesis import settings

# A busy machine is no failure. CI takes the same examples each time, as a push is judged by what it changes; those who
# develop meet new ones.
settings.register_profile("ours", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("ours")

# A shell starts what it puts in the background with Ctrl-C ignored, which children would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _folder(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs ../shared/{name}, which is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout, read in place."""
    return _folder("data")


@pytest.fixture(scope="session")
def schemas() -> Path:
    """The STAC extensions' JSON schemas beside the checkout."""
    return _folder("schemas")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls mage-stac with words of the command line."""
    return runner(monkeypatch, capsys)
