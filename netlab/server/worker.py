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

A byte stream has no edges. A read may return half a request or seven and a
half, so what is not yet complete stays in `inbox`. A send may take only part of
an answer, so the rest stays in `outbox`, and while it does the worker watches
for room to WRITE and does not READ: a client that does not read is not served,
and costs no more memory than one batch of answers.

Decision. At most REQUESTS_PER_TURN answers for one client, then the others have
their turn; what is left in its inbox needs no new bytes to be ready, so it is
remembered in `unfinished` and the next wait does not sleep. One accept a turn:
whoever is awake may take the next.

Out of descriptors, `accept` fails but the listener stays ready: the loop would
spin at full speed for nothing. The worker rests instead, for REST_S or until it
has closed a connection. After a refusal (400, 431, ...) the client may still be
sending, and closing a socket with unread bytes makes the kernel reset the
connection, which can destroy the answer on its way. So the worker says "no more
from me" (shutdown) and reads on for a bounded while before it closes.

Known limit: no clock. A client that sends half a request and then nothing stays
until it leaves or the server stops.
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
from netlab.protocol import FILLER, Request, Route, answer, read_request
from netlab.server.loops import READ, WRITE

if TYPE_CHECKING:
    from netlab.records import Log
    from netlab.server.listeners import Listener
    from netlab.server.loops import Loop
    from netlab.server.strategies import Strategy

READ_BYTES = 1 << 16  # one recv; bounds what a pipelining client can queue up here
REQUESTS_PER_TURN = 16  # answers to one client before the others' turn
DISCARD_LIMIT = 1 << 18  # bytes read and thrown away after a refusal
REST_S = 0.1  # how long a worker that is out of descriptors leaves the queue alone
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Connection:
    """One client: its socket, and what is not finished yet in either direction."""

    __slots__ = (
        "closing",
        "discarded",
        "inbox",
        "more",
        "outbox",
        "owed",
        "refused",
        "replies",
        "socket",
        "waits_to_write",
    )

    def __init__(self, client: socket.socket) -> None:
        self.socket = client
        self.inbox = b""  # received, not yet a whole request
        self.outbox = b""  # answers, not yet taken by the kernel
        self.owed = 0  # filler bytes that follow the outbox
        self.replies = 0  # answers that end when both are empty
        self.more = False  # the inbox may hold another whole request
        self.closing = False  # no request will be read any more
        self.refused = False  # the last answer was a refusal
        self.waits_to_write = False
        self.discarded = -1  # bytes thrown away since the last answer; -1: before it

    def __repr__(self) -> str:
        return f"Connection({len(self.inbox)} bytes in, {len(self.outbox)} to send)"


