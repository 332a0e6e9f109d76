"""What a load is: its plan, its settings, and the records that it leaves.

A plan is a rule by which clients come, ask and go:

    closed  `at_once` clients, each asks, waits for the answer, and asks again;
            after `requests` it closes, and opens its next connection. How fast
            depends on the server: a slow one is asked less. So its latencies
            are those of patient clients, not of independent users.
    touch   connections are opened one at a time, `pause_ms` apart, send nothing,
            are held, and then closed. It isolates the cost of an accept: nothing
            but the connection itself wakes anybody.

Every plan is bounded: in connections, in requests or in time, and always by
`timeout_s`. A setting that its plan would ignore is refused.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any, NamedTuple

from netlab.checks import finite, whole_number
from netlab.records import columns

CONNECTIONS_LIMIT = 1 << 20
REQUESTS_LIMIT = 1 << 22  # rows of the request log: 200 MB, used as they are written
AT_ONCE_LIMIT = 1 << 16
TIMEOUT_LIMIT_S = 86_400  # a day; epoll's own limit, in ms and an int, is 24 of them


class Outcome(IntEnum):
    """How a connection of the load ended."""

    OPEN = 0
    CLOSED = 1
    REFUSED = 2
    RESET = 3
    HUNG_UP = 4
    TIMED_OUT = 5
    MALFORMED = 6
    FAILED = 7


MEANINGS = {
    Outcome.OPEN: "still open when the load ended",
    Outcome.CLOSED: "complete",
    Outcome.REFUSED: "refused: nobody listens there",
    Outcome.RESET: "reset by the server's side",
    Outcome.HUNG_UP: "closed by the server before the answer was complete",
    Outcome.TIMED_OUT: "not finished in time",
    Outcome.MALFORMED: "answered with something that is not HTTP/1.x",
    Outcome.FAILED: "not possible on the client's own side, such as no free port",
}

REQUEST = columns(
    connection="int64",
    start_ns="int64",
    latency_ns="int64",
    worker="int32",
    cpu="int32",
    status="int32",
)
CONNECTION = columns(
    connection="int64",
    opened_ns="int64",
    connect_ns="int64",
    closed_ns="int64",
    requests="int64",
    address="int32",
    port="int32",
    outcome="int32",
)


class Plan(NamedTuple):
    """One row of the table: a plan, and the defaults of the settings it uses."""

    name: str
    summary: str
    defaults: dict[str, Any]


PLANS = (
    Plan(
        "closed",
        "clients that ask, wait for the answer, and ask again",
        {"connections": 100, "at_once": 8, "requests": 1, "path": "/"},
    ),
    Plan(
        "touch",
        "open one at a time, send nothing, hold, then close",
        {"connections": 100, "pause_ms": 5.0, "hold_ms": 0.0},
    ),
)
ENDLESS = "duration_s"  # may replace a plan's count of connections


@dataclass(frozen=True, kw_only=True)
class LoadSettings:
    """The settings of one load; None means the plan's default.

    plan: a name from PLANS.
    connections: how many in all; without it, `duration_s` bounds the load.
    at_once: how many are open at the same time.
    requests: how many on each connection (with `duration_s`: default no limit).
    duration_s: seconds after which no new request is sent.
    path: what is asked for: "/", "/spin/MICROSECONDS" or "/bytes/N".
    pause_ms: milliseconds between two openings.
    hold_ms: milliseconds that all connections are held open at the end.
    timeout_s: seconds after which the load ends, whatever is missing.

    Raises ValueError for a value that cannot be honoured.
    """

    plan: str = "closed"
    connections: int | None = None
    at_once: int | None = None
    requests: int | None = None
    duration_s: float | None = None
    path: str | None = None
    pause_ms: float | None = None
    hold_ms: float | None = None
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        plan = find(self.plan)
        self._refuse_what_is_ignored(plan)
        whole_number("connections", self.connections, 1, CONNECTIONS_LIMIT)
        whole_number("at_once", self.at_once, 1, AT_ONCE_LIMIT)
        whole_number("requests", self.requests, 1, REQUESTS_LIMIT)
        finite("duration_s", self.duration_s, 1e-3)
        finite("pause_ms", self.pause_ms, 0)
        finite("hold_ms", self.hold_ms, 0)
        finite("timeout_s", self.timeout_s, 1e-3)
        self._check_path()
        if self.timeout_s is None or self.timeout_s > TIMEOUT_LIMIT_S:
            raise ValueError(
                f"timeout_s={self.timeout_s}: every load ends; give at most "
                f"{TIMEOUT_LIMIT_S} seconds"
            )
        if (self.duration_s or 0) >= self.timeout_s:
            raise ValueError(
                f"duration_s={self.duration_s} is not below timeout_s="
                f"{self.timeout_s}: raise timeout_s"
            )
        self._check_rows()

    def resolved(self) -> LoadSettings:
        """Return the settings with the plan's defaults in place of None."""
        defaults = dict(find(self.plan).defaults)
        if self.duration_s is not None:
            defaults |= {"connections": CONNECTIONS_LIMIT, "requests": REQUESTS_LIMIT}
        unset = [name for name in defaults if getattr(self, name) is None]
        filled = {name: defaults[name] for name in unset}
        if "at_once" in filled:
            connections = self.connections or defaults["connections"]
            filled["at_once"] = min(filled["at_once"], connections)
        return replace(self, **filled)

    def rows(self) -> tuple[int, int]:
        """Return how many connections and how many requests there can be at most."""
        full = self.resolved()
        connections = full.connections or 0
        requests = connections * (full.requests or 0)
        return connections, min(requests, REQUESTS_LIMIT)

    def descriptors(self) -> int:
        """Return how many connections may be open at the same time."""
        full = self.resolved()
        return full.at_once or full.connections or 0

    def _check_path(self) -> None:
        path = self.path
        if path is not None and not (isinstance(path, str) and path.startswith("/")):
            raise ValueError(f"path={path!r}: begin with a slash, such as '/'")
        if not all("!" <= letter <= "~" and letter != "#" for letter in path or ""):
            raise ValueError(f"path={path!r}: use visible ASCII only, without '#'")

    def _check_rows(self) -> None:
        defaults = find(self.plan).defaults
        connections = self.connections or defaults["connections"]
        requests = self.requests or 1
        if connections * requests > REQUESTS_LIMIT and self.duration_s is None:
            raise ValueError(
                f"{connections} connections of {requests} requests each: at most "
                f"{REQUESTS_LIMIT} requests have a row; ask for fewer"
            )

    def _refuse_what_is_ignored(self, plan: Plan) -> None:
        used = {*plan.defaults, "plan", "timeout_s"}
        if plan.name == "closed":
            used.add(ENDLESS)
        for name, value in asdict(self).items():
            if value is not None and name not in used:
                raise ValueError(
                    f"{name}={value!r}: plan {plan.name!r} ({plan.summary}) makes no "
                    "use of it; leave it out"
                )


def find(name: str) -> Plan:
    """Return the plan called `name`; raises ValueError that lists the names."""
    for plan in PLANS:
        if plan.name == name:
            return plan
    raise ValueError(f"plan={name!r}: there are {', '.join(row.name for row in PLANS)}")
