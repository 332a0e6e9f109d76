"""What threads do now: the difference of two looks, by the time between them."""

from __future__ import annotations

import errno
import math
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netlab.checks import finite
from netlab.kernel.threads import Usage

if TYPE_CHECKING:
    import pandas as pd

    from netlab.watch.attach import Attached

COLUMNS = ("pid", "tid", "psr", "pcpu", "wakeups_per_s", "preemptions_per_s", "comm")
SHORTEST_S = 0.05  # below it, the watching is the load
LONGEST_S = 86_400.0  # a day
NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


def per_second(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Return what each living thread did between two tables of one `Attached`.

    Columns: `pid`, `tid`, `psr`, `pcpu` (percent of one CPU in that time),
    `wakeups_per_s`, `preemptions_per_s`, `comm`. What began meanwhile is told as if it
    had been there from the first look on.
    """
    now = after[~after["ended"]].set_index("tid", drop=False)
    then = before[~before["ended"]].set_index("tid").reindex(now.index)
    since_ns = then["time_ns"].fillna(before["time_ns"].max())
    seconds = (now["time_ns"] - since_ns) / 1e9
    counts = list(Usage._fields)
    per_s = (now[counts] - then[counts].fillna(0)).div(seconds, axis=0)
    rates = now.assign(
        pcpu=per_s["cpu_ns"] / 1e7,
        wakeups_per_s=per_s["wakeups"],
        preemptions_per_s=per_s["preemptions"],
    )
    return rates.reset_index(drop=True).loc[:, list(COLUMNS)].round(1)


def intervals(
    attached: Attached,
    over: threading.Event,
    interval_s: float = 1.0,
    seconds: float | None = None,
) -> Iterator[pd.DataFrame]:
    """Yield `per_second` of one interval after the other.

    Ends when `over` is set, after `seconds`, or with the process. A look for which
    there is no descriptor left is put off to the end of the next interval.
    """
    check_seconds("interval_s", interval_s)
    if seconds is not None:
        check_seconds("seconds", seconds)
    ends = time.monotonic() + (seconds or math.inf)
    before = attached.table()
    while attached.running and (left := ends - time.monotonic()) > 0:
        if over.wait(min(interval_s, left)):
            return
        if (after := _table_if_possible(attached)) is not None:
            yield per_second(before, after)
            before = after


def check_seconds(name: str, value: float) -> None:
    """Refuse what is no time to wait between two looks, with ValueError."""
    finite(name, value, SHORTEST_S)
    if value is None or value > LONGEST_S:
        raise ValueError(f"{name}={value}: give at most {LONGEST_S:.0f}, a day")


def _table_if_possible(attached: Attached) -> pd.DataFrame | None:
    try:
        return attached.table()
    except OSError as error:
        if error.errno not in NO_DESCRIPTOR:
            raise
        return None
