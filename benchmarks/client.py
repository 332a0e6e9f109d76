"""A client that asks one thing after the other, so that a server's calls repeat."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

from benchmarks.nginx import KEEP, LAST
from netlab.kernel.addresses import Address

TIMEOUT_S = 30.0
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def length(address: Address, *, last: bool, timeout_s: float = TIMEOUT_S) -> int:
    """Return how long a server's answer is, on a connection that ends or stays."""
    with socket.create_connection(address, timeout_s) as connection:
        connection.sendall(LAST if last else KEEP)
        size = read_answer(connection)
        if last and connection.recv(1):
            raise OSError("more was sent after the answer, or the end did not come")
        return size


def read_answer(connection: socket.socket) -> int:
    """Read one answer of status 200; return its length. OSError if it is not whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head = data.partition(b"\r\n\r\n")[0]
    stated = LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 200 ") or stated is None:
        raise OSError(f"not a good answer: {head[:60]!r}")
    whole = len(head) + 4 + int(stated[1])
    while len(data) < whole:
        data += _some(connection)
    if len(data) > whole:
        raise OSError("more was sent than the answer has")
    return whole


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 16)
    if not data:
        raise OSError("the server closed before the answer was complete")
    return data


def ask_on_one(address: Address, count: int) -> None:
    """Ask `count` times on one connection, each after the other's answer."""
    with socket.create_connection(address, TIMEOUT_S) as connection:
        for _ in range(count):
            connection.sendall(KEEP)
            read_answer(connection)


def ask_on_many(address: Address, count: int) -> None:
    """Ask `count` times on a connection each, which the server closes."""
    for _ in range(count):
        length(address, last=True)


LOADS: dict[str, Callable[[Address, int], None]] = {
    "keep-alive": ask_on_one,
    "new connection": ask_on_many,
}
