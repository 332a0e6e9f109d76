"""Ways to wait that the workers of a server have in common: an epoll, or a lock.

Facts. Threads that wait in ONE epoll are its exclusive waiters, and one that goes to
wait stands first in the line: the last to fall asleep is woken first (LIFO). What an
epoll tells to one of its waiters it does not tell to the others, if it is
edge-triggered or one-shot; level-triggered, it wakes the next as long as something is
ready. A client whose bytes come in two pieces could so be served by two workers at
once.

An epoll can watch another epoll. With a common one inside each worker's own, all are
woken for a new connection, as if each watched the listener; but then each asks the
common one, which tells of a connection only while there is one.

nginx's accept mutex (its default until 1.11.3) lets one worker at a time watch the
listeners. Who holds it waits for new connections and for its clients; the others wait
for their clients only, and try again after half a second.

Decision. In the common epoll a client is watched one-shot and is nobody's while it
waits: its worker gives it back, and whoever is woken for it owns it from then on.
What may not be put here: anything that serves a client.
"""

from __future__ import annotations

import select
import socket
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.server.loops import EVENTS_PER_TURN, READ, EpollLoop, Ready, Watching

if TYPE_CHECKING:
    from netlab.server.connection import Connection
    from netlab.server.listeners import Listener

MUTEX_DELAY_S = 0.5  # nginx's accept_mutex_delay


class Pool(NamedTuple):
    """One epoll for all workers, and the clients that wait in it."""

    epoll: select.epoll
    arrivals: dict[int, Connection]


class OneEpollLoop(EpollLoop):
    """The epoll that all workers wait in."""

    shares_clients = True

    def __init__(self, how: Watching, common: Pool) -> None:
        super().__init__(how, common)
        self.arrivals = common.arrivals
        self.add = self._add
        self.close = self._leave

    @staticmethod
    def common() -> Pool:
        """Return the epoll; it is closed with its last user."""
        return Pool(select.epoll(), {})

    def _make(self, common: Pool) -> select.epoll:
        return common.epoll

    def _add(self, descriptor: int, events: int) -> None:
        try:
            self._epoll.register(descriptor, events)
        except FileExistsError:
            pass  # by another worker: what is common is added once

    def _leave(self) -> None:
        """Leave the epoll to the others."""

    def watch(self, listener: Listener) -> None:
        """Have the common epoll watch the listener, if it does not yet."""
        self._add(listener.fileno(), self.how.events)

    def unwatch(self, listener: Listener) -> None:
        """Take the listener out, for all workers."""
        try:
            self._epoll.unregister(listener.fileno())
        except FileNotFoundError:
            pass  # another worker was out of descriptors too

    def arm(self, listener: Listener) -> None:
        """Have the common epoll tell somebody of the listener once more."""
        try:
            super().arm(listener)
        except FileNotFoundError:
            pass  # another worker has taken it out


class NestedLoop(EpollLoop):
    """A common epoll for the listeners inside the worker's own."""

    def __init__(self, how: Watching, common: select.epoll) -> None:
        super().__init__(how)
        self._inner = common

    @staticmethod
    def common() -> select.epoll:
        """Return the inner epoll; it is closed with its last user."""
        return select.epoll()

    def watch(self, listener: Listener) -> None:
        """Watch the inner epoll, which watches the listener."""
        try:
            self._inner.register(listener.fileno(), self.how.events)
        except FileExistsError:
            pass  # by another worker
        try:
            self._epoll.register(self._inner.fileno(), READ)
        except FileExistsError:
            pass  # for another listener

    def unwatch(self, listener: Listener) -> None:
        """Leave the listeners to the other workers."""
        del listener
        try:
            self._epoll.unregister(self._inner.fileno())
        except FileNotFoundError:
            pass  # for another listener

    def wait(self, timeout_s: float | None = None) -> Ready:
        """Return what is ready; of the listeners, those that the inner one names."""
        inner, ready = self._inner.fileno(), []
        for descriptor, events in self._epoll.poll(timeout_s, EVENTS_PER_TURN):
            if descriptor == inner:
                ready += self._inner.poll(0)
            else:
                ready.append((descriptor, events))
        return ready


class MutexLoop(EpollLoop):
    """An epoll of the worker's own, with the listener in it while it has the lock."""

    def __init__(self, how: Watching, common: threading.Lock) -> None:
        super().__init__(how)
        self.accept = self._accept
        self._mutex = common
        self._holds = False
        self._wanted: dict[int, Listener] = {}
        self._watched = False

    @staticmethod
    def common() -> threading.Lock:
        """Return the accept mutex."""
        return threading.Lock()

    def watch(self, listener: Listener) -> None:
        """Watch the listener from now on, whenever this worker has the mutex."""
        self._wanted[listener.fileno()] = listener

    def unwatch(self, listener: Listener) -> None:
        """Watch the listener no more, and let others have the mutex."""
        self._show(False)
        self._release()
        self._wanted.pop(listener.fileno(), None)

    def _show(self, watched: bool) -> None:
        """Register the listener, or take it out, if that is a change."""
        if watched == self._watched:
            return
        for listener in self._wanted.values():
            (super().watch if watched else super().unwatch)(listener)
        self._watched = watched

    def _release(self) -> None:
        if self._holds:
            self._holds = False
            self._mutex.release()

    def wait(self, timeout_s: float | None = None) -> Ready:
        """Try to get the mutex; without it, wait for clients and try again later."""
        self._release()  # a worker that was stopped in between
        self._holds = bool(self._wanted) and self._mutex.acquire(blocking=False)
        self._show(self._holds)
        if not self._holds and (timeout_s is None or timeout_s > MUTEX_DELAY_S):
            timeout_s = MUTEX_DELAY_S
        ready = self._epoll.poll(timeout_s, EVENTS_PER_TURN)
        if not any(descriptor in self._wanted for descriptor, _ in ready):
            self._release()
        return ready

    def _accept(self, listener: Listener) -> tuple[socket.socket, Any]:
        """Accept, and let another worker have the mutex before clients are served."""
        try:
            return listener.accept()
        finally:
            self._release()
