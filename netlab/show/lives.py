"""The life of one thread, and where the time of several went: two figures.

States look as in the x-ray: grey and thin asleep, hatched runnable, solid running.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter

from netlab.show.lives_tables import (
    SHARES,
    moments,
    one_life_table,
    stretches,
    switches_table,
)
from netlab.show.outlines import BAR, RECORDED, parted
from netlab.show.palette import (
    BLUE,
    CARD,
    INK,
    MUTED,
    SMALL_PT,
    VERMILION,
    cpu_color,
    look,
    new_axes,
)
from netlab.show.tables import rows
from netlab.show.xray import GREY, HATCHED, HEIGHTS, Symbol, forms, legend_row
from netlab.show.xray_table import ASLEEP, RUNNABLE, RUNNING

LANE_IN, CASE_IN, AROUND_IN = 0.66, 0.42, 1.5  # with title, axis and legends
LEGEND_PT, ROW_PT = 42, 17  # below the axes, and from row to row
APART = 1.3  # from lane to lane: room for the marks of its moments
ABOVE = -0.62  # of the middle of a lane: where they are
MOMENTS = {
    "woken": Symbol("v", CARD, INK, 6.5, "woken"),
    "voluntary": Symbol("o", BLUE, INK, 6.0, "fell asleep: a voluntary switch"),
    "involuntary": Symbol("X", VERMILION, INK, 7.0, "CPU taken: an involuntary switch"),
}
HEAD = "switches:\nvol. + invol."
WORDS = {
    RUNNING: "running",
    RUNNABLE: "runnable: waits for its CPU",
    ASLEEP: "asleep",
}
FILLS: dict[str, dict[str, Any]] = {
    RUNNING: {"facecolor": cpu_color(0, 2), "edgecolor": INK, "linewidth": 0.4},
    RUNNABLE: HATCHED,
    ASLEEP: {"facecolor": GREY, "linewidth": 0},
}


@look()
def one_life(
    table: pd.DataFrame,
    *,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a worker's life, alone and beside a spinner, and the spinner's: lanes.

    Grey: asleep. Hatched: runnable, it waits for its CPU. Solid: running. Marks: what
    the kernel counts. room: another such table, for whose time the axis has room too.

    Raises ValueError if a scene has nobody who was woken.
    """
    spans, lanes = stretches(table), one_life_table(table)
    axes = axes or new_axes(AROUND_IN + LANE_IN * len(lanes))
    cpus = sorted(spans["cpu"].unique())
    colors = {cpu: cpu_color(at, max(2, len(cpus))) for at, cpu in enumerate(cpus)}
    places = {lane: APART * lane for lane in range(len(lanes))}
    for state in HEIGHTS:
        forms(axes, spans.query("what == @state"), state, colors, places)
    seen = _marks(axes, moments(table))
    _name(axes, list(map(_lane_name, rows(lanes))), APART)
    _counts(axes, lanes, APART)
    both = spans if room is None else pd.concat([spans, stretches(room)])
    axes.set_xlim(both["from_us"].to_numpy().min(), both["to_us"].to_numpy().max())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda us, _: f"{us / 1e3:g}"))
    axes.set_xlabel("time since the first waking (ms)")
    _legends(axes, colors, seen)
    axes.set_title("One thread's life: asleep, runnable, running")
    return axes


def _legends(axes: Axes, colors: dict[int, str], marks: list[Artist]) -> None:
    """Explain the states below the axes, and the marks below them."""
    running = [
        Patch(fc=color, ec=INK, lw=0.4, label=f"running on CPU {cpu}")
        for cpu, color in colors.items()
    ]
    states = [
        Patch(fc=GREY, label=WORDS[ASLEEP]),
        Patch(label=WORDS[RUNNABLE], **HATCHED),
        *running,
    ]
    legend_row(axes, states, LEGEND_PT)
    legend_row(axes, marks, LEGEND_PT + ROW_PT)


