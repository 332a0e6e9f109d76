"""All strategies by all measures: the table behind the figure of `atlas`, and that
figure in words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from netlab.show.named_rows import digits
from netlab.show.tables import require, rows

NAMES = ["strategy", "engine"]


class Column(NamedTuple):
    """A measure: a value, a text and a rank for each strategy, in the rows' order.

    ideal is the value that is best. ranks go from 0, the best, to 1; they are nan
    where there is no value, and for a measure in words, which has no best.
    """

    measure: str
    unit: str
    ideal: float
    values: np.ndarray
    texts: list[str]
    ranks: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """Whether a row is among the best ones."""
        return self.ranks == 0

    @property
    def in_words(self) -> bool:
        """Whether the measure has no numbers, and so no best."""
        return bool(np.isnan(self.ranks).all())


def matrix_table(
    cells: pd.DataFrame,
    ideals: Mapping[str, float] | None = None,
    within_percent: float = 5,
) -> pd.DataFrame:
    """Return a row per strategy and engine: a column per measure, and best_in.

    best_in: the measures in which it is among the best. A column `reason` of the
    cells is kept: why a value is missing. ideals, within_percent: see `columns`.
    """
    found = columns(cells, ideals, within_percent)
    table = names(cells)
    for column in found:
        head = f"{column.measure} ({column.unit})" if column.unit else column.measure
        table[head] = column.values
    table["best_in"] = [
        ", ".join(column.measure for column in found if column.best[row]) or "–"
        for row in range(len(table))
    ]
    if "reason" in cells.columns:
        table["reason"] = _reasons(cells, table)
    return table


def names(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the rows: each strategy and engine, in the order in which they come."""
    return pd.DataFrame(cells[NAMES].drop_duplicates(ignore_index=True))


def columns(
    cells: pd.DataFrame,
    ideals: Mapping[str, float] | None = None,
    within_percent: float = 5,
) -> list[Column]:
    """Return the measures in the order in which they come.

    ideals: by measure, the value that is the best one; 0 where nothing is said.
    Values are held against it by their distance. within_percent: so near to the
    best one a value is one of the best, for runs differ by as much.

    Raises ValueError if a cell comes twice, or an ideal is for no measure.
    """
    _check(cells)
    measures = list(dict.fromkeys(cells["measure"]))
    best = {**dict.fromkeys(measures, 0.0), **(ideals or {})}
    if len(best) > len(measures):
        unknown = ", ".join(list(best)[len(measures) :])
        raise ValueError(f"ideals for {unknown}: there are {', '.join(measures)}")
    return [
        _column(cells, measure, best[measure], within_percent) for measure in measures
    ]


def _check(cells: pd.DataFrame) -> None:
    remedy = "give the table of the study matrix"
    require(cells, "cells", remedy, *NAMES, "measure", "value", "unit", "text")
    keys = [*NAMES, "measure"]
    if cells.duplicated(keys).to_numpy().any():
        cell = cells.loc[cells.duplicated(keys), keys].to_numpy()[0]
        said = ", ".join(map(str, cell))
        raise ValueError(f"two values for {said}: give the median of the runs")


def _column(cells: pd.DataFrame, measure: str, ideal: float, within: float) -> Column:
    own = cells.query(f"measure == {measure!r}")
    own = names(cells).merge(own, on=NAMES, how="left")
    values, texts = own["value"].to_numpy(float), own["text"]
    unit = next((unit for unit in own["unit"] if isinstance(unit, str)), "")
    unit = re.sub(r"^us\b", "µs", unit)
    if np.isnan(values).all():
        said = [text if isinstance(text, str) and text else "–" for text in texts]
        return Column(measure, unit, ideal, np.array(said), said, values)
    said = [digits(value) for value in values]
    return Column(measure, unit, ideal, values, said, _ranks(values, ideal, within))


def _ranks(values: np.ndarray, ideal: float, within: float) -> np.ndarray:
    """Return 0 for the best ones to 1 for the worst, alike for equal ones."""
    distances = np.abs(values - ideal)
    best = np.nanargmin(distances)
    margin = abs(values[best]) * within / 100
    distances[distances <= distances[best] + margin] = distances[best]
    ranks = pd.Series(distances).rank(method="dense").to_numpy() - 1
    return ranks / max(1, np.nanmax(ranks))


def _reasons(cells: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    said: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows(cells):
        if isinstance(row.reason, str) and row.reason:
            said.setdefault((row.strategy, row.engine), {})[row.reason] = None
    return [
        "; ".join(said.get((row.strategy, row.engine), {})) or "–"
        for row in rows(table)
    ]


def row_names(table: pd.DataFrame) -> list[str]:
    """Return the strategies' names, with the engine if there are two."""
    if len(set(table["engine"])) < 2:
        return table["strategy"].tolist()
    return [f"{row.strategy} ({row.engine})" for row in rows(table)]


def headline(found: list[Column], who: list[str]) -> str:
    """Return what the columns say together: who is best in all, or that nobody is."""
    ranked = [column.best for column in found if not column.in_words]
    if len(who) < 2 or not ranked:
        return "The strategies, measure by measure"
    everywhere = np.flatnonzero(np.all(ranked, axis=0))
    if len(everywhere):
        return f"{who[everywhere[0]]} is among the best in every measure"
    return f"No strategy is among the best in all {len(ranked)} measures"


def best_is(found: list[Column], within_percent: float) -> str:
    """Return in words what is called the best of a column."""
    aimed = any(column.ideal for column in found)
    aim = "the least, or the nearest to the ideal" if aimed else "the least"
    return f"best: {aim}, and all within {within_percent:g} % of it"


def matrix_alt(
    cells: pd.DataFrame,
    ideals: Mapping[str, float] | None = None,
    within_percent: float = 5,
) -> str:
    """Return what `plots.matrix` shows, in words."""
    who = row_names(names(cells))
    found = columns(cells, ideals, within_percent)
    each = "; ".join(_in_words(column, who) for column in found)
    return (
        f"Table of {len(who)} strategies by {len(found)} measures, shaded by rank, the "
        f"best framed ({best_is(found, within_percent)}). {headline(found, who)}. "
        f"By measure: {each}."
    )


def _in_words(column: Column, who: list[str]) -> str:
    if column.in_words:
        each = zip(who, column.texts, strict=True)
        return f"{column.measure}: " + ", ".join(f"{one} {text}" for one, text in each)
    numbers = [f"{who[row]} {column.texts[row]}" for row in np.flatnonzero(column.best)]
    worst = int(np.nanargmax(column.ranks))
    unit = f" ({column.unit})" if column.unit else ""
    ideal = f", ideal {column.ideal:g}" if column.ideal else ""
    return (
        f"{column.measure}{unit}{ideal}: best {', '.join(numbers)}, worst {who[worst]} "
        f"{column.texts[worst]}"
    )
