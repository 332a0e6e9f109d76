"""What a load is: its plan, its settings, and the records that it leaves.

A plan is a rule by which clients come, ask and go:

    closed  `at_once` clients, each asks, waits for the answer, and asks again;
            after `requests` it closes, and opens its next connection. How fast
            depends on the server: a slow one is asked less. So its latencies
            are those of patient clients, not of independent users.
    touch   connections are opened one at a time, `pause_ms` apart, send nothing,
            are held, and then closed. It isolates the cost of an accept: nothing
            but the connection itself wakes anybody.
    open    requests come at `rate_per_s`, whatever the server does, as those of
            many users who know nothing of each other. A request's latency counts
            from the moment that it was due, so that its waiting for a connection
            is in it; a closed loop leaves that out (coordinated omission).
            `at_once` connections are open from the start, and a request takes
            the one that has been idle longest; with `requests=1` each opens one.
    burst   all sockets are made, then connected in one go, may ask `requests`
            times each, and are held: what a server does that is suddenly loved.
    hold    many idle connections, opened as fast as the server takes them.

Of closed, open and burst a share of the requests, `spin_share`, may be for
/spin/`spin_us`: work in the middle of light requests.

Every plan is bounded: in connections, in requests or in time, and always by
`timeout_s`. A setting that its plan would ignore is refused.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from netlab.checks import finite, whole_number
from netlab.load.schedule import ARRIVALS, pattern, schedule
from netlab.protocol import SPIN_LIMIT_US
from netlab.records import columns

CONNECTIONS_LIMIT = 1 << 20
REQUESTS_LIMIT = 1 << 22  # rows of the request log: 270 MB, used as they are written
AT_ONCE_LIMIT = 1 << 16
OWN_DESCRIPTORS = 64  # that the load's process needs for itself
TIMEOUT_LIMIT_S = 86_400  # a day
SEED_LIMIT = (1 << 63) - 1
SPREAD = 0.01  # left free: how many arrivals there are may be by chance
LATE_NS = 1_000_000  # an idle machine's timer and wake-up take a tenth of it


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
    late_ns="int64",  # plan open: sent so much after start_ns
    overdue_ns="int64",  # of that, until the load itself took notice
    worker="int32",
    cpu="int32",
    status="int32",
    path="int32",  # 0 the plan's path, 1 the spin path
)
CONNECTION = columns(
    connection="int64",
    opened_ns="int64",
    connect_ns="int64",
    closed_ns="int64",
    requests="int64",
    address="int32",
    port="int32",
    source="int32",  # its own address: 0 is 127.0.0.1, 1 is 127.0.0.2
    outcome="int32",
)


class Plan(NamedTuple):
    """One row of the table: a plan, the defaults of the settings it uses, and more.

    optional: settings that it uses if they are given. holds: whether it holds its
    connections at the end, until it is told to let go.
    """

    name: str
    summary: str
    defaults: dict[str, Any]
    optional: tuple[str, ...] = ()
    holds: bool = False


ENDLESS = "duration_s"  # may replace plan closed's count of connections
WITHOUT = {
    "seed": " without arrivals='poisson' or spin_share",
    "path": " without requests",
}
SPIN = ("spin_us", "spin_share", "seed")
PLANS = (
    Plan(
        "closed",
        "clients that ask, wait for the answer, and ask again",
        {"connections": 100, "at_once": 8, "requests": 1, "path": "/"},
        (ENDLESS, *SPIN),
    ),
    Plan(
        "touch",
        "open one at a time, send nothing, hold, then close",
        {"connections": 100, "pause_ms": 5.0, "hold_ms": 0.0},
        holds=True,
    ),
    Plan(
        "open",
        "requests that come at their own rate, whatever the server does",
        {
            "rate_per_s": 1000.0,
            "arrivals": "constant",
            "duration_s": 5.0,
            "at_once": 64,
            "requests": REQUESTS_LIMIT,
            "path": "/",
        },
        SPIN,
    ),
    Plan(
        "burst",
        "connect all at once, ask if told to, hold, then close",
        {"connections": 100, "hold_ms": 0.0},
        ("requests", "path", *SPIN),
        holds=True,
    ),
    Plan(
        "hold",
        "many idle connections, opened as fast as the server takes them",
        {"connections": 1000, "hold_ms": 0.0},
        holds=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class LoadSettings:
    """The settings of one load; None means the plan's default.

    plan: a name from PLANS.
    connections: how many in all; without it, `duration_s` bounds the load.
    at_once: how many are open at the same time.
    requests: how many on each connection (default no limit with `duration_s` and in
        plan open, none in plan burst).
    duration_s: seconds after which no new request is sent.
    path: what is asked for: "/", "/spin/MICROSECONDS" or "/bytes/N".
    rate_per_s, arrivals: how many requests come a second, and whether evenly
        ("constant") or independently ("poisson").
    spin_us, spin_share: which share of the requests, 0 to 1, is for /spin/spin_us.
    seed: of what is drawn, the arrivals and the share (default 1).
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
    rate_per_s: float | None = None
    arrivals: str | None = None
    spin_us: int | None = None
    spin_share: float | None = None
    seed: int | None = None
    pause_ms: float | None = None
    hold_ms: float | None = None
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        self._refuse_what_is_ignored()
        self._check_numbers()
        self._check_path()
        self._check_words()
        self._check_times()
        self._check_rows()

    def resolved(self) -> LoadSettings:
        """Return the settings with the plan's defaults in place of None."""
        filled = {k: v for k, v in self._defaults().items() if getattr(self, k) is None}
        return replace(self, **filled) if filled else self

    def rows(self) -> tuple[int, int]:
        """Return how many connections and how many requests there can be at most."""
        full = self.resolved()
        if full.plan == "open":
            due = len(full.schedule())
            return min(due + (full.at_once or 0), CONNECTIONS_LIMIT), due
        connections = full.connections or 0
        requests = connections * (full.requests or 0)
        return connections, min(requests, REQUESTS_LIMIT)

    def descriptors(self) -> int:
        """Return how many connections may be open at the same time."""
        full = self.resolved()
        return full.at_once or full.connections or 0

    def schedule(self) -> np.ndarray:
        """Return when requests are due in plan `open`, ns from its start; else none."""
        if self.plan != "open":
            return np.zeros(0, "int64")
        full = self.resolved()
        return schedule(
            full.rate_per_s or 0,
            full.duration_s or 0,
            full.arrivals or "",
            full.seed or 0,
        )

    def pattern(self) -> np.ndarray:
        """Return which requests, in the order of sending, are for the spin path."""
        return pattern(self.rows()[1], self.spin_share, self.resolved().seed)

    @property
    def holds(self) -> bool:
        """Whether the plan holds its connections at the end."""
        return find(self.plan).holds

    @property
    def ends_by_time(self) -> bool:
        """Whether time ends the load, so that nobody knows how many will ask."""
        return self.plan == "closed" and self.duration_s is not None

    def _defaults(self) -> dict[str, Any]:
        """Return what the plan sets where nothing else is asked for."""
        defaults = dict(find(self.plan).defaults)
        if self.ends_by_time:
            defaults |= {"connections": CONNECTIONS_LIMIT, "requests": REQUESTS_LIMIT}
        if self.plan == "closed":
            connections = self.connections or defaults["connections"]
            defaults["at_once"] = min(defaults["at_once"], connections)
        if self.plan == "burst" and self.requests is not None:
            defaults["path"] = "/"
        if self._draws():
            defaults["seed"] = 1
        return defaults

    def _draws(self) -> bool:
        return self.arrivals == "poisson" or self.spin_share is not None

    def _check_numbers(self) -> None:
        whole_number("connections", self.connections, 1, CONNECTIONS_LIMIT)
        whole_number("at_once", self.at_once, 1, AT_ONCE_LIMIT)
        whole_number("requests", self.requests, 1, REQUESTS_LIMIT)
        whole_number("spin_us", self.spin_us, 1, SPIN_LIMIT_US)
        whole_number("seed", self.seed, 0, SEED_LIMIT)
        finite("duration_s", self.duration_s, 1e-3)
        finite("rate_per_s", self.rate_per_s, 1e-3)
        finite("spin_share", self.spin_share, 0)
        finite("pause_ms", self.pause_ms, 0)
        finite("hold_ms", self.hold_ms, 0)
        finite("timeout_s", self.timeout_s, 1e-3)

    def _check_words(self) -> None:
        if self.arrivals not in (None, *ARRIVALS):
            raise ValueError(
                f"arrivals={self.arrivals!r}: give {' or '.join(ARRIVALS)}"
            )
        if (self.spin_us is None) != (self.spin_share is None):
            raise ValueError(
                f"spin_us={self.spin_us}, spin_share={self.spin_share}: give both, or "
                "neither"
            )
        if (self.spin_share or 0) > 1:
            raise ValueError(
                f"spin_share={self.spin_share}: a share is a number from 0 to 1"
            )

    def _check_times(self) -> None:
        duration_s = self.duration_s or find(self.plan).defaults.get("duration_s", 0)
        if self.timeout_s is None or self.timeout_s > TIMEOUT_LIMIT_S:
            raise ValueError(
                f"timeout_s={self.timeout_s}: every load ends; give at most "
                f"{TIMEOUT_LIMIT_S} seconds"
            )
        if duration_s >= self.timeout_s:
            raise ValueError(
                f"duration_s={duration_s} is not below timeout_s="
                f"{self.timeout_s}: raise timeout_s"
            )

    def _check_path(self) -> None:
        path = self.path
        if path is not None and not (isinstance(path, str) and path.startswith("/")):
            raise ValueError(f"path={path!r}: begin with a slash, such as '/'")
        if not all("!" <= letter <= "~" and letter != "#" for letter in path or ""):
            raise ValueError(f"path={path!r}: use visible ASCII only, without '#'")

    def _check_rows(self) -> None:
        full = self.resolved()
        if full.plan == "open":
            self._check_arrivals(full)
        connections, requests = full.connections or 0, full.requests or 0
        if connections * requests > REQUESTS_LIMIT and not self.ends_by_time:
            raise ValueError(
                f"{connections} connections of {requests} requests each: at most "
                f"{REQUESTS_LIMIT} requests have a row; ask for fewer"
            )

    def _check_arrivals(self, full: LoadSettings) -> None:
        due = (full.rate_per_s or 0) * (full.duration_s or 0)
        most, what = REQUESTS_LIMIT, "requests"
        if full.requests == 1:
            most, what = CONNECTIONS_LIMIT, "connections"
        if due > most * (1 - SPREAD):
            raise ValueError(
                f"{full.rate_per_s} a second for {full.duration_s} s: at most "
                f"{most * (1 - SPREAD):.0f} {what} have a row; lower rate_per_s or "
                "duration_s"
            )

    def _refuse_what_is_ignored(self) -> None:
        plan = find(self.plan)
        used = {*plan.defaults, *plan.optional, "plan", "timeout_s"}
        if not self._draws():
            used.discard("seed")
        if plan.name == "burst" and self.requests is None:
            used -= {"path", *SPIN}
        for name, value in asdict(self).items():
            if value is not None and name not in used:
                without = WITHOUT.get(name, "") if name in plan.optional else ""
                raise ValueError(
                    f"{name}={value!r}: plan {plan.name!r} ({plan.summary}) makes no "
                    f"use of it{without}; leave it out"
                )


def short(settings: dict[str, Any], connections: int, duration_s: float) -> dict:
    """Return what makes a load of these settings a short one, to warm up with."""
    plan = find(settings.get("plan", LoadSettings.plan))
    if ENDLESS in plan.defaults or settings.get(ENDLESS) is not None:
        wanted_s = settings.get(ENDLESS) or plan.defaults[ENDLESS]
        return {ENDLESS: min(wanted_s, duration_s)}
    return {"connections": min(settings.get("connections") or connections, connections)}


def find(name: str) -> Plan:
    """Return the plan called `name`; raises ValueError that lists the names."""
    for plan in PLANS:
        if plan.name == name:
            return plan
    raise ValueError(f"plan={name!r}: there are {', '.join(row.name for row in PLANS)}")
