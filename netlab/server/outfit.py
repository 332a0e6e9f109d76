"""What a worker is made of, the same for a thread and for a process.

A team (`threads_team`, `processes_team`) brings workers to life, in its own way; the
outfit has everything it needs to make one, and says what any worker does first: take
its name and its CPU. What may not be put here: threads, processes, or waiting.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple, Protocol

from netlab.kernel import threads
from netlab.server.engines import Engine
from netlab.server.listeners import Listener
from netlab.server.shared import Shared
from netlab.server.strategies import Strategy


class Working(Protocol):
    """What a team needs of a worker, of either engine."""

    number: int
    peers: list[Any]
    fault: Exception | None

    def run(self) -> None:
        """Serve until told to stop; always leave a last word."""
        ...

    def hang_up(self) -> None:
        """Close what is left; it stays counted as open. May be repeated."""
        ...


class Outfit(NamedTuple):
    """Everything that makes the workers of one server."""

    engine: Engine
    strategy: Strategy
    loop: str
    order: tuple[int, ...]
    cpus: list[int]
    pin: bool
    watched: list[tuple[Listener, ...]]
    shared: Shared

    def make(self, number: int, common: Any) -> Working:
        """Return a worker that watches its listeners already, and does not run yet.

        common: what `engine.prepare()` returned in this process.
        """
        return self.engine.make(self, number, common)

    def take_place(self, number: int) -> None:
        """Name and bind the calling thread as worker `number`."""
        threads.set_name(thread_name(number), threading.get_native_id())
        if self.pin:
            threads.pin([self.cpus[number]])


def thread_name(number: int) -> str:
    """Return what `ps -L` and Python call the thread of a worker."""
    return f"netlab-w{number}"
