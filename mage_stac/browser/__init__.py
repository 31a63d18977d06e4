"""STAC Browser, built: its files as they go over the wire. `make browser` builds it anew from recipe/."""

from __future__ import annotations

import tarfile
from functools import cache
from importlib import resources

ARCHIVE = "stac-browser.tar.xz"


@cache
def files() -> dict[str, bytes]:
    """Name -> content of each file of the built browser, `index.html` and `licences.txt` (of all it holds) among them.

    All its addresses begin with /browser/, and its options come from /browser/config.js.
    """
    with (
        resources.files(__package__).joinpath(ARCHIVE).open("rb") as packed,
        tarfile.open(fileobj=packed, mode="r:xz") as archive,
    ):
        return {
            member.name.removeprefix("./"): reader.read()
            for member in archive
            if (reader := archive.extractfile(member)) is not None
        }
