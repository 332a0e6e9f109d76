"""The crew: the workers' threads, started behind a barrier, stopped and joined.

Facts. One eventfd is in every worker's loop, level-triggered, and nobody ever
reads it: written once, it wakes every worker, however many there are. The order
in a listener's wait queue follows from the order of registration, not from that
of the threads' start: epoll puts an exclusive entry at the queue's tail and any
other at its head. So under `level` the worker that registered LAST is woken first.

Decision. All loops are made and registered by the starting thread, in
`register_order`; then the threads start, name and pin themselves, and meet at a
barrier. The start is over when all of them sleep in their first wait: the
kernel's account is read there, and what is reported is the difference, so that
neither the start nor the stop is in any count. A sleeping thread's voluntary
switches since then are its wake-ups: by the network, and with the GIL also those
after a wait for it.

A worker's thread never prints: what kills it is kept in `failures`, and the first
error of the server's own code that cost a connection in `faults`.

The server's finalizer calls `stop` wherever the last reference goes: in a forked
child, whose copy of the crew has no threads and must leave the parent's alone;
or in whichever thread collects garbage, a worker too, which cannot join itself.
"""

from __future__ import annotations

import os
import threading
import time

import numpy as np

from netlab import counters
from netlab.kernel import machine, threads
from netlab.kernel.addresses import Address
from netlab.server import accept_log, listeners, strategies
from netlab.server.loops import LOOPS
from netlab.server.settings import BACKLOG, ServerSettings, somaxconn
from netlab.server.worker import Worker

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0  # a worker is at most 16 spins of 0.1 s from its end
FIRST_SLEEP_S = 1.0  # longer only if other threads of this process keep the GIL


