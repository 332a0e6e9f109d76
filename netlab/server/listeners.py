"""Passive sockets: opened, and given to the workers that watch them.

Facts. A listener has two queues in the kernel: connections whose handshake is
under way, and connections that are complete and wait to be accepted. The
second is as long as the smaller of `backlog` and net.core.somaxconn, plus one;
beyond that a client's connect waits and retries after a second. A client whose
connect returned is in that queue, not yet at the server.

SO_REUSEADDR lets a restarted server bind a port that has old connections in
TIME_WAIT; it does not let two servers share one. SO_REUSEPORT does, if all ask for it
and are of one user: each has queues of its own, and the kernel chooses among them by a
hash of the connection's two addresses and ports, or as it was told (`steering`).
TCP_NODELAY and SO_SNDBUF are inherited by the accepted sockets, so setting them on the
listener costs no system call per connection. Left alone, the kernel's send buffer of a
client that reads nothing grows to 2.2 MB over loopback; and to fill those of a thousand
such clients takes a second, in which others wait. IPV6_V6ONLY keeps [::]:80 from also
taking IPv4's port.

Decision. Listeners do not block, but for the strategy that waits in accept: a worker
that was woken for a connection which another worker took would sleep in `accept`,
deaf to its own clients. A way to open returns, for each worker, the listeners that it
watches.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from netlab.kernel import backlog as accept_queue
from netlab.kernel import steering
from netlab.kernel.addresses import Address

SEND_BUFFER_BYTES = 1 << 17  # of an accepted socket; the kernel takes it twofold
Listener = socket.socket
Watched = list[tuple[Listener, ...]]


class Plan(NamedTuple):
    """What to open, for whom, and how many connections may wait at each.

    cpus: the CPU of each worker.
    """

    addresses: tuple[Address, ...]
    backlog: int
    cpus: tuple[int, ...]


def shared_by_all(plan: Plan) -> Watched:
    """Open one listener per address and give all of them to every worker.

    Raises OSError naming the address that could not be had, with none left open, as do
    the other ways to open.
    """
    return [tuple(_open_all(plan, 1))] * len(plan.cpus)


def blocking(plan: Plan) -> Watched:
    """Open listeners for all workers in which an accept sleeps."""
    watched = shared_by_all(plan)
    for listener in watched[0]:
        listener.setblocking(True)
    return watched


def for_the_first(plan: Plan) -> Watched:
    """Open one listener per address and give all of them to worker 0."""
    return [tuple(_open_all(plan, 1)), *[()] * (len(plan.cpus) - 1)]


def one_each(plan: Plan) -> Watched:
    """Open a listener per address and worker, which share the address."""
    workers = len(plan.cpus)
    opened = _open_all(plan, workers)
    return [tuple(opened[number::workers]) for number in range(workers)]


def one_each_by_program(plan: Plan) -> Watched:
    """Have a program choose: CPU c's connections go to worker c modulo their number."""
    watched = one_each(plan)
    with _closed_on_error(watched):
        for listener in watched[0]:
            steering.steer_by_cpu(listener, len(watched))
    return watched


def one_each_by_option(plan: Plan) -> Watched:
    """Have each listener ask for the connections of its worker's CPU."""
    watched = one_each(plan)
    with _closed_on_error(watched):
        for cpu, listeners in zip(plan.cpus, watched, strict=True):
            for listener in listeners:
                steering.prefer_cpu(listener, cpu)
    return watched


def _open_all(plan: Plan, each: int) -> list[Listener]:
    """Open `each` listeners at every address, one address after the other."""
    opened: list[Listener] = []
    with _closed_on_error([opened]):
        for host, port in plan.addresses:
            if each > 1 and port:  # else another server's listener would be joined
                open_listener(host, port, plan.backlog).close()
            for number in range(each):
                at = opened[-1].getsockname()[1] if number else port
                opened.append(open_listener(host, at, plan.backlog, each > 1))
    return opened


@contextmanager
def _closed_on_error(watched: Iterable[Iterable[Listener]]) -> Iterator[None]:
    try:
        yield
    except BaseException:  # an interrupt too
        for listeners in watched:
            close_all(listeners)
        raise


def open_listener(
    host: str, port: int, backlog: int, reuse_port: bool = False
) -> Listener:
    """Return a bound, listening, non-blocking socket; OSError names the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, reuse_port)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
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
    return sum(map(accept_queue.accept_queue_length, filter(_listens, listeners)))


def release(listeners: list[Listener]) -> int:
    """Let go who sleeps in the accept of a blocking listener: it fails with EINVAL.

    What waits at such a listener is reset; returns how many that are.
    """
    blocking = [one for one in listeners if _listens(one) and one.getblocking()]
    left = waiting(blocking)
    for listener in blocking:
        listener.shutdown(socket.SHUT_RDWR)
    return left


def _listens(listener: Listener) -> bool:
    """Whether it is open, and was not released."""
    if listener.fileno() < 0:
        return False
    return bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def close_all(listeners: Iterable[Listener]) -> None:
    """Close every listener; connections still waiting there are reset."""
    for listener in listeners:
        listener.close()
