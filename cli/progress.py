"""Progress bars on stderr, so that stdout holds only what was made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mage_stac.progress import Step


@contextmanager
def bar(label: str) -> Iterator[Step]:
    """Yield a function (done, total, what) that draws a bar named `label`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=None)

        def step(done: int, total: int, what: str = "") -> None:
            progress.update(task, completed=done, total=total, description=f"{label} {what}".strip())

        yield step
