"""Watch a server that is not ours: the threads of any process and its descendants.

Facts. A server from elsewhere publishes no counters. But the kernel keeps an account of
every thread (kernel.threads) and shows it to anybody, unless /proc is mounted to hide
it. An account runs from the thread's start and goes with the thread. Which processes
make one server the kernel tells by parentage only, and a process whose parent has ended
is given to another one.

Decision. Counts are differences since `attach`. A thread that begins later counts from
its start and is marked new; one that ended keeps what was last seen of it and is marked
ended. A process once found is followed until it ends, whoever its parent is by then;
psutil knows it by its start, not by its number alone.

`tids`, `snapshot` and `trace` are of the threads found at first, so that a Sampler has
as many rows at each look; `table` is of all.

Cost. `table` asks every process of the machine for its parent: 2 to 8 ms for nginx with
two workers among some 100 processes. `snapshot` looks at its threads only: 0.3 to
0.4 ms (Linux 6.18, 2 CPUs, idle and busy with other work, means of 200 calls).

Known limits. What a thread did between the last look and its end is lost, and one that
lives shorter than that is never seen. A Sampler ends with the first of its threads that
ends. Nothing is kept open between two looks, so there is nothing to close.

What may not be put here: anything that asks the server, or changes it.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import psutil

from netlab import counters
from netlab.checks import whole_number
from netlab.kernel import threads
from netlab.watch.members import COLUMNS, NOTHING, Member, descendants, lives, tids_of
from netlab.watch.rates import check_seconds, per_second

if TYPE_CHECKING:
    import pandas as pd

    from netlab.watch.trace import Trace

PID_LIMIT = 1 << 22  # PID_MAX_LIMIT of include/linux/threads.h
ENDED_LIMIT = 10_000  # rows; a server that forks for each connection ends many
STATES = (counters.State.READY, counters.State.ENDED)  # by `ended`


class Attached:
    """A server that is watched from outside; `attach` makes it.

    It can be given to a Sampler. Of the counters, `tid`, `cpu`, `wakeups`,
    `preemptions` and `cpu_ns` are filled; the others are 0.
    """

    def __init__(self, pid: int, *, children: bool = True) -> None:
        self.pid = pid
        self._main = psutil.Process(pid)
        self._processes = {pid: self._main}
        self._with_children = children
        self._living: dict[int, Member] = {}
        self._ended: deque[Member] = deque(maxlen=ENDED_LIMIT)
        self._look(new=False)
        self._first = list(self._living.values())
        self.tids = tuple(self._living)

    def __repr__(self) -> str:
        processes = {member.pid for member in self._living.values()}
        return (
            f"<netlab.Attached: process {self.pid}, at the last look "
            f"{len(self._living)} threads in {len(processes)} processes>"
        )

    @property
    def running(self) -> bool:
        """Whether the process lives; when it has ended, its children still may."""
        try:
            return lives(self._main)
        except OSError:  # no descriptor left to look with
            return True

    def table(self) -> pd.DataFrame:
        """Look, and return a row per thread; those that have ended come last.

        Columns: `pid`, `tid`, `role` (main; child: the first thread of a descendant;
        thread: any other), `comm`, `psr` (the CPU it was last on), `wakeups`,
        `preemptions` and `cpu_ns` since `attach`, `new` (it began later), `ended`, and
        `time_ns` (CLOCK_MONOTONIC), when it was last seen.
        """
        import pandas as pd

        self._look(new=True)
        rows = [member.row() for member in (*self._living.values(), *self._ended)]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def rates(self, seconds: float = 1.0) -> pd.DataFrame:
        """Look, wait, look again: what each thread does now; see `per_second`."""
        check_seconds("seconds", seconds)
        before = self.table()
        time.sleep(seconds)
        return per_second(before, self.table())

    def snapshot(self) -> np.ndarray:
        """Look at `tids`; return counter rows (`counters.DTYPE`), shape (threads,).

        The state of a process that ended is `ENDED` when its parent has reaped it.
        """
        self._first = [member.seen() for member in self._first]
        rows = np.zeros(len(self._first), counters.DTYPE)
        rows["worker"] = range(len(self._first))
        rows["tid"] = self.tids
        rows["cpu"] = [member.psr for member in self._first]
        rows["state"] = [STATES[member.ended] for member in self._first]
        counts = [member.counted() for member in self._first]
        for name in counters.USAGE:
            rows[name] = [getattr(count, name) for count in counts]
        return rows

    def listeners(self) -> pd.DataFrame:
        """Return the server's TCP listeners: `address`, `queue`, `limit`, `pids`.

        Errors and meanings are those of `listening.listeners_of`.
        """
        from netlab.watch.listening import listeners_of

        return listeners_of(dict.fromkeys(self._find().values()))

    def trace(self, **settings: int) -> Trace:
        """Return the x-ray of the wake-ups of `tids`, for a `with` block; root only.

        settings: those of `trace.Trace`.
        """
        from netlab.watch.trace import Trace

        return Trace(self.tids, **settings)

    def _look(self, *, new: bool) -> None:
        """Find who is there, and see everybody once."""
        found = self._find()
        for tid, member in list(self._living.items()):
            self._living[tid] = now = member.seen()
            if now.ended or tid not in found:
                self._ended.append(self._living.pop(tid)._replace(ended=True))
        for tid in [tid for tid in found if tid not in self._living]:
            met = Member(found[tid], tid, self._role(found[tid], tid), new).seen()
            if not met.ended:
                before = NOTHING if new else met.usage
                self._living[tid] = met._replace(before=before)

    def _role(self, pid: int, tid: int) -> str:
        if tid != pid:
            return "thread"
        return "main" if pid == self.pid else "child"

    def _find(self) -> dict[int, int]:
        """Return the threads that live now: number, and number of the process."""
        if self._with_children:
            self._processes |= {one.pid: one for one in descendants(self._main)}
        living = {pid: one for pid, one in self._processes.items() if lives(one)}
        self._processes = living
        return {tid: pid for pid in living for tid in tids_of(pid)}


def attach(pid: int, *, children: bool = True) -> Attached:
    """Watch process `pid` from now on, with its descendants or without.

    pid: a process, this one too, or one of its threads.

    Raises ValueError for what is no such number, ProcessLookupError if there is no
    such process, PermissionError if the kernel hides it.
    """
    whole_number("pid", pid, 1, PID_LIMIT)
    try:
        attached = Attached(threads.process_of(pid), children=children)
    except (threads.ThreadGone, psutil.NoSuchProcess) as error:
        raise ProcessLookupError(f"process {pid}: there is no such process") from error
    except (PermissionError, psutil.AccessDenied) as error:
        raise PermissionError(
            f"process {pid}: /proc hides the processes of other users here (hidepid): "
            "watch as root, or one process of your own with children=False"
        ) from error
    if not attached.tids:
        raise ProcessLookupError(f"process {pid} has ended: there is nothing to watch")
    return attached
