"""One worker's loop in machine code: what `worker` says, on flat arrays.

Facts. Under the GIL a woken worker sleeps again until it gets the interpreter. With 32
workers and the original's strategy an interpreted loop in threads was woken 58 times
for each accept (53 to 65 in three runs) where this one was woken 32.0 times, which is
the kernel's number, and saw 8.3 would-blocks where this one saw 0.4 (Linux 6.18, 2
CPUs; `python -m netlab run --plan touch --workers 32 --connections 200 --repeats 3`
with either `--engine`). The GIL changes what is measured. A loop that needs no
interpreter shows the kernel, and leaves the interpreter to others.

Decision. The same turns, words and counters as in `worker`, over the C library. The
loop counts in its row of the shared counters at once, and looks at the stop's word
before each client. A log's record is followed by a system call before the log's length
is published: no compiler moves a store past one, so a reader never sees half a record.

The loop is called once and returns when it is told to stop: 0, or -errno if waiting
itself failed. Everything else that goes wrong ends one connection, and is counted.

Known limit: a connection is never given to another worker; strategies that do are for
the python engine. What may not be put here: what a client's bytes mean
(`compiled_connection`), and anything that needs Python (`compiled_worker`).
"""

from __future__ import annotations

import errno as errors
import sys
from collections.abc import Callable

import numpy as np

from netlab import counters, protocol, protocol_answers, protocol_arrays
from netlab.kernel import libc, native
from netlab.kernel.libc import SOCK_CLOEXEC, SOCK_NONBLOCK
from netlab.server import (
    accept_log,
    compiled_connection,
    compiled_state,
    connection,
    loops,
)
from netlab.server.compiled_state import (
    CLOSED,
    EVENT_BYTES,
    LAST,
    MORE,
    NOBODY,
    PEER,
    PEER_SIZE,
    READING,
    WRITING,
    Own,
    accept_at,
    connection_of,
    counters_of,
    event_of,
    is_stopping,
    listener_of,
    log_head_of,
    scratch_of,
)
from netlab.server.loops import EVENTS_PER_TURN
from netlab.server.worker import EXHAUSTED, REST_S

READ, WRITE = native.int64(loops.READ), native.int64(loops.WRITE)
ADD = native.int64(libc.EPOLL_CTL_ADD)
REMOVE = native.int64(libc.EPOLL_CTL_DEL)
CHANGE = native.int64(libc.EPOLL_CTL_MOD)
REST_NS = int(REST_S * 1e9)
REST_MS = int(REST_S * 1e3)
EAGAIN, EINTR = errors.EAGAIN, errors.EINTR
PEER_BYTES = 28  # struct sockaddr_in6


@native.jit
def turn(own: Own) -> int:
    """Wait, and deal with all that is ready; return 0, or -errno of the wait."""
    row = counters_of(own)
    count = native.epoll_wait(
        own["epoll"], own["events"], EVENTS_PER_TURN, patience_ms(own)
    )
    if count < 0:
        error = native.errno()
        return 0 if error == EINTR else -error
    row["turns"] += 1
    row["cpu"] = native.sched_getcpu()
    if (
        own["rests_until_ns"] > 0
        and native.now_ns(scratch_of(own)) >= own["rests_until_ns"]
    ):
        watch_listeners(own)
    fd = own["unfinished"]
    own["unfinished"] = NOBODY  # those that have yet more are noted again
    while fd != NOBODY and not is_stopping(own):
        behind = connection_of(own, fd)["behind"]
        serve(own, fd)
        fd = behind
    for i in range(native.int64(count)):
        if is_stopping(own):
            return 0
        fd = native.int64(event_of(own, i)["fd"])
        connection = connection_of(own, fd)
        if connection["owner"] != own["number"] + 1:
            accept_if_listener(own, fd)
        elif connection["turn"] != row["turns"]:
            serve(own, fd)
    return 0


@native.jit
def patience_ms(own: Own) -> int:
    """Return how long to sleep: for ever (-1), unless something is left to do."""
    if own["unfinished"] != NOBODY:
        return 0
    return -1 if own["rests_until_ns"] == 0 else REST_MS


@native.jit
def is_rested(own: Own) -> bool:
    """Whether there may be descriptors again, after a rest."""
    return native.now_ns(scratch_of(own)) >= own["rests_until_ns"]


@native.jit
def accept_if_listener(own: Own, fd: int) -> None:
    """Accept from a listener that is ready; other descriptors are left alone."""
    for number in range(own["listener_count"]):
        if listener_of(own, number)["fd"] == fd and own["rests_until_ns"] == 0:
            accept(own, fd, number)


