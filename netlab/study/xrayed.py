"""Study `xray`: what one connection does to four sleeping workers, in microseconds.

Facts. Under `level` one connection wakes all workers. What each of them then does takes
some microseconds: it accepts, or gets EAGAIN, or sleeps again without having left the
kernel. Which of these, and how long it takes, is chance: other threads want the CPUs
too. Only the kernel's own record (`watch.trace`, with root) shows all of it.

Decision. Connections come one at a time to a server that sleeps, each in a trace of
its own. Of a strategy's complete traces (nothing lost, one accept) the shortest is
shown, as least else came into it; of `level` the shortest in which a worker saw EAGAIN,
if there is one. The table `traces` has all of them: what the choice was made from.

Without the rights the workers' own log of turns is drawn in the same shape: "running"
from the return of the wait to the next wait, "asleep" in between, and what came of the
turn as a mark at its end. Known limits of that: nobody waits for a CPU in it, and a
worker that slept again inside the kernel is not in it at all, which is most of the
herd. Such a worker is still in `traces`: the kernel counts wake-ups for everybody. A
recorded trace, where there is one, is given beside it.

What may not be put here: what the events mean (`watch.trace_events`).
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.checks import whole_number
from netlab.load.progress import bar
from netlab.server.server import Server
from netlab.study import recordings
from netlab.study.found import Found
from netlab.watch import trace, trace_tables
from netlab.watch.trace_events import ACCEPT, ASLEEP, EAGAIN, RUNNING
from netlab.watch.trace_tables import COUNTS, MARGIN, NOWHERE

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from netlab.watch.trace_events import Span

TABLES = {"level": "xray", "exclusive": "xray_exclusive"}  # by strategy
WORKERS = 4
WARM_UP = 2  # connections to each server before the first that is looked at
TURN_LOG = 1 << 14  # of each worker; a connection takes three of them
CHOICE = (
    "shown is the shortest of each strategy's complete timelines, of level the "
    "shortest in which a worker saw EAGAIN if there is one; the table traces has all"
)
LOGGED = (
    "not traced: {}. The timelines are the workers' own log of turns: a worker that "
    "waits for a CPU, or that slept again inside the kernel, is not in them (the "
    "column slept_again counts the latter)"
)

Row = tuple[str, int, str, int, int, int]  # of the figure's table
Advance = Callable[[], object]


class Shot(NamedTuple):
    """One connection as it was seen: its row of `traces`, and the figure's table."""

    row: dict[str, Any]
    figure: pd.DataFrame


def xray(
    repeats: int = 15, seed: int = 1, progress: bool = True, workers: int = WORKERS
) -> Found:
    """Trace one connection at a time, and keep the clearest trace of each strategy.

    Tables: `xray` (strategy level), `xray_exclusive`, and `traces`, a row a connection:
    strategy, repeat, woken, ran, returned, accepted, would_block, slept_again (of all
    workers together), duration_us (from the first waking until all sleep again).
    Without rights to trace, the first two are made of the workers' log of turns and
    `recorded` is a recorded trace, if there is one; `notes` says why.

    seed: makes no difference, as nothing is drawn. Raises RuntimeError if no trace of
    a strategy is complete.
    """
    import pandas as pd

    whole_number("repeats", repeats, 1, 1000)
    reason = trace.available()
    look, total = _traced if reason is None else _logged, repeats * len(TABLES)
    with bar(total, "conns", progress) as told:
        shots = {name: look(name, workers, repeats, told.update) for name in TABLES}
    every = chain.from_iterable(shots.values())
    tables = {TABLES[name]: clearest(found).figure for name, found in shots.items()}
    tables["traces"] = pd.DataFrame([shot.row for shot in every])
    notes = (CHOICE,)
    if reason is not None:
        notes = (LOGGED.format(reason), CHOICE)
        tables |= _recorded()
    settings = {"repeats": repeats, "seed": seed, "workers": workers}
    return Found("xray", tables, settings, notes)


def clearest(shots: Sequence[Shot]) -> Shot:
    """Return the shortest, of level the shortest with an EAGAIN in it if there is one.

    Raises RuntimeError if there is none to choose from.
    """
    if not shots:
        raise RuntimeError(
            "no trace is complete: the machine is too busy, or somebody else "
            "connected; run it again, with more repeats"
        )
    return min(shots, key=lambda shot: (_lacks_eagain(shot), shot.row["duration_us"]))


def _lacks_eagain(shot: Shot) -> bool:
    return shot.row["strategy"] == "level" and not shot.row["would_block"]


def _connected(server: Server) -> socket.socket:
    """Return a client, once all workers sleep again."""
    client = socket.create_connection(server.address[:2])
    if not server.settle():
        client.close()
        raise RuntimeError("the workers did not sleep again: is the machine busy?")
    return client


def _warm_up(server: Server) -> None:
    for _ in range(WARM_UP):
        _connected(server).close()
        server.settle()


# -- with a trace -------------------------------------------------------------------


