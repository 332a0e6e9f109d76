"""Study `pinning`: where workers run, left free and bound, and what they then count.

Facts. A thread may run on any CPU of its mask, and the scheduler moves it as it finds
right. /proc tells the CPU that it was on last: of one that ran since the look before,
that is where it was, of one that slept it is a memory. So only looks count here at
which the worker had run since the look before.

The server is stage 5 of the course (or what the reader built like it): interpreted
threads, so only one of them has the GIL at a time. Whoever wants it sleeps, at most for
a switch interval (5 ms), and asks again. The kernel counts each of these sleeps as it
counts a sleep in `epoll_wait`. To tell the two apart nothing may arrive but work: two
workers have a connection each, and are asked for it in turn, or both at once.

Decision. The server binds its workers itself; "free" is the same server whose threads
the study sets free again, from outside. Both kinds take turns in shuffled order. The
books are checked before anything is told: what the clients opened was accepted, what
was accepted is closed.

Known limit: a look every 20 ms does not see a worker that went and came back between.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netlab import counters
from netlab.checks import whole_number
from netlab.kernel import machine, threads
from netlab.load.generator import Generator
from netlab.load.progress import bar
from netlab.stages.asking import Client
from netlab.stages.s5 import Stage
from netlab.study.found import Found
from netlab.study.interleave import Point, in_blocks
from netlab.watch.ps import ps
from netlab.watch.sampler import Sampler

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

WORKERS = 4
RATE_PER_S = 50.0  # looks
WORK = {"at_once": 16, "requests": 5, "path": "/spin/200", "progress": False}
ROUNDS, SPIN_US = 10, 20_000  # four switch intervals of the GIL
TRIES = 200  # connections until each of two workers has one
KINDS = [Point({"bound": bound}, {}) for bound in (False, True)]
WAITED = ("turns", "wakeups", "requests")
COUNTED = (*WAITED, "would_block", "closed")


def pinning(
    repeats: int = 3,
    seed: int = 1,
    progress: bool = True,
    server: Callable[..., Any] = Stage,
    workers: int = WORKERS,
    fired_s: float = 1.0,
) -> Found:
    """Watch where a server's workers run, and count their wake-ups.

    server: a class of stage 5's face. Tables: `pinning`, a row per worker and CPU where
    it was seen; `threads`, the process list under load, of the first repeat; `workers`,
    a row per worker of the same runs; `gil`, what two workers count that work.
    """
    import pandas as pd

    whole_number("workers", workers, 2, 64)
    order = in_blocks(KINDS, repeats, seed)
    runs = []
    with Generator() as generator, bar(len(order), "runs", progress) as told:
        for repeat, point in order:
            with server(workers=workers) as running:
                run = _watched(running, point.labels["bound"], generator, fired_s)
            labels = {"engine": "python", "repeat": repeat}
            runs.append(_labelled(run, point.labels | labels))
            told.update()
    tables = {name: _sorted([run[name] for run in runs]) for name in runs[0]}
    listed = tables["threads"]
    tables["threads"] = listed.loc[listed["repeat"] == 0, :].copy()
    waits = [
        {"repeat": repeat} | row
        for repeat in range(repeats if machine.gil_on() else 0)
        for row in _waits(server)
    ]
    tables["gil"] = pd.DataFrame(waits, columns=["repeat", "together", *WAITED])
    settings = {"repeats": repeats, "seed": seed, "workers": workers}
    return Found("pinning", tables, settings | {"fired_s": fired_s}, _doubts())


def _watched(
    running: Any, bound: bool, generator: Generator, fired_s: float
) -> dict[str, pd.DataFrame]:
    """Put a server under load: where it was seen, its threads, what it counted."""
    own = [_only_cpu(tid) for tid in running.tids]
    if not bound:
        for tid in running.tids:
            threads.pin(machine.cpus_allowed(), tid)
    warm = generator.fire(running, connections=16, progress=False)
    with Sampler(running, RATE_PER_S) as sampler:
        load = generator.fire(running, duration_s=fired_s, **WORK)
        listed = ps(running)
    threads.settle(running.tids)
    rows = running.snapshot()
    require_books(rows, len(warm.connections) + len(load.connections))
    looks = _looks(sampler.samples(), own)
    return {"pinning": looks, "threads": listed, "workers": _counts(rows)}


def _only_cpu(tid: int) -> int:
    """Return the CPU that a thread is bound to; -1 for one that has several."""
    cpus = os.sched_getaffinity(tid)
    return cpus.pop() if len(cpus) == 1 else -1


def _labelled(
    run: dict[str, pd.DataFrame], labels: dict[str, Any]
) -> dict[str, pd.DataFrame]:
    return {name: table.assign(**labels) for name, table in run.items()}


def require_books(rows: np.ndarray, opened: int) -> None:
    """Raise RuntimeError unless what clients opened was accepted, and closed again."""
    accepted, closed = int(rows["accepted"].sum()), int(rows["closed"].sum())
    if not opened == accepted == closed:
        raise RuntimeError(
            f"the clients opened {opened} connections, the workers accepted "
            f"{accepted} and closed {closed}: did another client use the server?"
        )


def _looks(samples: Any, own: list[int]) -> pd.DataFrame:
    """Return a row per worker and CPU: worker, worker_cpu, cpu, looks.

    looks: that saw it run there. worker_cpu: what it was bound to at first.
    """
    ran = samples[samples.groupby("worker")["cpu_ns"].diff() > 0]
    seen = ran.groupby(["worker", "psr"]).size().reset_index(name="looks")
    seen.insert(1, "worker_cpu", [own[worker] for worker in seen["worker"]])
    return seen.rename(columns={"psr": "cpu"})


def _counts(rows: np.ndarray) -> pd.DataFrame:
    """Return a row per worker: worker, accepts, and what else it counted."""
    import pandas as pd

    columns = {"worker": rows["worker"], "accepts": rows["accepted"]}
    return pd.DataFrame(columns | {name: rows[name] for name in COUNTED})


def _waits(server: Callable[..., Any]) -> list[dict[str, Any]]:
    """Return what two workers count that work in turn, and at once: a row for each."""
    with server(workers=2) as running, contextlib.ExitStack() as opened:
        pair = _one_of_each(running, opened)
        return [
            {"together": together} | _working(running, pair, together)
            for together in (False, True)
        ]


def _one_of_each(running: Any, opened: contextlib.ExitStack) -> list[Client]:
    """Return a client of each of two workers."""
    found: dict[int, Client] = {}
    for _ in range(TRIES):
        client = opened.enter_context(Client(running.address))
        found.setdefault(json.loads(client.ask().body)["worker"], client)
        if len(found) == 2:
            return list(found.values())
    raise RuntimeError(f"of {TRIES} connections none was accepted by the other worker")


def _working(running: Any, pair: list[Client], together: bool) -> dict[str, int]:
    """Ask for work, ROUNDS times each; return what the workers counted of it."""
    threads.settle(running.tids)
    before = counters.total(running.snapshot())
    turns = [pair] if together else [[client] for client in pair]
    for asked in turns * ROUNDS:
        for client in asked:
            client.send(b"/spin/%d" % SPIN_US)
        for client in asked:
            client.read()
    threads.settle(running.tids)
    after = counters.total(running.snapshot())
    return {name: after[name] - before[name] for name in WAITED}


def _sorted(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows by repeat and kind, free ones first, these columns in front."""
    import pandas as pd

    first = ["repeat", "bound"]
    table = pd.concat(tables).sort_values(first, kind="stable", ignore_index=True)
    return table.loc[:, [*first, *table.columns.difference(first, sort=False)]]


def _doubts() -> tuple[str, ...]:
    """Return what keeps this machine from showing what the study is about."""
    found = []
    if len(machine.cpus_allowed()) < 2:
        found.append("there is one CPU here: bound and free are the same")
    if not machine.gil_on():
        found.append("this Python has no GIL: nobody waits for it, and nothing is told")
    return tuple(found)
