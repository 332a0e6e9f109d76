"""Study `one-life`: where a worker's thread is, millisecond by millisecond.

Facts. See `accounts`: asleep, runnable or running, two kinds of switches, two times.
The kernel's trace (with root) shows all of it in the order in which it happened.

Decision. One compiled worker, bound to one CPU, answers REQUESTS requests of some work,
once alone and once beside a spinner on its CPU, which is traced too. Of a scene's
complete traces the one with the fewest switches is shown, as least else came into it;
the table `traces` has all of them, by the kernel's account: what the choice was from.

Known limit: whoever else uses this CPU is in it. What may not be put here: what the
events mean (`watch.trace_events`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.checks import whole_number
from netlab.kernel.spinner import Spinner
from netlab.load.progress import bar
from netlab.server.server import Server
from netlab.study.accounts import account_of, connected, one_worker, places, since
from netlab.study.found import Found
from netlab.watch import trace, trace_tables

if TYPE_CHECKING:
    import pandas as pd

WORKER, SPINNER = "worker", "spinner"
ALONE, BESIDE = SCENES = ("alone", "beside a spinner")
REQUESTS, WORK_US, PAUSE_S = 3, 12_000, 0.006  # of a scene: 60 ms, readable in print
ROOM_NS = 1_500_000  # of the sleep around a scene that is shown


class Shot(NamedTuple):
    """One scene as it was traced: its row of `traces`, and the figure's rows."""

    row: dict[str, Any]
    life: pd.DataFrame


def one_life(repeats: int = 5, seed: int = 1, progress: bool = True) -> Found:
    """Trace a worker that answers REQUESTS requests, alone and beside a spinner.

    Tables: `life`, the figure's rows: company, thread, what, begin_ns, end_ns, cpu;
    and `traces`, a row a company and repeat, by the kernel's account of the worker.

    seed: makes no difference, as nothing is drawn. Raises PermissionError or OSError
    where nothing can be traced, RuntimeError if no trace of a scene is complete.
    """
    import pandas as pd

    whole_number("repeats", repeats, 1, 1000)
    shots: dict[str, list[Shot]] = {scene: [] for scene in SCENES}
    with bar(repeats * len(SCENES), "scenes", progress) as told, one_worker() as server:
        for repeat in range(repeats):
            for scene in SCENES:
                shots[scene] += _traced(server, scene, repeat)
                told.update()
    every = [shot for scene in SCENES for shot in shots[scene]]
    lives = [clearest(shots[scene]).life for scene in SCENES]
    tables = {
        "life": pd.concat(lives, ignore_index=True),
        "traces": pd.DataFrame([shot.row for shot in every]),
    }
    note = "shown is of each scene the trace with the fewest switches"
    return Found("one-life", tables, {"repeats": repeats, "seed": seed}, (note,))


def clearest(shots: Sequence[Shot]) -> Shot:
    """Return the one with the fewest switches, the first of several.

    Raises RuntimeError if there is none to choose from.
    """
    if not shots:
        raise RuntimeError(
            "no trace is complete: the machine is too busy; run it again, with more "
            "repeats"
        )
    return min(shots, key=lambda shot: (shot.row["voluntary"], shot.row["involuntary"]))


def _traced(server: Server, scene: str, repeat: int) -> Iterator[Shot]:
    """Yield one scene, unless its trace lost events."""
    (tid,) = server.tids
    with ExitStack() as stack:
        tids = {tid: WORKER}
        if scene == BESIDE:
            spinner = stack.enter_context(Spinner(places(server)[0]))
            tids[spinner.tid] = SPINNER
        client = stack.enter_context(connected(server))
        before = account_of(tid)
        with trace.Trace(tids) as seen:
            for _ in range(REQUESTS):
                client.ask(b"/spin/%d" % WORK_US)
                time.sleep(PAUSE_S)
        row = {"company": scene, "repeat": repeat, "requests": REQUESTS}
        row |= since(before, account_of(tid))
    server.settle()
    if not seen.lost:
        yield Shot(row, _life(seen.events(), scene, list(tids.values())))


def _life(events: pd.DataFrame, scene: str, names: Sequence[str]) -> pd.DataFrame:
    """Return the rows of the figure: a scene's stretches, thread by thread."""
    spans = trace_tables.spans(events).rename(columns={"state": "what"})
    begin_ns, end_ns = _window(spans.query("worker == 0"))
    inside = spans.query("end_ns > @begin_ns and begin_ns < @end_ns")
    life = inside.assign(
        company=scene,
        thread=[names[worker] for worker in inside["worker"]],
        begin_ns=inside["begin_ns"].clip(lower=begin_ns),
        end_ns=inside["end_ns"].clip(upper=end_ns),
    )
    return life.filter(["company", "thread", "what", "begin_ns", "end_ns", "cpu"])


def _window(worker: pd.DataFrame) -> tuple[int, int]:
    """Return from when to when a scene is shown: its sleeps' inner ends, and more."""
    sleeps = worker.query("what == 'asleep'")
    first, last = sleeps["end_ns"].iloc[0], sleeps["begin_ns"].iloc[-1]
    return int(first) - ROOM_NS, int(last) + ROOM_NS
