"""One client of the load, compiled: it asks, reads, and writes a row for each request.

Facts. A load generator that is slower than the server measures itself, and one
that shares the server's interpreter changes it: this code runs in a process of
its own (`process`), compiled (`kernel.native`).

Decision. Two system calls a request, `send` and `recv`. Answers are read into one
buffer that all share; the first part of a head that came in two is kept aside
(`kept_at`), the bytes of a body are counted and forgotten. A client is the record of
its descriptor, in one of the stages below.

A row for each request, written when the answer is complete, and a row for each
connection, written when it opens and again as it changes, all in shared memory:
whatever happens to this process, the rows so far are there. All times are
CLOCK_MONOTONIC, the clock of the server's accept log. Failures are kinds
(`plans.Outcome`), counted one by one.

A request's latency counts from its sending; in plan open from the moment that it was
due. `late_ns` is the time between the two, `overdue_ns` the part of it that passed
before the loop took notice: the rest was waiting for a connection.

What may not be put here: a wait, or a rule of a plan (`loop` has both).
"""

from __future__ import annotations

import errno as codes

import numpy as np

from netlab.kernel import libc, native
from netlab.kernel.native import address, errno, jit
from netlab.load.bundle import READ_BYTES, Bundle
from netlab.load.plans import Outcome
from netlab.load.rows import append_request, write_connection
from netlab.protocol import HEAD_LIMIT
from netlab.protocol_client import answer_head

# A client's stages; a descriptor without a client has ABSENT.
ABSENT, MADE, CONNECTING, IDLE, BUSY = range(5)
# What is handed on is an np.int64: for a plain int, Numba compiles each value anew.
OPEN, CLOSED, REFUSED, RESET, HUNG_UP, TIMED_OUT, MALFORMED, FAILED = np.array(Outcome)
NONE, STILL_OPEN = np.array([-1, 0])
AT_ONCE = 0  # as noticed_ns: a request was sent when the loop noticed it


@jit
def kind(code: int) -> int:
    """Return the outcome that an errno means."""
    if code == codes.ECONNREFUSED:
        return REFUSED
    if code == codes.ECONNRESET or code == codes.EPIPE:
        return RESET
    return TIMED_OUT if code == codes.ETIMEDOUT else FAILED


# -- asking ---------------------------------------------------------------------------


@jit
def ask(b: Bundle, fd: int) -> int:
    """Send one request; it fits any send buffer, or the server is not one."""
    state, client = b.state[0], b.clients[fd]
    path = b.pattern[state["asked"] % len(b.pattern)]
    first = state["ask_bytes"] if path else 0
    size = state["spin_bytes"] if path else state["ask_bytes"]
    state["asked"] += 1
    state["busy"] += 1
    client["stage"], client["path"] = BUSY, path
    now = native.now_ns(b.scratch)
    client["start_ns"], client["late_ns"], client["overdue_ns"] = now, 0, 0
    if client["arrival"] != NONE:
        count_from_due(b, fd, now)
    sent = native.send(fd, address(b.text) + first, size, libc.MSG_NOSIGNAL)
    if sent == size:
        return 0
    return end(b, fd, kind(errno()) if sent < 0 else FAILED)


@jit
def count_from_due(b: Bundle, fd: int, now: int) -> int:
    """Let a request count from the moment that it was due; how late is that."""
    client, arrival = b.clients[fd], b.clients[fd]["arrival"]
    due = b.state[0]["zero_ns"] + b.schedule[arrival]["due_ns"]
    noticed = b.schedule[arrival]["noticed_ns"]
    client["start_ns"], client["late_ns"] = due, now - due
    client["overdue_ns"] = (now if noticed == AT_ONCE else noticed) - due
    client["arrival"] = NONE
    return 0


@jit
def rest(b: Bundle, fd: int) -> int:
    """Let a client do nothing; in plan open it is last in the line for a request."""
    state, client = b.state[0], b.clients[fd]
    client["stage"] = IDLE
    if state["scheduled"] == 0:
        return 0
    client["older"], client["newer"] = state["newest"], NONE
    if state["newest"] == NONE:
        state["oldest"] = fd
    else:
        b.clients[state["newest"]]["newer"] = fd
    state["newest"] = fd
    return 0


