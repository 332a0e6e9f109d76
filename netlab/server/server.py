"""The server: what a reader holds, from its construction to `stop()`.

Facts. Threads that are daemons do not keep a process from ending, but would be
cut off in the middle; threads that are not would hang it, as Python joins them
before it calls any exit handler. A notebook's kernel lives for hours, and its
reader runs the same cell twice.

Decision. A server runs from its construction to `stop()`, to the end of its
`with` block, to the moment nobody holds it any more, or to the end of the
process, whichever comes first: the threads are daemons, and a finalizer that
also runs at exit stops and joins them. The workers hold no reference to the
server, so that dropping the last one is enough. In a notebook, a cell that is
run again first stops the servers that its earlier run left (`cells`).

Stopping wakes every worker once more. The wake-ups and turns of a stopped
server are therefore those of the moment before it was told to stop.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from netlab import counters
from netlab.checks import known
from netlab.kernel import threads
from netlab.kernel.addresses import Address
from netlab.server import cells, logs
from netlab.server.crew import Crew
from netlab.server.settings import ServerSettings

if TYPE_CHECKING:
    import pandas as pd


class Server:
    """A running server: N workers that share all listeners.

    Takes the fields of `ServerSettings` by name. Raises ValueError for a
    setting that cannot be honoured and OSError for an address that cannot be
    had; nothing is left behind then. Warns (`RemoteAccess`) of an address that
    other machines can reach.
    """

    __signature__ = inspect.signature(ServerSettings)  # for help() and completion

    def __init__(self, **settings: Any) -> None:
        known(settings, self.__signature__.parameters)
        for name in ("listen", "register_order", "slow"):
            value = settings.get(name)
            if isinstance(value, Iterable) and not isinstance(value, str):
                settings[name] = tuple(value)
        self.settings = ServerSettings(**settings)
        self.settings.warn_if_remote()
        self._crew = Crew(self.settings)
        cells.stop_predecessors(self)
        self._finalizer = weakref.finalize(self, self._crew.stop)
        try:
            self._crew.start()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = f"on {', '.join(map(str, self.addresses))}"
        if not self.running:
            state = "stopped"
        workers = f"{len(self.tids)} workers"
        if died := len(self.failures):
            workers += f" ({died} died)"
        strategy = self.settings.strategy
        return f"<netlab.Server {state}: {workers}, strategy {strategy!r}>"

    @property
    def running(self) -> bool:
        """True until the server is stopped."""
        return not self._crew.stopped

    @property
    def address(self) -> Address:
        """The first address (host, port) that the server listens on."""
        return self.addresses[0]

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All addresses that the server listens on, with their actual ports."""
        return self._crew.addresses

    @property
    def pid(self) -> int:
        """The process that the workers are threads of, or children of (a host)."""
        return self._crew.pid

    @property
    def tids(self) -> tuple[int, ...]:
        """The kernel's thread number of each worker."""
        return tuple(int(tid) for tid in self._crew.rows.array["tid"])

    @property
    def failures(self) -> dict[int, BaseException]:
        """The workers that died, by number, with what killed them."""
        return dict(self._crew.failures)

    @property
    def faults(self) -> dict[int, Exception]:
        """The first error of the server's own code in each worker, by number.

        Such an error ends one connection; the worker goes on.
        """
        return self._crew.faults

    def actual(self) -> dict[str, Any]:
        """Return the settings as they took effect, JSON-safe."""
        return asdict(self.settings) | {
            "workers": len(self.tids),
            "loop": self._crew.how.loop,
            "rotate_every": self._crew.how.rotate_every,
            "interpreted": self._crew.engine.is_interpreted(),
            "listen": [str(address) for address in self.addresses],
            "backlog": self._crew.backlog,
            "max_connections": self._crew.max_connections(),
            "cpus": list(self._crew.cpus) if self.settings.pin else None,
            "register_order": list(self.settings.order()),
        }

    def snapshot(self) -> np.ndarray:
        """Return the counter rows since the workers were ready, shape (workers,).

        The usage columns are read from the kernel now; the counts are those of
        each worker's last turn.
        """
        return self._crew.snapshot()

    def counters(self) -> pd.DataFrame:
        """Return a row per worker: the counters of `netlab.counters.COUNTERS`."""
        return counters.table(self.snapshot())

    def accepts(self) -> pd.DataFrame:
        """Return a row per accepted connection, in the order of time."""
        return logs.table(self.accept_records())

    def accept_records(self) -> np.ndarray:
        """Return the same as records of `logs.ACCEPT`."""
        return logs.merge(self._crew.logs)

    def accepts_dropped(self) -> int:
        """Return how many accepts found their worker's log full."""
        return sum(log.dropped for log in self._crew.logs)

    def turns(self) -> pd.DataFrame:
        """Return a row per turn, in the order of time, if a `turn_log` is kept."""
        return logs.turns_table(self._crew.turn_logs)

    def turns_dropped(self) -> int:
        """Return how many turns found their worker's log full."""
        return sum(log.dropped for log in self._crew.turn_logs)

    def retire(self, worker: int) -> None:
        """Close a worker's own listeners, as if it died: it gets no new connections.

        It serves on the clients that it has; what waits in its queue is reset, or moved
        to another listener if the kernel does that (strategy reuseport-migrate).
        Raises ValueError for a worker that has no listener of its own.
        """
        self._crew.retire(worker)

    def slow_down(self, worker: int, factor: int) -> None:
        """Make a worker so many times slower from now on; 1 makes it as fast as ever.

        What it spins for a request then takes that much longer, as under the setting
        `slow`. Raises ValueError for a worker or a factor that there is not, if the
        workers are processes, or if the server has stopped.
        """
        self._crew.slow_down(worker, factor)

    def waiting(self) -> int:
        """Return how many connections nobody has accepted yet.

        Of a stopped server: how many were left when it stopped.
        """
        return self._crew.waiting()

    def settle(self, timeout_s: float = 5.0) -> bool:
        """Wait until all workers sleep; False if they never do in that time."""
        return threads.settle(self.tids, timeout_s)

    def stop(self) -> None:
        """Stop the workers, join them, close all sockets; more calls do nothing."""
        self._crew.stop()
        self._finalizer.detach()
