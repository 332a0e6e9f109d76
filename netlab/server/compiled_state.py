"""What a compiled worker works on: flat records and arrays, and where they lie.

Facts. Compiled code has no objects, but it may look at any memory whose address it
knows. A descriptor is a small number that one connection has at a time, so a table
indexed by it finds a connection at once, whichever worker owns it. A row of 128 bytes
shares no cache line with its neighbour's, which another worker may own.

Decision. A worker is one record of numbers and addresses (OWN), and the functions
`..._of` return what lies there: compiled code hands one pointer on, where a bundle of
arrays would be dozens of numbers, in time to run and to compile. Somebody else makes
the arrays and keeps them alive (`compiled_worker`).

What may not be put here: anything that is done.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netlab.counters import DTYPE
from netlab.kernel import native
from netlab.protocol import FILLER, HEAD_LIMIT
from netlab.protocol_answers import ANSWER_BYTES
from netlab.records import columns, padded
from netlab.server import logs
from netlab.server.connection import READ_BYTES, REQUESTS_PER_TURN, Stage
from netlab.server.loops import EVENTS_PER_TURN

# Numbers of one kind: for an enum's member, or for a literal, a function that is given
# it would be compiled once more.
READING, MORE, WRITING, DRAINING, CLOSED = map(native.int64, Stage)
NOTHING, NOBODY = native.int64(0), native.int64(-1)
MISPLACED = native.int64(-(1 << 20))  # beyond any errno: the loop's end by `place`
NOBODYS = native.int64(-1)  # the owner of a connection that waits in a common epoll
FILLER_BYTES = len(FILLER)
COUNTERS = padded(DTYPE)
CONNECTION = padded(
    columns(
        # First, see `owner_address`:
        owner="int64",  # the worker's number and one; 0: no connection, -1: nobody's
        arriving="int64",  # 1: given by another worker, and not yet heard of
        stage="int64",
        next="int64",  # the stage after all answers are sent
        turn="int64",  # the owner's last turn in which it was served
        behind="int64",  # the next connection in stage MORE of its owner
        inbox="int64",  # address of the bytes received that are no whole request yet
        inbox_size="int64",
        outbox="int64",  # address of the answers that the kernel did not take
        outbox_size="int64",
        outbox_at="int64",  # how far it has taken them
        owed="int64",  # filler bytes that follow the outbox
        paid="int64",  # filler bytes sent of the current answer
        replies="int64",  # answers that end when all this is sent
        discarded="int64",  # bytes thrown away while DRAINING
        deadline_ns="int64",  # when its client's time is up; 0: never
    )
)
LISTENER = columns(fd="int64", events="int64", number="int64")
WORD = columns(value="int64")
LOG_HEAD = columns(written="int64", dropped="int64")
OWN = columns(
    number="int64",
    epoll="int64",
    # The strategy's row and the settings, as numbers.
    shares_clients="int64",  # 1: all workers wait in one epoll
    drain="int64",  # 1: accept until the queue is empty
    rotate_every="int64",  # accepts; 0: never
    place="int64",  # address of a function; 0: the acceptor keeps
    incoming_cpu="int64",  # 1: note it
    slowness="int64",  # how many times longer it spins
    misplaced="int64",  # 1: `place` returned what is no worker's number,
    misplaced_as="int64",  # which is this
    rests_until_ns="int64",  # 0: it does not rest
    looks_at_ns="int64",  # while the time of any client is running; 0: of none
    client_timeout_ns="int64",  # what each may take
    look_ns="int64",  # how long to sleep at most then
    max_connections="int64",  # 0: as many as there are descriptors for
    in_use="int64",  # descriptors that were open at the start
    counts_from="int64",  # a descriptor: from it on it looks whether it is full
    may_be_full="int64",  # 1: it has had one as high
    counted_first="int64",  # of the workers whose descriptors are also its own
    counted_end="int64",
    unfinished="int64",  # the first of its connections in stage MORE; NOBODY: none
    highest="int64",  # the largest descriptor it ever owned
    # How many there are of what, and where it lies: addresses of arrays.
    connection_count="int64",
    connections="int64",  # CONNECTION by descriptor, of all workers
    listener_count="int64",
    listeners="int64",  # LISTENER
    log_size="int64",
    log="int64",  # logs.ACCEPT
    log_head="int64",  # LOG_HEAD
    turn_log_size="int64",
    turn_log="int64",  # logs.TURN
    turn_log_head="int64",  # LOG_HEAD
    turn_noted="int64",  # 1: the last turn's record is written, and not counted yet
    row="int64",  # counters.DTYPE: its row
    worker_count="int64",
    rows="int64",  # COUNTERS of all workers
    epolls="int64",  # int64: the epolls of all workers
    placed_stride="int64",  # numbers from one acceptor's to the next
    placed="int64",  # int64 by acceptor and owner: who gave whom how many
    open_now="int64",  # int64: room for what `place` is told
    memory="int64",  # int64: what `place` remembers
    stopping="int64",  # WORD: 0, or 1 to stop
    events="int64",  # EPOLL_EVENT: what the wait returned; one more for epoll_ctl
    text="int64",  # uint8: inbox, outbox, filler
    # int64: a timespec, a sockaddr and its size, an option and its, a limit, a pollfd
    scratch="int64",
)
Own = Any  # a record of OWN: what one worker's loop works on
Record = Any
# Where the parts of `text` begin. What a client may have sent when it is read again is
# less than a whole head, or what one read brought beyond the answered requests.
INBOX_BYTES = READ_BYTES + max(HEAD_LIMIT, READ_BYTES)
OUTBOX = native.int64(INBOX_BYTES)
FILLER_AT = OUTBOX + REQUESTS_PER_TURN * ANSWER_BYTES
TEXT_BYTES = FILLER_AT + FILLER_BYTES
# Of `scratch`, whose first two words are the clock's:
PEER, PEER_SIZE, OPTION, OPTION_SIZE, LIMIT, POLLED, SCRATCH_WORDS = (
    2,
    6,
    7,
    8,
    9,
    11,
    12,
)
ROW_BYTES, LISTENER_BYTES = CONNECTION.itemsize, LISTENER.itemsize
EVENT_BYTES = native.EPOLL_EVENT.itemsize
LAST = native.int64(EVENTS_PER_TURN)  # the event for epoll_ctl
ACCEPT, RECORD_BYTES = logs.ACCEPT, logs.ACCEPT.itemsize
TURN, TURN_BYTES = logs.TURN, logs.TURN.itemsize
COUNTERS_BYTES = COUNTERS.itemsize


@native.inlined
def connection_of(own: Own, fd: int) -> Record:
    """Return a descriptor's row of the table, whoever owns it."""
    return native.record_at(own["connections"] + fd * ROW_BYTES, CONNECTION)


