"""One rule, five orders: what becomes of a woken waiter says who gets the next.

The course's central figure. A strip per strategy, one below the other: the wait
queue as a drawing, a mark at the worker that served each connection, and what each
worker got of all. All strips lie in one coordinate system, a lane a worker, so that
the drawing and the shares stand beside the lanes whatever the card's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from netlab.show.orders_tables import (
    FIRST,
    RULES,
    Strip,
    orders_table,
    served,
    strips,
)
from netlab.show.outlines import BAR, RECORDED, parted
from netlab.show.palette import (
    FAINT,
    INK,
    MUTED,
    SMALL_PT,
    look,
    new_axes,
    pale,
    worker_style,
)
from netlab.show.queue_drawing import HIGH_IN, draw_queue

LANE_IN, HEAD_IN, FIRST_HEAD_IN, AROUND_IN = 0.175, 0.36, 0.25, 1.6
HIGHEST_IN = 7.4
NAMED_LANE_IN = 0.14  # so high a lane has room for text
MARKS = (0.305, 0.795)  # where the connections begin and end, in the axes' width
NAMES = 0.285  # the workers' numbers
SHARES = (0.83, 0.95)  # where the bars begin and end
COUNTS = 1.0  # the numbers beside them


class Places(NamedTuple):
    """How high the strips are: inches a lane, lanes a strip, and with its head."""

    lane_in: float
    lanes: int
    pitch: float

    def top(self, strip: int) -> float:
        """The first lane of that strip."""
        return strip * self.pitch


@look()
def orders(
    accepts: pd.DataFrame,
    *,
    strategies: Sequence[str] | None = None,
    band: tuple[int, int] | None = None,
    recorded: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a strip per rule: the wait queue, the first 48 winners, and all shares.

    strategies: which to draw, in that order; else the first of each rule.
    band: the fewest and the most connections in the binomial 99.99 % band of a
    worker, for the strip of a hash. recorded: others' accepts, whose shares are
    outlined where both have the strategy; of how many does not matter.

    Raises ValueError if there are no accepts, or not those asked for.
    """
    drawn = strips(accepts, strategies, band)
    _, theirs = parted(orders_table(accepts, strategies, band, recorded))
    lanes = 1 + max(max(*strip.owners, *strip.registered) for strip in drawn)
    places = _places(len(drawn), lanes)
    if axes is None:
        strips_in = len(drawn) * places.pitch * places.lane_in
        axes = new_axes(AROUND_IN + strips_in - HEAD_IN)
    _prepare(axes, len(drawn), places)
    beside = axes.inset_axes((SHARES[0], 0, SHARES[1] - SHARES[0], 1))
    beside.set_xlim(0, max(len(strip.owners) for strip in drawn))
    beside.set_ylim(axes.get_ylim())
    beside.axis("off")
    for at, strip in enumerate(drawn):
        _head(axes, strip, places.top(at))
        _queue(axes, strip, places, at)
        _marks(axes, strip, places, at)
        if band is not None and strip.rule.name == "hash":
            _band(beside, band, places, at)
        _shares(axes, beside, strip, places, at)
        _outlines(beside, strip, places.top(at), theirs)
    _write_around(axes, drawn, band)
    if len(theirs):
        _below(axes, SHARES[0], 14, f"□ {RECORDED}")
    return axes


def _places(strips: int, lanes: int) -> Places:
    """Return strips that fit on a screen, each with room for its drawing."""
    most = (HIGHEST_IN - AROUND_IN) / strips - HEAD_IN
    high_in = max(HIGH_IN, min(LANE_IN * lanes, most))
    lane_in = high_in / lanes
    return Places(lane_in, lanes, lanes + HEAD_IN / lane_in)


def _prepare(axes: Axes, strips: int, places: Places) -> None:
    """Make the axes' coordinates: connections across, lanes downwards."""
    wide = (FIRST - 1) / (MARKS[1] - MARKS[0])
    axes.set_xlim(1 - MARKS[0] * wide, 1 + (1 - MARKS[0]) * wide)
    foot = strips * places.pitch - HEAD_IN / places.lane_in / 2 - 0.5
    axes.set_ylim(foot, -0.5 - FIRST_HEAD_IN / places.lane_in)
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks([1, *range(4, FIRST + 1, 4)])
    axes.tick_params(axis="x", length=3)


def _head(axes: Axes, strip: Strip, top: float) -> None:
    _write(axes, (0, top - 0.5), (0, 4), strip.rule.head, weight="bold")
    _write(axes, (MARKS[0], top - 0.5), (-3, 4), strip.strategy, weight="bold")
    _write(axes, (MARKS[1], top - 0.5), (3, 4), strip.order, ha="right")


def _queue(axes: Axes, strip: Strip, places: Places, at: int) -> None:
    """Draw the queue at the left, in the middle of the strip's lanes."""
    foot, head = axes.get_ylim()
    middle = (foot - places.top(at) - places.lanes / 2 + 0.5) / (foot - head)
    high = HIGH_IN / places.lane_in / (foot - head)
    inset = axes.inset_axes((0, middle - high / 2, NAMES - 0.02, high))
    draw_queue(inset, strip.rule.name, strip.registered)


