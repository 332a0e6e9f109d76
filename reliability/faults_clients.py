"""Clients that misbehave: they vanish, stall, drip, come in crowds.

Each is counted by the server too: a reset, a timeout, an accept more for every one of
them, so that a client that never reached the server cannot pass for one that did no
harm.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections import Counter

from reliability.asking import get, read_answer
from reliability.served import PATIENCE_S, WORKERS, Served, kernel_kb, until
from reliability.trial import Trial, resting

BIG = 8_000_000  # bytes of an answer that no socket's buffer holds
SMALL_BUFFER = 1 << 14
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset
LIMIT_S = 1.5  # client_timeout_s
LATE_S = 1.0  # LIMIT_S / 8 for the look, and the rest for a busy machine
STALLED, PIPELINED = 20, 20  # clients at least, and answers that each asks for
STALLED_KB = 512  # of the server's memory for each, at most
BYTE_S = 0.1  # between two bytes of a client that drips
CROWD, BEYOND = 40, 10  # max_connections, and clients that find no place
STORM, BACKLOG = 500, 16
LENGTH = 501


def client_of(
    served: Served, sends: bytes = b"", *, small: bool = False
) -> socket.socket:
    """Return a client that has connected and sent so much."""
    client = socket.socket()
    if small:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    client.settimeout(PATIENCE_S)
    client.connect(served.address)
    if sends:
        client.sendall(sends)
    return client


# -- clients that vanish ---------------------------------------------------------------


def read_some(client: socket.socket, size: int) -> None:
    """Read so many bytes."""
    while size > 0:
        size -= len(client.recv(min(size, 1 << 16)))


Moment = tuple[bytes, int]  # what is sent, how many bytes are read; then it resets
MOMENTS: dict[str, Moment] = {
    "before a byte": (b"", 0),
    "in the request line": (b"GET /by", 0),
    "in a header": (b"GET /bytes/9 HTTP/1.1\r\nHo", 0),
    "after the request": (get("/spin/2000"), 0),
    "in a long answer": (get(f"/bytes/{BIG}"), 1_000_000),
    "in a pipeline": (get("/bytes/5000") * 100, 100),
    "after a refusal": (b"\0", 10),
    "after the answer": (get("/bytes/9"), 120),
}


def resets(trial: Trial) -> str:
    """Vanish at every point of an exchange."""
    trial.tries = trial.times * len(MOMENTS)
    with trial.serve() as (served, _):
        for _ in range(trial.times):
            for sends, reads in MOMENTS.values():
                with client_of(served, sends) as client:
                    read_some(client, reads)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        until(lambda: served.count("resets") >= trial.tries, "all resets counted")
    return f"{len(MOMENTS)} moments: {', '.join(MOMENTS)}; each is counted and closed"


def half_closed(trial: Trial) -> str:
    """Say "no more from me" behind the last request; read all answers."""
    lengths = [*range(0, 100_000, 20_000), BIG]
    with trial.serve() as (served, _):
        for _ in range(trial.times):
            asked = b"".join(get(f"/bytes/{n}") for n in lengths)
            with client_of(served, asked) as client:
                client.shutdown(socket.SHUT_WR)
                right = read_all(client, lengths)
                trial.require(right, "an answer was missing or another")
    return f"all {len(lengths)} answers are sent, then the connection ends"


def read_all(client: socket.socket, lengths: list[int]) -> bool:
    """Whether exactly these answers come, and then the end."""
    received = b"".join(iter(lambda: client.recv(1 << 18), b""))
    for length in lengths:
        head, _, received = received.partition(b"\r\n\r\n")
        if f"Content-Length: {length}\r\n".encode() not in head:
            return False
        received = received[length:]
    return received == b""


# -- clients that take their time ------------------------------------------------------


def seconds_until_closed(served: Served, clients: list[socket.socket]) -> float:
    """Return how long it takes until the server has ended them all."""
    began, expected = time.monotonic(), len(clients)
    count = lambda: served.count("timed_out") >= expected  # noqa: E731
    until(count, f"{expected} clients timed out")
    return time.monotonic() - began


def reads_nothing(trial: Trial) -> str:
    """Ask for far more than fits, and read none of it."""
    trial.tries = max(trial.times, STALLED)
    with (
        trial.serve(client_timeout_s=LIMIT_S) as (served, _),
        contextlib.ExitStack() as stack,
    ):
        before, kernel = served.memory_kb(), kernel_kb()
        asked = get(f"/bytes/{BIG}") * PIPELINED
        clients = [
            stack.enter_context(client_of(served, asked, small=True))
            for _ in range(trial.tries)
        ]
        until(lambda: served.count("partial_writes") >= trial.tries, "all stalled")
        each_kb = max(0.0, (served.memory_kb() - before) / trial.tries)
        buffers_kb = max(0.0, (kernel_kb() - kernel) / trial.tries)
        took_s = seconds_until_closed(served, clients)
    trial.require(each_kb < STALLED_KB, f"{each_kb:.0f} kB for each stalled client")
    trial.require(took_s < LIMIT_S + LATE_S, f"closed after {took_s:.1f} s only")
    return (
        f"{each_kb:.0f} kB of the server's memory for each, and {buffers_kb:,.0f} kB "
        f"of socket buffers; closed after {took_s:.1f} s (limit {LIMIT_S} s)"
    )


def byte_by_byte(trial: Trial) -> str:
    """Send a request one byte at a time, and never come to its end."""
    trial.tries = max(trial.times, STALLED)
    drip = b"GET / HTTP/1.1\r\nX: " + b"a" * 1000
    with (
        trial.serve(client_timeout_s=LIMIT_S) as (served, _),
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(client_of(served)) for _ in range(trial.tries)]
        began, sent, took_s = time.monotonic(), 0, 0.0
        while served.count("timed_out") < trial.tries:
            for client in clients:
                with contextlib.suppress(OSError):  # hung up on already
                    client.send(drip[sent : sent + 1])
            sent += 1
            time.sleep(BYTE_S)
            took_s = time.monotonic() - began
            in_time = took_s < LIMIT_S + LATE_S
            trial.require(in_time, f"still there after {took_s:.1f} s")
        ended = [has_ended(client) for client in clients]
        trial.require(all(ended), "the server did not hang up on all")
    return f"closed {took_s:.1f} s after the first byte (limit {LIMIT_S} s)"


def has_ended(client: socket.socket) -> bool:
    """Whether the server has hung up on a client."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


