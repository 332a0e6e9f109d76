"""The accept queue, seen from outside: how long it is, and what fell off its end.

Facts: a connection whose handshake is complete waits in its listener's accept queue
until some worker accepts it. `getsockopt(TCP_INFO)` fills a `struct tcp_info`, made for
connections; on a socket in the state LISTEN the kernel reuses two of its fields:

    offset  0, 1 byte   tcpi_state    10 is LISTEN
    offset 24, 4 bytes  tcpi_unacked  connections that wait to be accepted
    offset 28, 4 bytes  tcpi_sacked   the limit: min(backlog, net.core.somaxconn)

The first eight bytes are small fields; 24 is after four 32-bit ones (rto, ato, snd_mss,
rcv_mss). Later kernels only append, so the offsets hold, on IPv4 and on IPv6 alike.
The queue is full when its length is ABOVE the limit: `listen(0)` still holds one
connection and `listen(n)` holds n + 1. A SYN that meets a full queue is dropped, and
counted as ListenOverflows and as ListenDrops in /proc/net/netstat; the client tries
again after a second, which shows as a latency of a second and as no error anywhere.

Consequence: the length belongs to one listener, while the drops belong to the network
namespace, i.e. to every listener of the machine or the container together.

Decision: the length is read without root and without touching the queue. Of the drops
only differences mean anything, before and after a run that had the machine to itself.

Cost: a length is a sample. A queue that fills and drains between two samples is seen in
the drops at most. Every SO_REUSEPORT listener has a queue of its own: add them up.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/")
TCP_LISTEN = 10  # enum in the kernel's include/net/tcp_states.h
LENGTH_AND_LIMIT = struct.Struct("=24xII")


class Drops(NamedTuple):
    """Connections lost by full queues since the network namespace was made."""

    overflows: int
    drops: int

    def since(self, earlier: Drops) -> Drops:
        """What was lost between `earlier` and this reading."""
        return Drops(self.overflows - earlier.overflows, self.drops - earlier.drops)


def accept_queue_length(listener: socket.socket) -> int:
    """Connections that wait to be accepted on this listener (not on its siblings)."""
    return _length_and_limit(listener)[0]


def accept_queue_limit(listener: socket.socket) -> int:
    """The backlog that took effect; the queue holds one connection more."""
    return _length_and_limit(listener)[1]


def listen_drops(root: Path = ROOT) -> Drops:
    """ListenOverflows and ListenDrops of this network namespace (cumulative).

    Raises OSError where there is no /proc/net/netstat, or no such counter in it.
    """
    lines = (root / "proc/net/netstat").read_text().splitlines()
    rows = [line.split() for line in lines if line.startswith("TcpExt:")]
    counts = dict(zip(*rows, strict=False)) if len(rows) == 2 else {}
    try:
        return Drops(int(counts["ListenOverflows"]), int(counts["ListenDrops"]))
    except KeyError as cause:
        raise OSError(f"/proc/net/netstat has no counter {cause}") from cause


def _length_and_limit(listener: socket.socket) -> tuple[int, int]:
    option = getattr(socket, "TCP_INFO", None)
    if option is None:
        raise OSError("the accept queue is read through TCP_INFO, which needs Linux")
    info = listener.getsockopt(socket.IPPROTO_TCP, option, LENGTH_AND_LIMIT.size)
    if info[0] != TCP_LISTEN:
        raise ValueError(f"{listener!r} is in TCP state {info[0]}: call listen() first")
    length, limit = LENGTH_AND_LIMIT.unpack(info)
    return length, limit
