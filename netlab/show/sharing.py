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
from netlab.show.palette import look, new_axes
from netlab.show.sharing_tables import burst_table, slow_worker_table, the_one


@look()
def slow_worker(
    runs: pd.DataFrame,
    *,
    slower: float = 5,
    predicted: Mapping[str, float] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw the share that a slow worker got, a row a strategy, the least on top.

    Two lines: its ideal share, in proportion to its speed, and the equal one. At
    the right is how long a run took, in shortest ones. slower: how many times
    slower that worker is. predicted: guessed percents by strategy, drawn as ghosts.

    Raises ValueError if there are no runs, or they differ in workers.
    """
    table = slow_worker_table(runs, slower, predicted)
    ideal, equal = table[["ideal", "equal"]].to_numpy()[0]
    axes = axes or new_axes(height_in(len(table), 1.5))
    name_rows(axes, table["strategy"].tolist())
    dots(axes, table, "%")
    upright(axes, ideal, f"ideal\n{ideal:.1f} %", "right")
    upright(axes, equal, f"equal share\n{equal:.1f} %", "left")
    ratios = [f"{ratio:.1f} ×" for ratio in table["duration_ratio"]]
    write_right(axes, "run took", ratios)
    percent_axis(axes, table, least=equal)
    axes.set_title(f"What a worker {slower:g} times slower than the others got", pad=32)
    return axes


@look()
def burst(
    runs: pd.DataFrame,
    *,
    predicted: Mapping[str, float] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw the top worker's share of a burst, a row a strategy, the least on top.

    predicted: guessed percents by strategy, drawn as ghosts.

    Raises ValueError if there are no runs, or they differ in workers or connections.
    """
    table = burst_table(runs, predicted)
    workers, connections = (the_one(runs, name) for name in ("workers", "connections"))
    axes = axes or new_axes(height_in(len(table), 1.5))
    name_rows(axes, table["strategy"].tolist())
    dots(axes, table, "%")
    upright(axes, 100 / workers, f"ideal\n{100 / workers:.1f} %", "center")
    took = [f"{round(took, 1):,g} of {connections:,}" for took in table["took"]]
    write_right(axes, "one worker\ntook", took)
    percent_axis(axes, table)
    axes.set_title(f"The top worker's share of a burst onto {workers} workers", pad=32)
    return axes
