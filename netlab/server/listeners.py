"""Passive sockets: opened, made non-blocking, and shared by the workers.

Facts. A listener has two queues in the kernel: connections whose handshake is
under way, and connections that are complete and wait to be accepted. The
second is as long as the smaller of `backlog` and net.core.somaxconn, plus one;
beyond that a client's connect waits and retries after a second. A client whose
connect returned is in that queue, not yet at the server.

SO_REUSEADDR lets a restarted server bind a port that has old connections in
TIME_WAIT; it does not let two servers share one. TCP_NODELAY is inherited by
the accepted sockets, so setting it on the listener costs no system call per
connection. IPV6_V6ONLY keeps [::]:80 from also taking IPv4's port 80.

Decision. The listener must not block: a worker that was woken for a connection
which another worker took would sleep in `accept`, deaf to its own clients.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

from netlab.kernel import backlog as accept_queue
from netlab.kernel.addresses import Address

Listener = socket.socket


class Plan(NamedTuple):
    """What to open, and how many connections may wait at each."""

    addresses: tuple[Address, ...]
    backlog: int


def open_shared(plan: Plan, workers: int) -> list[tuple[Listener, ...]]:
    """Open one listener per address and give all of them to every worker.

    Returns a tuple of listeners for each worker. Raises OSError naming the
    address that could not be had, with none left open.
    """
    opened: list[Listener] = []
    try:
        for host, port in plan.addresses:
            opened.append(open_listener(host, port, plan.backlog))
    except BaseException:  # an interrupt too
        close_all(opened)
        raise
    return [tuple(opened)] * workers


def open_listener(host: str, port: int, backlog: int) -> Listener:
    """Return a bound, listening, non-blocking socket; OSError names the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno,
            f"cannot listen on {host} port {port}: {error.strerror}; "
            "choose another port, or port 0 for any free one",
        ) from error
    except BaseException:
        listener.close()
        raise
    return listener


def address_of(listener: Listener) -> Address:
    """Return the address that a listener is bound to."""
    return Address(*listener.getsockname()[:2])


def waiting(listeners: list[Listener]) -> int:
    """Return how many complete connections nobody has accepted yet."""
    still_open = [listener for listener in listeners if listener.fileno() >= 0]
    return sum(accept_queue.accept_queue_length(listener) for listener in still_open)


def close_all(listeners: list[Listener]) -> None:
    """Close every listener; connections still waiting there are reset."""
    for listener in listeners:
        listener.close()
