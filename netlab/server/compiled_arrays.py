"""The arrays that a compiled loop works on, made and kept alive.

A server's workers in one process have a few things in common: the table of connections,
indexed by descriptor and as long as the hard limit of descriptors (its pages come into
being as they are written), the numbers of their epolls, and the rule that places a
connection, compiled for this server. `Arrays` is one worker's; its `own` names it all.
What may not be put here: anything that waits or serves.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlab.kernel import callback, native
from netlab.kernel.limits import descriptor_limits
from netlab.protocol import FILLER
from netlab.server.compiled_state import (
    CONNECTION,
    FILLER_AT,
    LISTENER,
    NOBODY,
    OWN,
    SCRATCH_WORDS,
    TEXT_BYTES,
)
from netlab.server.loops import EVENTS_PER_TURN, Watching
from netlab.server.placement import MEMORY_WORDS, Place, keep
from netlab.server.shared import Shared

if TYPE_CHECKING:
    from netlab.server.outfit import Outfit

MOST_CONNECTIONS = 1 << 20  # descriptors: Linux's own default for a hard limit, twice


class Common(NamedTuple):
    """What the workers of one server in one process have in common.

    connections: CONNECTION by descriptor. epolls: int64, by worker. pool: the epoll of
    all, if there is one. place: the compiled rule, None if the acceptor keeps.
    """

    connections: np.ndarray
    epolls: np.ndarray
    pool: select.epoll | None
    place: Any

    @classmethod
    def of(cls, outfit: Outfit) -> Common:
        """Make it for a server."""
        pool = select.epoll() if outfit.how.loop == "one epoll" else None
        return cls(
            np.zeros(min(descriptor_limits()[1], MOST_CONNECTIONS), CONNECTION),
            np.zeros(len(outfit.watched), "int64"),
            pool,
            compiled_place(outfit.strategy.name, outfit.strategy.place),
        )

    @classmethod
    def of_none(cls) -> Common:
        """Make it for a loop that is told to stop before it begins."""
        return cls(np.zeros(1, CONNECTION), np.zeros(1, "int64"), None, None)


class Arrays:
    """What the loop of one worker works on."""

    def __init__(
        self, number: int, epoll: int, listeners: np.ndarray, shared: Shared, at: Common
    ) -> None:
        text = np.zeros(TEXT_BYTES, "uint8")
        text[FILLER_AT:] = np.frombuffer(FILLER, "uint8")
        log, turn_log = shared.logs[number], shared.turn_logs[number]
        workers = shared.sizes.workers
        named = {
            "connections": at.connections,
            "listeners": listeners,
            "log": log.records,
            "log_head": log.head,
            "turn_log": turn_log.records,
            "turn_log_head": turn_log.head,
            "row": shared.rows.array[number:],
            "rows": shared.rows.array,
            "epolls": at.epolls,
            "placed": shared.placed,
            "open_now": np.zeros(workers, "int64"),
            "memory": shared.memories[number],
            "stopping": shared.stopping,
            "events": np.zeros(EVENTS_PER_TURN + 1, native.EPOLL_EVENT),
            "text": text,
            "scratch": np.zeros(SCRATCH_WORDS, "int64"),
        }
        self._kept = named, at
        self.connections = at.connections
        self.own = np.zeros(1, OWN)
        own = self.own[0]
        for name, array in named.items():
            own[name] = array.ctypes.data
        own["number"], own["epoll"], own["unfinished"] = number, epoll, NOBODY
        own["worker_count"], own["placed_stride"] = workers, shared.sizes.stride()
        own["connection_count"] = len(at.connections)
        own["listener_count"] = len(listeners)
        own["log_size"], own["turn_log_size"] = len(log.records), len(turn_log.records)
        own["place"] = at.place.address if at.place else 0
        own["slowness"] = 1

    def follow(self, how: Watching, outfit: Outfit, number: int) -> None:
        """Take over what the strategy's row and the settings say."""
        own = self.own[0]
        own["shares_clients"] = how.loop == "one epoll"
        own["drain"], own["rotate_every"] = how.drain, how.rotate_every
        own["incoming_cpu"] = outfit.incoming_cpu
        own["slowness"] = outfit.slowness(number)
        bounds = outfit.bounds
        own["client_timeout_ns"] = int(bounds.client_timeout_s * 1e9)
        own["look_ns"] = int(bounds.look_s * 1e9)
        own["max_connections"], own["in_use"] = bounds.max_connections, bounds.in_use
        own["counts_from"] = bounds.most() - 1
        first, end = bounds.counted(number, int(own["worker_count"]))
        own["counted_first"], own["counted_end"] = first, end


def listeners_of(outfit: Outfit, number: int) -> np.ndarray:
    """Return what a worker watches: LISTENER, shape (listeners,)."""
    numbers, events = outfit.listener_numbers(), outfit.how.events
    rows = [(one.fileno(), events, numbers[one]) for one in outfit.watched[number]]
    return np.array(rows, LISTENER)


def compiled_place(name: str, place: Place) -> Any:
    """Return a rule compiled, with its `address`; None for `keep`.

    Raises ValueError with the reason if it cannot be compiled.
    """
    if place is keep:
        return None
    rule = callback.callable_here(place)
    try:
        found = callback.callback(_entry(rule))
        if not callback.returns_whole_numbers(rule):
            raise ValueError("it returns no whole number")
    except ValueError as error:
        raise ValueError(
            f"engine='compiled': the place of strategy {name!r}: {error}; "
            "use engine='python'"
        ) from error
    return found


def _entry(rule: Place) -> Callable[[int, int, int, int], int]:
    def entry(acceptor: int, open_now: int, workers: int, memory: int) -> int:
        return rule(
            acceptor,
            native.array_at(open_now, workers, np.int64),
            native.array_at(memory, MEMORY_WORDS, np.int64),
        )

    return entry
