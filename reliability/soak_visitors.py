"""Clients of all manners that visit a server at once, and know what must come back.

Visitors ask for several things in one go, /, /spin/N and bodies of a length that no
other asks for, and read the answers in another order than they asked. A few come only
to ask for a body and vanish by a reset. A few send half a request: they leave after a
while, or wait until the server has enough of them. Regulars stay from the first visit
to the last.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
from collections import Counter
from typing import Any, BinaryIO

from reliability.asking import filler
from reliability.results import Broken
from reliability.served import PATIENCE_S

VISITORS, VANISHING, STALLED, REGULARS = 16, 4, 4, 2
MOST_ASKED = 8
BASES = (0, 1_000, 60_000, 200_000)  # of a body's length; one turn, many, some sends
LENGTHS = 997
VANISHING_BYTES = 50_000
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset
HALF = b"GET /spin/1 HTTP/1.1\r\nHost: h\r\nX: "


class Visitor:
    """One connection, and what it has asked for and not yet read."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address[:2], PATIENCE_S)
        self.file: BinaryIO = self.socket.makefile("rb")
        self.asked: list[tuple[str, str]] = []

    def ask(self, requests: list[tuple[str, str]]) -> None:
        """Ask for these, (method, path) each, in one go."""
        heads = "".join(
            f"{how} {path} HTTP/1.1\r\nHost: h\r\n\r\n" for how, path in requests
        )
        self.socket.sendall(heads.encode())
        self.asked += requests

    def read(self) -> Counter[int]:
        """Read all that was asked for; return how many answers of which worker."""
        workers: Counter[int] = Counter()
        for how, path in self.asked:
            try:
                workers[self._answer(how, path)] += 1
            except (OSError, ValueError, KeyError) as error:
                raise Broken(f"{how} {path}: lost ({error!r})") from error
        self.asked.clear()
        return workers

    def _answer(self, how: str, path: str) -> int:
        status = self.file.readline()
        headers = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().strip().partition(": ")
            headers[name.lower()] = value
        worker, size = int(headers["x-netlab-worker"]), int(headers["content-length"])
        body = self.file.read(size) if how == "GET" else None
        if status != b"HTTP/1.1 200 OK\r\n" or not is_of(path, size, body, worker):
            raise Broken(f"{how} {path}: mixed, got {status!r} {headers} {body!r:.200}")
        return worker

    def stall(self) -> None:
        """Begin a request."""
        self.socket.sendall(HALF)

    def await_end(self) -> None:
        """Wait until the server ends the connection."""
        with contextlib.suppress(ConnectionError):
            if self.file.read(1):
                raise Broken("half a request was answered")

    def vanish(self) -> None:
        """Ask, and be gone by a reset."""
        self.socket.sendall(
            f"GET /bytes/{VANISHING_BYTES} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
        )
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.leave()

    def leave(self) -> None:
        """Close."""
        self.file.close()
        self.socket.close()


def is_of(path: str, size: int, body: bytes | None, worker: int) -> bool:
    """Whether a body is the one of this path, sent by this worker; None: not sent."""
    if path.startswith("/bytes/"):
        wanted = int(path.removeprefix("/bytes/"))
        return size == wanted and (body is None or body == filler(wanted))
    return body is None or json.loads(body)["worker"] == worker


class Visits:
    """What a visit came to: connections, answers by worker, and what is not known.

    unheard: requests of those who vanished. stalled: connections with half a request,
    ended: those of them that the server ended for certain.
    """

    def __init__(self) -> None:
        self.connections = 0
        self.answers: Counter[int] = Counter()
        self.unheard = self.stalled = self.ended = 0


class Company:
    """All the visitors of one server, for as long as it is held."""

    def __init__(self, address: tuple[str, int], seed: int) -> None:
        self.address = address
        self.drawn = random.Random(seed)
        self.number = 0
        self.regulars: list[Visitor] = []

    def arrive(self) -> None:
        """Let the regulars come, who stay."""
        self.regulars = [Visitor(self.address) for _ in range(REGULARS)]

    def leave(self) -> None:
        """Let them go."""
        for one in self.regulars:
            one.leave()
        self.regulars.clear()

    def visit(self, until_ended: bool) -> Visits:
        """Be all clients once; Broken if anything is lost or mixed.

        until_ended: those who stall wait until the server ends their connections.
        """
        visits = Visits()
        with contextlib.ExitStack() as stack:
            stalled = [self._new(stack, visits) for _ in range(STALLED)]
            for one in stalled:
                one.stall()
                visits.stalled += 1
            self._ask_and_read(stack, visits)
            for one in stalled if until_ended else ():
                one.await_end()
                visits.ended += 1
        return visits

    def _ask_and_read(self, stack: contextlib.ExitStack, visits: Visits) -> None:
        """Let all ask who read their answers, and those come and go who do not."""
        asking = [self._new(stack, visits) for _ in range(VISITORS)] + self.regulars
        for one in asking:
            count = self.drawn.randint(1, MOST_ASKED)
            one.ask([self._request() for _ in range(count)])
        for _ in range(VANISHING):
            self._new(stack, visits).vanish()
            visits.unheard += 1
        self.drawn.shuffle(asking)
        for one in asking:
            visits.answers += one.read()

    def _new(self, stack: contextlib.ExitStack, visits: Visits) -> Visitor:
        visitor = Visitor(self.address)
        stack.callback(visitor.leave)
        visits.connections += 1
        return visitor

    def _request(self) -> tuple[str, str]:
        """Draw what is asked for; a body's length is never that of another's."""
        how = self.drawn.choice(("GET", "GET", "GET", "HEAD"))
        path = self.drawn.choice(("/", f"/spin/{self.drawn.randint(1, 200)}", "", ""))
        if not path:
            self.number += 1
            path = f"/bytes/{self.drawn.choice(BASES) + self.number % LENGTHS}"
        return how, path


def address_of(server: Any) -> tuple[str, int]:
    """Return where a server's visitors go."""
    host, port = server.addresses[0][:2]
    return host, port
