"""p99 against requests per second: an open loop's, and a closed one's beside it.

Above the capacity an open loop has no p99 of its own: it grows as long as the load
lasts. So its points are drawn by that length, and hollow where the schedule was not
kept. A closed loop cannot come there; its points stand in front of the capacity.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from netlab.show.figures import readable
from netlab.show.herd_lines import DASHES, note
from netlab.show.labels import Named, Stroke, name_ends, name_points
from netlab.show.outlines import AROUND, HOLLOW, legend_mark, parted, with_room
from netlab.show.palette import CARD, FAINT, MUTED, look, new_axes
from netlab.show.tables import rows
from netlab.show.truths import MARK_PT, STYLES, milliseconds
from netlab.show.truths_tables import mostly_kept, rate_curve_table

OPEN, CLOSED = STYLES["open", "due"], STYLES["closed", "sending"]
LINES = ("-", ":", "--", "-.")  # open loads by how long they last, the longest first
DOUBLED = 1.5  # so many times at least is "grows", where twice is expected


@look()
def rate_curve(
    rates: pd.DataFrame,
    *,
    capacity_per_s: float | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw p99 against requests per second: a line per length of an open load.

    A mark at the median of the repeats, hollow if the schedule was not kept in most of
    them, and a bar over their range. The closed loop has a point per number of clients,
    at the rate that they reach. capacity_per_s: where an upright line is. recorded:
    others' rates, outlined. room: rates for which the axes have room too.

    Raises ValueError for latencies that are not above 0.
    """
    both = rate_curve_table(rates, capacity_per_s, recorded)
    table, theirs = parted(both)
    axes = axes or new_axes(4.4)
    all_of = with_room(both, rate_curve_table, room)
    _per_second(axes, max(all_of["rate_per_s"].to_numpy().max(), capacity_per_s or 0))
    milliseconds(axes, all_of[["low", "high"]].to_numpy())
    strokes = _capacity(axes, capacity_per_s)
    ends, lines = _open_loads(axes, table.query("plan == 'open'"))
    names = _closed_points(axes, table.query("plan == 'closed'"))
    _outlines(axes, theirs)
    _legend(axes, table, theirs)
    axes.set_title(_title(table))
    name_ends(axes, ends, [OPEN.color] * len(ends))
    name_points(axes, names, strokes + lines)
    return axes


def _per_second(axes: Axes, most: float) -> None:
    axes.set_xlim(0, 1.05 * most)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("requests per second: asked for (open loop), reached (closed loop)")
    axes.set_ylabel("p99 of the latency (ms): median and range")
    axes.grid(color=FAINT, linewidth=0.5)


def _title(table: pd.DataFrame) -> str:
    """Say what the figure is for, if the numbers bear it out."""
    return (
        "Above the capacity p99 grows as long as the load lasts"
        if growth(table) >= DOUBLED
        else "p99 against the rate"
    )


def growth(table: pd.DataFrame) -> float:
    """Return how many times p99 grew from the shortest to the longest open load.

    The least of all rates that have both; 0 if none has.
    """
    wide = table.query("plan == 'open'").pivot_table("p99_ms", "rate_per_s", "fired_s")
    both = wide.dropna()
    if both.empty or len(wide.columns) < 2:
        return 0.0
    shortest, *_, longest = both.to_numpy().T  # pivot_table sorts its columns
    return float((longest / shortest).min())


def _capacity(axes: Axes, capacity_per_s: float | None) -> list[Stroke]:
    """Draw the upright line; return what it covers."""
    if capacity_per_s is None:
        return []
    axes.axvline(capacity_per_s, color=MUTED, linewidth=1, linestyle=DASHES, zorder=1)
    foot, top = axes.get_ylim()
    note(
        axes, (capacity_per_s, foot), (5, 8), f"capacity\n{capacity_per_s:,g} a second",
        ha="left", va="bottom",
    )  # fmt: skip
    return [((capacity_per_s, foot), (capacity_per_s, top))]