def _traced(strategy: str, workers: int, repeats: int, advance: Advance) -> list[Shot]:
    """Return the complete traces of `repeats` connections."""
    found = []
    with Server(strategy=strategy, engine="compiled", workers=workers) as server:
        _warm_up(server)
        for repeat in range(repeats):
            with trace.Trace(server.tids) as seen:
                client = _connected(server)
            client.close()
            server.settle()
            found += _complete({"strategy": strategy, "repeat": repeat}, seen)
            advance()
    return found


def _complete(labels: dict[str, Any], seen: trace.Trace) -> Iterator[Shot]:
    """Yield a trace as a shot, unless it lost events or has not just one accept."""
    if seen.lost:
        return
    events = seen.events()
    summary = trace_tables.summary(events)
    counts = {name: int(summary[name].to_numpy().sum()) for name in COUNTS}
    if counts["accepted"] == 1:
        spans = [span for life in trace_tables.lives(events) for span in life.spans]
        us = {"duration_us": _duration_us(spans)}
        yield Shot(labels | counts | us, trace_tables.figure_table(events))


def _duration_us(spans: Sequence[Span]) -> float:
    """Return the time from the first end of a sleep to the last begin of one."""
    end_ns = max(span.end_ns for span in spans)
    sleeps = [span for span in spans if span.state == ASLEEP]
    wakings_ns = [span.end_ns for span in sleeps if span.end_ns < end_ns]
    return (max(span.begin_ns for span in sleeps) - min(wakings_ns)) / 1e3


# -- without -------------------------------------------------------------------------


def _logged(strategy: str, workers: int, repeats: int, advance: Advance) -> list[Shot]:
    """Return what the workers' own logs say of `repeats` connections."""
    looks = []
    settings: dict[str, Any] = {"strategy": strategy, "turn_log": TURN_LOG}
    with Server(engine="compiled", workers=workers, **settings) as server:
        cpus = server.actual()["cpus"]
        _warm_up(server)
        for repeat in range(repeats):
            before, began_ns = server.snapshot(), time.monotonic_ns()
            client = _connected(server)
            counts = _counts(before, server.snapshot())
            row = {"strategy": strategy, "repeat": repeat} | counts
            looks.append((row, began_ns, time.monotonic_ns()))
            client.close()
            server.settle()
            advance()
    turns: list[Any] = list(server.turns().itertuples())  # all are in the log now
    found = []
    for row, began_ns, ended_ns in looks:
        own = [turn for turn in turns if began_ns <= turn.woke_ns <= ended_ns]
        if row["accepted"] == 1:
            us = {"duration_us": _awake_us(own)}
            found.append(Shot(row | us, _timeline(own, cpus)))
    return found


def _counts(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Return what the kernel and the workers counted; nobody counts who ran."""
    columns = ("wakeups", "turns", "accepted", "would_block")
    since = (int((after[name] - before[name]).sum()) for name in columns)
    woken, returned, accepted, would_block = since
    values = (woken, math.nan, returned, accepted, would_block, woken - returned)
    return dict(zip(COUNTS, values, strict=True))


def _window(turns: Sequence[Any]) -> tuple[int, int]:
    """Return when the first of these turns began, and the last ended."""
    return min(one.woke_ns for one in turns), max(one.slept_ns for one in turns)


def _awake_us(turns: Sequence[Any]) -> float:
    first_ns, last_ns = _window(turns)
    return (last_ns - first_ns) / 1e3


def _timeline(turns: Sequence[Any], cpus: Sequence[int]) -> pd.DataFrame:
    """Return turns as rows of the x-ray: see `trace_tables.figure_table`."""
    import pandas as pd

    first_ns, last_ns = _window(turns)
    margin_ns = max(int(MARGIN * (last_ns - first_ns)), 1)
    rows: list[Row] = []
    for worker, cpu in enumerate(cpus):
        at_ns = first_ns - margin_ns
        for turn in (one for one in turns if one.worker == worker):
            rows.append(("span", worker, ASLEEP, at_ns, turn.woke_ns, cpu))
            at_ns = turn.slept_ns
            rows.append(("span", worker, RUNNING, turn.woke_ns, at_ns, cpu))
        rows.append(("span", worker, ASLEEP, at_ns, last_ns + margin_ns, cpu))
    rows += chain.from_iterable(map(_marks, turns))
    columns = ["kind", "worker", "what", "begin_ns", "end_ns", "cpu"]
    return pd.DataFrame(rows, columns=columns)


def _marks(turn: Any) -> Iterator[Row]:
    """Yield what came of a turn, at its end: when exactly, its log does not say."""
    for what, count in ((ACCEPT, turn.accepted), (EAGAIN, turn.would_block)):
        for _ in range(count):
            yield "mark", turn.worker, what, turn.slept_ns, turn.slept_ns, NOWHERE


def _recorded() -> dict[str, pd.DataFrame]:
    """Return the recorded trace as a table, if this netlab has one."""
    try:
        is_recorded = "xray" in recordings.names()
    except FileNotFoundError:  # installed without its repository
        return {}
    return {"recorded": recordings.load("xray").tables["xray"]} if is_recorded else {}
