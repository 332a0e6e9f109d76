"""The few statistics that a single run needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ON_TIME_PERCENT = 99.0  # with fewer sends on time, a schedule was not kept
LATE = {
    "overdue": "were noticed late: the machine could not keep the schedule, and these "
    "latencies are not the server's alone",
    "waited": "waited for a free connection: the server was too slow for the rate, and "
    "the waiting is in the latencies",
}
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


def on_time_percent(sent: int, late: dict[str, int]) -> float | None:
    """Return how many of the requests sent were on time; None if none was sent.

    late: how many were not, by reason.
    """
    return round(100 * (1 - sum(late.values()) / sent), 3) if sent else None


def schedule_verdict(sent: int, late: dict[str, int]) -> str:
    """Say whether a schedule was kept, and if not, who did not keep it.

    late: how many of those sent were late, by the reasons in LATE.
    """
    if not sent:
        return "nothing was sent"
    allowed = sent * (1 - ON_TIME_PERCENT / 100)
    if sum(late.values()) <= allowed:
        return "kept"
    told = [f"{late[why]} {LATE[why]}" for why in LATE if late[why] > allowed / 2]
    return f"not kept, of {sent} requests {'; '.join(told)}"


def binomial_band(trials: int, share: float, coverage: float) -> tuple[int, int]:
    """Return the counts between which a share's count lies by chance alone.

    coverage: with this probability, such as 0.9999. Both ends belong to the band.
    """
    from scipy.stats import binom

    low, high = binom.interval(coverage, trials, share)
    return int(low), int(high)
