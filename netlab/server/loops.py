"""The ways to wait: epoll and select behind one small interface.

Facts. `epoll` is told once what to watch and keeps a list of what is ready, so
a turn costs as much as is ready. `select` is told at every turn, looks at every
descriptor, and cannot be given one above 1,023: its sets are bit fields of
FD_SETSIZE = 1,024 bits. For a listener both are the same to the kernel in one
respect that matters here: the waiter it leaves in the listener's wait queue is
not exclusive, so a new connection wakes everybody. epoll leaves it there once,
at registration; select at every wait.

Decision. Five verbs (add, change, remove, forget, wait) that both can honour, with
epoll's two bits for the events. `wait` has no timeout unless a worker rests or has
more to answer: a finite timeout makes epoll queue its waiters in another order and
hides who would have been first.

`forget` is for a descriptor that is closed next. epoll needs no system call for
that, as the last close of a socket removes it; select must drop it from its
sets. What may not be put here: what a descriptor means.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from netlab.server.listeners import Listener

READ = 0x001  # EPOLLIN
WRITE = 0x004  # EPOLLOUT
EVENTS_PER_TURN = 128  # bounds a turn; what does not fit is reported at the next
SELECT_LIMIT = 1024  # FD_SETSIZE, fixed when the C library was compiled

Ready = Iterable[tuple[int, int]]


class Loop(Protocol):
    """What a worker needs of a way to wait. Descriptors are small integers."""

    def add(self, descriptor: int, events: int, /) -> None:
        """Begin to watch for READ or WRITE; ValueError if that is impossible."""
        ...

    def change(self, descriptor: int, events: int, /) -> None:
        """Watch a known descriptor for other events."""
        ...

    def remove(self, descriptor: int, /) -> None:
        """Stop watching a descriptor that stays open."""
        ...

    def forget(self, descriptor: int) -> None:
        """Stop watching a descriptor that is closed next."""
        ...

    def wait(self, timeout_s: float | None = None) -> Ready:
        """Sleep until something is ready; return (descriptor, events) pairs."""
        ...

    def close(self) -> None:
        """Give the loop's own descriptors back."""
        ...


class EpollLoop:
    """Level-triggered epoll."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.add: Callable[[int, int], None] = self._epoll.register
        self.change = self._epoll.modify
        self.remove = self._epoll.unregister
        self.close = self._epoll.close
        self.fileno = self._epoll.fileno

    def forget(self, descriptor: int) -> None:
        """Do nothing: closing a socket takes it out of its epoll."""

    def wait(self, timeout_s: float | None = None) -> Ready:
        """Return at most EVENTS_PER_TURN (descriptor, events) pairs."""
        return self._epoll.poll(timeout_s, EVENTS_PER_TURN)


class SelectLoop:
    """select(2), told at every turn what to watch."""

    def __init__(self) -> None:
        self._read: set[int] = set()
        self._write: set[int] = set()

    def add(self, descriptor: int, events: int) -> None:
        """Watch `descriptor`; ValueError if it is beyond select's sets."""
        if descriptor >= SELECT_LIMIT:
            raise ValueError(
                f"select cannot watch descriptor {descriptor}: its sets end at "
                f"{SELECT_LIMIT - 1}; use loop='epoll'"
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

    def wait(self, timeout_s: float | None = None) -> Ready:
        """Return (descriptor, events) for everything that is ready."""
        read, write, _ = select.select(self._read, self._write, (), timeout_s)
        return [(fd, READ) for fd in read] + [(fd, WRITE) for fd in write]

    def close(self) -> None:
        """Do nothing: select has no descriptor of its own."""


LOOPS = {"epoll": EpollLoop, "select": SelectLoop}


def watch_level(loop: Loop, listener: Listener) -> None:
    """Watch a shared listener level-triggered: not exclusive, so all wake."""
    loop.add(listener.fileno(), READ)
