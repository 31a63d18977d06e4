"""The import rules of ARCHITECTURE.md, read off the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(p for top in ("mage_stac", "cli", "renderers", "catalogs") for p in (ROOT / top).rglob("*.py"))

ONLY_IN = {
    "torch": (
        "mage_stac/chips.py",
        "mage_stac/loader.py",
        "mage_stac/geo_dataset.py",
        "mage_stac/warp.py",
        "mage_stac/models/",
        "mage_stac/adapt/",
        "mage_stac/train.py",
        "mage_stac/predict.py",
        "mage_stac/water.py",
        "mage_stac/water_training.py",
    ),
    "bpy": ("renderers/",),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "pystac_client": ("mage_stac/search.py",),
    "planetary_computer": ("mage_stac/search.py",),
    "pypgstac": ("mage_stac/pgstac.py",),
    "psycopg": ("mage_stac/pgstac.py",),
    "odc.stac": ("mage_stac/cube_odc.py",),
    "stackstac": ("mage_stac/cube_stackstac.py",),
    "OpenEXR": ("mage_stac/passes.py",),
    "distributed": ("mage_stac/cluster.py", "mage_stac/jobs.py"),
}
"""Module -> the only places that may import it."""


def imports(path: Path) -> set[str]:
    """Absolute names of the modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def uses(names: set[str], module: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for name in names)


@pytest.mark.parametrize("module", ONLY_IN)
def test_each_heavy_module_stays_in_its_place(module: str) -> None:
    strays = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if uses(imports(path), module) and not str(path.relative_to(ROOT)).startswith(ONLY_IN[module])
    ]
    assert not strays


def test_the_library_imports_neither_cli_nor_renderers() -> None:
    for path in SOURCES:
        if path.is_relative_to(ROOT / "mage_stac"):
            names = imports(path)
            assert not [n for n in ("cli", "renderers", "mage_stac.cli", "mage_stac.renderers") if uses(names, n)], path


def test_renderers_import_only_stdlib_numpy_and_bpy() -> None:
    allowed = set(sys.stdlib_module_names) | {"numpy", "bpy", "mathutils", "renderers"}
    for path in SOURCES:
        if path.is_relative_to(ROOT / "renderers"):
            assert {name.split(".")[0] for name in imports(path)} <= allowed, path


def test_no_module_is_named_after_nothing() -> None:
    assert not [p for p in SOURCES if p.stem in {"utils", "base", "core", "common", "helpers", "misc"}]


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, mage_stac.cli.app; print([m for m in ('torch', 'bpy', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
