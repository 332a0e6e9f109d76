"""Study `idle-clients`: what a turn costs, against the number of idle descriptors.

It is the plot by which libevent made epoll known: a number of descriptors at which
something happens at every turn, the same in all runs, among more and more at which
nothing does. select and poll are given all of them at every turn, and look at each;
epoll was told before, and has a list of what is ready.

The second table turns it round. No descriptor is idle, and at all of them something
happens at every turn. Then looking at all is no waste, and epoll's list saves nothing.
In the rows `anew` epoll is also told of each descriptor anew after each turn, as if
every client came, asked once and left: two system calls more for each.

Decision. What is timed, and where, is in `idle_turns`. The settings and their reasons:

    10 active        so few that ten thousand idle ones are not hidden by them, and so
                     many that one of them more or less would not matter
    to 10,000 idle   and as far as the hard limit of descriptors allows, which the
                     notes then say; select to 1,000, as it knows none above 1,023
    100 turns        a point; their median is a number of the table. An idle machine's
                     differed by some 3 % from repeat to repeat, a busy one's by 30 %

All points are run once in a shuffled order, then again in another.

What may not be put here: waiting (`idle_turns`), and drawing.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netlab.checks import whole_number
from netlab.kernel.child import Module, interrupts_held_back
from netlab.kernel.limits import descriptor_limits
from netlab.load.progress import bar
from netlab.study.found import Found
from netlab.study.interleave import Point, in_blocks

if TYPE_CHECKING:
    import pandas as pd

WAYS, ENGINES = ("select", "poll", "epoll"), ("compiled", "python")
ANEW = "anew"  # epoll, told of each descriptor anew
IDLE = (10, 30, 100, 300, 1000, 3000, 10_000)
BUSY = (1, 10, 100, 1000)
ACTIVE, TURNS = 10, 100
OWN = 16  # descriptors of the process that measures; it has six
SELECT_LIMIT = 1024
PATIENCE_S = 120.0  # the turns may have to be compiled first


def idle_clients(
    repeats: int = 5,
    seed: int = 1,
    progress: bool = True,
    idle: Sequence[int] = IDLE,
    busy: Sequence[int] = BUSY,
    turns: int = TURNS,
) -> Found:
    """Time turns of select, poll and epoll, in Python and compiled.

    idle: how many descriptors are idle beside ACTIVE active ones. busy: how many are
    active where none is idle. turns: of which a number is the median.

    Tables: `idle` and `busy`, a row per way, engine, number and repeat.

    Raises ValueError for numbers that are none, and RuntimeError if the process that
    measures ends before its time.
    """
    for name, counts in (("idle", idle), ("busy", busy)):
        for count in counts:
            whole_number(name, count, 0 if name == "idle" else 1, 1_000_000)
    whole_number("turns", turns, 1, 1_000_000)
    hard = descriptor_limits()[1]
    points = [*_idle_points(idle), *_busy_points(busy)]
    fitting = [point for point in points if _descriptors(point) <= hard]
    rows, note = _timed(in_blocks(fitting, repeats, seed), turns, progress)
    settings = {"repeats": repeats, "seed": seed, "active": ACTIVE, "turns": turns}
    notes = (*_left_out(points, fitting, hard), note)
    return Found("idle-clients", _tables(rows), settings, notes)


def turns_us(
    found: Found, way: str, idle: int | None = None, engine: str = "compiled"
) -> list[float]:
    """Return what a turn took in each repeat, in microseconds; none if not measured.

    idle: among how many idle descriptors; None is the most that were measured.
    """
    own = found.tables["idle"].query("way == @way and engine == @engine")
    count = own["idle"].max() if idle is None else idle
    return own[own["idle"] == count]["turn_us"].tolist()


def busy_us(found: Found, way: str) -> list[float]:
    """Return what a turn took with the most active descriptors and no idle one."""
    busy = found.tables["busy"]
    return busy.query("way == @way and active == active.max()")["turn_us"].tolist()


def _idle_points(idle: Sequence[int]) -> list[Point]:
    return [
        _point("idle", way, engine, count, ACTIVE)
        for count in idle
        for way in WAYS
        for engine in ENGINES
        if way != "select" or count + ACTIVE + OWN // 2 <= SELECT_LIMIT
    ]


def _busy_points(busy: Sequence[int]) -> list[Point]:
    return [
        _point("busy", way, "compiled", 0, count)
        for count in busy
        for way in (*WAYS, ANEW)
        if way != "select" or count + OWN // 2 <= SELECT_LIMIT
    ]


def _point(table: str, way: str, engine: str, idle: int, active: int) -> Point:
    labels = {"way": way, "engine": engine, "idle": idle, "active": active}
    return Point(labels, {"table": table})


def _descriptors(point: Point) -> int:
    """Return how many the process that measures needs."""
    return point.labels["idle"] + 2 * point.labels["active"] + OWN


def _timed(
    order: Sequence[tuple[int, Point]], turns: int, progress: bool
) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """Return each point's table and row, and what became of the limit."""
    asked = {
        "turns": turns,
        "descriptors": max((_descriptors(point) for _, point in order), default=OWN),
        "points": [list(point.labels.values()) for _, point in order],
    }
    rows = []
    with _process(asked) as said, bar(len(order), "points", progress) as told:
        limits = next(said)
        for (repeat, point), heard in zip(order, said, strict=True):
            row = point.labels | {"repeat": repeat} | heard
            rows.append((point.settings["table"], row))
            told.update()
    return rows, _limits_told(**limits)


