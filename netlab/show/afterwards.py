"""What became of an idle burst: when all of it was answered, by how it was divided;
drawn from a study's table, on axes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from netlab.show.equilibrium import MARK_PT, style_of
from netlab.show.equilibrium_tables import WORKERS, afterwards_table
from netlab.show.herd_lines import note
from netlab.show.outlines import AROUND, HOLLOW, legend_mark, parted, with_room
from netlab.show.palette import FAINT, INK, MUTED, ROLES, look, new_axes, pale
from netlab.show.tables import rows

ASIDE = 0.16  # of a connection, between the marks of two strategies


@look()
def afterwards(
    runs: pd.DataFrame,
    *,
    work_ms: float | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw how long an idle burst took to be answered, by what the top worker has.

    A mark for each strategy and share, at the median of its runs, the larger the more
    of them. work_ms: of each connection, which gives the line on which the top worker's
    work alone lies. recorded: others' bursts, outlined where both have the share.
    room: bursts for which the axes have room too.

    Raises ValueError if there are no runs.
    """
    both = afterwards_table(runs, recorded=recorded)
    table, theirs = parted(both)
    axes = axes or new_axes(3.6)
    connections = int(runs["connections"].to_numpy().max())
    _answered_axes(axes, with_room(both, afterwards_table, room), connections)
    if work_ms is not None:
        _work(axes, work_ms, connections)
    names = table["strategy"].unique().tolist()
    marks = [_points(axes, table, name, names) for name in names]
    for name in theirs["strategy"].unique():
        own = theirs[theirs["strategy"] == name]
        axes.plot(
            own["took"] + _aside(name, names), own["duration_ms"], zorder=5,
            marker=style_of(name, names).marker, markersize=MARK_PT + 2 * AROUND,
            **HOLLOW,
        )  # fmt: skip
    marks += [legend_mark()] if len(theirs) else []
    axes.legend(handles=marks, loc="lower left", ncols=2)
    axes.set_title("An idle burst begins to ask: when are all of them answered?")
    return axes


def _answered_axes(axes: Axes, table: pd.DataFrame, connections: int) -> None:
    axes.set_xlim(connections / 2 - 0.8, connections + 0.6)
    axes.set_ylim(0, 1.2 * table["high"].to_numpy().max())
    axes.grid(color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xticks(range(connections // 2, connections + 1))
    axes.set_xlabel(f"connections that the top one of {WORKERS} workers has")
    axes.set_ylabel("until the last answer (ms)")


def _work(axes: Axes, work_ms: float, connections: int) -> None:
    """Draw how long the top worker needs, if nothing else does."""
    ends = np.array([connections / 2, connections])
    axes.plot(
        ends, work_ms * ends, color=MUTED, linewidth=1.4, zorder=1,
        linestyle=ROLES["ideal"].linestyle,
    )  # fmt: skip
    place = 0.62 * connections + 0.5
    words = f"the top worker's own work, {work_ms:g} ms each"
    note(axes, (place, work_ms * place), (10, -14), words, ha="left")


def _aside(name: str, names: list[str]) -> float:
    """Return how far beside its place a strategy's marks are drawn: none hides one."""
    return ASIDE * (names.index(name) - (len(names) - 1) / 2)


def _points(axes: Axes, table: pd.DataFrame, name: str, names: list[str]) -> Line2D:
    style = style_of(name, names)
    form = {"marker": style.marker, "linestyle": "none", "markeredgecolor": INK}
    for row in rows(table.query("strategy == @name")):
        at = row.took + _aside(name, names)
        axes.plot(
            [at, at], [row.low, row.high], color=pale(style.color, 0.6), linewidth=2,
            zorder=2,
        )  # fmt: skip
        axes.plot(
            at, row.duration_ms, color=style.color, zorder=4, markeredgewidth=0.6,
            markersize=MARK_PT + min(5, 0.6 * row.repeats), **form,
        )  # fmt: skip
    return Line2D([], [], color=style.color, markersize=8, label=name, **form)
