"""What a worker is made of, the same for a thread and for a process.

A team (`threads_team`, `processes_team`) brings workers to life, in its own way; the
outfit has everything it needs to make one, and says what any worker does first: take
its name and its CPU. What may not be put here: threads, processes, or waiting.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple, Protocol

from netlab.kernel import threads
from netlab.server.bounds import Bounds
from netlab.server.engines import Engine
from netlab.server.listeners import Listener, Watched
from netlab.server.loops import Watching
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

    def retire(self) -> None:
        """Leave the listeners alone for ever; others close them next."""
        ...

    def slow_down(self, factor: int) -> None:
        """Spin so many times longer than was asked for, from the next spin on."""
        ...

    def hang_up(self) -> None:
        """Close its own connections; they stay counted as open. May be repeated."""
        ...

    def close_loop(self) -> None:
        """Close what it was given last and its loop, once all workers have ended."""
        ...


class Outfit(NamedTuple):
    """Everything that makes the workers of one server.

    how: the strategy's way to wait, as it was asked for. slow: the number of a worker
    and how many times slower it spins than the others. bounds: what a client may cost.
    """

    engine: Engine
    strategy: Strategy
    how: Watching
    order: tuple[int, ...]
    cpus: list[int]
    pin: bool
    incoming_cpu: bool
    slow: tuple[int, int] | None
    bounds: Bounds
    watched: Watched
    shared: Shared

    def make(self, number: int, common: Any) -> Working:
        """Return a worker that watches its listeners already, and does not run yet.

        common: what `engine.prepare(self)` returned in this process.
        """
        return self.engine.make(self, number, common)

    def listeners(self) -> list[Listener]:
        """Return all listeners of the server, each once, in their order."""
        return list(dict.fromkeys(one for row in self.watched for one in row))

    def listener_numbers(self) -> dict[Listener, int]:
        """Return the number of each listener: a closed one has no descriptor."""
        return {one: number for number, one in enumerate(self.listeners())}

    def slowness(self, number: int) -> int:
        """Return how many times longer a worker spins than was asked for."""
        return self.slow[1] if self.slow and self.slow[0] == number else 1

    def take_place(self, number: int) -> None:
        """Name and bind the calling thread as worker `number`."""
        threads.set_name(thread_name(number), threading.get_native_id())
        if self.pin:
            threads.pin([self.cpus[number]])


def thread_name(number: int) -> str:
    """Return what `ps -L` and Python call the thread of a worker."""
    return f"netlab-w{number}"
