"""What becomes of a connection in its turn: `serving`, for the compiled loop.

A connection that was nobody's is taken in one step of the CPU, so that of two workers,
one woken for it and one looking at the time, a single one owns it.

What may not be put here: the turns of a loop (`compiled`), and a client's bytes
(`compiled_connection`).
"""

from __future__ import annotations

import numpy as np

from netlab.kernel import native
from netlab.server import compiled_connection
from netlab.server.compiled_accept import (
    CHANGE,
    ONESHOT,
    READ,
    WRITE,
    close,
    control,
)
from netlab.server.compiled_bounds import timed
from netlab.server.compiled_state import (
    CLOSED,
    MORE,
    NOBODYS,
    NOTHING,
    POLLED,
    WRITING,
    Own,
    connection_of,
    counters_of,
    owner_address,
    scratch_of,
)

# struct pollfd; of its events POLLOUT is the same bit as EPOLLOUT.
POLL = np.dtype([("fd", "int32"), ("events", "int16"), ("revents", "int16")])


@native.jit
def is_taken(own: Own, fd: int) -> bool:
    """Own a connection that was nobody's, unless another worker is faster."""
    if not native.exchange(owner_address(own, fd), NOBODYS, own["number"] + 1):
        return False
    welcome(own, fd)
    return True


@native.jit
def welcome(own: Own, fd: int) -> None:
    """Own a connection that another worker gave, now that it has bytes."""
    connection = connection_of(own, fd)
    connection["arriving"] = 0
    connection["turn"] = 0  # the last one was a turn of another worker
    own["highest"] = max(own["highest"], fd)
    counters_of(own)["received"] += 1


@native.jit
def serve(own: Own, fd: int) -> None:
    """Let a connection do what it is ready for; its errors end it alone."""
    connection = connection_of(own, fd)
    if connection["arriving"] != 0:
        welcome(own, fd)
    connection["turn"] = counters_of(own)["turns"]
    before, row = connection["stage"], counters_of(own)
    earlier = row["requests"] + row["bytes_out"]
    after = compiled_connection.serve(own, fd)
    if after < 0:
        row["resets"] += 1
        after = CLOSED
    done = after != before or row["requests"] + row["bytes_out"] > earlier
    after = connection["stage"] = timed(own, fd, after, done)
    if after == CLOSED:
        close(own, fd)
    elif own["shares_clients"] != 0 and after != MORE:
        give_back(own, fd)
    else:
        follow(own, fd, before, after)


@native.jit
def look(own: Own) -> None:
    """Serve once more those whose time is up; look again while anybody's runs."""
    now_ns, running = native.now_ns(scratch_of(own)), False
    for fd in range(own["highest"] + 1):
        connection = connection_of(own, fd)
        ours = connection["owner"] == own["number"] + 1
        within_reach = ours or connection["owner"] == NOBODYS
        if connection["deadline_ns"] != 0 and within_reach:
            running = True
            if now_ns >= connection["deadline_ns"] and (ours or is_taken(own, fd)):
                end_or_serve(own, fd)
    own["looks_at_ns"] = now_ns + own["look_ns"] if running else NOTHING


@native.jit
def end_or_serve(own: Own, fd: int) -> None:
    """Serve a connection whose time is up; end it if its client has made no room."""
    if connection_of(own, fd)["stage"] == WRITING and not has_room(own, fd):
        counters_of(own)["timed_out"] += 1
        close(own, fd)
    else:
        serve(own, fd)


@native.jit
def has_room(own: Own, fd: int) -> bool:
    """Whether the kernel would tell of room to write to a socket."""
    asked = native.record_at(own["scratch"] + 8 * POLLED, POLL)
    asked["fd"], asked["events"], asked["revents"] = fd, WRITE, 0
    return native.poll(own["scratch"] + 8 * POLLED, 1, 0) > 0


@native.jit
def give_back(own: Own, fd: int) -> None:
    """Let whoever is woken for it own a connection next."""
    connection = connection_of(own, fd)
    counters_of(own)["given"] += 1
    connection["owner"] = NOBODYS
    events = WRITE if connection["stage"] == WRITING else READ
    control(own, own["epoll"], CHANGE, fd, events | ONESHOT)


@native.jit
def follow(own: Own, fd: int, before: int, after: int) -> None:
    """Watch a connection for what its stage waits for."""
    turned = before != after and (before == WRITING or after == WRITING)
    if turned and own["shares_clients"] == 0:
        control(own, own["epoll"], CHANGE, fd, WRITE if after == WRITING else READ)
    if after == MORE:
        connection_of(own, fd)["behind"] = own["unfinished"]
        own["unfinished"] = fd