# -- crowds ----------------------------------------------------------------------------


def beyond_the_bound(trial: Trial) -> str:
    """Fill the server with idle clients; as each leaves, one that waits is served."""
    with (
        trial.serve(max_connections=CROWD) as (served, askers),
        contextlib.ExitStack() as stack,
    ):
        bounds = WORKERS if served.in_processes else 1  # each process has its own
        most = CROWD * bounds + WORKERS  # each worker may accept one too many, once
        with askers.quiet():
            idle = [client_of(served) for _ in range(most + BEYOND)]
            for client in idle:
                stack.callback(client.close)
            until(lambda: served.count("rests") > 2 * WORKERS, "the workers rest")
            turns, seen = resting(trial, served), served.look()
            trial.require(seen["open"] <= most, f"{seen['open']} are open")
            trial.require(seen["waiting"] >= BEYOND, f"{seen['waiting']} wait")
        for left, client in enumerate(idle[: trial.times], 1):
            client.close()
            due = CROWD * bounds + seen["counters"]["closed"] + left
            until(lambda n=due: served.count("accepted") >= n, "the next was served")
        trial.require(served.count("accept_errors") == 0, "an accept failed")
    return (
        f"{seen['open']} open where {CROWD * bounds} may be, the others wait, for each "
        f"that leaves one is served; a full worker takes {turns:.0f} turns a second"
    )


def storm(trial: Trial) -> str:
    """Connect many at once to a short queue; all are served, or told that they are not.

    A storm takes seconds, because who finds the queue full tries again after one: so
    there is one for each four times.
    """
    storms, came_to = -(-trial.times // 4), Counter[str]()
    trial.tries, worst_s = storms * STORM, 0.0
    with trial.serve(backlog=BACKLOG) as (served, _):
        for _ in range(storms):
            began = time.monotonic()
            with contextlib.ExitStack() as stack:
                crowd = [stack.enter_context(at_once(served)) for _ in range(STORM)]
                came_to += Counter(map(asked_once, crowd))
            worst_s = max(worst_s, time.monotonic() - began)
    trial.require(came_to.total() == trial.tries, f"of {trial.tries}: {came_to}")
    trial.require(came_to["answered"] == trial.tries, f"not all answered: {came_to}")
    return (
        f"{STORM} connects at once to a queue of {BACKLOG}: all {trial.tries:,} "
        f"answered, the last of a storm after {worst_s:.1f} s at most"
    )


def at_once(served: Served) -> socket.socket:
    """Return a client that does not wait until it is connected."""
    client = socket.socket()
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        client.connect(served.address)
    return client


def asked_once(client: socket.socket) -> str:
    """Wait until a client is connected, ask, and return what came of it."""
    poll = select.poll()
    poll.register(client, select.POLLOUT)
    if not poll.poll(1000 * PATIENCE_S):
        return "lost"
    if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        return "cut off"
    client.settimeout(PATIENCE_S)
    client.sendall(get(f"/bytes/{LENGTH}"))
    return read_answer(client, LENGTH)
