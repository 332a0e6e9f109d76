"""Stage 1: a socket that waits, and one client at a time.

Facts. A listener is a passive socket: it waits for connections. The kernel makes each
by itself, handshake and all, and puts it in the listener's queue. So a client whose
`connect` returned need not be known to any program yet. `accept` takes the oldest from
the queue, as a socket of its own; from an empty queue it sleeps. `recv` sleeps until
the client says something, `sendall` until the kernel has taken all.

Decision. One thread takes a client, serves it until it leaves, and takes the next.

Cost. Each of these sleeps is for one client, and all others sit it out: head-of-line
blocking. FAILS lists the cases of the suite (`suite`) that it therefore fails.

Not built here: what a request is (`protocol`), and what the answer says (`saying`).
"""

from __future__ import annotations

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
FAILS = {  # what this stage cannot do, and why
    "a silent client holds up nobody": "it sleeps in recv for the one it has",
    "clients take turns": "the first keeps the worker until it leaves",
    "a slow reader holds up nobody": "it sleeps in sendall for the one it has",
    "a busy worker holds up nobody": "there is no other worker",
}


@dataclass
class Client:
    """One connection: its socket, and what is not yet a whole request."""

    socket: socket.socket
    inbox: bytes = b""


class Worker:
    """Serves clients, one after the other."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.client: Client | None = None
        self.stopping = False
        self.number = 0
        self.tid = 0
        self.accepted = 0

    def run(self) -> None:
        """Serve until told to stop."""
        self.tid = threading.get_native_id()
        while not self.stopping:
            self.accept()

    def accept(self) -> None:
        """Take a connection from the queue, and serve it to its end."""
        try:
            connection, _ = self.listener.accept()  # sleeps while there is none
        except OSError:  # no descriptor left, or the stop
            return
        self.accepted += 1
        self.client = Client(connection)
        while not self.stopping and self.serve(self.client):
            pass
        self.close(self.client)

    def serve(self, client: Client) -> bool:
        """Read once, answer what is complete; return whether the client stays."""
        try:
            data = client.socket.recv(READ_BYTES)  # sleeps while the client is silent
            client.inbox += data
            return self.reply(client) and data != b""
        except OSError:  # the client broke the connection
            return False

    def reply(self, client: Client) -> bool:
        """Answer all whole requests; return whether the client stays."""
        while request := read_request(client.inbox):
            client.inbox = client.inbox[request.size :]
            answer = perform(
                request, worker=self.number, tid=self.tid, accepts=self.accepted
            )
            client.socket.sendall(answer)  # sleeps until all is taken
            if not request.keep_alive:
                return False
        return True

    def close(self, client: Client) -> None:
        """End a connection."""
        self.client = None
        client.socket.close()

    def hang_up(self) -> None:
        """End the connection that it may sleep for; called by who stops it."""
        if client := self.client:
            try:
                client.socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # it has just ended
                pass


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
        self.listener.shutdown(socket.SHUT_RDWR)  # from now on every accept fails
        self.worker.hang_up()
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
    # Inherited by each connection: a short answer does not wait for the one before.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
