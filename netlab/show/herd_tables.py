"""The tables behind the herd's figures, and the figures in words.

Each takes a row per run, and makes of the repeats a median with its range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pandas as pd

from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import medians_of, require, rows
from netlab.show.xray_table import xray_alt

REMEDY = "give the table of the study of that name"
EVENTS = {
    "wakeups_per_accept": "wake-ups",
    "turns_per_accept": "turns",
    "would_block_per_accept": "would-blocks",
    "cpu_us_per_accept": "CPU time",
}
KNOWN = ("level", "exclusive")
LINE = ["strategy", "engine", "events"]


class Pick(NamedTuple):
    """What one line of a figure shows: whose runs, and which column of them."""

    strategy: str
    engine: str
    column: str


def herd_table(
    runs: pd.DataFrame,
    xray: pd.DataFrame | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per line and number of workers, with the median and its range.

    Columns: strategy, engine, events, workers, median, low, high, repeats. xray:
    not used; the inset has a table of its own. recorded: others' runs, further rows
    that a column `from` tells apart, see `outlines.of_both`.
    """
    columns = ["wakeups_per_accept", "turns_per_accept", "would_block_per_accept"]
    _require(runs, "herd", "workers", *columns)
    first, *others = _engines(runs)
    picks = [Pick("level", first, column) for column in columns]
    picks += [Pick("exclusive", first, columns[0])]
    picks += [Pick("level", engine, columns[0]) for engine in others]
    found = _medians(runs, "workers", picks)
    return of_both(found, recorded, herd_table, [*LINE, "workers"])


