"""A server's process as a fault sees it: from outside, by its numbers in /proc.

A server that is out of descriptors cannot look at itself, so what it holds is read by
the process that measures.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from netlab.kernel.addresses import Address
from reliability.results import ROOT, Broken

BROKEN_SERVER = ROOT / "reliability" / "broken"
PATIENCE_S = 30.0  # "it hangs", on a machine that does much else
KINDS: dict[str, dict[str, Any]] = {
    "python threads": {},
    "compiled threads": {"engine": "compiled"},
    "python processes": {"workers_as": "processes"},
    "compiled processes": {"engine": "compiled", "workers_as": "processes"},
    "python threads, one-epoll-oneshot": {"strategy": "one-epoll-oneshot"},
    "compiled threads, one-epoll-oneshot": {
        "strategy": "one-epoll-oneshot",
        "engine": "compiled",
    },
    "python threads, reuseport": {"strategy": "reuseport"},
    "compiled processes, reuseport": {
        "strategy": "reuseport",
        "engine": "compiled",
        "workers_as": "processes",
    },
}
WORKERS = 2
PAGE_KB = resource.getpagesize() // 1024


def until(condition: Callable[[], Any], what: str, bound_s: float = PATIENCE_S) -> Any:
    """Return what `condition` returns once it is true; Broken if it never is."""
    deadline = time.monotonic() + bound_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Broken(f"after {bound_s:.0f} s still not: {what}")
        time.sleep(0.005)
    return found


def lives(pid: int) -> bool:
    """Whether a process runs: neither gone nor a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kernel_kb() -> int:
    """Return what all TCP sockets of this network namespace hold, in kB."""
    sockets = Path("/proc/net/sockstat").read_text().partition("TCP:")[2]
    return PAGE_KB * int(sockets.splitlines()[0].split()[-1])


class Served:
    """A server in a process of its own, from its first line to its end."""

    def __init__(self, kind: str, *, broken: bool = False, **settings: Any) -> None:
        wanted = {"workers": WORKERS} | KINDS[kind] | settings
        paths = [str(ROOT), *([str(BROKEN_SERVER)] if broken else [])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reliability.serving", json.dumps(wanted)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            begun = self._heard()
        except BaseException:
            self.end()
            raise
        self.address = Address(*begun["address"])
        self.pid, self.host, self.tids = begun["pid"], begun["host"], begun["tids"]
        self.in_processes = self.host != self.pid
        self.at_rest = self.descriptors()
        self.highest = {pid: max(_descriptors_of(pid)) for pid in self.holders()}

    def __repr__(self) -> str:
        return f"Served(process {self.pid}, {self.address})"

    def _heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Broken(f"the server's process ended: {self.process.wait()}")
        return json.loads(line)

    def tell(self, word: str) -> dict[str, Any]:
        """Say one word to the process; return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self._heard()

    def look(self) -> dict[str, Any]:
        """Return what it counts now."""
        return self.tell("look")

    def count(self, name: str) -> int:
        """Return one counter's sum now."""
        return self.look()["counters"][name]

    def stop(self) -> dict[str, Any]:
        """Stop the server and end its process; return its last word."""
        last = self.tell("stop")
        self.process.wait(PATIENCE_S)
        return last

    def last_word(self) -> dict[str, Any]:
        """Return what a process says that was told to end by a signal."""
        return self._heard()

    def end(self) -> None:
        """End the process, however it is."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    # -- what it is made of -----------------------------------------------------------

    def all_pids(self) -> set[int]:
        """Return its processes: its own, and host and workers if there are."""
        return {self.pid, self.host, *(self.tids if self.in_processes else ())}

    def holders(self) -> list[int]:
        """Return the processes that hold clients: the workers', or the server's own."""
        return list(self.tids) if self.in_processes else [self.pid]

    def descriptors(self) -> int:
        """Return how many descriptors the processes have that hold clients."""
        return sum(len(_descriptors_of(pid)) for pid in self.holders())

    def memory_kb(self) -> int:
        """Return the memory of all its processes, shared pages counted once, in kB."""
        return sum(_pss_kb(pid) for pid in self.all_pids())

    def cpu_s(self) -> float:
        """Return the CPU time that its workers have used, in s."""
        return sum(_cpu_s(tid, self.in_processes, self.pid) for tid in self.tids)

    @contextlib.contextmanager
    def few_descriptors(self, room: int) -> Iterator[None]:
        """Let each process that holds clients have room for so many of them."""
        before = {
            pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in self.holders()
        }
        for pid, (_, hard) in before.items():
            limits = (self.highest[pid] + 1 + room, hard)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        try:
            yield
        finally:
            for pid, limits in before.items():
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def _descriptors_of(pid: int) -> list[int]:
    return [int(name) for name in os.listdir(f"/proc/{pid}/fd")]


def _pss_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if "Pss:" in line)


def _cpu_s(tid: int, in_processes: bool, pid: int) -> float:
    task = tid if in_processes else pid
    text = Path(f"/proc/{task}/task/{tid}/schedstat").read_text()
    return int(text.split()[0]) / 1e9
