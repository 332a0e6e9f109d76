"""The figure of an attack: what servers hold, and how they do, while clients misbehave.

One time axis for four panels, since the question is what happens together: descriptors,
memory, processor time, and what a client that behaves feels of it. The spans of the
attack are shaded through all of them. Memory is what was added, so that a Python's own
size is in nobody's way. Latency is logarithmic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from netlab.show.attack_tables import SERVERS, Spans, attack_table, peaks
from netlab.show.herd_lines import note, tick
from netlab.show.outlines import AROUND, HOLLOW, legend_mark, parted, with_room
from netlab.show.palette import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    PURPLE,
    ROLES,
    SMALL_PT,
    VERMILION,
    Style,
    look,
    new_axes,
)
from netlab.show.tables import rows

STYLES = {
    "stage 5": Style(VERMILION, "s", "", "--"),
    "reads on": Style(PURPLE, "D", "", "-."),
    "stage 6": Style(BLUE, "o", "", "-"),
}
HEIGHT_IN = 6.2
MARK_PT = 5.0
SHADE = 0.45  # how opaque a span is


class Panel(NamedTuple):
    """One of the four: its column, its name, and where it stands, from 0 to 1."""

    column: str
    title: str
    foot: float
    head: float
    least: float  # to which its axis reaches at least
    headroom: float = 1.15  # its axis reaches so many times as high as its lines


PANELS = (
    Panel("held", "connections held", 0.795, 0.96, 10),
    Panel("added_mb", "memory added (MB)", 0.53, 0.715, 20, 1.3),  # for a number
    Panel("cpu_percent", "CPU time (% of one CPU)", 0.265, 0.45, 20),
    Panel("latency_ms", "latency of a client that behaves (ms)", 0.0, 0.185, 10),
)


@look()
def attack(
    attack: pd.DataFrame,
    *,
    spans: Spans = (),
    servers: Sequence[str] | None = None,
    predicted: float | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw four panels over one time axis, a line a server, the median of the repeats.

    spans: (name, begin_ms, end_ms) of each part of the attack, shaded. servers: only
    these. predicted: a guess of the memory that the first of them adds, in MB.
    recorded: others' table, whose highest memory is outlined. room: a table for which
    the axes have room too.

    Raises ValueError for a server that is not known, or not there.
    """
    both = attack_table(attack, spans, servers, predicted, recorded)
    table, theirs = parted(both)
    axes = axes or new_axes(HEIGHT_IN)
    all_of = with_room(both, attack_table, room)
    _time(axes, table, spans)
    for panel in PANELS:
        inset = _panel(axes, panel, all_of)
        _lines(inset, panel.column, table)
        if panel.column == "added_mb":
            _peaks(inset, table, theirs, predicted)
    _legend(axes, table, theirs)
    axes.set_title(_title(table), pad=42)
    return axes


def _title(table: pd.DataFrame) -> str:
    """Say what the figure is for, if the numbers bear it out."""
    added = {row.server: row.added_mb for row in rows(peaks(table, "added_mb"))}
    all_kept, one_kept = added.get("reads on"), added.get("stage 6")
    if all_kept and one_kept is not None and all_kept > 4 * max(one_kept, 1):
        return f"Who keeps all needs {all_kept:.0f} MB for eight clients"
    return "A server through an attack"


def _time(axes: Axes, table: pd.DataFrame, spans: Spans) -> None:
    """Give the axes the time, and shade the attack through all panels."""
    at_ms = table["at_ms"].to_numpy()
    axes.set_xlim(0, at_ms.max() / 1000)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("time (s)")
    for name, begin_ms, end_ms in spans:
        axes.axvspan(
            begin_ms / 1000, end_ms / 1000, color=FAINT, alpha=SHADE, linewidth=0,
            zorder=0,
        )  # fmt: skip
        middle = (begin_ms + end_ms) / 2000
        note(axes, (middle, 1), (0, 3), name, ha="center", va="bottom", color=INK)


def _panel(axes: Axes, panel: Panel, all_of: pd.DataFrame) -> Axes:
    """Return one panel, with room for all values."""
    inset = axes.inset_axes((0, panel.foot, 1, panel.head - panel.foot))
    inset.set_facecolor("none")
    inset.set_xlim(axes.get_xlim())
    inset.tick_params(bottom=False, labelbottom=False)
    inset.set_title(panel.title, fontsize=SMALL_PT, color=MUTED, weight="normal", pad=3)
    values = all_of[panel.column].dropna().to_numpy(float)
    highest = max([panel.least, *panel.headroom * values])
    if panel.column == "latency_ms":
        inset.set_yscale("log")
        inset.set_ylim(min([panel.least, *values]) / 2, 2 * highest)
        tick(inset, "y", [10.0**power for power in range(-2, 6)])
    else:
        inset.set_ylim(-0.04 * highest, highest)  # a line at 0 is seen whole
        inset.locator_params(axis="y", nbins=3)
    return inset


def _lines(inset: Axes, column: str, table: pd.DataFrame) -> None:
    for server, own in table.groupby("server", sort=False):
        style = STYLES[str(server)]
        measured = own.dropna(subset=[column])
        inset.plot(
            measured["at_ms"] / 1000, measured[column], color=style.color, zorder=3,
            linestyle=style.linestyle, linewidth=1.6,
        )  # fmt: skip


def _peaks(
    inset: Axes, table: pd.DataFrame, theirs: pd.DataFrame, predicted: float | None
) -> None:
    """Mark the most memory of each, with its number; outline others', draw a guess."""
    for row in rows(peaks(table, "added_mb")):
        style, place = STYLES[row.server], (row.at_ms / 1000, row.added_mb)
        inset.plot(*place, color=style.color, marker=style.marker, markersize=MARK_PT)
        if row.added_mb > 0.2 * inset.get_ylim()[1]:
            words = f"{row.added_mb:.0f} MB"
            note(inset, place, (0, 10), words, color=INK, ha="center")
    for row in rows(peaks(theirs, "added_mb")):
        inset.plot(
            row.at_ms / 1000, row.added_mb, marker=STYLES[row.server].marker, zorder=5,
            markersize=MARK_PT + AROUND, **HOLLOW,
        )  # fmt: skip
    if predicted is not None:
        style = ROLES["predicted"]
        inset.axhline(predicted, color=style.color, linestyle=style.linestyle)
        words = f"your prediction: {predicted:g} MB"
        note(inset, (inset.get_xlim()[1], predicted), (-2, 4), words, ha="right")


def _legend(axes: Axes, table: pd.DataFrame, theirs: pd.DataFrame) -> None:
    names = table["server"].unique()
    handles = [
        axes.plot(
            [], [], color=STYLES[name].color, linestyle=STYLES[name].linestyle,
            marker=STYLES[name].marker, markersize=MARK_PT,
            label=f"{name}: {SERVERS[name]}",
        )[0]
        for name in names
    ]  # fmt: skip
    handles += [legend_mark()] if len(theirs) else []
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.01, 1.03),
        borderaxespad=0, ncols=len(handles), columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip
