"""Conservation: what went in came out, checked between independent sides.

A measurement that lost a connection, or counted one twice, is not a result. So
before a run reports a number, its two sides are held against each other: the
rows of the load's process, and the counters and the accept log of the workers.
Neither is computed from the other. (The last line is the client's own books.)

    each worker     accepted + received = given + closed + left open
    connections     established by the client = accepted + left in the queue
    accept log      records + dropped = accepted
    handing over    given, summed = received, summed
    answers         the client's rows that name worker w = worker w's answers
    answers         none names a worker that there is not
    request rows    rows + dropped = what the connections' rows add up to

Two of these have a margin, and it is counted, not guessed. A connection that the
client gave up may have an answer under way that only the server counted; one
whose handshake was not over may have been accepted all the same.

Known limit: when an accept queue is full, a client may hold a connection for
established of which the server keeps nothing. It gets no answer, so its load ends
at `timeout_s` with an error and never comes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from netlab.load.plans import Outcome
from netlab.load.result import LoadResult

if TYPE_CHECKING:
    import pandas as pd


class Check(NamedTuple):
    """One equation: `more` may exceed `less` by at most `margin`."""

    what: str
    less: int
    more: int
    margin: int = 0

    @property
    def holds(self) -> bool:
        """Whether the two sides agree."""
        return 0 <= self.more - self.less <= self.margin


class ConservationError(RuntimeError):
    """The two sides of a run do not agree; `checks` says where."""

    def __init__(self, checks: list[Check]) -> None:
        broken = [check for check in checks if not check.holds]
        told = "; ".join(f"{c.what}: {c.less} against {c.more}" for c in broken)
        super().__init__(
            f"this run does not add up, so none of its numbers is reported: {told}. "
            "Did another client use the server meanwhile? If not, it is a defect."
        )
        self.checks = checks


def checks(
    rows: np.ndarray, logged: int, log_dropped: int, waiting: int, load: LoadResult
) -> list[Check]:
    """Return every check of a stopped server against its load.

    rows: final counter rows, shape (workers,). logged, log_dropped: the accept
    log's records. waiting: connections left in the accept queue at the stop.
    """
    return [
        *_whereabouts(rows),
        _connections(rows, waiting, load.connection_rows),
        Check("accept log", logged + log_dropped, int(rows["accepted"].sum())),
        Check("handing over", int(rows["given"].sum()), int(rows["received"].sum())),
        *_answers(rows, load),
        Check(
            "request rows",
            len(load.request_rows) + load.dropped,
            int(load.connection_rows["requests"].sum()),
        ),
    ]


def require(found: list[Check]) -> None:
    """Raise ConservationError unless every check holds."""
    if not all(check.holds for check in found):
        raise ConservationError(found)


def table(found: list[Check]) -> pd.DataFrame:
    """Return a row per check: what, less, more, margin, holds."""
    import pandas as pd

    frame = pd.DataFrame(found, columns=list(Check._fields))
    frame["holds"] = [check.holds for check in found]
    return frame


def _whereabouts(rows: np.ndarray) -> list[Check]:
    into = rows["accepted"] + rows["received"]
    out = rows["given"] + rows["closed"] + rows["left_open"]
    return [
        Check(f"worker {row['worker']}, in and out", int(i), int(o))
        for row, i, o in zip(rows, into, out, strict=True)
    ]


def _connections(rows: np.ndarray, waiting: int, made: np.ndarray) -> Check:
    unfinished = (made["connect_ns"] < 0) & (made["outcome"] != Outcome.REFUSED)
    return Check(
        "connections",
        int((made["connect_ns"] >= 0).sum()),
        int(rows["accepted"].sum()) + waiting,
        int(unfinished.sum()),
    )


def _answers(rows: np.ndarray, load: LoadResult) -> list[Check]:
    cut_off = int((load.connection_rows["outcome"] != Outcome.CLOSED).sum())
    found = []
    for row in rows:
        got = int((load.request_rows["worker"] == row["worker"]).sum())
        margin = cut_off + load.dropped
        found.append(
            Check(f"worker {row['worker']}, answers", got, int(row["answers"]), margin)
        )
    strange = load.request_rows["worker"]
    nobody = int(((strange < 0) | (strange >= len(rows))).sum())
    return [*found, Check("answers of no worker", 0, nobody)]
