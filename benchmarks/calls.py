"""System calls per request, by kind, from strace.

Facts. A traced server is some ten times as slow, so under a load its turns would be
others; and whoever attaches to a sleeping server interrupts its wait, which is a call
more. Asked one thing after the other by one client, a server makes the same calls
each time.

Decision. Each count is the difference of two traced runs, of N requests and of 2 N, by
N: attaching, connecting and leaving are in both. Only the server's processes are
traced, with all their threads. What is called less than once in 20 requests (a clock
of the program's own) is left out.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

from benchmarks.accounts import settle, tree
from benchmarks.bench import Bench, Case, Numbers
from benchmarks.client import LOADS
from benchmarks.running import Missing, Running

SELDOM = 0.05
ATTACH_S = 20.0
ROW = re.compile(r"^ *(\d+) +(\w+)$", re.MULTILINE)
TOTAL = "total"


def require_strace() -> None:
    """Raise Missing if there is no strace."""
    if shutil.which("strace") is None:
        raise Missing("not here: apt install strace")


def traced(server: Running, load: str, count: int, folder: Path) -> dict[str, int]:
    """Return how often each system call was made while `count` requests were asked.

    Raises Missing if this process may not trace the server.
    """
    pids = tree(server.pid)
    into, said = folder / "calls.txt", folder / "strace.txt"
    which = [f"--attach={pid}" for pid in pids]
    command = ["strace", "-f", "-c", "-U", "calls,name", "-o", str(into), *which]
    with said.open("w") as file:
        strace = subprocess.Popen(command, stderr=file, stdin=subprocess.DEVNULL)
    try:
        _await_attached(strace, said, len(pids))
        settle(server.pid)  # in its wait, from which the first request wakes it
        LOADS[load](server.address, count)
        settle(server.pid)  # it has seen the client leave
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait(ATTACH_S)
    return {name: int(n) for n, name in ROW.findall(into.read_text()) if name != TOTAL}


def _await_attached(strace: subprocess.Popen, said: Path, count: int) -> None:
    deadline = time.monotonic() + ATTACH_S
    while said.read_text().count(" attached") < count:
        if strace.poll() is not None or time.monotonic() > deadline:
            raise Missing(f"strace: {said.read_text().strip() or 'did not attach'}")
        time.sleep(0.01)


def per_request(server: Running, load: str, count: int, folder: Path) -> Numbers:
    """Return each kind's calls per request, and their sum as `calls`."""
    LOADS[load](server.address, 2)  # what is done the first time only
    few = traced(server, load, count, folder)
    many = traced(server, load, 2 * count, folder)
    found = {name: (many[name] - few.get(name, 0)) / count for name in many}
    kinds = {name: n for name, n in sorted(found.items()) if n >= SELDOM}
    return {"calls": sum(kinds.values()), "kinds": kinds}


def cases(bench: Bench) -> list[Case]:
    """Return a case per server and load."""
    require_strace()
    count, folder = bench.settings.traced_requests, bench.new_folder()
    return [
        Case(
            f"calls, {load}",
            server.name,
            partial(per_request, server, load, count, folder),
            once=True,
        )
        for server in bench.servers.values()
        for load in LOADS
    ]