class Worker:
    """A loop, the listeners it shares with the others, and its own connections."""

    def __init__(
        self,
        strategy: Strategy,
        loop: Loop,
        listeners: tuple[Listener, ...],
        stop: int,
        tally: Tally,
        log: Log,
    ) -> None:
        self.number = tally.worker
        self.place = strategy.place
        self.watch = strategy.watch
        self.loop = loop
        self.listeners = {listener.fileno(): listener for listener in listeners}
        self.listener_numbers = {fd: i for i, fd in enumerate(self.listeners)}
        self.stop = stop
        self.tally = tally
        self.log = log
        self.connections: dict[int, Connection] = {}
        self.unfinished: set[int] = set()
        self.resting = False
        self.rested_at = 0.0  # time.monotonic() at which a rest ends
        loop.add(stop, READ)
        self.watch_listeners()

    def __repr__(self) -> str:
        return f"Worker({self.number}: {len(self.connections)} connections)"

    # -- the loop ---------------------------------------------------------------

    def run(self) -> None:
        """Serve until the stop descriptor is readable; always leave a last word."""
        tally = self.tally
        tally.tid = threading.get_native_id()
        self.publish_usage(State.READY)
        try:
            while self.turn():
                tally.publish()
        except BaseException:
            self.publish_usage(State.FAILED)
            raise
        else:
            self.publish_usage(State.ENDED)
        finally:
            self.hang_up()

    def turn(self) -> bool:
        """Wait, and deal with all that is ready; False when asked to stop."""
        ready = self.loop.wait(self.patience_s())
        self.tally.turns += 1
        self.tally.cpu = current_cpu()
        if self.resting and time.monotonic() >= self.rested_at:
            self.watch_listeners()
        unfinished = tuple(self.unfinished)
        for fd in unfinished:
            self.serve(fd)
        for fd, _ in ready:
            if fd in self.connections:
                if fd not in unfinished:  # it has had its turn
                    self.serve(fd)
            elif fd in self.listeners:
                self.accept(fd)
            elif fd == self.stop:
                return False
        return True

    def patience_s(self) -> float | None:
        """Return how long to sleep: for ever, unless something is left to do."""
        if self.unfinished:
            return 0
        return REST_S if self.resting else None

    # -- new connections --------------------------------------------------------

    def accept(self, fd: int) -> None:
        """Take one connection from the queue, if another worker has not."""
        if self.resting:
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
            owner.adopt(Connection(client))

    def adopt(self, connection: Connection) -> None:
        """Own a connection from now on: watch it in this worker's loop."""
        fd = connection.socket.fileno()
        self.connections[fd] = connection
        try:
            self.loop.add(fd, READ)
        except (OSError, ValueError):  # no memory, or beyond select's sets
            self.tally.accept_errors += 1
            self.close(fd)

    def rest(self) -> None:
        """Leave the listeners alone until there may be descriptors again."""
        self.tally.rests += 1
        self.resting = True
        self.rested_at = time.monotonic() + REST_S
        for fd in self.listeners:
            self.loop.remove(fd)

    def watch_listeners(self) -> None:
        """Watch for new connections, by the strategy's rule."""
        self.resting = False
        for listener in self.listeners.values():
            self.watch(self.loop, listener)

    # -- one client ---------------------------------------------------------------

    def serve(self, fd: int) -> None:
        """Do what this connection is ready for; its errors end it and no other."""
        connection = self.connections[fd]
        try:
            if connection.waits_to_write:
                self.send(fd, connection)
            elif connection.more:
                self.reply(fd, connection)
            else:
                self.receive(fd, connection)
        except BlockingIOError:
            pass
        except OSError:
            self.tally.resets += 1
            self.close(fd)
        except Exception:
            self.tally.faults += 1
            self.close(fd)

    def receive(self, fd: int, connection: Connection) -> None:
        """Read once; an empty read is the client's end of stream."""
        data = connection.socket.recv(READ_BYTES)
        self.tally.bytes_in += len(data)
        if not data:
            self.close(fd)
        elif connection.discarded >= 0:
            connection.discarded += len(data)
            if connection.discarded > DISCARD_LIMIT:
                self.close(fd)
        else:
            connection.inbox += data
            self.reply(fd, connection)

    def reply(self, fd: int, connection: Connection) -> None:
        """Answer what is complete in the inbox, a turn's share at most."""
        inbox, at, answers = connection.inbox, 0, []
        while len(answers) < REQUESTS_PER_TURN:
            request = read_request(inbox, at)
            if request is None:
                connection.more = False
                break
            at += request.size
            data, connection.owed = self.perform(request)
            answers.append(data)
            connection.closing = not request.keep_alive
            connection.refused = request.status >= 400
            connection.more = at < len(inbox) and not connection.closing
            if connection.owed or not connection.more:
                break
        self.unfinished.discard(fd)
        if answers:
            connection.inbox = inbox[at:]
            connection.outbox = b"".join(answers)
            connection.replies = len(answers)
            self.send(fd, connection)

    def perform(self, request: Request) -> tuple[bytes, int]:
        """Do what was asked; return the answer and the filler bytes it owes."""
        tally = self.tally
        tally.requests += 1
        tally.refusals += request.status >= 400
        if request.route == Route.SPIN:
            spin(request.argument)
        return answer(
            request,
            worker=self.number,
            tid=tally.tid,
            cpu=tally.cpu,
            accepts=tally.accepted,
        )

    def send(self, fd: int, connection: Connection) -> None:
        """Give the kernel as much as it takes; wait for room for the rest."""
        while connection.outbox:
            try:
                sent = connection.socket.send(connection.outbox)
            except BlockingIOError:
                self.wait_to_write(fd, connection, True)
                return
            self.tally.bytes_out += sent
            connection.outbox = connection.outbox[sent:] or pay(connection)
        self.tally.answers += connection.replies
        connection.replies = 0
        if connection.waits_to_write:
            self.wait_to_write(fd, connection, False)
        if connection.closing:
            self.finish(fd, connection)
        elif connection.more:
            self.unfinished.add(fd)

    def wait_to_write(self, fd: int, connection: Connection, wait: bool) -> None:
        """Watch for room to write, or for bytes to read: never for both."""
        if wait and not connection.waits_to_write:
            self.tally.partial_writes += 1
        if wait != connection.waits_to_write:
            connection.waits_to_write = wait
            self.loop.change(fd, WRITE if wait else READ)

    # -- the end ------------------------------------------------------------------

    def finish(self, fd: int, connection: Connection) -> None:
        """Close after the last answer; after a refusal let the client finish first."""
        if connection.refused:
            connection.discarded = 0
            connection.socket.shutdown(socket.SHUT_WR)
        else:
            self.close(fd)

    def close(self, fd: int) -> None:
        """End a connection."""
        connection = self.connections.pop(fd)
        self.unfinished.discard(fd)
        self.loop.forget(fd)
        connection.socket.close()
        self.tally.closed += 1
        if self.resting:
            self.watch_listeners()

    def hang_up(self) -> None:
        """Close what is still open when the worker ends; it stays counted as open."""
        for connection in self.connections.values():
            connection.socket.close()
        self.connections.clear()
        self.loop.close()

    def publish_usage(self, state: State) -> None:
        """Publish the counts with this thread's own account of its switches."""
        self.tally.state = state
        self.tally.left_open = len(self.connections)
        self.tally.wakeups, self.tally.preemptions, self.tally.cpu_ns = own_usage()
        self.tally.publish()


def pay(connection: Connection) -> bytes:
    """Return the next block of filler that the connection is owed, b"" if none."""
    block = FILLER[: connection.owed]
    connection.owed -= len(block)
    return block


def spin(microseconds: int) -> None:
    """Keep the CPU busy for so long, as a request that costs work would."""
    until = time.perf_counter_ns() + microseconds * 1000
    while time.perf_counter_ns() < until:
        pass
