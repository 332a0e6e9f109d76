"""What the interpreter is in the way of: the second CPU, and the kernel's own count.

The figure has both, since the two look alike to whoever measures only one: threads
under the GIL neither gain by a second worker nor wake as the kernel wakes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from netlab.show.engines_tables import (
    engines_table,
    name_of,
)
from netlab.show.herd_lines import (
    DASHES,
    note,
    tick,
)
from netlab.show.outlines import AROUND, HOLLOW, legend_mark, parted, with_room
from netlab.show.palette import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    ROLES,
    VERMILION,
    Style,
    look,
    new_axes,
    pale,
)
from netlab.show.tables import rows

STYLES: dict[str, Style] = {
    "GIL threads": Style(VERMILION, "^", "", "-"),
    "processes": Style(GREEN, "s", "", "--"),
    "compiled threads": Style(BLUE, "o", "", "-"),
    "free threads": Style(PURPLE, "D", "", "-."),
    "free threads, GIL on": Style(ORANGE, "v", "", ":"),
}
UNDER_GIL = "GIL threads"
SIZES_PT = {  # the smaller ones are drawn over the larger, as several may agree
    "GIL threads": 9.0, "processes": 11.0, "compiled threads": 8.0,
    "free threads": 5.0, "free threads, GIL on": 6.5,
}  # fmt: skip
MOST_TICKS = 8
GAP = 1.2  # so many times the workers are waits for the GIL worth naming
GAP_AT = 1.15  # where they are named: right of what gains nothing


@look()
def engines(
    runs: pd.DataFrame,
    *,
    predicted: Mapping[str, tuple[float, float]] | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a point per way to run workers: what a second one gains, what N wake.

    A mark at the medians of the repeats, bars over their ranges; pale inside if it was
    replayed. predicted: guesses of both numbers by way, drawn as ghosts. recorded:
    others' runs, outlined where both have them. room: runs for which the axes have
    room too.

    Raises ValueError if a way lacks one of the two numbers.
    """
    both = engines_table(runs, predicted, recorded)
    table, theirs = parted(both)
    axes = axes if axes is not None else new_axes(4.4)
    _limits(axes, with_room(both, engines_table, room))
    workers = int(table["workers"].iloc[0])
    _marks_of_reference(axes, workers)
    for row in rows(table):
        _point(axes, row)
    _name_gap(axes, table, workers)
    for row in rows(theirs):
        axes.plot(
            row.speed_up, row.wakeups, marker=STYLES[row.run_by].marker,
            markersize=SIZES_PT[row.run_by] + AROUND, zorder=5, **HOLLOW,
        )  # fmt: skip
    handles = [_handle(row) for row in rows(table)]
    handles += [legend_mark()] if len(theirs) else []
    handles += _ghosts(axes, table)
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0,
        handletextpad=0.3,
    )  # fmt: skip
    axes.set_title(_title(table))
    return axes


