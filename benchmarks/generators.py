"""What the load generators cost themselves, and whether netlab's keeps its times.

CPU time per request is a slope, as starting costs a Python program more than a short
load: the difference of a long load and a short one, by the difference in requests.
Both generators have the same server, the same CPU and 64 keep-alive connections, and
take turns. An open loop should send when a request is due, whatever the server does;
`within_1_ms` is how many of its sends did.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import netlab
from benchmarks.bench import Bench, Case, Numbers
from benchmarks.requests import require_wrk, url, wrk, wrk_command
from benchmarks.running import ROOT, Missing, Running, environment, on_cpus
from benchmarks.settings import CONNECTIONS

SHORT_S = 1
OPEN_RATE_PER_S = 5000.0
ON_TIME_NS = 1_000_000


def by_wrk(server: Running, seconds: int) -> int:
    """Fire with wrk for so long; return how many requests were answered."""
    return wrk(wrk_command(url(server), seconds))[0]


def by_netlab(server: Running, seconds: int) -> int:
    """Fire with netlab's load for so long; return how many requests were answered."""
    options = {"--duration": seconds, "--at-once": CONNECTIONS}
    words = [str(word) for option in options.items() for word in option]
    target = f"{server.address.host}:{server.address.port}"
    command = [sys.executable, "-m", "netlab", "load", target, "--json", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing said"]
        raise Missing(f"netlab load: {said[-1]}")
    return json.loads(done.stdout)["requests"]


def cost(bench: Bench, fire: Callable[[Running, int], int]) -> Numbers:
    """Return a generator's CPU time per request, beyond that of its start."""
    spent, answered = [], []
    for seconds in (SHORT_S, SHORT_S + bench.settings.seconds):
        before = _cpu_s()
        with on_cpus(bench.load_cpus):
            answered.append(fire(bench.target(), seconds))
        spent.append(_cpu_s() - before)
    requests = answered[1] - answered[0]
    if requests <= 0:
        raise Missing("the longer load was answered no more than the shorter one")
    return {"requests": requests, "cpu_us": 1e6 * (spent[1] - spent[0]) / requests}


def _cpu_s() -> float:
    """Return the CPU time of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cases(bench: Bench) -> list[Case]:
    """Return a case per generator."""
    bench.target()
    require_wrk()
    generators = {"wrk": by_wrk, "netlab load": by_netlab}
    return [
        Case("generator", name, partial(cost, bench, fire))
        for name, fire in generators.items()
    ]


def open_loop(bench: Bench) -> Numbers:
    """Send at a fixed rate; return the percentage of sends within 1 ms."""
    address = bench.target().address
    with on_cpus(bench.load_cpus):
        load = netlab.fire(
            f"{address.host}:{address.port}",
            plan="open",
            rate_per_s=OPEN_RATE_PER_S,
            duration_s=bench.settings.seconds,
            progress=False,
        )
    late_ns = load.request_rows["late_ns"]
    return {
        "requests": len(late_ns),
        "within_1_ms": 100 * float((late_ns <= ON_TIME_NS).mean()),
    }


def open_cases(bench: Bench) -> list[Case]:
    """Return the one case."""
    subject = f"{OPEN_RATE_PER_S:,.0f}/s at {bench.target().name}"
    return [Case("open loop", subject, partial(open_loop, bench))]
