"""The rows of a load, written by compiled code: first the record, then its count.

Whoever reads a log trusts its count, so the record is complete before it is counted. A
connection's row is written when it opens, and again as it changes.
"""

from __future__ import annotations

from netlab.kernel.native import jit
from netlab.load.bundle import Bundle
from netlab.records import DROPPED, WRITTEN

NO_ROOM = -1


@jit
def append_request(b: Bundle, fd: int, now: int) -> int:
    """Write the row of a request that is answered."""
    client, place = b.clients[fd], b.requests_head[WRITTEN]
    if place >= len(b.requests):
        b.requests_head[DROPPED] += 1
        return NO_ROOM
    row = b.requests[place]
    row["connection"], row["start_ns"] = client["number"], client["start_ns"]
    row["latency_ns"] = now - client["start_ns"]
    row["late_ns"], row["overdue_ns"] = client["late_ns"], client["overdue_ns"]
    row["worker"], row["cpu"] = client["worker"], client["cpu"]
    row["status"], row["path"] = client["status"], client["path"]
    b.requests_head[WRITTEN] = place + 1
    return place


@jit
def append_connection(b: Bundle) -> int:
    """Return the next place for a connection's row; -1 if its log is full."""
    place = b.connections_head[WRITTEN]
    if place < len(b.connections):
        return place
    b.connections_head[DROPPED] += 1
    return NO_ROOM


@jit
def write_connection(b: Bundle, fd: int, outcome: int, closed_ns: int) -> int:
    """Write a connection's row, the first time or again."""
    client = b.clients[fd]
    place = client["place"]
    if place == NO_ROOM:
        return NO_ROOM
    row = b.connections[place]
    row["connection"], row["opened_ns"] = client["number"], client["opened_ns"]
    row["connect_ns"], row["closed_ns"] = client["connect_ns"], closed_ns
    row["requests"], row["address"] = client["asked"], client["address"]
    row["port"], row["source"] = client["port"], client["source"]
    row["outcome"] = outcome
    if place == b.connections_head[WRITTEN]:
        b.connections_head[WRITTEN] = place + 1
    return place
