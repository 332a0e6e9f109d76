"""A server as it is looked at while it is attacked, and when its clients have gone.

Facts. What its processes alone have grows by what the server keeps for its clients. The
kernel keeps bytes for each socket, too, which belong to no process: it counts them for
all TCP sockets of the machine together, the clients' among them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from benchmarks import accounts
from reliability.attacks_kinds import Going
from reliability.results import Broken
from reliability.served import Served, kernel_kb, lives, until
from reliability.trial import is_free

LEAVE_S = 10.0  # an attacker that ends closes all that it had


@contextlib.contextmanager
def serving(kind: str, settings: dict[str, Any]) -> Iterator[Served]:
    """Give a server of a kind, whose process has ended at the end of the block."""
    served = Served(kind, **settings)
    try:
        yield served
    finally:
        served.end()


class Watch:
    """What a server had at most, as looked at from now on."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.open = 0
        self.memory_kb = self.before_kb = own_kb(served)
        self.kernel_kb = self.kernel_before_kb = kernel_kb()

    def look_on(self, going: Going) -> str:
        """Look as often as the attack says, to its end; return what it saw."""
        with contextlib.closing(going):
            while True:
                try:
                    next(going)
                except StopIteration as end:
                    return end.value
                self.look()

    def look(self) -> None:
        """Look once."""
        self.open = max(self.open, self.served.look()["open"])
        self.memory_kb = max(self.memory_kb, own_kb(self.served))
        self.kernel_kb = max(self.kernel_kb, kernel_kb())

    def memory(self, connections: int) -> dict[str, float | None]:
        """Return the server's memory at most, and what a connection had of its growth.

        connections: that stayed; none is known of those that do not.
        """
        grown_kb = self.memory_kb - self.before_kb
        kernel_grown_kb = self.kernel_kb - self.kernel_before_kb
        return {
            "server at most, MB": round(self.memory_kb / 1000),
            "kB a connection": per(grown_kb, connections),
            "kernel's kB a connection": per(kernel_grown_kb, connections),
        }


def own_kb(served: Served) -> int:
    """Return the memory that a server's processes alone have, in kB."""
    return accounts.memory_bytes(served.pid) // 1000


def per(whole: float, count: int) -> float | None:
    """Return a part's size; None if there are no parts."""
    return round(whole / count, 1) if count else None


def settled(served: Served) -> tuple[dict[str, int], dict[str, int]]:
    """Stop a server whose clients have gone; return its counts, and what it left."""
    for condition in (
        lambda: served.look()["open"] == 0,
        lambda: served.descriptors() <= served.at_rest,
    ):
        with contextlib.suppress(Broken):
            until(condition, "it came to rest", LEAVE_S)
    left = {
        "connections": served.look()["open"],
        "descriptors": served.descriptors() - served.at_rest,
    }
    last = served.stop()
    left |= {f"{name} of the process": count for name, count in last["left"].items()}
    left |= {name: len(last[name]) for name in ("died", "faults")}
    left |= {
        "processes": sum(map(lives, served.all_pids())),
        "ports": int(not is_free(served.address)),
    }
    return last["counters"], {name: count for name, count in left.items() if count > 0}
