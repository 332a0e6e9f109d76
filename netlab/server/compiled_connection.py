"""One client's connection on flat arrays: `connection`, for the compiled loop.

A connection is a row of the table of `compiled_state`, in the stages of `connection`
and with its limits. Bytes go through one inbox and one outbox that a worker has for
all of its connections. Only what is left over is copied: the part of a request that
has come, the part of an answer that the kernel did not take. It lies in memory of the
C library, whose address is in the row, so that an idle connection costs its row and
no more. Of a long body only the number of bytes still owed is kept; the filler is sent
from where it lies.

Few levels of calls lie above the protocol's functions, because Numba compiles what a
function calls with it once more, level by level.

Nothing here raises: a negative number is an errno that ends the connection. Stages
are returned, and kept in the row by `compiled`. What may not be put here: waiting.
"""

from __future__ import annotations

import errno as errors
import socket

from netlab.kernel import native
from netlab.kernel.libc import MSG_NOSIGNAL
from netlab.protocol import Route
from netlab.protocol_answers import write_answer
from netlab.protocol_arrays import Parsed, read_request
from netlab.server.compiled_state import (
    CLOSED,
    DRAINING,
    FILLER_AT,
    FILLER_BYTES,
    MORE,
    NOTHING,
    OUTBOX,
    READING,
    WRITING,
    Own,
    connection_of,
    counters_of,
    scratch_of,
    text_of,
)
from netlab.server.connection import DISCARD_LIMIT, READ_BYTES, REQUESTS_PER_TURN

SPIN = int(Route.SPIN)
EAGAIN, ENOMEM = errors.EAGAIN, errors.ENOMEM
SHUT_WR = int(socket.SHUT_WR)


@native.jit
def serve(own: Own, fd: int) -> int:
    """Do what the stage asks for; return the stage that follows, or -errno.

    READING: read once, and an empty read is the client's end of stream.
    """
    stage = connection_of(own, fd)["stage"]
    if stage == WRITING:
        return send_rest(own, fd)
    if stage == DRAINING:
        return drain(own, fd)
    size = unpack(own, fd)
    if stage == READING:
        got = native.recv(fd, own["text"] + size, READ_BYTES, 0)
        if got < 0:
            return unless_not_ready(READING)
        counters_of(own)["bytes_in"] += got
        if got == 0:
            return CLOSED
        size += got
    return reply(own, fd, size)


@native.jit
def drain(own: Own, fd: int) -> int:
    """Read once, and throw it away."""
    connection = connection_of(own, fd)
    got = native.recv(fd, own["text"], READ_BYTES, 0)
    if got < 0:
        return unless_not_ready(DRAINING)
    counters_of(own)["bytes_in"] += got
    connection["discarded"] += got
    if got == 0 or connection["discarded"] > DISCARD_LIMIT:
        return CLOSED
    return DRAINING


@native.jit
def unless_not_ready(stage: int) -> int:
    """Return the stage if the last call was merely early, else its -errno."""
    error = native.errno()
    return stage if error == EAGAIN else -error


@native.jit
def unpack(own: Own, fd: int) -> int:
    """Put what was kept of the client's bytes back into the inbox; return how much."""
    connection = connection_of(own, fd)
    size = connection["inbox_size"]
    if size > 0:
        native.memcpy(own["text"], connection["inbox"], size)
    return size


@native.jit
def pack(own: Own, fd: int, at: int, stop: int) -> int:
    """Keep inbox[at:stop] until there is more; return 0 or -errno."""
    connection, size = connection_of(own, fd), stop - at
    old = connection["inbox"]
    if size == 0 and old == 0:
        return 0
    new = store(own["text"] + at, size)
    if new < 0:
        return new
    connection["inbox"], connection["inbox_size"] = new, size
    if old != 0:
        native.free(old)
    return 0


@native.jit
def store(source: int, size: int) -> int:
    """Return the address of a copy of `size` bytes, 0 of none, or -ENOMEM."""
    if size == 0:
        return 0
    copy = native.malloc(size)
    if copy == 0:
        return -ENOMEM
    native.memcpy(copy, source, size)
    return copy


