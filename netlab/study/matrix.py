"""Study `matrix`: every strategy by every measure, the atlas of the table.

Each strategy runs the same four loads, on the engine that shows the kernel, if it can:

    touch    connections one at a time: the order, and what accepting alone costs
    burst    idle connections at once: the top worker's share
    slow     one of two workers five times slower: its share
    closed   many clients at once, light work: the latency that 99 % stay below

A cell is the median over the repeats. A strategy that cannot run here keeps its row,
with the reason. No measure of time is better known than the machine is quiet: compare
within one atlas only.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.server import strategies
from netlab.study.found import Found
from netlab.study.interleave import Measured, Point, interleaved
from netlab.study.orders import (
    CHOSEN,
    REGISTERED,
    class_of,
    one_at_a_time,
    possible,
)
from netlab.study.sharing import burst_point, slow_point, slow_share, top_share

if TYPE_CHECKING:
    from netlab.server.strategy import Strategy

TOUCHED, CLOSED, AT_ONCE, SPIN_US = 200, 400, 32, 100
IDEALS = {"burst top share": 25, "slow worker's share": 16.7}


class Measure(NamedTuple):
    """A column of the atlas: how it is had from a run of one of the loads."""

    name: str
    unit: str
    load: str
    value: Callable[[Measured], Any]


def _figure(name: str) -> Callable[[Measured], Any]:
    return lambda measured: measured.run.figures[name]


MEASURES = (
    Measure("order", "", "touch", lambda measured: class_of(measured)["seen"]),
    Measure("wake-ups", "per accept", "touch", _figure("accept_wakeups_per_accept")),
    Measure("turns", "per accept", "touch", _figure("accept_turns_per_accept")),
    Measure(
        "would-blocks", "per accept", "touch", _figure("accept_would_block_per_accept")
    ),
    Measure("CPU time", "us per accept", "touch", _figure("accept_cpu_us_per_accept")),
    Measure("burst top share", "%", "burst", top_share),
    Measure("slow worker's share", "%", "slow", slow_share),
    Measure("p99 latency", "us", "closed", _figure("p99_us")),
)


def matrix(
    repeats: int = 3,
    seed: int = 1,
    progress: bool = True,
    names: Sequence[str] | None = None,
) -> Found:
    """Measure all strategies by all measures."""
    import pandas as pd

    rows, notes = possible(names)
    points = [point for row in rows for point in _points(row)]
    seen = [
        _cell(measured, measure)
        for measured in interleaved(points, repeats, seed, progress)
        for measure in MEASURES
        if measure.load == measured.labels["load"]
    ]
    cells = [*_medians(seen), *_missing(names)]
    tables = {"matrix": pd.DataFrame(cells), "runs": pd.DataFrame(seen)}
    return Found("matrix", tables, {"repeats": repeats, "seed": seed}, notes)


def _points(row: Strategy) -> list[Point]:
    common = {"strategy": row.name, "engine": row.engines[-1]}
    orders = {"rule": row.queue, "registered": ", ".join(map(str, REGISTERED[0]))}
    quiet = {"workers": 4, "sample_rate_per_s": None}
    touch = quiet | {"incoming_cpu": True} | one_at_a_time(row, TOUCHED)
    closed = quiet | {"connections": CLOSED, "at_once": AT_ONCE}
    return [
        Point(
            common | {"load": "touch"} | orders,
            common | touch | CHOSEN.get(row.name, {}),
        ),
        Point(common | {"load": "burst"}, burst_point(row.name).settings),
        Point(common | {"load": "slow"}, slow_point(row.name).settings),
        Point(
            common | {"load": "closed"},
            common | closed | {"path": f"/spin/{SPIN_US}"},
        ),
    ]


def _cell(measured: Measured, measure: Measure) -> dict[str, Any]:
    value, labels = measure.value(measured), measured.labels
    is_text = isinstance(value, str)
    return {
        "strategy": labels["strategy"],
        "engine": labels["engine"],
        "repeat": labels["repeat"],
        "measure": measure.name,
        "unit": measure.unit,
        "value": None if is_text else value,
        "text": value if is_text else "",
    }


def _medians(seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row per strategy and measure, in the order of the two tables."""
    by_cell: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for cell in seen:
        by_cell.setdefault((cell["strategy"], cell["measure"]), []).append(cell)
    names = [(row.name, m.name) for row in strategies.table() for m in MEASURES]
    return [_middle(by_cell[name]) for name in names if name in by_cell]


def _middle(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the cell of the median; of texts the one that is seen most."""
    values = [cell["value"] for cell in cells if cell["value"] is not None]
    return cells[0] | {
        "repeats": len(cells),
        "value": statistics.median(values) if values else None,
        "text": statistics.mode(cell["text"] for cell in cells),
        "reason": "",
    }


def _missing(names: Sequence[str] | None) -> list[dict[str, Any]]:
    """Return a row of nothing, with its reason, for what cannot run here."""
    wanted = map(strategies.find, names or [row.name for row in strategies.table()])
    return [
        {
            "strategy": row.name,
            "engine": row.engines[-1],
            "measure": measure.name,
            "unit": measure.unit,
            "value": None,
            "text": "",
            "reason": reason,
        }
        for row in wanted
        if (reason := row.missing())
        for measure in MEASURES
    ]