@jit
def leave_line(b: Bundle, fd: int) -> int:
    """Take an idle client out of the line."""
    state, client = b.state[0], b.clients[fd]
    older, newer = client["older"], client["newer"]
    if older == NONE:
        state["oldest"] = newer
    else:
        b.clients[older]["newer"] = newer
    if newer == NONE:
        state["newest"] = older
    else:
        b.clients[newer]["older"] = older
    return 0


# -- reading --------------------------------------------------------------------------


@jit
def receive(b: Bundle, fd: int) -> int:
    """Read once; when the answer is complete, record it and go on."""
    client = b.clients[fd]
    kept, inbox = client["kept"], address(b.text) + b.state[0]["inbox"]
    if kept > 0:
        native.memcpy(inbox, client["kept_at"], kept)
    got = native.recv(fd, inbox + kept, READ_BYTES, 0)
    if got <= 0:
        return not_received(b, fd, got)
    if client["stage"] != BUSY:  # nobody asked
        return end(b, fd, MALFORMED)
    client["received"] += got
    if client["size"] == 0 and read_head(b, fd, kept + got) == 0:
        return 0
    return answered(b, fd) if client["received"] >= client["size"] else 0


@jit
def not_received(b: Bundle, fd: int, got: int) -> int:
    """Deal with a `recv` that had no bytes: nothing there, the end, or an error."""
    if got == 0:
        return end(b, fd, HUNG_UP)
    code = errno()
    if code == codes.EAGAIN or code == codes.EINTR:
        return 0
    return end(b, fd, kind(code))


@jit
def read_head(b: Bundle, fd: int, got: int) -> int:
    """Read the head in the inbox's first bytes; 1 if it is all there, else 0."""
    client, at = b.clients[fd], b.state[0]["inbox"]
    head = answer_head(b.text, at, at + got)
    if head.status < 0 or (head.status == 0 and got >= HEAD_LIMIT):
        end(b, fd, MALFORMED)
        return 0
    if head.status == 0:
        keep(b, fd, got)
        return 0
    client["size"], client["status"] = head.size, head.status
    client["worker"], client["cpu"] = head.worker, head.cpu
    client["keep_alive"] = head.keep_alive
    client["kept"] = 0
    return 1


@jit
def keep(b: Bundle, fd: int, size: int) -> int:
    """Keep the part of a head that has come, below HEAD_LIMIT bytes."""
    client = b.clients[fd]
    if client["kept_at"] == 0:
        client["kept_at"] = native.malloc(HEAD_LIMIT)
    if client["kept_at"] == 0:
        return end(b, fd, FAILED)
    native.memcpy(client["kept_at"], address(b.text) + b.state[0]["inbox"], size)
    client["kept"] = size
    return 0


@jit
def answered(b: Bundle, fd: int) -> int:
    """Write the request's row; ask again, rest, or close."""
    state, client = b.state[0], b.clients[fd]
    now = native.now_ns(b.scratch)
    append_request(b, fd, now)
    client["asked"] += 1
    state["busy"] -= 1
    client["stage"] = IDLE
    if client["received"] > client["size"]:
        return finish(b, fd, MALFORMED)
    client["received"], client["size"] = 0, 0
    over = client["asked"] >= state["requests"]
    if client["keep_alive"] == 0 or (over and state["stays"] == 0):
        state["to_replace"] += 1
        return finish(b, fd, CLOSED)
    if over or state["scheduled"]:
        return rest(b, fd)
    if now >= state["last_ask_ns"]:
        return finish(b, fd, CLOSED)
    return ask(b, fd)


# -- ending ---------------------------------------------------------------------------


@jit
def end(b: Bundle, fd: int, outcome: int) -> int:
    """Close a client in whatever stage it is, and write how it ended."""
    state, stage = b.state[0], b.clients[fd]["stage"]
    if stage == CONNECTING:
        state["connecting"] -= 1
    elif stage == BUSY:
        state["busy"] -= 1
    elif state["scheduled"]:
        leave_line(b, fd)
    return finish(b, fd, outcome)


@jit
def finish(b: Bundle, fd: int, outcome: int) -> int:
    """Close a client that nothing is expected of, and write how it ended."""
    state, client = b.state[0], b.clients[fd]
    native.close(fd)
    if client["kept_at"] != 0:
        native.free(client["kept_at"])
        client["kept_at"] = 0
    client["stage"] = ABSENT
    state["open"] -= 1
    if outcome != CLOSED:
        state["failed"] = 1
    write_connection(b, fd, outcome, native.now_ns(b.scratch))
    return outcome
