"""What a load draws before it begins: when requests come, and which are for /spin/.

A plan that draws while it runs would be a little slower at every request, and could
not be told twice. So all is drawn here, from a seed: same seed, same load.
"""

from __future__ import annotations

import numpy as np

SECOND_NS = 1e9
TAIL = 6.0  # standard deviations: a second drawing is needed once in 10**9 schedules
ARRIVALS = ("constant", "poisson")


def schedule(
    rate_per_s: float, duration_s: float, arrivals: str, seed: int
) -> np.ndarray:
    """Return when requests are due: int64 nanoseconds from the start, ascending.

    "constant": one every 1/rate, the first at 0. "poisson": independent users, the
    gaps between them drawn from an exponential distribution; how many come in
    `duration_s` is then by chance too.
    """
    if arrivals == "constant":
        count = max(round(rate_per_s * duration_s), 1)
        return (np.arange(count) * (SECOND_NS / rate_per_s)).astype("int64")
    return _poisson(rate_per_s, duration_s, np.random.default_rng(seed))


def _poisson(
    rate_per_s: float, duration_s: float, random: np.random.Generator
) -> np.ndarray:
    mean = rate_per_s * duration_s
    count = int(mean + TAIL * mean**0.5) + 1
    offsets = np.cumsum(random.exponential(SECOND_NS / rate_per_s, count))
    while offsets[-1] < duration_s * SECOND_NS:
        more = random.exponential(SECOND_NS / rate_per_s, count)
        offsets = np.concatenate([offsets, offsets[-1] + np.cumsum(more)])
    return offsets[offsets < duration_s * SECOND_NS].astype("int64")


def pattern(count: int, share: float | None, seed: int | None) -> np.ndarray:
    """Return for each of `count` requests, in order, 1 if it is for the spin path.

    Shape (count,), uint8; (1,) where no request is.
    """
    if not share:
        return np.zeros(1, "uint8")
    return (np.random.default_rng(seed).random(count) < share).astype("uint8")
