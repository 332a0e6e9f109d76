"""Figures with a lane per worker, the first on top: drawn from a table, on axes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, cast

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator
from matplotlib.transforms import ScaledTranslation

from netlab.show import tables
from netlab.show.palette import (
    CARD,
    FAINT,
    INK,
    MUTED,
    SMALL_PT,
    cpu_color,
    look,
    new_axes,
    pale,
    text_on,
    worker_style,
)

LANE_IN, LEAST_LANE_IN = 0.26, 0.1  # a lane's height, and with very many workers
HIGHEST_IN = 6.5  # no figure is taller than a screen
NAMED_LANES = 32  # so many have room for text
AWAKE, ASLEEP = 0.84, 0.44  # heights in a lane
NAMED_CPUS = 16  # so many fit into the legend's row
DIGIT = 0.015  # share of the width that a digit of a CPU's number needs


@look()
def cpu_placement(samples: pd.DataFrame, *, axes: Axes | None = None) -> Axes:
    """Draw where each worker's thread was, through time: a lane a worker.

    Colour and number say the CPU. High and solid: the thread ran since the look
    before; low and pale: it did not, and the CPU is the one it last ran on.

    Raises ValueError if there are not two looks.
    """
    table = tables.cpu_placement_table(samples)
    names = sorted(table["worker"].unique())
    axes = axes if axes is not None else new_axes(_height(len(names), least=2.2))
    cpus = sorted(table["cpu"].unique())
    colors = {cpu: cpu_color(at, len(cpus)) for at, cpu in enumerate(cpus)}
    lanes = {worker: lane for lane, worker in enumerate(names)}
    _stretches(axes, table, colors, lanes)
    _lanes(axes, names)
    spans = table[["from_s", "to_s"]].to_numpy()
    axes.set_xlim(spans.min(), spans.max())
    axes.set_xlabel(
        "time (s)\nhigh and solid: it ran since the look before   "
        "low and pale: it did not, last on that CPU"
    )
    axes.set_title("The CPU each worker ran on last, and when it ran")
    _number_lanes(axes, table, colors, lanes)
    _name_cpus(axes, colors)
    return axes


def _stretches(
    axes: Axes, table: pd.DataFrame, colors: dict[int, str], lanes: dict[int, int]
) -> None:
    """Draw all stretches as one collection: there may be thousands."""
    corners, fills = [], []
    for row in tables.rows(table):
        half = (AWAKE if row.ran else ASLEEP) / 2
        low, high = lanes[row.worker] - half, lanes[row.worker] + half
        ends = (row.from_s, row.from_s, row.to_s, row.to_s)
        corners.append(list(zip(ends, (low, high, high, low), strict=True)))
        fills.append(colors[row.cpu] if row.ran else pale(colors[row.cpu]))
    axes.add_collection(PolyCollection(corners, facecolors=fills, linewidths=0))


def _height(lanes: int, least: float = 0.0, around: float = 1.15) -> float:
    """Return a card's height in inches for so many lanes."""
    lane = max(LEAST_LANE_IN, min(LANE_IN, (HIGHEST_IN - around) / lanes))
    return max(least, around + lane * lanes)


