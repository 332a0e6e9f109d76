"""A worker of the compiled engine, as its team holds it.

Facts. The compiled loop works on arrays that somebody must keep alive, and knows only
descriptors. What is asked of a worker beside its loop happens once: its epoll is made
and registered, its first and last words are written, what is left is closed.

Decision. That is plain Python, here, on the words of `worker`. The table of
connections is made once for all workers of a process and indexed by descriptor, as long
as the hard limit of descriptors; its pages come into being as they are written.

What may not be put here: anything that happens once for each connection.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from netlab.counters import State
from netlab.kernel import libc, native
from netlab.kernel.libc import current_cpu
from netlab.kernel.limits import descriptor_limits
from netlab.kernel.threads import own_usage
from netlab.protocol import FILLER
from netlab.server import compiled
from netlab.server.compiled_state import (
    CONNECTION,
    FILLER_AT,
    LISTENER,
    NOBODY,
    OWN,
    SCRATCH_WORDS,
    TEXT_BYTES,
)
from netlab.server.loops import EVENTS_PER_TURN, READ, EpollLoop
from netlab.server.shared import Shared

if TYPE_CHECKING:
    from netlab.server.listeners import Listener
    from netlab.server.strategies import Strategy

MOST_CONNECTIONS = 1 << 20  # descriptors: Linux's own default for a hard limit, twice


class NotingLoop(EpollLoop):
    """An epoll that knows which events its descriptors are watched for."""

    def __init__(self) -> None:
        super().__init__()
        self.events: dict[int, int] = {}
        self._register = self.add
        self.add = self._note

    def _note(self, descriptor: int, events: int) -> None:
        self.events[descriptor] = events
        self._register(descriptor, events)


class CompiledWorker:
    """The arrays of one worker, and its loop, which runs without the GIL."""

    def __init__(
        self,
        number: int,
        strategy: Strategy,
        listeners: tuple[Listener, ...],
        shared: Shared,
        connections: np.ndarray,
    ) -> None:
        self.number = number
        self.peers: list[Any] = [self]
        self.fault: Exception | None = None  # compiled code has errors of clients only
        self._loop = NotingLoop()
        for listener in listeners:
            strategy.watch(self._loop, listener)
        watched = np.array(list(self._loop.events.items()), LISTENER)
        self._loop.add(shared.stop, READ)
        epoll = self._loop.fileno()
        self._arrays = Arrays(number, epoll, watched, shared, connections)
        self._row = shared.rows.array[number]
        self._row["worker"] = number

    def __repr__(self) -> str:
        return f"CompiledWorker({self.number})"

    def run(self) -> None:
        """Serve until told to stop; always leave a last word."""
        self._row["tid"] = threading.get_native_id()
        self._row["cpu"] = current_cpu()
        self._publish_usage(State.READY)
        state = State.FAILED
        try:
            code = compiled.run(self._arrays.own)
            if code < 0:
                raise OSError(-code, f"epoll_wait: {os.strerror(-code)}")
            state = State.ENDED
        finally:
            self._publish_usage(state)
            self.hang_up()

    def hang_up(self) -> None:
        """Close what is left; it stays counted as open. May be repeated."""
        free = libc.function("free")
        highest = self._arrays.own[0]["highest"]
        owned = self._arrays.connections[: highest + 1]
        for fd in np.flatnonzero(owned["owner"] == self.number + 1).tolist():
            for kept in ("inbox", "outbox"):
                free(int(owned[fd][kept]))
            owned[fd] = 0
            os.close(fd)
            self._row["left_open"] += 1
        self._loop.close()

    def _publish_usage(self, state: State) -> None:
        """Publish this thread's own account of its switches, and then its state."""
        wakeups, preemptions, cpu_ns = own_usage()
        self._row["wakeups"] = wakeups
        self._row["preemptions"] = preemptions
        self._row["cpu_ns"] = cpu_ns
        self._row["state"] = state


def prepare() -> np.ndarray:
    """Have the loop compiled, and return a table of connections for one server."""
    shared = Shared(1, 1)
    shared.tell_to_stop()
    idle = Arrays(0, -1, np.zeros(1, LISTENER), shared, np.zeros(1, CONNECTION))
    native.settle_in(compiled.run, idle.own, "the workers' loop")
    return np.zeros(min(descriptor_limits()[1], MOST_CONNECTIONS), CONNECTION)


class Arrays:
    """What the loop of one worker works on, kept alive; `own` names it all."""

    def __init__(
        self,
        number: int,
        epoll: int,
        listeners: np.ndarray,
        shared: Shared,
        connections: np.ndarray,
    ) -> None:
        text = np.zeros(TEXT_BYTES, "uint8")
        text[FILLER_AT:] = np.frombuffer(FILLER, "uint8")
        log = shared.logs[number]
        named = {
            "connections": connections,
            "listeners": listeners,
            "log": log.records,
            "log_head": log.head,
            "row": shared.rows.array[number:],
            "stopping": shared.stopping,
            "events": np.zeros(EVENTS_PER_TURN + 1, native.EPOLL_EVENT),
            "text": text,
            "scratch": np.zeros(SCRATCH_WORDS, "int64"),
        }
        self._kept = named
        self.connections = connections
        self.own = np.zeros(1, OWN)
        own = self.own[0]
        own["number"], own["epoll"], own["unfinished"] = number, epoll, NOBODY
        own["connection_count"], own["listener_count"] = map(
            len, (connections, listeners)
        )
        own["log_size"] = len(log.records)
        for name, array in named.items():
            own[name] = array.ctypes.data
