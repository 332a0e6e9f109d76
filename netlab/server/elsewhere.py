"""A server in another interpreter, held as one of our own: `Server`, by messages.

Facts. Whether a Python has a GIL is decided when its process starts, so workers with
and without one cannot live in the same process. Numba does not run without a GIL, and
the load wants it.

Decision. A process of the other interpreter (`elsewhere_process`) makes a `Server` of
the same settings and answers questions about it over a socket: its counter rows, and
after its stop its accept log. Load, study and checks stay here, and take the answers
as if they came from a server of this process: the bytes of a row mean the same in both.
Between two questions that process sleeps in `recv`, so it is in nobody's way while a
load runs. It ends when it is told to, or when this process is gone.

The workers' sleep is looked at from here, by /proc. What may not be put here: what a
server does, and which interpreters there are (`kernel.interpreters`).
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import numpy as np

from netlab import counters
from netlab.kernel import threads
from netlab.kernel.addresses import Address
from netlab.kernel.child import Module, finalized, interrupts_held_back
from netlab.server import logs

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    import pandas as pd

    from netlab.kernel.interpreters import Interpreter

PROCESS = "netlab.server.elsewhere_process"
TIMEOUT_S = 60.0  # for one answer: an import, or a stop, on a busy machine


class ElsewhereError(RuntimeError):
    """The other interpreter's process ended, refused, or did not answer in time."""


class ServerElsewhere:
    """A running server in a process of another interpreter, until `stop()`.

    Takes the interpreter and the fields of `ServerSettings` by name. Raises
    ElsewhereError with the reason if there is no server then; nothing is left behind.
    """

    def __init__(self, interpreter: Interpreter, **settings: Any) -> None:
        from multiprocessing.connection import Connection  # Windows lacks a part of it

        self._last: dict[str, Any] = {}  # what it said when it stopped
        ours, theirs = socket.socketpair()
        with ours, theirs, interrupts_held_back():
            self._process = Module(PROCESS, theirs.fileno(), (), interpreter)
            self._control = Connection(os.dup(ours.fileno()))
            self._finalizer = finalized(self, _end, self._process, self._control)
        try:
            self._said = self._ask(settings)
        except BaseException:
            self._finalizer()
            raise

    def __enter__(self) -> ServerElsewhere:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """True until the server is stopped."""
        return not self._last

    @property
    def pid(self) -> int:
        """The process that the workers are threads of."""
        return self._process.pid

    @property
    def tids(self) -> tuple[int, ...]:
        """The kernel's thread number of each worker."""
        return tuple(self._said["tids"])

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All addresses that the server listens on, with their actual ports."""
        return tuple(Address(*address) for address in self._said["addresses"])

    @property
    def failures(self) -> dict[int, BaseException]:
        """The workers that died, by number; known when the server is stopped."""
        return {n: ElsewhereError(why) for n, why in self._told("failures").items()}

    @property
    def faults(self) -> dict[int, Exception]:
        """The first error of each worker that ended a connection; as `failures`."""
        return {n: ElsewhereError(why) for n, why in self._told("faults").items()}

    def actual(self) -> dict[str, Any]:
        """Return the settings as they took effect, with `interpreter`, JSON-safe."""
        return self._said["actual"] | {"interpreter": self._said["interpreter"]}

    def snapshot(self) -> np.ndarray:
        """Return the counter rows since the workers were ready, shape (workers,)."""
        rows = self._last.get("rows") or self._ask("snapshot")["rows"]
        return np.frombuffer(rows, counters.DTYPE)

    def accepts(self) -> pd.DataFrame:
        """Return a row per accepted connection of the stopped server, by time."""
        return logs.table(np.frombuffer(self._last["accepts"], logs.ACCEPT))

    def accepts_dropped(self) -> int:
        """Return how many accepts found their worker's log full, once stopped."""
        return self._last["dropped"]

    def waiting(self) -> int:
        """Return how many connections nobody had accepted when the server stopped."""
        return self._last["waiting"]

    def settle(self, timeout_s: float = 5.0) -> bool:
        """Wait until all workers sleep; False if they never do in that time."""
        return threads.settle(self.tids, timeout_s)

    def stop(self) -> None:
        """Stop the server and end its process; more calls do nothing."""
        if self._finalizer.alive:
            try:
                self._last = self._ask("stop")
            finally:
                self._finalizer()

    def _told(self, what: str) -> dict[int, str]:
        return self._last.get(what, {})

    def _ask(self, question: Any) -> dict[str, Any]:
        """Return the answer to a question; ElsewhereError without one."""
        try:
            self._control.send(question)
            if not self._control.poll(TIMEOUT_S):
                raise ElsewhereError(
                    f"the server in the other interpreter said nothing for "
                    f"{TIMEOUT_S:.0f} s"
                )
            answer = self._control.recv()
        except (EOFError, OSError) as error:
            words = self._process.last_words()
            raise ElsewhereError(f"the other interpreter's process {words}") from error
        if "refused" in answer:
            raise ElsewhereError(f"in the other interpreter: {answer['refused']}")
        return answer


def _end(process: Module, control: Connection) -> None:
    control.close()
    process.end()
