"""Turns among idle descriptors, timed in a process of its own, for the study `idle`.

Facts. Ten thousand descriptors are more than most processes may have, and select knows
none above 1,023: whoever measures needs descriptors that begin at the lowest numbers,
and many of them. A notebook has sockets of its own, other threads, and a limit that
belongs to its reader.

Decision. Here nothing else runs. The process raises its own limit, and ends with it. A
turn is a call that waits, finding out who is ready, and one read from each of these.
Before it, a byte is written to each of the active ones, so that no wait is long and
each finds the same number; that is not timed. What is told of a point is the median
turn, in which an interrupt of the machine has no part.

The turn is done twice. In Python it is done by the loops of stage 3 (and `Poll`, which
is of the same form): that is what a reader's server pays. Compiled, it is the C
library's call and a scan of its result: what is left is the kernel's, and the little
that any program does.

Known limit: the same descriptors are looked at again and again, so they are in the
processor's caches as far as they fit. Between two turns of a server that works they
would not be, and looking at them would cost more.

The order, and what is said, are JSON, one a line:

    -> {"turns": N, "descriptors": N, "points": [[way, engine, idle, active], ...]}
    <- {"before": N, "limit": N}   the soft limit, before and raised
    <- {"turn_us": N}              of each point, in the order asked for
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from netlab.kernel import native
from netlab.kernel.libc import EPOLL_CTL_ADD, EPOLL_CTL_DEL
from netlab.kernel.limits import descriptor_limits, raised_descriptor_limit
from netlab.kernel.native import EPOLL_EVENT, address, int64, now_ns
from netlab.stages.loops import Epoll, Select

POLLFD = np.dtype([("fd", "int32"), ("events", "int16"), ("revents", "int16")])
IN = 1  # of poll and epoll alike
SET_BYTES = 128  # select's: a bit for each descriptor up to 1,023
READ_BYTES = 64
SELECT, POLL, EPOLL, ANEW = WAYS = ("select", "poll", "epoll", "anew")
BY_SELECT, BY_POLL, BY_EPOLL, BY_EPOLL_ANEW = range(len(WAYS))


class Sockets(NamedTuple):
    """Descriptors: those that are watched, the active first, and where to write."""

    watched: list[int]
    writers: list[int]


# --- in Python


class Poll:
    """Has a list of what to watch, which the kernel goes through at every turn."""

    def __init__(self) -> None:
        self.poll = select.poll()
        self.forget = self.poll.unregister

    def watch(self, descriptor: int) -> None:
        """Tell of a descriptor from now on."""
        self.poll.register(descriptor, select.POLLIN)

    def wait(self) -> list[int]:
        """Sleep until something is ready; return all that is."""
        return [descriptor for descriptor, _ in self.poll.poll()]

    def close(self) -> None:
        """Do nothing: it has no descriptor of its own."""


LOOPS: dict[str, Callable[[], Any]] = {SELECT: Select, POLL: Poll, EPOLL: Epoll}


def in_python(way: str, sockets: Sockets, took_ns: np.ndarray) -> None:
    """Time as many turns as there is room for."""
    loop = LOOPS[way]()
    for descriptor in sockets.watched:
        loop.watch(descriptor)
    for number in range(len(took_ns)):
        for writer in sockets.writers:
            os.write(writer, b"?")
        began_ns = time.perf_counter_ns()
        ready = loop.wait()
        for descriptor in ready:
            os.read(descriptor, READ_BYTES)
        took_ns[number] = time.perf_counter_ns() - began_ns
        _same(len(ready), len(sockets.writers))
    loop.close()


# --- compiled


@native.inlined
def _read(descriptor: int, room: np.ndarray) -> None:
    native.recv(descriptor, address(room), READ_BYTES, 0)


@native.inlined
def _bit(descriptor: int) -> int:
    return 1 << (descriptor & 7)


@native.jit
def _by_select(
    watched: np.ndarray, wanted: np.ndarray, found: np.ndarray, room: np.ndarray
) -> int:
    """Give the kernel a copy of the set, and look each descriptor up in it."""
    native.memcpy(address(found), address(wanted), SET_BYTES)
    count = native.select(watched[-1] + 1, address(found), 0, 0, 0)
    for descriptor in watched:
        if found[descriptor >> 3] & _bit(descriptor):
            _read(descriptor, room)
    return count


@native.jit
def _by_poll(polled: np.ndarray, room: np.ndarray) -> int:
    """Give the kernel the list, and go through it until all ready ones are found."""
    count = native.poll(address(polled), len(polled), -1)
    left = count
    for number in range(len(polled)):
        if polled[number]["revents"]:
            _read(polled[number]["fd"], room)
            left -= 1
            if left == 0:
                break
    return count


@native.jit
def _by_epoll(epoll: int, events: np.ndarray, anew: int, room: np.ndarray) -> int:
    """Take what is ready; anew: and tell epoll of each as if it had just come."""
    count = native.epoll_wait(epoll, address(events), len(events), -1)
    for number in range(count):
        descriptor = events[number]["fd"]
        _read(descriptor, room)
        if anew:
            native.epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, 0)
            events[number]["events"] = IN
            entry = address(events[number:])
            native.epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, entry)
    return count


@native.jit
def _turn(
    way: int,
    epoll: int,
    watched: np.ndarray,
    wanted: np.ndarray,
    found: np.ndarray,
    polled: np.ndarray,
    events: np.ndarray,
    room: np.ndarray,
) -> int:
    if way == BY_SELECT:
        return _by_select(watched, wanted, found, room)
    if way == BY_POLL:
        return _by_poll(polled, room)
    return _by_epoll(epoll, events, way == BY_EPOLL_ANEW, room)


def _make_turns() -> Callable[..., int]:
    made_of = native.digest(sys.modules[__name__])

    def turns(
        way: int, epoll: int, watched: np.ndarray, writers: np.ndarray, took: np.ndarray
    ) -> int:
        """Time turns; return how many found another number ready than was written."""
        if way == -made_of:  # never: it makes the digest a part of what is cached
            return 0
        wanted, found = np.zeros(SET_BYTES, np.uint8), np.zeros(SET_BYTES, np.uint8)
        polled, events = np.zeros(len(watched), POLLFD), np.zeros(1024, EPOLL_EVENT)
        for number in range(len(watched)):
            polled[number]["fd"], polled[number]["events"] = watched[number], IN
            if way == BY_SELECT:
                wanted[watched[number] >> 3] |= _bit(watched[number])
        room, clock, wrong = np.zeros(READ_BYTES, np.uint8), np.zeros(2, np.int64), 0
        for number in range(len(took)):
            for writer in writers:
                native.send(writer, address(room), 1, 0)
            began_ns = now_ns(clock)
            count = _turn(way, epoll, watched, wanted, found, polled, events, room)
            took[number] = now_ns(clock) - began_ns
            wrong += count != len(writers)
        return wrong

    return native.cached(turns)


_turns = _make_turns()


def compiled(way: str, sockets: Sockets, took_ns: np.ndarray) -> None:
    """Time as many turns as there is room for."""
    with select.epoll() as epoll:
        if way in (EPOLL, ANEW):
            for descriptor in sockets.watched:
                epoll.register(descriptor, IN)
        arrays = [np.array(one, np.int64) for one in sockets]
        wrong = _turns(int64(WAYS.index(way)), int64(epoll.fileno()), *arrays, took_ns)
    _same(int(wrong), 0)


ENGINES = {"python": in_python, "compiled": compiled}


# --- a point, and all of them


@contextmanager
def opened(idle: int, active: int, limit: int) -> Iterator[Sockets]:
    """Have so many sockets that can be watched, with the lowest numbers there are.

    What is written to comes last, below the limit, where it is in nobody's way.
    """
    sockets = Sockets([], [])
    spare: list[int] = []
    try:
        for _ in range(active):
            watched, writer = socket.socketpair()
            sockets.watched.append(watched.detach())
            with writer:
                high = fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, limit - active)
                sockets.writers.append(high)
        while len(sockets.watched) < active + idle:
            one, other = socket.socketpair()  # nobody writes to either
            sockets.watched.append(one.detach())
            spare.append(other.detach())
            if len(sockets.watched) < active + idle:
                sockets.watched.append(spare.pop())
        yield sockets
    finally:
        for descriptor in (*sockets.watched, *sockets.writers, *spare):
            os.close(descriptor)


class Asked(NamedTuple):
    """What is timed: a way of WAYS, one of ENGINES, and how many descriptors."""

    way: str
    engine: str
    idle: int
    active: int


def turn_us(asked: Asked, turns: int, limit: int) -> float:
    """Return the median of so many turns, in microseconds."""
    took_ns = np.zeros(turns, np.int64)
    with opened(asked.idle, asked.active, limit) as sockets:
        ENGINES[asked.engine](asked.way, sockets, took_ns)
    return round(float(np.median(took_ns)) / 1000, 3)


def main(descriptor: int) -> None:
    """Take one order, and tell of each of its points."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    with socket.socket(fileno=descriptor) as control, control.makefile("r") as heard:
        order = json.loads(heard.readline())
        before, wanted = descriptor_limits()[0], order["descriptors"]
        with raised_descriptor_limit(wanted) as held:
            limit = min(held, wanted)
            for engine in ENGINES:  # compiled, or found ready; and its first pages
                turn_us(Asked(EPOLL, engine, 1, 1), 1, limit)
            _say(control, before=before, limit=held)
            for point in order["points"]:
                took_us = turn_us(Asked(*point), order["turns"], limit)
                _say(control, turn_us=took_us)


def _say(control: socket.socket, **words: Any) -> None:
    control.sendall(json.dumps(words).encode() + b"\n")


def _same(found: int, expected: int) -> None:
    if found != expected:
        raise RuntimeError(f"a turn found {found} descriptors, {expected} were to be")


if __name__ == "__main__":
    main(int(sys.argv[1]))
