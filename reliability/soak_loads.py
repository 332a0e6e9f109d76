"""What a server goes through in one round of a soak: its loads, each accounted for.

After every load the server is awaited at rest and its counts since the last rest are
held against the clients' own, by the equations of `netlab.study.conservation`. One of
those is left out, the accept log: it is small here, and checked once at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from netlab import counters
from netlab.load.generator import Generator
from netlab.study import conservation
from netlab.study.conservation import Check
from reliability.results import Broken
from reliability.soak_held import rested, since
from reliability.soak_visitors import REGULARS, Company, Visits

LOADS: dict[str, dict[str, Any]] = {
    "closed": {"plan": "closed", "connections": 120, "at_once": 8, "requests": 5},
    "open": {
        "plan": "open",
        "rate_per_s": 400.0,
        "duration_s": 0.4,
        "at_once": 16,
        "arrivals": "poisson",
    },
    "burst": {"plan": "burst", "connections": 60, "requests": 2},
    "touch": {"plan": "touch", "connections": 40, "pause_ms": 1.0},
    "hold": {"plan": "hold", "connections": 150},
    "bodies and spins": {
        "plan": "closed",
        "connections": 60,
        "at_once": 8,
        "requests": 3,
        "path": "/bytes/20000",
        "spin_us": 200,
        "spin_share": 0.2,
    },
}
SEEDED = ("open", "bodies and spins")
VISITS = "visitors"
ENDED_EVERY = 10  # rounds: in one of them who stalls waits until the server ends it
ENDED_AT = 3  # which of them: a short soak has one too


class Round(NamedTuple):
    """What one server did in one round."""

    connections: int
    requests: int
    p50_us: float  # of plan closed
    wakeups_per_accept: float  # of plan touch, until all connections were open


class Rounds:
    """One server's rounds, one after the other."""

    def __init__(self, kind: str, server: Any, company: Company) -> None:
        self.kind, self.server, self.company = kind, server, company
        company.arrive()
        self.before = rested(server, REGULARS)

    def play(self, number: int, generator: Generator) -> Round:
        """Put all loads to the server, once; Broken for anything lost or mixed."""
        connections = requests = 0
        p50_us = wakeups = float("nan")
        for name in [*LOADS, VISITS]:
            try:
                if name == VISITS:
                    visits = self._visit(number)
                    connections += visits.connections
                    requests += visits.answers.total()
                    continue
                load, held = self._fire(name, number, generator)
            except (Broken, RuntimeError, OSError) as error:
                raise Broken(f"round {number}, {self.kind}, {name}: {error}") from error
            connections += len(load.connection_rows)
            requests += len(load.request_rows)
            if name == "closed":
                p50_us = float(np.median(load.request_rows["latency_ns"])) / 1000
            if name == "touch":
                total = counters.total(held)
                wakeups = total["wakeups"] / total["accepted"]
        return Round(connections, requests, p50_us, wakeups)

    def _fire(self, name: str, number: int, generator: Generator) -> tuple[Any, Any]:
        """Fire one load; return its result, and the counts while it was held."""
        held: list[np.ndarray] = []
        wanted: dict[str, Any] = LOADS[name] | (
            {"seed": number} if name in SEEDED else {}
        )
        load = generator.fire(
            self.server,
            on_held=lambda: held.append(self._settled()),
            progress=False,
            **wanted,
        )
        self._account(lambda rows: fired(rows, load))
        return load, held[0] if held else None

    def _settled(self) -> np.ndarray:
        self.server.settle()
        return since(self.before, self.server.snapshot())

    def _visit(self, number: int) -> Visits:
        visits = self.company.visit(until_ended=number % ENDED_EVERY == ENDED_AT)
        self._account(lambda rows: visited(rows, visits))
        return visits

    def _account(self, checks: Callable[[np.ndarray], list[Check]]) -> None:
        """Hold the server's counts since the last rest against its clients'."""
        now = rested(self.server, REGULARS)
        conservation.require(checks(since(self.before, now)))
        self.before = now


def fired(rows: np.ndarray, load: Any) -> list[Check]:
    """Return the checks of a load of the generator's."""
    return [
        *conservation.checks(rows, int(rows["accepted"].sum()), 0, 0, load),
        Check("ended for their slowness", 0, int(rows["timed_out"].sum())),
    ]


def visited(rows: np.ndarray, visits: Visits) -> list[Check]:
    """Return the checks of a visit.

    Whoever vanished may have been answered, or not; who, nobody can say. And on a slow
    machine who stalls may be ended before he leaves.
    """
    accepted, closed = int(rows["accepted"].sum()), int(rows["closed"].sum())
    answers = [
        Check(
            f"worker {row['worker']}, answers",
            visits.answers[int(row["worker"])],
            int(row["answers"]),
            visits.unheard,
        )
        for row in rows
    ]
    heard = visits.answers.total()
    return [
        Check("connections", visits.connections, accepted),
        Check("connections closed", accepted, closed),
        *answers,
        Check("answers of all", heard, int(rows["answers"].sum()), visits.unheard),
        Check("requests", heard, int(rows["requests"].sum()), visits.unheard),
        Check(
            "ended for their slowness",
            visits.ended,
            int(rows["timed_out"].sum()),
            visits.stalled - visits.ended,
        ),
    ]


def require_log(server: Any) -> None:
    """Raise ConservationError unless a stopped server's accept log adds up."""
    accepted = int(server.snapshot()["accepted"].sum())
    logged = len(server.accepts()) + server.accepts_dropped()
    conservation.require([Check("accept log", logged, accepted)])
