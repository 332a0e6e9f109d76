"""One server, two truths: what a closed loop tells of its latencies, and an open one.

Both axes of the first figure are logarithmic, since what is told of a server are its
high percentiles, and since the two truths are hundreds of times apart.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from netlab.show.figures import readable
from netlab.show.herd_lines import note, tick
from netlab.show.labels import Named, Stroke, name_points
from netlab.show.outlines import AROUND, HOLLOW, legend_mark, parted, with_room
from netlab.show.palette import (
    BLUE,
    CARD,
    GREEN,
    INK,
    PURPLE,
    ROLES,
    Style,
    look,
    new_axes,
)
from netlab.show.tables import rows
from netlab.show.truths_tables import (
    CURVES,
    JUDGED,
    TOLD,
    gap,
    two_truths_table,
)

STYLES = {
    ("closed", "sending"): Style(PURPLE, "D", "", "--"),
    ("open", "sending"): Style(GREEN, "s", "", "-."),
    ("open", "due"): Style(BLUE, "o", "", "-"),
}
MARK_PT = 6.0
ABOVE = {"offset": (-8, 5), "ha": "right", "va": "bottom"}
BELOW = {"offset": (8, -5), "ha": "left", "va": "top"}
ROOM = 4  # times that high is a gap on the axis, for a line of text to be in it
BAND = 0.2  # how opaque the range of the repeats is, so that two are seen


@look()
def two_truths(
    truths: pd.DataFrame,
    *,
    predicted: float | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw latency against the percentage of requests that took no longer.

    A line at the median of the repeats, a band over their range, a mark where a
    percentile has a tick. The arrow spans p99 of the two loops. predicted: a guess of
    the open loop's p99 in ms, drawn as a ghost. recorded: others' truths, their p99
    outlined. room: truths for which the axes have room too.

    Raises ValueError for a curve that is not known.
    """
    both = two_truths_table(truths, predicted, recorded)
    table, theirs = parted(both)
    axes = axes or new_axes(4.4)
    all_of = with_room(both, two_truths_table, room)
    _percentiles(axes, all_of["percentile"].to_numpy())
    milliseconds(axes, all_of[["low", "high"]].to_numpy(), predicted)
    lines = _curves(axes, table) + _mark_gap(axes, table, predicted)
    _name_curves(axes, table)
    _outlines(axes, theirs)
    axes.set_title(_title(table))
    if predicted is not None:
        name_points(axes, [_ghost(axes, predicted)], lines)
    return axes


def _title(table: pd.DataFrame) -> str:
    """Say what the figure is for, if the numbers bear it out."""
    ends = gap(table)
    if ends is None or ends[1] < 2 * ends[0]:
        return "Latencies of one server"
    low, high = map(readable, ends)
    return f"One server, two truths: its p99 is {low} ms, or {high} ms"


def nines(percent: Any) -> Any:
    """Return where percentiles are on an axis on which 90, 99, 99.9 are 1, 2, 3."""
    return -np.log10(1 - np.asarray(percent, float) / 100)


def _percentiles(axes: Axes, percents: np.ndarray) -> None:
    axes.set_xlim(nines(percents.min()) - 0.06, nines(percents.max()) + 0.06)
    tick(axes, "x", list(nines(TOLD)))
    axes.xaxis.set_major_formatter(lambda at, _: f"{100 - 100 / 10**at:.4g} %")
    axes.set_xlabel("share of the requests that took no longer")
    axes.set_ylabel("latency (ms): median and range")


def milliseconds(axes: Axes, values: np.ndarray, extra: float | None = None) -> None:
    """Make the y axis logarithmic, with room for all values, and ticks 1, 10, ..."""
    ends = [values.min(), values.max(), *([] if extra is None else [extra])]
    axes.set_yscale("log")
    axes.set_ylim(min(ends) / 2, max(ends) * 2)
    tick(axes, "y", [10.0**power for power in range(-3, 7)])


