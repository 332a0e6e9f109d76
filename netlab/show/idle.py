"""What a turn costs, against idle descriptors: lines that climb, and one that stays.

Both axes are logarithmic: a cost that is in proportion to what is watched climbs by a
square a decade, a cost of what is ready stays level. The compiled turns are in full
colour, as they are the kernel's; those in Python are pale and hollow, the same with an
interpreter's part on top.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from netlab.show.figures import readable
from netlab.show.herd_lines import MARK_PT, note, tick
from netlab.show.idle_tables import FIRST, HIGHEST, growth, idle_clients_table
from netlab.show.labels import Named, Stroke, name_ends, name_points
from netlab.show.outlines import AROUND, HOLLOW, legend_mark, parted, with_room
from netlab.show.palette import (
    BLUE,
    CARD,
    INK,
    PURPLE,
    ROLES,
    VERMILION,
    Style,
    look,
    new_axes,
    pale,
)
from netlab.show.tables import rows

STYLES = {
    "select": Style(VERMILION, "^", "", ":"),
    "poll": Style(PURPLE, "D", "", "--"),
    "epoll": Style(BLUE, "o", "", "-"),
}
CLIMBS, STAYS = 5, 2  # times: what the title calls growing, and staying


@look()
def idle_clients(
    idle: pd.DataFrame,
    *,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw the cost of a turn against the number of idle descriptors, a line a way.

    A mark at the median of the repeats, a bar over their range. predicted: how many
    times as long as among the fewest a compiled turn takes among the most, for some
    ways: ghosts. recorded: others' turns, outlined. room: turns for which the axes
    have room too.

    Raises ValueError for a way that is not known.
    """
    both = idle_clients_table(idle, predicted, recorded)
    table, theirs = parted(both)
    axes = axes or new_axes(4.4)
    _scale(axes, with_room(both, idle_clients_table, room))
    strokes = [stroke for line in _lines(table) for stroke in _draw(axes, *line)]
    _end_of_select(axes, table)
    for row in rows(theirs.query("engine == @FIRST")):
        marker = STYLES[row.way].marker
        axes.plot(
            row.idle, row.turn_us, marker=marker, markersize=MARK_PT + AROUND, zorder=5,
            **HOLLOW,
        )  # fmt: skip
    if len(theirs):
        axes.legend(handles=[legend_mark()], loc="upper left")
    axes.set_title(_title(table))
    _name(axes, table)
    if predicted:
        name_points(axes, _ghosts(axes, table.dropna(subset="predicted")), strokes)
    return axes


def _scale(axes: Axes, table: pd.DataFrame) -> None:
    counts = table["idle"].to_numpy()
    axes.set_xscale("log")
    axes.set_xlim(counts.min() / 1.25, counts.max() * 1.25)
    tick(axes, "x", [10**power for power in range(8)])
    axes.set_xlabel("idle descriptors (logarithmic)")
    axes.set_yscale("log")
    turns_us = table.filter(items=["low", "high", "predicted"]).to_numpy(float)
    axes.set_ylim(np.nanmin(turns_us) / 2, np.nanmax(turns_us) * 2)
    tick(axes, "y", [10**power for power in range(8)])
    axes.set_ylabel("cost of a turn (µs): median and range")


def _title(table: pd.DataFrame) -> str:
    """Say what the figure is for, if the numbers bear it out."""
    poll, epoll = growth(table, "poll"), growth(table, "epoll")
    if poll >= CLIMBS and epoll <= STAYS:
        return (
            f"poll's turn grows {readable(float(f'{poll:.2g}'))} times, epoll's stays"
        )
    return "What a turn costs"


def _lines(table: pd.DataFrame) -> list[tuple[str, bool, pd.DataFrame]]:
    groups = table.groupby(["way", "engine"], sort=False)
    return [(way, engine == FIRST, own) for (way, engine), own in groups]  # pyright: ignore[reportGeneralTypeIssues]


def _draw(axes: Axes, way: str, is_first: bool, own: pd.DataFrame) -> list[Stroke]:
    """Draw a line; return what it covers."""
    style = STYLES[way]
    color = style.color if is_first else pale(style.color, 0.5)
    whiskers = [own["turn_us"] - own["low"], own["high"] - own["turn_us"]]
    axes.errorbar(
        own["idle"], own["turn_us"], whiskers, color=color, marker=style.marker,
        linestyle=style.linestyle, linewidth=1.8 if is_first else 1.2,
        markersize=MARK_PT, markerfacecolor=color if is_first else CARD, elinewidth=1.4,
        zorder=3 if is_first else 2.5,
    )  # fmt: skip
    return [*pairwise(zip(own["idle"], own["turn_us"], strict=True))]


def _end_of_select(axes: Axes, table: pd.DataFrame) -> None:
    """Say at the end of select's line why it ends."""
    own = table.query("way == 'select'")
    if own.empty:
        return
    at = own["idle"].to_numpy().max()
    note(
        axes, (at, own["turn_us"].to_numpy().max()), (-10, 12),
        f"select ends here:\nit knows no descriptor\nabove {HIGHEST:,}", ha="right",
        va="bottom", color=INK,
    )  # fmt: skip


def _name(axes: Axes, table: pd.DataFrame) -> None:
    """Name the lines that reach the right side there, with their last turn."""
    ends, colors = [], []
    for way, is_first, own in _lines(table.query("way != 'select'")):
        last = list(rows(own))[-1]
        name = way if is_first else f"{way}, in Python"
        ends.append(
            Named(last.idle, last.turn_us, f"{name}:\n{readable(last.turn_us)} µs")
        )
        colors.append(STYLES[way].color)
    name_ends(axes, ends, colors)


def _ghosts(axes: Axes, guesses: pd.DataFrame) -> list[Named]:
    """Draw the guesses, and return their names."""
    style: Any = ROLES["predicted"]
    axes.plot(
        guesses["idle"], guesses["predicted"], marker=style.marker, markersize=9,
        zorder=5, linestyle="none", markerfacecolor=CARD, markeredgecolor=style.color,
        markeredgewidth=1.4,
    )  # fmt: skip
    return [
        Named(row.idle, row.predicted, f"{row.way}, predicted", "ghost")
        for row in rows(guesses)
    ]
