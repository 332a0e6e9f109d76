"""New connections in machine code: what `worker` says of them, on flat arrays.

Facts. A connection is accepted by one worker and owned by one, perhaps another. Where
workers run without the GIL, the owner may be told of it, serve it and close it before
the giver's next instruction.

Decision. The row of the connection says whose it is before the owner's epoll is asked
to watch it, and the giver does not touch it afterwards. The accept's record is written
first, followed by that system call, and counted last: no compiler moves a store past
one, so a reader never sees half a record.

`place` is called with what each worker has open: what all acceptors gave it, less what
it closed. Both are written at once by this engine, so the numbers are those of now.

What may not be put here: the turns of a loop (`compiled`), and a client's bytes.
"""

from __future__ import annotations

import errno as errors
import socket

from netlab.kernel import libc, native
from netlab.kernel.callback import call_at
from netlab.kernel.libc import SOCK_CLOEXEC, SOCK_NONBLOCK
from netlab.server import compiled_connection, loops
from netlab.server.acceptor import EXHAUSTED, REST_S
from netlab.server.compiled_bounds import is_full
from netlab.server.compiled_state import (
    EVENT_BYTES,
    LAST,
    NOBODYS,
    NOTHING,
    OPTION,
    OPTION_SIZE,
    PEER,
    PEER_SIZE,
    READING,
    Own,
    accept_at,
    connection_of,
    counters_by,
    counters_of,
    epoll_of,
    event_of,
    is_stopping,
    listener_of,
    log_head_of,
    open_now_of,
    placed_of,
    scratch_of,
)

READ, WRITE = native.int64(loops.READ), native.int64(loops.WRITE)
ONESHOT = native.int64(loops.ONESHOT)
ADD = native.int64(libc.EPOLL_CTL_ADD)
REMOVE = native.int64(libc.EPOLL_CTL_DEL)
CHANGE = native.int64(libc.EPOLL_CTL_MOD)
REST_NS = int(REST_S * 1e9)
EAGAIN = errors.EAGAIN
PEER_BYTES = 28  # struct sockaddr_in6
OPTION_BYTES = 4
SOL_SOCKET, INCOMING_CPU = int(socket.SOL_SOCKET), int(socket.SO_INCOMING_CPU)
NOT_ASKED, GIVEN = native.int64(-1), native.int64(1)


@native.jit
def accept_if_listener(own: Own, fd: int) -> None:
    """Accept from a listener that is ready; other descriptors are left alone."""
    for number in range(own["listener_count"]):
        if listener_of(own, number)["fd"] == fd and own["rests_until_ns"] == 0:
            accept(own, fd, number)


@native.jit
def accept(own: Own, fd: int, number: int) -> None:
    """Take one connection, or all there are, by the strategy's rule."""
    found = accept_one(own, fd, number)
    while found and own["drain"] != 0 and not is_stopping(own):
        found = accept_one(own, fd, number)
    events = listener_of(own, number)["events"]
    if own["rests_until_ns"] == 0 and events & ONESHOT != 0:
        control(own, own["epoll"], CHANGE, fd, events)


@native.jit
def accept_one(own: Own, listener: int, number: int) -> bool:
    """Take one connection from the queue, if another worker has not."""
    if own["may_be_full"] != 0 and is_full(own):
        rest(own)
        return False
    scratch_of(own)[PEER_SIZE] = PEER_BYTES
    peer, size = own["scratch"] + 8 * PEER, own["scratch"] + 8 * PEER_SIZE
    flags = SOCK_NONBLOCK | SOCK_CLOEXEC
    fd = native.int64(native.accept4(listener, peer, size, flags))
    row = counters_of(own)
    if fd >= 0:
        row["accepted"] += 1
        if fd >= own["counts_from"]:
            own["may_be_full"] = 1
        hand_on(own, fd, number)
        rotate(own, number)
        return True
    error = native.errno()
    if error == EAGAIN:
        row["would_block"] += 1
        return False
    row["accept_errors"] += 1
    if error in EXHAUSTED:
        rest(own)
    return False


@native.jit
def hand_on(own: Own, fd: int, listener: int) -> None:
    """Find a new connection its owner, and note both."""
    owner = choose_owner(own)
    if owner < 0 or fd >= own["connection_count"]:  # or the limit was raised since
        counters_of(own)["accept_errors"] += 1
        counters_of(own)["closed"] += 1
        native.close(fd)
        return
    note(own, owner, fd, listener)
    if owner == own["number"] and own["shares_clients"] == 0:
        adopt(own, fd)
    else:
        give(own, fd, owner)
    publish_note(own)


