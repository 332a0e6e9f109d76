"""How workers share connections: the tables behind the figures of `sharing`, and
these figures in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import require, rows


def slow_worker_table(
    runs: pd.DataFrame,
    slower: float = 5,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per strategy: the slow worker's share of the accepts, in percent.

    median, low and high over the runs, ideal and equal to hold them against, the
    median duration_s, and duration_ratio, in shortest ones. The ideal is a share
    in proportion to speed. slower: how many times slower that worker is.
    predicted: guesses by strategy, a further column. recorded: others' runs, further
    rows that a column `from` tells apart, see `outlines.of_both`; those of another
    number of workers, whose ideal differs, are left out.

    Raises ValueError if the runs differ in their number of workers.
    """
    remedy = "give the table of the study slow_worker"
    columns = ("strategy", "workers", "share_percent", "duration_s")
    require(runs, "runs", remedy, *columns)
    workers = the_one(runs, "workers")
    table = spread(runs, "share_percent", predicted).assign(
        ideal=100 / (slower * (workers - 1) + 1), equal=100 / workers
    )
    lasted_s = runs.groupby("strategy")["duration_s"].median().to_dict()
    table["duration_s"] = [lasted_s[strategy] for strategy in table["strategy"]]
    table["duration_ratio"] = table["duration_s"] / min(lasted_s.values())
    make = partial(slow_worker_table, slower=slower)
    return of_both(table, recorded, make, ["strategy", "ideal", "equal"])


def slow_worker_alt(
    runs: pd.DataFrame,
    slower: float = 5,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.slow_worker` shows, in words."""
    table, theirs = parted(slow_worker_table(runs, slower, predicted, recorded))
    each = (
        f"{in_words(row)}, the run {row.duration_ratio:.1f} times the shortest"
        for row in rows(table)
    )
    return (
        f"Dots: the percentage of connections that the slow one of "
        f"{the_one(runs, 'workers')} workers took, {slower:g} times slower than any "
        f"other; ideal {table['ideal'][0]:.1f}, equal share {table['equal'][0]:.1f}. "
        f"Median and range by strategy: {'; '.join(each)}."
    ) + told(recorded, _medians(theirs))


def burst_table(
    runs: pd.DataFrame,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per strategy: the top worker's share of a burst, in percent.

    median, low and high over the runs, the ideal, and how many of how many
    connections the median is. predicted, recorded: see `slow_worker_table`.

    Raises ValueError if the runs differ in workers or connections.
    """
    remedy = "give the table of the study burst"
    columns = ("strategy", "workers", "connections", "top_share_percent")
    require(runs, "runs", remedy, *columns)
    connections = the_one(runs, "connections")
    table = spread(runs, "top_share_percent", predicted)
    table = table.assign(
        ideal=100 / the_one(runs, "workers"),
        took=table["median"] * connections / 100,
        connections=connections,
    )
    return of_both(table, recorded, burst_table, ["strategy", "ideal"])


def burst_alt(
    runs: pd.DataFrame,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.burst` shows, in words."""
    table, theirs = parted(burst_table(runs, predicted, recorded))
    each = (
        f"{in_words(row)}, which is {row.took:.3g} of {row.connections:,}"
        for row in rows(table)
    )
    return (
        f"Dots: the percentage of a burst of {the_one(runs, 'connections'):,} "
        f"connections that the top one of {the_one(runs, 'workers')} workers took; "
        f"ideal {table['ideal'][0]:.1f}. "
        f"Median and range by strategy: {'; '.join(each)}."
    ) + told(recorded, _medians(theirs))


def spread(
    runs: pd.DataFrame, value: str, predicted: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return strategy, runs, and the value's median, low and high, least first.

    Raises ValueError if a guess is for a strategy that is not there.
    """
    by_strategy = runs.groupby("strategy", sort=False)[value]
    table = pd.DataFrame(
        {
            "runs": by_strategy.count(), "median": by_strategy.median(),
            "low": by_strategy.min(), "high": by_strategy.max(),
        }
    )  # fmt: skip
    if predicted is not None:
        unknown = ", ".join(set(predicted) - set(table.index))
        if unknown:
            known = ", ".join(table.index)
            raise ValueError(f"predicted for {unknown}: the runs have {known}")
        table["predicted"] = pd.Series(predicted, dtype=float)
    return table.sort_values(["median", "high", "low"]).reset_index()


def _medians(recorded: pd.DataFrame) -> list[str]:
    return [f"{row.strategy} {row.median:.1f}" for row in rows(recorded)]


def the_one(runs: pd.DataFrame, column: str) -> Any:
    """Return the value that all rows have, or raise ValueError."""
    values = sorted(set(runs[column]))
    if len(values) > 1:
        said = ", ".join(map(str, values))
        raise ValueError(f"the runs have {column} {said}: draw those of one of them")
    return values[0]


def in_words(row: Any) -> str:
    """Return a row of `spread` in words."""
    guess = getattr(row, "predicted", np.nan)
    said = "" if np.isnan(guess) else f", predicted {guess:g}"
    return f"{row.strategy} {row.median:.1f} ({row.low:.1f} to {row.high:.1f}{said})"
