"""Stage 6: safe. Not a text of its own: it is netlab's server.

Facts. What stage 5 cannot do, it cannot do because it forgets: the part of an answer
that `send` did not take, and that there was no descriptor left. Its stop shuts the
listeners down, which resets whoever waits there, and reaches nobody who has turned away
from the listeners to rest.

Decision. A connection remembers what is not finished, and is in one stage at a time.
While an answer waits to be written the client is not read from, so it costs no more
memory than one batch of answers: back-pressure. A worker without descriptors leaves the
listeners alone for a while. One eventfd that is in every loop, and that nobody reads,
ends all waits. REMEDIES names the function for each thing.

This stage is to be read in `netlab/server`: `worker`, `acceptor`, `connection`.
"""

from __future__ import annotations

from collections.abc import Sequence

from netlab.kernel.addresses import Address
from netlab.server.acceptor import Acceptor
from netlab.server.connection import Connection
from netlab.server.crew import Crew
from netlab.server.server import Server

HOST = "127.0.0.1"  # no other machine can reach it
FAILS: dict[str, str] = {}  # nothing
REMEDIES = {  # what stage 5 cannot do, or does worse; and where it is done
    "a long answer arrives whole": Connection.send,
    "who reads late gets every answer": Connection.serve,
    "out of descriptors, it rests": Acceptor.rest,
    "stopped, it leaves nothing": Crew.stop,
}


class Stage:
    """A `netlab.Server` with the face of the other stages.

    workers, ports: as in stage 5. server: the server itself, once it is started.
    """

    fails = FAILS

    def __init__(self, workers: int | None = None, ports: Sequence[int] = (0,)) -> None:
        self.count = workers
        self.addresses = [Address(HOST, port) for port in ports]
        self.address = self.addresses[0]
        self.server: Server | None = None

    def start(self) -> None:
        """Start the server; OSError if a port cannot be had."""
        listen = tuple(map(str, self.addresses))
        self.server = Server(workers=self.count, listen=listen)
        self.addresses = list(self.server.addresses)
        self.address = self.addresses[0]

    def stop(self) -> None:
        """Stop the server; more calls do nothing."""
        if self.server is not None:
            self.server.stop()

    def __enter__(self) -> Stage:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
