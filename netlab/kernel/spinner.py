"""A process that does nothing but use a CPU: something to share a CPU with.

Facts. A thread of this process would share more than the CPU: the interpreter's lock.
A process that is stopped by nobody would go on for ever, and be somebody's noise.

Decision. It is a process of its own, bound to one CPU. It looks every LOOK_NS whether
whoever started it still holds the other end of its socket, and never spins longer than
LIMIT_S. It does not sleep in between: looking is a system call that returns at once.

What may not be put here: measuring it (`threads`).
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from contextlib import ExitStack, suppress

from netlab.kernel.child import Module

LIMIT_S = 60.0  # longer than any look at it
LOOK_NS = 1_000_000
START_S = 30.0  # a Python that starts on a busy machine


class Spinner:
    """Keeps one CPU busy inside a `with` block; its thread is `tid`.

    Raises ValueError if the CPU is not one that this process may use, RuntimeError if
    the process does not start.
    """

    def __init__(self, cpu: int) -> None:
        allowed = os.sched_getaffinity(0)
        if cpu not in allowed:
            raise ValueError(f"cpu={cpu!r}: this process may use {sorted(allowed)}")
        self.cpu = cpu
        self.tid = 0

    def __enter__(self) -> Spinner:
        with ExitStack() as stack:
            ours, theirs = socket.socketpair()
            stack.callback(ours.close)
            with theirs:
                process = Module("netlab.kernel.spinner", theirs.fileno())
            stack.callback(process.end)
            ours.settimeout(START_S)
            heard = b""
            with suppress(ConnectionError):  # it died before it listened
                ours.sendall(b"%d\n" % self.cpu)
                heard = ours.recv(1)
            if not heard:
                raise RuntimeError(f"the spinner {process.last_words()}")
            self.tid, self._open = process.pid, stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __repr__(self) -> str:
        return f"<netlab.Spinner on CPU {self.cpu}: thread {self.tid}>"


def main(descriptor: int) -> None:
    """Spin until the other end is gone."""
    with socket.socket(fileno=descriptor) as control:
        os.sched_setaffinity(0, {int(control.recv(16))})
        control.sendall(b".")
        held = select.poll()
        held.register(control, select.POLLIN)
        until_ns = time.monotonic_ns() + int(LIMIT_S * 1e9)
        while time.monotonic_ns() < until_ns and not held.poll(0):
            spin(LOOK_NS)


def spin(long_ns: int) -> None:
    """Keep the CPU busy for so long."""
    until_ns = time.monotonic_ns() + long_ns
    while time.monotonic_ns() < until_ns:
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]))
