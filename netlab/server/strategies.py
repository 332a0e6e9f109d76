"""The strategy table: by which rule does a new connection find its worker?

A strategy is a composition of three small functions, not a branch in a loop:

    open    which listeners exist, and which of them each worker watches
    watch   how a worker's loop begins to watch a listener
    place   which worker keeps a connection that was just accepted

and a row also says where it can honestly run, and what is expected of it. The
table is the documentation, the menu of the command line and the plan of the
tests at once. What a row cannot do is refused with the reason.

`level`, the original's rule, in the kernel's terms. Each worker has an epoll of its
own, and each epoll puts an entry into the listener's wait queue. The entries are not
exclusive, so a new connection wakes all sleeping workers: N wake-ups for one
connection (more for interpreted threads, which then wait for the GIL). Then they race.
One `accept` returns the connection; the others' return EAGAIN, or never happen,
because epoll looks at the listener again inside the kernel before it returns to the
program, and goes back to sleep if the queue is empty by then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.server import listeners, loops, placement

if TYPE_CHECKING:
    from netlab.server.worker import Worker


class Strategy(NamedTuple):
    """One row of the table."""

    name: str
    summary: str
    open: Callable[[listeners.Plan, int], list[tuple[listeners.Listener, ...]]]
    watch: Callable[[loops.Loop, listeners.Listener], None]
    place: Callable[[Worker], Worker]
    loops: tuple[str, ...]
    engines: tuple[str, ...]
    workers_as: tuple[str, ...]
    since: str
    order: str
    wakeups: str
    traps: tuple[str, ...]

    def described(self) -> dict[str, Any]:
        """Return the row's words, without its functions, JSON-safe."""
        words = self._asdict()
        for function in ("open", "watch", "place"):
            words[function] = words[function].__name__
        return words

    def refuse_unless_possible(
        self, *, engine: str, workers_as: str, loop: str | None
    ) -> None:
        """Raise ValueError with the reason if this row cannot run like that."""
        if engine not in self.engines:
            raise ValueError(
                f"engine={engine!r}: strategy {self.name!r} runs on "
                f"{' and '.join(self.engines)}"
            )
        if workers_as not in self.workers_as:
            raise ValueError(
                f"workers_as={workers_as!r}: strategy {self.name!r} runs with workers "
                f"as {' or '.join(self.workers_as)}"
            )
        if loop is not None and loop not in self.loops:
            raise ValueError(
                f"loop={loop!r}: strategy {self.name!r} waits with "
                f"{' or '.join(self.loops)}"
            )


STRATEGIES = (
    Strategy(
        name="level",
        summary="every worker watches every listener in its own loop, and they race",
        open=listeners.open_shared,
        watch=loops.watch_level,
        place=placement.keep,
        loops=("epoll", "select"),
        engines=("python", "compiled"),
        workers_as=("threads", "processes"),
        since="2.6",
        order="the scheduler decides the race",
        wakeups="all sleeping workers, for each connection",
        traps=(
            "would-blocks do not count the herd: most of the woken workers sleep "
            "again inside the kernel",
            "interpreted threads also wait for the GIL, and those waits are counted "
            "as wake-ups too",
        ),
    ),
)


def find(name: str) -> Strategy:
    """Return the row called `name`; raises ValueError that lists the names."""
    for row in STRATEGIES:
        if row.name == name:
            return row
    known = ", ".join(row.name for row in STRATEGIES)
    raise ValueError(f"strategy={name!r}: the table has {known}")


def require_linux() -> None:
    """Raise OSError unless this is Linux, where the server can run."""
    if sys.platform != "linux":
        raise OSError(
            f"netlab's server needs Linux and this is {sys.platform}: use a Linux "
            "machine, WSL2 or a container"
        )
