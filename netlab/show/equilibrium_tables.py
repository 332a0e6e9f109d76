"""The tables behind the figures of `equilibrium`, and these figures in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from netlab.show.figures import readable
from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import medians_of, require, rows

REMEDY = "give the table of that name of the study equilibrium"
PHASES = ("before", "slow", "after")
WORKERS = 2
SLOW = "slow"


def equilibrium_table(
    runs: pd.DataFrame,
    slower: float = 5,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per strategy and bin of time: the slow worker's share, in percent.

    Columns: strategy, time_ms (where the bin begins), phase, median, low and high over
    the repeats, repeats, and ideal, a share in proportion to speed. A bin at the ends
    that less than half of the repeats filled is left out. slower: how many times slower
    that worker is in the phase "slow". predicted: guesses by strategy of
    its share there, a further column. recorded: others' runs, further rows, see
    `outlines.of_both`.

    Raises ValueError if a guess is for a strategy that is not there.
    """
    columns = ("strategy", "repeat", "time_ms", "phase", "accepts", "slow_accepts")
    require(runs, "runs", REMEDY, *columns)
    table = _through_time(runs, slower)
    if predicted is not None:
        if unknown := ", ".join(set(predicted) - set(runs["strategy"])):
            known = ", ".join(runs["strategy"].unique())
            raise ValueError(f"predicted for {unknown}: the runs have {known}")
        guesses = [float(predicted.get(name, np.nan)) for name in table["strategy"]]
        table["predicted"] = np.where(table["phase"] == SLOW, guesses, np.nan)
    kinds = ["strategy", "time_ms", "phase"]
    return of_both(table, recorded, lambda own: _through_time(own, slower), kinds)


def _through_time(runs: pd.DataFrame, slower: float) -> pd.DataFrame:
    share = 100 * runs["slow_accepts"] / runs["accepts"].clip(lower=1)
    bins = runs.assign(share=share).groupby(["strategy", "time_ms"], sort=False)
    shares = bins["share"]
    table = pd.DataFrame(
        {
            "phase": bins["phase"].agg(lambda names: names.mode().iloc[0]),
            "median": shares.median(), "low": shares.min(), "high": shares.max(),
            "repeats": bins.size(),
        }
    ).reset_index()  # fmt: skip
    table = table.query(f"2 * repeats >= {runs['repeat'].nunique()}")
    table = table.sort_values(["strategy", "time_ms"], ignore_index=True)
    speeds = np.where(table["phase"] == SLOW, 1 / slower, 1.0)
    return table.assign(ideal=100 * speeds / (speeds + WORKERS - 1))


def equilibrium_alt(
    runs: pd.DataFrame,
    slower: float = 5,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.equilibrium` shows, in words."""
    table, theirs = parted(equilibrium_table(runs, slower, predicted, recorded))
    begin, end = penalty_ms(table)
    ideals = table.groupby("phase")["ideal"].first()
    guesses = (predicted or {}).items()
    guess = "".join(f" Predicted for {name}: {share:g}." for name, share in guesses)
    return (
        f"Lines through time: the percentage of the accepts that one of {WORKERS} "
        f"workers had, which is {slower:g} times slower from {begin:g} to {end:g} ms; "
        f"{medians_of(table)}. Ideal are {ideals.get('before', 50):.1f} %, then "
        f"{ideals.get(SLOW, np.nan):.1f} %. Means of the phases before, slow, after: "
        f"{'; '.join(_phases_in_words(table))}."
    ) + guess + told(recorded, _phases_in_words(theirs))  # fmt: skip


def _phases_in_words(table: pd.DataFrame) -> list[str]:
    return [
        f"{name} " + ", ".join(f"{share:.1f}" for share in phase_shares(own).values())
        for name, own in table.groupby("strategy", sort=False)
    ]


def phase_shares(own: pd.DataFrame) -> dict[str, float]:
    """Return a strategy's mean share in each phase, in percent."""
    found = {}
    for name in PHASES:
        values = own.loc[own["phase"] == name, "median"].to_numpy(float)
        found |= {name: float(values.mean())} if len(values) else {}
    return found


def penalty_ms(table: pd.DataFrame) -> tuple[float, float]:
    """Return when the worker becomes slow and when it recovers, to a bin."""
    slow = table.query("phase == @SLOW")["time_ms"].tolist()
    after = table.query("phase == 'after'")["time_ms"].tolist()
    if not (slow and after):
        raise ValueError("the runs have no phase 'slow' or 'after': give whole runs")
    return float(min(slow)), float(min(after))


def afterwards_table(
    runs: pd.DataFrame,
    work_ms: float | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per strategy and share of the top worker: when all were answered.

    Columns: strategy, took (the top worker's connections), duration_ms (the median of
    these runs), low and high, repeats. work_ms: not used; it is a line. recorded: see
    `equilibrium_table`.
    """
    columns = ("strategy", "connections", "top_share_percent", "duration_s")
    require(runs, "runs", REMEDY, *columns)
    return of_both(_by_share(runs), recorded, _by_share, ["strategy", "took"])


def _by_share(runs: pd.DataFrame) -> pd.DataFrame:
    took = (runs["top_share_percent"] * runs["connections"] / 100).round().astype(int)
    timed = runs.assign(took=took, duration_ms=1e3 * runs["duration_s"])
    times = timed.groupby(["strategy", "took"])["duration_ms"]
    found = times.agg(duration_ms="median", low="min", high="max", repeats="size")
    return found.reset_index()


def afterwards_alt(
    runs: pd.DataFrame,
    work_ms: float | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.afterwards` shows, in words."""
    table, theirs = parted(afterwards_table(runs, work_ms, recorded))
    line = ""
    if work_ms is not None:
        line = f" A dotted line is the top worker's own work, {work_ms:g} ms for each."
    return (
        f"Points, by strategy: how many connections of an idle burst the top one of "
        f"{WORKERS} workers has, and after how many milliseconds all are answered when "
        f"they begin to ask: {'; '.join(_points_in_words(table))}.{line}"
    ) + told(recorded, _points_in_words(theirs))


def _points_in_words(table: pd.DataFrame) -> list[str]:
    each = []
    for name, own in table.groupby("strategy", sort=False):
        points = [f"{row.took}: {readable(row.duration_ms)} ms" for row in rows(own)]
        each.append(f"{name} {', '.join(points)}")
    return each