def _every(lanes: int) -> int:
    """Return 1 if every lane has room for its name, 2 if every second, ..."""
    return -(-lanes // NAMED_LANES)


def _lanes(axes: Axes, names: list[int]) -> None:
    """Name the lanes, as many as have room, worker 0 on top."""
    every = _every(len(names))
    axes.set_yticks(range(0, len(names), every), [str(name) for name in names[::every]])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_ylabel("worker")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _number_lanes(
    axes: Axes, table: pd.DataFrame, colors: dict[int, str], lanes: dict[int, int]
) -> None:
    """Write the CPU's number once in each time on it, where there is room."""
    if len(lanes) > NAMED_LANES:
        return
    digit_s = DIGIT * (table["to_s"].max() - table["from_s"].min())
    for _, same in groupby(tables.rows(table), key=lambda row: (row.worker, row.cpu)):
        row = max(same, key=lambda row: row.to_s - row.from_s)
        if row.to_s - row.from_s < digit_s * len(str(row.cpu)):
            continue
        ground = colors[row.cpu] if row.ran else pale(colors[row.cpu])
        axes.text(
            (row.from_s + row.to_s) / 2, lanes[row.worker], str(row.cpu), clip_on=True,
            ha="center", va="center_baseline", fontsize=8, color=text_on(ground),
        )  # fmt: skip


def _name_cpus(axes: Axes, colors: dict[int, str]) -> None:
    every = -(-len(colors) // NAMED_CPUS)
    named = list(colors.items())[::every]
    marks = [Patch(color=color, label=str(cpu)) for cpu, color in named]
    inches = cast(Figure, axes.get_figure(root=True)).dpi_scale_trans
    below = ScaledTranslation(0, -46 / 72, inches)
    axes.legend(
        handles=[Patch(alpha=0, label="CPU"), *marks], loc="upper left",
        bbox_to_anchor=(0, 0), bbox_transform=axes.transAxes + below,
        ncols=len(marks) + 1, handlelength=0.9, columnspacing=0.7, handletextpad=0.3,
        borderpad=0, borderaxespad=0,
    )  # fmt: skip


@look()
def accept_timeline(
    accepts: pd.DataFrame,
    *,
    first: int = 48,
    workers: int | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw who served each of the first connections, in the order of accepts.

    workers: how many there are, to show those that got nothing.

    Raises ValueError if there are no accepts.
    """
    table = tables.accept_timeline_table(accepts, first)
    names = list(range(max(workers or 0, table["worker"].to_numpy().max() + 1)))
    axes = axes if axes is not None else new_axes(_height(len(names)))
    axes.hlines(names, 0.5, len(table) + 0.5, color=FAINT, linewidth=0.8, zorder=0)
    shares = dict.fromkeys(names, 0)
    for worker, rows in cast(Iterable[tuple[int, Any]], table.groupby("worker")):
        shares[worker] = len(rows)
        style = worker_style(worker)
        axes.plot(
            rows["connection"], rows["worker"], marker=style.marker, color=style.color,
            linestyle="none", markersize=7 if _every(len(names)) == 1 else 5,
            markeredgecolor=INK, markeredgewidth=0.6,
        )  # fmt: skip
    _lanes(axes, names)
    _right(axes, "got", [str(count) for count in shares.values()])
    axes.set_xlim(0.2, len(table) + 0.8)
    step = 4 if len(table) <= 60 else 4 * -(-len(table) // 60)
    axes.set_xticks([1, *range(step, len(table) + 1, step)])
    axes.set_xlabel("connection, in the order of accepts")
    axes.set_title("Who served each connection")
    return axes


@look()
def latency_by_worker(requests: pd.DataFrame, *, axes: Axes | None = None) -> Axes:
    """Draw the quantiles of each worker's latencies on one logarithmic axis.

    A mark at the median, a bar over the middle half, a line from p10 to p90 and
    a stroke at p99: forms that hold for a few requests and for skewed ones.

    Raises ValueError if no worker answered a request.
    """
    table = tables.latency_by_worker_table(requests)
    tall_in = _height(len(table), least=1.9, around=1.45)
    axes = axes if axes is not None else new_axes(tall_in)
    size = 1 if _every(len(table)) == 1 else 0.6
    for lane, row in enumerate(tables.rows(table)):
        style = worker_style(row.worker)
        axes.hlines(lane, row.p10_ms, row.p90_ms, color=MUTED, linewidth=1)
        axes.hlines(lane, row.p25_ms, row.p75_ms, color=style.color, linewidth=7 * size)
        axes.plot(row.p99_ms, lane, marker="|", color=INK, markersize=9 * size)
        axes.plot(
            row.p50_ms, lane, marker=style.marker, color=CARD, markersize=8 * size,
            markeredgecolor=INK, markeredgewidth=1,
        )  # fmt: skip
    _lanes(axes, table["worker"].tolist())
    _right(axes, "median", [f"{value:.3g} ms" for value in table["p50_ms"]])
    _milliseconds(axes)
    axes.set_title("Latency of the requests that each worker answered")
    return axes


def _milliseconds(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(
        "latency (ms, logarithmic)\n"
        "mark: median   bar: middle half   line: p10 to p90   stroke: p99"
    )


def _right(axes: Axes, head: str, texts: list[str]) -> None:
    """Write a column of texts at the lanes' right ends."""
    how: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL_PT}
    axes.annotate(
        head, (1, 1), (6, 5), xycoords="axes fraction", color=MUTED, **how
    )  # fmt: skip
    for lane in range(0, len(texts), _every(len(texts))):
        axes.annotate(
            texts[lane], (1, lane), (6, 0), xycoords=("axes fraction", "data"),
            va="center", annotation_clip=False, **how,
        )  # fmt: skip