def _lane_name(row: Any) -> str:
    """Return whose lane it is: a worker's by its scene, another's by itself."""
    is_worker = row.thread == "worker"
    return f"{row.thread},\n{row.company}" if is_worker else f"the {row.thread}"


def _marks(axes: Axes, found: pd.DataFrame) -> list[Artist]:
    """Mark each moment above its lane; return what the legend needs of it."""
    handles: list[Artist] = []
    for what, symbol in MOMENTS.items():
        own = found[found["what"] == what]
        if not len(own):
            continue
        style: dict[str, Any] = {
            "linestyle": "none", "marker": symbol.marker, "markersize": symbol.size,
            "markerfacecolor": symbol.fill, "markeredgecolor": symbol.edge,
            "markeredgewidth": 0.8, "label": symbol.words, "zorder": 4,
        }  # fmt: skip
        axes.plot(own["at_us"], APART * own["worker"] + ABOVE, clip_on=False, **style)
        handles.append(Line2D([], [], **style))
    return handles


def _name(axes: Axes, names: list[str], apart: float = 1.0) -> None:
    """Name the lanes at the left, the first on top."""
    places = [apart * lane for lane in range(len(names))]
    axes.set_yticks(places, names)
    axes.set_ylim(places[-1] + 0.55, -0.6 * apart)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _counts(axes: Axes, table: pd.DataFrame, apart: float = 1.0) -> None:
    """Write at the right how often each switched, of its own accord and not."""
    how: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL_PT}
    axes.annotate(
        HEAD, (1, 1), (8, 4), xycoords="axes fraction", color=MUTED, va="bottom", **how
    )  # fmt: skip
    for lane, row in enumerate(rows(table)):
        axes.annotate(
            f"{row.voluntary:,g} + {row.involuntary:,g}", (1, apart * lane), (8, 0),
            xycoords=("axes fraction", "data"), va="center", annotation_clip=False,
            **how,
        )  # fmt: skip


@look()
def switches(
    runs: pd.DataFrame,
    *,
    recorded: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw where a worker's time went, a bar a case: running, runnable, asleep.

    At the right are its switches. recorded: others' runs, outlined where both have
    the case.

    Raises ValueError if there are no runs.
    """
    table, theirs = parted(switches_table(runs, recorded))
    axes = axes or new_axes(AROUND_IN + CASE_IN * len(table))
    for lane, row in enumerate(rows(table)):
        _bar(axes, lane, row)
    places = {case: lane for lane, case in enumerate(table["case"])}
    for row in rows(theirs):
        _outline(axes, places[row.case], row)
    _name(axes, table["case"].str.replace(", ", ",\n").tolist())
    _counts(axes, table)
    axes.set_xlim(0, 100)
    lasted_s = table["lasted_ms"].median() / 1e3
    axes.set_xlabel(f"share of {lasted_s:.1f} s (%)")
    handles: list[Artist] = [
        Patch(label=WORDS[state], **FILLS[state]) for state in SHARES
    ]
    handles += [Patch(label=RECORDED, **BAR)] * bool(len(theirs))
    legend_row(axes, handles, LEGEND_PT)
    axes.set_title("Where a worker's time went")
    return axes


def _bar(axes: Axes, lane: int, row: Any) -> None:
    left = 0.0
    for state, column in SHARES.items():
        share, height = getattr(row, column), HEIGHTS[state]
        place = (left, lane - height / 2)
        if share > 0:  # else its edge would be a line
            axes.add_patch(Rectangle(place, share, height, **FILLS[state]))
        left += share


def _outline(axes: Axes, lane: int, row: Any) -> None:
    """Outline what others ran, and how long they waited, around a bar."""
    left, height = 0.0, HEIGHTS[RUNNING] + 0.06
    for state in (RUNNING, RUNNABLE):
        share = getattr(row, SHARES[state])
        place = (left, lane - height / 2)
        if share > 0:
            axes.add_patch(Rectangle(place, share, height, zorder=3, **BAR))
        left += share
