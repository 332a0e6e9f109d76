"""Meaning -> bytes over uint8 arrays: the answers of `protocol`, for the compiled loop.

An answer is texts with numbers between them. The texts are cut from what
`protocol.answer` writes, when this is imported, so that both write the same bytes for
the same request; a test holds them together. A number to be written must be above
-2**63, which has no opposite in 64 bits.

What may not be put here: what a request means (`protocol_arrays`), or a new text.
"""

import re
from typing import Any

import numpy as np

from netlab import protocol
from netlab.kernel.native import address, int64, jit, memcpy
from netlab.protocol import FAULTS, FILLER, JSON_BYTES, Request, Route
from netlab.protocol_arrays import BYTES, DIGIT_0, FINE, LF, MINUS, SPACE, Parsed, array


def head_texts(request: Request) -> list[bytes]:
    """Return what stands around the three numbers in the head of an answer.

    They are Content-Length, X-Netlab-Worker and X-Netlab-Cpu, in this order.
    """
    data, _ = protocol.answer(request, worker=0, tid=0, cpu=0, accepts=0)
    head, end, _ = data.partition(protocol.HEAD_END)
    return re.split(rb"(?<=: )[0-9]+(?=\r\n)", head + end)


# Answers. Their kind is a fault, or one of these two. TEXT has all the texts that
# they are made of: text n is TEXT[PLACES[n] : PLACES[n + 1]].
JSON, OCTETS = int64(len(FAULTS)), int64(len(FAULTS) + 1)


def _request(kind: int, keep_alive: bool, minor: int) -> Request:
    status, reason = FAULTS[kind] if kind < JSON else (200, b"")
    route = Route.BYTES if kind == OCTETS else Route.ROOT
    return Request(status, route, 0, True, keep_alive, minor, 1, reason)


def _json_texts() -> list[bytes]:
    request = _request(JSON, True, 1)._replace(head_only=False)
    data, _ = protocol.answer(request, worker=0, tid=0, cpu=0, accepts=0)
    body = data.partition(protocol.HEAD_END)[2]
    return re.split(rb"[0-9]", body.rstrip())


KINDS = range(OCTETS + 1)
OPENINGS = [head_texts(_request(kind, True, 1))[0] for kind in KINDS]
BETWEEN = head_texts(_request(JSON, True, 1))[1:3]
ENDINGS = [  # by kind, keep_alive and minor
    head_texts(_request(kind, keep_alive, minor))[3]
    for kind in KINDS
    for keep_alive in (False, True)
    for minor in (0, 1)
]
JSON_TEXTS = _json_texts()
REASONS = [fault.reason + b"\n" for fault in FAULTS]
TEXTS = [*OPENINGS, *BETWEEN, *JSON_TEXTS, *REASONS, *ENDINGS]
TEXT = array(b"".join(TEXTS))
PLACES: Any = np.cumsum([0, *map(len, TEXTS)])
FIRST_BETWEEN = int64(len(OPENINGS))
FIRST_JSON = FIRST_BETWEEN + len(BETWEEN)
FIRST_REASON = FIRST_JSON + len(JSON_TEXTS)
FIRST_ENDING = FIRST_REASON + len(REASONS)
JSON_TEXT_BYTES = sum(map(len, JSON_TEXTS)) + 1  # with the LF
FILLER_BYTES = len(FILLER)
FILLER_ROW = array(FILLER[:1024])  # repeated, it is FILLER: its period is 64
NUMBER_BYTES = 20  # a sign and 19 digits
ANSWER_BYTES = (  # the most that an answer takes, without a filler that is owed
    max(map(len, OPENINGS))
    + sum(map(len, BETWEEN))
    + max(map(len, ENDINGS))
    + 3 * NUMBER_BYTES
    + FILLER_BYTES
)


@jit
def write_answer(
    out: np.ndarray,
    at: int,
    request: Parsed,
    worker: int,
    tid: int,
    cpu: int,
    accepts: int,
) -> tuple[int, int]:
    """Write out[at:end]; return `end` and the bytes of filler owed after them.

    A body of at most one FILLER is written; a longer one is owed as a whole.
    All numbers are int64; `out` has room for ANSWER_BYTES behind `at`.
    """
    if request.fault != FINE:
        kind = request.fault
        length = PLACES[FIRST_REASON + kind + 1] - PLACES[FIRST_REASON + kind]
    elif request.route == BYTES:
        kind, length = OCTETS, request.argument
    else:
        kind, length = JSON, json_bytes(worker, tid, cpu, accepts)
    ending = FIRST_ENDING + 4 * kind + 2 * request.keep_alive + request.minor
    at = write_text(out, at, kind)
    at = write_number(out, at, length)
    at = write_text(out, at, FIRST_BETWEEN)
    at = write_number(out, at, worker)
    at = write_text(out, at, FIRST_BETWEEN + 1)
    at = write_number(out, at, cpu)
    at = write_text(out, at, ending)
    if request.head_only:
        return at, int64(0)
    if kind == JSON:
        return write_json(out, at, (worker, tid, cpu, accepts)), int64(0)
    if kind != OCTETS:
        return write_text(out, at, FIRST_REASON + kind), int64(0)
    if length > FILLER_BYTES:
        return at, length
    return write_filler(out, at, 0, length), int64(0)


@jit
def write_json(out: np.ndarray, at: int, told: tuple[int, int, int, int]) -> int:
    """Write the body of / and /spin/N; return its end."""
    full = at + JSON_BYTES - 1
    for place in range(len(told)):
        at = write_text(out, at, FIRST_JSON + place)
        at = write_number(out, at, told[place])
    at = write_text(out, at, FIRST_JSON + len(told))
    while at < full:
        out[at] = SPACE
        at += 1
    out[at] = LF
    return at + 1


@jit
def json_bytes(worker: int, tid: int, cpu: int, accepts: int) -> int:
    """Return how long the body of / and /spin/N is."""
    numbers = count_digits(worker) + count_digits(tid)
    numbers += count_digits(cpu) + count_digits(accepts)
    return max(JSON_TEXT_BYTES + numbers, JSON_BYTES)


@jit
def count_digits(number: int) -> int:
    """Return how many bytes a number takes, with its sign."""
    size, number = (2, -number) if number < 0 else (1, number)
    while number >= 10:
        number //= 10
        size += 1
    return int64(size)


@jit
def write_number(out: np.ndarray, at: int, number: int) -> int:
    """Write a number in decimal; return its end."""
    end = at + count_digits(number)
    if number < 0:
        out[at] = MINUS
        number = -number
    place = end - 1
    while number >= 10:
        out[place] = DIGIT_0 + number % 10
        number //= 10
        place -= 1
    out[place] = DIGIT_0 + number
    return end


@jit
def write_text(out: np.ndarray, at: int, text: int) -> int:
    """Write one of TEXTS; return its end."""
    begin, size = PLACES[text], PLACES[text + 1] - PLACES[text]
    memcpy(address(out) + at, address(TEXT) + begin, size)
    return at + size


@jit
def write_filler(out: np.ndarray, at: int, first: int, count: int) -> int:
    """Write `count` bytes of FILLER, repeated, from byte `first` on; return the end."""
    end = at + count
    while at < end:
        begin = first % FILLER_ROW.size
        size = min(FILLER_ROW.size - begin, end - at)
        memcpy(address(out) + at, address(FILLER_ROW) + begin, size)
        at, first = at + size, first + size
    return end