def _curves(axes: Axes, table: pd.DataFrame) -> list[Stroke]:
    """Draw the lines; return what they cover."""
    strokes = []
    for of, own in table.groupby(["plan", "counted_from"], sort=False):
        _curve(axes, STYLES[of], own)  # pyright: ignore[reportArgumentType]
        strokes += pairwise(zip(nines(own["percentile"]), own["median"], strict=True))
    return strokes


def _name_curves(axes: Axes, table: pd.DataFrame) -> None:
    """Write each line's name and p99 beside that.

    No line falls. So it is free above at the left of the higher ones, and of the lowest
    below at the right. The one in the middle is short, as the highest may come near.
    """
    judged = table.query("percentile == @JUDGED").sort_values("median")
    for at, row in enumerate(rows(judged)):
        name, side = CURVES[row.plan, row.counted_from], BELOW if at == 0 else ABOVE
        if at < len(judged) - 1:
            name = name.replace(", ", ",\n")
        words = f"{name}: {readable(row.median)} ms"
        note(axes, (float(nines(JUDGED)), row.median), text=words, color=INK, **side)


def _curve(axes: Axes, style: Style, own: pd.DataFrame) -> None:
    at = nines(own["percentile"])
    axes.fill_between(
        at, own["low"], own["high"], color=style.color, alpha=BAND, linewidth=0,
        zorder=1,
    )  # fmt: skip
    axes.plot(
        at, own["median"], color=style.color, linestyle=style.linestyle, linewidth=1.9,
        zorder=3,
    )  # fmt: skip
    named = own[own["percentile"].isin(TOLD)]
    axes.plot(
        nines(named["percentile"]), named["median"], color=style.color, zorder=3.5,
        marker=style.marker, markersize=MARK_PT, linestyle="none",
    )  # fmt: skip


def _outlines(axes: Axes, theirs: pd.DataFrame) -> None:
    judged = list(rows(theirs.query("percentile == @JUDGED")))
    for row in judged:
        axes.plot(
            nines(JUDGED), row.median, zorder=5, markersize=MARK_PT + AROUND,
            marker=STYLES[row.plan, row.counted_from].marker, **HOLLOW,
        )  # fmt: skip
    if judged:
        axes.legend(handles=[legend_mark()], loc="upper left")


def _ghost(axes: Axes, predicted: float) -> Named:
    """Draw the guess, and return its name."""
    style = ROLES["predicted"]
    axes.plot(
        nines(JUDGED), predicted, marker=style.marker, markersize=9, zorder=5,
        markerfacecolor=CARD, markeredgecolor=style.color, markeredgewidth=1.4,
        linestyle="none",
    )  # fmt: skip
    words = f"your prediction: {predicted:g} ms"
    return Named(float(nines(JUDGED)), predicted, words, "ghost")


def _mark_gap(axes: Axes, table: pd.DataFrame, predicted: float | None) -> list[Stroke]:
    """Draw an arrow from one p99 to the other, with its factor; return its line."""
    ends = gap(table)
    if ends is None:
        return []
    at, (low, high) = float(nines(JUDGED)), ends
    axes.annotate(
        "", (at, high), (at, low), zorder=2.5,
        arrowprops={"arrowstyle": "<->", "color": INK, "shrinkA": 5, "shrinkB": 5},
    )  # fmt: skip
    note(
        axes, (at, _middle(low, high, predicted)), (-7, 0),
        f"p99 × {high / low:.0f}", ha="right", color=INK, weight="bold",
    )  # fmt: skip
    return [((at, low), (at, high))]


def _middle(low: float, high: float, predicted: float | None) -> float:
    """Return the middle on a logarithmic axis, or that of the part beside a guess."""
    if predicted is not None and low < predicted < high:
        above = high / predicted > ROOM
        low, high = (predicted, high) if above else (low, predicted)
    return (low * high) ** 0.5
