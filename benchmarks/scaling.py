"""Two workers against one, when a request is 200 microseconds of work.

The ratio of requests a second is 2 where two workers can run at the same time and
1 where they take turns. wrk needs a CPU too, for some hundredths of its time.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from benchmarks.bench import Bench, Case, Numbers
from benchmarks.requests import WARM_UP_S, require_wrk, url, wrk, wrk_command
from benchmarks.running import Missing, Running
from netlab.kernel import machine

PATH = "/spin/200"
NAMED_BY = "NETLAB_FREE_THREADED"
FREE_THREADED = ("python3.14t", "python3.13t")


class Kind(NamedTuple):
    """One row: how the workers run. `python` returns the interpreter, or None."""

    name: str
    python: Callable[[], str | None]
    options: tuple[str, ...]


def this_python() -> str:
    """Return the interpreter that runs this."""
    return sys.executable


def free_threaded_python() -> str | None:
    """Return a Python without a GIL, if one is named or found."""
    found = (shutil.which(name) for name in FREE_THREADED)
    return os.environ.get(NAMED_BY) or next(filter(None, found), None)


KINDS = (
    Kind("compiled threads", this_python, ("--engine", "compiled")),
    Kind("python threads", this_python, ("--engine", "python")),
    Kind(
        "python processes",
        this_python,
        ("--engine", "python", "--workers-as", "processes"),
    ),
    Kind("python threads, no GIL", free_threaded_python, ("--engine", "python")),
)


def start(bench: Bench, kind: Kind, workers: int) -> Running:
    """Start a server of so many workers, for as long as the benchmark lasts."""
    python = kind.python()
    if python is None:
        raise Missing(f"not here: set {NAMED_BY} to a Python without a GIL, with numpy")
    serve = [python, "-m", "netlab", "serve", "--port", "0", "--workers", str(workers)]
    every = list(machine.cpus_allowed())
    server = bench.run(kind.name, [*serve, *kind.options], every)
    return bench.stack.enter_context(server)


def ratio(one: Running, two: Running, seconds: int) -> Numbers:
    """Load the server with one worker, then that with two."""
    rates = []
    for server in (one, two):
        requests, took_s = wrk(wrk_command(url(server, PATH), seconds))
        rates.append(requests / took_s)
    return {"one_per_s": rates[0], "two_per_s": rates[1], "ratio": rates[1] / rates[0]}


def cases(bench: Bench) -> list[Case]:
    """Return a case per kind; those that cannot be started are noted as missing."""
    require_wrk()
    if len(machine.cpus_allowed()) < 2:
        raise Missing("two workers need two CPUs")
    found = []
    for kind in KINDS:
        try:
            one, two = start(bench, kind, 1), start(bench, kind, 2)
            ratio(one, two, WARM_UP_S)
        except Missing as reason:
            bench.lack("scaling", kind.name, str(reason))
        else:
            act = partial(ratio, one, two, bench.settings.seconds)
            found.append(Case("scaling", kind.name, act))
    return found
