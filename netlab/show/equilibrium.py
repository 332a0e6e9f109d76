"""Does the load find its balance: the share of a worker that is slow for a while,
drawn from a study's table, on axes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from netlab.show.equilibrium_tables import (
    SLOW,
    equilibrium_table,
    penalty_ms,
    phase_shares,
)
from netlab.show.herd_lines import note, tick
from netlab.show.labels import Named, name_ends
from netlab.show.outlines import AROUND, HOLLOW, legend_mark, parted, with_room
from netlab.show.palette import (
    BLUE,
    CARD,
    FAINT,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    ROLES,
    Style,
    look,
    new_axes,
)

STYLES = {
    "level": Style(BLUE, "o", "", "-"),
    "reuseport": Style(ORANGE, "^", "", "--"),
    "exclusive": Style(GREEN, "D", "", "-."),
}
OTHERS = (Style(INK, "s", "", ":"), Style(MUTED, "v", "", "-"))
MARK_PT = 5.0
BAND = 0.18  # how opaque the range of the repeats is


@look()
def equilibrium(
    runs: pd.DataFrame,
    *,
    slower: float = 5,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw the share of the accepts of a worker that is slow for a while, through time.

    A line a strategy at the median of the repeats, a band over their range; dotted the
    share that its speed deserves. slower: how many times slower it is. predicted:
    guessed percents by strategy while it is slow, drawn as ghosts. recorded: others'
    runs, outlined where both have them. room: runs for which the axis has room too.

    Raises ValueError for a guess of a strategy that is not there, or runs without end.
    """
    both = equilibrium_table(runs, slower, predicted, recorded)
    table, theirs = parted(both)
    axes = axes or new_axes(3.7)
    all_of = with_room(both, equilibrium_table, room)
    _time_axes(axes, all_of)
    _penalty(axes, table, slower)
    _ideal(axes, table)
    _lines(axes, table)
    _outlines(axes, theirs)
    if predicted is not None:
        _ghosts(axes, table, predicted)
    axes.set_title("Who gets the connections while one of two workers is slow", pad=24)
    return axes


def style_of(strategy: str, names: list[str]) -> Style:
    """Return how a strategy looks among those of the figure."""
    strangers = [name for name in names if name not in STYLES]
    if strategy in STYLES:
        return STYLES[strategy]
    return OTHERS[strangers.index(strategy) % len(OTHERS)]


def _width(table: pd.DataFrame) -> float:
    """Return how long a bin is, in ms."""
    steps = np.diff(np.unique(table["time_ms"].to_numpy()))
    return float(steps.min()) if len(steps) else 1.0


def _time_axes(axes: Axes, table: pd.DataFrame) -> None:
    times = table["time_ms"].to_numpy()
    axes.set_xlim(times.min(), times.max() + _width(table))
    axes.set_ylim(0, 100)
    tick(axes, "y", [0, 25, 50, 75, 100])
    axes.set_xlabel(
        "time from the moment at which the worker becomes slow (ms)\n"
        "line: median   band: lowest to highest of the runs   "
        "dotted: what its speed deserves"
    )
    axes.set_ylabel("its share of the accepts (%)")


def _penalty(axes: Axes, table: pd.DataFrame, slower: float) -> None:
    """Shade the time in which the worker is slow, and mark its begin and end."""
    begin, end = penalty_ms(table)
    axes.axvspan(begin, end, facecolor=FAINT, alpha=0.45, linewidth=0, zorder=0)
    head = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    for at, text in ((begin, f"{slower:g} times slower"), (end, "as fast as before")):
        axes.axvline(at, color=INK, linewidth=1.1, zorder=1)
        axes.annotate(f"▼ {text}", (at, 1), (-3, 5), color=INK, fontsize=9, **head)


def _ideal(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the share that the worker's speed deserves, as steps."""
    line = table.drop_duplicates("time_ms").sort_values("time_ms")
    times = [*line["time_ms"], line["time_ms"].iloc[-1] + _width(table)]
    axes.stairs(
        line["ideal"].to_numpy(), times, baseline=None, color=MUTED, linewidth=1.4,
        linestyle=ROLES["ideal"].linestyle, zorder=2,
    )  # fmt: skip


def _lines(axes: Axes, table: pd.DataFrame) -> None:
    names, ends, colors = table["strategy"].unique().tolist(), [], []
    for name, own in table.groupby("strategy", sort=False):
        style = style_of(str(name), names)
        at = own["time_ms"] + _width(table) / 2
        axes.fill_between(
            at, own["low"], own["high"], color=style.color, alpha=BAND, linewidth=0,
            zorder=1.5,
        )  # fmt: skip
        axes.plot(
            at, own["median"], color=style.color, linestyle=style.linestyle,
            marker=style.marker, markersize=MARK_PT, linewidth=1.8, zorder=3,
            markeredgecolor=CARD, markeredgewidth=0.5,
        )  # fmt: skip
        shares = phase_shares(own)
        slow = f"\n{shares[SLOW]:.0f} % while slow" if SLOW in shares else ""
        end = Named(float(at.iloc[-1]), float(own["median"].iloc[-1]), f"{name}{slow}")
        ends.append(end)
        colors.append(style.color)
    name_ends(axes, ends, colors)


def _outlines(axes: Axes, theirs: pd.DataFrame) -> None:
    names = theirs["strategy"].unique().tolist()
    for name, own in theirs.groupby("strategy", sort=False):
        axes.plot(
            own["time_ms"] + _width(theirs) / 2, own["median"], zorder=4,
            marker=style_of(str(name), names).marker, markersize=MARK_PT + AROUND,
            **HOLLOW,
        )  # fmt: skip
    if len(theirs):
        axes.legend(handles=[legend_mark()], loc="upper left", handletextpad=0.3)


def _ghosts(axes: Axes, table: pd.DataFrame, predicted: Mapping[str, float]) -> None:
    """Draw each guess over the time for which it was made."""
    style, (begin, end) = ROLES["predicted"], penalty_ms(table)
    for name, share in predicted.items():
        axes.plot(
            [begin, end], [share, share], color=style.color, linestyle="--",
            linewidth=1.4, marker=style.marker, markerfacecolor=CARD, markersize=7,
            zorder=3.5,
        )  # fmt: skip
        words = f"your prediction: {name}"
        note(axes, ((begin + end) / 2, share), (0, 8), words, color=INK, ha="center")
