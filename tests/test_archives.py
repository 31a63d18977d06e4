from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from mage_stac.cli import app

from mage_stac import archives, query, vectors
from mage_stac.errors import AssetError
from mage_stac.scene import sources


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """A few hundred bytes whose directory says 50 GB."""
    path = tmp_path / "houses.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(10):
            archive.writestr(f"houses{number}.geojson", "[" * 1000)
        for entry in archive.filelist:
            entry.file_size = 5_000_000_000
    return path


def test_a_bomb_is_refused_wherever_files_are_read(bomb: Path) -> None:
    for read in (archives.checked, vectors.read, query.area, lambda path: sources.identify([path])):
        with pytest.raises(AssetError, match=r"houses\.zip says that its 0\.0 MB unpack to 50 GB") as error:
            read(bomb)
        assert "\n" not in str(error.value)


def test_the_command_line_says_it_in_one_line(
    bomb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["mage-stac", "render", "--place", str(bomb), "--hazard", "wind", "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as stopped:
        app.main()
    assert stopped.value.code == 1
    said = capsys.readouterr().err.strip()
    assert "as a zip bomb does: unpack it yourself if you trust it" in said
    assert len(said.splitlines()) == 1


def test_bombs_whose_entries_share_their_bytes_are_counted_entry_by_entry(tmp_path: Path) -> None:
    """As of D. Fifield, A better zip bomb (WOOT 2019)."""
    path = tmp_path / "shared.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kernel", b"\0" * 10_000_000)
        (kernel,) = archive.filelist
        archive.filelist += [kernel] * 999
        assert len(archive.infolist()) == 1000
    with pytest.raises(AssetError, match="unpack to 10 GB"):
        archives.checked(path)


def test_what_compresses_well_and_what_is_large_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * 1_000_000)
    archives.checked(path)  # 1000 times its size, but small
    monkeypatch.setattr(archives, "ROOM", 100_000)
    with pytest.raises(AssetError):
        archives.checked(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("zeros", b"\0" * 1_000_000)
    archives.checked(path)  # large, but as large packed
    (tmp_path / "no.zip").write_text("no archive")
    archives.checked(tmp_path / "no.zip")
