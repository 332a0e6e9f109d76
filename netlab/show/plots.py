"""The figures of netlab: each takes a run's table and returns Axes.

Nothing here fetches, starts or prints. Plot X draws the numbers of
`tables.X_table`, and `tables.X_alt` says them in words; `PLOTS` has the three
together, by the plot's name. All take the same first argument, and options:

    row = PLOTS["accepts_per_worker"]
    row.draw(run.workers, predicted=guess)      Axes, on a card of their own
    row.alt(run.workers, predicted=guess)       the same in words
    row.table(run.workers, predicted=guess)     the same in numbers

    show("accepts_per_worker", run.workers, stamp=stamp)     all of it, for a page

`draw` also takes `axes=`, to draw into a figure of several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from netlab.show import figures, tables
from netlab.show.bars import accepts_per_worker
from netlab.show.beside import accepts_beside_ps
from netlab.show.figures import Shown
from netlab.show.lanes import accept_timeline, cpu_placement, latency_by_worker

__all__ = [
    "PLOTS",
    "Plot",
    "accept_timeline",
    "accepts_beside_ps",
    "accepts_per_worker",
    "cpu_placement",
    "latency_by_worker",
    "show",
]


class Plot(NamedTuple):
    """One row: a run's table (an attribute of Run), and what is made of it."""

    name: str
    takes: str
    draw: Callable[..., Axes]
    alt: Callable[..., str]
    table: Callable[..., pd.DataFrame]


_ROWS = (
    Plot(
        "accepts_per_worker",
        "workers",
        accepts_per_worker,
        tables.accepts_per_worker_alt,
        tables.accepts_per_worker_table,
    ),
    Plot(
        "accepts_beside_ps",
        "workers",
        accepts_beside_ps,
        tables.accepts_beside_ps_alt,
        tables.accepts_beside_ps_table,
    ),
    Plot(
        "cpu_placement",
        "samples",
        cpu_placement,
        tables.cpu_placement_alt,
        tables.cpu_placement_table,
    ),
    Plot(
        "accept_timeline",
        "accepts",
        accept_timeline,
        tables.accept_timeline_alt,
        tables.accept_timeline_table,
    ),
    Plot(
        "latency_by_worker",
        "requests",
        latency_by_worker,
        tables.latency_by_worker_alt,
        tables.latency_by_worker_table,
    ),
)
PLOTS = {row.name: row for row in _ROWS}


def show(name: str, table: pd.DataFrame, *, stamp: str, **options: Any) -> Shown:
    """Draw plot `name` of a run's table, and return it with its words and numbers.

    stamp: the line below it, see `figures.stamp`. options: those of the plot.

    Raises ValueError for a name that is not in PLOTS.
    """
    if name not in PLOTS:
        raise ValueError(f"plot {name!r}: there are {', '.join(PLOTS)}")
    row = PLOTS[name]
    return figures.show(
        row.draw(table, **options),
        stamp=stamp,
        alt=row.alt(table, **options),
        table=row.table(table, **options),
    )
