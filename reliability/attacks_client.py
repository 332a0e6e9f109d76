"""A client that behaves, in a process of its own: it asks when it is due, and notices.

Facts. A client that waits for an answer before it asks again asks a slow server less,
and so hides how slow it was. A client in the server's process, or in the attacker's,
would be slow by itself.

Decision. It asks every EVERY_S, mostly on a connection that it keeps, and each
`new_every`-th time on a new one. What an answer took counts from the moment at which it
was to be asked for, so that who waits behind a late answer is late, too. It asks for
bodies of ever other lengths and compares all of the answer, as `asking` does. Before it
reports, it asks what was due until then, so that a late end hides nothing either.

    <- {"address": ["127.0.0.1", N], "new_every": 10}   it begins
    <- {"go_on": true}      -> its figures since it was told last
    <- {"go_on": false}     -> the same; it leaves, and rests
"""

from __future__ import annotations

import math
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from netlab.kernel.addresses import Address
from netlab.study.partners import Parent
from reliability.asking import get, read_answer

EVERY_S = 0.02
NEW_EVERY = 10  # each so many requests, one on a connection of its own
LENGTHS = 997  # of bodies, in bytes: a short answer
CLOCK_S = 0.001  # the wait for a word counts in milliseconds
PATIENCE_S = 10.0  # who waits longer for an answer of some bytes has lost it


class Client:
    """One client, what its requests came to, and how long each took."""

    def __init__(self, address: Address, new_every: int) -> None:
        self.address, self.new_every = address, new_every
        self.kept: socket.socket | None = None
        self.connections = self.asked = 0
        self.began = time.monotonic()
        self.begin()

    def begin(self) -> None:
        """Begin new figures."""
        self.came_to: Counter[str] = Counter()
        self.took_ms: list[float] = []

    def due(self) -> float:
        """Return when the next request is to be asked."""
        return self.began + self.asked * EVERY_S

    def wait_ms(self) -> int:
        """Return for how long nothing is due, in whole milliseconds."""
        return max(0, int(1000 * (self.due() - time.monotonic())))

    def catch_up(self) -> None:
        """Ask what is due by now, to the end or to the first that fails."""
        now, answered = time.monotonic() + CLOCK_S, self.came_to["answered"]
        while self.due() <= now and self.came_to["answered"] == answered:
            time.sleep(max(0.0, self.due() - time.monotonic()))
            self.ask()
            answered += 1

    def ask(self) -> None:
        """Ask once, and note what it came to and how long after it was due."""
        due, size = self.due(), 1 + self.asked * 7 % LENGTHS
        self.asked += 1
        anew = self.new_every and self.asked % self.new_every == 0
        came_to = self.ask_anew(size) if anew else self.ask_on_kept(size)
        self.came_to[came_to] += 1
        self.took_ms.append(1000 * (time.monotonic() - due))

    def ask_anew(self, size: int) -> str:
        """Ask on a connection of its own."""
        try:
            with self.connect() as client:
                return ask_on(client, size)
        except OSError:
            return "lost"

    def ask_on_kept(self, size: int) -> str:
        """Ask on the connection that is kept; have another one if it failed."""
        came_to = "lost"
        try:
            self.kept = self.kept or self.connect()
            came_to = ask_on(self.kept, size)
        except OSError:
            pass
        if came_to != "answered":
            self.leave()
        return came_to

    def connect(self) -> socket.socket:
        """Return one more connection."""
        self.connections += 1
        return socket.create_connection(self.address, PATIENCE_S)

    def leave(self) -> None:
        """Close the connection that is kept, if there is one."""
        if self.kept is not None:
            self.kept.close()
        self.kept = None

    def figures(self) -> dict[str, Any]:
        """Return its figures; `connections` are all that it ever opened."""
        came_to, asked = self.came_to, self.came_to.total()
        answered, mixed = came_to["answered"], came_to["mixed"]
        return {
            "connections": self.connections,
            "requests": asked,
            "answered": answered,
            "lost": asked - answered - mixed,
            "mixed": mixed,
            "median ms": quantile(self.took_ms, 0.5),
            "p99 ms": quantile(self.took_ms, 0.99),
            "worst ms": quantile(self.took_ms, 1.0),
        }


def ask_on(client: socket.socket, size: int) -> str:
    """Return what a request on this connection came to."""
    client.sendall(get(f"/bytes/{size}"))
    return read_answer(client, size)


def quantile(values: Sequence[float], part: float) -> float | None:
    """Return the smallest value that so large a part of them do not exceed."""
    if not values:
        return None
    return round(sorted(values)[math.ceil(part * len(values)) - 1], 3)


def main(descriptor: int) -> None:
    """Ask as told, until the parent closes its end."""
    parent = Parent(descriptor)
    order = parent.hear()
    if order is None:
        return
    client, goes_on = Client(Address(*order["address"]), order["new_every"]), True
    while (order := parent.hear(client.wait_ms() if goes_on else None)) is not None:
        client.catch_up()
        if order:
            parent.tell(client.figures())
            client.begin()
            goes_on = order["go_on"]
        if not goes_on:
            client.leave()


if __name__ == "__main__":
    main(int(sys.argv[1]))
