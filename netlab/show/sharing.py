"""Figures of how workers share connections: drawn from a study's table, on axes."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from netlab.show.named_rows import (
    dots,
    height_in,
    name_rows,
    percent_axis,
    upright,
    write_right,
)
from netlab.show.outlines import parted, with_room
from netlab.show.palette import look, new_axes
from netlab.show.sharing_tables import burst_table, slow_worker_table, the_one


@look()
def slow_worker(
    runs: pd.DataFrame,
    *,
    slower: float = 5,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw the share that a slow worker got, a row a strategy, the least on top.

    Two lines: its ideal share, in proportion to its speed, and the equal one. At
    the right is how long a run took, in shortest ones. slower: how many times
    slower that worker is. predicted: guessed percents by strategy, drawn as ghosts.
    recorded: others' runs, outlined where both have them. room: runs for which the
    axis has room too.

    Raises ValueError if there are no runs, or they differ in workers.
    """
    both = slow_worker_table(runs, slower, predicted, recorded)
    table, theirs = parted(both)
    ideal, equal = table[["ideal", "equal"]].to_numpy()[0]
    axes = axes or new_axes(height_in(len(table), 1.5))
    name_rows(axes, table["strategy"].tolist())
    dots(axes, table, "%", theirs)
    upright(axes, ideal, f"ideal\n{ideal:.1f} %", "right")
    upright(axes, equal, f"equal share\n{equal:.1f} %", "left")
    ratios = [f"{ratio:.1f} ×" for ratio in table["duration_ratio"]]
    write_right(axes, "run took", ratios)
    all_of = with_room(both, slow_worker_table, room)
    percent_axis(axes, table, all_of, least=all_of["equal"].to_numpy().max())
    workers = the_one(runs, "workers")
    axes.set_title(f"What the {slower:g} times slower of {workers} workers got", pad=32)
    return axes


@look()
def burst(
    runs: pd.DataFrame,
    *,
    predicted: Mapping[str, float] | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw the top worker's share of a burst, a row a strategy, the least on top.

    predicted: guessed percents by strategy, drawn as ghosts. recorded, room: see
    `slow_worker`.

    Raises ValueError if there are no runs, or they differ in workers or connections.
    """
    both = burst_table(runs, predicted, recorded)
    table, theirs = parted(both)
    workers, connections = (the_one(runs, name) for name in ("workers", "connections"))
    axes = axes or new_axes(height_in(len(table), 1.5))
    name_rows(axes, table["strategy"].tolist())
    dots(axes, table, "%", theirs)
    upright(axes, 100 / workers, f"ideal\n{100 / workers:.1f} %", "center")
    took = [f"{round(took, 1):,g} of {connections:,}" for took in table["took"]]
    write_right(axes, "one worker\ntook", took)
    percent_axis(axes, table, with_room(both, burst_table, room))
    axes.set_title(f"The top worker's share of a burst onto {workers} workers", pad=32)
    return axes
