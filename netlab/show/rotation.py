"""The figure of a listener that is re-added now and then: a strip per rule."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from netlab.show import rotation_tables
from netlab.show.lanes import HIGHEST_IN, LANE_IN
from netlab.show.named_rows import beside
from netlab.show.palette import FAINT, INK, MUTED, look, new_axes, worker_style

FEW = 8  # so many lanes of a strip have room for text
HEAD_IN = 0.42  # room above a strip for its words
AROUND_IN = 1.15  # title and axis of a card


class Strip(NamedTuple):
    """Where a strip lies, in lanes: its first lane, how many, the room above."""

    top: float
    workers: int
    head: float


@look()
def rotate(
    accepts: pd.DataFrame,
    *,
    workers: int | None = None,
    first: int = 64,
    axes: Axes | None = None,
) -> Axes:
    """Draw who served each of the first connections, a strip per `every`.

    The rarer the listener is re-added, the higher the strip; at the right is what
    each worker got of all connections. workers: how many there are, to show those
    that got nothing.

    Raises ValueError if there are no accepts.
    """
    table = rotation_tables.rotate_table(accepts, workers, first)
    drawn = rotation_tables.in_order(accepts).groupby("every").head(first)
    everies = list(table["every"].unique())
    count = int(table["worker"].to_numpy().max()) + 1
    height_in, strips = _strips(len(everies), count)
    axes = axes or new_axes(height_in)
    for every, strip in zip(everies, strips, strict=True):
        _strip(axes, drawn.query(f"every == {every!r}"), strip)
        _words(axes, table.query(f"every == {every!r}"), strip)
    _name_lanes(axes, strips)
    _number(axes, int(drawn["connection"].to_numpy().max()))
    axes.set_title("Who served each connection, by how often the listener is re-added")
    return axes


def _strips(count: int, workers: int) -> tuple[float, list[Strip]]:
    """Return the card's height in inches, and where its strips lie."""
    room_in = HIGHEST_IN - AROUND_IN - count * HEAD_IN
    lane_in = min(LANE_IN, room_in / (count * workers))
    head = HEAD_IN / lane_in
    strips = [Strip(at * (workers + head), workers, head) for at in range(count)]
    return AROUND_IN + count * (HEAD_IN + lane_in * workers), strips


def _strip(axes: Axes, own: pd.DataFrame, strip: Strip) -> None:
    last = own["connection"].to_numpy().max()
    lanes = [strip.top + worker for worker in _named(strip)]
    axes.hlines(lanes, 0.5, last + 0.5, color=FAINT, linewidth=0.8, zorder=0)
    for worker, served in own.groupby("worker"):
        style = worker_style(int(str(worker)))
        axes.plot(
            served["connection"], served["worker"] + strip.top, marker=style.marker,
            color=style.color, linestyle="none", markeredgecolor=INK,
            markersize=5.5 if strip.workers <= FEW else 3.5, markeredgewidth=0.5,
        )  # fmt: skip


def _words(axes: Axes, own: pd.DataFrame, strip: Strip) -> None:
    """Write a strip's head, and what each worker got of all connections."""
    head = rotation_tables.re_added(own["every"].iloc[0])
    above = strip.top - 0.5 - strip.head / 3
    beside(axes, 0, above, head, 0, weight="bold")
    longest = f"longest block: {own['longest_block'].max():,}"
    beside(axes, 1, above, longest, 0, ha="right", color=MUTED)
    beside(axes, 1, above, f"of {own['connections'].sum():,}", color=MUTED)
    counts = own["connections"].to_numpy()
    for worker in _named(strip):
        beside(axes, 1, strip.top + worker, f"{counts[worker]:,}")


def _named(strip: Strip) -> range:
    """Return the workers whose lanes have a line and text: all, if they are few."""
    return range(0, strip.workers, -(-strip.workers // FEW))


def _name_lanes(axes: Axes, strips: list[Strip]) -> None:
    named, last = _named(strips[0]), strips[-1]
    places = [strip.top + worker for strip in strips for worker in named]
    axes.set_yticks(places, [str(worker) for worker in named] * len(strips))
    axes.set_ylim(last.top + last.workers - 0.2, -0.5 - 0.7 * strips[0].head)
    axes.set_ylabel("worker")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _number(axes: Axes, last: int) -> None:
    axes.set_xlim(0.2, last + 0.8)
    step = 4 * -(-last // 60)
    axes.set_xticks([1, *range(step, last + 1, step)])
    axes.set_xlabel("connection, in the order of accepts")
