"""What a user gets who installs the wheel: one package, one command."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a clean export, so that the checkout gets no build folder
    source.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in listed:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_one_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mage_stac"}
    assert "mage_stac/renderers/__main__.py" in names
    assert any(name.startswith("mage_stac/catalogs/") and name.endswith(".toml") for name in names)
    assert not [name for name in names if name.startswith("mage_stac/catalogs/example")]


def test_it_installs_into_a_clean_environment_and_helps_from_any_folder(wheel: Path, tmp_path: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    environment = tmp_path / "clean"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    # The lock as constraint: the very versions that `make setup` has put into uv's cache.
    install = [uv, "pip", "install", "--quiet", "--python", str(environment / "bin/python")]
    subprocess.run([*install, "--constraint", str(ROOT / "requirements.lock"), str(wheel)], check=True)
    files = subprocess.run(
        [
            str(environment / "bin/python"),
            "-I",  # not the checkout's own metadata
            "-c",
            "import importlib.metadata as m; print(*m.files('mage-stac'), sep='\\n')",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    tops = {name.split("/")[0] for name in files if not name.startswith("..")}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mage_stac"}
    helped = subprocess.run(
        [str(environment / "bin/mage-stac"), "--help"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "predict" in helped.stdout
