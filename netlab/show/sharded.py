"""Figures of a port that is sharded among listeners: how its latencies spread, and who
is reset when a worker dies: drawn from a study's table, on axes.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter
from matplotlib.transforms import ScaledTranslation

from netlab.show.named_rows import digits, height_in, name_rows, write_right
from netlab.show.outlines import (
    BAR,
    RECORDED,
    THIN,
    parted,
    with_room,
)
from netlab.show.palette import (
    CARD,
    FAINT,
    INK,
    MUTED,
    ROLES,
    SMALL_PT,
    VERMILION,
    look,
    new_axes,
    text_on,
    worker_style,
)
from netlab.show.sharded_tables import (
    latency_tail_table,
    migrating,
    worker_death_table,
)
from netlab.show.tables import rows

LEGEND_ROW_IN = 0.19
MARGIN = 0.05  # of the axis, beyond the least and the greatest latency
NUMBERED = 0.08  # so much of a bar has room for its number


@look()
def latency_tail(
    requests: pd.DataFrame,
    *,
    published: pd.DataFrame | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw what share of the requests was answered within a time, a line a strategy.

    A mark at each median. published: others' figures, of which three points are known:
    hollow marks, in the form of the same strategy, at the least, the median and the
    greatest. recorded: others' requests, outlined where both have the strategy. room:
    requests for which the axis has room too.

    Raises ValueError if there are no requests.
    """
    both = latency_tail_table(requests, published, recorded)
    table, theirs = parted(both)
    axes = axes or new_axes(3.5 + LEGEND_ROW_IN * (len(table) + (len(theirs) > 0)))
    marks, places = [], list(dict.fromkeys(table["strategy"]))
    for row in rows(table):
        at = places.index(row.strategy)
        if row.source == "measured":
            marks.append(_distribution(axes, at, row, requests))
        else:
            marks.append(_known_points(axes, at, row))
    if recorded is not None and len(theirs):
        marks.append(_outlines(axes, places, theirs, recorded))
    _milliseconds(axes, with_room(both, latency_tail_table, room))
    axes.set_xlabel(
        "latency (ms, logarithmic)\nmark: median"
        + ("   hollow: least, median and greatest" if published is not None else "")
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_ylim(-0.04, 1.04)
    axes.set_title("Share of the requests that were answered within a time")
    _legend_below(axes, marks)
    return axes


def _distribution(axes: Axes, at: int, row: Any, requests: pd.DataFrame) -> Line2D:
    """Draw a strategy's line and the mark at its median; return what names it."""
    style = worker_style(at)
    look = {"color": style.color, "linestyle": style.linestyle, "linewidth": 1.8}
    mark = {"marker": style.marker, "markersize": 7, "markeredgecolor": INK}
    own = requests.loc[requests["strategy"] == row.strategy, "latency_ms"]
    axes.ecdf(own.to_numpy(), compress=True, **look)
    axes.plot(row.med_ms, 0.5, color=style.color, zorder=4, **mark)
    return Line2D([], [], label=f"{row.strategy}: {_said(row)}", **look, **mark)


def _outlines(
    axes: Axes, places: list[str], table: pd.DataFrame, requests: pd.DataFrame
) -> Line2D:
    """Draw others' distributions in the strokes of the same strategies; name them all.

    places: the strategies in the order that gives each its form.
    """
    look = {"color": ROLES["recorded"].color, "linewidth": THIN}
    for strategy in table["strategy"]:
        style = worker_style(places.index(strategy))
        own = requests.loc[requests["strategy"] == strategy, "latency_ms"]
        axes.ecdf(own.to_numpy(), compress=True, linestyle=style.linestyle, **look)
    return Line2D([], [], label=f"{RECORDED}, in the same strokes", **look)


def _known_points(axes: Axes, at: int, row: Any) -> Line2D:
    """Draw the three points that are known of others' figures."""
    style = worker_style(at)
    mark = {
        "marker": style.marker, "markersize": 8, "markerfacecolor": "none",
        "markeredgecolor": style.color, "markeredgewidth": 1.6, "linestyle": "none",
    }  # fmt: skip
    axes.plot(
        [row.min_ms, row.med_ms, row.max_ms], [0, 0.5, 1], zorder=5, clip_on=False,
        **mark,
    )  # fmt: skip
    return Line2D([], [], label=f"published, {row.strategy}: {_said(row)}", **mark)


def _said(row: Any) -> str:
    median, deviation = digits(row.med_ms), digits(row.dev_ms)
    return f"median {median} ms, standard deviation {deviation} ms"


def _milliseconds(axes: Axes, all_of: pd.DataFrame) -> None:
    axes.set_xscale("log")
    least, most = all_of["min_ms"].to_numpy().min(), all_of["max_ms"].to_numpy().max()
    around = max(1.1, (most / least) ** MARGIN)
    axes.set_xlim(least / around, most * around)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def _legend_below(axes: Axes, marks: list[Line2D]) -> None:
    inches = cast(Figure, axes.get_figure(root=True)).dpi_scale_trans
    below = ScaledTranslation(0, -58 / 72, inches)
    axes.legend(
        handles=marks, loc="upper left", bbox_to_anchor=(0, 0), handlelength=3.5,
        bbox_transform=axes.transAxes + below, borderpad=0, borderaxespad=0,
    )  # fmt: skip


class Fate(NamedTuple):
    """What became of a client, and how it looks."""

    name: str
    color: str
    hatch: str


FATES = (
    Fate("answered", ROLES["measured"].color, ""),
    Fate("reset", VERMILION, "////"),
    Fate("neither", MUTED, "...."),
)


@look()
def worker_death(
    runs: pd.DataFrame,
    *,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw what became of the clients when a worker's listener closed: a stacked bar
    of medians without and with `tcp_migrate_req`, and at the right those reset.

    A stroke spans how many were answered in the runs. recorded: others' runs, whose
    share of answered clients is outlined. room: runs for which the axis has room too.

    Raises ValueError if there are no runs.
    """
    both = worker_death_table(runs, recorded)
    table, theirs = parted(both)
    axes = axes or new_axes(height_in(2 * len(table), 1.3))
    name_rows(axes, [migrating(migrate) for migrate in table["migrate"]])
    axes.grid(visible=False)
    for at, row in enumerate(rows(table)):
        _bar(axes, at, row)
    _outline_bars(axes, table, theirs)
    resets = [
        f"{row.reset:,g} ({row.reset_low:,g} to {row.reset_high:,g})"
        for row in rows(table)
    ]
    write_right(axes, "reset (range)", resets)
    all_of = with_room(table, worker_death_table, room)
    axes.set_xlim(0, all_of["clients"].to_numpy().max())
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel(f"clients, median of the runs: {_counts(table)}")
    axes.set_title("What became of the clients of a listener that closed", pad=30)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.02), ncols=4, borderpad=0,
        borderaxespad=0, handlelength=1.5,
    )  # fmt: skip
    return axes


def _outline_bars(axes: Axes, table: pd.DataFrame, recorded: pd.DataFrame) -> None:
    """Outline what share of others' clients was answered, on the bars' scale."""
    for row in rows(recorded):
        at = table["migrate"].tolist().index(row.migrate)
        answered = row.answered / row.clients * table["clients"][at]
        label = RECORDED if at == 0 else f"_{RECORDED}"
        axes.barh(at, answered, 0.74, clip_on=False, label=label, zorder=4, **BAR)


def _bar(axes: Axes, at: int, row: Any) -> None:
    left = 0
    for fate in FATES:
        count = getattr(row, fate.name)
        if count == 0 and fate.name == "neither":
            continue
        axes.barh(
            at, count, 0.6, left, facecolor=CARD if fate.hatch else fate.color,
            edgecolor=fate.color, hatch=fate.hatch,
            label=fate.name if at == 0 else f"_{fate.name}",
        )  # fmt: skip
        if count >= NUMBERED * row.clients:
            ground = CARD if fate.hatch else fate.color
            axes.text(
                left + count / 2, at, f"{count:,g}", ha="center", va="center",
                color=text_on(ground), fontsize=SMALL_PT,
                bbox={"facecolor": ground, "edgecolor": "none", "pad": 1.5},
            )  # fmt: skip
        left += count
    axes.plot(
        [row.answered_low, row.answered_high], [at, at], color=INK, marker="|",
        markersize=9, linewidth=1.4, clip_on=False,
    )  # fmt: skip


def _counts(table: pd.DataFrame) -> str:
    return " and ".join(f"{count}" for count in sorted(set(table["runs"])))
