"""The half of a worker that takes new connections: accept, and whose it is then.

Facts. An accept has one of four outcomes: a connection; none, because another worker
was faster (EAGAIN); an error of that one connection, which the next accept may not
have; or no descriptor left (EMFILE and its like), and then the listener stays ready and
the loop would spin at full speed for nothing. `bounds` says how many connections may be
open before it comes to that.

Decision. Strategies differ in their row alone. `how` says whether a worker accepts once
a turn or until the queue is empty, and whether it arms or registers anew. `place` says
who owns the connection: mostly the acceptor. If it is another worker, the giver adds
the socket to the other's loop, which is safe from any thread, and the owner hears of
it when the first bytes arrive. What each has open is what all gave it, less what it
closed, as of its last turn.

Not in this file: waiting, and clients (`worker`).
"""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from netlab.counters import Tally
from netlab.kernel.steering import incoming_cpu
from netlab.server.connection import Connection
from netlab.server.loops import ONESHOT, READ
from netlab.server.placement import keep, open_connections

if TYPE_CHECKING:
    from netlab.protocol import Request
    from netlab.server.listeners import Listener
    from netlab.server.loops import Loop
    from netlab.server.outfit import Outfit

REST_S = 0.1  # how long a worker that is out of descriptors leaves the queue alone
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
NO_SUCH_WORKER = "place returned {}: return a worker's number, 0 to {}"


class Acceptor:
    """A loop, the listeners that it watches, and what becomes of new connections."""

    def __init__(self, number: int, outfit: Outfit, loop: Loop) -> None:
        self.number = number
        self.how = outfit.how
        self.place = outfit.strategy.place
        self.notes_incoming_cpu = outfit.incoming_cpu
        self.loop = loop
        self.listeners = {one.fileno(): one for one in outfit.watched[number]}
        self.listener_numbers = outfit.listener_numbers()
        shared = outfit.shared
        self.tally = Tally(shared.rows, number)
        self.log = shared.logs[number]
        self.rows, self.placed = shared.rows.array, shared.placed
        self.memory = shared.memories[number]
        self.peers: list[Self] = [self]  # all workers of the server, by number
        self.connections: dict[int, Connection] = {}
        self.shares_clients = loop.shares_clients
        self.arrivals = loop.arrivals  # added by another worker, not yet heard of
        self.bounds = outfit.bounds
        workers = slice(*outfit.bounds.counted(number, len(self.rows)))
        self.table_rows = self.rows[workers]  # of all whose descriptors are its own
        self.counts_from = outfit.bounds.most() - 1  # a descriptor
        self.may_be_full = False
        self.stopping = shared.stopping.data  # one word: 0, or 1 to stop
        self.rests_until: float | None = None  # time.monotonic(), while it rests

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
        if self.may_be_full and self.is_full():
            self.rest()
            return False
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
            self.may_be_full |= client.fileno() >= self.counts_from
            self.hand_on(client, listener, peer)
            self.rotate(listener)
            return True
        return False

    def is_full(self) -> bool:
        """Whether as many connections are open as may be: its own, and as published."""
        self.tally.publish()
        rows = self.table_rows
        gone = rows["closed"] + rows["left_open"]
        return int((rows["accepted"] - gone).sum()) >= self.bounds.most()

    def hand_on(self, client: socket.socket, listener: Listener, peer: Any) -> None:
        """Find a new connection its owner, and note both."""
        try:
            owner = self.choose_owner()
        except BaseException:  # the rule's own error, which ends this worker
            self.turn_away(client)
            raise
        self.log.append(
            time.monotonic_ns(),
            self.number,
            owner.number,
            self.tally.cpu,
            incoming_cpu(client) if self.notes_incoming_cpu else -1,
            self.listener_numbers[listener],
            peer[1],
        )
        if owner is self and not self.shares_clients:
            self.adopt(client)
        else:
            self.give(client, owner)

    def choose_owner(self) -> Self:
        """Return the worker that shall own a new connection, by the rule."""
        if self.place is keep:
            return self
        open_now = open_connections(self.placed, self.rows["closed"])
        number = self.place(self.number, open_now, self.memory)
        whole = isinstance(number, (int, np.integer))
        if not whole or not 0 <= number < len(self.peers):
            raise ValueError(NO_SUCH_WORKER.format(number, len(self.peers) - 1))
        self.placed[self.number, number] += 1
        return self.peers[number]

    def turn_away(self, client: socket.socket) -> None:
        """Close a new connection for which there is no owner."""
        self.tally.accept_errors += 1
        self.tally.closed += 1
        client.close()

    def retire(self) -> None:
        """Leave the listeners alone for ever; others close them next."""
        self.listeners = {}

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

    def give(self, client: socket.socket, owner: Self) -> None:
        """Let another worker own a connection: its loop watches it from now on."""
        self.tally.given += 1
        fd = client.fileno()
        owner.arrivals[fd] = Connection(client, owner)
        events = READ | ONESHOT if self.shares_clients else READ
        try:
            owner.loop.add(fd, events)
        except (OSError, ValueError):  # no memory; it hangs up at the stop
            self.tally.accept_errors += 1

    def rest(self) -> None:
        """Leave the listeners alone until there may be room again.

        Without a descriptor `accept` fails but the listener stays ready: the loop
        would spin at full speed for nothing; so it would with as many connections as
        may be. A rest ends after REST_S, or when this worker closes a connection.
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

    def perform(self, request: Request) -> tuple[bytes, int]:
        """Do what was asked; return the answer and the filler bytes it owes."""
        raise NotImplementedError

    def close(self, fd: int) -> None:
        """End a connection."""
        raise NotImplementedError
