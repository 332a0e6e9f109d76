"""The x-ray: what the kernel did with each worker, microsecond by microsecond.

The table is that of `netlab.watch.trace_tables.figure_table`, or a recording of it:
see `xray_table`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from netlab.show.outlines import with_room
from netlab.show.palette import (
    CARD,
    GREEN,
    INK,
    MUTED,
    SMALL_PT,
    VERMILION,
    cpu_color,
    look,
    new_axes,
)
from netlab.show.tables import rows
from netlab.show.xray_table import (
    ACCEPT,
    ASLEEP,
    EAGAIN,
    NEVER_RETURNED,
    RUNNABLE,
    RUNNING,
    first_waking_ns,
    headline,
    stretches,
    xray_table,
)

LANE_IN, LEAST_LANE_IN, HIGHEST_IN = 0.3, 0.1, 7.0
AROUND_IN = 1.45  # title, axis and legend
FEW_LANES = 12  # so many have room for marks of full size
NAMED_LANES, NAMED_CPUS = 32, 8  # so many have room for text
HEIGHTS = {ASLEEP: 0.14, RUNNABLE: 0.5, RUNNING: 0.84}  # in a lane
GREY = "#c4c4c4"
HATCHED: dict[str, Any] = {
    "facecolor": CARD, "edgecolor": MUTED, "linewidth": 0.5, "hatch": "/////",
}  # fmt: skip
LEGEND_PT, ROW_PT = 40, 16  # below the axes, and from row to row
COMPACT_PT = 7.0


class Symbol(NamedTuple):
    """How a mark looks, and what the legend says of it."""

    marker: str
    fill: str
    edge: str
    size: float
    words: str


SYMBOLS = {
    ACCEPT: Symbol("o", GREEN, INK, 8.5, "accept: got it"),
    EAGAIN: Symbol("X", VERMILION, INK, 8.5, "EAGAIN: another was faster"),
    NEVER_RETURNED: Symbol(
        "D", CARD, INK, 5.5, "never returned: slept again in the kernel"
    ),
    "failed": Symbol("P", INK, CARD, 8.5, "accept failed"),
}


@look()
def xray(
    table: pd.DataFrame,
    *,
    compact: bool = False,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw each worker's life around a connection: a lane a worker.

    Grey: asleep. Hatched: runnable, woken and waiting for a CPU. Solid: running, the
    colour says on which CPU. Marks: what came of it.

    compact: small and without words, for an inset of another figure. room: another
    connection's table, for whose time the axis has room too.

    Raises ValueError if no worker was woken.
    """
    spans, lanes = stretches(table), xray_table(table)
    axes = axes if axes is not None else new_axes(_height(len(lanes)))
    cpus = sorted(spans["cpu"].unique())
    colors = {cpu: cpu_color(at, len(cpus)) for at, cpu in enumerate(cpus)}
    places = {worker: lane for lane, worker in enumerate(lanes["worker"])}
    for state in HEIGHTS:
        forms(axes, spans.query("what == @state"), state, colors, places)
    size = _symbol_size(len(lanes), compact)
    seen = _marks(axes, table, places, size)
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    all_of = with_room(spans, stretches, room)
    axes.set_xlim(all_of["from_us"].to_numpy().min(), all_of["to_us"].to_numpy().max())
    if compact:
        _small_axes(axes)
    else:
        _axes(axes, lanes["worker"].tolist())
        _outcomes(axes, lanes["outcome"].tolist())
        _legend(axes, colors, seen)
        axes.set_title(headline(table))
    return axes


def _height(lanes: int) -> float:
    """Return a card's height in inches for so many lanes."""
    lane = max(LEAST_LANE_IN, min(LANE_IN, (HIGHEST_IN - AROUND_IN) / lanes))
    return AROUND_IN + lane * lanes


