"""Study `switches`: what the kernel's account says of a worker in four cases.

Facts. A thread sleeps in a wait queue, waits for a CPU in a run queue, or runs. Two of
its moves are counted by the kernel: it fell asleep (a voluntary context switch), and
its CPU was taken from it (an involuntary one). And two times are: how long it ran, and
how long it waited for a CPU (`schedstat`). The rest it slept. None of it takes rights.

Decision. One worker, bound to one CPU, and beside it a process that only spins
(`kernel.spinner`): on another CPU, or on the worker's. The worker is compiled, since
waits for Python's lock are voluntary switches too, and this process is not asleep.

Known limit: whoever else uses these CPUs is in the numbers. What may not be put here:
what a trace shows of the same (`lives`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from netlab.checks import whole_number
from netlab.kernel.machine import cpus_allowed
from netlab.kernel.spinner import Spinner
from netlab.kernel.threads import Usage, usage_of, waited_ns
from netlab.load.progress import bar
from netlab.server.server import Server
from netlab.stages.asking import Client
from netlab.study.found import Found

SLEEPS, ASKED = "asleep", "answers requests"
APART, TOGETHER = "works, spinner on another CPU", "works, spinner on its CPU"
CASES = (SLEEPS, ASKED, APART, TOGETHER)
LOOK_S = 0.3
ASKED_REQUESTS = 20
WORKS = (b"/spin/100000",) * 5  # 0.5 s, LOOK_S and a margin on both sides
MARGIN_S = 0.05


class Account(NamedTuple):
    """What the kernel knows of a thread at one moment."""

    usage: Usage
    waited_ns: int
    now_ns: int


def switches(repeats: int = 5, seed: int = 1, progress: bool = True) -> Found:
    """Read a worker's account in four cases: asleep, asked, working, sharing its CPU.

    Table `switches`: a row a case and repeat: case, repeat, requests, voluntary,
    involuntary, ran_ms, waited_ms, lasted_ms.

    seed: makes no difference, as nothing is drawn. Raises ValueError with one CPU.
    """
    import pandas as pd

    whole_number("repeats", repeats, 1, 1000)
    rows = []
    with bar(repeats * len(CASES), "looks", progress) as told, one_worker() as server:
        looks = _looks(server)
        for repeat in range(repeats):
            for case, look in looks.items():
                rows.append({"case": case, "repeat": repeat} | look())
                told.update()
    tables = {"switches": pd.DataFrame(rows)}
    return Found("switches", tables, {"repeats": repeats, "seed": seed})


def one_worker() -> Server:
    """Return a server with one worker, bound to a CPU, without Python's lock."""
    return Server(strategy="level", engine="compiled", workers=1)


def places(server: Server) -> tuple[int, int]:
    """Return the worker's CPU, and another one; ValueError if there is only one."""
    (own,) = server.actual()["cpus"]
    others = [cpu for cpu in cpus_allowed() if cpu != own]
    if not others:
        raise ValueError(f"this process may use CPU {own} only: allow it another one")
    return own, others[0]


def account_of(tid: int) -> Account:
    """Return what the kernel knows of a thread now."""
    return Account(usage_of(tid), waited_ns(tid), time.monotonic_ns())


def since(before: Account, after: Account) -> dict[str, Any]:
    """Return what became of a thread in between: switches, and milliseconds."""
    one, other = before.usage, after.usage
    return {
        "voluntary": other.wakeups - one.wakeups,
        "involuntary": other.preemptions - one.preemptions,
        "ran_ms": (other.cpu_ns - one.cpu_ns) / 1e6,
        "waited_ms": (after.waited_ns - before.waited_ns) / 1e6,
        "lasted_ms": (after.now_ns - before.now_ns) / 1e6,
    }


@contextmanager
def connected(server: Server) -> Iterator[Client]:
    """Give a client whose connection is accepted, while the worker sleeps."""
    with Client(server.address) as client:
        client.ask()
        server.settle()
        yield client


def _looks(server: Server) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what to do for each case."""
    own, other = places(server)
    return {
        SLEEPS: lambda: _look(server, lambda _: time.sleep(LOOK_S)),
        ASKED: lambda: _look(server, _ask_in_turn, ASKED_REQUESTS),
        APART: lambda: _look_at_work(server, Spinner(other)),
        TOGETHER: lambda: _look_at_work(server, Spinner(own)),
    }


def _ask_in_turn(client: Client) -> None:
    """Ask once in a while, so that the worker sleeps before each request."""
    for _ in range(ASKED_REQUESTS):
        client.ask()
        time.sleep(LOOK_S / ASKED_REQUESTS)


def _look(
    server: Server, act: Callable[[Client], object], requests: int = 0
) -> dict[str, Any]:
    (tid,) = server.tids
    with connected(server) as client:
        before = account_of(tid)
        act(client)
        server.settle()
        return {"requests": requests} | since(before, account_of(tid))


def _look_at_work(server: Server, beside: Spinner) -> dict[str, Any]:
    """Look at the worker between the begin and the end of its work."""
    (tid,) = server.tids
    with beside, connected(server) as client:
        client.send(*WORKS)
        time.sleep(MARGIN_S)
        before = account_of(tid)
        time.sleep(LOOK_S)
        found = since(before, account_of(tid))
        for _ in WORKS:
            client.read()
    server.settle()
    return {"requests": 0} | found
