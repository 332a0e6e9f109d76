"""What an answer takes while many other clients are connected and silent.

Facts. The clients are in the server's own process, so each costs it two descriptors,
one for either side. All that connected but were not accepted yet stand in a queue of
bounded length; who finds it full waits for a second, as the kernel tries again.

Decision. Each client connects and asks once, and the next one comes when it has its
answer: so it has been accepted, and the queue holds one at a time. From then on it says
nothing. The last of them goes on asking.
"""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from netlab.kernel.limits import descriptor_limits, raised_descriptor_limit
from netlab.stages.asking import HEAD, PATIENCE_S

if TYPE_CHECKING:
    import pandas as pd

QUESTION = HEAD % (b"/bytes/2", b"")
ASKED = 200  # times; an answer is their median
OWN = 200  # descriptors that the process may have besides
ANSWER_BYTES = 4096


def most_idle(wished: int) -> int:
    """Return how many idle clients this process can hold, at most so many."""
    return min(wished, (descriptor_limits()[1] - OWN) // 2)


def answers_us(
    make_server: Callable[[], Any], counts: Sequence[int], repeats: int = 3
) -> pd.DataFrame:
    """Return the median answer among so many idle clients: a column each, in us.

    make_server: a class of a stage's face. The counts take turns, so that a machine's
    drift belongs to none; a row is one turn of each. The soft limit of descriptors is
    raised meanwhile.

    Raises OSError (EMFILE) if the hard limit is too low; see `most_idle`.
    """
    import pandas as pd

    with raised_descriptor_limit(2 * max(counts) + OWN):
        rows = [
            {count: answer_us(make_server(), count) for count in counts}
            for _ in range(repeats)
        ]
    return pd.DataFrame(rows)


def answer_us(server: Any, idle: int) -> float:
    """Return the median answer of a server with so many idle clients, in us."""
    with server, ExitStack() as held:
        for _ in range(idle):
            _ask_us(held.enter_context(_connected(server)))
        client = held.enter_context(_connected(server))
        return round(statistics.median(_ask_us(client) for _ in range(ASKED)), 1)


def _connected(server: Any) -> socket.socket:
    return socket.create_connection(server.address, PATIENCE_S)


def _ask_us(client: socket.socket) -> float:
    """Ask once; return how long the answer took. AssertionError if there is none."""
    began_ns = time.perf_counter_ns()
    client.sendall(QUESTION)
    answer = client.recv(ANSWER_BYTES)
    assert answer.startswith(b"HTTP/1.1 200"), f"it answered {answer[:20]!r}"
    return (time.perf_counter_ns() - began_ns) / 1000
