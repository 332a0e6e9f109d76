"""Study `equilibrium`: does the load find its balance by itself, and on which load?

Facts. The design of 2011 has no balancing. It claims one all the same: the more a CPU
is burdened, the likelier an idle one takes the new connections, so that after a while
an equilibrium is reached. The claim names its own condition. A burden must keep a
worker from its queue, or nobody notices it.

Decision. Two loads, one on either side of that condition.

The first has a burden. Two workers are kept busy by AT_ONCE clients that connect, ask
for SPIN_US of work and close. In the middle of it one worker becomes SLOWNESS times
slower, and then recovers (`Server.slow_down`: the penalty sits inside the worker,
because a burner beside it would hit the load's process as well). Time counts from the
moment of the penalty, as the server's own clock had it, in bins of BIN_MS.

The second has none: a burst of idle connections, which then begin to ask
(`afterwards`).

How much the slow worker takes is told in two ways. Its share of the accepts is what the
figure shows: 50 % is equal, 100 / 6 % is what its speed deserves. The claims use its
connections for each of the other's, 1 and 1 / 5, and compare them with those before the
penalty, since a program beside us that takes a part of one CPU shifts both.

Known limit: on two CPUs the load's process is such a program. What may not be put here:
what is claimed (`claims_sharing`), and drawing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from netlab.checks import finite
from netlab.server import strategies
from netlab.study.afterwards import WORK_MS, afterwards_point, afterwards_row
from netlab.study.found import Found
from netlab.study.interleave import Measured, Point, interleaved
from netlab.study.orders import possible
from netlab.study.sharing import SLOWNESS

if TYPE_CHECKING:
    import pandas as pd

    from netlab.server.server import Server

NAMES = ("level", "reuseport")
BURST_NAMES = ("exclusive", "level", "reuseport")
BURSTS = 3  # to one repeat of the first load, which takes as long
WORKERS, SLOW, AT_ONCE, SPIN_US = 2, 1, 16, 500
PHASE_S, BIN_MS = 0.35, 50
PHASES = ("before", "slow", "after")


def equilibrium(
    repeats: int = 5,
    seed: int = 1,
    progress: bool = True,
    names: Sequence[str] = NAMES,
    burst_names: Sequence[str] = BURST_NAMES,
    phase_s: float = PHASE_S,
) -> Found:
    """Measure who accepts while a worker is slow for a while, and after an idle burst.

    names: the strategies of the first load; burst_names: those of the second; none
    leaves a load out. phase_s: how long the worker is slow, and how long it is watched
    before and after that.

    Tables: `equilibrium`, a row per strategy, repeat and bin of time; `phases`, one per
    strategy, repeat and phase; `afterwards`, a row per strategy and burst.

    Raises ValueError if both loads are left out, or phase_s is shorter than two bins.
    """
    finite("phase_s", phase_s, 2 * BIN_MS / 1e3)
    if not (names or burst_names):
        raise ValueError("names and burst_names are empty: give one of them at least")
    tables, notes = {}, ()
    if names:
        tables, notes = _through_time(repeats, seed, progress, names, phase_s)
    if burst_names:
        rows, more = possible(burst_names)
        points = [afterwards_point(row.name) for row in rows]
        found = interleaved(points, BURSTS * repeats, seed, progress)
        tables["afterwards"] = _frame(map(afterwards_row, found))
        notes += more
    settings = {
        "repeats": repeats, "seed": seed, "phase_s": phase_s, "slower": SLOWNESS,
        "bin_ms": BIN_MS, "work_ms": WORK_MS,
    }  # fmt: skip
    return Found("equilibrium", tables, settings, notes)


def _through_time(
    repeats: int, seed: int, progress: bool, names: Sequence[str], phase_s: float
) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    rows, notes = possible(names)
    penalty = Penalty(phase_s)
    points = [_point(row.name, penalty) for row in rows]
    bins, phases = [], []
    for measured in interleaved(points, repeats, seed, progress):
        moments_ms = penalty.moments_ms(measured)
        bins += _bins(measured, moments_ms)
        phases += _phases(measured, moments_ms)
    return {"equilibrium": _frame(bins), "phases": _frame(phases)}, notes


class Penalty:
    """Makes a worker slow in the middle of a run, and notes when; one run at a time."""

    def __init__(self, phase_s: float) -> None:
        self.phase_s = phase_s
        self._moments_ns: list[int] = []

    @contextmanager
    def __call__(self, server: Server) -> Iterator[None]:
        """Change the server twice, in a thread of its own, unless the run is over."""
        self._moments_ns = []
        over = threading.Event()

        def change() -> None:
            for factor in (SLOWNESS, 1):
                if over.wait(self.phase_s):
                    return
                server.slow_down(SLOW, factor)
                self._moments_ns.append(time.monotonic_ns())

        thread = threading.Thread(target=change, name="penalty", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def moments_ms(self, measured: Measured) -> np.ndarray:
        """Return when the load began, the worker recovered, and the load ended.

        In milliseconds from the penalty's begin; of the run that was last.

        Raises RuntimeError if the load was over before the worker had recovered.
        """
        if len(self._moments_ns) < 2:
            raise RuntimeError(
                f"the load ended before the worker recovered, {2 * self.phase_s} s "
                "after it began: give a longer phase_s"
            )
        began_ns, ended_ns = self._moments_ns
        asked_ns = measured.run.requests["start_ns"].to_numpy()
        return (np.array([asked_ns.min(), ended_ns, asked_ns.max()]) - began_ns) / 1e6


def _point(name: str, penalty: Penalty) -> Point:
    settings = {
        "strategy": name,
        "engine": strategies.find(name).engines[-1],
        "workers": WORKERS,
        "at_once": AT_ONCE,
        "requests": 1,
        "duration_s": len(PHASES) * penalty.phase_s,
        "path": f"/spin/{SPIN_US}",
        "sample_rate_per_s": None,
        "meanwhile": penalty,
    }
    return Point({"strategy": name}, settings)


def _bins(measured: Measured, moments_ms: np.ndarray) -> list[dict[str, Any]]:
    """Return who accepted in each bin of time that the load filled."""
    first_ms, _, last_ms = moments_ms
    edges = np.arange(np.ceil(first_ms / BIN_MS), np.floor(last_ms / BIN_MS) + 1)
    found = _counts(measured, moments_ms, edges * BIN_MS)
    return [
        measured.labels
        | {"time_ms": int(low * BIN_MS), "phase": _phase_at(low + 0.5, moments_ms)}
        | counts
        for low, counts in zip(edges[:-1], found, strict=True)
    ]


def _phase_at(place: float, moments_ms: np.ndarray) -> str:
    """Return the phase in which the middle of a bin lies; place: in bins."""
    ended_ms = moments_ms[1]
    return PHASES[int(place >= 0) + int(place * BIN_MS >= ended_ms)]


def _phases(measured: Measured, moments_ms: np.ndarray) -> list[dict[str, Any]]:
    """Return the same for the time before the penalty, in it, and after it."""
    first_ms, ended_ms, last_ms = moments_ms
    edges = np.array([first_ms, 0, ended_ms, last_ms])
    return [
        measured.labels
        | {"phase": phase, "phase_ms": round(float(length), 1)}
        | counts
        | {"for_each_other": _for_each_other(counts)}
        | {"accepts_per_s": round(1e3 * counts["accepts"] / float(length), 1)}
        for phase, length, counts in zip(
            PHASES, np.diff(edges), _counts(measured, moments_ms, edges), strict=True
        )
    ]


def _counts(
    measured: Measured, moments_ms: np.ndarray, edges_ms: np.ndarray
) -> list[dict[str, int]]:
    """Return the accepts between two edges each, of all workers and the slow one."""
    run = measured.run
    began_ns = run.requests["start_ns"].to_numpy().min() - moments_ms[0] * 1e6
    at_ms = (run.accepts["time_ns"].to_numpy() - began_ns) / 1e6
    slow = run.accepts["owner"].to_numpy() == SLOW
    both = [np.histogram(times, edges_ms)[0] for times in (at_ms, at_ms[slow])]
    return [
        {"accepts": int(whole), "slow_accepts": int(part)}
        for whole, part in zip(*both, strict=True)
    ]


def _for_each_other(counts: dict[str, int]) -> float:
    """Return the slow worker's connections for each of the other's."""
    others = counts["accepts"] - counts["slow_accepts"]
    return round(counts["slow_accepts"] / max(1, others), 4)


def _frame(rows: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows))
