"""The progress bar of a study, which leaves neither a thread nor a process behind."""

from __future__ import annotations

from typing import Any

from netlab.load.generator import BAR_LOCK


def bar(total: int, shown: bool, unit: str = "runs") -> Any:
    """Return a bar (of tqdm) with the time that is left; a `with` block ends it."""
    from tqdm.auto import tqdm

    class Bar(tqdm):
        monitor_interval = 0  # else tqdm leaves a thread behind, shown or not

    Bar.set_lock(BAR_LOCK)  # else it makes one for processes
    return Bar(total=total, unit=unit, disable=not shown, leave=False)
