"""What a load leaves: a row per request and per connection, and what became of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netlab.kernel.addresses import Address
from netlab.load.plans import LATE_NS, MEANINGS, LoadSettings, Outcome

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LoadResult:
    """The rows of one load, and what was asked for.

    settings: as asked for. actual: with the plan's defaults filled in.
    connection_rows, request_rows: structured arrays of plans.CONNECTION, .REQUEST.
    dropped: requests that found no room for a row.
    cpu_ns: CPU time of the load's process. compiled: whether its loop was. Both None
        for a load whose process did not come to its end.
    """

    settings: LoadSettings
    actual: LoadSettings
    connection_rows: np.ndarray
    request_rows: np.ndarray
    dropped: int
    cpu_ns: int | None = None
    compiled: bool | None = None

    def __repr__(self) -> str:
        failed = sum(self.failures().values())
        return (
            f"<LoadResult: {len(self.request_rows)} requests on "
            f"{len(self.connection_rows)} connections, {failed} failed>"
        )

    @property
    def requests(self) -> pd.DataFrame:
        """A row per request: the fields of plans.REQUEST."""
        return _frame(self.request_rows)

    @property
    def connections(self) -> pd.DataFrame:
        """A row per connection: times in ns, the client's port, its outcome."""
        frame = _frame(self.connection_rows)
        frame["outcome"] = [Outcome(value).name.lower() for value in frame["outcome"]]
        return frame

    def recorded(self) -> dict[str, Any]:
        """Return what took effect: the settings, and whether the loop was compiled."""
        return asdict(self.actual) | {"compiled": self.compiled}

    @property
    def missing(self) -> int:
        """Connections that were asked for and never begun: the load ended before."""
        if self.settings.ends_by_time or self.actual.plan == "open":
            return 0  # time, or the requests, were to end it, not the count
        return (self.actual.connections or 0) - len(self.connection_rows)

    @property
    def unanswered(self) -> int:
        """Requests that were to be sent on its connections and have no answer."""
        if self.settings.ends_by_time or not self.actual.requests:
            return 0
        wanted = len(self.connection_rows) * self.actual.requests
        if self.actual.plan == "open":
            wanted = len(self.actual.schedule())
        return wanted - len(self.request_rows) - self.dropped

    def late(self) -> dict[str, int] | None:
        """Return how many were sent more than LATE_NS late, plan `open` only.

        overdue: the load itself took notice late, the machine was not fast enough.
        waited: it was in time, but no connection was free, the server was not.
        """
        if self.actual.plan != "open":
            return None
        late = self.request_rows["late_ns"] > LATE_NS
        overdue = late & (self.request_rows["overdue_ns"] > LATE_NS)
        return {"overdue": int(overdue.sum()), "waited": int((late & ~overdue).sum())}

    @property
    def refused(self) -> int:
        """Requests that were answered with a status of 400 or more."""
        return int((self.request_rows["status"] >= 400).sum())

    def failures(self) -> dict[Outcome, int]:
        """Return how many connections did not complete, by kind."""
        kinds, counts = np.unique(self.connection_rows["outcome"], return_counts=True)
        found = zip(map(Outcome, kinds.tolist()), counts.tolist(), strict=True)
        return {kind: count for kind, count in found if kind != Outcome.CLOSED}


class LoadError(RuntimeError):
    """A load that did not complete; `result` has the rows so far."""

    def __init__(self, message: str, result: LoadResult) -> None:
        super().__init__(message)
        self.result = result


def require_complete(result: LoadResult, addresses: list[Address]) -> None:
    """Raise LoadError that says what is missing of a load, and why."""
    told = [f"{n} {MEANINGS[kind]}" for kind, n in result.failures().items()]
    told += [f"{result.missing} not begun"] if result.missing else []
    if told:
        failed = sum(result.failures().values())
        what = f"{failed} of {len(result.connection_rows)} connections"
    elif result.refused or result.unanswered:
        what = f"{result.unanswered + result.refused} requests for {result.actual.path}"
        told += [f"{result.refused} refused by the server"] if result.refused else []
        told += [f"{result.unanswered} not answered"] if result.unanswered else []
    else:
        return
    raise LoadError(
        f"{what} to {', '.join(map(str, addresses))} did not complete: "
        f"{'; '.join(told)}. "
        "The rows so far are in .result; on_error='record' goes on instead",
        result,
    )


def _frame(rows: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: rows[name] for name in rows.dtype.names or ()})
