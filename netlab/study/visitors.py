"""Clients that visit one server, from a process of their own, and write down when.

Facts. A client in the server's own process competes with it for the interpreter: while
an interpreted worker computes, every call of the client waits some milliseconds for the
GIL, and a `connect` that the kernel answers at once would look slow.

Decision. The visits run in a fresh process without NumPy, which starts in a fraction of
a second. After one visit that nobody counts, which pays for what is slow the first
time, all begin together: each client connects, then each asks, in the same order, and
none waits for an answer. From then on one loop notes when each answer begins, and
leaves when the client's stay is over. All times are of one monotonic clock, in ms from
the first `connect`.

Known limit: the loop wakes up to a millisecond late, and a stay is that much longer.

Not in this file: what is asked of whom, and why (`firsts`).
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from netlab.kernel.child import Module

PATIENCE_S = 5.0  # more than what the visits take by themselves
START_S = 30.0  # a Python that starts on a busy machine
READ_BYTES = 1 << 16


class Visit(NamedTuple):
    """What a client does: asks for so much work, stays on when answered, and leaves."""

    work_ms: float = 0
    stay_ms: float = 0


class Visited(NamedTuple):
    """When it did it, in ms from the first client's connect."""

    connected_ms: float
    sent_ms: float
    answered_ms: float
    left_ms: float


def visited(address: Sequence[object], visits: Sequence[Visit]) -> list[Visited]:
    """Send these clients to a server, in this order and all at once; return when.

    Raises RuntimeError if one of them got no answer within PATIENCE_S more than all
    visits take one after the other.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = Module(__name__, theirs.fileno())
        theirs.close()
        try:
            ours.sendall(json.dumps([list(address)[:2], visits]).encode() + b"\n")
            ours.settimeout(START_S + 2 * _limit_s(visits))
            said = ours.makefile("rb").readline()
            if not said:
                raise RuntimeError(f"the clients' process {process.last_words()}")
        finally:
            process.end()
    return [Visited(*one) for one in json.loads(said)]


def _limit_s(visits: Sequence[Visit]) -> float:
    return PATIENCE_S + sum(one.work_ms + one.stay_ms for one in visits) / 1000


class _Guest:
    """One client while it visits."""

    def __init__(self, address: tuple[str, int], visit: Visit, clock: _Clock) -> None:
        self.visit = visit
        self.socket = socket.create_connection(address, PATIENCE_S)
        self.connected_ms = clock.now_ms()
        self.sent_ms = self.answered_ms = self.left_ms = None

    def ask(self, clock: _Clock) -> None:
        """Send the request."""
        work_us = round(self.visit.work_ms * 1000)
        path = f"/spin/{work_us}" if work_us else "/"
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        self.sent_ms = clock.now_ms()

    def hear(self, clock: _Clock) -> None:
        """Take the answer, or what there is of it."""
        if not self.socket.recv(READ_BYTES):
            raise ConnectionError("the server ended a connection unanswered")
        self.answered_ms = self.answered_ms or clock.now_ms()

    def leave_if_due(self, clock: _Clock) -> None:
        """End the visit when its stay is over."""
        if self.answered_ms is not None and self.due_ms() <= clock.now_ms():
            self.socket.close()
            self.left_ms = clock.now_ms()

    def due_ms(self) -> float:
        """When it will leave; never, as long as it has no answer."""
        answered = float("inf") if self.answered_ms is None else self.answered_ms
        return answered + self.visit.stay_ms


class _Clock:
    def __init__(self) -> None:
        self.began_ns = time.perf_counter_ns()

    def now_ms(self) -> float:
        return round((time.perf_counter_ns() - self.began_ns) / 1e6, 3)


def _visit(address: tuple[str, int], visits: Sequence[Visit]) -> list[Visited]:
    """Be all clients."""
    clock, limit_ms = _Clock(), 1000 * _limit_s(visits)
    with ExitStack() as stack:
        guests = [_Guest(address, visit, clock) for visit in visits]
        for guest in guests:
            stack.enter_context(guest.socket)
        for guest in guests:
            guest.ask(clock)
        while here := [guest for guest in guests if guest.left_ms is None]:
            if clock.now_ms() > limit_ms:
                number = 1 + guests.index(here[0])
                raise TimeoutError(f"client {number} got no answer in {limit_ms:g} ms")
            _listen(here, clock)
    return [
        Visited(*(getattr(one, name) for name in Visited._fields)) for one in guests
    ]


def _listen(here: list[_Guest], clock: _Clock) -> None:
    """Wait until one is answered or may leave, and see to it."""
    poll, by_descriptor = select.poll(), {one.socket.fileno(): one for one in here}
    for descriptor, guest in by_descriptor.items():
        if guest.answered_ms is None:
            poll.register(descriptor, select.POLLIN)
    wait_ms = min([100.0, *(one.due_ms() - clock.now_ms() for one in here)])
    for descriptor, _ in poll.poll(max(0.0, wait_ms)):
        by_descriptor[descriptor].hear(clock)
    for guest in here:
        guest.leave_if_due(clock)


def main(control: int) -> None:
    """Serve one order over the descriptor, and end."""
    with socket.socket(fileno=control) as parent:
        order = parent.makefile("rb").readline()
        (host, port), visits = json.loads(order)
        _visit((host, port), [Visit()])
        found = _visit((host, port), [Visit(*one) for one in visits])
        parent.sendall(json.dumps(found).encode() + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
