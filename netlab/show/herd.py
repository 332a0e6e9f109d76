"""The thundering herd: what one connection costs by how many workers wait for it.

The wake-ups of `level` grow with the workers, and what a program can see of it,
turns and would-blocks, does not: the rest slept again inside the kernel. A plot of
would-blocks alone says that there is no herd, so all the lines are in one picture.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from netlab.show import herd_tables
from netlab.show.herd_lines import (
    DASHES,
    draw_lines,
    note,
    outline_lines,
    scale_cost,
    scale_events,
    scale_rates,
    scale_workers,
)
from netlab.show.outlines import parted, with_room
from netlab.show.palette import (
    INK,
    MUTED,
    ORANGE,
    SMALL_PT,
    cpu_color,
    look,
    new_axes,
    pale,
)
from netlab.show.tables import rows
from netlab.show.xray import GREY, HATCHED, SYMBOLS, Symbol
from netlab.show.xray import xray as draw_xray
from netlab.show.xray_table import headline

AGAIN = pale(ORANGE, 0.3)  # the shade of what slept again
BAND = 0.34  # the share of the axes' height that is the x-ray's, above the lines
INSET = (0.0, 0.765, 0.7, 0.19)  # its place: left, bottom, width, height


@look()
def herd(
    runs: pd.DataFrame,
    *,
    xray: pd.DataFrame | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw events per accept against the number of workers, for all that is counted.

    A mark at the median of the repeats, a bar over their range. Wake-ups of other
    engines are drawn lighter. xray: the record of one connection, for an inset; a
    row per span or mark: kind, worker, what, begin_ns, end_ns, cpu. recorded: others'
    runs, outlined where both have them. room: runs for which the axes have room too.

    Raises ValueError if there are no runs of `level` or `exclusive`.
    """
    both = herd_tables.herd_table(runs, recorded=recorded)
    table, theirs = parted(both)
    all_of = with_room(both, herd_tables.herd_table, room)
    axes = axes if axes is not None else new_axes(4.4 if xray is None else 5.9)
    scale_workers(axes, all_of)
    most = max(2, all_of[["high", "workers"]].to_numpy().max())
    band = 0 if xray is None else BAND
    scale_events(axes, most, band)
    _one_each(axes, table["workers"].to_numpy().max())
    _shade_again(axes, table)
    draw_lines(axes, table, "workers")
    outline_lines(axes, theirs, "workers")
    axes.set_ylabel("events per accept (median and range)", y=(1 - band) / 2)
    axes.set_title(_title(table))
    if xray is not None:
        _inset(axes, xray)
    return axes


