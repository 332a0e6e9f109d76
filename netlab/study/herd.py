"""Study `herd`: what one connection costs all workers, against their number.

Plan `touch` opens connections one at a time to workers that sleep. What is counted
until all are held is the cost of accepting alone: wake-ups (the kernel's account),
turns (the wait returned) and would-blocks (the accept was in vain). Of the three only
the first shows the herd: most of the woken workers find the queue empty while they are
still inside the kernel, and sleep again.

With the right to trace the kernel, one connection to XRAYED_WORKERS workers is traced
too, the first that comes: the herd as it happens.

A second table has the same against load: connections come at their own rate, each asks
once for some work and closes. A worker that is busy does not sleep, so it cannot be
woken: near the capacity of the CPUs the herd shrinks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.study.found import Found
from netlab.study.interleave import Measured, Point, interleaved
from netlab.study.report import ACCEPT_FIGURES
from netlab.study.xrayed import xray
from netlab.watch import trace

if TYPE_CHECKING:
    import pandas as pd

WORKERS = (1, 2, 4, 8, 16, 32, 64)
STRATEGIES = ("level", "exclusive")
ENGINES = ("compiled", "python")
RATES_PER_S = (250, 500, 1000, 2000, 4000)
LOADED_WORKERS, SPIN_US = 8, 400  # 5,000 a second are two CPUs' work
XRAYED_WORKERS = 8
PAUSE_MS = 5.0  # 64 interpreted workers need 3 ms until all of them sleep again


def herd(
    repeats: int = 3,
    seed: int = 1,
    progress: bool = True,
    workers: tuple[int, ...] = WORKERS,
    connections: int = 400,
    engines: tuple[str, ...] = ENGINES,
    rates_per_s: tuple[int, ...] = RATES_PER_S,
    loaded_s: float = 1.0,
) -> Found:
    """Measure the herd against the number of workers, and against load.

    loaded_s: how long each run under load is.
    """
    idle = [
        _point(strategy, engine, count, connections)
        for strategy in STRATEGIES
        for engine in engines
        for count in workers
    ]
    loaded = [
        _loaded_point(strategy, engines[0], rate, loaded_s)
        for strategy in STRATEGIES
        for rate in rates_per_s
    ]
    settings = {"repeats": repeats, "seed": seed, "connections": connections}
    tables = {"herd": _table(interleaved(idle, repeats, seed, progress), _row)}
    if loaded:
        found = interleaved(loaded, repeats, seed, progress)
        tables["load"] = _table(found, _loaded_row)
    if trace.available() is None:
        tables["xray"] = xray(1, seed, False, XRAYED_WORKERS).tables["xray"]
    return Found("herd", tables, settings)


def _point(strategy: str, engine: str, workers: int, connections: int) -> Point:
    labels = {"strategy": strategy, "engine": engine, "workers": workers}
    load = {"plan": "touch", "connections": connections, "pause_ms": PAUSE_MS}
    return Point(labels, labels | load | {"sample_rate_per_s": None})


def _loaded_point(
    strategy: str, engine: str, rate_per_s: int, loaded_s: float
) -> Point:
    labels = {"strategy": strategy, "engine": engine, "workers": LOADED_WORKERS}
    load = {
        "plan": "open",
        "rate_per_s": float(rate_per_s),
        "arrivals": "poisson",
        "duration_s": loaded_s,
        "requests": 1,
        "path": f"/spin/{SPIN_US}",
    }
    settings = labels | load | {"sample_rate_per_s": None}
    return Point(labels | {"rate_per_s": rate_per_s}, settings)


def _row(measured: Measured) -> dict[str, Any]:
    figures, labels = measured.run.figures, measured.labels
    columns = (name.removeprefix("accept_") for name in ACCEPT_FIGURES)
    values = (figures[name] for name in ACCEPT_FIGURES)
    counts = {"accepts": sum(figures["accepts"])}
    return labels | counts | dict(zip(columns, values, strict=True))


def _loaded_row(measured: Measured) -> dict[str, Any]:
    figures = measured.run.figures
    wanted = ("wakeups_per_accept", "would_block_per_accept", "on_time_percent")
    return measured.labels | {name: figures[name] for name in wanted}


def _table(found: Any, row: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([row(measured) for measured in found])
