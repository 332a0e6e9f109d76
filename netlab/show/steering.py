"""The figure of steering: which worker took the connections of which CPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Rectangle

from netlab.show.lanes import HIGHEST_IN, LANE_IN
from netlab.show.outlines import RECORDED, THIN, parted, with_room
from netlab.show.palette import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    SMALL_PT,
    VERMILION,
    look,
    new_axes,
    pale,
    text_on,
)
from netlab.show.sharded_tables import on_client_cpu, steering_table
from netlab.show.tables import rows

MAPS_BESIDE, COLUMNS_BESIDE = 3, 18  # so many stand beside each other, else below
MAPS_IN = 5.6  # the width in which all columns lie
DIGIT_IN = 0.085  # width that a digit of a cell's number needs
NAMED = 16  # so many columns, and rows of all maps, have room for their names
FRAMED = 16  # of so many rows and columns a frame may be broad
BETWEEN = 0.8  # room between two maps, in columns
HEAD_IN, AROUND_IN = 0.6, 1.25  # room above a map, and around all
CORNERS = ((0, 2), (0, 3), (1, 3), (1, 2))  # of (left, right, low, high)


class Map(NamedTuple):
    """One strategy's cells, and where they lie: its first column and row."""

    strategy: str
    cells: pd.DataFrame
    left: float
    top: float


class Grid(NamedTuple):
    """What all maps have: client CPUs down, workers with their CPU across."""

    cpus: list[int]
    workers: list[tuple[int, int]]
    beside: bool
    row_in: float
    full_percent: float  # the share that has the full shade