class Crew:
    """What a server consists of; holds no reference to it."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.strategy = strategies.find(settings.strategy)
        self.loop = settings.loop or self.strategy.loops[0]
        self.backlog = settings.backlog or min(BACKLOG, somaxconn())
        self.pid = os.getpid()
        count = settings.worker_count()
        allowed = machine.cpus_allowed()
        self.cpus = [allowed[i % len(allowed)] for i in range(count)]
        self.rows = counters.new_rows(count)
        self.logs = [accept_log.new_log(settings.accept_log) for _ in range(count)]
        self.failures: dict[int, BaseException] = {}
        self._faults: dict[int, Exception] = {}
        self.addresses: tuple[Address, ...] = ()
        self.stopped = False
        self._at_ready = self.rows.copy()
        self._before_stop: np.ndarray | None = None
        self._at_stop: np.ndarray | None = None
        self._left_waiting = 0
        self._listeners: list[listeners.Listener] = []
        self._workers: dict[int, Worker] = {}
        self._threads: list[threading.Thread] = []
        self._barrier = threading.Barrier(count)
        self._ended: set[int] = set()
        self._stop = -1
        self._stopping = threading.Lock()

    # -- starting -----------------------------------------------------------------

    def start(self) -> None:
        """Open the listeners, start the workers, return when all of them sleep."""
        self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        watched = self._open()
        for number in self.settings.order():
            self._workers[number] = self._make_worker(number, watched[number])
        peers = [self._workers[number] for number in sorted(self._workers)]
        for worker in peers:
            worker.peers = peers
        for number in sorted(self._workers):
            thread = threading.Thread(
                target=self._work,
                args=(number,),
                name=thread_name(number),
                daemon=True,
            )
            self._threads.append(thread)  # first: an interrupt may come in start()
            thread.start()
        self._await_ready()
        threads.settle(self.rows.array["tid"].tolist(), FIRST_SLEEP_S)
        self._at_ready = self._accounts()

    def _open(self) -> list[tuple[listeners.Listener, ...]]:
        addresses = tuple(self.settings.addresses())
        plan = listeners.Plan(addresses, self.backlog)
        watched = self.strategy.open(plan, len(self.cpus))
        self._listeners = list(dict.fromkeys(item for row in watched for item in row))
        self.addresses = tuple(
            listeners.address_of(listener) for listener in self._listeners
        )
        return watched

    def _make_worker(
        self, number: int, watched: tuple[listeners.Listener, ...]
    ) -> Worker:
        return Worker(
            self.strategy,
            LOOPS[self.loop](),
            watched,
            self._stop,
            counters.Tally(self.rows, number),
            self.logs[number],
        )

    def _work(self, number: int) -> None:
        """Be one worker: the body of its thread."""
        try:
            threads.set_name(thread_name(number), threading.get_native_id())
            if self.settings.pin:
                threads.pin([self.cpus[number]])
            self._barrier.wait(START_TIMEOUT_S)
            self._workers[number].run()
        except threading.BrokenBarrierError:
            pass  # another worker failed to start, and its failure is kept
        except BaseException as error:
            self.failures[number] = error
            self._barrier.abort()
        finally:
            self._ended.add(number)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (self.rows.array["state"] >= counters.State.READY).all():
            if self.failures or time.monotonic() > deadline:
                reason = next(iter(self.failures.values()), None)
                raise RuntimeError(f"the workers did not start: {reason}") from reason
            time.sleep(0.0005)

    # -- watching -----------------------------------------------------------------

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
        for row in rows[rows["state"] == counters.State.READY]:
            number = row["worker"]
            try:
                usage = threads.usage_of(int(row["tid"]))
            except threads.ThreadGone:  # since the copy: then its own last word
                rows[number] = self.rows.array[number]
            else:
                for name, value in zip(counters.USAGE, usage, strict=True):
                    rows[name][number] = value
        return rows

    @property
    def faults(self) -> dict[int, Exception]:
        """The first error of each worker that ended a connection, by number."""
        found = {n: worker.fault for n, worker in self._workers.items()}
        return self._faults | {n: fault for n, fault in found.items() if fault}

    def waiting(self) -> int:
        """Return the length of all accept queues, now or when it was stopped."""
        if self.stopped:
            return self._left_waiting
        return listeners.waiting(self._listeners)

    # -- stopping -----------------------------------------------------------------

    def stop(self) -> None:
        """Stop, join, close. Does nothing the second time.

        May be tried again if it raised because a worker was late.
        """
        if os.getpid() != self.pid:
            return
        if threading.current_thread() in self._threads:
            threading.Thread(target=self.stop).start()
            return
        with self._stopping:
            if self.stopped:
                return
            if self._before_stop is None:
                self._before_stop = self._snapshot_if_possible()
            self._barrier.abort()
            for worker in self._workers.values():
                worker.stopping = True
            if self._stop >= 0:
                os.eventfd_write(self._stop, 1)
            self._join()
            for worker in self._workers.values():
                worker.hang_up()  # again, for what it was given last
            self._at_stop = self._with_last_counts(self._before_stop)
            self._close()
            self.stopped = True

    def _join(self) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT_S
        # By its own word: before Python 3.13 an interrupted join may take a living
        # thread for dead. One that has not begun yet will end at the barrier.
        begun = {n for n, thread in enumerate(self._threads) if thread.ident}
        while begun - self._ended and time.monotonic() < deadline:
            time.sleep(0.0005)
        if late := len(begun - self._ended):
            raise RuntimeError(
                f"{late} workers did not stop within {STOP_TIMEOUT_S:.0f} s: they are "
                "still busy with a request; call stop() again"
            )
        for number in begun:
            self._threads[number].join(max(0.0, deadline - time.monotonic()))
        threads.await_end(self._threads[number].native_id or 0 for number in begun)

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
        self._left_waiting = listeners.waiting(self._listeners)
        listeners.close_all(self._listeners)
        self._faults = self.faults
        for worker in self._workers.values():
            worker.peers = []  # else they keep one another in memory
        self._workers.clear()
        self._threads.clear()
        stop, self._stop = self._stop, -1
        if stop >= 0:
            os.close(stop)


def thread_name(number: int) -> str:
    """Return what `ps -L` and Python call the thread of a worker."""
    return f"netlab-w{number}"
