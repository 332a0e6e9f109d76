"""Wake-ups, and what a program sees of them, by how workers are run and their number.

Ways that need no common lock lie on one line, which is what there is to see; so their
marks stand a little apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from netlab.show.engines import STYLES, face, of_way
from netlab.show.engines_tables import LOADS, TOUCH, engine_lines_table
from netlab.show.herd_lines import DASHES, note, scale_events, scale_workers
from netlab.show.labels import Named, name_ends
from netlab.show.outlines import AROUND, HOLLOW, THIN, legend_mark, parted, with_room
from netlab.show.palette import INK, MUTED, look, new_axes
from netlab.show.tables import rows

LINE_PT = 6.0
APART = 1.07  # so far are the outermost from their number, so that none hides another


@look()
def engine_lines(
    runs: pd.DataFrame,
    *,
    events: str = "wake-ups",
    load: str = TOUCH,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw events per accept against the number of workers, a line a way to run them.

    A mark at the median of the repeats, a bar over their range; marks of one number of
    workers stand a little apart. events: wake-ups, would-blocks or turns. load: touch
    or arriving. recorded: others' runs, outlined. room: runs for which the axes have
    room too.

    Raises ValueError for other events, or a load that was not measured.
    """
    both = engine_lines_table(runs, events, load, recorded)
    table, theirs = parted(both)
    wide = with_room(both, lambda own: engine_lines_table(own, events, load), room)
    axes = axes if axes is not None else new_axes(4.2)
    scale_workers(axes, wide)
    scale_events(axes, max(2, wide["high"].to_numpy().max()))
    if events == "wake-ups":
        _one_each(axes, int(wide["workers"].to_numpy().max()))
    names = list(dict.fromkeys(table["run_by"]))
    for name, step in zip(names, np.linspace(-1, 1, len(names)), strict=True):
        _line(axes, of_way(table, name), APART**step)
        _outline(axes, of_way(theirs, name), APART**step)
    _name_lines(axes, table)
    if len(theirs):
        axes.legend(handles=[legend_mark()], loc="upper left", handletextpad=0.3)
    axes.set_ylabel(f"{events} per accept (median and range)")
    axes.set_title(f"{events.capitalize()}, {LOADS[load]}")
    return axes


def _one_each(axes: Axes, most: int) -> None:
    axes.plot([1, most], [1, most], color=INK, linewidth=1, linestyle=DASHES, zorder=1)
    middle = max(2.0, most / 2) ** 0.5
    note(axes, (middle, middle), (8, -9), "y = N", ha="left", color=INK)


def _line(axes: Axes, own: pd.DataFrame, shift: float) -> None:
    row = next(iter(rows(own)))
    style = STYLES[row.run_by]
    axes.errorbar(
        own["workers"] * shift, own["median"],
        [own["median"] - own["low"], own["high"] - own["median"]],
        marker=style.marker, color=style.color, linestyle=style.linestyle,
        linewidth=1.4, elinewidth=1.2, markersize=LINE_PT, zorder=3,
        markerfacecolor=face(row, style),
    )  # fmt: skip


def _outline(axes: Axes, own: pd.DataFrame, shift: float) -> None:
    if own.empty:
        return
    there = (own["workers"] * shift, own["median"])
    axes.plot(*there, color=MUTED, linewidth=THIN, zorder=2)
    marker = STYLES[own["run_by"].iloc[0]].marker
    axes.plot(*there, marker=marker, markersize=LINE_PT + AROUND, zorder=5, **HOLLOW)


def _name_lines(axes: Axes, table: pd.DataFrame) -> None:
    """Write each line's name and last median at its end."""
    lasts = [list(rows(own))[-1] for _, own in table.groupby("run_by", sort=False)]
    ends = [
        Named(row.workers, row.median, f"{_named(row)}: {_short(row.median)}")
        for row in lasts
    ]
    name_ends(axes, ends, [STYLES[row.run_by].color for row in lasts])


def _named(row: Any) -> str:
    return f"{row.run_by}, recorded" if row.replayed else row.run_by


def _short(value: float) -> str:
    return f"{value:.{2 if value < 10 else 3}g}"
