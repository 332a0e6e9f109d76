"""No strategy wins: equal connections want one thing, unequal work another.

Two shares that should be small, of two loads. The best corner is at the lower left,
and what is good at one load is far from it at the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from netlab.show.choice_tables import (
    FAMILIES,
    IDEAL_SLOW_PERCENT,
    IDEAL_TOP_PERCENT,
    MEASURES,
    choice_table,
)
from netlab.show.labels import Named, Stroke, name_points
from netlab.show.outlines import (
    AROUND,
    HOLLOW,
    THIN,
    legend_mark,
    parted,
    with_room,
)
from netlab.show.palette import (
    BLUE,
    CARD,
    FAINT,
    GREEN,
    HALO,
    INK,
    MUTED,
    PURPLE,
    ROLES,
    SMALL_PT,
    Style,
    look,
    new_axes,
)
from netlab.show.tables import rows

STYLES: dict[str, Style] = {
    "shared queue": Style(BLUE, "o", "", "-"),
    "hash": Style(PURPLE, "D", "", "--"),
    "handed over": Style(GREEN, "^", "", ":"),
}
IDEAL = (IDEAL_TOP_PERCENT, IDEAL_SLOW_PERCENT)
MARK_PT = 7.0
EQUAL_SLOW_PERCENT = 50  # of two workers
NEAR_POINTS = 10  # of percent: less than half of the way from an ideal to its opposite
MOST_NAMED = 2  # a title has room for so many names


@look()
def choice(
    runs: pd.DataFrame,
    *,
    predicted: Mapping[str, tuple[float, float]] | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a point per strategy: its top worker's share, and its slow worker's.

    A mark at the medians of the repeats, bars over their ranges. predicted: a
    guess of both shares in percent by strategy, drawn as a ghost. recorded: others'
    runs, outlined where both have them. room: runs for which the axes have room too.

    Raises ValueError if there are no runs, or a strategy lacks one of the two.
    """
    both = choice_table(runs, predicted, recorded)
    table, theirs = parted(both)
    axes = axes if axes is not None else new_axes(4.8)
    _limits(axes, with_room(both, choice_table, room))
    measured = table.dropna(subset="top_percent")
    for family in FAMILIES:
        _family(axes, family, measured.query("family == @family"))
    points = [
        Named(row.top_percent, row.slow_percent, row.strategy, row.family)
        for row in rows(measured)
    ]
    strokes = _whiskers(measured) + _ideal(axes)
    strokes += _outlines(axes, theirs, measured)
    outlined = [Named(row.top_percent, row.slow_percent, "") for row in rows(theirs)]
    if predicted:
        guesses = table.dropna(subset="predicted_top")
        points += _ghosts(axes, guesses)
        strokes += _joins(axes, guesses)
    _head(axes, [legend_mark()] if len(theirs) else [])
    axes.set_title(_title(measured), pad=26)
    points += [Named(*IDEAL, "the ideal", "ideal")]
    name_points(axes, points, strokes, outlined)
    return axes


def _title(table: pd.DataFrame) -> str:
    """Say who is near both ideals, by the medians."""
    medians = table[["top_percent", "slow_percent"]].to_numpy()
    is_near = (abs(medians - IDEAL) <= NEAR_POINTS).all(axis=1)
    near = table["strategy"].to_numpy()[is_near]
    if not len(near):
        return "Two loads, two verdicts: nobody is near both ideals"
    if len(near) > MOST_NAMED:
        return f"Near both ideals: {len(near)} of {len(table)} strategies"
    return f"Near both ideals: {', '.join(near)}"


def _limits(axes: Axes, table: pd.DataFrame) -> None:
    """Leave room around all points, for names too; shares end at 0 and 100."""
    tops, slows = (table.filter(regex=name).to_numpy(float) for name in MEASURES)
    low, high = float(np.nanmin(tops)), float(np.nanmax(tops))
    axes.set_xlim(max(-1, min(18, low - 6)), min(104, max(62, high + 10)))
    low, high = float(np.nanmin(slows)), float(np.nanmax(slows))
    axes.set_ylim(max(-1, min(5, low - 6)), min(104, max(60, high + 6)))


def _ideal(axes: Axes) -> list[Stroke]:
    """Draw the lines of both ideals and their corner; return what they cover."""
    style = {"color": MUTED, "linewidth": 1.2, "linestyle": ROLES["ideal"].linestyle}
    axes.axvline(IDEAL[0], zorder=1, **style)
    axes.axhline(IDEAL[1], zorder=1, **style)
    axes.axhline(EQUAL_SLOW_PERCENT, zorder=0, color=FAINT, linewidth=1)
    axes.plot(*IDEAL, marker="*", color=INK, markersize=15, zorder=2)
    axes.plot(*IDEAL, marker="*", color=CARD, markersize=10, zorder=2)
    (left, right), (foot, top) = axes.get_xlim(), axes.get_ylim()
    return [
        ((IDEAL[0], foot), (IDEAL[0], top)),
        ((left, IDEAL[1]), (right, IDEAL[1])),
        ((left, EQUAL_SLOW_PERCENT), (right, EQUAL_SLOW_PERCENT)),
    ]


