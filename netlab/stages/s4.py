"""Stage 4: a loop for each CPU, on shared listeners. The original's architecture.

Facts. Several loops may watch one listener. A new connection then wakes one to all of
those that sleep, as the kernel sees fit. Each that is told calls `accept`: one gets the
connection, for the others the queue is empty by then. They learn it by EWOULDBLOCK:
another worker was a little bit faster.

Decision. A worker is a thread bound to a CPU, with a loop and clients of its own. All
listeners are in all loops. The winner keeps the client: what it says later wakes this
worker and no other, so nothing that belongs to a client needs a lock.

Cost. Whoever lost was woken for nothing. And nobody moves a client: a worker that has
the busy ones keeps them.

Not built here: what a request is (`protocol`), and what the answer says (`saying`).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from netlab.checks import whole_number
from netlab.kernel.addresses import Address
from netlab.kernel.machine import cpus_allowed, cpus_owned, require_linux
from netlab.kernel.threads import pin, set_name
from netlab.protocol import read_request
from netlab.stages.loops import LOOPS
from netlab.stages.saying import perform

HOST = "127.0.0.1"  # no other machine can reach it
BACKLOG = 128  # connections that may wait in the queue
READ_BYTES = 1 << 16
FAILS = {  # what this stage cannot do, and why
    "a long answer arrives whole": "send takes a part, and the rest is lost",
    "who reads late gets every answer": "what the kernel does not take is lost",
    "out of descriptors, it rests": "accept fails at once, and is tried again",
}


@dataclass
class Client:
    """One connection: its socket, and what is not yet a whole request."""

    socket: socket.socket
    inbox: bytes = b""


class Worker:
    """A thread with a loop, and the clients that it won."""

    def __init__(self, number: int, listeners: list[socket.socket], loop: str) -> None:
        self.listeners = {listener.fileno(): listener for listener in listeners}
        self.loop = LOOPS[loop]()
        self.clients: dict[int, Client] = {}
        self.stopping = False
        self.number = number
        self.tid = 0
        self.accepted = 0
        for descriptor in self.listeners:
            self.loop.watch(descriptor)

    def run(self) -> None:
        """Serve until told to stop."""
        self.begin()
        while not self.stopping:
            self.turn()
        self.end()

    def begin(self) -> None:
        """Take a name that `ps` shows, and a CPU to stay on."""
        self.tid = threading.get_native_id()
        set_name(f"netlab-w{self.number}", self.tid)
        cpus = cpus_allowed()
        pin([cpus[self.number % len(cpus)]])

    def end(self) -> None:
        """Close all that it has."""
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
        if descriptor in self.listeners:
            return self.accept(self.listeners[descriptor])
        return self.serve(self.clients[descriptor])

    def accept(self, listener: socket.socket) -> bool:
        """Take a connection from the queue; return whether there may be more."""
        try:
            connection, _ = listener.accept()
        except BlockingIOError:  # another worker was faster
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
    """A server of workers; it runs from `start` to `stop`, or in a with block.

    workers: how many; default: one for each CPU, at least two. ports: one for each
    listener, 0 for any free one. loop: a name of LOOPS.
    """

    fails = FAILS

    def __init__(
        self,
        workers: int | None = None,
        ports: Sequence[int] = (0,),
        loop: str = "epoll",
    ) -> None:
        whole_number("workers", workers, 1, 1024)
        if loop not in LOOPS:
            raise ValueError(f"loop={loop!r}: there are {', '.join(LOOPS)}")
        self.loop = loop
        self.count = workers or max(2, cpus_owned())
        self.addresses = [Address(HOST, port) for port in ports]
        self.address = self.addresses[0]
        self.threads: list[threading.Thread] = []

    def start(self) -> None:
        """Listen, and begin to serve; OSError if the port cannot be had."""
        require_linux()
        self.listeners = open_all(self.addresses)
        self.addresses = [Address(*one.getsockname()) for one in self.listeners]
        self.address = self.addresses[0]
        self.hire()

    def hire(self) -> None:
        """Start a thread for each worker."""
        self.workers = [
            Worker(number, self.listeners, self.loop) for number in range(self.count)
        ]
        for worker in self.workers:
            self.threads.append(threading.Thread(target=worker.run, daemon=True))
            self.threads[-1].start()

    def stop(self) -> None:
        """Leave no thread, socket or port; more calls do nothing."""
        if not self.threads:
            return
        for worker in self.workers:
            worker.stopping = True
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)  # makes it ready, for ever, for all
        for thread in self.threads:
            thread.join()
        for listener in self.listeners:
            listener.close()
        self.threads.clear()

    def __enter__(self) -> Stage:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def open_all(addresses: list[Address]) -> list[socket.socket]:
    """Return a listener for each address, or none of them."""
    with ExitStack() as opened:
        found = [opened.enter_context(open_listener(port)) for _, port in addresses]
        opened.pop_all()
    return found


def open_listener(port: int) -> socket.socket:
    """Return a socket that waits for connections: made, bound, listening."""
    listener = socket.create_server((HOST, port), backlog=BACKLOG)
    listener.setblocking(False)
    # Inherited by each connection: a short answer does not wait for the one before.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
