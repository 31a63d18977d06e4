"""The render verb, as a user calls it; Blender is tests/fake_blender.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from mage_stac.cli import app


@pytest.fixture
def fake(tmp_path: Path) -> str:
    program = tmp_path / "python-with-bpy"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("fake_blender.py")}"\n')
    program.chmod(0o755)
    return str(program)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mage-stac", "render", *words])
    with pytest.raises(SystemExit) as stop:
        app.main()
    return int(stop.value.code or 0)


def test_the_folder_of_what_was_made_is_printed(
    fake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    words = ("--hazard", "none", "--size", "64", "--seed", "1", "--blender", fake, "--out", out)
    assert run(monkeypatch, *words) == 0
    assert capsys.readouterr().out.strip() == f"{out}/none-pairs"
    assert run(monkeypatch, *words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["skipped"] == ["none-1-00000"]
    assert told["made"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--hazard", "frogs"), "no hazard 'frogs': there are"),
        (("--procedural", "moon"), "no style 'moon': there are"),
        (("--blender", "/nowhere/blender"), "no Blender at /nowhere/blender (from --blender): run `make setup`"),
    ],
)
def test_bad_input_is_one_line(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, *words, "--out", str(out)) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert said.out == ""
    assert not out.exists()


def test_strict_makes_failures_an_error(
    fake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"0": "crash"}))
    monkeypatch.setenv("FAKE_BLENDER_CRASH", str(plan))
    words = ("--hazard", "none", "--size", "64", "--blender", fake, "--out", str(tmp_path / "out"))
    assert run(monkeypatch, *words, "--strict") == 1
    assert "1 of 1 scenes failed: see" in capsys.readouterr().err