@native.jit
def choose_owner(own: Own) -> int:
    """Return the worker that shall own a new connection; -1: there is none such."""
    if own["place"] == 0:
        return own["number"]
    workers, given, stride = own["worker_count"], placed_of(own), own["placed_stride"]
    for worker in range(workers):
        count = -counters_by(own, worker)["closed"]
        for acceptor in range(workers):
            count += given[acceptor * stride + worker]
        open_now_of(own)[worker] = count
    owner = call_at(
        own["place"], own["number"], own["open_now"], workers, own["memory"]
    )
    if owner < 0 or owner >= workers:
        own["misplaced"], own["misplaced_as"] = 1, owner
        return NOBODYS
    given[own["number"] * stride + owner] += 1
    return owner


@native.jit
def note(own: Own, owner: int, fd: int, listener: int) -> None:
    """Write the accept's record behind the log's last one, if there is room."""
    place = log_head_of(own)["written"]
    if place < own["log_size"]:
        record = accept_at(own, place)
        record["time_ns"] = native.now_ns(scratch_of(own))
        record["acceptor"], record["owner"] = own["number"], owner
        record["cpu"] = counters_of(own)["cpu"]
        record["incoming_cpu"] = incoming_cpu(own, fd)
        record["listener"] = listener_of(own, listener)["number"]
        record["port"] = port(scratch_of(own)[PEER])


@native.jit
def incoming_cpu(own: Own, fd: int) -> int:
    """Return the CPU that a connection's packets were last processed on, if asked."""
    if own["incoming_cpu"] == 0:
        return NOT_ASKED
    scratch = scratch_of(own)
    scratch[OPTION], scratch[OPTION_SIZE] = 0, OPTION_BYTES
    value, size = own["scratch"] + 8 * OPTION, own["scratch"] + 8 * OPTION_SIZE
    if native.getsockopt(fd, SOL_SOCKET, INCOMING_CPU, value, size) < 0:
        return NOT_ASKED
    return scratch[OPTION]


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
def rotate(own: Own, number: int) -> None:
    """Stand last in the listener's wait queue again, every so many accepts."""
    every = own["rotate_every"]
    if every > 0 and counters_of(own)["accepted"] % every == 0:
        listener = listener_of(own, number)
        control(own, own["epoll"], REMOVE, listener["fd"], READ)
        control(own, own["epoll"], ADD, listener["fd"], listener["events"])


@native.jit
def begin(own: Own, fd: int, owner: int, arriving: int) -> None:
    """Fill the row of a new connection; the owner last."""
    connection = connection_of(own, fd)
    connection["stage"], connection["turn"], connection["discarded"] = READING, 0, 0
    connection["inbox"], connection["inbox_size"] = 0, 0
    connection["outbox"], connection["deadline_ns"] = 0, 0
    connection["arriving"] = arriving
    own["highest"] = max(own["highest"], fd)
    connection["owner"] = owner


@native.jit
def adopt(own: Own, fd: int) -> None:
    """Own a connection from now on: watch it in this worker's loop."""
    begin(own, fd, own["number"] + 1, NOTHING)
    if control(own, own["epoll"], ADD, fd, READ) < 0:
        counters_of(own)["accept_errors"] += 1
        close(own, fd)


@native.jit
def give(own: Own, fd: int, owner: int) -> None:
    """Let another worker own a connection: its loop watches it from now on."""
    counters_of(own)["given"] += 1
    if own["shares_clients"] == 0:
        begin(own, fd, owner + 1, GIVEN)
        failed = control(own, epoll_of(own, owner), ADD, fd, READ)
    else:
        begin(own, fd, NOBODYS, NOTHING)
        failed = control(own, own["epoll"], ADD, fd, READ | ONESHOT)
    if failed < 0:  # no memory; the owner hangs up at the stop
        counters_of(own)["accept_errors"] += 1


@native.jit
def control(own: Own, epoll: int, operation: int, fd: int, events: int) -> int:
    """Add, change or remove a descriptor in an epoll."""
    event = event_of(own, LAST)
    event["events"], event["fd"] = events, fd
    address = own["events"] + LAST * EVENT_BYTES
    return native.epoll_ctl(epoll, operation, fd, address)


@native.jit
def rest(own: Own) -> None:
    """Leave the listeners alone until there may be room again."""
    counters_of(own)["rests"] += 1
    own["rests_until_ns"] = native.now_ns(scratch_of(own)) + REST_NS
    for number in range(own["listener_count"]):
        control(own, own["epoll"], REMOVE, listener_of(own, number)["fd"], READ)


@native.jit
def watch_listeners(own: Own) -> None:
    """Watch for new connections again, as at the start."""
    own["rests_until_ns"] = 0
    for number in range(own["listener_count"]):
        listener = listener_of(own, number)
        control(own, own["epoll"], ADD, listener["fd"], listener["events"])


@native.jit
def close(own: Own, fd: int) -> None:
    """End a connection; once closed, its number may be another worker's."""
    compiled_connection.drop_bytes(own, fd)
    connection_of(own, fd)["owner"] = 0
    native.close(fd)
    counters_of(own)["closed"] += 1
    if own["rests_until_ns"] > 0:
        watch_listeners(own)
