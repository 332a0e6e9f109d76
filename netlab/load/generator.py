"""The load as its user holds it: starts the load's process, fires, gives back rows.

Facts. The rows are written by another process into memory that both share, so
they can be counted while the load runs, for a progress bar, and are still there
when that process is killed. It may be killed, hang, or find no server; none of
these may hang the notebook.

Decision. Every wait here ends: with a report, with the end of the process, or at
the load's own `timeout_s` and GRACE_S more, after which the process is killed.
What goes wrong raises LoadError with the rows so far in `result`. After an
interrupt the process is killed at once; `Generator.last` has the rows.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from netlab.kernel.addresses import Address, is_local, parse
from netlab.load.plans import CONNECTION, MEANINGS, REQUEST, LoadSettings, Outcome
from netlab.records import Log, passable_memory

if TYPE_CHECKING:
    import pandas as pd

START_TIMEOUT_S = 30.0  # a Python that imports NumPy, on a busy machine
GRACE_S = 10.0  # how long after its own time limit a load may still report
PROGRESS_S = 0.1  # between two looks at the rows
PACKAGE_PARENT = Path(__file__).parents[2]
BAR_LOCK = threading.RLock()


class Listening(Protocol):
    """Anything with addresses, such as a Server."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens."""
        ...


Target = Listening | str | Iterable[Listening | str]


@dataclass(frozen=True)
class LoadResult:
    """The rows of one load, and what was asked for.

    settings: as asked for. actual: with the plan's defaults filled in.
    connection_rows, request_rows: structured arrays of plans.CONNECTION, .REQUEST.
    dropped: requests that found no room for a row.
    """

    settings: LoadSettings
    actual: LoadSettings
    connection_rows: np.ndarray
    request_rows: np.ndarray
    dropped: int

    def __repr__(self) -> str:
        failed = sum(self.failures().values())
        return (
            f"<LoadResult: {len(self.request_rows)} requests on "
            f"{len(self.connection_rows)} connections, {failed} failed>"
        )

    @property
    def requests(self) -> pd.DataFrame:
        """A row per request: connection, start_ns, latency_ns, worker, cpu, status."""
        return _frame(self.request_rows)

    @property
    def connections(self) -> pd.DataFrame:
        """A row per connection: times in ns, the client's port, its outcome."""
        frame = _frame(self.connection_rows)
        frame["outcome"] = [Outcome(value).name.lower() for value in frame["outcome"]]
        return frame

    @property
    def missing(self) -> int:
        """Connections that were asked for and never begun: the load ended before."""
        if self.settings.duration_s is not None:
            return 0  # the time was to end it, not the count
        return (self.actual.connections or 0) - len(self.connection_rows)

    def failures(self) -> dict[Outcome, int]:
        """Return how many connections did not complete, by kind."""
        kinds, counts = np.unique(self.connection_rows["outcome"], return_counts=True)
        found = zip(map(Outcome, kinds.tolist()), counts.tolist(), strict=True)
        return {kind: count for kind, count in found if kind != Outcome.CLOSED}


class LoadError(RuntimeError):
    """A load that did not complete; `result` has the rows so far."""

    def __init__(self, message: str, result: LoadResult) -> None:
        super().__init__(message)
        self.result = result


class Generator:
    """The load's process, kept for as many loads as you like, until `close()`.

    Starts at the first load; is stopped by `close()`, the end of its `with`
    block, when nobody holds it any more, or with this process, however it ends.
    """

    def __init__(self) -> None:
        self.last: LoadResult | None = None
        self._child: Child | None = None

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<netlab.Generator: {f'process {self.pid}' if self.pid else 'idle'}>"

    @property
    def pid(self) -> int | None:
        """The load's process, if there is one."""
        return self._child.pid if self._child else None

    def close(self) -> None:
        """End the load's process; the next load would start another."""
        if self._child:
            self._child.end()
            self._child = None

    def fire(
        self,
        target: Target,
        *,
        on_held: Callable[[], None] | None = None,
        on_error: Literal["raise", "record"] = "raise",
        progress: bool = True,
        allow_remote: bool = False,
        **settings: Any,
    ) -> LoadResult:
        """Fire one load at `target` and return its rows.

        target: a server, "HOST:PORT", or several of these; connections take
            turns among the addresses.
        on_held: called when plan `touch` holds all its connections open.
        on_error: "raise" ends the load at its first failure and raises;
            "record" goes on, and the failures are rows with their kinds.
        settings: the fields of `LoadSettings`.

        Raises ValueError for settings that cannot be honoured, LoadError for a
        load that did not complete.
        """
        addresses = _addresses(target, allow_remote)
        if on_error not in ("raise", "record"):
            raise ValueError(f"on_error={on_error!r}: give 'raise' or 'record'")
        wanted = LoadSettings(**settings)
        order = {
            "settings": asdict(wanted),
            "addresses": addresses,
            "stop_early": on_error == "raise",
        }
        with _Logs(wanted) as logs:
            try:
                self._exchange(order, logs, on_held, progress)
            except LoadError:
                raise
            except BaseException:
                self.close()  # also after an interrupt: its load must not go on
                raise
            finally:
                self.last = logs.result()
        if on_error == "raise":
            _raise_failures(self.last, addresses)
        return self.last

    def _exchange(
        self,
        order: dict[str, Any],
        logs: _Logs,
        on_held: Callable[[], None] | None,
        progress: bool,
    ) -> None:
        """Send the order and wait for the end of the load."""
        if self._child is None:
            self._child = Child()
        limit_s = order["settings"]["timeout_s"] + GRACE_S
        try:
            self._child.send(order, logs.descriptors)
            with _bar(logs, progress) as advance:
                if "held" in self._child.report(limit_s, advance):
                    if on_held:
                        on_held()
                    self._child.send({"release": True})
                    self._child.report(limit_s, advance)
        except ChildGone as error:
            self.close()
            raise LoadError(str(error), logs.result()) from error


