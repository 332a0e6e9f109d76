"""One worker's loop in machine code: what `worker` says, on flat arrays.

Facts. Under the GIL a woken worker sleeps again until it gets the interpreter. With 32
workers and the original's strategy an interpreted loop in threads was woken 58 times
for each accept (53 to 65 in three runs) where this one was woken 32.0 times, which is
the kernel's number, and saw 8.3 would-blocks where this one saw 0.4 (Linux 6.18, 2
CPUs; `python -m netlab run --plan touch --workers 32 --connections 200 --repeats 3`
with either `--engine`). The GIL changes what is measured. A loop that needs no
interpreter shows the kernel, and leaves the interpreter to others.

Decision. The same turns, words and counters as in `worker`, over the C library. The
loop counts in its row of the shared counters at once, and looks at the stop's word
before each client. A log's record is followed by a system call before the log's length
is published: no compiler moves a store past one, so a reader never sees half a record.

The loop is called once and returns when it is told to stop: 0; or -errno if waiting
itself failed, MISPLACED if `place` named no worker. Everything else that goes wrong
ends one connection, and is counted.

A connection is given to another worker by a row of the table and the other's epoll: the
row says whose it is before the epoll may tell of it. `place` is called at its address.
Not in this file: new connections (`compiled_accept`), what is done for a client
(`compiled_serving`) and what its bytes mean (`compiled_connection`), and anything that
needs Python (`compiled_worker`).
"""

from __future__ import annotations

import errno as errors
import sys
from collections.abc import Callable

import numpy as np

from netlab import counters, protocol, protocol_answers, protocol_arrays
from netlab.kernel import callback, native
from netlab.server import (
    bounds,
    compiled_accept,
    compiled_bounds,
    compiled_connection,
    compiled_serving,
    compiled_state,
    connection,
    logs,
)
from netlab.server.acceptor import REST_S
from netlab.server.compiled_accept import accept_if_listener, watch_listeners
from netlab.server.compiled_serving import is_taken, look, serve
from netlab.server.compiled_state import (
    MISPLACED,
    NOBODY,
    NOBODYS,
    NOTHING,
    Own,
    connection_of,
    counters_of,
    event_of,
    is_stopping,
    scratch_of,
    turn_at,
    turn_log_head_of,
)
from netlab.server.loops import EVENTS_PER_TURN

REST_MS, MS_NS = int(REST_S * 1e3), 1_000_000
EINTR = errors.EINTR


@native.jit
def turn(own: Own) -> int:
    """Wait, and deal with all that is ready; return 0, -errno, or MISPLACED."""
    count = native.epoll_wait(
        own["epoll"], own["events"], EVENTS_PER_TURN, patience_ms(own)
    )
    if count < 0:
        error = native.errno()
        return 0 if error == EINTR else -error
    if own["turn_log_size"] == 0:
        attend(own, native.int64(count))
    else:
        noted_turn(own, native.int64(count))
    return MISPLACED if own["misplaced"] != 0 else NOTHING


@native.jit
def noted_turn(own: Own, count: int) -> None:
    """Deal with what is ready, and note when it was and what came of it."""
    woke_ns, row = native.now_ns(scratch_of(own)), counters_of(own)
    accepted, would_block = row["accepted"], row["would_block"]
    publish_turn(own)
    attend(own, count)
    place = turn_log_head_of(own)["written"]
    if place < own["turn_log_size"]:
        record = turn_at(own, place)
        record["woke_ns"] = woke_ns
        record["slept_ns"] = native.now_ns(scratch_of(own))
        record["cpu"], record["events"] = row["cpu"], count
        record["accepted"] = row["accepted"] - accepted
        record["would_block"] = row["would_block"] - would_block
    own["turn_noted"] = 1


@native.jit
def publish_turn(own: Own) -> None:
    """Count the record that was written before the last wait."""
    head = turn_log_head_of(own)
    if own["turn_noted"] == 0:
        return
    own["turn_noted"] = 0
    if head["written"] < own["turn_log_size"]:
        head["written"] += 1
    else:
        head["dropped"] += 1


@native.jit
def attend(own: Own, count: int) -> None:
    """Deal with all that is ready, each in its turn."""
    row = counters_of(own)
    row["turns"] += 1
    row["cpu"] = native.sched_getcpu()
    if (
        own["rests_until_ns"] > 0
        and native.now_ns(scratch_of(own)) >= own["rests_until_ns"]
    ):
        watch_listeners(own)
    fd = own["unfinished"]
    own["unfinished"] = NOBODY  # those that have yet more are noted again
    while fd != NOBODY and not is_stopping(own):
        behind = connection_of(own, fd)["behind"]
        serve(own, fd)
        fd = behind
    for i in range(count):
        if is_stopping(own):
            return
        fd = native.int64(event_of(own, i)["fd"])
        connection = connection_of(own, fd)
        if connection["owner"] == NOBODYS and not is_taken(own, fd):
            continue  # another worker was faster
        if connection["owner"] != own["number"] + 1:
            accept_if_listener(own, fd)
        elif connection["turn"] != row["turns"]:
            serve(own, fd)
    if own["looks_at_ns"] > 0 and native.now_ns(scratch_of(own)) >= own["looks_at_ns"]:
        look(own)


@native.jit
def patience_ms(own: Own) -> int:
    """Return how long to sleep: for ever (-1), unless something is left to do."""
    if own["unfinished"] != NOBODY:
        return 0
    if own["rests_until_ns"] != 0:
        return REST_MS
    if own["looks_at_ns"] == 0:
        return -1
    left_ns = own["looks_at_ns"] - native.now_ns(scratch_of(own))
    return max((left_ns + MS_NS - 1) // MS_NS, 0)


def _loop(digest: int) -> Callable[[np.ndarray], int]:
    @native.cached
    def run(owns: np.ndarray) -> int:
        """Serve until told to stop; return 0, or what ended it: -errno, MISPLACED.

        owns: OWN, shape (1,); what it names is kept alive by whoever calls.
        """
        code, own = native.int64(0 * digest), owns[0]
        while code == 0 and not is_stopping(own):
            code = turn(own)
        if own["turn_log_size"] > 0:
            publish_turn(own)
        return code

    return run


MADE_OF = (
    *(protocol, protocol_arrays, protocol_answers, counters, logs),
    *(callback, connection, bounds, compiled_state, compiled_connection),
    *(compiled_bounds, compiled_accept, compiled_serving),
    sys.modules[__name__],
)
run = _loop(native.digest(*MADE_OF))
