"""Passes kept from one run to the next: another sensor, haze or shift of an equal scene then renders nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from mage_stac import __version__, blender
from mage_stac.cog import writing
from mage_stac.scene.geometry import files


class Session(blender.Session):
    """A Blender that is only asked for what `keep` does not hold yet; workers may share the folder."""

    def __init__(self, command: tuple[str, ...], *, keep: Path, **options: Any) -> None:
        super().__init__(command, **options)
        self._keep = keep

    def render(self, folder: Path, name: str) -> dict[str, float]:
        """As blender.Session.render; no seconds where all that the job wants was kept.

        Raises:
            CatalogueError: the disk refuses.
        """
        job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        passes = [f"{one}.exr" for one in job.pop("passes")]
        held = self._keep / _key(job, files(folder))
        if all((held / one).is_file() for one in passes):
            with writing(folder):
                for one in passes:
                    shutil.copyfile(held / one, folder / one)
            return {}
        seconds = super().render(folder, name)
        with writing(held):
            held.mkdir(parents=True, exist_ok=True)
            for one in passes:
                partial = held / f".{one}.{os.getpid()}"
                shutil.copyfile(folder / one, partial)
                partial.replace(held / one)
        return seconds


def _key(job: dict[str, Any], geometry: list[Path]) -> str:
    """What a render depends on: of a view straight down not the azimuth, though each sensor's shots draw one."""
    if not job["view"]["off_nadir"]:
        job["view"]["azimuth"] = 0.0
    content = hashlib.sha256(json.dumps([__version__, job], sort_keys=True).encode())
    for path in geometry:
        content.update(path.read_bytes())
    return content.hexdigest()[:32]
