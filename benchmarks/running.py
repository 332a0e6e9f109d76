"""A server as a process: started on given CPUs, found by its port, ended.

Where a server listens is the kernel's word (the sockets of its processes in state
LISTEN), and that it is ready is its own: the first answer. So one way does for all of
them, and a server that ends instead has told why in its last line.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import psutil

from benchmarks import client
from benchmarks.accounts import tree
from netlab.kernel.addresses import Address

ROOT = Path(__file__).resolve().parents[1]
READY_S = 180.0  # a first compilation on a busy machine
END_S = 15.0


class Missing(Exception):
    """Something that this machine cannot show, with the reason or the remedy."""


class Running(NamedTuple):
    """A server that runs."""

    name: str
    pid: int
    address: Address


@contextlib.contextmanager
def on_cpus(cpus: list[int]) -> Iterator[None]:
    """Bind the calling thread, and what it starts, to these CPUs within the block."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def started(
    name: str, command: list[str], folder: Path, cpus: list[int]
) -> Iterator[Running]:
    """Run a server within the block. Raises Missing with what it said at its end."""
    with (folder / "said.txt").open("w+") as said:
        with on_cpus(cpus):
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        try:
            yield Running(name, process.pid, _await_ready(name, process, said))
        finally:
            _end(process)


def environment() -> dict[str, str]:
    """Return the environment in which programs find netlab and these modules."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def _await_ready(name: str, process: subprocess.Popen, said: IO[str]) -> Address:
    deadline = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < deadline:
        if address := _listens(process.pid):
            with contextlib.suppress(OSError):
                client.length(address, last=True, timeout_s=READY_S)
                return address
        time.sleep(0.02)
    said.seek(0)
    last_line = (said.read().strip().splitlines() or ["it was never ready"])[-1]
    raise Missing(f"{name} did not start: {last_line}")


def _listens(pid: int) -> Address | None:
    for one in tree(pid):
        with contextlib.suppress(psutil.Error):
            for found in psutil.Process(one).net_connections("tcp"):
                if found.status == psutil.CONN_LISTEN:
                    return Address(*found.laddr)
    return None


def _end(process: subprocess.Popen) -> None:
    pids = tree(process.pid)
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                psutil.Process(pid).kill()
        process.wait()
