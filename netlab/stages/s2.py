"""Stage 2: one loop, many clients.

Facts. A socket that does not block returns at once: where it would have slept it fails
with EWOULDBLOCK, which Python calls BlockingIOError. `select` sleeps until one of many
descriptors is ready. Ready is what was true when it looked; it promises nothing for
later, so EWOULDBLOCK is an outcome here and not an error.

Decision. One thread sleeps in one place only, in `select`. At each turn it takes at
most one connection, reads once from each client that is ready, and sleeps again.

Cost. `send` takes what fits the kernel's buffer and says how much that was; nobody
here listens, so the rest of a long answer is lost. select knows no descriptor above
1,023, since its sets are bit fields of one size, and looks at all of them every turn.

Not built here: what a request is (`protocol`), and what the answer says (`saying`).
"""

from __future__ import annotations

import select
import socket
import threading
from dataclasses import dataclass

from netlab.kernel.addresses import Address
from netlab.kernel.machine import require_linux
from netlab.protocol import read_request
from netlab.stages.saying import perform

HOST = "127.0.0.1"  # no other machine can reach it
BACKLOG = 128  # connections that may wait in the queue
READ_BYTES = 1 << 16
SELECT_LIMIT = 1024  # descriptors, fixed when the C library was compiled
FAILS = {  # what this stage cannot do, and why
    "a long answer arrives whole": "send takes a part, and the rest is lost",
    "who reads late gets every answer": "what the kernel does not take is lost",
    "a thousand descriptors are not too many": "select's sets end at 1,023",
    "a busy worker holds up nobody": "there is no other worker",
    "out of descriptors, it rests": "accept fails at once, and is tried again",
}


@dataclass
class Client:
    """One connection: its socket, and what is not yet a whole request."""

    socket: socket.socket
    inbox: bytes = b""


class Worker:
    """A loop, and the clients that it watches."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.clients: dict[int, Client] = {}
        self.watched: set[int] = set()
        self.stopping = False
        self.number = 0
        self.tid = 0
        self.accepted = 0
        self.watch(listener.fileno())

    def run(self) -> None:
        """Serve until told to stop."""
        self.tid = threading.get_native_id()
        while not self.stopping:
            self.turn()
        for client in list(self.clients.values()):
            self.close(client)

    def watch(self, descriptor: int) -> None:
        """Have select look at a descriptor; ValueError if that is impossible."""
        if descriptor >= SELECT_LIMIT:
            raise ValueError(f"select cannot watch descriptor {descriptor}: use epoll")
        self.watched.add(descriptor)

    def turn(self) -> None:
        """Sleep until something is ready, and deal with all that is."""
        ready, _, _ = select.select(self.watched, (), ())
        for descriptor in ready:
            if descriptor == self.listener.fileno():
                self.accept()
            else:
                self.serve(self.clients[descriptor])

    def accept(self) -> None:
        """Take a connection from the queue, and watch it."""
        try:
            connection, _ = self.listener.accept()
        except BlockingIOError:  # there is none after all
            return
        except OSError:  # no descriptor left, or the stop
            return
        self.accepted += 1
        connection.setblocking(False)
        self.clients[connection.fileno()] = client = Client(connection)
        try:
            self.watch(connection.fileno())
        except ValueError:
            self.close(client)

    def serve(self, client: Client) -> None:
        """Read once, answer what is complete, unless there is nothing after all."""
        try:
            data = client.socket.recv(READ_BYTES)
            client.inbox += data
            stays = self.reply(client) and data != b""
        except BlockingIOError:  # nothing to read, or no room for the answer
            return
        except OSError:  # the client broke the connection
            stays = False
        if not stays:
            self.close(client)

    def reply(self, client: Client) -> bool:
        """Answer all whole requests; return whether the client stays."""
        while request := read_request(client.inbox):
            client.inbox = client.inbox[request.size :]
            answer = perform(
                request, worker=self.number, tid=self.tid, accepts=self.accepted
            )
            client.socket.send(answer)  # takes what fits
            if not request.keep_alive:
                return False
        return True

    def close(self, client: Client) -> None:
        """End a connection."""
        self.watched.discard(client.socket.fileno())
        del self.clients[client.socket.fileno()]
        client.socket.close()


class Stage:
    """A server of one worker; it runs from `start` to `stop`, or in a with block.

    port: 0 for any free one.
    """

    fails = FAILS

    def __init__(self, port: int = 0) -> None:
        self.address = Address(HOST, port)
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, and begin to serve; OSError if the port cannot be had."""
        require_linux()
        self.listener = open_listener(self.address.port)
        self.address = Address(*self.listener.getsockname())
        self.worker = Worker(self.listener)
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Leave no thread, socket or port; more calls do nothing."""
        if self.thread is None:
            return
        self.worker.stopping = True
        self.listener.shutdown(socket.SHUT_RDWR)  # makes it ready, for ever
        self.thread.join()
        self.listener.close()
        self.thread = None

    def __enter__(self) -> Stage:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def open_listener(port: int) -> socket.socket:
    """Return a socket that waits for connections: made, bound, listening."""
    listener = socket.create_server((HOST, port), backlog=BACKLOG)
    listener.setblocking(False)
    # Inherited by each connection: a short answer does not wait for the one before.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
