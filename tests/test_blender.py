"""Finding a Blender and surviving it; the Blenders here are small Python scripts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from mage_stac import blender
from mage_stac.errors import RenderError


def fake(tmp_path: Path, body: str) -> tuple[str, ...]:
    """Command of a child that runs `body` for every folder named on its stdin."""
    script = tmp_path / "fake.py"
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    script.write_text(
        f"import json, os, signal, sys, time, pathlib\nfor line in sys.stdin:\n    job = line.strip()\n{lines}\n"
    )
    return (sys.executable, str(script))


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps({"passes": ["image"]}))
    return folder


GOOD = (
    'pathlib.Path(job, "image.exr").touch()\n'
    'print("noise"); print(json.dumps({"job": job, "seconds": {"pid": os.getpid()}}), flush=True)'
)


def test_a_named_folder_stands_for_its_python(tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    command = blender.find(tmp_path / "env")
    assert command[0] == str(python)
    assert Path(command[1]).name == "__main__.py"


def test_an_installed_blender_gets_its_options(tmp_path: Path) -> None:
    program = tmp_path / "blender-4.2"
    program.symlink_to(sys.executable)
    command = blender.find(program)
    assert command[1:3] == ("--background", "--factory-startup")
    assert command[-1] == "--"


def test_the_variable_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGE_STAC_BLENDER", str(tmp_path / "none"))
    with pytest.raises(RenderError, match=r"no Blender at .*none \(from MAGE_STAC_BLENDER\)"):
        blender.find()
    monkeypatch.setenv("MAGE_STAC_BLENDER", sys.executable)
    assert blender.find()[0] == sys.executable


def test_without_any_blender_one_line_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAGE_STAC_BLENDER", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(blender, "__file__", str(tmp_path / "mage_stac" / "blender.py"))
    with pytest.raises(RenderError, match="no Blender found: run `make setup`") as caught:
        blender.find()
    assert "\n" not in str(caught.value)


def test_a_venv_beside_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAGE_STAC_BLENDER", raising=False)
    python = tmp_path / ".venv-render" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    assert blender.find()[0] == str(python)


def test_a_session_keeps_its_child_and_restarts_it_in_time(tmp_path: Path, job: Path) -> None:
    with blender.Session(fake(tmp_path, GOOD), restart_after=2) as session:
        children = [session.render(job, "s")["pid"] for _ in range(5)]
    assert len(set(children)) == 3
    assert children[0] == children[1]
    for child in set(children):
        with pytest.raises(ProcessLookupError):
            os.kill(int(child), 0)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('print("out of paint", file=sys.stderr); sys.exit(3)', "scene s-1: Blender ended with code 3: out of paint"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "scene s-1: Blender was ended by SIGSEGV"),
        (
            'print(json.dumps({"job": job, "error": "ValueError: no"}), flush=True)',
            "could not render it: ValueError: no",
        ),
        ('print(json.dumps({"job": job, "seconds": {}}), flush=True)', "did not write image.exr"),
    ],
)
def test_a_failing_child_becomes_one_line(tmp_path: Path, job: Path, body: str, message: str) -> None:
    with blender.Session(fake(tmp_path, body)) as session, pytest.raises(RenderError, match=message) as caught:
        session.render(job, "s-1")
    assert "\n" not in str(caught.value)


def test_a_session_goes_on_after_a_crash(tmp_path: Path, job: Path) -> None:
    marker = tmp_path / "crashed"
    body = f"m = pathlib.Path({str(marker)!r})\nif not m.exists(): m.touch(); sys.exit(9)\n{GOOD}"
    with blender.Session(fake(tmp_path, body)) as session:
        with pytest.raises(RenderError, match="code 9"):
            session.render(job, "s")
        assert session.render(job, "s")["pid"] > 0


def test_a_hung_child_is_stopped(tmp_path: Path, job: Path) -> None:
    start = time.monotonic()
    with (
        blender.Session(fake(tmp_path, "time.sleep(60)"), timeout=0.5) as session,
        pytest.raises(RenderError, match="still busy after 0 s"),
    ):
        session.render(job, "s")
    assert time.monotonic() - start < 20


def test_a_program_that_does_not_start_is_named(job: Path) -> None:
    with blender.Session((str(job),)) as session, pytest.raises(RenderError, match=f"does not start: {job}"):
        session.render(job, "s")


@pytest.mark.parametrize("end", ["pass", "sys.exit(9)"])
def test_what_a_child_leaves_among_temporary_files_goes_with_it(tmp_path: Path, job: Path, end: str) -> None:
    told = tmp_path / "told"
    body = f"import tempfile; pathlib.Path({str(told)!r}).write_text(tempfile.mkdtemp()); {end}\n{GOOD}"
    with (
        blender.Session(fake(tmp_path, body)) as session,
        contextlib.nullcontext() if end == "pass" else pytest.raises(RenderError),
    ):
        session.render(job, "s")
    assert not Path(told.read_text()).exists()


def test_ctrl_c_ends_the_child(tmp_path: Path, job: Path) -> None:
    pid = tmp_path / "pid"
    body = (
        f"pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); os.kill(os.getppid(), signal.SIGINT); time.sleep(60)"
    )
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with blender.Session(fake(tmp_path, body)) as session, pytest.raises(KeyboardInterrupt):
            session.render(job, "s")
    finally:
        signal.signal(signal.SIGINT, previous)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
