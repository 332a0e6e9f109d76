"""The second half of `two-truths`: p99 against the rate, open and closed.

Facts. A worker that needs SPIN_US for each request answers at most CAPACITY_PER_S of
them a second. An open loop may ask for more. Then the queue grows as long as the load
lasts, and every percentile with it: twice as long a load, twice the p99. That is no
latency of the server, but the load's own length. A closed loop cannot ask for more: it
reaches a rate just below the capacity, whatever the number of clients, and each waits
for all the others. By Little's law the mean is clients / rate: the tester chose it.

Decision. Rates from a quarter of the capacity to half as much again, as independent
users come (Poisson). Up to the capacity for LONG_S; above it for SHORT_S as well, so
that the table shows the growth. The closed loop's runs take SHORT_S, which is 1,200
requests. CONNECTIONS are more than were ever busy below the capacity, so that the
schedule is kept there; above it no number of them would do.

Known limit: the capacity is an upper bound. A request costs some 10 us besides its
spin, and on a machine that is busy with other things the worker has its CPU only in
part. The closed loop's p99 was 6 times SPIN_US with 4 clients in most runs and 4 times
in others: whom the worker serves first is epoll's choice, not turn by turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from netlab.study.interleave import Measured, Point, in_blocks, in_order

if TYPE_CHECKING:
    import pandas as pd

SPIN_US = 400
CAPACITY_PER_S = 1_000_000 // SPIN_US
RATES_PER_S = (600, 1200, 1800, 2100, 2700, 3600)
CLIENTS = (1, 4, 16, 64)
CONNECTIONS = 64
LONG_S, SHORT_S = 1.0, 0.5


def rates(
    repeats: int,
    seed: int,
    progress: bool,
    rates_per_s: Sequence[int] = RATES_PER_S,
    clients: Sequence[int] = CLIENTS,
) -> pd.DataFrame:
    """Return a row a run: plan, at_once, rate_per_s, fired_s, and its latencies.

    rates_per_s: of the open loop. clients: how many the closed one has; it aims at no
    rate, and has no schedule: rate_per_s and on_time_percent are missing there.
    """
    import pandas as pd

    points = [
        _open(rate, fired_s)
        for rate in rates_per_s
        for fired_s in (LONG_S, SHORT_S)
        if fired_s == LONG_S or rate > CAPACITY_PER_S
    ]
    points += [_closed(count) for count in clients]
    found = drawn_anew(points, repeats, seed, progress)
    return pd.DataFrame([_row(measured) for measured in found])


def drawn_anew(
    points: Sequence[Point], repeats: int, seed: int, progress: bool
) -> Iterator[Measured]:
    """Run all points as `interleaved` does, what they draw differing by repeat."""
    order = [
        (repeat, _with_seed(point, seed + repeat))
        for repeat, point in in_blocks(points, repeats, seed)
    ]
    return in_order(order, seed, progress)


def _with_seed(point: Point, seed: int) -> Point:
    draws = {"arrivals", "spin_share"} & point.settings.keys()
    return point._replace(settings=point.settings | {"seed": seed}) if draws else point


def _open(rate_per_s: int, fired_s: float) -> Point:
    load = {"plan": "open", "at_once": CONNECTIONS, "duration_s": fired_s}
    arrivals = {"rate_per_s": float(rate_per_s), "arrivals": "poisson"}
    return _point(load | arrivals)


def _closed(clients: int) -> Point:
    return _point({"plan": "closed", "at_once": clients, "duration_s": SHORT_S})


def _point(load: dict[str, Any]) -> Point:
    labels = {
        "plan": load["plan"],
        "at_once": load["at_once"],
        "rate_per_s": load.get("rate_per_s", float("nan")),
        "fired_s": load["duration_s"],
    }
    server = {"strategy": "level", "engine": "compiled", "workers": 1}
    asked = {"path": f"/spin/{SPIN_US}", "sample_rate_per_s": None}
    return Point(labels, server | load | asked)


def _row(measured: Measured) -> dict[str, Any]:
    figures = measured.run.figures
    schedule = figures["schedule"] or "none"
    on_time_percent = figures["on_time_percent"]
    return measured.labels | {
        "requests": len(measured.run.requests),
        "requests_per_s": figures["requests_per_s"],
        "p50_ms": figures["p50_us"] / 1000,
        "p99_ms": figures["p99_us"] / 1000,
        "on_time_percent": float("nan") if on_time_percent is None else on_time_percent,
        "schedule": schedule.partition(",")[0],
    }
