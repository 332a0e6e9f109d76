"""Study `engines`: what the interpreter adds to wake-ups, and takes from CPUs.

Facts. Under the GIL one thread of a process interprets at a time. A worker whose wait
returned must get the lock before it can call accept; if another has it, it sleeps again
and is woken again, and by then the connection is gone. The kernel counts these sleeps
like any other, so they look like the herd's. Four ways are without that lock between
workers: processes (each has its own), compiled loops (they need none), and a CPython
that was built without it.

Decision. The same strategy (`level`) and load for each way; the load's clients are
compiled and in a process of this interpreter, whatever the server is. Two kinds of
Python would differ in more than the lock, so the free-threaded one is measured with its
lock switched on too (PYTHON_GIL=1): between these two ways, that is all that differs.
It runs in a process of its own (`server.elsewhere`), and what it is stands in each
row: `python`, `gil`. Without one a note says so, and its rows are missing.

The loads, and their reasons (Linux 6.18, 2 CPUs):

    work       16 clients, 20 requests a connection, 400 us of work each: a pair of
               workers then has something to do at all times (with 8 clients a worker
               was without one at times), and the load needs 5 % of a CPU. 400 us are
               below the 5 ms after which a thread is asked to give the GIL away
    no work    the same with an empty request. The clients cost as much CPU time as a
               compiled server then, and want the second CPU for themselves
    touch      one connection at a time, 5 ms apart, nothing is sent: accepting alone
    arriving   200 connections a second as independent users come, each asks once and
               closes: what a server sees, with what a connection costs its owner

Known limits. Work is a spin by the clock: a worker that waits for a CPU during its
spin is done when its time is over. Connections come so slowly that the herd is at rest
in between; one under load is in study `herd`. What may not be put here: the
interpreters (`kernel.interpreters`), and what is claimed (`claims_engines`).
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.checks import known
from netlab.kernel import interpreters, machine
from netlab.study.found import Found
from netlab.study.interleave import Measured, Point, interleaved

if TYPE_CHECKING:
    import pandas as pd

    from netlab.kernel.interpreters import Interpreter

WORKERS = (1, 2, 4, 8, 16, 32)
PAIR = (1, 2)  # workers of the loads that ask for speed
SPIN_US, AT_ONCE, REQUESTS = 400, 16, 20
RATE_PER_S, PAUSE_MS = 200.0, 5.0
FIRED_S = 0.4
CLOSED = {"plan": "closed", "at_once": AT_ONCE, "requests": REQUESTS}
REPLAYED = "replayed"
FOUND = "free threads are those of Python {}, as {} or the PATH names it"
NOT_HERE = "not measured here: free threads ({})"


class Way(NamedTuple):
    """One way to run workers. gil: of another interpreter; None: it is this one."""

    name: str
    engine: str
    workers_as: str = "threads"
    gil: bool | None = None


WAYS = (
    Way("GIL threads", "python"),
    Way("processes", "python", "processes"),
    Way("compiled threads", "compiled"),
    Way("free threads", "python", gil=False),
    Way("free threads, GIL on", "python", gil=True),
)
NAMES = tuple(way.name for way in WAYS)


class Load(NamedTuple):
    """One load, without its length; team: the numbers of workers, None: as asked."""

    settings: dict[str, Any]
    team: tuple[int, ...] | None = None


LOADS = {
    "work": Load(CLOSED | {"path": f"/spin/{SPIN_US}"}, PAIR),
    "no work": Load(CLOSED | {"path": "/"}, PAIR),
    "touch": Load({"plan": "touch", "pause_ms": PAUSE_MS}),
    "arriving": Load(
        {"plan": "open", "rate_per_s": RATE_PER_S, "arrivals": "poisson", "requests": 1}
    ),
}


def engines(
    repeats: int = 5,
    seed: int = 1,
    progress: bool = True,
    ways: Sequence[str] = NAMES,
    loads: Sequence[str] = tuple(LOADS),
    workers: Sequence[int] = WORKERS,
    fired_s: float = FIRED_S,
) -> Found:
    """Measure speed-up, wake-ups and would-blocks of each way to run workers.

    ways, loads: names of WAYS and LOADS. workers: how many, of the loads that ask for
    wake-ups. fired_s: how long each run's load is.

    Tables: `engines`, a row a run. Raises TypeError for a name that there is not.
    """
    import pandas as pd

    known(ways, NAMES)
    known(loads, LOADS)
    chosen = [way for way in WAYS if way.name in ways]
    other, notes = _other(chosen)
    points = [
        _point(way, load, count, fired_s, other)
        for way in chosen
        if way.gil is None or other
        for load in loads
        for count in LOADS[load].team or workers
    ]
    found = interleaved(points, repeats, seed, progress)
    table = _sorted(pd.DataFrame([_row(measured) for measured in found]))
    settings = {
        "repeats": repeats, "seed": seed, "fired_s": fired_s, "at_once": AT_ONCE,
        "requests": REQUESTS, "spin_us": SPIN_US, "rate_per_s": RATE_PER_S,
        "pause_ms": PAUSE_MS,
    }  # fmt: skip
    return Found("engines", {"engines": table}, settings, notes)


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by way, in the order of WAYS, else as they were measured."""
    return table.sort_values(
        "run_by", key=lambda names: names.map(NAMES.index), kind="stable"
    ).reset_index(drop=True)


