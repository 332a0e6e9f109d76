"""The half of a worker that serves its clients: what each is ready for, and in time.

Facts. Only its client can end an unfinished request, or make room for an answer.
Whether a client did so is known when its connection has been served, and not before: a
request that was ended in time may lie unread, because the worker was busy.

Decision. A connection gets a deadline when it comes to wait for its client, a new one
whenever the client got something done (a request ended, bytes of an answer taken), and
none while nothing is begun. One that is served after its deadline, and still waits, is
closed. So a look at the time is no more than this: serve those whose time is up once
more. Who has to read more of an answer is served only if there is room for it by the
kernel's own rule, a third of the buffer: a `send` unasked for takes a little more,
which is nothing that the client did. Looks begin with the first deadline and end when
there is none.

Where all workers wait in one loop, a connection that waits is nobody's: whoever takes
it out of `arrivals` first owns it, be it woken for it or looking at the time.

Not in this file: the loop's turns (`worker`), new connections (`acceptor`).
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

from netlab.protocol import Request, Route, answer
from netlab.server.acceptor import Acceptor
from netlab.server.connection import CLOSED, MORE, WRITING, Connection, Stage
from netlab.server.loops import ONESHOT, READ, WRITE

if TYPE_CHECKING:
    from netlab.server.loops import Loop
    from netlab.server.outfit import Outfit

SPIN = Route.SPIN  # a plain name, for the reason given in `protocol`


class Serving(Acceptor):
    """An acceptor, and what becomes of the connections that it owns."""

    def __init__(self, number: int, outfit: Outfit, loop: Loop) -> None:
        super().__init__(number, outfit, loop)
        self.slowness = outfit.slowness(number)
        self.unfinished: set[int] = set()  # its connections in stage MORE
        self.looks_at: float | None = None  # while the time of any of them is running
        self.fault: Exception | None = None  # the first that ended a connection

    def serve(self, fd: int) -> None:
        """Let a connection do what it is ready for; its errors end it alone."""
        connection, tally = self.connections[fd], self.tally
        before, earlier = connection.stage, tally.requests + tally.bytes_out
        try:
            after = connection.serve()
        except OSError:
            tally.resets += 1
            after = CLOSED
        except Exception as error:
            tally.faults += 1
            self.fault = self.fault or error
            after = CLOSED
        if connection.deadline is not None or connection.is_awaited:
            done = after is not before or tally.requests + tally.bytes_out > earlier
            after = self.timed(connection, after, done)
        if after is CLOSED:
            self.close(fd)
        elif self.shares_clients and after is not MORE:
            self.give_back(fd)
        elif after is not before:
            self.follow(fd, before, after)

    def follow(self, fd: int, before: Stage, after: Stage) -> None:
        """Watch a connection for what its new stage waits for."""
        if WRITING in (before, after) and not self.shares_clients:
            self.loop.change(fd, WRITE if after is WRITING else READ)
        if after is MORE:
            self.unfinished.add(fd)
        else:
            self.unfinished.discard(fd)

    def timed(self, connection: Connection, after: Stage, done: bool) -> Stage:
        """Give a client its time, or end it if its time is up; return the stage.

        done: whether the client got something done since the connection's last turn.
        """
        now = time.monotonic()
        if after is CLOSED or not connection.is_awaited:
            connection.deadline = None
        elif done or connection.deadline is None:
            connection.deadline = now + self.bounds.client_timeout_s
            self.looks_at = self.looks_at or now + self.bounds.look_s
        elif now >= connection.deadline:
            self.tally.timed_out += 1
            return CLOSED
        return after

    def look(self) -> None:
        """Serve once more those whose time is up; look again while anybody's runs."""
        now, running = time.monotonic(), False
        for fd, connection in self.within_reach():
            if connection.deadline is None:
                continue
            running = True
            if now >= connection.deadline and self.has(fd):
                self.end_or_serve(fd)
        self.looks_at = now + self.bounds.look_s if running else None

    def end_or_serve(self, fd: int) -> None:
        """Serve a connection whose time is up; end it if its client made no room."""
        if self.connections[fd].stage is WRITING and not has_room(fd):
            self.tally.timed_out += 1
            self.close(fd)
        else:
            self.serve(fd)

    def has(self, fd: int) -> bool:
        """Whether a connection is its own, or can be taken before any other worker."""
        return fd in self.connections or self.receive(fd)

    def within_reach(self) -> tuple[tuple[int, Connection], ...]:
        """Return the connections that it may serve, by descriptor."""
        own = tuple(self.connections.items())
        return own + tuple(self.arrivals.items()) if self.shares_clients else own

    def give_back(self, fd: int) -> None:
        """Let whoever is woken for it own a connection next."""
        self.tally.given += 1
        connection = self.arrivals[fd] = self.connections.pop(fd)
        self.unfinished.discard(fd)
        self.wait_anew(fd, connection)

    def wait_anew(self, fd: int, connection: Connection) -> None:
        """Have the common loop tell once, of what a connection's stage waits for."""
        events = WRITE if connection.stage is WRITING else READ
        self.loop.change(fd, events | ONESHOT)

    def welcome(self, fd: int) -> None:
        """Serve a connection that another worker gave, now that it has bytes."""
        if self.receive(fd):
            self.serve(fd)

    def receive(self, fd: int) -> bool:
        """Own a connection that was given; False if another worker was faster."""
        connection = self.arrivals.pop(fd, None)
        if connection is None:
            return False
        self.tally.received += 1
        self.connections[fd] = connection
        connection.owner = self
        return True

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

    def slow_down(self, factor: int) -> None:
        """Spin so many times longer than was asked for, from the next spin on."""
        self.slowness = factor


def has_room(fd: int) -> bool:
    """Whether the kernel would tell of room to write to a socket."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))


def spin(microseconds: int) -> None:
    """Keep the CPU busy for so long, as a request that costs work would."""
    until = time.perf_counter_ns() + microseconds * 1000
    while time.perf_counter_ns() < until:
        pass
