"""Stage 5 with a memory for what it owes: the smallest remedy, and a base of exhibits.

Facts. `send` takes what fits the kernel's buffer and says how much that was. A client
that reads slowly, or never, fills the buffer, and then `send` fails with EWOULDBLOCK.

Decision. What the kernel did not take is kept in `owed`, and epoll is asked to tell
when there is room. Until all of it is taken, the client is not listened to: so it is
owed one answer at most, whatever it asks. A worker that is out of descriptors does not
watch the listeners in its next turn, which ends after REST_S.

Cost. One answer is held whole, up to 8 MB of it. `netlab.server` keeps a block of it,
and the number of bytes that are still to come.

Not built here: all that stage 5 is already (`stages.s5`).
"""

from __future__ import annotations

import select
import socket
from typing import Any

from netlab.exhibits.assembled import assembled
from netlab.protocol import read_request
from netlab.stages import s5
from netlab.stages.loops import Epoll
from netlab.stages.saying import perform

REST_S = 0.1  # whoever has no descriptor left looks again so soon
FAILS: dict[str, str] = {}  # nothing


class Loop(Epoll):
    """Tells of room to write too, and can be told to end its sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: dict[int, int] = {}
        self.patience_s: float | None = None

    def watch(self, descriptor: int) -> None:
        """Tell of a descriptor that is ready to read, from now on."""
        super().watch(descriptor)
        self.watched[descriptor] = self.events

    def change(self, descriptor: int, read: bool, write: bool) -> None:
        """Tell from now on of what is to be read, of room to write, both or none."""
        events = select.EPOLLIN * read | select.EPOLLOUT * write
        if events != self.watched[descriptor]:
            self.epoll.modify(descriptor, events)
            self.watched[descriptor] = events

    def forget(self, descriptor: int) -> None:
        """Forget what was watched; the kernel forgets a socket that is closed next."""
        self.watched.pop(descriptor, None)

    def wait(self) -> list[int]:
        """Sleep until something is ready, or patience ends; return all that is."""
        return [descriptor for descriptor, _ in self.epoll.poll(self.patience_s)]


LOOPS = {"epoll": Loop}
BASE = assembled(s5, {"LOOPS": LOOPS})


class Worker(BASE.Worker):
    """A thread with a loop, and the clients that it won; it forgets no answer."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.owed: dict[int, bytearray] = {}  # answers not taken yet, by descriptor
        self.leaving: set[int] = set()  # to be closed once they have their answer
        self.rests = False  # since its last turn it leaves the listeners alone

    def turn(self) -> None:
        """Sleep until something is ready, and deal with all that is."""
        rested = self.rests
        super().turn()
        if rested:
            self.watch_listeners(True)
        elif not self.rests:
            self.loop.patience_s = None

    def attend(self, descriptor: int) -> bool:
        """Deal with what is ready; level-triggered, so it is told if there is more."""
        if descriptor in self.listeners:
            return self.accept(self.listeners[descriptor])
        client = self.clients[descriptor]
        if descriptor in self.owed:
            self.resume(client)
        if descriptor in self.clients and self.hears(descriptor):
            self.serve(client)
        if descriptor in self.clients:
            self.loop.change(descriptor, *self.wishes(descriptor))
        return False

    def hears(self, descriptor: int) -> bool:
        """Return whether a client is read from: not while it is owed an answer."""
        return descriptor not in self.owed

    def wishes(self, descriptor: int) -> tuple[bool, bool]:
        """Return whether it is to be watched for bytes, and for room to write."""
        return self.hears(descriptor), descriptor in self.owed

    def accept(self, listener: socket.socket) -> bool:
        """Take a connection from the queue; rest if there is no descriptor left."""
        errors = self.tally.accept_errors
        taken = super().accept(listener)
        if self.tally.accept_errors > errors:
            self.rest()
        return taken

    def rest(self) -> None:
        """Leave the listeners alone for a turn, and let that turn end."""
        self.tally.rests += 1
        self.watch_listeners(False)

    def watch_listeners(self, watched: bool) -> None:
        """Be told of new connections from now on, or not."""
        self.rests = not watched
        self.loop.patience_s = None if watched else REST_S
        for descriptor in self.listeners:
            self.loop.change(descriptor, watched, False)

    def reply(self, client: s5.Client) -> bool:
        """Answer whole requests while it hears; return whether the client stays."""
        number = client.socket.fileno()
        while self.hears(number) and (request := read_request(client.inbox)):
            client.inbox = client.inbox[request.size :]
            answer = perform(
                request,
                worker=self.number,
                tid=self.tally.tid,
                accepts=self.tally.accepted,
            )
            self.tally.requests += 1
            if not request.keep_alive:
                client.inbox = b""
                self.leaving.add(number)
            self.send(client, answer)
        return number in self.owed or number not in self.leaving

    def send(self, client: s5.Client, answer: bytes = b"") -> None:
        """Give the kernel what it takes, and keep the rest."""
        number = client.socket.fileno()
        owed = self.owed.setdefault(number, bytearray())
        owed += answer
        try:
            sent = client.socket.send(owed)
        except BlockingIOError:  # no room at all
            sent = 0
        del owed[:sent]
        if not owed:
            del self.owed[number]

    def resume(self, client: s5.Client) -> None:
        """Go on with an answer; once it is sent, with what else was asked."""
        try:
            self.send(client)
            stays = self.reply(client)
        except OSError:  # the client broke the connection
            stays = False
        if not stays:
            self.close(client)

    def close(self, client: s5.Client) -> None:
        """End a connection."""
        number = client.socket.fileno()
        self.owed.pop(number, None)
        self.leaving.discard(number)
        super().close(client)


PARTS = {"LOOPS": LOOPS, "Worker": Worker, "FAILS": FAILS}


def stage(worker: type = Worker) -> type:
    """Return the class of a server with workers of this class, a patient one's."""
    return assembled(s5, PARTS | {"Worker": worker}).Stage
