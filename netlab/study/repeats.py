"""The same run several times in one process, and the middle of what it showed.

The first run of a fresh process is never reported: it pays for imports, for the
first pages of memory and for cold code. A short uncounted one goes before.
"""

from __future__ import annotations

import statistics
from typing import Any

from netlab.study.interleave import Point, interleaved
from netlab.study.run import Run

OF_THE_LAST = ("jain",)


def repeated(repeats: int = 1, progress: bool = True, **settings: Any) -> list[Run]:
    """Return `repeats` runs with the same settings, after an uncounted warm-up."""
    found = interleaved([Point({}, settings)], repeats, progress=progress)
    return [measured.run for measured in found]


def summary(runs: list[Run]) -> dict[str, Any]:
    """Return settings, machine and figures of the runs as one flat dict.

    Numbers are medians over the runs; lists, texts and dicts are the last run's,
    and so is `jain`, which belongs to the list `accepts`; truths hold for all.
    `repeats` has every run's own figures.
    """
    last = runs[-1]
    middle = {
        name: _middle([run.figures[name] for run in runs])
        for name in last.figures
        if name not in OF_THE_LAST
    }
    return last.summary() | middle | {"repeats": [run.figures for run in runs]}


def _middle(values: list[Any]) -> Any:
    if all(isinstance(value, bool) for value in values):
        return all(values)
    if all(isinstance(value, (int, float)) for value in values):
        return statistics.median(values)
    return values[-1]