@look()
def herd_cost(
    runs: pd.DataFrame,
    *,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw the workers' CPU time per accept against their number.

    A mark at the median of the repeats, a bar over their range. recorded, room: see
    `herd`.

    Raises ValueError if there are no runs of `level` or `exclusive`.
    """
    both = herd_tables.herd_cost_table(runs, recorded)
    table, theirs = parted(both)
    all_of = with_room(both, herd_tables.herd_cost_table, room)
    axes = axes if axes is not None else new_axes(3.4)
    scale_workers(axes, all_of)
    ends = all_of[["low", "high"]].to_numpy()
    scale_cost(axes, ends.min(), ends.max())
    draw_lines(axes, table, "workers")
    outline_lines(axes, theirs, "workers")
    axes.set_ylabel("CPU time per accept (µs)")
    axes.set_title("What a connection costs all workers together")
    return axes


@look()
def herd_under_load(
    runs: pd.DataFrame,
    *,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw events per accept against the offered rate: a busy worker does not wait.

    A mark at the median of the repeats, a bar over their range. The dashed line is
    the number of workers, the same in all runs. recorded, room: see `herd`; runs of
    another number of workers are not outlined.

    Raises ValueError if it is not, or if there are no runs of the two strategies.
    """
    both = herd_tables.herd_under_load_table(runs, recorded)
    table, theirs = parted(both)
    all_of = with_room(both, herd_tables.herd_under_load_table, room)
    workers = herd_tables.team_of(runs)
    most = max(workers, workers if room is None else herd_tables.team_of(room))
    axes = axes if axes is not None else new_axes(3.6)
    rates = sorted(set(all_of["rate_per_s"]))
    scale_rates(axes, rates)
    scale_events(axes, max(most, all_of["high"].to_numpy().max()))
    axes.axhline(workers, color=MUTED, linewidth=1, linestyle=DASHES, zorder=1)
    note(
        axes, (rates[-1], workers), (0, 3), f"all {workers} workers", ha="right",
        va="bottom",
    )  # fmt: skip
    draw_lines(axes, table, "rate_per_s")
    outline_lines(axes, theirs, "rate_per_s")
    axes.set_ylabel("events per accept")
    axes.set_title("The herd under load: a busy worker does not wait")
    return axes


def _title(table: pd.DataFrame) -> str:
    """Say what the figure is for, if the numbers bear it out."""
    again = herd_tables.slept_again(table)
    if len(again) and again["wakeups"].iloc[-1] > 2 * again["turns"].iloc[-1]:
        return "The herd hides: most of the woken sleep again inside the kernel"
    return "What one connection sets going"


def _one_each(axes: Axes, most: int) -> None:
    """Draw the line on which every connection wakes every worker.

    most: workers that were measured; beyond them its name is in nobody's way.
    """
    ends = [1, axes.get_xlim()[1]]
    axes.plot(ends, ends, color=INK, linewidth=1, zorder=4, linestyle=DASHES)
    middle = ends[1] ** 0.4 if ends[1] < 2 * most else (most * ends[1]) ** 0.5
    note(axes, (middle, middle), (7, -7), "y = N", ha="left", color=INK)


def _shade_again(axes: Axes, table: pd.DataFrame) -> None:
    """Fill what is between `level`'s wake-ups and turns, and say what it is."""
    again = herd_tables.slept_again(table)
    if again.empty:
        return
    at = again["workers"]
    axes.fill_between(at, again["turns"], again["wakeups"], color=AGAIN, linewidth=0)
    broad = list(rows(again.query("wakeups > 2.5 * turns")))
    for row in broad[-2:][:1]:
        middle = (row.wakeups * row.turns) ** 0.5
        note(
            axes, (row.workers, middle), (0, 0), "slept again\ninside the kernel",
            ha="center" if len(broad) > 1 else "right", style="italic", color=INK,
        )  # fmt: skip


def _inset(axes: Axes, record: pd.DataFrame) -> None:
    """Draw the x-ray of one connection above, with its legend beside it."""
    inset = axes.inset_axes(INSET)
    draw_xray(record, axes=inset, compact=True)
    inset.set_title(headline(record), fontsize=SMALL_PT, pad=4, weight="normal")
    inset.tick_params(axis="x", labelsize=SMALL_PT)
    inset.set_xlabel("µs", fontsize=SMALL_PT, loc="right", labelpad=-9)
    marks = [SYMBOLS[what] for what in SYMBOLS if what in set(record["what"])]
    inset.legend(
        handles=[
            Patch(facecolor=GREY, label="asleep"),
            Patch(label="runnable: woken, waits for a CPU", **HATCHED),
            Patch(facecolor=cpu_color(0, 2), label="running, a colour a CPU"),
            *(_mark(mark) for mark in marks),
        ],
        loc="upper left", bbox_to_anchor=(1.04, 1.05), borderpad=0, borderaxespad=0,
        handlelength=1.4,
    )  # fmt: skip


def _mark(symbol: Symbol) -> Line2D:
    return Line2D(
        [], [], linestyle="none", marker=symbol.marker, markersize=symbol.size * 0.7,
        markerfacecolor=symbol.fill, markeredgecolor=symbol.edge, label=symbol.words,
    )  # fmt: skip
