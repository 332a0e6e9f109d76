"""One worker: a thread with its own loop, bound to one CPU. The original's server.

Facts. Every worker watches the same listeners. A new connection wakes all that
sleep. Some find the queue empty before their wait call returns, and sleep again
without having left the kernel; the others call `accept`. One gets the connection.
For the rest the queue is empty by then, and because the listener does not block
they learn it at once: EWOULDBLOCK, which Linux calls EAGAIN and Python
BlockingIOError. It is an outcome, not an error.

The winner keeps the client. It watches the new socket in its own loop, so every
later byte of that client wakes this worker and no other: no lock is needed for
anything that belongs to a connection.

Decision. A turn is: wait; go on with clients that had more to answer than fits a
turn; serve each client that is ready; accept at most one connection per listener,
so that whoever is awake may take the next. The worker looks at `stopping` before
each client, so that it is never further from its end than one client's share of a
turn.

A connection may be given to another worker, by the strategy's rule: the giver adds
the socket to the other's epoll, which is safe from any thread, and the owner hears
of it when the first bytes arrive.

Not in this file: what a client's bytes mean, and what is not finished with one
client (`connection`).
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from typing import TYPE_CHECKING

from netlab.counters import State, Tally
from netlab.kernel.libc import current_cpu
from netlab.kernel.threads import own_usage
from netlab.protocol import Request, Route, answer
from netlab.server.connection import CLOSED, MORE, WRITING, Connection, Stage
from netlab.server.loops import READ, WRITE

if TYPE_CHECKING:
    from netlab.server.listeners import Listener
    from netlab.server.loops import Loop
    from netlab.server.shared import Shared
    from netlab.server.strategies import Strategy

REST_S = 0.1  # how long a worker that is out of descriptors leaves the queue alone
SPIN = Route.SPIN  # a plain name, for the reason given in `protocol`
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Worker:
    """A loop, the listeners it shares with the others, and its own connections."""

    def __init__(
        self,
        number: int,
        strategy: Strategy,
        loop: Loop,
        listeners: tuple[Listener, ...],
        shared: Shared,
    ) -> None:
        self.number = number
        self.place = strategy.place
        self.watch = strategy.watch
        self.loop = loop
        self.listeners = {listener.fileno(): listener for listener in listeners}
        self.listener_numbers = {fd: i for i, fd in enumerate(self.listeners)}
        self.tally = Tally(shared.rows, number)
        self.log = shared.logs[number]
        self.peers: list[Worker] = [self]  # all workers of the server, by number
        self.connections: dict[int, Connection] = {}
        self.arrivals: dict[int, socket.socket] = {}  # given to it, not yet heard of
        self.unfinished: set[int] = set()  # its connections in stage MORE
        self.rests_until: float | None = None  # time.monotonic(), while it rests
        self.stopping = shared.stopping.data  # one word: 0, or 1 to stop
        self.fault: Exception | None = None  # the first that ended a connection
        loop.add(shared.stop, READ)
        self.watch_listeners()

    def __repr__(self) -> str:
        return f"Worker({self.number}: {len(self.connections)} connections)"

    # -- the loop ---------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to stop; always leave a last word."""
        self.tally.tid = threading.get_native_id()
        self.tally.cpu = current_cpu()
        self.publish_usage(State.READY)
        try:
            while not self.stopping[0]:
                self.turn()
                self.tally.publish()
        except BaseException:
            self.publish_usage(State.FAILED)
            raise
        else:
            self.publish_usage(State.ENDED)
        finally:
            self.hang_up()

    def turn(self) -> None:
        """Wait, and deal with all that is ready."""
        ready = self.loop.wait(self.patience_s())
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
            elif fd in self.listeners:
                self.accept(fd)
            elif fd in self.arrivals:
                self.welcome(fd)

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
        return None if self.rests_until is None else REST_S

    # -- new connections --------------------------------------------------------

    def accept(self, fd: int) -> None:
        """Take one connection from the queue, if another worker has not."""
        if self.rests_until is not None:
            return
        try:
            client, peer = self.listeners[fd].accept()
        except BlockingIOError:
            self.tally.would_block += 1
        except OSError as error:
            self.tally.accept_errors += 1
            if error.errno in EXHAUSTED:
                self.rest()
        else:
            self.tally.accepted += 1
            client.setblocking(False)
            owner = self.place(self)
            listener = self.listener_numbers[fd]
            now, cpu = time.monotonic_ns(), self.tally.cpu
            self.log.append(now, self.number, owner.number, cpu, listener, peer[1])
            if owner is self:
                self.adopt(client)
            else:
                self.give(client, owner)

    def adopt(self, client: socket.socket) -> None:
        """Own a connection from now on: watch it in this worker's loop."""
        fd = client.fileno()
        self.connections[fd] = Connection(client, self)
        try:
            self.loop.add(fd, READ)
        except (OSError, ValueError):  # no memory, or beyond select's sets
            self.tally.accept_errors += 1
            self.close(fd)

    def give(self, client: socket.socket, owner: Worker) -> None:
        """Let another worker own a connection: its loop watches it from now on."""
        self.tally.given += 1
        fd = client.fileno()
        owner.arrivals[fd] = client
        try:
            owner.loop.add(fd, READ)
        except (OSError, ValueError):  # it has ended; it hangs up at the stop
            self.tally.accept_errors += 1

    def welcome(self, fd: int) -> None:
        """Own a connection that another worker gave, now that it has bytes."""
        self.tally.received += 1
        self.connections[fd] = Connection(self.arrivals.pop(fd), self)
        self.serve(fd)

    def rest(self) -> None:
        """Leave the listeners alone until there may be descriptors again.

        Without one, `accept` fails but the listener stays ready: the loop would
        spin at full speed for nothing. A rest ends after REST_S, or when this
        worker closes a connection.
        """
        self.tally.rests += 1
        self.rests_until = time.monotonic() + REST_S
        for fd in self.listeners:
            self.loop.remove(fd)

    def watch_listeners(self) -> None:
        """Watch for new connections, by the strategy's rule."""
        self.rests_until = None
        for listener in self.listeners.values():
            self.watch(self.loop, listener)

    # -- clients ------------------------------------------------------------------

    def serve(self, fd: int) -> None:
        """Let a connection do what it is ready for; its errors end it alone."""
        connection = self.connections[fd]
        before = connection.stage
        try:
            after = connection.serve()
        except OSError:
            self.tally.resets += 1
            after = CLOSED
        except Exception as error:
            self.tally.faults += 1
            self.fault = self.fault or error
            after = CLOSED
        if after is CLOSED:
            self.close(fd)
        elif after is not before:
            self.follow(fd, before, after)

    def follow(self, fd: int, before: Stage, after: Stage) -> None:
        """Watch a connection for what its new stage waits for."""
        if WRITING in (before, after):
            self.loop.change(fd, WRITE if after is WRITING else READ)
        if after is MORE:
            self.unfinished.add(fd)
        else:
            self.unfinished.discard(fd)

    def perform(self, request: Request) -> tuple[bytes, int]:
        """Do what was asked; return the answer and the filler bytes it owes."""
        tally = self.tally
        tally.requests += 1
        if request.status >= 400:
            tally.refusals += 1
        if request.route is SPIN:
            spin(request.argument)
        return answer(
            request,
            worker=self.number,
            tid=tally.tid,
            cpu=tally.cpu,
            accepts=tally.accepted,
        )

    def close(self, fd: int) -> None:
        """End a connection."""
        connection = self.connections.pop(fd)
        self.unfinished.discard(fd)
        self.loop.forget(fd)
        connection.socket.close()
        self.tally.closed += 1
        if self.rests_until is not None:
            self.watch_listeners()

    # -- the end ------------------------------------------------------------------

    def hang_up(self) -> None:
        """Close what is left; it stays counted as open. May be repeated."""
        tally = self.tally
        tally.received += len(self.arrivals)
        tally.left_open += len(self.connections) + len(self.arrivals)
        left = [connection.socket for connection in self.connections.values()]
        for client in (*left, *self.arrivals.values()):
            client.close()
        self.connections.clear()
        self.arrivals.clear()
        self.loop.close()
        tally.publish()

    def publish_usage(self, state: State) -> None:
        """Publish the counts with this thread's own account of its switches."""
        tally = self.tally
        tally.state = state
        tally.wakeups, tally.preemptions, tally.cpu_ns = own_usage()
        tally.publish()


def spin(microseconds: int) -> None:
    """Keep the CPU busy for so long, as a request that costs work would."""
    until = time.perf_counter_ns() + microseconds * 1000
    while time.perf_counter_ns() < until:
        pass
