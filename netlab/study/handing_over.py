"""Study `handing-over`: what it gains to give connections away, and what it costs.

Facts. Where one worker accepts and gives each connection to an owner of its choice, any
rule can be had, and an idle burst is spread evenly. It is not free. The owner is woken
besides the acceptor, so a lone client waits longer. And all connections come through
one worker: what keeps it from its turns keeps everybody's connections in the queue,
while others are idle.

Decision. Four measures, each from a load of its own, four workers:

    top share      burst of 12 idle connections; the worker that has most of them. Even
                   is 25 %
    lone latency   clients one after the other, a connection each; half of the requests
                   take no longer
    CPU time       of all workers, for one such connection from accept to close
    held up        light requests, each on a connection of its own, RATE_PER_S, of
                   which one in STALL_EVERY keeps its worker busy for STALL_MS; how many
                   of the light ones are answered more than LATE_MS after they were due

Held up can be foreseen. One request in 100 stalls, and while it does 16 others come, of
which 12 then wait longer than LATE_MS. Where the other workers accept meanwhile, nobody
is held up; of a hash, the quarter that is dealt to the stalled worker: 3 %. If the
acceptor stalls, all 12 are. Dealing in turn lets it have a quarter of the stalls, 3 %,
and gives other stalled owners their quarter too, 2 % more. Least gives the clients of
an idle server to the first of equals, and that is the acceptor: 12 %.

What may not be put here: what is claimed (`claims_sharing`), and drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from netlab.server import strategies
from netlab.study.found import Found
from netlab.study.interleave import Measured, Point
from netlab.study.orders import possible
from netlab.study.rates import drawn_anew
from netlab.study.sharing import BURST_WORKERS, burst_point, top_share

NAMES = (
    *("exclusive", "level", "reuseport"),
    *("handoff-round-robin", "handoff-least", "handoff-two-choices"),
)
LOADS = ("burst", "lone", "stalls")
LONE_CONNECTIONS = 400
RATE_PER_S, STALL_MS, STALL_EVERY, STALLED_S, LATE_MS = 800, 20, 100, 1.0, 5


class Measure(NamedTuple):
    """What is measured: how it is had from a run of one of the loads."""

    name: str
    unit: str
    load: str
    value: Callable[[Measured], float]


def held_up_percent(measured: Measured) -> float:
    """Return the share of the light requests that were answered late."""
    light = measured.run.requests.query("path == 0")["latency_ns"].to_numpy()
    return round(100 * float((light > 1e6 * LATE_MS).mean()), 2)


MEASURES = (
    Measure("top share", "%", "burst", top_share),
    Measure("lone latency", "us", "lone", lambda one: one.run.figures["p50_us"]),
    Measure(
        "CPU time",
        "us",
        "lone",
        lambda one: one.run.figures["server_cpu_us_per_request"],
    ),
    Measure("held up", "%", "stalls", held_up_percent),
)


def handing_over(
    repeats: int = 5,
    seed: int = 1,
    progress: bool = True,
    names: Sequence[str] = NAMES,
    loads: Sequence[str] = LOADS,
) -> Found:
    """Measure each strategy by what it gains and by what it costs.

    loads: those to run, for the measures that come from them.

    Table `handing_over`: a row per strategy, repeat and measure.

    Raises ValueError for a load that is not one of LOADS, or for none.
    """
    import pandas as pd

    if not loads or set(loads) - set(LOADS):
        raise ValueError(f"loads={loads!r}: give some of {', '.join(LOADS)}")
    rows, notes = possible(names)
    points = [
        point
        for row in rows
        for point in _points(row.name)
        if point.labels["load"] in loads
    ]
    cells = [
        {"strategy": one.labels["strategy"], "repeat": one.labels["repeat"]}
        | {"measure": measure.name, "unit": measure.unit, "value": measure.value(one)}
        for one in drawn_anew(points, repeats, seed, progress)
        for measure in MEASURES
        if measure.load == one.labels["load"]
    ]
    settings = {
        "repeats": repeats, "seed": seed, "rate_per_s": RATE_PER_S,
        "stall_ms": STALL_MS, "stall_every": STALL_EVERY, "late_ms": LATE_MS,
    }  # fmt: skip
    return Found("handing-over", {"handing_over": pd.DataFrame(cells)}, settings, notes)


def _points(name: str) -> list[Point]:
    common = {
        "strategy": name,
        "engine": strategies.find(name).engines[-1],
        "workers": BURST_WORKERS,
        "sample_rate_per_s": None,
    }
    lone = {"connections": LONE_CONNECTIONS, "at_once": 1}
    stalls = {
        "plan": "open",
        "requests": 1,
        "rate_per_s": float(RATE_PER_S),
        "duration_s": STALLED_S,
        "spin_us": 1000 * STALL_MS,
        "spin_share": 1 / STALL_EVERY,
    }
    return [
        Point({"strategy": name, "load": "burst"}, burst_point(name).settings),
        Point({"strategy": name, "load": "lone"}, common | lone),
        Point({"strategy": name, "load": "stalls"}, common | stalls),
    ]
