"""netlab's answers on Python's event loops: python -m benchmarks.peer_asyncio LOOP.

Facts. asyncio's streams cost about as much as everything else together; a protocol is
the least that either loop can be used with, and what servers on them use.

Decision. Parser and answers are netlab's own, so that what differs is the loop: how
it waits, accepts, reads, writes and calls back. The CPU in an answer is that of the
start, since a protocol has no turn in which to ask again; the process is bound to
one. Back-pressure is the loop's own (a high-water mark of 64 KiB, then it is only
counted, not obeyed: no client of a benchmark leaves its answers lying).
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from typing import cast

from netlab.kernel.libc import current_cpu
from netlab.protocol import FILLER, Request, Route, answer, read_request
from netlab.server.serving import spin
from netlab.server.settings import BACKLOG

LOOPS = {"asyncio": "asyncio", "uvloop": "uvloop"}  # name: the module it is in


class Server:
    """What all connections share."""

    def __init__(self) -> None:
        self.accepted = 0
        self.tid, self.cpu = os.getpid(), current_cpu()

    def perform(self, request: Request) -> bytes:
        """Return the whole answer to a request."""
        if request.route == Route.SPIN:
            spin(request.argument)
        data, owed = answer(
            request, worker=0, tid=self.tid, cpu=self.cpu, accepts=self.accepted
        )
        return data + (FILLER * (owed // len(FILLER) + 1))[:owed] if owed else data


class Connection(asyncio.Protocol):
    """One client: its transport, and the part of a request that has come."""

    __slots__ = ("inbox", "server", "transport")

    def __init__(self, server: Server) -> None:
        self.server = server
        self.inbox = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count a new client."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        self.server.accepted += 1

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        inbox, at, answers, keep = self.inbox + data, 0, [], True
        while keep and (request := read_request(inbox, at)) is not None:
            at += request.size
            answers.append(self.server.perform(request))
            keep = request.keep_alive
        self.inbox = inbox[at:]
        if answers:
            self.transport.write(b"".join(answers))
        if not keep:
            self.transport.close()


async def serve(port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    shared = Server()
    server = await loop.create_server(
        lambda: Connection(shared), "127.0.0.1", port, backlog=BACKLOG
    )
    host, port = server.sockets[0].getsockname()
    print(f"listening on {host}:{port} pid {os.getpid()}", flush=True)
    await over.wait()
    server.close()


def main(name: str, port: str = "0") -> None:
    """Serve on the loop called `name`."""
    if name not in LOOPS:
        raise SystemExit(f"loop {name!r}: give {' or '.join(LOOPS)}")
    new_loop = importlib.import_module(LOOPS[name]).new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve(int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
