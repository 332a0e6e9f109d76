"""Clients that behave, and notice everything: nothing lost, nothing of another's.

Each asks for bodies of lengths that no other asks for, and never the same length twice
in a row, and compares the whole answer, head and body, with the only one there can be.
What a request came to is one of these:

    answered   the whole answer, and the right one
    mixed      another answer than the one that was asked for
    cut off    the connection ended, and said so, before the answer was whole
    refused    nobody listens there any more, so that it was not asked
    lost       none of these, for PATIENCE_S
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

from netlab.kernel.addresses import Address
from netlab.protocol import FILLER
from reliability.served import PATIENCE_S, until

KEPT, ANEW = 2, 2  # clients that keep their connection, that connect for each request
STEP, LENGTHS = 2_000, 997  # each client's own range of lengths
EACH = 20  # answers that each has at least, before a fault and after it
PAUSE_S = 0.004  # between two requests of a client
HEAD = (
    rb"HTTP/1\.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
    rb"Content-Length: %d\r\nX-Netlab-Worker: \d+\r\nX-Netlab-Cpu: \d+\r\n\r\n"
)
READ_BYTES = 1 << 16


def get(path: str) -> bytes:
    """Return a request."""
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()


def filler(size: int) -> bytes:
    """Return the body of /bytes/SIZE."""
    return (FILLER * (size // len(FILLER) + 1))[:size]


def read_answer(client: socket.socket, size: int) -> str:
    """Return what the answer to /bytes/SIZE came to."""
    received = b""
    try:
        while not (whole := re.match(HEAD % size, received)) or (
            len(received) < whole.end() + size
        ):
            if not whole and b"\r\n\r\n" in received:
                return "mixed"
            data = client.recv(READ_BYTES)
            if not data:
                return "cut off"
            received += data
    except TimeoutError:
        return "lost"
    except OSError:
        return "cut off"
    return "answered" if received[whole.end() :] == filler(size) else "mixed"


def answered(client: socket.socket, size: int) -> bool:
    """Whether the next answer is the right one to /bytes/SIZE."""
    return read_answer(client, size) == "answered"


class Asker(threading.Thread):
    """One client, which asks until it is told that it is over."""

    def __init__(
        self,
        address: Address,
        number: int,
        over: threading.Event,
        go: threading.Event,
    ) -> None:
        super().__init__(daemon=True, name=f"asker {number}")
        self.address, self.over, self.go = address, over, go
        self.keeps, self.first = number < KEPT, STEP * (number + 1)
        self.came_to: Counter[str] = Counter()
        self.worst_s = 0.0
        self.client: socket.socket | None = None

    def run(self) -> None:
        """Ask, one request after the other."""
        number = 0
        while not self.over.is_set():
            began = time.monotonic()
            came_to = self.ask(self.first + number % LENGTHS)
            self.came_to[came_to] += 1
            if came_to == "answered":
                self.worst_s = max(self.worst_s, time.monotonic() - began)
            number += 1
            if came_to != "answered" or not self.keeps:
                self.leave()
            self.over.wait(PAUSE_S)
            self.go.wait()
        self.leave()

    def ask(self, size: int) -> str:
        """Ask once; return what it came to."""
        try:
            if self.client is None:
                self.client = socket.create_connection(self.address, PATIENCE_S)
            self.client.sendall(get(f"/bytes/{size}"))
        except TimeoutError:
            return "lost"
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return "cut off"
        return read_answer(self.client, size)

    def leave(self) -> None:
        """Close the connection, if there is one."""
        if self.client is not None:
            with contextlib.suppress(OSError):
                self.client.close()
        self.client = None


class Askers:
    """Some of them, from the start of a `with` block to its end."""

    def __init__(self, address: Address) -> None:
        self.over, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.all = [Asker(address, n, self.over, self.go) for n in range(KEPT + ANEW)]

    def __enter__(self) -> Askers:
        for one in self.all:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.go.set()
        for one in self.all:
            one.join(2 * PATIENCE_S)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Ask nothing new within the block."""
        self.go.clear()
        time.sleep(10 * PAUSE_S)
        try:
            yield
        finally:
            self.go.set()

    def all_answered(self, when: str) -> None:
        """Wait until each has been answered some times more; Broken if one is not."""
        goals = {one: one.came_to["answered"] + EACH for one in self.all}
        for one, goal in goals.items():
            until(
                lambda one=one, goal=goal: one.came_to["answered"] >= goal,
                f"{one.name} answered {when}",
            )

    def came_to(self) -> Counter[str]:
        """Return how many requests came to what."""
        return sum((Counter(one.came_to) for one in self.all), Counter())

    def worst_ms(self) -> float:
        """Return how long the slowest answer took, in ms."""
        return 1000 * max(one.worst_s for one in self.all)
