"""The figures of netlab: each takes a run's table and returns Axes.

Nothing here fetches, starts or prints. Plot X draws the numbers of
`tables.X_table`, and `tables.X_alt` says them in words; `PLOTS` has the three
together, by the plot's name. All take the same first argument, and options:

    row = PLOTS["accepts_per_worker"]
    row.draw(run.workers, predicted=guess)      Axes, on a card of their own
    row.alt(run.workers, predicted=guess)       the same in words
    row.table(run.workers, predicted=guess)     the same in numbers

    show("accepts_per_worker", run.workers, stamp=stamp)     all of it, for a page

`draw` also takes `axes=`, to draw into a figure of several, and where its axes are of
amounts `room=`, the table of another, so that both have the same scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from netlab.show import (
    atlas_tables,
    attack_tables,
    choice_tables,
    engines_tables,
    equilibrium_tables,
    figures,
    firsts_tables,
    handing_over_tables,
    herd_tables,
    idle_tables,
    lives_tables,
    orders_tables,
    pinning_tables,
    rotation_tables,
    settling_tables,
    sharded_tables,
    sharing_tables,
    tables,
    truths_tables,
    xray_table,
)
from netlab.show.afterwards import afterwards
from netlab.show.atlas import matrix
from netlab.show.attack import attack
from netlab.show.bars import accepts_per_worker
from netlab.show.beside import accepts_beside_ps
from netlab.show.choice import choice
from netlab.show.engine_lines import engine_lines
from netlab.show.engines import engines
from netlab.show.equilibrium import equilibrium
from netlab.show.figures import Shown
from netlab.show.firsts import head_of_line, turns
from netlab.show.handing_over import handing_over
from netlab.show.herd import herd, herd_cost, herd_under_load
from netlab.show.idle import idle_clients
from netlab.show.lanes import accept_timeline, cpu_placement, latency_by_worker
from netlab.show.lives import one_life, switches
from netlab.show.orders import orders
from netlab.show.pinning import pinning
from netlab.show.rates import rate_curve
from netlab.show.rotation import rotate
from netlab.show.settling import settling
from netlab.show.sharded import latency_tail, worker_death
from netlab.show.sharing import burst, slow_worker
from netlab.show.steering import steering
from netlab.show.truths import two_truths
from netlab.show.xray import xray

__all__ = [
    "PLOTS",
    "Plot",
    "accept_timeline",
    "accepts_beside_ps",
    "accepts_per_worker",
    "afterwards",
    "attack",
    "burst",
    "choice",
    "cpu_placement",
    "engine_lines",
    "engines",
    "equilibrium",
    "handing_over",
    "head_of_line",
    "herd",
    "herd_cost",
    "herd_under_load",
    "idle_clients",
    "latency_by_worker",
    "latency_tail",
    "matrix",
    "one_life",
    "orders",
    "pinning",
    "rate_curve",
    "rotate",
    "settling",
    "show",
    "slow_worker",
    "steering",
    "switches",
    "two_truths",
    "worker_death",
    "xray",
]
STUDY = "a study's table"


class Plot(NamedTuple):
    """One row: a run's table (an attribute of Run) or STUDY, and what is made of it."""

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
    Plot(
        "head_of_line",
        STUDY,
        head_of_line,
        firsts_tables.head_of_line_alt,
        firsts_tables.head_of_line_table,
    ),
    Plot("turns", STUDY, turns, firsts_tables.turns_alt, firsts_tables.turns_table),
    Plot("herd", STUDY, herd, herd_tables.herd_alt, herd_tables.herd_table),
    Plot(
        "herd_cost",
        STUDY,
        herd_cost,
        herd_tables.herd_cost_alt,
        herd_tables.herd_cost_table,
    ),
    Plot(
        "herd_under_load",
        STUDY,
        herd_under_load,
        herd_tables.herd_under_load_alt,
        herd_tables.herd_under_load_table,
    ),
    Plot(
        "pinning",
        STUDY,
        pinning,
        pinning_tables.pinning_alt,
        pinning_tables.pinning_table,
    ),
    Plot("orders", STUDY, orders, orders_tables.orders_alt, orders_tables.orders_table),
    Plot(
        "rotate",
        STUDY,
        rotate,
        rotation_tables.rotate_alt,
        rotation_tables.rotate_table,
    ),
    Plot(
        "settling",
        STUDY,
        settling,
        settling_tables.settling_alt,
        settling_tables.settling_table,
    ),
    Plot(
        "slow_worker",
        STUDY,
        slow_worker,
        sharing_tables.slow_worker_alt,
        sharing_tables.slow_worker_table,
    ),
    Plot("burst", STUDY, burst, sharing_tables.burst_alt, sharing_tables.burst_table),
    Plot(
        "equilibrium",
        STUDY,
        equilibrium,
        equilibrium_tables.equilibrium_alt,
        equilibrium_tables.equilibrium_table,
    ),
    Plot(
        "afterwards",
        STUDY,
        afterwards,
        equilibrium_tables.afterwards_alt,
        equilibrium_tables.afterwards_table,
    ),
    Plot(
        "handing_over",
        STUDY,
        handing_over,
        handing_over_tables.handing_over_alt,
        handing_over_tables.handing_over_table,
    ),
    Plot("choice", STUDY, choice, choice_tables.choice_alt, choice_tables.choice_table),
    Plot(
        "latency_tail",
        STUDY,
        latency_tail,
        sharded_tables.latency_tail_alt,
        sharded_tables.latency_tail_table,
    ),
    Plot(
        "worker_death",
        STUDY,
        worker_death,
        sharded_tables.worker_death_alt,
        sharded_tables.worker_death_table,
    ),
    Plot(
        "steering",
        STUDY,
        steering,
        sharded_tables.steering_alt,
        sharded_tables.steering_table,
    ),
    Plot("matrix", STUDY, matrix, atlas_tables.matrix_alt, atlas_tables.matrix_table),
    Plot(
        "two_truths",
        STUDY,
        two_truths,
        truths_tables.two_truths_alt,
        truths_tables.two_truths_table,
    ),
    Plot(
        "rate_curve",
        STUDY,
        rate_curve,
        truths_tables.rate_curve_alt,
        truths_tables.rate_curve_table,
    ),
    Plot(
        "idle_clients",
        STUDY,
        idle_clients,
        idle_tables.idle_clients_alt,
        idle_tables.idle_clients_table,
    ),
    Plot(
        "engines",
        STUDY,
        engines,
        engines_tables.engines_alt,
        engines_tables.engines_table,
    ),
    Plot(
        "engine_lines",
        STUDY,
        engine_lines,
        engines_tables.engine_lines_alt,
        engines_tables.engine_lines_table,
    ),
    Plot("xray", STUDY, xray, xray_table.xray_alt, xray_table.xray_table),
    Plot(
        "one_life",
        STUDY,
        one_life,
        lives_tables.one_life_alt,
        lives_tables.one_life_table,
    ),
    Plot(
        "switches",
        STUDY,
        switches,
        lives_tables.switches_alt,
        lives_tables.switches_table,
    ),
    Plot(
        "attack",
        STUDY,
        attack,
        attack_tables.attack_alt,
        attack_tables.attack_table,
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