@contextmanager
def _process(order: dict[str, Any]) -> Iterator[Iterator[dict[str, Any]]]:
    """Have the process that measures; yield what it says."""
    ours, theirs = socket.socketpair()
    process = None
    try:
        with theirs, interrupts_held_back():
            process = Module("netlab.study.idle_turns", theirs.fileno())
        ours.settimeout(PATIENCE_S)
        ours.sendall(json.dumps(order).encode() + b"\n")
        yield _heard(ours, process, 1 + len(order["points"]))
    finally:
        ours.close()
        if process:
            process.end()


def _heard(
    ours: socket.socket, process: Module, count: int
) -> Iterator[dict[str, Any]]:
    """Yield so many lines of the process; RuntimeError if it ends before."""
    with ours.makefile("r") as lines:
        for _ in range(count):
            line = lines.readline()
            if not line:
                words = process.last_words()
                raise RuntimeError(f"the process that measures {words}")
            yield json.loads(line)


def _limits_told(before: int, limit: int) -> str:
    raised = f"raised its own limit of descriptors from {before:,} to {limit:,}"
    if before == limit:
        raised = f"kept its limit of descriptors, {limit:,}"
    return f"the process that measured {raised}; nobody else's was changed"


def _left_out(
    points: Sequence[Point], fitting: Sequence[Point], hard: int
) -> tuple[str, ...]:
    """Say where the grid ends, if not where it was meant to."""
    counts = [
        max((max(one.labels["idle"], one.labels["active"]) for one in some), default=0)
        for some in (fitting, points)
    ]
    if len(fitting) == len(points):
        return ()
    return (
        f"a process may have {hard:,} descriptors here (hard limit), so the grid ends "
        f"at {counts[0]:,} instead of {counts[1]:,}",
    )


def _tables(rows: list[tuple[str, dict[str, Any]]]) -> dict[str, pd.DataFrame]:
    import pandas as pd

    by = {"idle": ["idle", "way", "engine"], "busy": ["active", "way", "engine"]}
    found = {}
    for name, order in by.items():
        own = [row for table, row in rows if table == name]
        if own:
            table = pd.DataFrame(own).sort_values([*order, "repeat"], kind="stable")
            found[name] = table.reset_index(drop=True)
    return found
