"""The table behind the figure of what handing over gains and costs, and its words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from netlab.show.figures import readable
from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import medians_of, require, rows

REMEDY = "give the table of that name of the study handing-over"
MEASURES = {  # name: unit as written, words
    "top share": ("%", "the top one of 4 workers' share of an idle burst, in percent"),
    "lone latency": ("µs", "the latency of a lone client, in microseconds"),
    "CPU time": ("µs", "CPU time of its connection, in microseconds"),
    "held up": ("%", "light requests held up by another's stall, in percent"),
}
GUESSED = "held up"
SHARED, HASH, HANDED = "shared queue", "hash", "handed over"
FAMILIES = {"exclusive": SHARED, "level": SHARED, "reuseport": HASH}
FAMILY_ORDER = (SHARED, HASH, HANDED)


def family(strategy: str) -> str:
    """Return what a strategy shares connections by; a reader's own row hands over."""
    return FAMILIES.get(strategy, HANDED)


def handing_over_table(
    runs: pd.DataFrame,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per measure and strategy: the median of the repeats, and its range.

    Columns: measure, strategy, unit, median, low, high, repeats. predicted: guesses by
    strategy of what is held up, in percent, a further column. recorded: others' runs,
    further rows, see `outlines.of_both`.

    Raises ValueError for a measure that is not one of MEASURES, or a guess of a
    strategy that is not there.
    """
    require(runs, "runs", REMEDY, "strategy", "repeat", "measure", "value")
    if unknown := set(runs["measure"]) - set(MEASURES):
        raise ValueError(
            f"measure {', '.join(unknown)}: there are {', '.join(MEASURES)}"
        )
    table = _medians(runs)
    if predicted is not None:
        if unknown := set(predicted) - set(runs["strategy"]):
            known = ", ".join(names_of(table))
            raise ValueError(
                f"predicted for {', '.join(unknown)}: the runs have {known}"
            )
        guesses = [float(predicted.get(name, np.nan)) for name in table["strategy"]]
        table["predicted"] = np.where(table["measure"] == GUESSED, guesses, np.nan)
    return of_both(table, recorded, _medians, ["measure", "strategy"])


def _medians(runs: pd.DataFrame) -> pd.DataFrame:
    values = runs.groupby(["measure", "strategy"])["value"]
    found = values.agg(median="median", low="min", high="max", repeats="size")
    table = found.reset_index()
    table.insert(2, "unit", [MEASURES[name][0] for name in table["measure"]])
    table["place"] = [list(MEASURES).index(name) for name in table["measure"]]
    table["family"] = [FAMILY_ORDER.index(family(name)) for name in table["strategy"]]
    ordered = table.sort_values(["place", "family", "strategy"], ignore_index=True)
    return ordered.drop(columns=["place", "family"])


def names_of(table: pd.DataFrame) -> list[str]:
    """Return the strategies, in the order of the figure's rows."""
    return sorted(
        table["strategy"].unique(),
        key=lambda name: (FAMILY_ORDER.index(family(name)), name),
    )


def handing_over_alt(
    runs: pd.DataFrame,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.handing_over` shows, in words."""
    table, theirs = parted(handing_over_table(runs, predicted, recorded))
    each = "; ".join(
        f"{MEASURES[name][1]}: {said}" for name, said in _in_words(table).items()
    )
    guesses = (predicted or {}).items()
    guess = "".join(f" Predicted for {name}: {share:g} %." for name, share in guesses)
    names = [f"{name} {said}" for name, said in _in_words(theirs).items()]
    return (
        f"Dots in {table['measure'].nunique()} columns, a row a strategy, "
        f"{medians_of(table)}. {each}.{guess}"
    ) + told(recorded, names)


def _in_words(table: pd.DataFrame) -> dict[str, str]:
    return {
        str(name): ", ".join(
            f"{row.strategy} {readable(row.median)}" for row in rows(own)
        )
        for name, own in table.groupby("measure", sort=False)
    }
