"""The figure of settling shares: what more connections do to an uneven count.

Facts. Lots drawn n times leave a share off by about 1/√n, dealing in turn by 1/n, and a
habit by as much as ever. On two logarithmic axes these are three straight lines: they
fall by one decade in two, by one in one, and not at all.

Decision. Of each strategy one line, that of the worker that is farthest off by then, so
that no worker can hide among others. What chance allows is shaded, and falls like the
lots: below it a count says nothing, above it somebody is favoured.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from netlab.show.herd_lines import MARK_PT, note, tick
from netlab.show.labels import Named, name_ends
from netlab.show.outlines import AROUND, HOLLOW, legend_mark, parted, with_room
from netlab.show.palette import (
    BLACK,
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    PURPLE,
    VERMILION,
    Style,
    look,
    new_axes,
    pale,
)
from netlab.show.settling_tables import allowed, last_marks, settling_table
from netlab.show.tables import rows

STYLES = {  # by the rule of the wait queue
    "hash": Style(BLUE, "o", "", "-"),
    "all wake": Style(VERMILION, "^", "", "--"),
    "stays": Style(PURPLE, "D", "", "-."),
    "to the head": Style(ORANGE, "v", "", ":"),
    "to the tail": Style(GREEN, "s", "", ":"),
}
OTHER = Style(BLACK, "X", "", "-")
PLACES = [step * 10.0**power for power in range(-4, 7) for step in (1, 2, 5)]


@look()
def settling(
    accepts: pd.DataFrame,
    *,
    chance: pd.DataFrame | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw how far the farthest worker is from an equal share, a line a strategy.

    accepts: the study's `orders`. chance: connections, and the off_points that chance
    allows, shaded below. recorded: others' accepts, outlined where both have the
    strategy. room: accepts for which the axes have room too.

    Raises ValueError as `settling_tables.settling_table`.
    """
    both = settling_table(accepts, chance, recorded)
    table, theirs = parted(both)
    axes = axes or new_axes(4.0)
    _scales(axes, with_room(both, settling_table, room))
    if chance is not None:
        _shade(axes, chance)
    _outlines(axes, theirs)
    _lines(axes, table.query("strategy != 'chance'"))
    axes.set_title(_title(table, chance))
    return axes


def _scales(axes: Axes, all_of: pd.DataFrame) -> None:
    measured = all_of.query("strategy != 'chance'")
    counts = np.asarray(measured["connections"], float)
    off = np.asarray(all_of["off_points"], float)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(counts.min() / 1.1, counts.max() * 1.1)
    axes.set_ylim(off.min() / 1.5, 1.5 * off.max())
    tick(axes, "x", PLACES)
    tick(axes, "y", PLACES)
    axes.set_xlabel("connections so far (logarithmic)")
    axes.set_ylabel("farthest from an equal share\n(percentage points, logarithmic)")


def _shade(axes: Axes, chance: pd.DataFrame) -> None:
    """Shade what chance allows, and say so at the foot, where the lines are not."""
    foot, _ = axes.get_ylim()
    x, y = chance["connections"].to_numpy(), chance["off_points"].to_numpy()
    axes.fill_between(x, foot, y, facecolor=pale(MUTED, 0.13), zorder=0)
    axes.plot(x, y, color=MUTED, linewidth=1, zorder=1)
    place = (axes.get_xlim()[0], foot)
    note(axes, place, (8, 12), "shaded: what chance allows", ha="left")


def _lines(axes: Axes, table: pd.DataFrame) -> None:
    for _, line in table.groupby("strategy", sort=False):
        style = STYLES.get(line["rule"].iloc[0], OTHER)
        axes.plot(
            line["connections"], line["off_points"], color=style.color, zorder=3,
            linewidth=1.6, linestyle=style.linestyle, marker=style.marker,
            markersize=MARK_PT,
        )  # fmt: skip
    ends = list(rows(last_marks(table)))
    names = [
        Named(row.connections, row.off_points, f"{row.strategy}: {row.off_points:.2g}")
        for row in ends
    ]
    name_ends(axes, names, [STYLES.get(row.rule, OTHER).color for row in ends])


def _outlines(axes: Axes, theirs: pd.DataFrame) -> None:
    """Draw a hollow mark at the end of each of others' lines."""
    for row in rows(last_marks(theirs)):
        marker = STYLES.get(row.rule, OTHER).marker
        axes.plot(
            row.connections, row.off_points, marker=marker, zorder=5,
            markersize=MARK_PT + AROUND, **HOLLOW,
        )  # fmt: skip
    if len(theirs):
        axes.legend(
            handles=[legend_mark()], loc="upper left", bbox_to_anchor=(1.05, -0.06),
            borderpad=0, borderaxespad=0, handletextpad=0.5, handlelength=1,
        )  # fmt: skip


def _title(table: pd.DataFrame, chance: pd.DataFrame | None) -> str:
    """Say what the figure is for, if the numbers bear it out."""
    ends = last_marks(table)
    off = dict(zip(ends["rule"], ends["off_points"], strict=True))
    if chance is not None and "hash" in off:
        band = allowed(chance, ends["connections"].to_numpy().max())
        if off["hash"] <= band < max(off.values()):
            return "Noise shrinks as connections come, unfairness stays"
    return "How far the farthest worker is from an equal share"