def herd_alt(
    runs: pd.DataFrame,
    xray: pd.DataFrame | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.herd` shows, in words."""
    table, theirs = parted(herd_table(runs, recorded=recorded))
    text = (
        "Lines of events per accept against the number of workers, both axes "
        f"logarithmic, {medians_of(table)}. {_in_words(table, 'workers')}. "
        "A dashed line marks one wake-up for each worker."
    )
    again = slept_again(table)
    if len(again):
        last = again.iloc[-1]
        text += (
            " Shaded between wake-ups and turns is what slept again inside the "
            f"kernel: {last.wakeups - last.turns:.1f} per accept with "
            f"{last.workers:g} workers."
        )
    text += told(recorded, _ends(theirs, "workers"))
    return text if xray is None else f"{text} Inset: {xray_alt(xray)}"


def herd_cost_table(
    runs: pd.DataFrame, recorded: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return a row per line and number of workers: CPU time per accept, in µs."""
    _require(runs, "herd", "workers", "cpu_us_per_accept")
    picks = [
        Pick(strategy, engine, "cpu_us_per_accept")
        for engine in _engines(runs)
        for strategy in KNOWN
    ]
    found = _medians(runs, "workers", picks)
    return of_both(found, recorded, herd_cost_table, [*LINE, "workers"])


def herd_cost_alt(runs: pd.DataFrame, recorded: pd.DataFrame | None = None) -> str:
    """Return what `plots.herd_cost` shows, in words."""
    table, theirs = parted(herd_cost_table(runs, recorded))
    return (
        "Lines of the workers' CPU time per accept in microseconds against their "
        f"number, both axes logarithmic, {medians_of(table)}. "
        f"{_in_words(table, 'workers')}."
    ) + told(recorded, _ends(theirs, "workers"))


def herd_under_load_table(
    runs: pd.DataFrame, recorded: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return a row per line and offered rate, with the median and its range.

    Raises ValueError unless all runs have the same number of workers.
    """
    columns = ["wakeups_per_accept", "would_block_per_accept"]
    _require(runs, "herd_under_load", "rate_per_s", "workers", *columns)
    team_of(runs)
    first, *others = _engines(runs)
    picks = [Pick("level", first, column) for column in columns]
    picks += [Pick("exclusive", first, columns[0])]
    picks += [Pick("level", engine, columns[0]) for engine in others]
    found = _medians(runs, "rate_per_s", picks)
    if recorded is not None:
        recorded = recorded.query(f"workers == {team_of(runs)}")
    return of_both(found, recorded, herd_under_load_table, [*LINE, "rate_per_s"])


def herd_under_load_alt(
    runs: pd.DataFrame, recorded: pd.DataFrame | None = None
) -> str:
    """Return what `plots.herd_under_load` shows, in words."""
    table, theirs = parted(herd_under_load_table(runs, recorded))
    return (
        f"Lines of events per accept with {team_of(runs)} workers against the offered "
        "connections per second, both axes logarithmic, "
        f"{medians_of(table)}. {_in_words(table, 'rate_per_s')}."
    ) + told(recorded, _ends(theirs, "rate_per_s"))


def team_of(runs: pd.DataFrame) -> int:
    """Return the number of workers, the same in all runs.

    Raises ValueError if it is not.
    """
    found = sorted(set(runs["workers"]))
    if len(found) > 1:
        raise ValueError(
            f"herd_under_load has runs with {', '.join(map(str, found))} workers: "
            "draw those of one number"
        )
    return int(found[0])


def slept_again(table: pd.DataFrame) -> pd.DataFrame:
    """Return workers, wakeups and turns of `level`, whose difference slept again."""
    own = table.query("strategy == 'level' and engine == engine.iloc[0]")
    wakeups, turns = (
        own.query("events == @events").set_index("workers")["median"]
        for events in ("wake-ups", "turns")
    )
    both = pd.DataFrame({"wakeups": wakeups, "turns": turns})
    return both.dropna().rename_axis("workers").reset_index()


def _require(runs: pd.DataFrame, name: str, *columns: str) -> None:
    require(runs, f"runs of {name}", REMEDY, "strategy", "engine", *columns)
    if not set(runs["strategy"]) & set(KNOWN):
        found = ", ".join(sorted(set(runs["strategy"])))
        raise ValueError(
            f"{name} is drawn of {' and '.join(KNOWN)}, and the table has {found}"
        )


def _engines(runs: pd.DataFrame) -> list[str]:
    """Return the engines, first the one that shows the kernel's own numbers."""
    known = runs[runs["strategy"].isin(KNOWN)]
    return sorted(set(known["engine"]))  # "compiled" before "python"


def _medians(runs: pd.DataFrame, along: str, picks: Iterable[Pick]) -> pd.DataFrame:
    names = ["strategy", "engine", "events", along, "median", "low", "high", "repeats"]
    frames = []
    for strategy, engine, column in picks:
        own = runs.query("strategy == @strategy and engine == @engine")
        found = own.dropna(subset=[column]).groupby(along)[column]
        line = found.agg(median="median", low="min", high="max", repeats="size")
        line = line.reset_index().assign(strategy=strategy, engine=engine)
        frames += [line.assign(events=EVENTS[column])[names]] if len(line) else []
    if not frames:
        raise ValueError(f"all numbers of the runs are missing: {REMEDY}")
    return pd.concat(frames, ignore_index=True)


def _in_words(table: pd.DataFrame, along: str) -> str:
    lines = table.groupby(LINE, sort=False)
    return "; ".join(_line_in_words(*line, along, _unit(along)) for line in lines)


def _ends(table: pd.DataFrame, along: str) -> Iterator[str]:
    """Yield the last point of each line in words."""
    for row in rows(table.groupby(LINE, sort=False).tail(1)):
        yield (
            f"{row.events} of {row.strategy}, {row.engine}, {row.median:.3g} at "
            f"{getattr(row, along):g} {_unit(along)}"
        )


def _unit(along: str) -> str:
    return "workers" if along == "workers" else "a second"


def _line_in_words(of: Any, line: pd.DataFrame, along: str, unit: str) -> str:
    strategy, engine, events = of
    points = ", ".join(f"{median:.3g}" for median in line["median"])
    at = ", ".join(f"{value:g}" for value in line[along])
    return f"{events} of {strategy}, {engine}: {points} at {at} {unit}"