@native.jit
def accept(own: Own, listener: int, number: int) -> None:
    """Take one connection from the queue, if another worker has not."""
    scratch_of(own)[PEER_SIZE] = PEER_BYTES
    peer, size = own["scratch"] + 8 * PEER, own["scratch"] + 8 * PEER_SIZE
    flags = SOCK_NONBLOCK | SOCK_CLOEXEC
    fd = native.int64(native.accept4(listener, peer, size, flags))
    row = counters_of(own)
    if fd >= 0:
        row["accepted"] += 1
        note(own, number)
        adopt(own, fd)
        publish_note(own)
        return
    error = native.errno()
    if error == EAGAIN:
        row["would_block"] += 1
        return
    row["accept_errors"] += 1
    if error in EXHAUSTED:
        rest(own)


@native.jit
def note(own: Own, listener: int) -> None:
    """Write the accept's record behind the log's last one, if there is room."""
    place = log_head_of(own)["written"]
    if place < own["log_size"]:
        number = own["number"]
        record = accept_at(own, place)
        record["time_ns"] = native.now_ns(scratch_of(own))
        record["acceptor"], record["owner"] = number, number
        record["cpu"] = counters_of(own)["cpu"]
        record["listener"] = listener
        record["port"] = port(scratch_of(own)[PEER])


@native.inlined
def port(peer: int) -> int:
    """Return the port in the first word of a sockaddr: its third and fourth byte."""
    return (peer >> 16 & 255) * 256 + (peer >> 24 & 255)


@native.jit
def publish_note(own: Own) -> None:
    """Count the record that was written before the last system call."""
    head = log_head_of(own)
    if head["written"] < own["log_size"]:
        head["written"] += 1
    else:
        head["dropped"] += 1


@native.jit
def adopt(own: Own, fd: int) -> None:
    """Own a connection from now on: watch it in this worker's loop."""
    if fd >= own["connection_count"]:  # the limit was raised since the table was made
        counters_of(own)["accept_errors"] += 1
        counters_of(own)["closed"] += 1
        native.close(fd)
        return
    connection = connection_of(own, fd)
    connection["stage"], connection["turn"], connection["discarded"] = READING, 0, 0
    connection["inbox"], connection["inbox_size"] = 0, 0
    connection["outbox"] = 0
    connection["owner"] = own["number"] + 1
    own["highest"] = max(own["highest"], fd)
    if control(own, ADD, fd, READ) < 0:
        counters_of(own)["accept_errors"] += 1
        close(own, fd)


@native.jit
def control(own: Own, operation: int, fd: int, events: int) -> int:
    """Add, change or remove a descriptor in this worker's epoll."""
    event = event_of(own, LAST)
    event["events"], event["fd"] = events, fd
    address = own["events"] + LAST * EVENT_BYTES
    return native.epoll_ctl(own["epoll"], operation, fd, address)


@native.jit
def rest(own: Own) -> None:
    """Leave the listeners alone until there may be descriptors again."""
    counters_of(own)["rests"] += 1
    own["rests_until_ns"] = native.now_ns(scratch_of(own)) + REST_NS
    for number in range(own["listener_count"]):
        control(own, REMOVE, listener_of(own, number)["fd"], READ)


@native.jit
def watch_listeners(own: Own) -> None:
    """Watch for new connections again, as at the start."""
    own["rests_until_ns"] = 0
    for number in range(own["listener_count"]):
        listener = listener_of(own, number)
        control(own, ADD, listener["fd"], listener["events"])


@native.jit
def serve(own: Own, fd: int) -> None:
    """Let a connection do what it is ready for; its errors end it alone."""
    connection = connection_of(own, fd)
    connection["turn"] = counters_of(own)["turns"]
    before = connection["stage"]
    after = compiled_connection.serve(own, fd)
    if after < 0:
        counters_of(own)["resets"] += 1
        after = CLOSED
    connection["stage"] = after
    if after == CLOSED:
        close(own, fd)
    else:
        follow(own, fd, before, after)


@native.jit
def follow(own: Own, fd: int, before: int, after: int) -> None:
    """Watch a connection for what its stage waits for."""
    if before != after and (before == WRITING or after == WRITING):
        control(own, CHANGE, fd, WRITE if after == WRITING else READ)
    if after == MORE:
        connection_of(own, fd)["behind"] = own["unfinished"]
        own["unfinished"] = fd


@native.jit
def close(own: Own, fd: int) -> None:
    """End a connection; once closed, its number may be another worker's."""
    compiled_connection.drop_bytes(own, fd)
    connection_of(own, fd)["owner"] = 0
    native.close(fd)
    counters_of(own)["closed"] += 1
    if own["rests_until_ns"] > 0:
        watch_listeners(own)


def _loop(digest: int) -> Callable[[np.ndarray], int]:
    @native.cached
    def run(owns: np.ndarray) -> int:
        """Serve until told to stop; return 0, or -errno if the wait failed.

        owns: OWN, shape (1,); what it names is kept alive by whoever calls.
        """
        code, own = native.int64(0 * digest), owns[0]
        while code == 0 and not is_stopping(own):
            code = turn(own)
        return code

    return run


MADE_OF = (
    *(protocol, protocol_arrays, protocol_answers, counters, accept_log),
    *(connection, compiled_state, compiled_connection, sys.modules[__name__]),
)
run = _loop(native.digest(*MADE_OF))
