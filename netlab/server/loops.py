"""The ways to wait: epoll and select behind one small interface.

Facts. `epoll` is told once what to watch and keeps a list of what is ready, so
a turn costs as much as is ready. `select` is told at every turn, looks at every
descriptor, and cannot be given one above 1,023: its sets are bit fields of
FD_SETSIZE = 1,024 bits. Who is woken for a new connection is decided in the
listener's wait queue, by the entry that the wait leaves there: epoll leaves one at
registration, select one at every wait. EPOLLEXCLUSIVE makes the entry an exclusive
one, of which the kernel wakes the first only; it may be registered and removed but
not modified, and not be combined with EPOLLONESHOT (EINVAL). Edge-triggered, an epoll
tells of a listener once for each arrival, not as long as its queue is not empty: who
does not accept until it is would leave a connection behind. One-shot, it tells once
and then nothing until it is armed again.

Decision. What a strategy says of waiting is data (`Watching`), because two engines and
a printed table read it. A loop has verbs for descriptors (add, change, remove, forget,
wait) with epoll's bits for the events, and verbs for a listener (watch, unwatch, arm,
accept), which the ways to wait honour each in its own manner. `wait` has no timeout
unless a worker rests, has more to answer, or has a client whose time is running
(`bounds`): a finite timeout makes epoll queue its waiters in another order and hides
who would have been first.

`forget` is for a descriptor that is closed next. epoll needs no system call for
that, as the last close of a socket removes it; select must drop it from its
sets. What may not be put here: what a descriptor means.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from netlab.server.connection import Connection
    from netlab.server.listeners import Listener

# epoll's bits, the same on every machine (include/uapi/linux/eventpoll.h).
READ = 0x001  # EPOLLIN
WRITE = 0x004  # EPOLLOUT
EXCLUSIVE = 1 << 28
ONESHOT = 1 << 30
EDGE = 1 << 31
BITS = {EXCLUSIVE: "exclusive", ONESHOT: "one-shot", EDGE: "edge-triggered"}
EVENTS_PER_TURN = 128  # bounds a turn; what does not fit is reported at the next
SELECT_LIMIT = 1024  # FD_SETSIZE, fixed when the C library was compiled

Ready = Iterable[tuple[int, int]]


class Watching(NamedTuple):
    """How the workers of a strategy wait for a new connection.

    loop: the way to wait, a name of `ways.LOOPS`.
    events: what a listener is watched for, epoll's bits.
    drain: accept until the queue is empty, not once a turn.
    rotate_every: accepts after which a worker registers anew; 0: never.
    """

    loop: str = "epoll"
    events: int = READ
    drain: bool = False
    rotate_every: int = 0

    def described(self) -> str:
        """Return it in words."""
        words = [self.loop, *(name for bit, name in BITS.items() if self.events & bit)]
        if self.drain:
            words.append("accept until would-block")
        if self.rotate_every:
            words.append(f"registered anew every {self.rotate_every} accepts")
        return ", ".join(words)


class Loop(Protocol):
    """What a worker needs of a way to wait. Descriptors are small integers.

    arrivals: connections that were added by another than their owner, or that no
    worker owns while they wait, by descriptor. shares_clients: whether any worker may
    hear of any client. unserved: connections that a closed loop had accepted, and that
    nobody asked it for.
    """

    arrivals: dict[int, Connection]
    shares_clients: bool
    unserved: int

    @staticmethod
    def common() -> Any:
        """Return what the loops of one server have in common, made once."""

    def add(self, descriptor: int, events: int, /) -> None:
        """Begin to watch for READ or WRITE; ValueError if that is impossible."""

    def change(self, descriptor: int, events: int, /) -> None:
        """Watch a known descriptor for other events."""

    def remove(self, descriptor: int, /) -> None:
        """Stop watching a descriptor that stays open."""

    def forget(self, descriptor: int) -> None:
        """Stop watching a descriptor that is closed next."""

    def watch(self, listener: Listener) -> None:
        """Begin to watch for new connections."""

    def unwatch(self, listener: Listener) -> None:
        """Watch for new connections no more."""

    def arm(self, listener: Listener) -> None:
        """Watch a listener again that was watched one-shot, and has told."""

    def accept(self, listener: Listener) -> tuple[socket.socket, Any]:
        """Return a connection and its peer's address; BlockingIOError if none."""
        ...

    def wait(self, timeout_s: float | None = None) -> Ready:
        """Sleep until something is ready; return (descriptor, events) pairs."""
        ...

    def close(self) -> None:
        """Give the loop's own descriptors back."""


