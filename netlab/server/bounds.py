"""What a client may cost a server: time, and its place among the descriptors.

Facts. A client that began a request and does not end it, or asked and does not read,
costs nothing but a descriptor and what the server keeps for it; the client pays less
still. Descriptors are numbered from 0 and the lowest free one is given, so that the
number of a new connection says how full the table may be. A process that has none left
cannot open a file or import a module: for a server inside a notebook's kernel, it is
the reader who is locked out.

Decision. A client has `client_timeout_s` for each thing that only it can do next: to
end a request that it has begun, to read more of an answer, to leave after it was
refused. Bytes of an unfinished request renew nothing, so that one byte a second does
not last. Who has asked for nothing may stay: that is what a kept connection is. Time is
looked at only while somebody's is running, LOOKS times in each limit: the wait of a
worker whose clients behave has no time limit, which would change the order in which the
kernel wakes (`loops`).

A worker with `max_connections` open leaves the queue alone, as when it is out of
descriptors. By default that is what the limit of that moment allows, less what was open
at the start and a part for the process itself. Counting costs time, so a worker begins
with it when a connection's number says that there may be as many; each worker may so
accept one too many, once.

What may not be put here: who looks (`serving`), and who accepts (`acceptor`).
"""

from __future__ import annotations

import os
from typing import NamedTuple

from netlab.kernel.limits import descriptor_limits

LOOKS = 8  # in a client's time; a look may come this part of it late
SPARE_MOST, SPARE_PART = 256, 8  # descriptors, or a part of them, kept for the process


class Bounds(NamedTuple):
    """The bounds of one server.

    client_timeout_s: seconds a client may take for what only it can do next.
    max_connections: open at once; 0: as many as there are descriptors for.
    in_use: descriptors that were open at the server's start.
    apart: whether workers are processes, each with descriptors of its own, which are
        counted each by itself then.
    """

    client_timeout_s: float
    max_connections: int
    in_use: int
    apart: bool

    @property
    def look_s(self) -> float:
        """How long a worker sleeps at most while a client's time is running."""
        return self.client_timeout_s / LOOKS

    def most(self) -> int:
        """Return how many connections may be open now; the limit may have changed."""
        return self.max_connections or descriptors_left(self.in_use)

    def counted(self, number: int, workers: int) -> tuple[int, int]:
        """Return the first and the end of the workers that share a table with one."""
        return (number, number + 1) if self.apart else (0, workers)


def descriptors_in_use() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def descriptors_left(in_use: int) -> int:
    """Return for how many connections there are descriptors, at least 1."""
    limit = descriptor_limits()[0]
    return max(1, limit - in_use - min(SPARE_MOST, limit // SPARE_PART))