def _family(axes: Axes, family: str, own: pd.DataFrame) -> None:
    if own.empty:
        return
    style = STYLES[family]
    top, slow = own["top_percent"], own["slow_percent"]
    axes.errorbar(
        top, slow, [slow - own["slow_low"], own["slow_high"] - slow],
        [top - own["top_low"], own["top_high"] - top], color=style.color, fmt="none",
        elinewidth=1.2, zorder=3,
    )  # fmt: skip
    axes.plot(
        top, slow, color=style.color, marker=style.marker, markersize=MARK_PT,
        linestyle="none", markeredgecolor=INK, markeredgewidth=0.6, zorder=3.5,
        label=family,
    )  # fmt: skip


def _whiskers(measured: pd.DataFrame) -> list[Stroke]:
    strokes: list[Stroke] = []
    for row in rows(measured):
        top, slow = row.top_percent, row.slow_percent
        strokes += [((row.top_low, slow), (row.top_high, slow))]
        strokes += [((top, row.slow_low), (top, row.slow_high))]
    return strokes


def _ghosts(axes: Axes, guesses: pd.DataFrame) -> list[Named]:
    """Draw the guesses, and return their names."""
    style = ROLES["predicted"]
    axes.plot(
        guesses["predicted_top"], guesses["predicted_slow"], marker=style.marker,
        markersize=9, markerfacecolor=CARD, markeredgecolor=style.color,
        markeredgewidth=1.4, linestyle="none", zorder=3, label="your prediction",
    )  # fmt: skip
    return [
        Named(
            row.predicted_top, row.predicted_slow, f"{row.strategy}, predicted", "ghost"
        )
        for row in rows(guesses)
    ]


def _joins(axes: Axes, guesses: pd.DataFrame) -> list[Stroke]:
    """Join the guesses with what was measured of the same strategy."""
    style = ROLES["predicted"]
    strokes: list[Stroke] = [
        ((row.predicted_top, row.predicted_slow), (row.top_percent, row.slow_percent))
        for row in rows(guesses.dropna(subset="top_percent"))
    ]
    for stroke in strokes:
        axes.plot(
            *zip(*stroke, strict=True), color=style.color, linestyle=style.linestyle,
            linewidth=1, zorder=2,
        )  # fmt: skip
    return strokes


def _outlines(
    axes: Axes, recorded: pd.DataFrame, measured: pd.DataFrame
) -> list[Stroke]:
    """Draw others' medians, each joined with what was measured here."""
    here = {row.strategy: (row.top_percent, row.slow_percent) for row in rows(measured)}
    strokes: list[Stroke] = []
    for row in rows(recorded):
        there = (row.top_percent, row.slow_percent)
        strokes += [(there, here[row.strategy])]
        axes.plot(
            *there, marker=STYLES[row.family].marker, markersize=MARK_PT + AROUND,
            zorder=4, **HOLLOW,
        )  # fmt: skip
        axes.plot(
            *zip(*strokes[-1], strict=True), color=ROLES["recorded"].color, zorder=2,
            linewidth=THIN / 2,
        )  # fmt: skip
    return strokes


def _head(axes: Axes, also: list[Line2D]) -> None:
    axes.set_xlabel("top worker's share of an idle burst onto four workers (%)")
    axes.set_ylabel("share of a five times slower\nworker of two (%)")
    marks = [*axes.get_legend_handles_labels()[0], *also]
    axes.legend(
        handles=marks, loc="lower left", bbox_to_anchor=(0, 1.02), ncols=5, borderpad=0,
        handletextpad=0.2, columnspacing=1.2, borderaxespad=0, handlelength=1.4,
    )  # fmt: skip
    how: dict[str, Any] = {
        "fontsize": SMALL_PT, "color": MUTED, "textcoords": "offset points",
        "path_effects": HALO,
    }  # fmt: skip
    axes.annotate(
        f"ideal {IDEAL[0]:.0f} %", (IDEAL[0], 1), (3, -2), va="top",
        xycoords=("data", "axes fraction"), **how,
    )  # fmt: skip
    axes.annotate(
        f"ideal\n{IDEAL[1]:.1f} %", (1, IDEAL[1]), (4, 0), ha="left", va="center",
        xycoords=("axes fraction", "data"), **how,
    )  # fmt: skip
    axes.annotate(
        "half: as much as the fast worker", (1, EQUAL_SLOW_PERCENT),
        (-2, 3), ha="right", va="bottom", xycoords=("axes fraction", "data"), **how,
    )  # fmt: skip
