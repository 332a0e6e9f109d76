"""The crew: a server's workers, brought to life, counted, stopped.

Facts. The order in a listener's wait queue follows from the order of registration,
not from that of the threads' start: epoll puts an exclusive entry at the queue's tail
and any other at its head. So under `level` the worker that registered LAST is woken
first. The kernel keeps an account of every thread and process, and forgets it with
them.

Decision. A team makes the workers, as threads or as processes, and registers them in
`register_order`. The start is over when all of them sleep in their first wait: the
kernel's account is read there, and what is reported is the difference, so that
neither the start nor the stop is in any count. A sleeping thread's voluntary
switches since then are its wake-ups: by the network, and for interpreted threads
also those after a wait for the GIL.

What kills a worker is kept in `failures`, and the first error of the server's own code
that cost a connection in `faults`.

The server's finalizer calls `stop` wherever the last reference goes: in a forked
child, whose copy of the crew has no workers and must leave the parent's alone;
or in whichever thread collects garbage, a worker too, which cannot join itself.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time

import numpy as np

from netlab import counters
from netlab.checks import whole_number
from netlab.kernel import machine, threads
from netlab.kernel.addresses import Address
from netlab.records import Log, Rows, passable_memory
from netlab.server import engines, listeners, placement, strategies
from netlab.server.outfit import Outfit
from netlab.server.processes_team import ProcessesTeam
from netlab.server.settings import (
    BACKLOG,
    SLOWNESS_LIMIT,
    ServerSettings,
    somaxconn,
)
from netlab.server.shared import Shared, Sizes
from netlab.server.threads_team import ThreadsTeam

START_TIMEOUT_S = 30.0  # a host's fresh interpreter and N forks, on a busy machine
STOP_TIMEOUT_S = 10.0  # a worker is at most 16 spins of 0.1 s from its end
FIRST_SLEEP_S = 1.0  # longer only if other threads of this process keep the GIL


class Crew:
    """What a server consists of; holds no reference to it."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.engine = engines.find(settings.engine)
        self.strategy = strategies.find(settings.strategy)
        self.how = settings.how()
        self.backlog = settings.backlog or min(BACKLOG, somaxconn())
        self._bounds = settings.bounds()
        self.own_pid = os.getpid()
        count = settings.worker_count()
        allowed = machine.cpus_allowed()
        self.cpus = [allowed[i % len(allowed)] for i in range(count)]
        self.addresses: tuple[Address, ...] = ()
        self.stopped = False
        in_threads = settings.workers_as == "threads"
        self._team = ThreadsTeam() if in_threads else ProcessesTeam()
        self._shared = self._new_shared(count, in_threads)
        first = placement.seeds(settings.place_seed, count)
        self._shared.memories[:, placement.SEED] = first
        self._at_ready = self.rows.copy()
        self._before_stop: np.ndarray | None = None
        self._at_stop: np.ndarray | None = None
        self._left_waiting = 0
        self._listeners: list[listeners.Listener] = []
        self._watched: listeners.Watched = []
        self._around = contextlib.ExitStack()  # what the strategy needs meanwhile
        self._stopping = threading.Lock()

    def _new_shared(self, count: int, in_threads: bool) -> Shared:
        sizes = Sizes(count, self.settings.accept_log, self.settings.turn_log)
        if in_threads:
            return Shared(sizes)
        return Shared(sizes, passable_memory(Shared.size(sizes)))

    @property
    def rows(self) -> Rows:
        """The workers' counters."""
        return self._shared.rows

    @property
    def logs(self) -> list[Log]:
        """The workers' accept logs."""
        return self._shared.logs

    @property
    def turn_logs(self) -> list[Log]:
        """The workers' logs of turns."""
        return self._shared.turn_logs

    # -- starting -----------------------------------------------------------------

    def start(self) -> None:
        """Open the listeners, start the workers, return when all of them sleep."""
        self._shared.open_stop()
        self._around.enter_context(self.strategy.around())
        self._team.start(self._outfit())
        self._await_ready()
        threads.settle(self.rows.array["tid"].tolist(), FIRST_SLEEP_S)
        self._at_ready = self._accounts()

    def _outfit(self) -> Outfit:
        outfit = Outfit(
            engine=self.engine,
            strategy=self.strategy,
            how=self.how,
            order=self.settings.order(),
            cpus=self.cpus,
            pin=self.settings.pin,
            incoming_cpu=self.settings.incoming_cpu,
            slow=self.settings.slow,
            bounds=self._bounds,
            watched=self._open(),
            shared=self._shared,
        )
        self._listeners = outfit.listeners()
        found = map(listeners.address_of, self._listeners)
        self.addresses = tuple(dict.fromkeys(found))
        return outfit

    def _open(self) -> listeners.Watched:
        addresses, cpus = tuple(self.settings.addresses()), tuple(self.cpus)
        plan = listeners.Plan(addresses, self.backlog, cpus)
        self._watched = self.strategy.open(plan)
        return self._watched

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (self.rows.array["state"] >= counters.State.READY).all():
            failures = self.failures
            if failures or time.monotonic() > deadline:
                reason = next(iter(failures.values()), None)
                raise RuntimeError(f"the workers did not start: {reason}") from reason
            time.sleep(0.0005)

    # -- watching -----------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The process that the workers are threads or children of."""
        return self._team.pid or self.own_pid

    @property
    def failures(self) -> dict[int, BaseException]:
        """The workers that died, by number, with what killed them."""
        return self._team.failures

    @property
    def faults(self) -> dict[int, Exception]:
        """The first error of each worker that ended a connection, by number."""
        return self._team.faults

    def snapshot(self) -> np.ndarray:
        """Return the counters since ready, with the kernel's account of now."""
        if self._at_stop is not None:
            return self._at_stop.copy()
        rows = self._accounts()
        for name in counters.USAGE:
            rows[name] -= self._at_ready[name]
        return rows

    def _accounts(self) -> np.ndarray:
        """Return the rows, the usage of living workers read from the kernel."""
        rows = self.rows.copy()
        living = np.flatnonzero(rows["state"] == counters.State.READY)
        found = []
        for number, tid in zip(
            living.tolist(), rows["tid"][living].tolist(), strict=True
        ):
            try:
                found.append(threads.usage_of(tid))
            except threads.ThreadGone:  # since the copy: then its own last word
                rows[number] = self.rows.array[number]
                found.append([rows[name][number] for name in counters.USAGE])
        for name, values in zip(counters.USAGE, zip(*found, strict=True), strict=False):
            rows[name][living] = values
        return rows

    def max_connections(self) -> int:
        """Return how many connections may be open, as the limit is now."""
        return self._bounds.most()

    def waiting(self) -> int:
        """Return the length of all accept queues, now or when it was stopped."""
        if self.stopped:
            return self._left_waiting
        return listeners.waiting(self._listeners)

    # -- stopping -----------------------------------------------------------------

    def retire(self, number: int) -> None:
        """Close the listeners that only one worker watches; ValueError if none."""
        if number is None:
            raise ValueError("worker=None: give a worker's number")
        whole_number("worker", number, 0, len(self.cpus) - 1)
        if not isinstance(self._team, ThreadsTeam):
            raise ValueError(
                "workers_as='processes': each of them holds every listener, so none "
                "closes before all of them end; use workers_as='threads'"
            )
        own = self._listeners_of(number)
        if not own:
            raise ValueError(
                f"worker {number} has no listener of its own under strategy "
                f"{self.strategy.name!r}: use 'reuseport'"
            )
        self._team.retire(number)
        listeners.close_all(own)

    def slow_down(self, number: int, factor: int) -> None:
        """Make a worker so many times slower; ValueError for one out of reach."""
        if number is None or factor is None:
            raise ValueError(f"worker={number}, factor={factor}: give two numbers")
        whole_number("worker", number, 0, len(self.cpus) - 1)
        whole_number("factor", factor, 1, SLOWNESS_LIMIT)
        if self.stopped:
            raise ValueError("the server has stopped: slow a worker down before")
        if not isinstance(self._team, ThreadsTeam):
            raise ValueError(
                "workers_as='processes': what one of them does is out of reach while "
                "it runs; use workers_as='threads', or the setting slow from the start"
            )
        self._team.slow_down(number, factor)

    def _listeners_of(self, number: int) -> list[listeners.Listener]:
        """Return the listeners that no other worker watches."""
        watched = enumerate(self._watched)
        others = {one for other, row in watched if other != number for one in row}
        return [one for one in self._watched[number] if one not in others]

    def stop(self) -> None:
        """Stop, join, close. Does nothing the second time.

        May be tried again if it raised because a worker was late.
        """
        if os.getpid() != self.own_pid:
            return
        if self._team.is_one_of_us():
            threading.Thread(target=self.stop).start()
            return
        with self._stopping:
            if self.stopped:
                return
            if self._before_stop is None:
                self._before_stop = self._snapshot_if_possible()
            self._team.call_off()
            self._shared.tell_to_stop()
            self._left_waiting += listeners.release(self._listeners)
            if late := self._team.await_end(STOP_TIMEOUT_S):
                raise RuntimeError(
                    f"{late} workers did not stop within {STOP_TIMEOUT_S:.0f} s: they "
                    "are still busy with a request; call stop() again"
                )
            self._at_stop = self._with_last_counts(self._before_stop)
            self._close()
            self.stopped = True

    def _snapshot_if_possible(self) -> np.ndarray | None:
        """Return the snapshot, or None when out of descriptors.

        That must not keep a server from stopping; the workers' own last words,
        with the wake-up of the stop in them, then have to do.
        """
        try:
            return self.snapshot()
        except OSError:
            return None

    def _with_last_counts(self, before: np.ndarray | None) -> np.ndarray:
        """Keep usage and turns of before the stop, and all that was counted since."""
        last = self.rows.copy()
        for name in counters.USAGE:
            last[name] -= self._at_ready[name]
        if before is not None:
            for name in (*counters.USAGE, "turns"):
                last[name] = before[name]
        return last

    def _close(self) -> None:
        self._left_waiting += listeners.waiting(self._listeners)
        listeners.close_all(self._listeners)
        self._around.close()
        self._team.close()
        self._shared.close()