def _every(lanes: int) -> int:
    """Return 1 if every lane has room for its name, 2 if every second, ..."""
    return -(-lanes // NAMED_LANES)


def _symbol_size(lanes: int, compact: bool) -> float:
    """Return by how much marks are smaller than in a few broad lanes."""
    if compact:
        return 0.7 if lanes <= FEW_LANES else 0.5
    return 1.0 if lanes <= FEW_LANES else 0.85 if lanes <= NAMED_LANES else 0.45


def forms(
    axes: Axes,
    spans: pd.DataFrame,
    state: str,
    colors: Mapping[int, str],
    places: Mapping[int, float],
) -> None:
    """Draw all stretches in one state as one collection: there may be thousands."""
    half = HEIGHTS[state] / 2
    corners = [
        [
            (row.from_us, places[row.worker] - half),
            (row.to_us, places[row.worker] - half),
            (row.to_us, places[row.worker] + half),
            (row.from_us, places[row.worker] + half),
        ]
        for row in rows(spans)
    ]
    axes.add_collection(PolyCollection(corners, **_fill(state, spans, colors)))


def _fill(state: str, spans: pd.DataFrame, colors: Mapping[int, str]) -> dict[str, Any]:
    if state == ASLEEP:
        return {"facecolors": GREY, "linewidths": 0}
    if state == RUNNABLE:
        return HATCHED
    fills = [colors[cpu] for cpu in spans["cpu"]]
    return {"facecolors": fills, "edgecolors": INK, "linewidths": 0.4}


def _marks(
    axes: Axes, table: pd.DataFrame, places: dict[int, int], size: float
) -> list[Symbol]:
    """Draw the marks, and return the symbols that were needed."""
    origin_ns, seen = first_waking_ns(table), []
    marks = [row for row in rows(table) if row.kind == "mark"]
    for what, symbol in SYMBOLS.items():
        chosen = [row for row in marks if row.what == what]
        if chosen:
            seen.append(symbol)
            at_us = [(row.begin_ns - origin_ns) / 1e3 for row in chosen]
            lanes = [places[row.worker] for row in chosen]
            axes.add_line(_symbol(symbol, at_us, lanes, size))
    return seen


def _symbol(symbol: Symbol, x: list[float], y: list[int], size: float = 1.0) -> Line2D:
    return Line2D(
        x, y, linestyle="none", marker=symbol.marker, markersize=symbol.size * size,
        markerfacecolor=symbol.fill, markeredgecolor=symbol.edge, markeredgewidth=0.9,
        label=symbol.words, zorder=4,
    )  # fmt: skip


def _axes(axes: Axes, names: list[int]) -> None:
    """Name the lanes, as many as have room, and the time."""
    every = _every(len(names))
    axes.set_yticks(range(0, len(names), every), [str(name) for name in names[::every]])
    axes.set_ylabel("worker")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_xlabel("time since the first waking (µs)")


def _small_axes(axes: Axes) -> None:
    axes.set_yticks([])
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(axis="x", labelsize=COMPACT_PT, length=2, pad=1)
    axes.set_xlabel("µs", fontsize=COMPACT_PT, labelpad=0)


def _outcomes(axes: Axes, outcomes: list[str]) -> None:
    """Write what came of it at the lanes' right ends; of very many, the winners'."""
    how: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL_PT}
    axes.annotate(
        "outcome", (1, 1), (6, 5), xycoords="axes fraction", color=MUTED, **how
    )  # fmt: skip
    for lane, outcome in enumerate(outcomes):
        got = outcome.startswith("accepted")
        if len(outcomes) > NAMED_LANES and not got:
            continue
        axes.annotate(
            outcome, (1, lane), (6, 0), xycoords=("axes fraction", "data"),
            va="center", annotation_clip=False, weight="bold" if got else "normal",
            **how,
        )  # fmt: skip


def _legend(axes: Axes, colors: dict[int, str], seen: list[Symbol]) -> None:
    """Explain the states below the axes, and the marks below them."""
    every = -(-len(colors) // NAMED_CPUS)
    cpus = list(colors.items())[::every]
    states: list[Artist] = [
        Patch(facecolor=GREY, label="asleep"),
        Patch(label="runnable: woken, waits for a CPU", **HATCHED),
        *(Patch(fc=color, ec=INK, lw=0.4, label=f"{cpu}") for cpu, color in cpus),
    ]
    states[2].set_label(f"running on CPU {cpus[0][0]}")
    legend_row(axes, states, LEGEND_PT)
    legend_row(
        axes, [_symbol(symbol, [], [], 0.8) for symbol in seen], LEGEND_PT + ROW_PT
    )


def legend_row(axes: Axes, handles: Sequence[Artist], below_pt: float) -> None:
    """Write one row of a legend so far below the axes."""
    inches = cast(Figure, axes.get_figure(root=True)).dpi_scale_trans
    below = ScaledTranslation(0, -below_pt / 72, inches)
    legend = Legend(
        axes, handles, [str(handle.get_label()) for handle in handles],
        loc="upper left", bbox_to_anchor=(0, 0), ncols=max(len(handles), 1),
        bbox_transform=axes.transAxes + below, handlelength=1.4, columnspacing=1.4,
        handletextpad=0.5, borderpad=0, borderaxespad=0,
    )  # fmt: skip
    axes.add_artist(legend)
    legend.set_clip_on(False)  # else the layout leaves no room for it
