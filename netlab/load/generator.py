"""The load as its user holds it: starts the load's process, fires, gives back rows.

Facts. The rows are written by another process into memory that both share, so
they can be counted while the load runs, for a progress bar, and are still there
when that process is killed. It may be killed, hang, or find no server; none of
these may hang the notebook.

Decision. Every load ends: with a report, with the end of its process (`child`), or
at its own `timeout_s` and GRACE_S more, after which the process is killed.
What goes wrong raises LoadError with the rows so far in `result`. After an
interrupt the process is killed at once; `Generator.last` has the rows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from netlab.checks import known
from netlab.kernel import limits
from netlab.kernel.addresses import Address, is_local, parse
from netlab.load.child import Child, ChildGone
from netlab.load.plans import (
    CONNECTION,
    OWN_DESCRIPTORS,
    REQUEST,
    LoadSettings,
)
from netlab.load.progress import bar
from netlab.load.result import LoadError, LoadResult, require_complete
from netlab.records import Log, passable_memory

# Of 28,000 ports `connect` tries every second one first; when these 14,000 are taken it
# takes five times as long (200 us against 35 for each of 18,000 connections).
CONNECTIONS_PER_SOURCE = 12_000
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
PORTS = (32_768, 60_999)  # Linux's default, where the machine does not say
GRACE_S = 10.0  # how long after its own time limit a load may still report


class Listening(Protocol):
    """Anything with addresses, such as a Server."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens."""
        ...


Target = Listening | str | Iterable[Listening | str]


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

    def start(self) -> Child:
        """Start the load's process now, unless there is one; the next load needs it."""
        if self._child is None:
            self._child = Child()
        return self._child

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
        on_held: called when plan `touch`, `burst` or `hold` holds all its
            connections open.
        on_error: "raise" ends the load at its first failure and raises;
            "record" goes on, and the failures are rows with their kinds.
        settings: the fields of `LoadSettings`.

        Raises ValueError for settings that cannot be honoured, LoadError for a
        load that did not complete.
        """
        addresses = _addresses(target, allow_remote)
        if on_error not in ("raise", "record"):
            raise ValueError(f"on_error={on_error!r}: give 'raise' or 'record'")
        known(settings, (one.name for one in fields(LoadSettings)))
        wanted = LoadSettings(**settings)
        _require_room(wanted, addresses)
        order = {
            "settings": asdict(wanted),
            "target": {
                "addresses": addresses,
                "per_source": CONNECTIONS_PER_SOURCE,
                "stop_early": on_error == "raise",
            },
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
            require_complete(self.last, addresses)
        return self.last

    def _exchange(
        self,
        order: dict[str, Any],
        logs: _Logs,
        on_held: Callable[[], None] | None,
        progress: bool,
    ) -> None:
        """Send the order and wait for the end of the load."""
        child = self.start()
        limit_s = order["settings"]["timeout_s"] + GRACE_S
        try:
            child.send(order, logs.descriptors)
            with _bar(logs, progress) as advance:
                logs.report = child.report(limit_s, advance)
                if "held" in logs.report:
                    if on_held:
                        on_held()
                    child.send({"release": True})
                    logs.report = child.report(limit_s, advance)
        except ChildGone as error:
            self.close()
            raise LoadError(str(error), logs.result()) from error


class _Logs:
    """The two logs of one load, in memory that is passed to the load's process."""

    def __init__(self, settings: LoadSettings) -> None:
        self.settings = settings
        self.descriptors: list[int] = []
        self.report: dict[str, Any] = {}  # the process's last word
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
            self.report.get("cpu_ns"),
            self.report.get("compiled"),
        )


@contextlib.contextmanager
def _bar(logs: _Logs, shown: bool) -> Iterator[Callable[[], object]]:
    """Show a progress bar of the rows written; yields what moves it."""
    settings, (connections, requests) = logs.settings, logs.settings.rows()
    log, unit = (logs.requests, "requests") if requests else (logs.connections, "conns")
    total = None if settings.ends_by_time else (requests or connections)
    with bar(total, unit, shown) as told:
        yield lambda: told.update(len(log) - told.n)


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


def _require_room(settings: LoadSettings, addresses: list[Address]) -> None:
    """Refuse more connections than one process, or one address, can have open."""
    wanted, (_, hard) = settings.descriptors(), limits.descriptor_limits()
    if wanted > hard - OWN_DESCRIPTORS:
        raise ValueError(
            f"{wanted} connections open at once: one process can hold at most "
            f"{hard - OWN_DESCRIPTORS} (its hard limit of descriptors is {hard}); ask "
            "for fewer, fire from several Generators, or raise it (ulimit -Hn as root)"
        )
    each = -(-wanted // len(addresses))
    for address in addresses:
        if ":" in address.host and each > _ports():
            raise ValueError(
                f"{each} connections to {address}: IPv6 has only one own address, ::1, "
                f"with {_ports()} ports; ask for fewer, or listen on 127.0.0.1, where "
                "the load takes as many own addresses as it needs"
            )


def _ports() -> int:
    """Return how many ports the kernel chooses from for one own address."""
    words = limits.read_text(PORT_RANGE).split()
    low, high = map(int, words) if len(words) == 2 else PORTS
    return high - low + 1


def fire(target: Target, **settings: Any) -> LoadResult:
    """Fire one load from a process of its own; see `Generator.fire`."""
    with Generator() as generator:
        return generator.fire(target, **settings)
