"""The few statistics of runs and of claims about them.

An interval is a percentile bootstrap of repeats: they are drawn anew, with replacement,
RESAMPLES times, and the middle of what their statistic shows is kept. It asks for no
shape of the noise, which here has a long tail. BCa, which corrects such an interval, is
not taken: it rests on leaving one value out at a time, and a median then takes only two
or three values (Efron and Tibshirani 1993, chapter 11).

Known limit: few repeats cannot say much. The median lies outside of all of n values
with probability 2^(1-n), so no interval within their range is sure to 95 % below n = 6.
Of 1,000 lognormal samples each, this one at 95 % held the median in 73 % with 3 values,
in 93 % with 5, in 94 % with 10. And repeats of one session share its machine: what
differs from day to day is in no interval.

What may not be put here: what a number means for a claim (`verdicts`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

ON_TIME_PERCENT = 99.0  # with fewer sends on time, a schedule was not kept
LATE = {
    "overdue": "were noticed late: the machine could not keep the schedule, and these "
    "latencies are not the server's alone",
    "waited": "waited for a free connection: the server was too slow for the rate, and "
    "the waiting is in the latencies",
}
LATENCIES = {"p50_us": 50, "p90_us": 90, "p99_us": 99, "max_us": 100}
STATISTICS = {"median": np.median, "mean": np.mean}
RESAMPLES = 9999  # SciPy's own; another draw moves an end by 0 to 3 % of the width
FEWEST = 3  # of fewer values there is nothing to draw anew


def jain(shares: Sequence[float], capacity: Sequence[float] | None = None) -> float:
    """Return Jain's fairness index of the shares: 1 is fair, 1/n is all to one.

    capacity: how much each can do, in any unit; what is compared is share / capacity.
    Without it, equal shares are fair ones, and the right 20/80 between a slow worker
    and one of four times its speed scores 0.735.

    Source: Jain, Chiu and Hawe, DEC-TR-301, 1984. NaN if all are zero. Raises
    ValueError for a capacity that is not above 0, or is not one for each share.
    """
    values = np.asarray(shares, dtype=float)
    if capacity is not None:
        values = values / _capacities(capacity, len(values))
    squares = len(values) * (values**2).sum()
    return float(values.sum() ** 2 / squares) if squares else float("nan")


def percentiles(values: Any, percents: Sequence[float]) -> list[float]:
    """Return the percentiles of some values, in the order asked for; NaN of none.

    Each is a value that was observed, not one interpolated between two: the least that
    at least so many percent do not exceed.
    """
    if not len(values):
        return [float("nan")] * len(percents)
    return np.percentile(values, percents, method="inverted_cdf").tolist()


def latency_figures(latency_ns: np.ndarray) -> dict[str, float | None]:
    """Return p50, p90, p99 and the maximum in microseconds; None without rows."""
    if not len(latency_ns):
        return dict.fromkeys(LATENCIES)
    found = percentiles(latency_ns, list(LATENCIES.values()))
    return dict(zip(LATENCIES, (round(ns / 1000, 3) for ns in found), strict=True))


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


def bootstrap_interval(
    values: Sequence[float],
    statistic: str = "median",
    confidence: float = 0.95,
    seed: int = 1,
) -> tuple[float, float]:
    """Return an interval for the median (or mean) of what some repeats measured.

    Of fewer than 3 values it is their range, and of equal ones that value twice. The
    same values and seed give the same interval. See the file's head for its limits.

    Raises ValueError for no values, or one that is no finite number.
    """
    of = _statistic(statistic, confidence)
    return _interval([_sample("values", values)], of, confidence, seed)


def ratio_interval(
    above: Sequence[float],
    below: Sequence[float],
    statistic: str = "median",
    confidence: float = 0.95,
    seed: int = 1,
) -> tuple[float, float]:
    """Return an interval for the median of `above` by the median of `below`.

    The two are drawn anew independently. If either has fewer than 3 values, it is the
    range of all ratios of one to the other.

    Raises ValueError for no values, one that is no finite number, or one of `below`
    that is not above 0.
    """
    of = _statistic(statistic, confidence)
    samples = [_sample("above", above), _sample("below", below)]
    if (least := samples[1].min()) <= 0:
        raise ValueError(f"below has {least}: a ratio needs numbers above 0 there")

    def ratio(over: np.ndarray, under: np.ndarray, axis: int = -1) -> Any:
        return of(over, axis=axis) / of(under, axis=axis)

    return _interval(samples, ratio, confidence, seed)


def _interval(
    samples: list[np.ndarray], of: Callable[..., Any], confidence: float, seed: int
) -> tuple[float, float]:
    from scipy.stats import bootstrap

    if min(map(len, samples)) < FEWEST:
        ratios = samples[0] / samples[1][:, None] if samples[1:] else samples[0]
        return float(ratios.min()), float(ratios.max())
    if all(np.ptp(sample) == 0 for sample in samples):  # no noise to draw from
        same = float(of(*(sample[:1] for sample in samples)))
        return same, same
    low, high = bootstrap(
        samples,
        of,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(low), float(high)


def _statistic(name: str, confidence: float) -> Callable[..., Any]:
    if name not in STATISTICS:
        raise ValueError(f"statistic={name!r}: there are {', '.join(STATISTICS)}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: give a share such as 0.95")
    return STATISTICS[name]


def _sample(name: str, values: Sequence[float]) -> np.ndarray:
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or not len(sample):
        raise ValueError(f"{name}={values!r}: give a list of at least one number")
    if not np.isfinite(sample).all():
        strange = sample[~np.isfinite(sample)][0]
        raise ValueError(f"{name} has {strange}: leave out what was not measured")
    return sample


def _capacities(capacity: Sequence[float], count: int) -> np.ndarray:
    values = np.asarray(capacity, dtype=float)
    if len(values) != count or not (values > 0).all():
        raise ValueError(
            f"capacity={list(capacity)}: give a number above 0 for each of {count} "
            "shares"
        )
    return values
