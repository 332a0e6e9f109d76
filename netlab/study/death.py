"""Study `worker-death`: what becomes of the clients whose listener closes.

Facts. Under SO_REUSEPORT each worker has an accept queue of its own. To a client whose
handshake is over, `connect` has returned: it cannot know that it only waits in a queue.
If the listener closes (its worker died, or was started anew), the kernel resets what
waits there. With the sysctl net.ipv4.tcp_migrate_req it moves the queue to another
listener of the port (Linux 5.14).

Decision. Two workers are kept busy, so that nobody accepts: each has a client that
asked for PIPELINED spins in one go, which a worker answers within one turn. A thread
that runs, after all were asleep, is at that work. Then the clients connect, and the sum
of the queues' lengths says that all of them wait. One listener closes; every client
asks, and reads. The strategy's row changes the sysctl, and puts it back.

Known limits: with workers that are not compiled the clients' own thread has to wait for
the GIL, and may come too late; then the study says so and gives no number. What may not
be put here: closing a listener (`Server.retire`).
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import psutil

from netlab.checks import whole_number
from netlab.kernel import limits
from netlab.load.progress import bar
from netlab.server.server import Server
from netlab.study.experiment import OWN_DESCRIPTORS
from netlab.study.found import Found
from netlab.study.interleave import Point, in_blocks
from netlab.study.orders import possible

if TYPE_CHECKING:
    pass

NAMES = ("reuseport", "reuseport-migrate")
CLIENTS, CLIENTS_LIMIT = 200, 2000
SPIN_US, PIPELINED = 100_000, 8  # a worker's time between two accepts: 0.8 s
TRIES = 100  # that a hash leaves one of two workers out: 2 to the power of -99
BUSY_S, ANSWER_S = 5.0, 20.0
ASK = b"GET / HTTP/1.1\r\nHost: netlab\r\n\r\n"
SPIN = b"GET /spin/%d HTTP/1.1\r\nHost: netlab\r\n\r\n" % SPIN_US
RESET, ANSWERED, NEITHER = "reset", "answered", "neither"
TOLD = (RESET, ANSWERED)  # the rest is neither


def worker_death(
    repeats: int = 5,
    seed: int = 1,
    progress: bool = True,
    clients: int = CLIENTS,
) -> Found:
    """Count who is reset when a worker's listener closes, with migration and without.

    Table `worker_death`: migrate, repeat, clients, reset, answered. Where the sysctl
    cannot be changed there is no row with migration, and a note says why.

    Raises RuntimeError if the clients did not all come while the workers were busy.
    """
    import pandas as pd

    whole_number("clients", clients, 1, CLIENTS_LIMIT)
    whole_number("repeats", repeats, 1, 1000)
    rows, notes = possible(NAMES)
    points = [
        Point({"migrate": row.name == NAMES[1]}, {"strategy": row.name}) for row in rows
    ]
    order = in_blocks(points, repeats, seed)
    found = []
    with bar(len(order), "runs", progress) as told:
        for repeat, point in order:
            fates = _fates(point.settings["strategy"], clients)
            counts = {"clients": clients} | {name: fates[name] for name in TOLD}
            found.append(point.labels | {"repeat": repeat} | counts)
            told.update()
    table = pd.DataFrame(found).sort_values(["migrate", "repeat"], ignore_index=True)
    settings = {"repeats": repeats, "seed": seed, "clients": clients}
    return Found("worker-death", {"worker_death": table}, settings, notes)


def _fates(strategy: str, count: int) -> Counter[str]:
    """Return how many of the clients had which fate."""
    with ExitStack() as stack:
        wanted = 2 * count + OWN_DESCRIPTORS  # both ends are this process's
        stack.enter_context(limits.raised_descriptor_limit(wanted))
        server = stack.enter_context(
            Server(strategy=strategy, engine="compiled", workers=2)
        )
        with _kept_busy(server):
            clients = [_connect(stack, server) for _ in range(count)]
            _require_waiting(server, count)
            server.retire(1)
            asked = [_ask(client) for client in clients]
            fates = zip(clients, asked, strict=True)
            return Counter(_fate(client) if sent else RESET for client, sent in fates)


@contextmanager
def _kept_busy(server: Server) -> Iterator[None]:
    """Have a client at each worker that makes it spin for PIPELINED requests."""
    with ExitStack() as stack:
        one_each = _one_each(stack, server)
        server.settle()
        for client in one_each:
            client.sendall(SPIN * PIPELINED)
        deadline = time.monotonic() + BUSY_S
        while not all(_runs(tid) for tid in server.tids):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the workers did not begin within {BUSY_S:.0f} s")
        yield


def _one_each(stack: ExitStack, server: Server) -> Sequence[socket.socket]:
    """Return a client of each worker, found by asking: the hash decides."""
    found: dict[bytes, socket.socket] = {}
    for _ in range(TRIES):
        client = _connect(stack, server)
        _ask(client)
        head = client.recv(4096)
        worker = head.partition(b"X-Netlab-Worker: ")[2].partition(b"\r\n")[0]
        found[worker] = client
        if len(found) == len(server.tids):
            return list(found.values())
    alone = ", ".join(map(bytes.decode, found))
    raise RuntimeError(f"{TRIES} connections came to worker {alone} alone")


def _runs(tid: int) -> bool:
    return psutil.Process(tid).status() == psutil.STATUS_RUNNING


def _connect(stack: ExitStack, server: Server) -> socket.socket:
    client = socket.create_connection(server.address[:2], ANSWER_S)
    return stack.enter_context(client)


def _require_waiting(server: Server, count: int) -> None:
    """Raise RuntimeError unless all clients wait in the queues."""
    if (waiting := server.waiting()) != count:
        raise RuntimeError(
            f"{waiting} of {count} clients wait to be accepted: the workers were busy "
            f"for less than it took to connect; ask for fewer than clients={count}, or "
            "run it when the machine is idle"
        )


def _ask(client: socket.socket) -> bool:
    """Send one request; False if the connection is reset already."""
    try:
        client.sendall(ASK)
    except ConnectionError:
        return False
    return True


def _fate(client: socket.socket) -> str:
    """Return what became of a client that asked."""
    try:
        answer = client.recv(4096)
    except ConnectionError:
        return RESET
    except TimeoutError:
        return NEITHER
    return ANSWERED if answer.startswith(b"HTTP/1.1 200 ") else RESET