@native.jit
def reply(own: Own, fd: int, stop: int) -> int:
    """Answer what is complete in inbox[:stop], a turn's share at most."""
    at, end, owed, answers = NOTHING, OUTBOX, NOTHING, 0
    following = READING
    row = counters_of(own)
    while answers < REQUESTS_PER_TURN:
        request = read_request(text_of(own), at, stop)
        if request.status == 0:
            following = READING
            break
        at += request.size
        row["requests"] += 1
        if request.status >= 400:
            row["refusals"] += 1
        elif request.route == SPIN:
            spin(own, request.argument)
        end, owed = write_answer(
            text_of(own),
            end,
            request,
            own["number"],
            row["tid"],
            row["cpu"],
            row["accepted"],
        )
        answers += 1
        following = stage_after(request, at, stop)
        if owed > 0 or following != MORE:
            break
    failed = pack(own, fd, at, stop)
    if failed < 0:
        return failed
    if answers == 0:
        return READING
    connection = connection_of(own, fd)
    connection["next"], connection["replies"] = following, answers
    connection["owed"], connection["paid"] = owed, 0
    return send_first(own, fd, end - OUTBOX)


@native.jit
def spin(own: Own, microseconds: int) -> None:
    """Keep the CPU busy for so long, as a request that costs work would."""
    clock = scratch_of(own)
    until = native.now_ns(clock) + microseconds * 1000 * own["slowness"]
    while native.now_ns(clock) < until:
        pass


@native.jit
def stage_after(request: Parsed, at: int, stop: int) -> int:
    """Return the stage for the time when this request's answer is sent."""
    if request.size == 0:
        return DRAINING
    if request.keep_alive == 0:
        return CLOSED
    return MORE if at < stop else READING


@native.jit
def send_first(own: Own, fd: int, size: int) -> int:
    """Send the first `size` bytes of the outbox, keeping what is not taken."""
    begin = own["text"] + OUTBOX
    sent = push(own, fd, begin, size)
    if sent < 0:
        return sent
    connection = connection_of(own, fd)
    if sent == size:
        return finish(own, fd) if connection["owed"] == 0 else pay(own, fd)
    rest = store(begin + sent, size - sent)
    if rest < 0:
        return rest
    connection["outbox"], connection["outbox_size"] = rest, size - sent
    connection["outbox_at"] = 0
    return wait_for_room(own, fd)


@native.jit
def send_rest(own: Own, fd: int) -> int:
    """Go on with the answers that had to wait."""
    connection = connection_of(own, fd)
    if connection["outbox"] != 0:
        left = connection["outbox_size"] - connection["outbox_at"]
        sent = push(own, fd, connection["outbox"] + connection["outbox_at"], left)
        if sent < 0:
            return sent
        connection["outbox_at"] += sent
        if sent < left:
            return WRITING
        native.free(connection["outbox"])
        connection["outbox"] = 0
    return pay(own, fd)


@native.jit
def pay(own: Own, fd: int) -> int:
    """Send the filler that is owed, then go on to the next stage."""
    connection = connection_of(own, fd)
    while connection["owed"] > 0:
        begin = connection["paid"] % FILLER_BYTES
        block = min(connection["owed"], FILLER_BYTES - begin)
        source = own["text"] + FILLER_AT + begin
        sent = push(own, fd, source, block)
        if sent < 0:
            return sent
        connection["owed"] -= sent
        connection["paid"] += sent
        if sent < block:
            return wait_for_room(own, fd)
    return finish(own, fd)


@native.jit
def push(own: Own, fd: int, begin: int, size: int) -> int:
    """Give the kernel as much as it takes; return the bytes taken, or -errno."""
    row, sent = counters_of(own), NOTHING
    while sent < size:
        taken = native.send(fd, begin + sent, size - sent, MSG_NOSIGNAL)
        if taken < 0:
            return unless_not_ready(sent)
        sent += taken
        row["bytes_out"] += taken
    return sent


@native.jit
def wait_for_room(own: Own, fd: int) -> int:
    """Count an answer that has to wait, once."""
    if connection_of(own, fd)["stage"] != WRITING:
        counters_of(own)["partial_writes"] += 1
    return WRITING


@native.jit
def finish(own: Own, fd: int) -> int:
    """Count the answers that the kernel took whole; return the stage after them."""
    connection = connection_of(own, fd)
    counters_of(own)["answers"] += connection["replies"]
    connection["replies"] = 0
    if connection["next"] == DRAINING and native.shutdown(fd, SHUT_WR) < 0:
        return -native.errno()
    return connection["next"]


@native.jit
def drop_bytes(own: Own, fd: int) -> None:
    """Give back what was kept of a connection's bytes, in both directions."""
    connection = connection_of(own, fd)
    if connection["inbox"] != 0:
        native.free(connection["inbox"])
    if connection["outbox"] != 0:
        native.free(connection["outbox"])
    connection["inbox"], connection["outbox"] = 0, 0