@look()
def steering(
    connections: pd.DataFrame,
    *,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a heat map a strategy: the client's CPU down, the worker that took across.

    A cell's shade is its share of that CPU's connections, its number how many; a
    frame says that the worker's CPU is the client's. recorded: others' connections; the
    shade of each is in a small square in the cell. room: connections that are drawn
    elsewhere in the same shades.

    Raises ValueError if there are no connections.
    """
    both = steering_table(connections, recorded)
    table, theirs = parted(both)
    all_of = with_room(both, steering_table, room)
    grid = _grid(table, all_of["share_percent"].to_numpy().max())
    maps = _maps(table, grid)
    down_in = grid.row_in * (maps[-1].top + len(grid.cpus)) + HEAD_IN
    axes = axes or new_axes(AROUND_IN + down_in)
    for one in maps:
        _cells(axes, one, grid, len(maps))
        _frames(axes, one, grid)
        _outlines(axes, one, grid, theirs)
    _heads(axes, maps, on_client_cpu(table))
    _name(axes, maps, grid, len(theirs) > 0)
    axes.set_title("Which worker took the connections of each client's CPU")
    return axes


def _grid(table: pd.DataFrame, full_percent: float) -> Grid:
    cpus, maps = sorted(set(table["client_cpu"])), len(set(table["strategy"]))
    workers = sorted(set(zip(table["worker"], table["worker_cpu"], strict=True)))
    beside = maps <= MAPS_BESIDE and maps * len(workers) <= COLUMNS_BESIDE
    below = 1 if beside else maps
    room_in = HIGHEST_IN - AROUND_IN - below * HEAD_IN
    row_in = min(LANE_IN, room_in / (below * len(cpus)))
    return Grid(cpus, workers, beside, row_in, full_percent)


def _maps(table: pd.DataFrame, grid: Grid) -> list[Map]:
    right, down = len(grid.workers) + BETWEEN, len(grid.cpus) + HEAD_IN / grid.row_in
    step = (right, 0) if grid.beside else (0, down)
    by_strategy = cast(Iterable[tuple[str, Any]], table.groupby("strategy", sort=False))
    return [
        Map(strategy, cells, at * step[0], at * step[1])
        for at, (strategy, cells) in enumerate(by_strategy)
    ]


def _cells(axes: Axes, one: Map, grid: Grid, maps: int) -> None:
    """Draw all cells as one collection, and their numbers where there is room."""
    across = len(grid.workers) * (maps if grid.beside else 1)
    widest = max(len(f"{count:,}") for count in one.cells["connections"])
    numbered = DIGIT_IN * widest < MAPS_IN / across and grid.row_in > DIGIT_IN * 2
    corners, fills = [], []
    for row in rows(one.cells):
        x, y = _place(one, grid, row)
        sides = (x - 0.5, x + 0.5, y - 0.5, y + 0.5)
        corners.append([(sides[at], sides[to]) for at, to in CORNERS])
        fills.append(_shade(grid, row))
        if numbered:
            axes.text(
                x, y, f"{row.connections:,}", ha="center", va="center_baseline",
                fontsize=SMALL_PT, color=text_on(fills[-1]),
            )  # fmt: skip
    edge = 0.8 if numbered else 0
    axes.add_collection(
        PolyCollection(corners, facecolors=fills, edgecolors=FAINT, linewidths=edge)
    )


def _frames(axes: Axes, one: Map, grid: Grid) -> None:
    """Frame the cells in which the worker's CPU is the client's."""
    broad = max(len(grid.cpus), len(grid.workers)) <= FRAMED
    for row in rows(one.cells.query("client_cpu == worker_cpu")):
        x, y = _place(one, grid, row)
        frame = Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor=VERMILION)
        frame.set(linewidth=2 if broad else 0.8, zorder=3)
        axes.add_patch(frame)


def _outlines(axes: Axes, one: Map, grid: Grid, recorded: pd.DataFrame) -> None:
    """Draw others' share as the shade of a small square, in a corner of the cell."""
    for row in rows(recorded.query(f"strategy == {one.strategy!r}")):
        x, y = _place(one, grid, row)
        square = Rectangle((x + 0.28, y + 0.1), 0.14, 0.3, zorder=4)
        square.set(facecolor=_shade(grid, row), edgecolor=INK, linewidth=THIN)
        axes.add_patch(square)


def _shade(grid: Grid, row: Any) -> str:
    return pale(BLUE, row.share_percent / (grid.full_percent or 1))


def _place(one: Map, grid: Grid, row: Any) -> tuple[float, float]:
    column = grid.workers.index((row.worker, row.worker_cpu))
    return one.left + column, one.top + grid.cpus.index(row.client_cpu)


def _heads(axes: Axes, maps: list[Map], percents: dict[str, float]) -> None:
    """Write above each map its strategy, and how much stayed on the client's CPU."""
    for one in maps:
        said = f"{percents[one.strategy]:.0f} % on the client's CPU"
        _above(axes, one, 17, one.strategy, weight="bold")
        _above(axes, one, 4, said, color=MUTED)


def _above(axes: Axes, one: Map, points: float, text: str, **how: Any) -> None:
    axes.annotate(
        text, (one.left - 0.5, one.top - 0.5), (0, points), annotation_clip=False,
        textcoords="offset points", fontsize=SMALL_PT, **how,
    )  # fmt: skip


def _name(axes: Axes, maps: list[Map], grid: Grid, outlined: bool) -> None:
    """Name the rows of the leftmost maps, and the columns of the lowest in two rows."""
    left = [one for one in maps if one.left == 0]
    low = [one for one in maps if one.top == maps[-1].top]
    down = range(0, len(grid.cpus), -(-len(grid.cpus) * len(left) // NAMED))
    across = range(0, len(grid.workers), -(-len(grid.workers) // NAMED))
    names = ["{}\n{}".format(*grid.workers[column]) for column in across]
    places = [one.top + row for one in left for row in down]
    axes.set_yticks(places, [str(grid.cpus[row]) for row in down] * len(left))
    places = [one.left + column for one in low for column in across]
    axes.set_xticks(places, names * len(low))
    axes.set_xlim(-0.55, maps[-1].left + len(grid.workers) - 0.45)
    axes.set_ylim(
        maps[-1].top + len(grid.cpus) - 0.45, -0.5 - 0.65 * HEAD_IN / grid.row_in
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("client's CPU")
    _name_columns(axes, outlined)


def _name_columns(axes: Axes, outlined: bool) -> None:
    axes.annotate(
        "worker\nCPU", (0, 0), (-8, -3), xycoords="axes fraction", ha="right", va="top",
        textcoords="offset points", color=MUTED, fontsize=SMALL_PT,
    )  # fmt: skip
    axes.set_xlabel(
        "shade: share of the connections from that CPU   "
        "frame: the worker's CPU is the client's"
        + (f"\nsmall square: the shade of that share, {RECORDED}" if outlined else "")
    )
