"""A stage's counts from outside: the workers' rows, and the kernel's account of each.

A worker that had to report its wake-ups would have to be woken for it. So each thread's
account is read from /proc (`kernel.threads`), which wakes nobody. What happened before
all workers slept for the first time belongs to the start, and is subtracted.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from netlab import counters
from netlab.kernel.threads import ThreadGone, settle, usage_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from netlab.records import Rows


class Counted:
    """What can be watched: its threads, and a row of counters for each."""

    rows: Rows
    threads: list[threading.Thread]

    def begin_counting(self) -> None:
        """Count from the moment at which all workers sleep."""
        settle(self.tids)
        self.at_ready = self._read()

    def end_counting(self) -> None:
        """Keep the counts of now, before the stop wakes everybody."""
        self.at_stop = self.snapshot()

    @property
    def running(self) -> bool:
        """Whether it was started, and not stopped."""
        return bool(self.threads)

    @property
    def pid(self) -> int:
        """The process that the workers are threads of."""
        return os.getpid()

    @property
    def tids(self) -> tuple[int, ...]:
        """The kernel's number of each worker's thread."""
        return tuple(thread.native_id or 0 for thread in self.threads)

    def snapshot(self) -> np.ndarray:
        """Return the counter rows; of a stopped server, those at its stop."""
        if not self.running:
            return self.at_stop.copy()
        rows = self._read()
        for name in counters.USAGE:
            rows[name] -= self.at_ready[name]
        return rows

    def counters(self) -> pd.DataFrame:
        """Return a row per worker: turns, accepts, would-blocks, wake-ups and more."""
        return counters.table(self.snapshot())

    def _read(self) -> np.ndarray:
        """Return the rows, with what the kernel knows of each worker's thread."""
        rows = self.rows.copy()
        for number, tid in enumerate(self.tids):
            try:
                usage = usage_of(tid)
            except ThreadGone:  # it died; its account died with it
                usage = [self.at_ready[name][number] for name in counters.USAGE]
            for name, value in zip(counters.USAGE, usage, strict=True):
                rows[name][number] = value
        return rows
