"""The figure of all strategies by all measures: a table, shaded column by column."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from netlab.show.atlas_tables import (
    Column,
    best_is,
    columns,
    headline,
    names,
    row_names,
)
from netlab.show.named_rows import height_in, write_right
from netlab.show.palette import (
    BLUE,
    CARD,
    FAINT,
    MUTED,
    SMALL_PT,
    look,
    new_axes,
    pale,
    text_on,
)

HEAD_LETTERS = 8  # so long may a line of a column's head be, but for a longer word
LEAST_LETTERS = 5  # room for a bold number in a frame
BETWEEN_LETTERS = 1.6  # between a column's longest line and the next column's
LETTER_IN = 0.067  # an average letter of SMALL_PT
TEXT_IN = 6.2  # of a card's width there is for all columns and the names
LINE = 1.25  # a line's height in letters' heights
DARKEST = 0.45  # strength of the shade of the worst


class Place(NamedTuple):
    """A column's left end and width, in letters, and the lines of its head."""

    left: float
    width: float
    head: list[str]


@look()
def matrix(
    cells: pd.DataFrame,
    *,
    ideals: Mapping[str, float] | None = None,
    within_percent: float = 5,
    axes: Axes | None = None,
) -> Axes:
    """Draw a table: a row a strategy, a column a measure, in how many it is best.

    A cell is the darker the worse its rank in its column; the best are framed and
    bold. A dash says that there is no value. ideals: by measure, the value that is
    best; 0 where nothing is said. within_percent: so near to it are the best ones.

    Raises ValueError if there are no cells.
    """
    found = columns(cells, ideals, within_percent)
    rows, places = row_names(names(cells)), _places(found)
    points = _points(rows, places)
    head_in = points / 72 * LINE * max(len(place.head) for place in places)
    axes = axes or new_axes(height_in(len(rows), 1.2 + head_in))
    for column, place in zip(found, places, strict=True):
        _column(axes, column, place, points)
    _frame(axes, rows, places, points)
    counts = np.sum([column.best for column in found], axis=0)
    write_right(axes, "best\nin", [str(count) if count else "–" for count in counts])
    axes.set_xlabel(
        "framed and bold: the best of a column   darker: a worse rank in it\n"
        + best_is(found, within_percent), fontsize=SMALL_PT, loc="right",
    )  # fmt: skip
    axes.set_title(headline(found, rows), pad=10 + 72 * head_in)
    return axes


def _points(rows: list[str], places: list[Place]) -> float:
    """Return the size of letters with which names and columns fit into the card."""
    letters = max(map(len, rows)) + places[-1].left + places[-1].width
    return min(SMALL_PT, SMALL_PT * TEXT_IN / (LETTER_IN * letters))


def _places(found: list[Column]) -> list[Place]:
    """Return where the columns lie: each as wide as its longest line."""
    heads = [_head(column) for column in found]
    widths = [
        BETWEEN_LETTERS + max(LEAST_LETTERS, *map(len, [*head, *column.texts]))
        for head, column in zip(heads, found, strict=True)
    ]
    lefts = [0, *accumulate(widths)]
    return [Place(*each) for each in zip(lefts, widths, heads, strict=False)]


def _head(column: Column) -> list[str]:
    lines = _wrapped(column.measure)
    unit = _wrapped(f"({column.unit})") if column.unit else []
    ideal = [f"ideal {column.ideal:g}"] if column.ideal else []
    return [*lines, *unit, *ideal]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, HEAD_LETTERS, break_long_words=False)


def _column(axes: Axes, column: Column, place: Place, points: float) -> None:
    middle = place.left + place.width / 2
    axes.annotate(
        "\n".join(place.head), (middle, 1), (0, 4), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha="center", va="bottom", fontsize=points,
    )  # fmt: skip
    for row, (text, rank) in enumerate(zip(column.texts, column.ranks, strict=True)):
        shade = CARD if np.isnan(rank) else pale(MUTED, DARKEST * rank)
        best = bool(column.best[row])
        _ground(axes, place, row, shade)
        axes.text(
            middle, row, text, ha="center", va="center_baseline", fontsize=points,
            weight="bold" if best else "normal", color=text_on(shade), zorder=4,
        )  # fmt: skip
        if best:
            _mark(axes, place, row)


def _ground(axes: Axes, place: Place, row: int, shade: str) -> None:
    cell = Rectangle((place.left, row - 0.5), place.width, 1)
    cell.set(facecolor=shade, edgecolor=FAINT, linewidth=0.6)
    axes.add_patch(cell)


def _mark(axes: Axes, place: Place, row: int) -> None:
    """Frame a cell, a little inside it, so that frames of neighbours stay apart."""
    frame = Rectangle((place.left + 0.25, row - 0.42), place.width - 0.5, 0.84)
    frame.set(fill=False, edgecolor=BLUE, linewidth=1.6, zorder=3)
    axes.add_patch(frame)


def _frame(axes: Axes, rows: list[str], places: list[Place], points: float) -> None:
    axes.set_xlim(0, places[-1].left + places[-1].width)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), rows, fontsize=points)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
