"""The workers as threads of this process.

Facts. Python joins threads that are not daemons before it calls exit handlers; a
daemon would be cut off. `Thread.join` returns a moment before the kernel forgets the
thread, and before Python 3.13 an interrupted join may take a living thread for dead.

Decision. All workers are made, and so registered, by the starting thread, in the
order asked for; then the threads start, take their names and CPUs, and meet at a
barrier. The threads are daemons, and whoever holds the team stops and joins them. A
thread never prints: what kills its worker is kept in `failures`.

Whoever drops the last reference to a server may be one of its own workers, which
cannot join itself: `is_one_of_us` tells.
"""

from __future__ import annotations

import threading
import time

from netlab.kernel import threads
from netlab.server.outfit import Outfit, Working, thread_name

MEETING_S = 20.0  # until all threads have come to the barrier


class ThreadsTeam:
    """N threads, from `start` until `close`."""

    def __init__(self) -> None:
        self.failures: dict[int, BaseException] = {}
        self._faults: dict[int, Exception] = {}
        self._workers: dict[int, Working] = {}
        self._threads: list[threading.Thread] = []
        self._ended: set[int] = set()
        self._barrier = threading.Barrier(1)
        self.pid: int | None = None  # no process of its own

    @property
    def faults(self) -> dict[int, Exception]:
        """The first error of each worker that ended a connection, by number."""
        found = {n: worker.fault for n, worker in self._workers.items()}
        return self._faults | {n: fault for n, fault in found.items() if fault}

    def start(self, outfit: Outfit) -> None:
        """Make the workers and start their threads; does not wait for them."""
        self._barrier = threading.Barrier(len(outfit.order))
        common = outfit.engine.prepare(outfit)
        for number in outfit.order:
            self._workers[number] = outfit.make(number, common)
        peers = [self._workers[number] for number in sorted(self._workers)]
        for worker in peers:
            worker.peers = peers
            thread = threading.Thread(
                target=self._work,
                args=(outfit, worker),
                name=thread_name(worker.number),
                daemon=True,
            )
            self._threads.append(thread)  # first: an interrupt may come in start()
            thread.start()

    def _work(self, outfit: Outfit, worker: Working) -> None:
        """Be one worker: the body of its thread."""
        try:
            outfit.take_place(worker.number)
            self._barrier.wait(MEETING_S)
            worker.run()
        except threading.BrokenBarrierError:
            pass  # another worker failed to start, and its failure is kept
        except BaseException as error:
            self.failures[worker.number] = error
            self._barrier.abort()
        finally:
            self._ended.add(worker.number)

    def retire(self, number: int) -> None:
        """Have one worker leave its listeners alone, which are closed next."""
        self._workers[number].retire()

    def slow_down(self, number: int, factor: int) -> None:
        """Have one worker spin so many times longer than was asked for."""
        self._workers[number].slow_down(factor)

    def is_one_of_us(self) -> bool:
        """Whether the calling thread is a worker."""
        return threading.current_thread() in self._threads

    def call_off(self) -> None:
        """Let nobody wait at the barrier any more."""
        self._barrier.abort()

    def await_end(self, timeout_s: float) -> int:
        """Wait for all workers, told to stop before; return how many are late."""
        deadline = time.monotonic() + timeout_s
        # By its own word, see above. One that has not begun will end at the barrier.
        begun = {n for n, thread in enumerate(self._threads) if thread.ident}
        while begun - self._ended and time.monotonic() < deadline:
            time.sleep(0.0005)
        if late := len(begun - self._ended):
            return late
        for number in begun:
            self._threads[number].join(max(0.0, deadline - time.monotonic()))
        threads.await_end(self._threads[number].native_id or 0 for number in begun)
        for worker in self._workers.values():
            worker.close_loop()
        return 0

    def close(self) -> None:
        """Drop the workers; what they died of stays."""
        self._faults = self.faults
        for worker in self._workers.values():
            worker.peers = []  # else they keep one another in memory
        self._workers.clear()
        self._threads.clear()
