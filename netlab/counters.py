"""The list of counters: names, columns, meanings and sums all come from here.

A worker counts in plain integers on its `Tally` and publishes them as one row
once a turn: an interpreted `row["x"] += 1` on a NumPy field costs about 770 ns,
an attribute 30. (A compiled worker counts in its row at once, for a nanosecond.)
The row has one writer, the worker, so nothing is locked and a
reader may be one turn behind.

The counters keep four ways of a connection apart, so that its whereabouts can
be checked and not only hoped for. For each worker, at any time it sleeps:

    accepted + received = given + closed + open

A connection that a worker accepts and keeps is `accepted` there and `closed`
there; one that it hands over is `accepted` and `given` here, and `received`
and `closed` by its owner. What is left over is `open`.

`wakeups` (voluntary context switches), `preemptions` (involuntary ones) and
`cpu_ns` are the kernel's own account of the thread. It does not say what a thread
slept for: under the GIL, waits for the interpreter are among the wake-ups. While
the thread lives the account is read from outside (kernel.threads), which does not
wake it; the worker itself writes it here twice, when it is ready and when it ends,
because the kernel forgets a thread that is gone.
"""

from __future__ import annotations

from enum import IntEnum
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from netlab.records import Rows, columns

if TYPE_CHECKING:
    import pandas as pd


class State(IntEnum):
    """Where a worker is in its life."""

    STARTING = 0
    READY = 1
    ENDED = 2
    FAILED = 3


class Counter(NamedTuple):
    """One column: `kind` is identity, count (may be summed) or usage."""

    name: str
    kind: str
    meaning: str


COUNTERS = (
    Counter("worker", "identity", "its number, from 0"),
    Counter("state", "identity", "starting, ready, ended or failed"),
    Counter("tid", "identity", "the kernel's number of the thread"),
    Counter("cpu", "identity", "where its last turn began"),
    Counter("turns", "count", "returns of the wait call"),
    Counter("accepted", "count", "connections it took from a queue"),
    Counter("would_block", "count", "accepts that found none: EAGAIN"),
    Counter("accept_errors", "count", "accepts that failed otherwise"),
    Counter("rests", "count", "pauses from accepting: no descriptor, or full"),
    Counter("received", "count", "connections another worker gave it"),
    Counter("given", "count", "connections it gave to another worker"),
    Counter("closed", "count", "connections it ended"),
    Counter("resets", "count", "of those, broken by the client"),
    Counter("timed_out", "count", "of those, because the client took too long"),
    Counter("faults", "count", "of those, by an error of the server's code"),
    Counter("left_open", "count", "connections it held when it ended"),
    Counter("requests", "count", "requests it understood or refused"),
    Counter("refusals", "count", "of those, answered with 400 or more"),
    Counter("answers", "count", "answers the kernel took whole, by the batch"),
    Counter("bytes_in", "count", "bytes received"),
    Counter("bytes_out", "count", "bytes the kernel took"),
    Counter("partial_writes", "count", "sends that had to wait"),
    Counter("wakeups", "usage", "sleeps that ended; waits for the GIL too"),
    Counter("preemptions", "usage", "involuntary context switches"),
    Counter("cpu_ns", "usage", "time it ran, user and system"),
)
NAMES = tuple(counter.name for counter in COUNTERS)
SUMMED = tuple(counter.name for counter in COUNTERS if counter.kind != "identity")
USAGE = tuple(counter.name for counter in COUNTERS if counter.kind == "usage")
DTYPE = columns(**dict.fromkeys(NAMES, "int64"))

_values = attrgetter(*NAMES)


class Tally:
    """A worker's own counts, plain integers, one attribute a counter."""

    __slots__ = (*NAMES, "_row", "_rows")

    if TYPE_CHECKING:  # the attributes come from the list above

        def __getattr__(self, name: str) -> int: ...
        def __setattr__(self, name: str, value: object) -> None: ...

    def __init__(self, rows: Rows, row: int) -> None:
        for name in NAMES:
            setattr(self, name, 0)
        self.worker = row
        self._rows = rows
        self._row = row
        self.publish()

    def __repr__(self) -> str:
        return f"Tally(worker {self._row}: {self.accepted} accepts, {self.turns} turns)"

    def publish(self) -> None:
        """Write the counts to the worker's row, for everybody to copy."""
        self._rows.write(self._row, _values(self))


def new_rows(workers: int) -> Rows:
    """Return zeroed counter rows for `workers` workers."""
    return Rows(DTYPE, workers)


def open_connections(rows: np.ndarray) -> np.ndarray:
    """Return how many connections each row's worker holds, shape (workers,)."""
    return rows["accepted"] + rows["received"] - rows["given"] - rows["closed"]


def total(rows: np.ndarray) -> dict[str, int]:
    """Return the sum over the workers of every counter that can be summed."""
    return {name: int(rows[name].sum()) for name in SUMMED}


def table(rows: np.ndarray) -> pd.DataFrame:
    """Return a row per worker: the counters, and `open` (connections it holds)."""
    import pandas as pd

    frame = pd.DataFrame({name: rows[name] for name in NAMES})
    frame["state"] = [State(value).name.lower() for value in rows["state"]]
    frame.insert(frame.columns.get_loc("closed"), "open", open_connections(rows))  # pyright: ignore[reportArgumentType]
    return frame
