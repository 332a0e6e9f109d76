"""The accept log: one record per accepted connection, per worker, bounded.

Each worker appends to its own log, so nothing is locked; the times come from
CLOCK_MONOTONIC, one clock for all threads and processes, so that the logs merge
into one order. A full log drops records and counts them. `port` is the client's
own port, by which a connection is found again in the client's records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlab.records import Log, columns

if TYPE_CHECKING:
    import pandas as pd

DTYPE = columns(
    time_ns="int64",
    acceptor="int32",
    owner="int32",
    cpu="int32",
    listener="int32",
    port="int32",
)


def new_log(capacity: int) -> Log:
    """Return an empty log with room for `capacity` accepts."""
    return Log(DTYPE, capacity)


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
