"""Folders to write to: whether they can be written, one put in another's place, and none left that stayed empty."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mage_stac.errors import CatalogueError, reason


@contextmanager
def none_empty(*folders: Path) -> Iterator[None]:
    """Remove in the end what was made meanwhile of some folders, and of those above them, and is empty."""
    missing = {one for folder in folders for one in _line(folder) if not os.path.lexists(one)}
    try:
        yield
    finally:
        for one in sorted(missing, key=lambda path: len(path.parts), reverse=True):
            with suppress(OSError):  # not empty, or never made
                one.rmdir()


def _line(folder: Path) -> tuple[Path, ...]:
    """A folder and all those above it."""
    whole = folder.absolute()
    return whole, *whole.parents


def check_writable(folder: Path) -> None:
    """See that files can be written to a folder, which need not be there yet; nothing stays of the trial.

    Raises:
        CatalogueError: they cannot.
    """
    try:
        with none_empty(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):  # modes would not tell: they bind neither root nor every disk
                pass
    except OSError as error:
        raise CatalogueError(f"--out {folder} cannot be written to: {reason(error)}; give another folder") from error


def aside(final: Path) -> Path:
    """Where a folder steps while another is put in its place."""
    return final.with_name(f".{final.name}.old")


def replace(new: Path, final: Path) -> None:
    """Rename a folder over another: the old one steps aside first, and comes back if the rename fails.

    Raises:
        OSError: it fails.
    """
    if not final.exists():
        new.rename(final)
        return
    old = aside(final)
    shutil.rmtree(old, ignore_errors=True)
    final.rename(old)
    try:
        new.rename(final)
    except BaseException:
        old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)
