"""What can be watched: anything with a process, threads and counter rows."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Watched(Protocol):
    """A running server, such as netlab.Server."""

    @property
    def pid(self) -> int:
        """The process."""
        ...

    @property
    def tids(self) -> tuple[int, ...]:
        """The workers' threads, in the order of their numbers."""
        ...

    @property
    def running(self) -> bool:
        """Whether there is still something to watch."""
        ...

    def snapshot(self) -> np.ndarray:
        """Counter rows (`netlab.counters.DTYPE`), shape (workers,)."""
        ...
