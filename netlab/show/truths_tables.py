"""The tables behind the figures of closed and open loops, and these figures in words.

Each takes a row per run, or per run and percentile, and makes of the repeats a median
with its range.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from netlab.show.figures import readable
from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import medians_of, require, rows

REMEDY = "give the table of that name of the study two-truths"
CURVES = {
    ("closed", "sending"): "closed loop",
    ("open", "sending"): "open loop, from sending",
    ("open", "due"): "open loop, from the moment due",
}
TOLD = (50, 90, 99, 99.9)  # percentiles that have a tick, a mark and a word
JUDGED = 99  # the one at which the two loops are compared
POINT = ["plan", "at_once", "rate_per_s", "fired_s"]


def two_truths_table(
    truths: pd.DataFrame,
    predicted: float | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per curve and percentile: the median of the repeats, and its range.

    Columns: plan, counted_from, percentile, median, low, high, repeats; latencies in
    ms. predicted: a guess of the open loop's p99 from due, a further column. recorded:
    others' truths, whose rows follow, see `outlines.of_both`.

    Raises ValueError for a curve that is not one of CURVES, or a guess not above 0.
    """
    table = _curves(truths)
    if predicted is not None:
        if predicted <= 0:
            raise ValueError(f"predicted={predicted}: give milliseconds, above 0")
        at = table.eval("counted_from == 'due' and percentile == @JUDGED")
        table["predicted"] = pd.Series(float(predicted), table.index).where(at)
    kinds = ["plan", "counted_from", "percentile"]
    return of_both(table, recorded, _curves, kinds)


def _curves(truths: pd.DataFrame) -> pd.DataFrame:
    columns = ["plan", "counted_from", "percentile"]
    require(truths, "truths", REMEDY, *columns, "latency_ms")
    found = set(zip(truths["plan"], truths["counted_from"], strict=True))
    if unknown := sorted(found - CURVES.keys()):
        raise ValueError(f"{unknown[0]} is none of {', '.join(map(str, CURVES))}")
    if not (truths["latency_ms"].to_numpy(float) > 0).all():
        raise ValueError("latency_ms must be above 0: give the answered requests only")
    latency = truths.groupby(columns)["latency_ms"]
    table = latency.agg(median="median", low="min", high="max", repeats="size")
    each = [_of(table.reset_index(), *curve) for curve in CURVES]
    return pd.concat([own for own in each if len(own)], ignore_index=True)


def _of(table: pd.DataFrame, plan: str, clock: str) -> pd.DataFrame:
    return table.query("plan == @plan and counted_from == @clock")


def gap(table: pd.DataFrame) -> tuple[float, float] | None:
    """Return p99 of the closed loop, and of the open one from due; None without both.

    table: that of `two_truths_table`, of one machine.
    """
    at = table[table["percentile"] == JUDGED]
    of = zip(at["plan"], at["counted_from"], strict=True)
    p99 = dict(zip(of, at["median"].tolist(), strict=True))
    ends = p99.get(("closed", "sending")), p99.get(("open", "due"))
    return None if None in ends else ends  # pyright: ignore[reportReturnType]


