"""What the study of the engines claims, and why each threshold is where it is.

    ALONE 1.25      times the requests/s, by a second worker: measured 0.8 to 1.0 under
                    the GIL, where 1 would be nothing gained
    BOTH 1.4        the same where workers need no common lock: measured 1.7 to 1.95.
                    Two CPUs would give 2, less what the load's clients need
    OFF_PERCENT 5   wake-ups against the number of workers, one connection at a time:
                    measured 0 to 1 % more (`claims_waking` has the same)
    MORE 1.3        times the workers, the wake-ups of LARGEST interpreted threads under
                    the GIL: measured 1.7 to 2.1

What is replayed beside a live run is judged with it: the verdict is on the table.
What may not be put here: how several cases become one verdict (`cases`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netlab.study.cases import each, only, repeats_of
from netlab.study.claims_waking import OFF_PERCENT, off_percent
from netlab.study.verdicts import Verdict

if TYPE_CHECKING:
    import pandas as pd

    from netlab.study.found import Found

ALONE, BOTH, MORE = 1.25, 1.4, 1.3
LOCKED = ("GIL threads", "free threads, GIL on")
UNLOCKED = ("processes", "compiled threads", "free threads")


def engines(found: Found) -> Iterator[Verdict]:
    """Judge what a second worker gains, and what a connection wakes."""
    table = found.tables["engines"]
    gained = repeats_of(speed_up(table), "times", "run_by")
    claim = "Under the GIL a second worker adds nothing to work in the interpreter."
    yield each(claim, only(gained, LOCKED), high=ALONE, unit="times the requests/s")
    claim = "Processes, compiled threads and threads without a GIL use a second CPU."
    yield each(claim, only(gained, UNLOCKED), low=BOTH, unit="times the requests/s")
    touched = table.query("load == 'touch'")
    touched = touched.assign(
        off=off_percent(touched["wakeups_per_accept"], touched["workers"])
    )
    free = touched.query("run_by in @UNLOCKED")
    claim = "Without a common lock a connection wakes each worker once."
    yield each(claim, _by_team(free), -OFF_PERCENT, OFF_PERCENT, "% above their number")
    largest = touched.query("workers == workers.max()")
    largest = largest.assign(times=1 + largest["off"] / 100)
    woken = repeats_of(largest, "times", "run_by")
    claim = "Under the GIL it wakes them more often than there are workers."
    yield each(claim, only(woken, LOCKED), low=MORE, unit="times their number")


def speed_up(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per way and repeat: run_by, repeat, times (two workers by one)."""
    work = table.query("load == 'work'")
    rates = work.pivot_table("requests_per_s", ["run_by", "repeat"], "workers")
    rates = rates.reindex(columns=[1, 2])
    return rates.assign(times=rates[2] / rates[1]).dropna().reset_index()


def _by_team(table: pd.DataFrame) -> dict[str, list[float]]:
    named = table["run_by"] + ", " + table["workers"].astype(str) + " workers"
    return repeats_of(table.assign(case=named), "off", "case")
