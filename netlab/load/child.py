"""The load's process as its parent holds it: start, order, report, end.

Every wait for it ends: with a report, with the end of the process, or in time. An
interrupt waits until the process is made and somebody holds it.
Its standard error is kept in a file without a name, so that a process that dies
can be quoted and never prints into a notebook's cell.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Any

START_TIMEOUT_S = 30.0  # a Python that imports NumPy, on a busy machine
PROGRESS_S = 0.1  # between two looks at the rows
PACKAGE_PARENT = Path(__file__).parents[2]


class ChildGone(RuntimeError):
    """The load's process ended, or did not report in time."""


class Child:
    """One process that serves loads; see `netlab.load.process` for its orders."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - `_end` closes it
        self._control, self._errors = ours, errors
        try:
            with theirs, interrupts_held_back():
                self._process = _start(theirs, errors)
                self._finalizer = weakref.finalize(
                    self, _end, self._process, ours, errors
                )
            self.report(START_TIMEOUT_S)
        except BaseException:
            if hasattr(self, "_finalizer"):
                self.end()
            ours.close()
            errors.close()
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
        readable = select.poll()  # not select.select: it ends at descriptor 1,023
        readable.register(self._control, select.POLLIN)
        while not readable.poll(PROGRESS_S * 1000):
            advance()
            if time.monotonic() > deadline:
                raise ChildGone(f"the load's process said nothing for {limit_s:.0f} s")
        line = b""
        with contextlib.suppress(ConnectionError):
            line = self._control.recv(1 << 16)
        if not line:
            raise ChildGone(self._last_words())
        advance()
        return json.loads(line)

    def _last_words(self) -> str:
        """Return how the process ended, with the last line it wrote."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        status = self._process.returncode
        how = f"was killed by signal {-status}" if status and status < 0 else "ended"
        return f"the load's process {how}: {lines[-1] if lines else 'it left no word'}"


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Let a KeyboardInterrupt wait until the block is over.

    In the middle of `Popen` it would leave a process that nobody holds. Only the
    main thread is ever interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda *call: came.append(call))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came and callable(before):
            before(*came[0])


def _start(control: socket.socket, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "netlab.load.process", str(control.fileno())],
        pass_fds=[control.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env=os.environ | {"PYTHONPATH": path.rstrip(os.pathsep)},
    )


def _end(
    process: subprocess.Popen[bytes], control: socket.socket, errors: IO[bytes]
) -> None:
    control.close()
    process.kill()
    process.wait()
    errors.close()
