"""Progress: how long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Step = Callable[[int, int, str], None]
"""Called with what is done, what there is to do, and what is being done."""
