"""The oldest way: N threads sleep inside `accept`, each serves one client to its end.

Facts. A thread that calls `accept` on a blocking listener goes to the tail of the
listener's wait queue, as an exclusive waiter: the kernel wakes the one at the head, and
so the threads are served in the order in which they began to wait. While it sleeps
there it hears of nothing else, and an eventfd cannot wake it. A `shutdown` of the
listener can: every accept on it, sleeping or to come, fails with EINVAL.

Decision. As a loop it watches one thing at a time: without a client it sleeps in
`accept`, and keeps what that returned for the worker to fetch; with one it polls the
client and the stop, and nothing else. Whoever stops the server writes the stop and
shuts the listener down, in either order; a loop that meets EINVAL goes to hear of the
stop. The loops of a server stand in line (`line`) for their first accept.

Cost. A client that says nothing would keep its worker for ever, so after PATIENCE_S of
silence the loop ends it: the worker then reads its end. One that says a byte now and
then is ended by the worker's clock (`bounds`); nobody else is served by that worker
meanwhile.

Known limits. There is one listener, since a thread sleeps in one accept. The last step
into the kernel cannot be seen: a thread that loses its CPU just there, for LOOK_S,
loses its place as well. What is accepted when the server stops is closed unserved, and
counted in `unserved`.

What may not be put here: what a client is, or when a worker rests.
"""

from __future__ import annotations

import errno
import select
import socket
from typing import TYPE_CHECKING, Any

from netlab.kernel import libc
from netlab.server.line import LOOK_S, Line
from netlab.server.loops import READ, WRITE, Ready, Watching

if TYPE_CHECKING:
    from netlab.server.connection import Connection
    from netlab.server.listeners import Listener

PATIENCE_S = 5.0  # long for a client on loopback, short for one that has gone to sleep
Accepted = tuple[socket.socket, Any]


class BlockingLoop:
    """Sleeps in `accept`, or waits for the one client that it has."""

    shares_clients = False

    def __init__(self, how: Watching, common: Line) -> None:
        del how  # there is one way to sleep
        self.arrivals: dict[int, Connection] = {}
        self.unserved = 0  # connections that were accepted, and closed unseen
        self._poll = select.poll()
        self._stop: int | None = None
        self._clients: dict[int, int] = {}  # what each is watched for
        self._listener: Listener | None = None
        self._line, self._place = common, 0
        self._has_waited = False
        self._outcome: Accepted | OSError | None = None

    @staticmethod
    def common() -> Line:
        """Return the line in which the loops of one server stand."""
        return Line()

    # -- clients, and the stop ----------------------------------------------------

    def add(self, descriptor: int, events: int) -> None:
        """Watch a client; the first that is added is the stop's eventfd."""
        self._poll.register(descriptor, events)
        if self._stop is None:
            self._stop = descriptor
        else:
            self._clients[descriptor] = events

    def change(self, descriptor: int, events: int) -> None:
        """Watch a client for other events."""
        self._poll.modify(descriptor, events)
        self._clients[descriptor] = events

    def remove(self, descriptor: int) -> None:
        """Watch a client no more."""
        self._poll.unregister(descriptor)
        self._clients.pop(descriptor, None)

    forget = remove

    # -- new connections ----------------------------------------------------------

    def watch(self, listener: Listener) -> None:
        """Accept from this listener; ValueError for a second or one that won't block.

        That is where a thread sleeps, and it can sleep in one place only.
        """
        if self._listener not in (None, listener):
            raise ValueError(
                "a second listener: a thread sleeps in one accept; give one address, "
                "or a strategy that waits with epoll"
            )
        if not listener.getblocking():
            raise ValueError(
                f"listener {listener.fileno()} does not block, and accept would not "
                "sleep: call setblocking(True) on it"
            )
        self._listener = listener
        self._place = self._place or self._line.join()

    def unwatch(self, listener: Listener) -> None:
        """Accept no more."""
        del listener
        self._listener = None

    def arm(self, listener: Listener) -> None:
        """Do nothing: each wait without a client is a new accept."""

    def accept(self, listener: Listener) -> Accepted:
        """Return what the last wait accepted, or raise its error."""
        del listener
        outcome, self._outcome = self._outcome, None
        if outcome is None:
            raise BlockingIOError(errno.EAGAIN, "the last wait accepted nothing")
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    # -- waiting ------------------------------------------------------------------

    def wait(self, timeout_s: float | None = None) -> Ready:
        """Return what the client is ready for, or the listener once it has accepted.

        A worker that may not accept, having unwatched the listener, sleeps until the
        stop or for the timeout.
        """
        if self._clients:
            return self._wait_for_client(timeout_s)
        if self._listener is None:
            return self._look(timeout_s)
        if self._outcome is None:
            if stop := self._stand_in_line():
                return stop
            self._outcome = _accept(self._listener)
        if _is_shut_down(self._outcome) and (stop := self._look(PATIENCE_S)):
            return stop
        return [(self._listener.fileno(), READ)]

    def _stand_in_line(self) -> Ready:
        """Let those before begin their first accept; return the stop if it comes."""
        while not self._has_waited:
            self._has_waited = self._line.is_next(self._place)
            if stop := self._look(LOOK_S):  # the last look is for the one before
                return stop
        self._line.leave(self._place)
        return []

    def _wait_for_client(self, timeout_s: float | None) -> Ready:
        ready = self._look(PATIENCE_S if timeout_s is None else timeout_s)
        if ready or timeout_s is not None:
            return ready
        for descriptor, events in self._clients.items():
            how = socket.SHUT_RDWR if events & WRITE else socket.SHUT_RD
            libc.function("shutdown")(descriptor, how)
        return self._look(0)

    def _look(self, timeout_s: float | None) -> Ready:
        return self._poll.poll(None if timeout_s is None else timeout_s * 1000)

    def close(self) -> None:
        """Close what was accepted and never fetched. More calls do nothing."""
        self._line.leave(self._place)
        if isinstance(self._outcome, tuple):
            self._outcome[0].close()
            self.unserved += 1
        self._outcome = None


def _accept(listener: Listener) -> Accepted | OSError:
    try:
        return listener.accept()
    except OSError as error:
        return error


def _is_shut_down(outcome: Accepted | OSError) -> bool:
    return isinstance(outcome, OSError) and outcome.errno == errno.EINVAL
