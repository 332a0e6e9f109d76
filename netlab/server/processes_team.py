"""The workers as processes: the pre-fork server of nginx and gunicorn.

Facts. Forked processes share the listeners as threads do, and each has an interpreter
of its own: no GIL between them, no memory either. A process with threads (a notebook's
kernel) must not fork and go on, since locks that other threads hold stay locked.

Decision. A fresh interpreter with one thread, the host (`host`), is given listeners,
eventfd and the shared mapping, and forks the workers. Counts and logs come back
through the mapping. What workers die of comes as a message (SOCK_SEQPACKET: each
arrives whole, whoever of them sends it). The host lives as long as any worker, and
ends them when this process is gone: its end of the socket is closed then.

Killing the host kills the workers (PR_SET_PDEATHSIG). What may not be put here: what
the host does.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from netlab.counters import State
from netlab.kernel.child import Module
from netlab.server.outfit import Outfit

MESSAGE_BYTES = 1 << 16


class WorkerDied(RuntimeError):
    """A worker's process ended by an error; the text is its own last word."""


class ProcessesTeam:
    """A host and its N workers, from `start` until `close`."""

    def __init__(self) -> None:
        self._failures: dict[int, BaseException] = {}
        self._faults: dict[int, Exception] = {}
        self._host: Module | None = None
        self._control: socket.socket | None = None
        self._outfit: Outfit | None = None
        self._ordered = False

    @property
    def pid(self) -> int | None:
        """The host's process."""
        return self._host.pid if self._host else None

    @property
    def failures(self) -> dict[int, BaseException]:
        """The workers that died, by number, with their last word."""
        self._hear()
        return self._failures

    @property
    def faults(self) -> dict[int, Exception]:
        """The first error of each worker that ended a connection, once it ended."""
        self._hear()
        return self._faults

    def start(self, outfit: Outfit) -> None:
        """Start the host and give it its order; does not wait for the workers."""
        outfit.engine.prepare(
            outfit
        )  # whoever waits for a compilation is told of it here
        self._outfit = outfit
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        ours.setblocking(False)
        listeners = {item.fileno() for watched in outfit.watched for item in watched}
        with theirs:
            descriptors = [outfit.shared.memory, outfit.shared.stop, *listeners]
            self._host = Module("netlab.server.host", theirs.fileno(), descriptors)
        ours.send(json.dumps(order(outfit)).encode())
        self._ordered = True

    def is_one_of_us(self) -> bool:
        """Whether the caller is a worker: never, they are elsewhere."""
        return False

    def call_off(self) -> None:
        """Send a host away that has no order yet; others look at the stop's word."""
        if not self._ordered and self._control:
            self._control.close()
            self._control = None

    def await_end(self, timeout_s: float) -> int:
        """Wait for all workers, told to stop before; return how many are late."""
        if self._host is None or self._host.ended_within(timeout_s):
            return 0
        assert self._outfit is not None
        return max(
            1, int((self._outfit.shared.rows.array["state"] == State.READY).sum())
        )

    def close(self) -> None:
        """Take leave of the host, which has ended; what workers died of stays."""
        self._hear()
        if self._host:
            self._host.end()
        if self._control:
            self._control.close()
            self._control = None
        self._outfit = None

    def _hear(self) -> None:
        """Read what workers and host have said."""
        while self._control is not None:
            try:
                message = self._control.recv(MESSAGE_BYTES)
            except BlockingIOError:
                return
            except ConnectionError:
                message = b""
            if not message:  # host and workers are gone
                self._note_the_hosts_death()
                return
            self._keep(json.loads(message))

    def _keep(self, said: dict[str, Any]) -> None:
        if "failed" in said:
            self._failures.setdefault(said["worker"], WorkerDied(said["failed"]))
        else:
            self._faults.setdefault(said["worker"], WorkerDied(said["fault"]))

    def _note_the_hosts_death(self) -> None:
        assert self._outfit is not None
        assert self._host is not None
        if self._outfit.shared.stopping[0] or self._failures:
            return
        reason = WorkerDied(f"the workers' host {self._host.last_words()}")
        self._failures.update(dict.fromkeys(self._outfit.order, reason))


def order(outfit: Outfit) -> dict[str, Any]:
    """Return what the host needs to make the same outfit, JSON-safe."""
    return {
        "engine": outfit.engine.name,
        "strategy": outfit.strategy.name,
        "how": list(outfit.how),
        "order": list(outfit.order),
        "cpus": list(outfit.cpus),
        "pin": outfit.pin,
        "watched": [[one.fileno() for one in watched] for watched in outfit.watched],
        "incoming_cpu": outfit.incoming_cpu,
        "slow": outfit.slow,
        "bounds": list(outfit.bounds),
        "sizes": list(outfit.shared.sizes),
        "stop": outfit.shared.stop,
        "memory": outfit.shared.memory,
    }
