"""The verdict of a claim: confirmed, contradicted, or inconclusive on this machine.

A claim is held against an interval, not a number: it is confirmed if the whole interval
lies on its side of the threshold, contradicted if all of it lies on the other, and else
neither. So a noisy machine cannot refute a claim, nor a lucky run prove one; what it
gets is the next step to take. Runs that a quota stopped in between, or whose workers
were not asleep when they were counted, decide nothing that depends on time: whoever has
such runs says so (`throttled`, `settled`).

The threshold belongs to the claim and is chosen before the run. What may not be put
here: measuring, and exact invariants, such as conservation, which raise.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

MARKS = {"confirmed": "✓", "contradicted": "✗", "inconclusive": "?"}
NARROWER = (
    "the threshold lies within what was measured: take more repeats, on a quiet machine"
)
THROTTLED = (
    "a quota (cgroup) stopped these runs in between: run where there is none, or with "
    "fewer workers and less load"
)
UNSETTLED = (
    "not all workers were asleep when they were counted: run again on a quiet machine"
)
UNSAID = (
    "where nothing was predicted, nothing is kept: take a rule that says who is next"
)
UNMEASURED = (
    "what it is about was not measured: the notes say what cannot run here, and why"
)

Value = Literal["confirmed", "contradicted", "inconclusive"]


class Verdict(NamedTuple):
    """What became of a claim.

    measured: the interval, in words. threshold: what was asked for, in words.
    next_step: what an inconclusive one needs; else empty.
    """

    value: Value
    claim: str
    measured: str
    threshold: str
    next_step: str = ""

    def __repr__(self) -> str:
        step = f"\n  next: {self.next_step}" if self.next_step else ""
        return f"{MARKS[self.value]} {self.value}: {self.claim}\n  {self._held()}{step}"

    def _repr_html_(self) -> str:
        lines = [html.escape(self._held())]
        if self.next_step:
            lines.append(f"Next: {html.escape(self.next_step)}")
        return (
            f"<p><strong>{MARKS[self.value]} {self.value}</strong>: "
            f"{html.escape(self.claim)}<br><small>{'<br>'.join(lines)}</small></p>"
        )

    def _held(self) -> str:
        return f"measured {self.measured}, claimed {self.threshold}"


def at_least(
    claim: str,
    interval: tuple[float, float] | None,
    threshold: float,
    *,
    unit: str = "",
    throttled: bool = False,
    settled: bool = True,
) -> Verdict:
    """Return the verdict of a claim that something is `threshold` or more.

    Else as `within`.
    """
    doubts = {"throttled": throttled, "settled": settled}
    return within(claim, interval, threshold, math.inf, unit=unit, **doubts)


def at_most(
    claim: str,
    interval: tuple[float, float] | None,
    threshold: float,
    *,
    unit: str = "",
    throttled: bool = False,
    settled: bool = True,
) -> Verdict:
    """Return the verdict of a claim that something is `threshold` or less.

    Else as `within`.
    """
    doubts = {"throttled": throttled, "settled": settled}
    return within(claim, interval, -math.inf, threshold, unit=unit, **doubts)


def within(
    claim: str,
    interval: tuple[float, float] | None,
    low: float,
    high: float,
    *,
    unit: str = "",
    throttled: bool = False,
    settled: bool = True,
) -> Verdict:
    """Return the verdict of a claim that something is from `low` to `high`.

    interval: (low, high) of what was measured, as of `stats.bootstrap_interval`; None
    where nothing was measured, which decides nothing.
    throttled, settled: of its runs, where the claim depends on time.

    Raises ValueError for an interval that is none, or if low is above high.
    """
    if not low <= high:
        raise ValueError(f"low={low}, high={high}: give the lower one first")
    asked = _asked(low, high, unit)
    if interval is None:
        return Verdict("inconclusive", claim, "nothing", asked, UNMEASURED)
    least, most = _ends(interval)
    value = _value(low <= least and most <= high, most < low or least > high)
    return _verdict(value, claim, _span(least, most, unit), asked, throttled, settled)


def kept(
    claim: str,
    percent: float | Iterable[float | None] | None,
    threshold: float,
    *,
    throttled: bool = False,
    settled: bool = True,
) -> Verdict:
    """Return the verdict of a prediction that so many percent of the accepts kept.

    percent: of a run, or of each of several, as of `orders.kept_percent`; None or NaN
    where nothing was predicted. Several that lie on both sides decide nothing.

    Raises ValueError for a percent or a threshold that is not from 0 to 100.
    """
    several = list(percent) if isinstance(percent, Iterable) else [percent]
    known = [one for one in several if one is not None and not math.isnan(one)]
    for number in (threshold, *known):
        if not 0 <= number <= 100:
            raise ValueError(f"{number} percent: give a number from 0 to 100")
    asked = f"at least {_told(threshold, '%')} of accepts as predicted"
    if len(known) < max(len(several), 1):
        unsaid = len(several) - len(known)
        none = f"no prediction in {unsaid} of {len(several)} runs"
        return Verdict("inconclusive", claim, none, asked, UNSAID)
    low, high = min(known), max(known)
    value = _value(low >= threshold, high < threshold)
    return _verdict(value, claim, _span(low, high, "%"), asked, throttled, settled)


def _value(is_on_its_side: bool, is_on_the_other: bool) -> Value:
    if is_on_its_side:
        return "confirmed"
    return "contradicted" if is_on_the_other else "inconclusive"


def _verdict(
    value: Value,
    claim: str,
    measured: str,
    threshold: str,
    throttled: bool,
    settled: bool,
) -> Verdict:
    doubts = [THROTTLED] * bool(throttled) + [UNSETTLED] * (not settled)
    if doubts:
        step = "; ".join(doubts)
        return Verdict("inconclusive", claim, measured, threshold, step)
    step = NARROWER if value == "inconclusive" else ""
    return Verdict(value, claim, measured, threshold, step)


def _ends(interval: tuple[float, float]) -> tuple[float, float]:
    low, high = interval
    if not low <= high:  # true of NaN too
        raise ValueError(
            f"interval={low, high}: give two numbers, the lower one first; was "
            "something measured at all?"
        )
    return low, high


def _asked(low: float, high: float, unit: str) -> str:
    if high == math.inf:
        return f"at least {_told(low, unit)}"
    if low == -math.inf:
        return f"at most {_told(high, unit)}"
    return f"from {_span(low, high, unit)}" if low < high else _told(low, unit)


def _span(low: float, high: float, unit: str) -> str:
    if low == high:
        return _told(low, unit)
    return f"{_told(low, '')} to {_told(high, unit)}"


def _told(number: float, unit: str) -> str:
    digits = f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"
    return f"{digits} {unit}".rstrip()