def _limits(axes: Axes, all_of: pd.DataFrame) -> None:
    """Give both axes room from 0 to above all that is drawn."""
    guesses = [name for name in all_of if str(name).startswith("predicted")]
    across = all_of.filter(items=["speed_up_high", *guesses[:1]]).to_numpy(float)
    up = all_of.filter(items=["wakeups_high", *guesses[1:]]).to_numpy(float)
    workers = int(all_of["workers"].to_numpy().max())
    axes.set_xlim(0, 1.1 * max(2.0, np.nanmax(across)))
    axes.set_ylim(0, 1.15 * max(2 * workers, np.nanmax(up)))
    tick(axes, "x", [0.5 * step for step in range(40)])
    half, top = max(1, workers // 2), axes.get_ylim()[1]
    step = half * -(-top // (half * MOST_TICKS))  # so that `workers` has one, mostly
    tick(axes, "y", [step * at for at in range(MOST_TICKS + 1)])
    axes.set_xlabel("requests/s of two workers, by those of one: with work")
    axes.set_ylabel(f"wake-ups per accept: {workers} workers, no work")


def _marks_of_reference(axes: Axes, workers: int) -> None:
    """Draw where nothing is gained, and what the kernel itself wakes."""
    axes.axvline(1, color=MUTED, linewidth=1, linestyle=DASHES, zorder=1)
    axes.axhline(workers, color=INK, linewidth=1, linestyle=DASHES, zorder=1)
    note(axes, (1, axes.get_ylim()[1]), (4, -8), "no gain", ha="left")
    note(
        axes, (0, workers), (6, -9), "each worker once", ha="left", color=INK,
    )  # fmt: skip


def _point(axes: Axes, row: Any) -> None:
    style = STYLES[row.run_by]
    axes.errorbar(
        row.speed_up, row.wakeups,
        xerr=[[row.speed_up - row.speed_up_low], [row.speed_up_high - row.speed_up]],
        yerr=[[row.wakeups - row.wakeups_low], [row.wakeups_high - row.wakeups]],
        marker=style.marker, color=style.color, markersize=SIZES_PT[row.run_by],
        markerfacecolor=face(row, style), markeredgewidth=1.2, elinewidth=1.4,
        zorder=4,
    )  # fmt: skip


def face(row: Any, style: Style) -> str:
    """Return what is inside a mark: its colour, pale if it was replayed."""
    return pale(style.color, 0.15) if row.replayed else style.color


def _handle(row: Any) -> Line2D:
    style = STYLES[row.run_by]
    words = name_of(row).replace(" (", "\n(Python ", 1)
    return Line2D(
        [], [], linestyle="none", marker=style.marker, color=style.color, label=words,
        markersize=min(8.0, SIZES_PT[row.run_by]), markerfacecolor=face(row, style),
    )  # fmt: skip


def _name_gap(axes: Axes, table: pd.DataFrame, workers: int) -> None:
    """Span what interpreted threads are woken for besides connections."""
    own = of_way(table, UNDER_GIL).query("wakeups > @GAP * workers")
    for row in rows(own):
        axes.annotate(
            "", (GAP_AT, row.wakeups), (GAP_AT, workers),
            arrowprops={"arrowstyle": "<->", "color": MUTED, "linewidth": 0.9},
        )  # fmt: skip
        note(
            axes, (GAP_AT, (row.wakeups + workers) / 2), (5, 0),
            f"waits for the GIL:\n{row.wakeups - workers:.0f} per accept", ha="left",
            color=INK,
        )  # fmt: skip


def _ghosts(axes: Axes, table: pd.DataFrame) -> list[Line2D]:
    """Draw the guesses, with a thin line to what was measured; return the legend's."""
    if "predicted_wakeups" not in table.columns:
        return []
    style, guessed = ROLES["predicted"], table.dropna(subset="predicted_wakeups")
    for row in rows(guessed):
        axes.plot(
            [row.predicted_speed_up, row.speed_up],
            [row.predicted_wakeups, row.wakeups],
            color=style.color, linewidth=0.8, linestyle=style.linestyle, zorder=2,
        )  # fmt: skip
    ghost: dict[str, Any] = {
        "marker": style.marker, "markersize": 10, "linestyle": "none",
        "markerfacecolor": "none", "markeredgecolor": style.color,
        "markeredgewidth": 1.4,
    }  # fmt: skip
    axes.plot(
        guessed["predicted_speed_up"], guessed["predicted_wakeups"], zorder=4.5, **ghost
    )
    return [Line2D([], [], label="your prediction", **ghost)]


def _title(table: pd.DataFrame) -> str:
    """Say what the figure is for, if the numbers bear it out."""
    own = of_way(table, UNDER_GIL)
    others = table.query("not gil or run_by in ['processes', 'compiled threads']")
    if own.empty or others.empty:
        return "Speed-up and wake-ups by way of running"
    one = next(iter(rows(own)))
    gains = one.speed_up_high < others["speed_up_low"].min()
    wakes = one.wakeups_low > others["wakeups_high"].max()
    if gains and wakes:
        return "Without the GIL: the second CPU, and the kernel's own count"
    return "Speed-up and wake-ups by way of running"


def of_way(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows of one way to run workers."""
    return table.query("run_by == @name")
