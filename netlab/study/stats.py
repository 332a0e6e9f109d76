"""The few statistics that a single run needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LATENCIES = {"p50_us": 50, "p90_us": 90, "p99_us": 99, "max_us": 100}


def jain(shares: Sequence[int]) -> float:
    """Return Jain's fairness index of the shares: 1 is equal, 1/n is all to one.

    Source: Jain, Chiu and Hawe, DEC-TR-301, 1984. Equal shares are not always
    fair ones: a worker of half the speed should get half. NaN if all are zero.
    """
    values = np.asarray(shares, dtype=float)
    squares = len(values) * (values**2).sum()
    return float(values.sum() ** 2 / squares) if squares else float("nan")


def latency_figures(latency_ns: np.ndarray) -> dict[str, float | None]:
    """Return p50, p90, p99 and the maximum in microseconds; None without rows.

    Each is a latency that was observed, not one interpolated between two.
    """
    if not len(latency_ns):
        return dict.fromkeys(LATENCIES)
    percents = list(LATENCIES.values())
    values = np.percentile(latency_ns, percents, method="inverted_cdf") / 1000
    return dict(zip(LATENCIES, values.round(3).tolist(), strict=True))
