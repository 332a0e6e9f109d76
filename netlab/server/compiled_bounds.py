"""What a client may cost, on flat arrays: `bounds`, and the clock of `serving`.

What may not be put here: who looks at the time (`compiled_serving`), and who accepts
(`compiled_accept`).
"""

from __future__ import annotations

from netlab.kernel import native
from netlab.server.bounds import SPARE_MOST, SPARE_PART
from netlab.server.compiled_state import (
    CLOSED,
    DRAINING,
    LIMIT,
    NOTHING,
    READING,
    WRITING,
    Own,
    connection_of,
    counters_by,
    counters_of,
    scratch_of,
)

DESCRIPTORS = 7  # RLIMIT_NOFILE, on all architectures but MIPS and SPARC
UNLIMITED = native.int64(1 << 62)


@native.jit
def is_full(own: Own) -> bool:
    """Whether as many connections are open as may be."""
    count = NOTHING
    for worker in range(own["counted_first"], own["counted_end"]):
        row = counters_by(own, worker)
        count += row["accepted"] - row["closed"] - row["left_open"]
    return count >= most(own)


@native.jit
def most(own: Own) -> int:
    """Return how many connections may be open now, as `bounds` has it."""
    if own["max_connections"] > 0:
        return own["max_connections"]
    native.getrlimit(DESCRIPTORS, own["scratch"] + 8 * LIMIT)
    limit = scratch_of(own)[LIMIT]
    if limit < 0:  # unlimited
        return UNLIMITED
    return max(limit - own["in_use"] - min(SPARE_MOST, limit // SPARE_PART), 1)


@native.jit
def timed(own: Own, fd: int, after: int, done: bool) -> int:
    """Give a client its time, or end it if its time is up; return the stage."""
    connection = connection_of(own, fd)
    if not is_awaited(own, fd, after):
        connection["deadline_ns"] = 0
        return after
    now_ns = native.now_ns(scratch_of(own))
    if done or connection["deadline_ns"] == 0:
        connection["deadline_ns"] = now_ns + own["client_timeout_ns"]
        if own["looks_at_ns"] == 0:
            own["looks_at_ns"] = now_ns + own["look_ns"]
    elif now_ns >= connection["deadline_ns"]:
        counters_of(own)["timed_out"] += 1
        return CLOSED
    return after


@native.jit
def is_awaited(own: Own, fd: int, stage: int) -> bool:
    """Whether a client has begun something that only it can bring to an end."""
    if stage == READING:
        return connection_of(own, fd)["inbox_size"] > 0
    return stage in (WRITING, DRAINING)
