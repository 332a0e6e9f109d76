"""Whether a soak's looks drift: memory by the connection, the rest by thirds.

Facts. Python and the C library keep memory that was freed, so that a process grows
when it needs a little more than ever before, in steps, and less and less often. A leak
grows with what was done, and does not end. What takes longer with every connection
shows in latencies and wake-ups too, on a machine that does other things meanwhile.

Decision. Memory is held against the connections made: the slope is Theil and Sen's, the
median of the slopes between any two looks, which a few steps do not move. It is a leak
if it is above SLOPE_KB for 1,000 connections, 16 bytes for each (no object of Python's
is so small), and if what it came to from the first third of the looks to the last is
above GROWTH_KB: a short soak has too few connections for the slope alone. Latencies and
wake-ups are medians of the first and the last third, and must not have grown beyond
DRIFT times: far more than a busy machine does to a median of many rounds, far less
than what grows with half a million connections comes to. With fewer rounds than JUDGED
they are told and not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

SLOPE_KB = 16.0
GROWTH_KB = 1024.0
DRIFT = 5.0
JUDGED = 30


class Look(NamedTuple):
    """What was seen of one process at rest, after a round."""

    connections: int  # made so far
    memory_kb: int
    p50_us: float | None = None  # None: not a server
    wakeups_per_accept: float | None = None


class Trend(NamedTuple):
    """How it went from the first look to the last."""

    memory_mb: tuple[float, float]  # of the first and the last look
    kb_per_1000: float
    growth_kb: float  # median of the last third less that of the first
    p50_drift: float | None  # last third by first
    wakeups_drift: float | None
    looks: int

    def faults(self) -> list[str]:
        """Return what is wrong with it, in words; nothing if nothing is."""
        found = []
        if self.kb_per_1000 > SLOPE_KB and self.growth_kb > GROWTH_KB:
            found.append(
                f"memory grows by {self.kb_per_1000:.0f} kB for 1,000 connections, "
                f"{self.growth_kb / 1024:.1f} MiB so far"
            )
        if self.looks >= JUDGED:
            drifts = {"latency": self.p50_drift, "wake-ups": self.wakeups_drift}
            found += [
                f"{what}: {drift:.1f} times what it was"
                for what, drift in drifts.items()
                if drift is not None and drift > DRIFT
            ]
        return found


def trend(looks: Sequence[Look]) -> Trend:
    """Return the trend of at least three looks."""
    made = np.array([look.connections for look in looks], dtype=float)
    memory = np.array([look.memory_kb for look in looks], dtype=float)
    first, last = _thirds(memory)
    return Trend(
        (memory[0] / 1024, memory[-1] / 1024),
        1000 * _slope(made, memory),
        last - first,
        _drift([look.p50_us for look in looks]),
        _drift([look.wakeups_per_accept for look in looks]),
        len(looks),
    )


def _slope(made: np.ndarray, values: np.ndarray) -> float:
    """Return the median of the slopes between any two points."""
    from scipy.stats import theilslopes

    found: Any = theilslopes(values, made)
    return float(found[0])


def _drift(values: Sequence[float | None]) -> float | None:
    """Return by what the last third's median is a multiple of the first's."""
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return None
    first, last = _thirds(known)
    return last / first if first else None


def _thirds(values: np.ndarray) -> tuple[float, float]:
    size = max(1, len(values) // 3)
    return float(np.median(values[:size])), float(np.median(values[-size:]))
