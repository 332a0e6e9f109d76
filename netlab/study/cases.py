"""A claim about several cases, and the verdict of its weakest.

Facts. "Every shared queue gives the slow worker little" is about five strategies. An
interval of all their numbers together would hide the one that does not.

Decision. Each case is judged by itself, and the claim is as good as the weakest: one
contradicted case contradicts it, one undecided leaves it undecided. The verdict names
that case, or where all are confirmed the one that came nearest to its limit.

Three kinds of numbers are judged. Those of repeats, by an interval of their mean: a
share's mean over runs of one length is the share of all their connections, and the
interval of a mean is narrower than that of a median, which reaches to the outermost of
five values (`stats`). Fewer than three repeats have no interval, so they decide
nothing. Predictions of single accepts (`all_kept`) and counts by chance (`by_chance`)
need no repeats: there each connection is one.

What may not be put here: what is claimed (`claims`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from netlab.study.orders import COVERAGE, KEPT_PERCENT
from netlab.study.stats import (
    FEWEST,
    binomial_band,
    bootstrap_interval,
    ratio_interval,
)
from netlab.study.verdicts import Verdict, at_most, kept, within

if TYPE_CHECKING:
    import pandas as pd

Values = TypeVar("Values")  # of one case

GRAVITY = ("confirmed", "inconclusive", "contradicted")
STATISTIC = "mean"
FEW = f"too few repeats for an interval: take {FEWEST} or more"


def repeats_of(
    table: pd.DataFrame, column: str, by: str, words: str = "{}"
) -> dict[str, list[float]]:
    """Return what the repeats of each case measured.

    by: the column that tells cases apart. words: how one is named, as in "{} workers".
    """
    cases = table.groupby(by, sort=False)[column]
    return {words.format(name): values.tolist() for name, values in cases}


def only(repeats: Mapping[str, Values], names: Iterable[str]) -> dict[str, Values]:
    """Return the cases of these names, as far as they were measured."""
    return {name: repeats[name] for name in names if name in repeats}


def each(
    claim: str,
    repeats: Mapping[str, Sequence[float]],
    low: float = -math.inf,
    high: float = math.inf,
    unit: str = "",
) -> Verdict:
    """Return the verdict of a claim that the mean of each case is from low to high."""

    def margin(name: str) -> float:
        least, most = spans[name]
        return min(least - low, high - most)

    spans = {
        name: bootstrap_interval(values, STATISTIC) for name, values in repeats.items()
    }
    judged = {
        name: within(claim, spans[name], low, high, unit=unit)
        for name in sorted(spans, key=margin)
    }
    nothing = within(claim, None, low, high, unit=unit)
    return _enough(weakest(judged, nothing), *repeats.values())


def ratio(
    claim: str,
    above: Sequence[float],
    below: Sequence[float],
    low: float = -math.inf,
    high: float = math.inf,
) -> Verdict:
    """Return the verdict of a claim that one mean is so many times the other."""
    is_measured = len(above) and len(below)
    span = ratio_interval(above, below, STATISTIC) if is_measured else None
    return _enough(within(claim, span, low, high, unit="times"), above, below)


def all_kept(claim: str, percents: Mapping[str, Sequence[float | None]]) -> Verdict:
    """Return the verdict of a claim that each case kept what its rule predicts.

    percents: of each case, those of its runs' accepts, as of `orders.kept_percent`.
    """

    def least(name: str) -> float:
        return min((percent or 0 for percent in percents[name]), default=0)

    judged = {
        name: kept(claim, percents[name], KEPT_PERCENT)
        for name in sorted(percents, key=least)
    }
    return weakest(judged, kept(claim, None, KEPT_PERCENT))


def by_chance(claim: str, counts: Mapping[str, Sequence[int]]) -> Verdict:
    """Return the verdict of a claim that equal chances explain each case's counts.

    counts: of each case, the connections that each of the workers had. A count lies in
    its binomial band with probability COVERAGE.
    """
    judged = {}
    for name, shares in counts.items():
        low, high = binomial_band(sum(shares), 1 / len(shares), COVERAGE)
        outside = sum(not low <= count <= high for count in shares)
        unit = f"of {len(shares)} counts outside {low} to {high}"
        judged[name] = at_most(claim, (outside, outside), 0, unit=unit)
    return weakest(judged, at_most(claim, None, 0, unit="counts outside their band"))


def weakest(judged: Mapping[str, Verdict], nothing: Verdict) -> Verdict:
    """Return the verdict of the weakest case, with its name.

    judged: the verdicts by case; of equally weak ones the first is told.
    nothing: what is returned if there is no case.
    """
    if not judged:
        return nothing
    name = max(judged, key=lambda name: GRAVITY.index(judged[name].value))
    told = name if len(judged) == 1 else f"{name}, the weakest of {len(judged)}"
    return judged[name]._replace(measured=f"{judged[name].measured} ({told})")


def _enough(verdict: Verdict, *samples: Sequence[float]) -> Verdict:
    """Return the verdict, undecided if it rests on too few repeats."""
    fewest = min(map(len, samples), default=0)
    if not 0 < fewest < FEWEST:
        return verdict
    return verdict._replace(value="inconclusive", next_step=FEW)
