"""The original's picture: `ps ax -L -o pid,tid,psr,pcpu,comm`, as a table.

Facts. PSR is the CPU a thread ran on LAST, also if it has slept since; and
%CPU is its CPU time over its whole life, not its load now. Both are read from
/proc, as `ps` does. One row differs: some versions of `ps -L` (procps 4.0.2 was
seen to) give the main thread the percentage of the whole process; here it is that
of the thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.kernel import threads
from netlab.watch.members import tids_of

if TYPE_CHECKING:
    import pandas as pd

    from netlab.watch.watched import Watched

SHORTEST_AGE_S = 0.01  # a clock tick, the kernel's own measure of a thread's start
COLUMNS = ("pid", "tid", "psr", "pcpu", "comm")


def ps(target: Watched | int) -> pd.DataFrame:
    """Return a row per thread: pid, tid, psr, pcpu (percent), comm.

    target: a server (its process's main thread and its workers, as in the
        original's picture) or a process number (all of its threads). The pid is
        that of the thread's own process: workers may be processes.

    Raises ProcessLookupError if there is no such process.
    """
    import pandas as pd

    pid = target if isinstance(target, int) else target.pid
    whole = isinstance(target, int)
    tids = tids_of(pid) if whole else dict.fromkeys([pid, *target.tids])
    rows = [row for tid in tids if (row := _row(tid))]
    if not rows:
        raise ProcessLookupError(f"process {pid}: there is no such process")
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(tid: int) -> tuple[int, int, int, float, str] | None:
    """Return one thread's row; None if it has ended."""
    try:
        name, age_s = threads.name_and_age(tid)
        used_s = threads.usage_of(tid).cpu_ns / 1e9
        pcpu = round(100 * used_s / max(age_s, SHORTEST_AGE_S), 1)
        return threads.process_of(tid), tid, threads.cpu_of(tid), pcpu, name
    except threads.ThreadGone:
        return None
