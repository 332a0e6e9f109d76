"""One worker: a thread with its own loop, bound to one CPU. The original's server.

Facts, for the original's strategy. Every worker watches the same listeners. A new
connection wakes all that sleep. Some find the queue empty before their wait call
returns, and sleep again without having left the kernel; the others call `accept`. One
gets the connection. For the rest the queue is empty by then, and because the listener
does not block they learn it at once: EWOULDBLOCK, which Linux calls EAGAIN and Python
BlockingIOError. It is an outcome, not an error.

The winner keeps the client. It watches the new socket in its own loop, so every
later byte of that client wakes this worker and no other: no lock is needed for
anything that belongs to a connection.

Decision. A turn is: wait; go on with clients that had more to answer than fits a
turn; serve each client that is ready; accept at most one connection per listener,
so that whoever is awake may take the next. The worker looks at `stopping` before
each client, so that it is never further from its end than one client's share of a
turn.

Where all workers wait in one loop, a client that is waited for is nobody's: its worker
gives it back to all, and whoever is woken receives it.

Not in this file: new connections, and how the strategies differ (`acceptor`); what is
done for a client, and how long that may take (`serving`); what a client's bytes mean,
and what is not finished with one client (`connection`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from netlab.counters import State
from netlab.kernel.libc import current_cpu
from netlab.kernel.threads import own_usage
from netlab.server.acceptor import REST_S
from netlab.server.loops import READ, Ready
from netlab.server.serving import Serving

if TYPE_CHECKING:
    from netlab.server.loops import Loop
    from netlab.server.outfit import Outfit


class Worker(Serving):
    """What it serves and accepts, in turns of its loop."""

    def __init__(self, number: int, outfit: Outfit, loop: Loop) -> None:
        super().__init__(number, outfit, loop)
        self.turn_log = outfit.shared.turn_logs[number]
        loop.add(outfit.shared.stop, READ)
        self.watch_listeners()

    def __repr__(self) -> str:
        return f"Worker({self.number}: {len(self.connections)} connections)"

    # -- the loop ---------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to stop; always leave a last word."""
        self.tally.tid = threading.get_native_id()
        self.tally.cpu = current_cpu()
        self.publish_usage(State.READY)
        turn = self.noted_turn if len(self.turn_log.records) else self.turn
        try:
            while not self.stopping[0]:
                turn()
                self.tally.publish()
        except BaseException:
            self.publish_usage(State.FAILED)
            self.leave_to_others()
            raise
        else:
            self.publish_usage(State.ENDED)
        finally:
            self.hang_up()

    def turn(self) -> None:
        """Wait, and deal with all that is ready."""
        self.attend(self.loop.wait(self.patience_s()))

    def noted_turn(self) -> None:
        """Do the same, and note when it was and what came of it."""
        ready = tuple(self.loop.wait(self.patience_s()))
        woke_ns, tally = time.monotonic_ns(), self.tally
        accepted, would_block = tally.accepted, tally.would_block
        self.attend(ready)
        self.turn_log.append(
            woke_ns,
            time.monotonic_ns(),
            tally.cpu,
            len(ready),
            tally.accepted - accepted,
            tally.would_block - would_block,
        )

    def attend(self, ready: Ready) -> None:
        """Deal with all that is ready, each in its turn."""
        self.tally.turns += 1
        self.tally.cpu = current_cpu()
        if self.rests_until is not None and time.monotonic() >= self.rests_until:
            self.watch_listeners()
        served = self.go_on()
        for fd, _ in ready:
            if self.stopping[0]:
                return
            if fd in self.connections:
                if fd not in served:
                    self.serve(fd)
            elif listener := self.listeners.get(fd):  # it may retire meanwhile
                self.accept(listener)
            elif fd in self.arrivals:
                self.welcome(fd)
        if self.looks_at is not None and time.monotonic() >= self.looks_at:
            self.look()

    def go_on(self) -> tuple[int, ...]:
        """Serve those that had more to answer; return them: they had their turn."""
        unfinished = tuple(self.unfinished)
        for fd in unfinished:
            if not self.stopping[0]:
                self.serve(fd)
        return unfinished

    def patience_s(self) -> float | None:
        """Return how long to sleep: for ever, unless something is left to do."""
        if self.unfinished:
            return 0
        if self.rests_until is not None:
            return REST_S
        if self.looks_at is not None:
            return max(0.0, self.looks_at - time.monotonic())
        return None

    # -- the end ------------------------------------------------------------------

    def leave_to_others(self) -> None:
        """Have a common loop tell again what it told this worker, which dies."""
        if self.shares_clients:
            for listener in self.listeners.values():
                self.loop.arm(listener)
            for fd, connection in tuple(self.arrivals.items()):
                with contextlib.suppress(OSError):  # another worker has closed it
                    self.wait_anew(fd, connection)

    def hang_up(self) -> None:
        """Close its own connections; they stay counted as open. May be repeated."""
        self.tally.left_open += len(self.connections)
        for connection in self.connections.values():
            connection.socket.close()
        self.connections.clear()
        self.tally.publish()

    def close_loop(self) -> None:
        """Close what it was given last and its loop, once all workers have ended.

        Before that another worker may still give it a connection.
        """
        self.tally.received += len(self.arrivals)
        self.connections.update(self.arrivals)
        self.arrivals.clear()
        self.hang_up()
        self.loop.close()
        for _ in range(self.loop.unserved):
            self.lose()

    def lose(self) -> None:
        """Count a connection that the kernel accepted for it, and it never saw."""
        now, number, cpu = time.monotonic_ns(), self.number, self.tally.cpu
        self.log.append(now, number, number, cpu, -1, 0, 0)
        self.tally.accepted += 1
        self.tally.left_open += 1
        self.tally.publish()

    def publish_usage(self, state: State) -> None:
        """Publish the counts with this thread's own account of its switches."""
        tally = self.tally
        tally.state = state
        tally.wakeups, tally.preemptions, tally.cpu_ns = own_usage()
        tally.publish()
