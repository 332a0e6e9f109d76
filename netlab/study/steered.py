"""Study `steering`: does a connection go to the worker on the client's CPU?

Facts. Under SO_REUSEPORT a hash chooses the listener, and knows no CPU. A program can
choose instead (`reuseport-cpu`), or a listener ask for its CPU's connections
(`reuseport-incoming-cpu`); both take the CPU that handles the packet. On loopback that
is the client's own, so a client that is bound to a CPU shows it.

Decision. One worker on each CPU, at most CPUS of them, and the load's process bound to
each of these in turn. It is one process for all runs, and ends with the study. Plan
`touch`: the connections are counted, and nothing else happens. Each accept's
SO_INCOMING_CPU is noted, and shows whether the packets came from where they should.

Known limit: the program answers with the CPU's number modulo that of the listeners, so
worker i must run on CPU i; where it cannot, a note says so. What may not be put here:
the programs and options themselves (`kernel.steering`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from netlab.checks import whole_number
from netlab.kernel import machine, threads
from netlab.load.generator import Generator
from netlab.load.progress import bar
from netlab.study.experiment import run
from netlab.study.found import Found
from netlab.study.interleave import Measured, Point, in_blocks, warm_up
from netlab.study.orders import possible

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

NAMES = ("reuseport", "reuseport-cpu", "reuseport-incoming-cpu")
CPUS = 4
CONNECTIONS = 100
PAUSE_MS = 1.0  # no order is looked at, so the workers need not be asleep again


def steering(
    repeats: int = 1,
    seed: int = 1,
    progress: bool = True,
    names: Sequence[str] = NAMES,
    connections: int = CONNECTIONS,
) -> Found:
    """Count which worker takes the connections of a client on each CPU.

    Tables: `steering`, a row per strategy, client's CPU, repeat and worker, also for
    those that took none; `accepts`, a row per connection, with its incoming_cpu.
    """
    import pandas as pd

    whole_number("repeats", repeats, 1, 1000)
    rows, notes = possible(names)
    cpus = machine.cpus_allowed()[:CPUS]
    points = [
        _point(row.name, cpu, len(cpus), connections) for row in rows for cpu in cpus
    ]
    counts, accepts = [], []
    for measured in _bound(points, repeats, seed, progress):
        counts.append(_counts(measured))
        accepts.append(_accepts(measured))
    tables = {"steering": pd.concat(counts), "accepts": pd.concat(accepts)}
    return Found(
        "steering",
        {name: _in_order(table, names) for name, table in tables.items()},
        {"repeats": repeats, "seed": seed, "connections": connections},
        (*notes, *_doubts(cpus)),
    )


def _bound(
    points: Sequence[Point], repeats: int, seed: int, progress: bool
) -> Iterator[Measured]:
    """Run all points in shuffled order, the load's process on the client's CPU."""
    order = in_blocks(points, repeats, seed)
    with Generator() as generator, bar(len(order), "runs", progress) as told:
        warm_up(points[0].settings, generator)
        for repeat, point in order:
            _bind(generator, point.labels["client_cpu"])
            done = run(**point.settings, generator=generator, progress=False)
            yield Measured(point.labels | {"repeat": repeat}, done)
            told.update()


def _bind(generator: Generator, cpu: int) -> None:
    """Let the load's process run on one CPU only."""
    if generator.pid is None:
        raise RuntimeError("the load's process has ended")
    threads.pin([cpu], generator.pid)


def _point(name: str, client_cpu: int, workers: int, connections: int) -> Point:
    labels = {"strategy": name, "client_cpu": client_cpu}
    settings = {
        "strategy": name,
        "engine": "compiled",
        "workers": workers,
        "incoming_cpu": True,
        "plan": "touch",
        "pause_ms": PAUSE_MS,
        "connections": connections,
        "sample_rate_per_s": None,
    }
    return Point(labels, settings)


def _counts(measured: Measured) -> pd.DataFrame:
    """Return a row per worker: the run's labels, worker, worker_cpu, connections."""
    import pandas as pd

    cpus = measured.run.settings["actual"]["server"]["cpus"]
    owners = np.bincount(measured.run.accepts["owner"], minlength=len(cpus))
    columns = {"worker": range(len(cpus)), "worker_cpu": cpus, "connections": owners}
    return pd.DataFrame(measured.labels | columns)


def _accepts(measured: Measured) -> pd.DataFrame:
    """Return a row per accept: the run's labels, connection, worker, cpu, incoming_cpu.

    cpu: on which it was accepted.
    """
    import pandas as pd

    accepts = measured.run.accepts
    columns = {"connection": accepts["sequence"] + 1, "worker": accepts["owner"]}
    seen = {name: accepts[name] for name in ("cpu", "incoming_cpu")}
    return pd.DataFrame(measured.labels | columns | seen)


def _in_order(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the rows by strategy as named, client's CPU and repeat."""
    place = [names.index(name) for name in table["strategy"]]
    ordered = table.assign(place=place).sort_values(
        ["place", "client_cpu", "repeat"], kind="stable", ignore_index=True
    )
    return ordered.drop(columns="place")


def _doubts(cpus: Sequence[int]) -> tuple[str, ...]:
    """Return what keeps these CPUs from showing what the study is about."""
    found = []
    if len(cpus) < 2:
        found.append("there is one CPU here: every worker is on the client's CPU")
    if any(cpus[cpu % len(cpus)] != cpu for cpu in cpus):
        found.append(
            f"the workers run on CPUs {', '.join(map(str, cpus))}: reuseport-cpu gives "
            "the connections of CPU n to the worker with the number n modulo "
            f"{len(cpus)}, which is on another CPU"
        )
    return tuple(found)