@native.inlined
def counters_of(own: Own) -> Record:
    """Return the worker's row of the counters."""
    return native.record_at(own["row"], COUNTERS)


@native.inlined
def text_of(own: Own) -> np.ndarray:
    """Return the worker's inbox, outbox and filler, one behind the other."""
    return native.array_at(own["text"], TEXT_BYTES, np.uint8)


@native.inlined
def scratch_of(own: Own) -> np.ndarray:
    """Return room for what the C library writes; it begins with the clock's."""
    return native.array_at(own["scratch"], SCRATCH_WORDS, np.int64)


@native.inlined
def is_stopping(own: Own) -> bool:
    """Whether the worker was told to stop."""
    return native.record_at(own["stopping"], WORD)["value"] != 0


@native.inlined
def event_of(own: Own, number: int) -> Record:
    """Return one of the events that the wait returned, or the last, for epoll_ctl."""
    return native.record_at(own["events"] + number * EVENT_BYTES, native.EPOLL_EVENT)


@native.inlined
def listener_of(own: Own, number: int) -> Record:
    """Return a listener: its descriptor, and the events it is watched for."""
    return native.record_at(own["listeners"] + number * LISTENER_BYTES, LISTENER)


@native.inlined
def counters_by(own: Own, worker: int) -> Record:
    """Return the row of the counters of any worker."""
    return native.record_at(own["rows"] + worker * COUNTERS_BYTES, COUNTERS)


@native.inlined
def owner_address(own: Own, fd: int) -> int:
    """Return where a connection's owner stands: the first word of its row."""
    return own["connections"] + fd * ROW_BYTES


@native.inlined
def epoll_of(own: Own, worker: int) -> int:
    """Return the epoll of a worker."""
    return native.array_at(own["epolls"], own["worker_count"], np.int64)[worker]


@native.inlined
def placed_of(own: Own) -> np.ndarray:
    """Return who gave whom how many, by acceptor times stride, and owner."""
    size = own["worker_count"] * own["placed_stride"]
    return native.array_at(own["placed"], size, np.int64)


@native.inlined
def open_now_of(own: Own) -> np.ndarray:
    """Return the room for what each worker has open."""
    return native.array_at(own["open_now"], own["worker_count"], np.int64)


@native.inlined
def turn_log_head_of(own: Own) -> Record:
    """Return how many records the log of turns has, and how many found no room."""
    return native.record_at(own["turn_log_head"], LOG_HEAD)


@native.inlined
def turn_at(own: Own, place: int) -> Record:
    """Return one record of the log of turns."""
    return native.record_at(own["turn_log"] + place * TURN_BYTES, TURN)


@native.inlined
def log_head_of(own: Own) -> Record:
    """Return how many records the accept log has, and how many found no room."""
    return native.record_at(own["log_head"], LOG_HEAD)


@native.inlined
def accept_at(own: Own, place: int) -> Record:
    """Return one record of the accept log."""
    return native.record_at(own["log"] + place * RECORD_BYTES, ACCEPT)
