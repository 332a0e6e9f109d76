"""One client's connection: bytes in, answers out, and the stage it is in.

Facts. A byte stream has no edges. A read may return half a request or seven and a
half, so what is not yet complete stays in `inbox`. A send may take only part of an
answer, so the rest stays in `outbox`.

Decision. A connection is in one stage at a time, and the stage says what it is to
do when its turn comes:

    READING   wait for bytes, read once, answer what is complete
    MORE      its inbox may hold another whole request: answer, read nothing yet
    WRITING   wait for room to write, and read nothing meanwhile
    DRAINING  it was refused: read, and throw away
    CLOSED    end it

A client that does not read its answers is not read from either, so it costs no more
memory than one batch of answers. Of a long body only the number of bytes still owed
is kept. At most REQUESTS_PER_TURN answers for one client, then the others have their
turn; what is left in its inbox needs no new bytes to be ready, hence the stage MORE.

After a refusal (400, 431, ...) the client may still be sending. Closing a socket
with unread bytes makes the kernel reset the connection, which can destroy the answer
on its way. So the server says "no more from me" (shutdown) and reads on, at most
DISCARD_LIMIT bytes, until the client closes.

A connection knows whether it waits for something that only its client can do next, and
until when it may (`bounds`); there is no clock here.

Not in this file: waiting (`worker`), time (`serving`), and what the bytes mean
(`protocol`).
"""

from __future__ import annotations

import socket
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from netlab.protocol import FILLER, Request, read_request

if TYPE_CHECKING:
    from netlab.counters import Tally

READ_BYTES = 1 << 16  # one recv; bounds what a pipelining client can queue up here
REQUESTS_PER_TURN = 16  # answers to one client before the others' turn
DISCARD_LIMIT = 1 << 18  # bytes read and thrown away after a refusal


class Stage(IntEnum):
    """What a connection is to do at its next turn."""

    READING = 0
    MORE = 1
    WRITING = 2
    DRAINING = 3
    CLOSED = 4


# Plain names, for the reason given in `protocol`.
READING, MORE, WRITING, DRAINING, CLOSED = Stage


class Owner(Protocol):
    """What a connection needs of the worker that owns it."""

    tally: Tally

    def perform(self, request: Request) -> tuple[bytes, int]:
        """Return the answer to a request, and the filler bytes it owes."""
        ...


class Connection:
    """One client: its socket, and what is not finished yet in either direction."""

    __slots__ = (
        "deadline",
        "discarded",
        "inbox",
        "next",
        "outbox",
        "owed",
        "owner",
        "replies",
        "socket",
        "stage",
    )

    def __init__(self, client: socket.socket, owner: Owner) -> None:
        self.socket = client
        self.owner = owner
        self.stage = READING
        self.next = READING  # the stage after all answers are sent
        self.inbox = b""  # received, not yet a whole request
        self.outbox = b""  # answers, not yet taken by the kernel
        self.owed = 0  # filler bytes that follow the outbox
        self.replies = 0  # answers that end when both are empty
        self.discarded = 0  # bytes thrown away while DRAINING
        self.deadline: float | None = None  # when its client's time is up

    def __repr__(self) -> str:
        waiting = f"{len(self.inbox)} bytes in, {len(self.outbox)} to send"
        return f"Connection({self.stage.name}: {waiting})"

    @property
    def is_awaited(self) -> bool:
        """Whether its client has begun something that only it can bring to an end."""
        return self.inbox != b"" if self.stage is READING else self.stage is not MORE

    def serve(self) -> Stage:
        """Do what the stage asks for; return the stage that follows.

        Raises OSError if the client broke the connection.
        """
        try:
            if self.stage is READING:
                self.receive()
            elif self.stage is MORE:
                self.reply()
            elif self.stage is WRITING:
                self.send()
            else:
                self.drain()
        except BlockingIOError:
            pass  # not ready after all: the stage stays
        return self.stage

    def receive(self) -> None:
        """Read once; an empty read is the client's end of stream."""
        data = self.socket.recv(READ_BYTES)
        self.owner.tally.bytes_in += len(data)
        if data:
            self.inbox += data
            self.reply()
        else:
            self.stage = CLOSED

    def drain(self) -> None:
        """Read once, and throw it away."""
        data = self.socket.recv(READ_BYTES)
        self.owner.tally.bytes_in += len(data)
        self.discarded += len(data)
        if not data or self.discarded > DISCARD_LIMIT:
            self.stage = CLOSED

    def reply(self) -> None:
        """Answer what is complete in the inbox, a turn's share at most."""
        at, answers = 0, []
        self.stage = self.next = READING
        while len(answers) < REQUESTS_PER_TURN:
            request = read_request(self.inbox, at)
            if request is None:
                self.next = READING
                break
            at += request.size
            data, self.owed = self.owner.perform(request)
            answers.append(data)
            self.next = self.stage_after(request, at)
            if self.owed or self.next is not MORE:
                break
        self.inbox = self.inbox[at:]
        if answers:
            self.outbox = b"".join(answers)
            self.replies = len(answers)
            self.send()

    def stage_after(self, request: Request, at: int) -> Stage:
        """Return the stage for the time when this request's answer is sent."""
        if request.is_refusal:
            return DRAINING
        if not request.keep_alive:
            return CLOSED
        return MORE if at < len(self.inbox) else READING

    def send(self) -> None:
        """Give the kernel as much as it takes; wait for room for the rest."""
        tally = self.owner.tally
        while self.outbox:
            try:
                sent = self.socket.send(self.outbox)
            except BlockingIOError:
                if self.stage is not WRITING:
                    tally.partial_writes += 1
                self.stage = WRITING
                return
            tally.bytes_out += sent
            self.outbox = self.outbox[sent:] or self.pay()
        tally.answers += self.replies
        self.replies = 0
        self.stage = self.next
        if self.stage is DRAINING:
            self.socket.shutdown(socket.SHUT_WR)

    def pay(self) -> bytes:
        """Return the next block of filler that is owed, b"" if none."""
        block = FILLER[: self.owed]
        self.owed -= len(block)
        return block
