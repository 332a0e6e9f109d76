"""Studies of how connections are shared when workers or connections are unequal.

`slow-worker`  One worker needs five times as long for the same work. Its ideal share
               among N is 1 / (5 (N - 1) + 1). A queue that all workers share gives work
               to whoever comes back for more, so it finds that share by itself; a hash
               gives equal shares, and the run lasts as long as the slow one needs.
`burst`        Many idle connections at once: no work, only to have them. Whoever is
               awake takes them; the others find the queue empty.
`rotate`       An exclusive waiter that registers anew goes to the queue's tail.
`choice`       Slow worker and burst side by side, for the strategies of the figure "no
               strategy wins".

The penalty sits inside the worker (`slow`), as a burner beside it would hit the load's
process too on a machine of two CPUs. The share is counted in connections, of which
each asks once.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netlab.server import strategies
from netlab.study.found import Found
from netlab.study.interleave import Measured, Point, interleaved
from netlab.study.orders import PAUSE_MS, possible, winners

if TYPE_CHECKING:
    import pandas as pd

NAMES = (
    *("level", "level-drain", "exclusive", "exclusive-rotate", "one-epoll-edge"),
    *("reuseport", "handoff-round-robin", "handoff-least", "handoff-two-choices"),
)
SLOW_WORKERS, SLOWNESS, SPIN_US, SLOW_CONNECTIONS, AT_ONCE = 2, 5, 500, 400, 16
BURST_WORKERS, BURST_CONNECTIONS = 4, 12
BURSTS = 5  # to one repeat of the slow worker's run, which takes as long
EVERY = (1, 16, 0)
FAMILIES = {"hash": "hash", "one acceptor": "handed over"}


def slow_worker(
    repeats: int = 5,
    seed: int = 1,
    progress: bool = True,
    names: Sequence[str] = NAMES,
    connections: int = SLOW_CONNECTIONS,
) -> Found:
    """Measure the share of a worker that is five times slower than the other."""
    rows, notes = possible(names)
    points = [slow_point(row.name, connections) for row in rows]
    table = _frame(map(_slow_row, interleaved(points, repeats, seed, progress)))
    settings = {"repeats": repeats, "seed": seed, "connections": connections}
    return Found("slow-worker", {"slow_worker": table}, settings, notes)


def burst(
    repeats: int = 20,
    seed: int = 1,
    progress: bool = True,
    names: Sequence[str] = NAMES,
    connections: int = BURST_CONNECTIONS,
) -> Found:
    """Measure how many connections of an idle burst the top worker has."""
    rows, notes = possible(names)
    points = [burst_point(row.name, connections) for row in rows]
    table = _frame(map(_burst_row, interleaved(points, repeats, seed, progress)))
    settings = {"repeats": repeats, "seed": seed, "connections": connections}
    return Found("burst", {"burst": table}, settings, notes)


def choice(
    repeats: int = 5,
    seed: int = 1,
    progress: bool = True,
    names: Sequence[str] = NAMES,
    bursts: int = BURSTS,
) -> Found:
    """Measure both, and put a strategy's repeats side by side.

    A repeat's share of a burst is the mean over so many bursts.
    """
    slow = slow_worker(repeats, seed, progress, names)
    whole = burst(repeats * bursts, seed, progress, names).tables["burst"]
    tops: dict[tuple[str, int], list[float]] = {}
    for run in whole.to_dict("records"):
        key = run["strategy"], run["repeat"] // bursts
        tops.setdefault(key, []).append(run["top_share_percent"])
    rows = []
    for run in slow.tables["slow_worker"].to_dict("records"):
        name, repeat = run["strategy"], run["repeat"]
        rows.append(
            {
                "strategy": name,
                "family": family(name),
                "repeat": repeat,
                "top_share_percent": round(statistics.mean(tops[name, repeat]), 2),
                "slow_share_percent": run["share_percent"],
            }
        )
    tables = {"choice": _frame(rows), "burst": whole, **slow.tables}
    return Found("choice", tables, slow.settings | {"bursts": bursts}, slow.notes)


def family(name: str) -> str:
    """Return what a strategy shares connections by."""
    return FAMILIES.get(strategies.find(name).queue, "shared queue")


def rotate(
    repeats: int = 1, seed: int = 1, progress: bool = True, connections: int = 400
) -> Found:
    """Measure who gets each connection if exclusive waiters register anew."""
    import pandas as pd

    points = [_rotate_point(every, connections) for every in EVERY]
    found = interleaved(points, repeats, seed, progress)
    table = pd.concat(map(winners, found), ignore_index=True)
    settings = {"repeats": repeats, "seed": seed, "connections": connections}
    return Found("rotate", {"rotate": table}, settings)


def slow_point(name: str, connections: int = SLOW_CONNECTIONS) -> Point:
    """Return a run in which the last of two workers is slow."""
    row = strategies.find(name)
    settings = {
        "strategy": name,
        "engine": row.engines[-1],
        "workers": SLOW_WORKERS,
        "slow": (SLOW_WORKERS - 1, SLOWNESS),
        "connections": connections,
        "at_once": AT_ONCE,
        "path": f"/spin/{SPIN_US}",
        "sample_rate_per_s": None,
    }
    return Point({"strategy": name}, settings)


def burst_point(name: str, connections: int = BURST_CONNECTIONS) -> Point:
    """Return a run in which idle connections come all at once."""
    row = strategies.find(name)
    settings = {
        "strategy": name,
        "engine": row.engines[-1],
        "workers": BURST_WORKERS,
        "plan": "burst",
        "connections": connections,
        "sample_rate_per_s": None,
    }
    return Point({"strategy": name}, settings)


def _rotate_point(every: int, connections: int) -> Point:
    settings = {
        "strategy": "exclusive-rotate",
        "engine": "compiled",
        "rotate_every": every,
        "workers": BURST_WORKERS,
        "plan": "touch",
        "pause_ms": PAUSE_MS,
        "connections": connections,
        "sample_rate_per_s": None,
    }
    return Point({"every": str(every) if every else "never"}, settings)


def slow_share(measured: Measured) -> float:
    """Return the slow worker's share of a run's connections, in percent."""
    owners = measured.run.accepts["owner"].to_numpy()
    return round(100 * int((owners == SLOW_WORKERS - 1).sum()) / len(owners), 2)


def top_share(measured: Measured) -> float:
    """Return the share of the worker with the most connections, in percent."""
    owners = np.bincount(measured.run.accepts["owner"].to_numpy())
    return round(100 * int(owners.max()) / int(owners.sum()), 2)


def _slow_row(measured: Measured) -> dict[str, Any]:
    owners = measured.run.accepts["owner"].to_numpy()
    began = measured.run.requests["start_ns"].to_numpy()
    ended = began + measured.run.requests["latency_ns"].to_numpy()
    return measured.labels | {
        "workers": SLOW_WORKERS,
        "slow_worker": SLOW_WORKERS - 1,
        "accepts": len(owners),
        "slow_accepts": int((owners == SLOW_WORKERS - 1).sum()),
        "share_percent": slow_share(measured),
        "duration_s": round(float(ended.max() - began.min()) / 1e9, 4),
    }


def _burst_row(measured: Measured) -> dict[str, Any]:
    return measured.labels | {
        "workers": BURST_WORKERS,
        "connections": len(measured.run.accepts),
        "top_share_percent": top_share(measured),
    }


def _frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows))
