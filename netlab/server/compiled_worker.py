"""A worker of the compiled engine, as its team holds it.

Facts. The compiled loop works on arrays that somebody must keep alive, and knows only
descriptors. What is asked of a worker beside its loop happens once: its epoll is made
and registered, its first and last words are written, what is left is closed.

Decision. That is plain Python, here, on the words of `worker`. What may not be put
here: anything that happens once for each connection.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from netlab.counters import State
from netlab.kernel import libc, native
from netlab.kernel.libc import current_cpu
from netlab.kernel.threads import own_usage
from netlab.server import compiled
from netlab.server.acceptor import NO_SUCH_WORKER
from netlab.server.compiled_arrays import Arrays, Common, listeners_of
from netlab.server.compiled_state import LISTENER, MISPLACED, NOBODYS
from netlab.server.loops import READ, EpollLoop
from netlab.server.shared import Shared, Sizes
from netlab.server.shared_loops import OneEpollLoop, Pool

if TYPE_CHECKING:
    from netlab.server.outfit import Outfit


class CompiledWorker:
    """The arrays of one worker, and its loop, which runs without the GIL."""

    def __init__(self, number: int, outfit: Outfit, common: Common) -> None:
        self.number = number
        self.peers: list[Any] = [self]
        self.fault: Exception | None = None  # compiled code has errors of clients only
        self._loop = EpollLoop(outfit.how)
        if common.pool is not None:
            self._loop = OneEpollLoop(outfit.how, Pool(common.pool, {}))
        for listener in outfit.watched[number]:
            self._loop.watch(listener)
        self._loop.add(outfit.shared.stop, READ)
        epoll = common.epolls[number] = self._loop.fileno()
        watched = listeners_of(outfit, number)
        self._arrays = Arrays(number, epoll, watched, outfit.shared, common)
        self._arrays.follow(outfit.how, outfit, number)
        self._row = outfit.shared.rows.array[number]
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
            self._raise_if_failed(code)
            state = State.ENDED
        finally:
            self._publish_usage(state)
            self.hang_up()

    def _raise_if_failed(self, code: int) -> None:
        if code == MISPLACED:
            number, last = self._arrays.own[0]["misplaced_as"], len(self.peers) - 1
            raise ValueError(NO_SUCH_WORKER.format(number, last))
        if code < 0:
            raise OSError(-code, f"epoll_wait: {os.strerror(-code)}")

    @property
    def highest(self) -> int:
        """The largest descriptor that it ever owned or gave."""
        return int(self._arrays.own[0]["highest"])

    def retire(self) -> None:
        """Leave the listeners alone for ever; others close them next."""
        self._arrays.own[0]["listener_count"] = 0

    def slow_down(self, factor: int) -> None:
        """Spin so many times longer than was asked for, from the next spin on."""
        self._arrays.own[0]["slowness"] = factor

    def hang_up(self) -> None:
        """Close its own connections; they stay counted as open. May be repeated."""
        owned = self._arrays.connections[: self.highest + 1]
        own = (owned["owner"] == self.number + 1) & (owned["arriving"] == 0)
        self._close(np.flatnonzero(own).tolist())

    def close_loop(self) -> None:
        """Close what it was given last and its loop, once all workers have ended.

        Before that another worker may still give it a connection.
        """
        highest = max(worker.highest for worker in self.peers)
        owner = self._arrays.connections[: highest + 1]["owner"]
        left = (owner == self.number + 1) | (owner == NOBODYS)
        descriptors = np.flatnonzero(left).tolist()
        self._row["received"] += len(descriptors)
        self._close(descriptors)
        self._loop.close()

    def _close(self, descriptors: list[int]) -> None:
        free = libc.function("free")
        table = self._arrays.connections
        for fd in descriptors:
            for kept in ("inbox", "outbox"):
                free(int(table[fd][kept]))
            table[fd] = 0
            os.close(fd)
            self._row["left_open"] += 1

    def _publish_usage(self, state: State) -> None:
        """Publish this thread's own account of its switches, and then its state."""
        wakeups, preemptions, cpu_ns = own_usage()
        self._row["wakeups"] = wakeups
        self._row["preemptions"] = preemptions
        self._row["cpu_ns"] = cpu_ns
        self._row["state"] = state


def prepare(outfit: Outfit) -> Common:
    """Have the loop compiled, and return what the workers of a server share."""
    warm_up()
    return Common.of(outfit)


def warm_up() -> None:
    """Have the loop compiled, or loaded from the cache."""
    shared = Shared(Sizes(1, 1))
    shared.tell_to_stop()
    idle = Arrays(0, -1, np.zeros(1, LISTENER), shared, Common.of_none())
    native.settle_in(compiled.run, idle.own, "the workers' loop")
