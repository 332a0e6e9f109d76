"""One fault done to one kind of server: what was asked meanwhile, and what is left.

A trial starts servers of its kind, each with clients that behave, and looks at the end
of each whether the two sides agree and whether anything is left: in the server while
it still runs, in its process once it has stopped, and on the machine afterwards.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import netlab
from netlab.kernel.addresses import Address
from netlab.watch.tracefs import MOUNTED_AT
from reliability.asking import Askers
from reliability.results import Broken
from reliability.served import Served, lives, until

STOP_S = 30.0  # until what clients have left is closed
LOOK_S = 0.5  # for how long a resting server is watched
REST_TURNS_PER_S = 60  # of a worker: each rest of 0.1 s takes two; a busy loop, 10,000


class Fault(NamedTuple):
    """One row of the list: its name, what does it, and to which kinds of server.

    do: does it `trial.times` times; returns what was seen, in words.
    """

    name: str
    do: Callable[[Trial], str]
    kinds: tuple[str, ...]
    may_cut: bool = False  # whether it ends connections of clients that behave


class Trial:
    """A fault, a kind of server, how often; and the sums over its servers."""

    def __init__(self, fault: Fault, kind: str, times: int) -> None:
        self.fault, self.kind, self.times = fault, kind, times
        self.tries = times  # unless the fault says otherwise
        self.came_to: Counter[str] = Counter()
        self.worst_ms = 0.0
        self.left: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"Trial({self.fault.name!r}, {self.kind}, {self.times} times)"

    @contextlib.contextmanager
    def serve(
        self, *, broken: bool = False, **settings: Any
    ) -> Iterator[tuple[Served, Askers]]:
        """Give a server and clients that ask; at the end it must be as at first."""
        machine = of_the_machine()
        with contextlib.closing(_Ended(self.kind, broken, settings)) as ended:
            served = ended.served
            with Askers(served.address) as askers:
                askers.all_answered("before it")
                yield served, askers
                if served.process.poll() is None and not served.look()["died"]:
                    askers.all_answered("after it")
            self.account(askers)
            if served.process.poll() is None:
                self.stop(served)
        self.left += Counter(left_of(served, machine))

    def account(self, askers: Askers) -> None:
        """Add what the clients that behave came to."""
        self.came_to += askers.came_to()
        self.worst_ms = max(self.worst_ms, askers.worst_ms())

    def stop(self, served: Served) -> None:
        """Stop a server that must still be whole, or have said what it lost."""
        died = served.look()["died"]
        if not died:
            closed = lambda: served.look()["open"] == 0  # noqa: E731
            until(closed, "the clients' connections closed", STOP_S)
            free = lambda: served.descriptors() == served.at_rest  # noqa: E731
            until(free, "their descriptors free again", STOP_S)
        last = served.stop()
        self.left += Counter(last["left"])
        if not died and last["open"] != last["counters"]["left_open"]:
            raise Broken(f"{self}: the counts disagree: {last}")

    def require(self, holds: object, what: str) -> None:
        """Raise Broken unless something holds."""
        if not holds:
            raise Broken(f"{self}: {what}")

    def row(self, may_cut: bool, seen: str) -> dict[str, Any]:
        """Return the table's row; Broken if something was lost, mixed or left."""
        came_to = self.came_to
        refused, cut = came_to.pop("refused", 0), came_to["cut off"]
        lost = came_to["lost"] + (0 if may_cut else cut + refused)
        mixed, left = came_to["mixed"], sum(self.left.values())
        self.require(not lost, f"{lost} requests lost")
        self.require(not mixed, f"{mixed} answers mixed")
        self.require(not left, f"left behind: {dict(self.left)}")
        return {
            "fault": self.fault.name,
            "server": self.kind,
            "times": self.tries,
            "requests": came_to.total() or None,
            "answered": came_to["answered"] or None,
            "cut off": cut if may_cut else 0,
            "lost": lost,
            "mixed": mixed,
            "left behind": left,
            "slowest, ms": round(self.worst_ms) or None,
            "what happens": seen,
        }


def resting(trial: Trial, served: Served) -> float:
    """Return how many turns a second the busiest worker takes, which must be few."""
    before, began = served.look()["turns"], time.monotonic()
    time.sleep(LOOK_S)
    after, took_s = served.look()["turns"], time.monotonic() - began
    turns = max(b - a for a, b in zip(before, after, strict=True)) / took_s
    trial.require(turns < REST_TURNS_PER_S, f"{turns:.0f} turns a second are no rest")
    return turns


class _Ended:
    """A server that has ended at the end of a `with` block, whatever happens."""

    def __init__(self, kind: str, broken: bool, settings: dict[str, Any]) -> None:
        self.served = Served(kind, broken=broken, **settings)

    def close(self) -> None:
        self.served.end()


def of_the_machine() -> dict[str, Any]:
    """Return what a server could leave on the machine: sysctls, tracers."""
    folders = [Path(point) / "instances" for point in MOUNTED_AT]
    tracers = [os.listdir(one) for one in folders if os.access(one, os.R_OK)]
    return {"sysctls": netlab.machine().as_dict()["sysctls"], "tracers": tracers}


def left_of(served: Served, machine: dict[str, Any]) -> dict[str, int]:
    """Return what there still is of a server that has ended."""
    with contextlib.suppress(Broken):
        until(lambda: not any(map(lives, served.all_pids())), "its processes ended")
    left = {
        "processes": sum(map(lives, served.all_pids())),
        "ports": int(not is_free(served.address)),
    }
    now = of_the_machine()
    left |= {name: int(now[name] != machine[name]) for name in machine}
    return {name: count for name, count in left.items() if count}


def is_free(address: Address) -> bool:
    """Whether nobody listens at an address any more."""
    try:
        socket.create_connection(address, 5).close()
    except ConnectionRefusedError:
        return True
    return False
