"""The clients: one epoll loop that opens, asks, reads, and writes a row for each.

Facts. A load generator that is slower than the server measures itself, and one
that shares the server's interpreter changes it: this code runs in a process of
its own (`process`). The kernel finishes the handshake of a connection by
itself, so `connect` succeeds while all workers are busy: what a client then
waits for is its first answer. Its own port tells its connections apart in the
server's accept log.

Decision. A row for each request, written when the answer is complete, and a row
for each connection, written when it opens and again as it changes, all in
shared memory: whatever happens to this process, the rows so far are there. All
times are CLOCK_MONOTONIC, the clock of the server's accept log. Failures are
kinds (`plans.Outcome`), counted one by one; `stop_early` ends the load at the
first.

A closed loop's latency is measured from the moment that the request is sent.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from typing import TYPE_CHECKING

from netlab.load.plans import LoadSettings, Outcome
from netlab.protocol_client import Answer, ProtocolError, answer_head, write_request

if TYPE_CHECKING:
    from netlab.records import Log

READ_BYTES = 1 << 16
EVENTS_PER_TURN = 128
IN_PROGRESS = (0, errno.EINPROGRESS)
KINDS = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    errno.ECONNRESET: Outcome.RESET,
    errno.EPIPE: Outcome.RESET,
    errno.ETIMEDOUT: Outcome.TIMED_OUT,
}
now_ns = time.monotonic_ns


class Interrupted(Exception):
    """The parent asked for the end, or is gone."""


class Client:
    """One connection of the load."""

    __slots__ = (
        "answer",
        "asked",
        "connect_ns",
        "inbox",
        "number",
        "opened_ns",
        "place",
        "port",
        "received",
        "socket",
        "start_ns",
    )

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.socket = sock
        self.place = -1
        self.port = 0
        self.opened_ns = now_ns()
        self.connect_ns = -1  # until it is connected
        self.asked = 0
        self.start_ns = 0
        self.inbox = b""
        self.received = 0
        self.answer: Answer | None = None


class Load:
    """One load: its clients, the loop they share, and the logs they write."""

    def __init__(
        self,
        settings: LoadSettings,
        addresses: list[tuple[str, int]],
        connections: Log,
        requests: Log,
        control: int,
        stop_early: bool,
    ) -> None:
        self.settings = settings.resolved()
        self.addresses = addresses
        self.connections = connections
        self.requests = requests
        self.control = control
        self.stop_early = stop_early
        self.clients: dict[int, Client] = {}
        self.opened = 0
        self.failed = False
        self.epoll = select.epoll()
        self.epoll.register(control, select.EPOLLIN)
        self.deadline = time.monotonic() + settings.timeout_s
        ends = settings.duration_s or settings.timeout_s
        self.last_ask = time.monotonic() + ends
        host, port = addresses[0]
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.ask_bytes = write_request(self.settings.path or "/", name)

    # -- plans --------------------------------------------------------------------

    def closed(self) -> None:
        """Keep `at_once` clients asking until connections or time run out."""
        self.fill_up()
        while self.clients and self.turn():
            self.fill_up()

    def fill_up(self) -> None:
        """Open connections until `at_once` are open or no more are wanted."""
        at_once, wanted = self.settings.at_once or 1, self.settings.connections or 0
        while len(self.clients) < at_once and self.opened < wanted:
            if time.monotonic() >= self.last_ask or (self.failed and self.stop_early):
                return
            self.open()

    def touch(self) -> None:
        """Open one connection at a time, ask nothing, and hold them all."""
        for _ in range(self.settings.connections or 0):
            if self.is_over():
                return
            self.open()
            self.sleep((self.settings.pause_ms or 0) / 1000)
        while any(client.connect_ns < 0 for client in self.clients.values()):
            if not self.turn():
                return

    def let_go(self) -> None:
        """Close what `touch` held, as far as it is still open."""
        for fd in list(self.clients):
            self.end(fd, Outcome.CLOSED)

    # -- the loop -----------------------------------------------------------------

    def turn(self) -> bool:
        """Wait for something and deal with it; False when time has run out."""
        if self.is_over():
            return False
        left = max(self.deadline - time.monotonic(), 0)
        for fd, _ in self.epoll.poll(left, EVENTS_PER_TURN):
            if fd == self.control:
                raise Interrupted
            self.serve(fd)
        return True

    def is_over(self) -> bool:
        """Return whether the load must end: out of time, or at its first failure."""
        return (self.failed and self.stop_early) or time.monotonic() >= self.deadline

    def sleep(self, seconds: float) -> None:
        """Wait, but hear the parent, and notice connections that fail."""
        until = min(time.monotonic() + seconds, self.deadline)
        while True:
            left = until - time.monotonic()
            for fd, _ in self.epoll.poll(max(left, 0), EVENTS_PER_TURN):
                if fd == self.control:
                    raise Interrupted
                self.serve(fd)
            if left <= 0:
                return

    def serve(self, fd: int) -> None:
        """Take the next step of one connection; what fails ends it alone."""
        client = self.clients[fd]
        try:
            if client.connect_ns < 0:
                self.connected(fd, client)
            else:
                self.receive(fd, client)
        except BlockingIOError:
            pass
        except ProtocolError:
            self.end(fd, Outcome.MALFORMED)
        except OSError as error:
            self.end(fd, KINDS.get(error.errno or 0, Outcome.FAILED))

    # -- one connection -----------------------------------------------------------

    def open(self) -> bool:
        """Begin to connect to the next address; False if that failed at once."""
        number = self.opened
        self.opened += 1
        host, port = self.addresses[number % len(self.addresses)]
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError:
            return self.lost(number, Outcome.FAILED)
        client = Client(number, sock)
        code = sock.connect_ex((host, port))
        if code not in IN_PROGRESS:
            sock.close()
            return self.lost(number, KINDS.get(code, Outcome.FAILED))
        client.port = sock.getsockname()[1]
        self.clients[sock.fileno()] = client
        client.place = self.connections.append(*self.record(client, Outcome.OPEN, 0))
        self.epoll.register(sock.fileno(), select.EPOLLOUT)
        return True

    def lost(self, number: int, outcome: Outcome) -> bool:
        """Record a connection that never began; returns False."""
        self.failed = True
        address = number % len(self.addresses)
        self.connections.append(number, now_ns(), -1, now_ns(), 0, address, 0, outcome)
        return False

    def connected(self, fd: int, client: Client) -> None:
        """Note that the handshake is over, and ask, if the plan asks."""
        code = client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        client.connect_ns = now_ns() - client.opened_ns
        self.rewrite(client, Outcome.OPEN, 0)
        self.epoll.modify(fd, select.EPOLLIN)
        if self.settings.requests:
            self.ask(client)

    def ask(self, client: Client) -> None:
        """Send one request; it fits any send buffer, or the server is not one."""
        client.start_ns = now_ns()
        if client.socket.send(self.ask_bytes) != len(self.ask_bytes):
            raise OSError(errno.ENOBUFS, "a request did not fit the send buffer")

    def receive(self, fd: int, client: Client) -> None:
        """Read once; when the answer is complete, record it and go on."""
        data = client.socket.recv(READ_BYTES)
        if not data:
            self.end(fd, Outcome.HUNG_UP)
            return
        if not self.settings.requests:
            raise ProtocolError(f"nobody asked for {data[:40]!r}")
        client.received += len(data)
        if client.answer is None:
            client.inbox += data
            found = answer_head(client.inbox)
            if found is None:
                return
            client.answer, client.inbox = found[0], b""
        if client.received >= client.answer.size:
            self.record_answer(client, client.answer)
            self.go_on(fd, client)

    def record_answer(self, client: Client, answer: Answer) -> None:
        """Write the request's row."""
        latency = now_ns() - client.start_ns
        self.requests.append(
            client.number,
            client.start_ns,
            latency,
            answer.worker,
            answer.cpu,
            answer.status,
        )
        client.asked += 1
        if client.received > answer.size:
            raise ProtocolError(
                f"{client.received} bytes for an answer of {answer.size}"
            )
        client.received = 0

    def go_on(self, fd: int, client: Client) -> None:
        """Ask again, or close: by count, by time, or because the server closes."""
        answer, client.answer = client.answer, None
        over = client.asked >= (self.settings.requests or 0)
        keeps = answer is not None and answer.keep_alive
        if over or not keeps or time.monotonic() >= self.last_ask:
            self.end(fd, Outcome.CLOSED)
        else:
            self.ask(client)

    def end(self, fd: int, outcome: Outcome) -> None:
        """Close a connection and write how it ended."""
        client = self.clients.pop(fd)
        client.socket.close()
        self.failed = self.failed or outcome != Outcome.CLOSED
        self.rewrite(client, outcome, now_ns())

    def finish(self) -> None:
        """Close what the end of the load cut off, and the loop."""
        late = time.monotonic() >= self.deadline
        outcome = Outcome.TIMED_OUT if late else Outcome.OPEN
        for fd in list(self.clients):
            self.end(fd, outcome)
        self.epoll.close()

    def record(
        self, client: Client, outcome: Outcome, closed_ns: int
    ) -> tuple[int, ...]:
        """Return the values of a connection's row."""
        return (
            client.number,
            client.opened_ns,
            client.connect_ns,
            closed_ns,
            client.asked,
            client.number % len(self.addresses),
            client.port,
            outcome,
        )

    def rewrite(self, client: Client, outcome: Outcome, closed_ns: int) -> None:
        """Write the connection's row again, unless its log was full."""
        if client.place >= 0:
            values = self.record(client, outcome, closed_ns)
            self.connections.rewrite(client.place, *values)
