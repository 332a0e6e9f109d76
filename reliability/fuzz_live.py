"""Both engines given the same streams, cut at the same places, by a live client.

Facts. A stream of requests may be cut anywhere by the network; what is answered must
not depend on it, nor on the engine. Of an answer only the thread's number and its CPU
differ between two servers. A server that ends a connection while more of the client's
bytes come resets it, and what the kernel had not yet delivered of the last answer is
lost: no server can help that, short of reading on.

Decision. Two servers of one worker each, so that the accepts that an answer tells of
are the same. Both get a piece, then both the next one, with PAUSE_S between, in which
a server that is awake has read it. Then the client says no more and reads to the end.
Both must have said the same; after a reset, one the beginning of what the other said.
At the end their counts must agree.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

from netlab import counters
from netlab.server.server import Server
from reliability.inputs import draw, heads, spoiled
from reliability.results import Broken
from tests.cases import VALID

PAUSE_S = 0.0003
PATIENCE_S = 30.0
READ_BYTES = 1 << 18
BATCH = 100
OWN = re.compile(rb'"(?:tid|cpu)": -?\d+|X-Netlab-Cpu: -?\d+|} *\n')
STATUS = re.compile(rb"HTTP/1\.1 (\d+) ")
COUNTED = ("accepted", "closed", "requests", "refusals", "answers", "faults")

good = st.sampled_from([case.data for case in VALID])
kept = st.sampled_from([case.data for case in VALID if case.keep_alive])
parts = st.one_of(*[kept] * 12, good, heads, spoiled(), st.binary(max_size=60))
streams = st.tuples(
    st.lists(parts, min_size=1, max_size=8).map(b"".join),
    st.lists(st.floats(0, 1), max_size=6),
)


class Said(NamedTuple):
    """What a server answered to a stream, and whether it ended by a reset."""

    data: bytes
    reset: bool


class Streams:
    """How many streams were answered alike, by the status of their last answer.

    Those are counted that differ; `parts` are the pieces that they were sent in.
    """

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        self.seen: set[int] = set()
        self.inputs: Counter[str] = Counter()
        self.parts: Counter[str] = Counter()

    def compare(self, drawn: tuple[bytes, list[float]]) -> None:
        """Give both servers one stream in the same pieces."""
        stream, cuts = drawn
        one, other = (comparable(said) for said in self._answers(pieces(stream, cuts)))
        sizes = len(one.data), len(other.data)
        enough = min(sizes) if one.reset or other.reset else max(sizes)
        assert one.data[:enough] == other.data[:enough], (
            f"{stream!r}, cut at {cuts}: python says {short(one)}, compiled "
            f"{short(other)}"
        )
        self._count(stream, cuts, STATUS.findall(one.data))

    def _count(self, stream: bytes, cuts: list[float], statuses: list[bytes]) -> None:
        """Count a stream, unless it was met before in the same pieces."""
        if (known := hash((stream, *cuts))) in self.seen:
            return
        self.seen.add(known)
        verdict = statuses[-1].decode() if statuses else "nothing said"
        self.inputs[verdict] += 1
        self.parts[verdict] += len(pieces(stream, cuts))

    def _answers(self, pieces: list[bytes]) -> list[Said]:
        with contextlib.ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(one.address, PATIENCE_S))
                for one in self.servers
            ]
            for client in clients:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                for client in clients:
                    with contextlib.suppress(ConnectionError):  # it says why, below
                        client.sendall(piece)
                time.sleep(PAUSE_S)
            return [heard(client) for client in clients]


def compared(count: int, first_seed: int) -> Streams:
    """Give both engines `count` streams; Broken if they answer differently."""
    with (
        Server(workers=1, engine="python") as python,
        Server(workers=1, engine="compiled") as compiled,
    ):
        found = Streams([python, compiled])
        while found.inputs.total() < count:
            try:
                draw(found.compare, streams, BATCH, first_seed, True)
            except AssertionError as error:
                raise Broken(f"{error} (seed {first_seed})") from error
            first_seed += 1
        require_same_counts(python, compiled)
    return found


def require_same_counts(python: Server, compiled: Server) -> None:
    """Raise Broken unless both counted the same."""
    sums = []
    for server in (python, compiled):
        server.settle()
        total = counters.total(server.snapshot())
        sums.append({name: total[name] for name in COUNTED})
    if sums[0] != sums[1] or sums[0]["faults"]:
        raise Broken(
            f"after the same streams python counts {sums[0]}, compiled {sums[1]}"
        )


def pieces(stream: bytes, cuts: list[float]) -> list[bytes]:
    """Return a stream in pieces; a cut is a share of its length."""
    places = sorted({0, len(stream), *(round(cut * len(stream)) for cut in cuts)})
    return [stream[begin:end] for begin, end in pairwise(places)]


def heard(client: socket.socket) -> Said:
    """Say no more, and return all that the server says until its end."""
    received, reset = [], False
    try:
        with contextlib.suppress(OSError):  # it has hung up
            client.shutdown(socket.SHUT_WR)
        while data := client.recv(READ_BYTES):
            received.append(data)
    except TimeoutError:
        raise AssertionError(f"no end within {PATIENCE_S:.0f} s") from None
    except ConnectionError:
        reset = True
    return Said(b"".join(received), reset)


def comparable(said: Said) -> Said:
    """Return what must be the same from any server."""
    return said._replace(data=OWN.sub(b"", said.data))


def short(said: Said) -> str:
    """Return the beginning of what was said."""
    end = " (reset)" if said.reset else ""
    return f"{len(said.data)} bytes{end}: {said.data[:600]!r}"
