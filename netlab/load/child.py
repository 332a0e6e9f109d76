"""The load's process as its parent holds it: start, order, report, end.

Every wait for it ends: with a report, with the end of the process, or in time. The
process compiles its loop before it is ready. That takes some seconds the first time,
and whoever waits is told.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import psutil

from netlab.kernel.child import Module, finalized, interrupts_held_back

START_TIMEOUT_S = 30.0  # a Python that imports NumPy and Numba, on a busy machine
COMPILE_TIMEOUT_S = 120.0  # compiling takes below 15 s on an idle one
PATIENCE_S = 2.0  # of CPU time, see `kernel.native`: loading takes 0.5
PROGRESS_S = 0.1  # between two looks at the rows
REPORT_BYTES = 1 << 16


class ChildGone(RuntimeError):
    """The load's process ended, or did not report in time."""


class Child:
    """One process that serves loads; see `netlab.load.process` for its orders."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._control, self._heard = ours, b""
        try:
            with theirs, interrupts_held_back():
                self._process = Module("netlab.load.process", theirs.fileno())
                self._finalizer = finalized(self, _end, self._process, ours)
            self.report(START_TIMEOUT_S)
            self.report(COMPILE_TIMEOUT_S, _Patience(self.pid).look)
        except BaseException:
            if hasattr(self, "_finalizer"):
                self.end()
            ours.close()
            raise

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def end(self) -> None:
        """Kill the process and wait for it; more calls do nothing."""
        self._finalizer()

    def send(self, order: dict[str, Any], descriptors: Iterable[int] = ()) -> None:
        """Send an order, with the descriptors that it is about."""
        line = json.dumps(order).encode() + b"\n"
        try:
            socket.send_fds(self._control, [line], list(descriptors))
        except OSError as error:
            raise ChildGone(self._last_words()) from error

    def report(
        self, limit_s: float, advance: Callable[[], object] = lambda: None
    ) -> dict[str, Any]:
        """Return the next report; calls `advance` every PROGRESS_S meanwhile."""
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._heard:
            self._heard += self._hear(deadline, limit_s, advance)
        line, _, self._heard = self._heard.partition(b"\n")
        advance()
        return json.loads(line)

    def _hear(
        self, deadline: float, limit_s: float, advance: Callable[[], object]
    ) -> bytes:
        """Return what the process says next."""
        readable = select.poll()  # not select.select: it ends at descriptor 1,023
        readable.register(self._control, select.POLLIN)
        while not readable.poll(PROGRESS_S * 1000):
            advance()
            if time.monotonic() > deadline:
                raise ChildGone(f"the load's process said nothing for {limit_s:.0f} s")
        said = b""
        with contextlib.suppress(ConnectionError):
            said = self._control.recv(REPORT_BYTES)
        if not said:
            raise ChildGone(self._last_words())
        return said

    def _last_words(self) -> str:
        return f"the load's process {self._process.last_words()}"


class _Patience:
    """Tells the person who waits what takes so long, once."""

    def __init__(self, pid: int) -> None:
        self.process = psutil.Process(pid)
        self.ends = self._worked_s() + PATIENCE_S

    def _worked_s(self) -> float:
        used = self.process.cpu_times()
        return used.user + used.system

    def look(self) -> None:
        """Look at how long the process has worked."""
        with contextlib.suppress(psutil.Error):  # it ended: its last words say more
            if self._worked_s() >= self.ends:
                self._tell()

    def _tell(self) -> None:
        self.ends = float("inf")
        sys.stderr.write(
            "netlab: compiling the load's loop; once, later starts find it ready\n"
        )


def _end(process: Module, control: socket.socket) -> None:
    control.close()
    process.end()