class ChildGone(RuntimeError):
    """The load's process ended, or did not report in time."""


class Child:
    """One process that serves loads; see `netlab.load.process` for its orders."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        path = os.pathsep.join([str(PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")])
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `_end` closes it
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "netlab.load.process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=os.environ | {"PYTHONPATH": path.rstrip(os.pathsep)},
            )
        self._control = ours
        self._finalizer = weakref.finalize(
            self, _end, self._process, ours, self._errors
        )
        try:
            self.report(START_TIMEOUT_S)
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def end(self) -> None:
        """Kill the process and wait for it; more calls do nothing."""
        self._finalizer()

    def send(self, order: dict[str, Any], descriptors: Iterable[int] = ()) -> None:
        """Send an order, with the descriptors that it is about."""
        line = json.dumps(order).encode() + b"\n"
        try:
            socket.send_fds(self._control, [line], list(descriptors))
        except OSError as error:
            raise ChildGone(self._last_words()) from error

    def report(
        self, limit_s: float, advance: Callable[[], object] = lambda: None
    ) -> dict[str, Any]:
        """Return the next report; calls `advance` every PROGRESS_S meanwhile."""
        deadline = time.monotonic() + limit_s
        while not select.select([self._control], [], [], PROGRESS_S)[0]:
            advance()
            if time.monotonic() > deadline:
                raise ChildGone(f"the load's process said nothing for {limit_s:.0f} s")
        line = b""
        with contextlib.suppress(ConnectionError):
            line = self._control.recv(1 << 16)
        if not line:
            raise ChildGone(self._last_words())
        advance()
        return json.loads(line)

    def _last_words(self) -> str:
        """Return how the process ended, with the last line it wrote."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        status = self._process.returncode
        how = f"was killed by signal {-status}" if status and status < 0 else "ended"
        return f"the load's process {how}: {lines[-1] if lines else 'it left no word'}"


def _end(
    process: subprocess.Popen[bytes], control: socket.socket, errors: IO[bytes]
) -> None:
    control.close()
    process.kill()
    process.wait()
    errors.close()


class _Logs:
    """The two logs of one load, in memory that is passed to the load's process."""

    def __init__(self, settings: LoadSettings) -> None:
        self.settings = settings
        self.descriptors: list[int] = []
        connections, requests = settings.rows()
        self.connections = self._new(CONNECTION, connections)
        self.requests = self._new(REQUEST, requests)

    def __enter__(self) -> _Logs:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)

    def _new(self, dtype: np.dtype, capacity: int) -> Log:
        self.descriptors.append(passable_memory(Log.size(dtype, capacity)))
        return Log(dtype, capacity, self.descriptors[-1])

    def result(self) -> LoadResult:
        """Return the rows so far."""
        return LoadResult(
            self.settings,
            self.settings.resolved(),
            self.connections.copy(),
            self.requests.copy(),
            self.requests.dropped,
        )


@contextlib.contextmanager
def _bar(logs: _Logs, shown: bool):
    """Show a progress bar of the rows written; yields what moves it."""
    from tqdm.auto import tqdm

    class Bar(tqdm):
        monitor_interval = 0  # else tqdm leaves a thread behind

    Bar.set_lock(BAR_LOCK)  # else it makes one for processes, and a process for it
    settings, (connections, requests) = logs.settings, logs.settings.rows()
    log, unit = (logs.requests, "requests") if requests else (logs.connections, "conns")
    total = None if settings.duration_s else (requests or connections)
    hidden = None if shown else True
    with Bar(total=total, unit=unit, disable=hidden, leave=False, delay=0.5) as bar:
        yield lambda: bar.update(len(log) - bar.n)


def _addresses(target: Target, allow_remote: bool) -> list[Address]:
    """Return the target's addresses; ValueError for one beyond this machine."""
    targets = target if isinstance(target, Iterable) else [target]
    found: list[Address] = []
    for one in [target] if isinstance(target, str) else targets:
        found += [parse(one)] if isinstance(one, str) else one.addresses
    if not found:
        raise ValueError(f"target={target!r}: give a server or at least one address")
    for address in found:
        if not allow_remote and not is_local(address):
            raise ValueError(
                f"{address} is not this machine: a load on others needs their consent "
                "and allow_remote=True"
            )
    return found


def _raise_failures(result: LoadResult, addresses: list[Address]) -> None:
    failures = result.failures()
    if failures or result.missing:
        told = [f"{n} {MEANINGS[kind]}" for kind, n in failures.items()]
        told += [f"{result.missing} not begun"] if result.missing else []
        raise LoadError(
            f"{sum(failures.values())} of {len(result.connection_rows)} connections to "
            f"{', '.join(map(str, addresses))} did not complete: {'; '.join(told)}. "
            "The rows so far are in .result; on_error='record' goes on instead",
            result,
        )


def _frame(rows: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: rows[name] for name in rows.dtype.names or ()})


def fire(target: Target, **settings: Any) -> LoadResult:
    """Fire one load from a process of its own; see `Generator.fire`."""
    with Generator() as generator:
        return generator.fire(target, **settings)