def _open_loads(axes: Axes, table: pd.DataFrame) -> tuple[list[Named], list[Stroke]]:
    """Draw a line a length; return their ends with names, and what they cover."""
    ends, strokes = [], []
    lengths = list(dict.fromkeys(table["fired_s"]))
    for fired_s, linestyle in zip(lengths, LINES, strict=False):
        own = table.query("fired_s == @fired_s")
        points = list(rows(own))
        _joined(axes, own, OPEN.color, linestyle)
        for row in points:
            _mark(axes, row, OPEN.color if mostly_kept(row) else CARD)
        places = [(row.rate_per_s, row.p99_ms) for row in points]
        strokes += [*pairwise(places)]
        strokes += [
            ((row.rate_per_s, row.low), (row.rate_per_s, row.high)) for row in points
        ]
        name = f"open loop for {fired_s:g} s\np99 {readable(points[-1].p99_ms)} ms"
        ends.append(Named(*places[-1], name))
    return ends, strokes


def _joined(axes: Axes, own: pd.DataFrame, color: str, linestyle: str) -> None:
    whiskers = [own["p99_ms"] - own["low"], own["high"] - own["p99_ms"]]
    axes.errorbar(
        own["rate_per_s"], own["p99_ms"], whiskers, color=color, linestyle=linestyle,
        linewidth=1.6, elinewidth=1.4, zorder=3,
    )  # fmt: skip


def _mark(axes: Axes, row: Any, face: str) -> None:
    axes.plot(
        row.rate_per_s, row.p99_ms, marker=OPEN.marker, markersize=MARK_PT,
        markerfacecolor=face, markeredgecolor=OPEN.color, markeredgewidth=1.4,
        linestyle="none", zorder=4,
    )  # fmt: skip


def _closed_points(axes: Axes, table: pd.DataFrame) -> list[Named]:
    """Draw the closed loop's points, and return their names."""
    if table.empty:
        return []
    _joined(axes, table, CLOSED.color, CLOSED.linestyle)
    axes.plot(
        table["rate_per_s"], table["p99_ms"], marker=CLOSED.marker, color=CLOSED.color,
        markersize=MARK_PT, linestyle="none", zorder=4,
    )  # fmt: skip
    return [
        Named(row.rate_per_s, row.p99_ms, _clients(row.at_once)) for row in rows(table)
    ]


def _clients(count: int) -> str:
    return "1 client" if count == 1 else f"{count} clients"


def _outlines(axes: Axes, theirs: pd.DataFrame) -> None:
    for plan, own in theirs.groupby("plan", sort=False):
        axes.plot(
            own["rate_per_s"], own["p99_ms"], zorder=5, markersize=MARK_PT + AROUND,
            marker=(OPEN if plan == "open" else CLOSED).marker, **HOLLOW,
        )  # fmt: skip


def _legend(axes: Axes, table: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Name the marks that are there, above at the left, where no line comes."""
    opened = [row for row in rows(table) if row.plan == "open"]
    kept = {mostly_kept(row) for row in opened}
    marks = [
        _named("open loop, schedule kept", OPEN.marker, OPEN.color, OPEN.color),
        _named("open loop, not kept", OPEN.marker, OPEN.color, CARD),
        _named("closed loop", CLOSED.marker, CLOSED.color, CLOSED.color),
    ]
    there = [True in kept, False in kept, len(opened) < len(table)]
    handles = [mark for mark, shown in zip(marks, there, strict=True) if shown]
    handles += [legend_mark()] if len(theirs) else []
    axes.legend(handles=handles, loc="upper left", handletextpad=0.3)


def _named(words: str, marker: Any, edge: str, face: str) -> Line2D:
    return Line2D(
        [], [], marker=marker, markersize=MARK_PT, markeredgecolor=edge,
        markerfacecolor=face, markeredgewidth=1.4, linestyle="none", label=words,
    )  # fmt: skip
