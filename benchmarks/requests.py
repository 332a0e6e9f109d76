"""CPU time per request, and requests a second, under 64 clients of wrk.

Facts. A server's CPU time is what a request costs; requests a second also say what the
load generator could do beside it. wrk's count is of answers that it read, and up to
one a connection may be answered and not counted when its time is over.

Decision. Servers have the first CPU, wrk has the others (the same one, if there is no
other). CPU time is read just before and just after wrk; a round with a failed request
is not reported.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import partial

from benchmarks.accounts import account
from benchmarks.bench import Bench, Case, Numbers
from benchmarks.client import LOADS
from benchmarks.running import Missing, Running, on_cpus
from benchmarks.settings import CONNECTIONS

HEADERS = {"keep-alive": [], "new connection": ["-H", "Connection: close"]}
COUNT = re.compile(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b")
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
FAILED = re.compile(r"Socket errors:.*|Non-2xx.*")
WARM_UP_S = 1


def require_wrk() -> None:
    """Raise Missing if there is no wrk."""
    if shutil.which("wrk") is None:
        raise Missing("not here: apt install wrk")


def wrk_command(url: str, seconds: int, *options: str) -> list[str]:
    """Return wrk's command: one thread, 64 connections."""
    fixed = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--timeout", "10"]
    return [*fixed, *options, url]


def wrk(command: list[str]) -> tuple[int, float]:
    """Run wrk; return how many requests were answered in how many seconds.

    Raises Missing if it failed or any of its requests did.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    count, failed = COUNT.search(done.stdout), FAILED.search(done.stdout)
    if failed or count is None or int(count[1]) == 0:
        said = failed[0] if failed else (done.stderr or done.stdout).strip()
        raise Missing(f"wrk: {said}")
    return int(count[1]), float(count[2]) * UNITS[count[3]]


def url(server: Running, path: str = "/") -> str:
    """Return where a server answers."""
    return f"http://{server.address.host}:{server.address.port}{path}"


def measure(bench: Bench, server: Running, load: str, seconds: int) -> Numbers:
    """Load a server for so long; return what a request cost it."""
    command = wrk_command(url(server), seconds, *HEADERS[load])
    before = account(server.pid)
    with on_cpus(bench.load_cpus):
        requests, took_s = wrk(command)
    user_us, system_us = account(server.pid).since(before)
    return {
        "requests": requests,
        "requests_per_s": requests / took_s,
        "user_us": user_us / requests,
        "system_us": system_us / requests,
        "cpu_us": (user_us + system_us) / requests,
    }


def cases(bench: Bench) -> list[Case]:
    """Return a case per server and load, once each server has been warmed up."""
    require_wrk()
    found = []
    for server in bench.servers.values():
        for load in LOADS:
            measure(bench, server, load, WARM_UP_S)
            act = partial(measure, bench, server, load, bench.settings.seconds)
            found.append(Case(load, server.name, act))
    return found
