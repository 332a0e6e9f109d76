"""A small wrapper over epoll and select: it watches, waits and forgets.

Facts. epoll is told once what to watch and keeps a list of what is ready, so a turn
costs as much as is ready. select is told everything at every turn, looks at all of it,
and knows no descriptor above 1,023: its sets are bit fields of one size.
Level-triggered, epoll tells of a socket as long as there is something to do for it.
Edge-triggered, it tells once for each arrival: whoever is told must go on until
EWOULDBLOCK, or leaves something behind of which nobody will tell again.

Decision. A loop tells what is ready to read, the only thing that the stages wait for,
and whether it tells once. Which loop a stage has is a row of LOOPS.

Not in this file: what a descriptor means.
"""

from __future__ import annotations

import select

SELECT_LIMIT = 1024  # descriptors, fixed when the C library was compiled


class Epoll:
    """Told once what to watch; tells what is ready, as long as it is."""

    tells_once = False

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.events = select.EPOLLIN
        self.close = self.epoll.close

    def watch(self, descriptor: int) -> None:
        """Tell of a descriptor from now on."""
        self.epoll.register(descriptor, self.events)

    def forget(self, descriptor: int) -> None:
        """Do nothing: the kernel forgets a socket that is closed next."""

    def wait(self) -> list[int]:
        """Sleep until something is ready; return all that is."""
        return [descriptor for descriptor, _ in self.epoll.poll()]


class Edge(Epoll):
    """Tells of each arrival once."""

    tells_once = True

    def __init__(self) -> None:
        super().__init__()
        self.events |= select.EPOLLET


class Select:
    """Told at every turn what to watch, and looks at all of it."""

    tells_once = False

    def __init__(self) -> None:
        self.watched: set[int] = set()
        self.forget = self.watched.discard

    def watch(self, descriptor: int) -> None:
        """Tell of a descriptor from now on; ValueError if that is impossible."""
        if descriptor >= SELECT_LIMIT:
            raise ValueError(f"select cannot watch descriptor {descriptor}: use epoll")
        self.watched.add(descriptor)

    def wait(self) -> list[int]:
        """Sleep until something is ready; return all that is."""
        return select.select(self.watched, (), ())[0]

    def close(self) -> None:
        """Do nothing: it has no descriptor of its own."""


LOOPS = {"epoll": Epoll, "edge": Edge, "select": Select}