def with_recorded(found: Found, recorded: Found) -> Found:
    """Return what was found, with the recorded rows of the ways that are missing.

    A column `replayed` tells them apart; a note says which. What is itself replayed
    has no ways missing, and stays as it is.
    """
    import pandas as pd

    here, there = found.tables["engines"], recorded.tables["engines"]
    of_here = here[["load", "workers"]].drop_duplicates()
    missing = there[~there["run_by"].isin(here["run_by"])].merge(of_here)
    if missing.empty:
        return found
    both = [here.assign(**{REPLAYED: False}), missing.assign(**{REPLAYED: True})]
    names = ", ".join(dict.fromkeys(missing["run_by"]))
    note = f"replayed from {recorded.date[:10]}, not measured here: {names}"
    tables = {"engines": pd.concat(both, ignore_index=True)}
    return replace(found, tables=tables, notes=(*found.notes, note))


def _other(ways: Sequence[Way]) -> tuple[Interpreter | None, tuple[str, ...]]:
    """Return the interpreter that some ways need, or a note that says why not."""
    if all(way.gil is None for way in ways):
        return None, ()
    try:
        found = interpreters.free_threaded()
    except LookupError as error:
        return None, (NOT_HERE.format(error),)
    return found, (FOUND.format(found.version, interpreters.VARIABLE),)


def _point(
    way: Way, load: str, workers: int, fired_s: float, other: Interpreter | None
) -> Point:
    server = {"engine": way.engine, "workers_as": way.workers_as, "workers": workers}
    stamp: dict[str, Any] = {
        "python": platform.python_version(), "gil": machine.gil_on(),
    }  # fmt: skip
    if way.gil is not None and other is not None:
        server["interpreter"] = other._replace(gil=way.gil)
        stamp = {"python": other.version, "gil": way.gil}
    labels = {
        "run_by": way.name, "engine": way.engine, "workers_as": way.workers_as,
        **stamp, "load": load, "workers": workers,
    }  # fmt: skip
    own = LOADS[load].settings | {"sample_rate_per_s": None}
    return Point(labels, server | own | _length(own, fired_s))


def _length(load: dict[str, Any], fired_s: float) -> dict[str, Any]:
    """Return what makes a load so long."""
    if load["plan"] == "touch":
        return {"connections": round(1000 * fired_s / load["pause_ms"])}
    return {"duration_s": fired_s}


def _row(measured: Measured) -> dict[str, Any]:
    """Return a run's figures; of connections that are held, those of accepting."""
    figures, labels = measured.run.figures, measured.labels
    actual = measured.run.settings["actual"]["server"].get("interpreter", {})
    rate = figures["requests_per_s"]
    prefix = "accept_" if labels["load"] == "touch" else ""
    events = ("wakeups_per_accept", "turns_per_accept", "would_block_per_accept")
    return (
        labels
        | actual  # as that interpreter says itself
        | {"accepts": sum(figures["accepts"])}
        | {"requests_per_s": float("nan") if rate is None else rate}
        | {name: figures[prefix + name] for name in events}
    )
