"""What it gains to hand connections over, and what it costs: a row a strategy and a
column of dots a measure, drawn from a study's table.

Each measure has a scale of its own that begins at 0, and in each of them less is
better, so that the eye may run down a column and along a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from netlab.show.figures import readable
from netlab.show.handing_over_tables import (
    GUESSED,
    HANDED,
    HASH,
    MEASURES,
    SHARED,
    family,
    handing_over_table,
    names_of,
)
from netlab.show.named_rows import height_in
from netlab.show.outlines import AROUND, HOLLOW, RECORDED, parted, with_room
from netlab.show.palette import (
    BLUE,
    CARD,
    FAINT,
    GREEN,
    HALO,
    INK,
    MUTED,
    ORANGE,
    ROLES,
    SMALL_PT,
    Style,
    look,
    new_axes,
)
from netlab.show.tables import rows

STYLES = {
    SHARED: Style(BLUE, "o", "", "-"),
    HASH: Style(ORANGE, "^", "", "--"),
    HANDED: Style(GREEN, "D", "", "-."),
}
HEADS = {
    "top share": "gain\ntop worker's share\nof an idle burst (%)",
    "lone latency": "cost\na lone client's\nlatency (µs)",
    "CPU time": "\nCPU time of its\nconnection (µs)",
    "held up": "\nlight requests held\nup by a stall (%)",
}
IDEALS = {"top share": 25}
GAP = 0.035  # of the width, from one column to the next
DOT_PT = 7.0
ROOM = 1.5  # of the greatest value: its number stands right of it


@look()
def handing_over(
    runs: pd.DataFrame,
    *,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw each strategy's measures: the median as a dot, the range as a line.

    predicted: guesses by strategy of what is held up, in percent, drawn as ghosts.
    recorded: others' runs, whose medians are rings. room: runs for which the columns
    have room too.

    Raises ValueError for an unknown measure, or a guess of a strategy not there.
    """
    both = handing_over_table(runs, predicted, recorded)
    table, theirs = parted(both)
    names = names_of(table)
    axes = axes or new_axes(height_in(len(names), 1.75))
    _name_rows(axes, names)
    all_of = with_room(both, handing_over_table, room)
    measures = [name for name in MEASURES if name in set(table["measure"])]
    width = (1 + GAP) / len(measures) - GAP
    for at, name in enumerate(measures):
        column = axes.inset_axes((at * (width + GAP), 0, width, 1))
        _prepare(column, name, axes.get_ylim(), _of(all_of, name))
        _dots(column, _of(table, name), names)
        _rings(column, _of(theirs, name), names)
        if predicted is not None and name == GUESSED:
            _ghosts(column, predicted, names)
    _foot(axes, table, theirs, predicted)
    axes.set_title("What handing over gains, and what it costs", pad=52)
    return axes


def _of(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    return table.query("measure == @measure")


def _name_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _prepare(
    column: Axes, name: str, rows_view: tuple[float, float], all_of: pd.DataFrame
) -> None:
    values = all_of[["high", *all_of.columns.intersection(["predicted"])]].to_numpy()
    end = ROOM * float(np.nanmax(values)) or 1.0
    column.set_xlim(0, end)
    column.set_ylim(rows_view)
    column.set_yticks(range(round(rows_view[0] + 0.4)), [])
    column.tick_params(axis="y", length=0)
    column.spines["left"].set_color(FAINT)
    ticks = MaxNLocator(3, steps=[1, 2, 5, 10]).tick_values(0, end)
    column.set_xticks([tick for tick in ticks if tick <= 0.8 * end])
    column.grid(axis="y", color=FAINT, linewidth=0.8)
    column.set_axisbelow(True)
    head, _, words = HEADS[name].partition("\n")
    how: dict[str, Any] = {"xycoords": "axes fraction", "fontsize": SMALL_PT}
    how["textcoords"] = "offset points"
    column.annotate(words, (0, 1), (0, 5), color=INK, **how)
    column.annotate(head, (0, 1), (0, 32), color=MUTED, weight="bold", **how)
    if name in IDEALS:
        column.axvline(
            IDEALS[name], color=MUTED, linewidth=1.2, zorder=1,
            linestyle=ROLES["ideal"].linestyle,
        )  # fmt: skip


def _dots(column: Axes, own: pd.DataFrame, names: list[str]) -> None:
    for row in rows(own):
        at, style = names.index(row.strategy), STYLES[family(row.strategy)]
        column.plot(
            [row.low, row.high], [at, at], color=style.color, linewidth=1.8, zorder=3
        )
        column.plot(
            row.median, at, marker=style.marker, color=style.color, markersize=DOT_PT,
            markeredgecolor=CARD, markeredgewidth=0.8, zorder=4, clip_on=False,
        )  # fmt: skip
        column.annotate(
            readable(round(row.median, 1)), (max(row.high, row.median), at), (8, 0),
            textcoords="offset points", va="center", fontsize=SMALL_PT, zorder=5,
            path_effects=HALO,
        )  # fmt: skip


def _rings(column: Axes, theirs: pd.DataFrame, names: list[str]) -> None:
    for row in rows(theirs):
        column.plot(
            row.median, names.index(row.strategy), zorder=4.5, clip_on=False,
            marker=STYLES[family(row.strategy)].marker, markersize=DOT_PT + AROUND,
            **HOLLOW,
        )  # fmt: skip


def _ghosts(column: Axes, predicted: Mapping[str, float], names: list[str]) -> None:
    style = ROLES["predicted"]
    for name, guess in predicted.items():
        column.plot(
            guess, names.index(name), marker=style.marker, markersize=10, zorder=4.5,
            markerfacecolor="none", markeredgecolor=style.color, markeredgewidth=1.4,
            linestyle="none", clip_on=False,
        )  # fmt: skip


def _foot(
    axes: Axes, table: pd.DataFrame, theirs: pd.DataFrame, predicted: object
) -> None:
    """Say what the marks are."""
    repeats = " to ".join(map(str, sorted({*table["repeats"]})))
    words = [f"dot: median   line: lowest to highest of {repeats} runs"]
    words += [f"hollow: {RECORDED}"] if len(theirs) else []
    words += ["square: your prediction"] if predicted is not None else []
    first = "less is better in every column   dotted: an even share"
    axes.set_xlabel(f"{first}\n{'   '.join(words)}", fontsize=SMALL_PT, labelpad=20)
