"""The figure of page 05: where each worker ran, left free and bound, beside `ps`."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Rectangle

from netlab.show.beside import PS_LETTERS, ROW_IN, ps_head, ps_lines
from netlab.show.lanes import HIGHEST_IN
from netlab.show.palette import (
    BLUE,
    CARD,
    FAINT,
    MUTED,
    SMALL_PT,
    VERMILION,
    look,
    new_axes,
    pale,
    text_on,
)
from netlab.show.pinning_tables import (
    cpus_of,
    first_of,
    kinds,
    listed_of,
    of_workers,
    shares,
)

HEAD_IN = 0.6  # room above a block: its name, and the heads of its columns
NAME_PT = 19  # by which a block's name is above its first row
AROUND_IN = 0.95
NUMBERED = 12  # so many CPUs have room for numbers in their cells
LEAST_ROW_IN = 0.1
NAMED = 32  # so many rows have room for their text


BLOCKS = {
    False: "left free: the scheduler chooses",
    True: "bound: one CPU each",
}


class Block(NamedTuple):
    """One kind's rows: its first row's place, and the lines at the left."""

    bound: bool
    top: float
    lines: list[str]
    percent: pd.DataFrame


@look()
def pinning(
    looks: pd.DataFrame,
    *,
    threads: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a heat map of workers down and CPUs across, a block a kind: free, bound.

    A cell's shade and number are the percent of the worker's looks that saw it run
    there; a frame is around the CPU that the server bound it to. threads: the process
    list of both, whose lines then stand at the left. Of several repeats, the first.

    Raises ValueError if there are no looks, or the threads are not of these workers.
    """
    looks = first_of(looks, "worker", "worker_cpu", "cpu", "looks")
    lines = {bound: _lines_of(looks, threads, bound) for bound in kinds(looks)}
    row_in = _row_in(lines.values())
    blocks, rows = _blocks(looks, lines, HEAD_IN / row_in)
    axes = axes or new_axes(AROUND_IN + row_in * rows)
    cpus = cpus_of(looks)
    for block in blocks:
        _cells(axes, block, cpus)
        _frames(axes, block, looks, cpus)
        _heads(axes, block, cpus, threads is not None)
    _lines(axes, blocks)
    axes.set_xlim(-0.5, len(cpus) - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xlabel(
        "percent of the looks that saw it run, on each CPU\n"
        "framed: the CPU that the server bound it to", fontsize=SMALL_PT,
    )  # fmt: skip
    axes.set_title("Where each worker ran", pad=6)
    return axes


def _lines_of(
    looks: pd.DataFrame, threads: pd.DataFrame | None, bound: bool
) -> list[str]:
    """Return a line for each row of a block: of the process list, or the workers."""
    workers = shares(looks, bound).index
    if threads is None:
        return [f"worker {worker}" for worker in workers]
    of_workers(threads, bound, len(workers))  # or say that these are others
    return ps_lines(listed_of(threads, bound))


def _row_in(lines: Collection[list[str]]) -> float:
    """Return a row's height in inches, so that all blocks fit onto a screen."""
    room_in = HIGHEST_IN - AROUND_IN - len(lines) * HEAD_IN
    return min(ROW_IN, max(LEAST_ROW_IN, room_in / sum(map(len, lines))))


def _blocks(
    looks: pd.DataFrame, lines: dict[bool, list[str]], head_rows: float
) -> tuple[list[Block], float]:
    """Return the blocks below each other, and how many rows all need."""
    blocks, top = [], 0.0
    for bound, of_block in lines.items():
        top += head_rows
        blocks.append(Block(bound, top, of_block, shares(looks, bound)))
        top += len(of_block)
    return blocks, top


def _places(block: Block) -> list[float]:
    """Return the row of each worker; the main thread's line, if any, is above."""
    above = len(block.lines) - len(block.percent)
    return [block.top + above + at for at in range(len(block.percent))]


def _cells(axes: Axes, block: Block, cpus: list[int]) -> None:
    corners, fills = [], []
    for y, shares_of_one in zip(_places(block), block.percent.to_numpy(), strict=True):
        for x, percent in enumerate(shares_of_one):
            low, high, up, down = x - 0.5, x + 0.5, y - 0.5, y + 0.5
            corners.append([(low, up), (low, down), (high, down), (high, up)])
            fills.append(pale(BLUE, percent / 100) if percent else CARD)
            if len(cpus) <= NUMBERED and len(block.lines) <= NAMED:
                axes.text(
                    x, y, f"{percent:.0f}" if percent else "–", ha="center",
                    va="center_baseline", fontsize=SMALL_PT, color=text_on(fills[-1]),
                )  # fmt: skip
    axes.add_collection(
        PolyCollection(corners, facecolors=fills, edgecolors=FAINT, linewidths=0.8)
    )


def _frames(axes: Axes, block: Block, looks: pd.DataFrame, cpus: list[int]) -> None:
    if not block.bound:
        return
    mine = looks[looks["bound"] == block.bound].groupby("worker")["worker_cpu"].first()
    for y, cpu in zip(_places(block), mine, strict=True):
        if cpu >= 0:
            x = cpus.index(cpu)
            frame = Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, zorder=3)
            frame.set(edgecolor=VERMILION, linewidth=1.4)
            axes.add_patch(frame)


def _heads(axes: Axes, block: Block, cpus: list[int], listed: bool) -> None:
    """Write a block's name, and what its columns are, above it."""
    above = block.top - 0.5
    every = -(-len(cpus) // NUMBERED)
    for x in range(0, len(cpus), every):
        axes.annotate(
            f"CPU {cpus[x]}" if every == 1 else str(cpus[x]), (x, above), (0, 3),
            textcoords="offset points", ha="center", fontsize=SMALL_PT, color=MUTED,
        )  # fmt: skip
    if listed:
        ps_head(axes, above)
    axes.annotate(
        BLOCKS[block.bound], (0, above), (0, NAME_PT), weight="bold",
        xycoords=("axes fraction", "data"), textcoords="offset points",
    )  # fmt: skip


def _lines(axes: Axes, blocks: list[Block]) -> None:
    """Write the lines at the left, as many as have room."""
    at = [block.top + row for block in blocks for row in range(len(block.lines))]
    lines = [line for block in blocks for line in block.lines]
    every = -(-len(lines) // NAMED)
    axes.set_yticks(at[::every], lines[::every], **PS_LETTERS)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