def two_truths_alt(
    truths: pd.DataFrame,
    predicted: float | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.two_truths` shows, in words."""
    table, theirs = parted(two_truths_table(truths, predicted, recorded))
    both = gap(table)
    text = (
        "Lines of the latency in milliseconds against the percentage of requests that "
        f"took no longer, both axes logarithmic, {medians_of(table)}. "
        f"{'; '.join(_curves_in_words(table))}."
    )
    if both:
        text += (
            f" At {JUDGED} % the open loop from due has "
            f"{readable(both[1] / both[0])} times the latency of the closed one."
        )
    guess = "" if predicted is None else f" Predicted were {predicted:g} ms."
    return (
        text
        + guess
        + told(recorded, _curves_in_words(theirs.query("percentile == @JUDGED")))
    )


def _curves_in_words(table: pd.DataFrame) -> list[str]:
    named, each = table.query("percentile in @TOLD"), []
    for curve, words in CURVES.items():
        own = _of(named, *curve)
        points = ", ".join(f"{readable(ms)}" for ms in own["median"])
        at = ", ".join(f"{percent:g}" for percent in own["percentile"])
        each += [f"{words}: {points} ms at {at} %"] if len(own) else []
    return each


def rate_curve_table(
    rates: pd.DataFrame,
    capacity_per_s: float | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per rate and length of an open load, and per clients of a closed.

    Columns: plan, at_once, rate_per_s (at which the open loop aimed, which the closed
    one reached), fired_s, p50_ms, p99_ms with low and high, kept (of how many of the
    repeats the schedule was kept), repeats. capacity_per_s: not used; it is a line.
    recorded: others' rates, whose rows follow, see `outlines.of_both`.
    """
    table = _points(rates)
    both = of_both(table, recorded, _points, ["plan", "at_once", "aimed", "fired_s"])
    return both.drop(columns="aimed")


def _points(rates: pd.DataFrame) -> pd.DataFrame:
    figures = ["requests_per_s", "p50_ms", "p99_ms", "schedule"]
    require(rates, "rates", REMEDY, *POINT, *figures)
    if not (rates["p99_ms"].to_numpy(float) > 0).all():
        raise ValueError("p99_ms must be above 0: give the answered requests only")
    runs = rates.assign(kept=rates["schedule"] == "kept").groupby(POINT, dropna=False)
    p99 = runs["p99_ms"]
    columns = {
        "reached": runs["requests_per_s"].median(), "p50_ms": runs["p50_ms"].median(),
        "p99_ms": p99.median(), "low": p99.min(), "high": p99.max(),
        "kept": runs["kept"].sum(), "repeats": runs.size(),
    }  # fmt: skip
    table = pd.DataFrame(columns).reset_index()
    aimed = table["rate_per_s"].fillna(0)
    table["rate_per_s"] = table["rate_per_s"].fillna(table.pop("reached"))
    table["aimed"] = aimed
    order = ["plan", "fired_s", "at_once", "aimed"]
    return table.sort_values(order, ascending=[False, False, True, True]).reset_index(
        drop=True
    )


def rate_curve_alt(
    rates: pd.DataFrame,
    capacity_per_s: float | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.rate_curve` shows, in words."""
    table, theirs = parted(rate_curve_table(rates, capacity_per_s, recorded))
    text = (
        "The 99th percentile of the latency in milliseconds, on a logarithmic axis, "
        f"against requests per second, {medians_of(table)}. "
        f"{'; '.join(_loads_in_words(table))}."
    )
    if capacity_per_s is not None:
        text += f" A line marks the capacity, {capacity_per_s:,g} a second."
    return text + told(recorded, _loads_in_words(theirs))


def _loads_in_words(table: pd.DataFrame) -> list[str]:
    each = []
    for fired_s, own in table.query("plan == 'open'").groupby("fired_s", sort=False):
        points = ", ".join(f"{readable(row.p99_ms)}{_unkept(row)}" for row in rows(own))
        at = ", ".join(f"{rate:,g}" for rate in own["rate_per_s"])
        each.append(f"open loop for {fired_s:g} s: {points} at {at}")
    closed = table.query("plan == 'closed'")
    if len(closed):
        points = ", ".join(f"{readable(ms)}" for ms in closed["p99_ms"])
        at = ", ".join(f"{rate:,.0f}" for rate in closed["rate_per_s"])
        clients = ", ".join(map(str, closed["at_once"]))
        each.append(f"closed loop: {points} with {clients} clients, who reach {at}")
    return each


def _unkept(row: Any) -> str:
    return "" if mostly_kept(row) else " (schedule not kept)"


def mostly_kept(row: Any) -> bool:
    """Return whether an open load's schedule was kept in most of the repeats."""
    return 2 * row.kept > row.repeats
