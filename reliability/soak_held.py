"""A server held for as long as a soak lasts, and what it has at rest, from outside.

Each server lives in a process of its own, as in a notebook's kernel that does nothing
else: what that process and its children have is the server's. Memory is what only they
have, or share among themselves: pages of files, such as libraries, are left out, since
they are counted by how many other programs have the same ones.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from netlab import counters
from netlab.kernel.interpreters import Interpreter
from netlab.server.elsewhere import ServerElsewhere
from netlab.watch.listening import listeners_of
from reliability import served
from reliability.results import Broken
from reliability.served import until

KINDS = {
    kind: served.KINDS[kind]
    for kind in (
        "python threads",
        "compiled threads",
        "python processes",
        "compiled processes",
    )
}
CLIENT_TIMEOUT_S = 3.0  # far above what a client that behaves needs
ACCEPT_LOG = 256  # records: full before the warm-up is over, and then no more memory
MEMORY = ("Pss_Anon:", "Pss_Shmem:")


class Belongings(NamedTuple):
    """What some processes have that must be the same whenever they are at rest."""

    descriptors: int
    threads: int
    processes: int
    listeners: int
    waiting: int  # in the accept queues
    connections: int  # that a server holds open


def start(kind: str) -> ServerElsewhere:
    """Return a running server of one of KINDS."""
    return ServerElsewhere(
        Interpreter(sys.executable, platform.python_version(), gil=True),
        workers=served.WORKERS,
        accept_log=ACCEPT_LOG,
        client_timeout_s=CLIENT_TIMEOUT_S,
        **KINDS[kind],
    )


def belongings(pids: list[int], connections: int = 0) -> Belongings:
    """Return what these processes have now; RuntimeError if one of them is gone."""
    try:
        processes = [psutil.Process(pid) for pid in pids]
        descriptors = sum(process.num_fds() for process in processes)
        threads = sum(process.num_threads() for process in processes)
    except psutil.NoSuchProcess as error:
        raise RuntimeError(f"process {error.pid} is gone") from error
    listeners = listeners_of(pids)
    return Belongings(
        descriptors,
        threads,
        len(pids),
        len(listeners),
        sum(listeners["queue"].tolist()),
        connections,
    )


def family(pid: int) -> list[int]:
    """Return a process with its children and theirs."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def memory_kb(pids: list[int]) -> int:
    """Return the memory that these processes have and no other, in kB."""
    found = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(MEMORY):
                found += int(line.split()[1])
    return found


def rested(server: Any, connections: int) -> np.ndarray:
    """Return a server's counts once it sleeps and holds so many connections.

    Broken if it never does, or if a worker or the server's own code failed.
    """
    until(lambda: _open(server) == connections, f"{connections} connections are open")
    until(server.settle, "all workers asleep")
    rows = server.snapshot()
    if (rows["state"] != counters.State.READY).any():
        raise Broken(f"a worker has ended: {server.failures}")
    if rows["faults"].any() or rows["accept_errors"].any():
        raise Broken(f"errors of the server's own: {counters.total(rows)}")
    return rows


def _open(server: Any) -> int:
    return int(counters.open_connections(server.snapshot()).sum())


def since(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Return the counter rows of the time between two looks, shape (workers,)."""
    rows = now.copy()
    for name in counters.SUMMED:
        rows[name] -= before[name]
    return rows
