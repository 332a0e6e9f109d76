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

Other strategies differ in the row alone. How a worker waits, and whether it accepts
until the queue is empty, is the row's `how`. Its `place` may give a connection to
another worker: the giver adds the socket to the other's loop, which is safe from any
thread, and the owner hears of it when the first bytes arrive. Where all workers wait
in one loop, a client that is waited for is nobody's: its worker gives it back to all,
and whoever is woken receives it.

Not in this file: what a client's bytes mean, and what is not finished with one
client (`connection`).
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from netlab.counters import State, Tally
from netlab.kernel.libc import current_cpu
from netlab.kernel.steering import incoming_cpu
from netlab.kernel.threads import own_usage
from netlab.protocol import Request, Route, answer
from netlab.server.connection import CLOSED, MORE, WRITING, Connection, Stage
from netlab.server.loops import ONESHOT, READ, WRITE, Ready
from netlab.server.placement import keep, open_connections

if TYPE_CHECKING:
    from netlab.server.listeners import Listener
    from netlab.server.loops import Loop
    from netlab.server.outfit import Outfit

REST_S = 0.1  # how long a worker that is out of descriptors leaves the queue alone
SPIN = Route.SPIN  # a plain name, for the reason given in `protocol`
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
NO_SUCH_WORKER = "place returned {}: return a worker's number, 0 to {}"


class Worker:
    """A loop, the listeners that it watches, and its own connections."""

    def __init__(self, number: int, outfit: Outfit, loop: Loop) -> None:
        self.number = number
        self.how = outfit.how
        self.place = outfit.strategy.place
        self.slowness = outfit.slowness(number)
        self.notes_incoming_cpu = outfit.incoming_cpu
        self.loop = loop
        self.listeners = {one.fileno(): one for one in outfit.watched[number]}
        self.listener_numbers = outfit.listener_numbers()
        shared = outfit.shared
        self.tally = Tally(shared.rows, number)
        self.log, self.turn_log = shared.logs[number], shared.turn_logs[number]
        self.rows, self.placed = shared.rows.array, shared.placed
        self.memory = shared.memories[number]
        self.peers: list[Worker] = [self]  # all workers of the server, by number
        self.connections: dict[int, Connection] = {}
        self.arrivals = loop.arrivals  # added by another worker, not yet heard of
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
        turn = self.noted_turn if len(self.turn_log.records) else self.turn
        try:
            while not self.stopping[0]:
                turn()
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
            elif fd in self.listeners:
                self.accept(self.listeners[fd])
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

    def accept(self, listener: Listener) -> None:
        """Take one connection, or all there are, by the strategy's rule."""
        if self.rests_until is not None:
            return
        found = self.accept_one(listener)
        while found and self.how.drain and not self.stopping[0]:
            found = self.accept_one(listener)
        if self.rests_until is not None:
            return
        if self.how.events & ONESHOT:
            self.loop.arm(listener)

    def accept_one(self, listener: Listener) -> bool:
        """Take one connection from the queue, if another worker has not."""
        try:
            client, peer = self.loop.accept(listener)
        except BlockingIOError:
            self.tally.would_block += 1
        except OSError as error:
            self.tally.accept_errors += 1
            if error.errno in EXHAUSTED:
                self.rest()
        else:
            self.tally.accepted += 1
            client.setblocking(False)
            self.hand_on(client, listener, peer)
            self.rotate(listener)
            return True
        return False

    def hand_on(self, client: socket.socket, listener: Listener, peer: Any) -> None:
        """Find a new connection its owner, and note both."""
        owner = self.choose_owner()
        self.log.append(
            time.monotonic_ns(),
            self.number,
            owner.number,
            self.tally.cpu,
            incoming_cpu(client) if self.notes_incoming_cpu else -1,
            self.listener_numbers[listener.fileno()],
            peer[1],
        )
        if owner is self and not self.loop.shares_clients:
            self.adopt(client)
        else:
            self.give(client, owner)

    def choose_owner(self) -> Worker:
        """Return the worker that shall own a new connection, by the rule."""
        if self.place is keep:
            return self
        open_now = open_connections(self.placed, self.rows["closed"])
        number = int(self.place(self.number, open_now, self.memory))
        if not 0 <= number < len(self.peers):
            raise ValueError(NO_SUCH_WORKER.format(number, len(self.peers) - 1))
        self.placed[self.number, number] += 1
        return self.peers[number]

    def rotate(self, listener: Listener) -> None:
        """Stand last in the listener's wait queue again, every so many accepts."""
        every = self.how.rotate_every
        if every and self.tally.accepted % every == 0:
            self.loop.unwatch(listener)
            self.loop.watch(listener)

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
        owner.arrivals[fd] = Connection(client, owner)
        events = READ | ONESHOT if self.loop.shares_clients else READ
        try:
            owner.loop.add(fd, events)
        except (OSError, ValueError):  # no memory; it hangs up at the stop
            self.tally.accept_errors += 1

    def give_back(self, fd: int) -> None:
        """Let whoever is woken for it own a connection next."""
        self.tally.given += 1
        connection = self.arrivals[fd] = self.connections.pop(fd)
        self.unfinished.discard(fd)
        events = WRITE if connection.stage is WRITING else READ
        self.loop.change(fd, events | ONESHOT)

    def welcome(self, fd: int) -> None:
        """Own a connection that another worker gave, now that it has bytes."""
        self.tally.received += 1
        connection = self.connections[fd] = self.arrivals.pop(fd)
        connection.owner = self
        self.serve(fd)

    def rest(self) -> None:
        """Leave the listeners alone until there may be descriptors again.

        Without one, `accept` fails but the listener stays ready: the loop would
        spin at full speed for nothing. A rest ends after REST_S, or when this
        worker closes a connection.
        """
        self.tally.rests += 1
        self.rests_until = time.monotonic() + REST_S
        for listener in self.listeners.values():
            self.loop.unwatch(listener)

    def watch_listeners(self) -> None:
        """Watch for new connections, by the strategy's rule."""
        self.rests_until = None
        for listener in self.listeners.values():
            self.loop.watch(listener)

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
        elif self.loop.shares_clients and after is not MORE:
            self.give_back(fd)
        elif after is not before:
            self.follow(fd, before, after)

    def follow(self, fd: int, before: Stage, after: Stage) -> None:
        """Watch a connection for what its new stage waits for."""
        if WRITING in (before, after) and not self.loop.shares_clients:
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
            spin(request.argument * self.slowness)
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


def spin(microseconds: int) -> None:
    """Keep the CPU busy for so long, as a request that costs work would."""
    until = time.perf_counter_ns() + microseconds * 1000
    while time.perf_counter_ns() < until:
        pass
