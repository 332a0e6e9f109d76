"""Stage 3: epoll, behind a small wrapper.

Facts. select is told at every turn what to watch, and looks at all of it. epoll is told
once, and a turn costs as much as is ready. It has two ways to tell. Level-triggered, it
tells as long as there is something to do. Edge-triggered, it tells of an arrival once,
so whoever is told goes on until EWOULDBLOCK.

Decision. The wait is behind a wrapper (`loops`) that has both, and select. The worker
only needs to know whether it is told once.

Cost. A client that never stops sending keeps an edge-triggered worker to itself.

Not built here: what a request is (`protocol`), and what the answer says (`saying`).
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass

from netlab.kernel.addresses import Address
from netlab.kernel.machine import require_linux
from netlab.protocol import read_request
from netlab.stages.loops import LOOPS
from netlab.stages.saying import perform

HOST = "127.0.0.1"  # no other machine can reach it
BACKLOG = 128  # connections that may wait in the queue
READ_BYTES = 1 << 16
FAILS = {  # what this stage cannot do, and why
    "a long answer arrives whole": "send takes a part, and the rest is lost",
    "who reads late gets every answer": "what the kernel does not take is lost",
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

    def __init__(self, listener: socket.socket, loop: str) -> None:
        self.listener = listener
        self.loop = LOOPS[loop]()
        self.clients: dict[int, Client] = {}
        self.stopping = False
        self.number = 0
        self.tid = 0
        self.accepted = 0
        self.loop.watch(listener.fileno())

    def run(self) -> None:
        """Serve until told to stop."""
        self.tid = threading.get_native_id()
        while not self.stopping:
            self.turn()
        for client in list(self.clients.values()):
            self.close(client)
        self.loop.close()

    def turn(self) -> None:
        """Sleep until something is ready, and deal with all that is."""
        for descriptor in self.loop.wait():
            more = self.attend(descriptor)
            while more and self.loop.tells_once and not self.stopping:
                more = self.attend(descriptor)

    def attend(self, descriptor: int) -> bool:
        """Deal with what is ready; return whether there may be more of it."""
        if descriptor == self.listener.fileno():
            return self.accept()
        return self.serve(self.clients[descriptor])

    def accept(self) -> bool:
        """Take a connection from the queue; return whether there may be more."""
        try:
            connection, _ = self.listener.accept()
        except BlockingIOError:  # there is none after all
            return False
        except OSError:  # no descriptor left, or the stop
            return False
        self.accepted += 1
        connection.setblocking(False)
        self.clients[connection.fileno()] = client = Client(connection)
        try:
            self.loop.watch(connection.fileno())
        except (OSError, ValueError):  # no memory, or beyond select's sets
            self.close(client)
        return True

    def serve(self, client: Client) -> bool:
        """Read once, answer what is complete; return whether there may be more."""
        try:
            data = client.socket.recv(READ_BYTES)
            client.inbox += data
            stays = self.reply(client) and data != b""
        except BlockingIOError:  # nothing to read, or no room for the answer
            return False
        except OSError:  # the client broke the connection
            stays = False
        if not stays:
            self.close(client)
        return stays

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
        self.loop.forget(client.socket.fileno())
        del self.clients[client.socket.fileno()]
        client.socket.close()


class Stage:
    """A server of one worker; it runs from `start` to `stop`, or in a with block.

    port: 0 for any free one. loop: a name of LOOPS.
    """

    fails = FAILS

    def __init__(self, port: int = 0, loop: str = "epoll") -> None:
        if loop not in LOOPS:
            raise ValueError(f"loop={loop!r}: there are {', '.join(LOOPS)}")
        self.loop = loop
        self.address = Address(HOST, port)
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, and begin to serve; OSError if the port cannot be had."""
        require_linux()
        self.listener = open_listener(self.address.port)
        self.address = Address(*self.listener.getsockname())
        self.worker = Worker(self.listener, self.loop)
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