class EpollLoop:
    """An epoll of the worker's own."""

    shares_clients, unserved = False, 0
    accept = staticmethod(socket.socket.accept)

    def __init__(self, how: Watching, common: Any = None) -> None:
        self.how = how
        self.arrivals: dict[int, Connection] = {}
        self._epoll = self._make(common)
        self.add: Callable[[int, int], None] = self._epoll.register
        self.change = self._epoll.modify
        self.remove = self._epoll.unregister
        self.close = self._epoll.close
        self.fileno = self._epoll.fileno

    @staticmethod
    def common() -> Any:
        """Return nothing: each worker has its own."""

    def _make(self, common: Any) -> select.epoll:
        del common
        return select.epoll()

    def forget(self, descriptor: int) -> None:
        """Do nothing: closing a socket takes it out of its epoll."""

    def watch(self, listener: Listener) -> None:
        """Put an entry into the listener's wait queue."""
        self._epoll.register(listener.fileno(), self.how.events)

    def unwatch(self, listener: Listener) -> None:
        """Take the entry out of the listener's wait queue."""
        self._epoll.unregister(listener.fileno())

    def arm(self, listener: Listener) -> None:
        """Have this epoll tell of the listener once more."""
        self._epoll.modify(listener.fileno(), self.how.events)

    def wait(self, timeout_s: float | None = None) -> Ready:
        """Return at most EVENTS_PER_TURN (descriptor, events) pairs."""
        return self._epoll.poll(timeout_s, EVENTS_PER_TURN)


class SelectLoop:
    """select(2), told at every turn what to watch."""

    shares_clients, unserved = False, 0
    accept = staticmethod(socket.socket.accept)

    def __init__(self, how: Watching, common: Any = None) -> None:
        del how, common  # there is one way to watch
        self.arrivals: dict[int, Connection] = {}
        self._read: set[int] = set()
        self._write: set[int] = set()

    @staticmethod
    def common() -> Any:
        """Return nothing: each worker has its own."""

    def add(self, descriptor: int, events: int) -> None:
        """Watch `descriptor`; ValueError if it is beyond select's sets."""
        if descriptor >= SELECT_LIMIT:
            raise ValueError(
                f"select cannot watch descriptor {descriptor}: its sets end at "
                f"{SELECT_LIMIT - 1}; use loop='epoll', or a strategy with epoll"
            )
        self.change(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Watch `descriptor` for these events and no others."""
        self.remove(descriptor)
        if events & READ:
            self._read.add(descriptor)
        if events & WRITE:
            self._write.add(descriptor)

    def remove(self, descriptor: int) -> None:
        """Watch `descriptor` no more."""
        self._read.discard(descriptor)
        self._write.discard(descriptor)

    forget = remove

    def watch(self, listener: Listener) -> None:
        """Ask for new connections at every turn."""
        self.add(listener.fileno(), READ)

    def unwatch(self, listener: Listener) -> None:
        """Ask for them no more."""
        self.remove(listener.fileno())

    def arm(self, listener: Listener) -> None:
        """Do nothing: select always tells."""

    def wait(self, timeout_s: float | None = None) -> Ready:
        """Return (descriptor, events) for everything that is ready."""
        read, write, _ = select.select(self._read, self._write, (), timeout_s)
        return [(fd, READ) for fd in read] + [(fd, WRITE) for fd in write]

    def close(self) -> None:
        """Do nothing: select has no descriptor of its own."""
