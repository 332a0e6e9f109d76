"""A thread that does one thing at a steady rate, and says what that costs.

Facts. A thread that dies of an error prints it, in a notebook under whichever cell runs
by then. A thread that holds what holds it never lets go. A `join` that is interrupted
takes the thread for ended, though it runs (Python 3.11 and 3.12).

Decision. The thread ends when its act says so (False), when it is told to, or with the
process; then it does one thing more, `at_end`, and is gone. An error in either is kept
in `error` and not printed. Who looks at threads in /proc has its files kept open
meanwhile. An act that comes too late is not made up for.

What may not be put here: what is done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from netlab.kernel import threads

PATIENCE_S = 5.0  # for the last act of a thread that was told to end


class Regularly:
    """Calls `act` every 1/rate_per_s seconds from `start` on, in a thread."""

    def __init__(
        self,
        name: str,
        rate_per_s: float,
        act: Callable[[], bool],
        at_end: Callable[[], None],
    ) -> None:
        self.rate_per_s, self.error = rate_per_s, None
        self._act, self._at_end = act, at_end
        self._told, self._over = threading.Event(), threading.Event()
        self._acts = self._used_ns = 0
        self._began_s = self._now_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __repr__(self) -> str:
        ms, percent = self.cost()
        return f"<{self._thread.name}: {ms:.1f} ms an act, {percent:.1f} % of one CPU>"

    def start(self) -> None:
        """Begin, with the first act after one interval."""
        self._began_s = time.monotonic()
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the thread lives."""
        return self._thread.ident is not None and not self._over.is_set()

    def end(self) -> None:
        """Have it end and wait for that; more calls do nothing."""
        self._told.set()
        if self.running and self._thread is not threading.current_thread():
            self._over.wait(PATIENCE_S)

    def wait(self) -> None:
        """Wait for its end."""
        self._over.wait()

    def cost(self) -> tuple[float, float]:
        """Return the CPU time of an act, in ms, and of all, in percent of one CPU."""
        ms = self._used_ns / 1e6
        took_ms = 1000 * (self._now_s - self._began_s)
        return ms / max(self._acts, 1), 100 * ms / max(took_ms, 1.0)

    def _run(self) -> None:
        threads.set_name(self._thread.name, threading.get_native_id())
        with threads.kept_open():
            self._caught(self._act_regularly)
            self._caught(self._at_end)
        self._over.set()

    def _caught(self, part: Callable[[], None]) -> None:
        try:
            part()
        except Exception as error:
            self.error = self.error or error

    def _act_regularly(self) -> None:
        due_s = time.monotonic()
        while True:
            due_s = max(due_s + 1 / self.rate_per_s, time.monotonic())
            if self._told.wait(due_s - time.monotonic()) or not self._act():
                return
            self._acts += 1
            self._used_ns, self._now_s = time.thread_time_ns(), time.monotonic()
