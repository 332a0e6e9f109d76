"""The workers' own logs: a record per accept, and one per turn if it is asked for.

Each worker appends to its own logs, so nothing is locked; the times come from
CLOCK_MONOTONIC, one clock for all threads and processes, so that the logs merge
into one order. A full log drops records and counts them. `port` is the client's
own port, by which a connection is found again in the client's records. To ask the
kernel for `incoming_cpu` costs a system call for each connection, so it is -1 unless
the server was told to (`incoming_cpu=True`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlab.records import columns

if TYPE_CHECKING:
    import pandas as pd

    from netlab.records import Log

ACCEPT = columns(
    time_ns="int64",
    acceptor="int32",
    owner="int32",  # the worker that was given it, or that accepted it
    cpu="int32",  # the acceptor's
    incoming_cpu="int32",  # SO_INCOMING_CPU: where its packets were last processed
    listener="int32",  # of all of the server, from 0
    port="int32",
)
TURN = columns(
    woke_ns="int64",  # the wait returned
    slept_ns="int64",  # all was dealt with, and the next wait begins
    cpu="int32",
    events="int32",  # descriptors that were ready
    accepted="int32",
    would_block="int32",
)


def merge(logs: list[Log]) -> np.ndarray:
    """Return all workers' accepts in the order of time."""
    accepts = np.concatenate([log.copy() for log in logs])
    return accepts[np.argsort(accepts["time_ns"], kind="stable")]


def table(accepts: np.ndarray) -> pd.DataFrame:
    """Return a row per accept: sequence (0 is the first), then the log's fields."""
    import pandas as pd

    frame = pd.DataFrame({name: accepts[name] for name in accepts.dtype.names or ()})
    frame.insert(0, "sequence", np.arange(len(frame)))
    return frame


def turns_table(logs: list[Log]) -> pd.DataFrame:
    """Return a row per turn, in the order of time: worker, then the log's fields."""
    import pandas as pd

    frames = []
    for worker, log in enumerate(logs):
        turns = log.copy()
        frame = pd.DataFrame({name: turns[name] for name in TURN.names or ()})
        frame.insert(0, "worker", worker)
        frames.append(frame)
    return pd.concat(frames).sort_values("woke_ns", kind="stable", ignore_index=True)
