"""The table behind the figure of idle descriptors, and the figure in words."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from netlab.show.figures import readable
from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import medians_of, require

REMEDY = "give the table `idle` of the study idle-clients"
KINDS = ["way", "engine", "idle"]
WAYS = ("select", "poll", "epoll")
FIRST = "compiled"  # the engine whose lines are in full colour
HIGHEST = 1023  # the last descriptor that select knows


def idle_clients_table(
    idle: pd.DataFrame,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per way, engine and number of idle descriptors.

    Columns: way, engine, idle, active, turn_us (the median of the repeats), low, high,
    repeats. predicted: a guess for some ways, of how many times as long as among the
    fewest a compiled turn takes among the most: a further column, in microseconds.
    recorded: others' turns, whose rows follow, see `outlines.of_both`.

    Raises ValueError for a way that is none, or for a number that is not above 0.
    """
    table = _medians(idle)
    if predicted:
        table["predicted"] = _guesses(table, predicted)
    return of_both(table, recorded, _medians, KINDS)


def _guesses(table: pd.DataFrame, predicted: Mapping[str, float]) -> pd.Series:
    """Return the microseconds that were guessed, in the rows that they belong to."""
    guesses = pd.Series(float("nan"), table.index)
    for way, times in predicted.items():
        if way not in WAYS or times <= 0:
            raise ValueError(
                f"predicted={{{way!r}: {times}}}: give a number above 0 for some of "
                f"{', '.join(WAYS)}"
            )
        own = table.query("way == @way and engine == @FIRST")
        if len(own):
            last, first = own["idle"].idxmax(), own["idle"].idxmin()
            guesses[last] = times * own["turn_us"][first]
    return guesses


def _medians(idle: pd.DataFrame) -> pd.DataFrame:
    require(idle, "idle", REMEDY, *KINDS, "active", "turn_us")
    if unknown := sorted(set(idle["way"]) - set(WAYS)):
        raise ValueError(f"way {unknown[0]!r}: the figure has {', '.join(WAYS)}")
    if not (idle[["idle", "turn_us"]].to_numpy(float) > 0).all():
        raise ValueError("idle and turn_us must be above 0: both axes are logarithmic")
    turns = idle.groupby([*KINDS, "active"])["turn_us"]
    table = turns.agg(turn_us="median", low="min", high="max", repeats="size")
    each = [
        table.reset_index().query("way == @way and engine == @engine")
        for engine in sorted(set(idle["engine"]))  # compiled, python
        for way in WAYS
    ]
    return pd.concat([own for own in each if len(own)], ignore_index=True)


def growth(table: pd.DataFrame, way: str) -> float:
    """Return how many times a way's compiled turn grew, from the fewest to the most.

    table: that of `idle_clients_table`, of one machine. NaN where it was not measured.
    """
    own = table.query("way == @way and engine == @FIRST").sort_values("idle")
    if own.empty:
        return float("nan")
    return float(own["turn_us"].iloc[-1] / own["turn_us"].iloc[0])


def idle_clients_alt(
    idle: pd.DataFrame,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.idle_clients` shows, in words."""
    table, theirs = parted(idle_clients_table(idle, predicted, recorded))
    active = ", ".join(map(str, sorted(set(table["active"]))))
    text = (
        "Lines of the cost of a turn in microseconds against the number of idle "
        f"descriptors, both axes logarithmic, with {active} active ones, "
        f"{medians_of(table)}. {'; '.join(_lines_in_words(table))}."
    )
    guesses = [f"{times:g} times for {way}" for way, times in (predicted or {}).items()]
    guess = f" Predicted from first to last: {', '.join(guesses)}." if guesses else ""
    return text + guess + told(recorded, _lines_in_words(theirs))


def _lines_in_words(table: pd.DataFrame) -> list[str]:
    each = []
    for of, own in table.groupby(["engine", "way"], sort=False):
        engine, way = of  # pyright: ignore[reportGeneralTypeIssues]
        points = ", ".join(map(readable, own["turn_us"]))
        at = ", ".join(f"{count:,}" for count in own["idle"])
        each.append(f"{way}, {engine}: {points} at {at}")
    return each
