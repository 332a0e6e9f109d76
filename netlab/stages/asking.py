"""A client that asks one server one thing after the other; it knows no netlab code."""

from __future__ import annotations

import http.client
import socket
import struct
from typing import Any, NamedTuple

PATIENCE_S = 1.0  # whoever waits longer on loopback will not get it
UNANSWERED = "the connection ended unanswered"
HEAD = b"GET %b HTTP/1.1\r\nHost: h\r\n%b\r\n"


class Answer(NamedTuple):
    """One answer, its body whole."""

    status: int
    headers: Any
    body: bytes


class Client:
    """One connection; every wait for it ends after PATIENCE_S, with an AssertionError.

    receive_buffer: bytes that the kernel may hold for it; default: the kernel's.
    """

    def __init__(self, address: Any, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            option = socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer
            self.socket.setsockopt(*option)
        self.socket.settimeout(PATIENCE_S)
        self.file = self.socket.makefile("rb")
        self.address = tuple(address)[:2]

    def __enter__(self) -> Client:
        try:
            self.socket.connect(self.address)
        except OSError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, *targets: bytes, header: bytes = b"") -> None:
        """Ask for these, in one go."""
        try:
            self.socket.sendall(b"".join(HEAD % (target, header) for target in targets))
        except ConnectionError:
            raise AssertionError(UNANSWERED) from None

    def read(self) -> Answer:
        """Return the next answer."""
        try:
            return self._read()
        except TimeoutError:
            raise AssertionError(f"no whole answer within {PATIENCE_S:g} s") from None
        except ConnectionError:
            raise AssertionError(UNANSWERED) from None

    def _read(self) -> Answer:
        first = self.file.readline()
        assert first.startswith(b"HTTP/1.1 "), UNANSWERED
        headers = http.client.parse_headers(self.file)
        body = self.file.read(size := int(headers["Content-Length"]))
        assert len(body) == size, f"{len(body)} bytes of a body of {size}"
        return Answer(int(first.split()[1]), headers, body)

    def ask(self, target: bytes = b"/") -> Answer:
        """Ask for one thing, and return the answer."""
        self.send(target)
        return self.read()

    def has_ended(self) -> bool:
        """Wait for the server's end of the connection; a reset is one too."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def vanish(self) -> None:
        """End by a reset, as a machine that is switched off and on again."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.file.close()
        self.socket.close()
