"""From `Server(...)` to its first answer: python -m benchmarks.first_answer ENGINE.

Cold is a process for which Numba has nothing stored, warm the next one after it. Each
is a fresh process, and prints milliseconds. Python's start and `import netlab` are not
in it; what the server imports for itself is.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from functools import partial

import netlab
from benchmarks import client
from benchmarks.bench import Bench, Case, Numbers
from benchmarks.running import ROOT, Missing, environment
from netlab.server.engines import ENGINES


def in_this_process(engine: str) -> float:
    """Return the milliseconds from `Server(...)` to the first answer."""
    began_ns = time.perf_counter_ns()
    with netlab.Server(workers=1, engine=engine) as server:
        client.length(server.address, last=True)
        return (time.perf_counter_ns() - began_ns) / 1e6


def in_a_fresh_process(engine: str, cache: str) -> float:
    """Return the same of a new process that has Numba's cache in this folder."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.first_answer", engine],
        cwd=ROOT,
        env=environment() | {"NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Missing((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return float(done.stdout)


def measure(engine: str) -> Numbers:
    """Return the time without and with what Numba has stored."""
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = (in_a_fresh_process(engine, cache) for _ in range(2))
    return {"cold_ms": cold, "warm_ms": warm}


def cases(_: Bench) -> list[Case]:
    """Return a case per engine."""
    return [
        Case("first answer", engine.name, partial(measure, engine.name))
        for engine in ENGINES
    ]


if __name__ == "__main__":
    print(in_this_process(*sys.argv[1:]))
