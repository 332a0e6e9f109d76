"""The order in which the loops of a server wait for the first time.

Facts. Where waiting begins with the wait itself, and not with a registration before it,
the threads of the workers would race for their places in the listener's wait queue, and
the order that was asked for would be lost.

Decision. A worker's loop joins the line when it is told to watch, which happens in the
order of registration, and goes to wait when all before it have. The line is two
numbers in memory that forked workers share: how many have come, and how many have gone
to wait. Loops come one at a time, and only the next one in line writes the second, so
there is no lock. What may not be put here: how a loop waits.
"""

from __future__ import annotations

import mmap

CAME, GONE = range(2)
LOOK_S = 0.001  # between two looks whether it is one's turn


class Line:
    """Who of a server's loops is the next to wait."""

    def __init__(self) -> None:
        self._numbers = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")

    def join(self) -> int:
        """Return a place at the end of the line, from 1."""
        self._numbers[CAME] += 1
        return self._numbers[CAME]

    def is_next(self, place: int) -> bool:
        """Whether all before have gone to wait."""
        return self._numbers[GONE] >= place - 1

    def leave(self, place: int) -> None:
        """Let the next one come. More calls do nothing."""
        self._numbers[GONE] = max(place, self._numbers[GONE])
