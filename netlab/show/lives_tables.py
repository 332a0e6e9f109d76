"""The numbers of `one_life` and `switches`, and both in words.

A life is told by its stretches: company, thread, what (a state), begin_ns, end_ns, cpu.
What the kernel counts is where two stretches meet: a thread that ran and then sleeps
made a voluntary switch; one that ran and then waits for a CPU an involuntary one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pandas as pd

from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import medians_of, require, rows
from netlab.show.xray_table import ASLEEP, RUNNABLE, RUNNING

STATES = {ASLEEP: "asleep_ms", RUNNABLE: "waited_ms", RUNNING: "ran_ms"}
LANE = ["company", "thread"]
SHARES = {RUNNING: "ran_percent", RUNNABLE: "waited_percent", ASLEEP: "asleep_percent"}
LIFE = "give the table `life` of a study one-life"
CASES = "give the table of a study switches"


def stretches(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with their lane, and from_us, to_us since their scene's waking.

    A lane is a company (a scene) and a thread, numbered from 0 in their order.

    Raises ValueError, with the remedy, for a table without a waking in each scene.
    """
    require(table, "stretches", LIFE, *LANE, "what", "begin_ns", "end_ns", "cpu")
    first_ns = _first_wakings_ns(table)
    origins = table["company"].map(lambda name: first_ns.get(name, float("nan")))
    if origins.isna().to_numpy().any():
        raise ValueError(f"a scene has nobody who was woken: {LIFE}")
    lanes = table.groupby(LANE, sort=False).ngroup()
    placed = table.assign(
        worker=lanes,
        from_us=(table["begin_ns"] - origins) / 1e3,
        to_us=(table["end_ns"] - origins) / 1e3,
    )
    return placed.sort_values(["worker", "begin_ns"], ignore_index=True)


def _first_wakings_ns(table: pd.DataFrame) -> dict[Any, int]:
    """Return when the first sleep of each scene ended, if one did."""
    last_ns = table.groupby("company")["end_ns"].transform("max")
    ended = table[(table["what"] == ASLEEP) & (table["end_ns"] < last_ns)]
    by_scene = ended.groupby("company")["end_ns"]
    return {name: int(own.to_numpy().min()) for name, own in by_scene}


def one_life_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per lane: company, thread, woken, voluntary, involuntary and times.

    asleep_ms, waited_ms, ran_ms: how long it was asleep, runnable and running.
    """
    lanes = stretches(table).groupby(LANE, sort=False)
    return pd.DataFrame(_lane(name, list(rows(own))) for name, own in lanes)


def moments(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per moment that the kernel counts: worker (the lane), at_us, what.

    what: "woken", "voluntary" or "involuntary".
    """
    found = []
    for lane, own in stretches(table).groupby("worker"):
        for before, after in pairwise(rows(own)):
            if what := _moment(before.what, after.what):
                found.append((lane, after.from_us, what))
    return pd.DataFrame(found, columns=["worker", "at_us", "what"])


def _moment(before: str, after: str) -> str | None:
    if before == ASLEEP:
        return "woken"
    if before == RUNNING:
        return "voluntary" if after == ASLEEP else "involuntary"
    return None


def _lane(name: Any, own: list[Any]) -> dict[str, Any]:
    met = [_moment(before.what, after.what) for before, after in pairwise(own)]
    counts = {what: met.count(what) for what in ("woken", "voluntary", "involuntary")}
    times = {
        column: sum(one.to_us - one.from_us for one in own if one.what == state) / 1e3
        for state, column in STATES.items()
    }
    return dict(zip(LANE, name, strict=True)) | counts | times


def one_life_alt(table: pd.DataFrame) -> str:
    """Return what `one_life` shows, in words."""
    spans = stretches(table)
    long_ms = (spans["to_us"].max() - spans["from_us"].min()) / 1e3
    each = "; ".join(
        f"the {row.thread}, {row.company}: ran {row.ran_ms:.1f} ms, waited "
        f"{row.waited_ms:.1f} ms for its CPU, slept {row.asleep_ms:.1f} ms, "
        f"{row.woken} times woken, {row.voluntary} voluntary and {row.involuntary} "
        "involuntary switches"
        for row in rows(one_life_table(table))
    )
    return (
        f"The life of {spans['worker'].nunique()} threads, asleep, runnable or "
        f"running, through {long_ms:.0f} milliseconds. {each[0].upper()}{each[1:]}."
    )


def switches_table(
    runs: pd.DataFrame, recorded: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return a row per case, medians of its runs: shares of the time, and switches.

    Columns: case, ran_percent, waited_percent, asleep_percent, voluntary, involuntary,
    lasted_ms, repeats. recorded: others' runs, below, with a column `from`.
    """
    return of_both(_shares(runs), recorded, _shares, ["case"])


def _shares(runs: pd.DataFrame) -> pd.DataFrame:
    times = ("ran_ms", "waited_ms", "lasted_ms")
    require(runs, "runs", CASES, "case", "voluntary", "involuntary", *times)
    ran, waited = (100 * runs[name] / runs["lasted_ms"] for name in times[:2])
    asleep = (100 - ran - waited).clip(lower=0)
    shares = dict(zip(SHARES.values(), (ran, waited, asleep), strict=True))
    by_case = runs.assign(**shares).groupby("case", sort=False)
    columns = [*SHARES.values(), "voluntary", "involuntary", "lasted_ms"]
    table = by_case[columns].median()
    return table.assign(repeats=by_case.size()).reset_index()


def switches_alt(runs: pd.DataFrame, recorded: pd.DataFrame | None = None) -> str:
    """Return what `switches` shows, in words."""
    ours, theirs = parted(switches_table(runs, recorded))
    each = "; ".join(
        f"{row.case}: ran {row.ran_percent:.0f} %, waited for a CPU "
        f"{row.waited_percent:.0f} %, slept {row.asleep_percent:.0f} %, "
        f"{row.voluntary:g} voluntary and {row.involuntary:g} involuntary switches"
        for row in rows(ours)
    )
    others = (
        f"{row.case}: ran {row.ran_percent:.0f} %, waited {row.waited_percent:.0f} %"
        for row in rows(theirs)
    )
    return (
        f"Bars of where a worker's time went, {medians_of(ours)}. {each}."
        f"{told(recorded, others)}"
    )