def _marks(axes: Axes, strip: Strip, places: Places, at: int) -> None:
    """Mark each of the first connections in the lane of its worker."""
    top, room = places.top(at), places.lane_in >= NAMED_LANE_IN
    lanes = range(places.lanes)
    axes.hlines(
        [top + lane for lane in lanes], 0.5, FIRST + 0.5, color=FAINT, zorder=0,
        linewidth=0.8 if room else 0.2,
    )  # fmt: skip
    for worker in sorted({*strip.owners[:FIRST]}):
        numbers, style = served(strip, worker), worker_style(worker)
        axes.plot(
            numbers, [top + worker] * len(numbers), marker=style.marker,
            color=style.color, linestyle="none", markersize=5.5 if room else 2.5,
            markeredgecolor=INK, markeredgewidth=0.5 if room else 0,
        )  # fmt: skip
    for worker in lanes[:: _every(places)]:
        _write(
            axes, (NAMES, top + worker), (0, 0), str(worker), ha="right", va="center"
        )


def _shares(axes: Axes, beside: Axes, strip: Strip, places: Places, at: int) -> None:
    """Draw what each worker got of all, and write it where there is room."""
    lanes = range(places.lanes)
    counts = [strip.share(worker) for worker in lanes]
    top = places.top(at)
    beside.barh(
        [top + lane for lane in lanes], counts, 0.72,
        color=[worker_style(worker).color for worker in lanes],
    )  # fmt: skip
    room = places.lane_in >= NAMED_LANE_IN
    for lane in lanes if room else [counts.index(max(counts))]:
        half = NAMED_LANE_IN / places.lane_in / 2 - 0.5  # of the text, beyond its lane
        beside_lane = top + min(max(lane, half), places.lanes - 1 - half)
        _write(
            axes, (COUNTS, beside_lane), (0, 0), f"{counts[lane]:,}", ha="right",
            va="center",
        )  # fmt: skip


def _outlines(beside: Axes, strip: Strip, top: float, recorded: pd.DataFrame) -> None:
    """Outline what share others' workers got, on this strip's scale."""
    own = recorded[recorded["strategy"] == strip.strategy].query("connections > 0")
    counts = own["connections"] / own["of"] * len(strip.owners)
    beside.barh(top + own["worker"], counts, 0.86, zorder=2, clip_on=False, **BAR)


def _band(beside: Axes, band: tuple[int, int], places: Places, at: int) -> None:
    first, last = places.top(at) - 0.5, places.top(at) + places.lanes - 0.5
    beside.fill_betweenx([first, last], *band, color=pale(INK, 0.2), zorder=0)
    beside.vlines(band, first, last, color=INK, linewidth=0.8, linestyle=":", zorder=3)


def _every(places: Places) -> int:
    """Return 1 if every lane has room for its name, 2 if every second, ..."""
    every = 1
    while every * places.lane_in < NAMED_LANE_IN:
        every *= 2
    return every


def _write_around(axes: Axes, drawn: list[Strip], band: tuple[int, int] | None) -> None:
    """Write the title, what the axes are, and how the connections came."""
    several = {len(strip.owners) for strip in drawn}
    of = f"of {several.pop():,}" if len(several) == 1 else "of all"
    _write(axes, (COUNTS, -0.5), (0, 4), of, ha="right", color=MUTED)
    all_rules = {strip.rule.name for strip in drawn} == set(RULES)
    title = "One rule, five orders" if all_rules else "Who gets the next"
    axes.set_title(f"{title}: what becomes of the waiter that was woken")
    axes.set_xlabel("connection, in its worker's lane", x=sum(MARKS) / 2, ha="center")
    notes = ["one connection at a time, workers wait without a time limit"]
    if band is not None:
        notes += [f"grey: binomial 99.99 % band, {band[0]:,} to {band[1]:,}"]
    _below(axes, 0, 14, "● new connection")
    _below(axes, 0, 28, "■ woken by it")
    for x, align, note in zip((0, 1), ("left", "right"), notes, strict=False):
        _below(axes, x, 51, note, ha=align)


def _below(axes: Axes, x: float, points: float, text: str, **how: Any) -> None:
    axes.annotate(
        text, (x, 0), (0, -points), xycoords="axes fraction", va="baseline",
        textcoords="offset points", fontsize=SMALL_PT, color=MUTED, **how,
    )  # fmt: skip


def _write(
    axes: Axes, place: tuple[float, float], offset: tuple[float, float], text: str,
    **how: Any,
) -> None:  # fmt: skip
    """Write at a place across the axes, as a share of their width, and a lane."""
    axes.annotate(
        text, place, offset, xycoords=("axes fraction", "data"),
        textcoords="offset points", annotation_clip=False,
        **{"fontsize": SMALL_PT, "va": "bottom", **how},
    )  # fmt: skip
