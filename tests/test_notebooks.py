"""The notebooks, executed as they are but for their parameters: small scenes, few steps, a stand-in for Blender."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pytest
import synthetic
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
BOOKS = ROOT / "notebooks"
FAKE = Path(__file__).with_name("fake_blender.py")

pytestmark = pytest.mark.filterwarnings("ignore")  # of jupyter's parts; those of the code are in its own process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebooks")


def executed(name: str, *parameters: str) -> list[str]:
    """Run a notebook with other parameters than its own; the types of all that it shows."""
    book = nbformat.read(BOOKS / f"{name}.ipynb", as_version=4)
    at = next(i for i, cell in enumerate(book.cells) if "parameters" in cell.metadata.get("tags", []))
    book.cells.insert(at + 1, nbformat.v4.new_code_cell("\n".join(parameters)))
    NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": BOOKS}}).execute()
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    said = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert [text for text in said if "TqdmWarning" not in text] == []  # its bars would be prettier with ipywidgets
    return [kind for output in outputs for kind in output.get("data", {})]


def test_search() -> None:
    assert executed("search").count("image/png") == 2


def test_render(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "python-with-bpy"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("MAGE_STAC_BLENDER", str(program))
    shown = executed("render", f"OUT = Path({str(folder / 'pairs')!r})", "SIZE, SAMPLES = 160, 1")
    assert shown.count("image/png") == 2


def test_train_and_map(folder: Path) -> None:
    pairs = synthetic.write(folder / "blocks", scenes=2, size=128)
    models = f"Path({str(folder / 'models')!r})"
    assert "image/png" in executed("train", f"PAIRS, OUT = Path({str(pairs)!r}), {models}", "MORE, STEPS = 0, 2")
    shown = executed("map", f"MODELS, OUT = {models}, Path({str(folder / 'predictions')!r})")
    assert shown.count("image/png") == 2


def test_none_is_kept_with_large_outputs() -> None:
    for path in BOOKS.glob("*.ipynb"):
        assert path.stat().st_size < 500_000, path.name
        text = path.read_text("utf-8")
        assert not [place for place in ("/work", "/root", "/tmp") if f'"{place}' in text or f"'{place}" in text]  # noqa: S108
