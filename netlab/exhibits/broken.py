"""The broken parts: each is one part of a healthy server, with one thing wrong in it.

Decision. A part is a subclass, or a function in the place of another, and as much of
its text is repeated as a reader needs to find the fault by reading. Nothing in it says
which line it is: neither a name nor a comment. What is wrong stands in the tests, and
on the pages in a fold.
"""

from __future__ import annotations

import socket
import threading

from netlab import counters
from netlab.exhibits import patient
from netlab.kernel.machine import cpus_allowed
from netlab.kernel.threads import pin, set_name
from netlab.stages import s2, s3, s5
from netlab.stages.s3 import BACKLOG, HOST, READ_BYTES


def open_shared_listener(port: int) -> socket.socket:
    """Return a socket that waits for connections: made, bound, listening."""
    listener = socket.create_server((HOST, port), backlog=BACKLOG)
    # Inherited by each connection: a short answer does not wait for the one before.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def open_plain_listener(port: int) -> socket.socket:
    """Return a socket that waits for connections: made, bound, listening."""
    listener = socket.create_server((HOST, port), backlog=BACKLOG)
    listener.setblocking(False)
    return listener


class TakesAndWatches(s2.Worker):
    """A loop, and the clients that it watches."""

    def accept(self) -> None:
        """Take a connection from the queue, and watch it."""
        try:
            connection, _ = self.listener.accept()
        except BlockingIOError:  # there is none after all
            return
        except OSError:  # no descriptor left, or the stop
            return
        self.accepted += 1
        self.clients[connection.fileno()] = client = s2.Client(connection)
        try:
            self.watch(connection.fileno())
        except ValueError:
            self.close(client)


class IsToldOnce(s3.Worker):
    """A loop, and the clients that it watches; its loop tells of an arrival once."""

    def turn(self) -> None:
        """Sleep until something is ready, and deal with all that is."""
        for descriptor in self.loop.wait():
            self.attend(descriptor)


class GoesOn(s3.Worker):
    """A loop, and the clients that it watches."""

    def run(self) -> None:
        """Serve until told to stop."""
        self.tid = threading.get_native_id()
        try:
            while not self.stopping:
                self.turn()
        except OSError:  # a client broke the connection
            pass
        for client in list(self.clients.values()):
            self.close(client)
        self.loop.close()

    def serve(self, client: s3.Client) -> bool:
        """Read once, answer what is complete; return whether there may be more."""
        try:
            data = client.socket.recv(READ_BYTES)
            client.inbox += data
            stays = self.reply(client) and data != b""
        except BlockingIOError:  # nothing to read, or no room for the answer
            return False
        if not stays:
            self.close(client)
        return stays


class HasACPU(s5.Worker):
    """A thread with a loop, and the clients that it won."""

    def begin(self) -> None:
        """Take a name that `ps` shows, and a CPU to stay on."""
        self.tally.tid = threading.get_native_id()
        set_name(f"netlab-w{self.number}", self.tally.tid)
        cpus = cpus_allowed()
        pin([cpus[self.number // len(cpus)]])
        self.tally.state = counters.State.READY
        self.tally.publish()


class KeepsTheRest(patient.Worker):
    """A thread with a loop, and the clients that it won; it forgets no answer."""

    def send(self, client: s5.Client, answer: bytes = b"") -> None:
        """Give the kernel what it takes, and keep the rest."""
        number = client.socket.fileno()
        owed = self.owed.setdefault(number, bytearray())
        owed += answer
        try:
            client.socket.send(owed)
        except BlockingIOError:  # no room at all
            return
        del self.owed[number]


class HearsAll(patient.Worker):
    """A thread with a loop, and the clients that it won; it forgets no answer."""

    def hears(self, descriptor: int) -> bool:
        """Return whether a client is read from."""
        return descriptor in self.clients


class WishesMuch(patient.Worker):
    """A thread with a loop, and the clients that it won; it forgets no answer."""

    def wishes(self, descriptor: int) -> tuple[bool, bool]:
        """Return whether it is to be watched for bytes, and for room to write."""
        return self.hears(descriptor), True


class Rests(patient.Worker):
    """A thread with a loop, and the clients that it won; it forgets no answer."""

    def rest(self) -> None:
        """Wait a little for better times."""
        self.tally.rests += 1
        self.loop.patience_s = patient.REST_S


class Closes(patient.Worker):
    """A thread with a loop, and the clients that it won; it forgets no answer."""

    def close(self, client: s5.Client) -> None:
        """End a connection."""
        self.leaving.discard(client.socket.fileno())
        self.loop.forget(client.socket.fileno())
        del self.clients[client.socket.fileno()]
        client.socket.close()
        self.tally.closed += 1
