"""Clients that misbehave: a process of its own, told whom to attack, and how.

Facts. None of these clients breaks a rule of TCP, and each costs its sender next to
nothing: to ask and not to read, to send a byte now and then, to vanish by a reset. Real
ones do the same without malice: a telephone in a tunnel, a program that was suspended.

Decision. All are bounded: so many clients, so many bytes, for as long as the study
says, against an address of this machine. When the parent says so, or is gone, all of
them leave.

    <- {"attack": "never read", "address": ["127.0.0.1", N]}
    <- {"attack": "nobody", ...}       they leave
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from itertools import cycle

from netlab.study.partners import Parent

TICK_MS = 50
SMALL = 1 << 14  # bytes of a receive buffer, so that the server's end fills soon
HOARDERS, ASKED, SIZE = 8, 40, 500_000  # clients, answers each, bytes of one: 160 MB
CROWD = 100  # more than the server has descriptors
VANISHING = 10  # a tick
HEAD = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n"
DRIP = b"GET / HTTP/1.1\r\nX: " + b"a" * 80  # no request of it is ever whole
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset
Address = tuple[str, int]


class Nobody:
    """No client at all; the others are made from it."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.clients: list[socket.socket] = []

    def tick(self) -> None:
        """Do what is done every TICK_MS."""

    def connect(self) -> socket.socket:
        """Return one more client; all its calls return at once."""
        self.clients.append(client := socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.connect(self.address)
        return client

    def leave(self) -> None:
        """End all clients."""
        for client in self.clients:
            client.close()


class NeverRead(Nobody):
    """A few clients ask for much, and read none of it."""

    def tick(self) -> None:
        """Connect and ask, once."""
        while len(self.clients) < HOARDERS:
            client = self.connect()
            client.setblocking(True)
            client.sendall(HEAD % (b"/bytes/%d" % SIZE) * ASKED)


class OneByte(Nobody):
    """Many clients that never come to the end of their request."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.drip = cycle(DRIP)

    def tick(self) -> None:
        """Connect, once, and send a byte each."""
        while len(self.clients) < CROWD:
            self.connect()
        byte = bytes([next(self.drip)])
        for client in self.clients:
            with contextlib.suppress(OSError):  # not connected yet, or hung up on
                client.send(byte)


class Reset(Nobody):
    """Clients that ask and vanish."""

    def tick(self) -> None:
        """Let some more of them come and go."""
        for _ in range(VANISHING):
            client = self.connect()
            with contextlib.suppress(OSError):
                client.send(HEAD % b"/bytes/50000")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            client.close()
        self.clients.clear()


ATTACKS = {
    "nobody": Nobody,
    "never read": NeverRead,
    "one byte at a time": OneByte,
    "reset": Reset,
}


def main(descriptor: int) -> None:
    """Attack as told, until the parent closes its end."""
    parent = Parent(descriptor)
    attack = Nobody(("127.0.0.1", 0))
    while (order := parent.hear(TICK_MS)) is not None:
        if order:
            attack.leave()
            attack = ATTACKS[order["attack"]](tuple(order["address"]))
        attack.tick()


if __name__ == "__main__":
    main(int(sys.argv[1]))
