"""Study `two-truths`: one server, asked by a closed loop and by an open one.

Facts. In a closed loop a client waits for its answer before it asks again. While the
server stands still, each client waits with one request, and those that other users
would have sent meanwhile are never sent and never counted: the load coordinates with
the server to leave the bad time out. Gil Tene named this coordinated omission ("How
NOT to Measure Latency", Strange Loop 2015). His wrk2 measures from the moment at which
a request should have been sent (its README, "A note about wrk2's latency measurement
technique"), as plan `open` does.

Decision. One worker; one request in STALL_EVERY keeps it busy for STALL_MS. What both
loops must show is then arithmetic. Of the closed loop's requests each stall hits one a
client: CLIENTS / STALL_EVERY = 0.4 %, so its p99 is that of a server that never stalls.
In the open loop a stall hits all that are due meanwhile, RATE_PER_S * STALL_MS = 200;
that is a share of 200 / STALL_EVERY = 20 %, which wait 0 to 50 ms, so 1 % wait longer
than 50 * (1 - 1 / 20) = 47.5 ms, and longer still where two stalls meet. The settings
and their reasons (Linux 6.18, 2 CPUs shared with other programs, 5 runs each):

    4 clients    The closed loop's p99 was 0.07 to 0.1 ms. With 8, at 0.8 %, it was 2 to
                 49 ms, as chance would have it; with 16 it was the stall, 50 ms
    50 ms        Far from what a busy machine adds, some ms, and from the 0.03 ms that a
                 light request takes. The open loop's p99 was 45 to 86 ms, some 500
                 times the closed one's, and 13 times at least with two programs beside
                 it that kept both CPUs busy. With stalls of 5 ms it was some 45 times
    4,000 a s    A quarter of what the closed loop reaches, 16,000, which is the
                 capacity: 60 us a request with its share of the stalls
    1.5 s        6,000 due, some 6 stalls; each repeat draws others

The open loop has as many connections as the closed one has clients. During a stall its
requests therefore wait to be sent, and both clocks of the same requests differ: from
sending, p99 is as small as the closed loop's; from the moment due, it is the users'.
With 512 connections all were sent when due, both clocks said the same, and p99 from
due was as with 4. So `waited_percent` is what is shown; `overdue_percent` would be the
load's own fault, and was 0.02 to 0.7.

The second half (`rates`) holds p99 against the rate, without stalls.

Known limit: clients that think between two requests come nearer to an open loop; there
are none here. What may not be put here: what a percentile is (`stats`), and drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from netlab.study.found import Found
from netlab.study.interleave import Measured, Point
from netlab.study.rates import CLIENTS as CLOSED_CLIENTS
from netlab.study.rates import RATES_PER_S, SPIN_US, drawn_anew, rates
from netlab.study.stats import percentiles

if TYPE_CHECKING:
    import pandas as pd

PLANS = ("closed", "open")
CLIENTS, RATE_PER_S, FIRED_S = 4, 4000, 1.5
STALL_MS, STALL_EVERY = 50, 1000
PERCENTILES = (
    *(50, 60, 70, 75, 80, 85, 90, 92, 94, 95, 96, 97, 98),
    *(99, 99.2, 99.4, 99.5, 99.6, 99.7, 99.8, 99.9),
)


def two_truths(
    repeats: int = 5,
    seed: int = 1,
    progress: bool = True,
    plans: Sequence[str] = PLANS,
    fired_s: float = FIRED_S,
    rates_per_s: Sequence[int] = RATES_PER_S,
    clients: Sequence[int] = CLOSED_CLIENTS,
) -> Found:
    """Measure the latencies of one server as both loops see them, then against rate.

    plans: of the first half, whose requests come for `fired_s`; none leaves it out.
    rates_per_s, clients: of the second half, see `rates.rates`.

    Tables: `truths`, a row per plan, clock, repeat and percentile; `runs`, a row a run;
    `requests`, those of the first open run; `rates`, a row a run of the second half.

    Raises ValueError if both halves are left out.
    """
    if not (plans or rates_per_s or clients):
        raise ValueError(
            "plans, rates_per_s and clients are empty: give one of them at least"
        )
    tables = {}
    if plans:
        points = [_point(plan, fired_s) for plan in plans]
        tables |= _tables(list(drawn_anew(points, repeats, seed, progress)))
    if rates_per_s or clients:
        tables["rates"] = rates(repeats, seed, progress, rates_per_s, clients)
    settings = {
        "repeats": repeats, "seed": seed, "fired_s": fired_s, "clients": CLIENTS,
        "rate_per_s": RATE_PER_S, "stall_ms": STALL_MS, "stall_every": STALL_EVERY,
        "spin_us": SPIN_US,
    }  # fmt: skip
    return Found("two-truths", tables, settings)


def _point(plan: str, fired_s: float) -> Point:
    settings: dict[str, Any] = {
        "strategy": "level",
        "engine": "compiled",
        "workers": 1,
        "plan": plan,
        "at_once": CLIENTS,
        "duration_s": fired_s,
        "spin_us": 1000 * STALL_MS,
        "spin_share": 1 / STALL_EVERY,
        "sample_rate_per_s": None,
    }
    if plan == "open":
        settings["rate_per_s"] = float(RATE_PER_S)
    return Point({"plan": plan}, settings)


def _tables(found: list[Measured]) -> dict[str, pd.DataFrame]:
    import pandas as pd

    truths = [row for measured in found for row in _truths(measured)]
    tables = {
        "truths": pd.DataFrame(truths),
        "runs": pd.DataFrame([_run_row(measured) for measured in found]),
    }
    first = next((one for one in found if one.labels["plan"] == "open"), None)
    return tables if first is None else tables | {"requests": _requests(first)}


def _truths(measured: Measured) -> list[dict[str, Any]]:
    """Return the run's percentiles, of an open one by both clocks."""
    requests = measured.run.requests
    clocks = {"sending": requests["latency_ns"] - requests["late_ns"]}
    if measured.labels["plan"] == "open":
        clocks["due"] = requests["latency_ns"]
    return [
        measured.labels
        | {"counted_from": clock, "percentile": percent, "latency_ms": ns / 1e6}
        for clock, latency_ns in clocks.items()
        for percent, ns in zip(
            PERCENTILES, percentiles(latency_ns, PERCENTILES), strict=True
        )
    ]


def _run_row(measured: Measured) -> dict[str, Any]:
    """Return how much was asked, how often the server stalled, and what was late."""
    figures, requests = measured.run.figures, measured.run.requests
    late = figures["late_sends"] or {}
    return measured.labels | {
        "requests": len(requests),
        "requests_per_s": figures["requests_per_s"],
        "stalls": int(requests["path"].to_numpy().sum()),
        "overdue_percent": _percent(late.get("overdue", 0), len(requests)),
        "waited_percent": _percent(late.get("waited", 0), len(requests)),
    }


def _percent(count: int, of: int) -> float:
    return round(100 * count / of, 3)


def _requests(measured: Measured) -> pd.DataFrame:
    """Return a row per request, by when it was due, in ms from the first."""
    import pandas as pd

    rows = measured.run.requests.sort_values("start_ns", ignore_index=True)
    due_ns = rows["start_ns"] - rows["start_ns"].min()
    moments = {
        "due_ms": due_ns,
        "sent_ms": due_ns + rows["late_ns"],
        "answered_ms": due_ns + rows["latency_ns"],
    }
    table = pd.DataFrame({name: (ns / 1e6).round(3) for name, ns in moments.items()})
    return table.assign(stall=rows["path"] == 1)
