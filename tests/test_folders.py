from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from mage_stac import folders
from mage_stac.errors import CatalogueError


def everything(root: Path) -> set[Path]:
    return set(root.rglob("*"))


def test_a_trial_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("kept")
    before = everything(tmp_path)
    folders.check_writable(tmp_path / "there")
    folders.check_writable(tmp_path / "there" / "new" / "newer")
    assert everything(tmp_path) == before


def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders.check_writable(Path("a/b"))
    assert everything(tmp_path) == set()


def test_a_folder_below_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CatalogueError, match=r"--out .*file.* cannot be written to: .*; give another") as caught:
            folders.check_writable(out)
        assert "\n" not in str(caught.value)


def test_a_disk_that_takes_folders_but_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    with pytest.raises(CatalogueError, match="Read-only file system"):
        folders.check_writable(tmp_path / "new")
    assert everything(tmp_path) == set()


def test_only_what_was_made_meanwhile_and_is_empty_goes(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with folders.none_empty(tmp_path / "empty", tmp_path / "a" / "b", tmp_path / "a" / "c", tmp_path / "d"):
        (tmp_path / "a" / "b").mkdir(parents=True)
        (tmp_path / "a" / "c").mkdir()
        (tmp_path / "a" / "c" / "file").write_text("")
    assert everything(tmp_path) == {tmp_path / name for name in ("empty", "a", "a/c", "a/c/file")}
