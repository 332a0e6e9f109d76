"""Bytes <-> meaning, the client's half: requests are written, answers read.

No sockets, no clocks, no state, as in `protocol`, whose words are used here.  The
rules are those of a client that counts: it must know which worker answered, where
the answer ends, and whether the connection stays, and it keeps nothing else.

  status line     "HTTP/1.0" or "HTTP/1.1", a space, three digits of which the first
                  is not 0, a space or the end
  Content-Length  required, 1 to 15 digits: an answer that ends with the connection,
                  or is chunked, cannot be told from one that was cut off
  X-Netlab-...    a number, or -1 as our own server says of a CPU it does not know;
                  another server says nothing, which is read as -1 too
  Connection      as in a request
  other headers   are not looked at

An answer must have its head within HEAD_LIMIT bytes.  What breaks a rule is no
HTTP, or none that a load can be counted by: MALFORMED.  That is told when the head is
complete; at once of bytes that do not begin "HTTP/1.", and of a head too long.

Requests are written once a run, as bytes.  Answers are read by a compiled loop, over
uint8 arrays (`kernel.native` has the rules for such code).  The good answers of our
own server are written in one way only: `read_own` compares them with what
`protocol.answer` writes, several times as fast.  It takes nothing that the general
rules would not read alike, and whatever it does not know is left to them.
"""

from typing import NamedTuple

import numpy as np

from netlab.kernel.native import int64, jit
from netlab.protocol import HEAD_LIMIT, IS_TARGET, Request, Route
from netlab.protocol_answers import head_texts
from netlab.protocol_arrays import (
    CODING,
    COLON,
    CONNECTION,
    CPU,
    CR,
    DIGIT_0,
    LENGTH,
    MINUS,
    NAMES,
    SPACE,
    WORKER,
    array,
    expect,
    find_byte,
    find_crlf,
    find_word,
    keeps,
    read_connection,
    read_digits,
    strip,
)

DIGITS_LIMIT = int64(15)  # a number the client reads back: exact even as a float
INCOMPLETE, MALFORMED = map(int64, (0, -1))  # in place of a status
# In place of a number. UNSAID is what our own server says as "-1".
UNSAID, ABSENT, WRONG = map(int64, (-1, -2, -3))


class Head(NamedTuple):
    """The head of one answer, as the client counts it; all are int64."""

    status: int  # or INCOMPLETE or MALFORMED, and then nothing else counts
    worker: int  # -1: the server does not say
    cpu: int  # -1: the server does not say
    size: int  # bytes, head and body
    keep_alive: int  # 1 or 0
    head_size: int  # bytes


BEGIN = array(b"HTTP/1.")
STATUS_BEGIN, STATUS_END = 9, 12  # places in a status line
STATUS_DIGITS = int64(3)
LEAST_STATUS = 100
DIGIT_1 = ord("1")


def _own(route: Route, keep_alive: bool) -> list[bytes]:
    return head_texts(Request(200, route, 0, True, keep_alive, 1, 1, b""))


JSON, OWN_WORKER, OWN_CPU, OWN_KEPT = map(array, _own(Route.ROOT, True))
OCTETS, _, _, OWN_CLOSED = map(array, _own(Route.BYTES, False))
SHARED = int(np.argmax(JSON[: OCTETS.size] != OCTETS[: JSON.size]))
OWN_BEGIN, OWN_JSON, OWN_OCTETS = JSON[:SHARED], JSON[SHARED:], OCTETS[SHARED:]


def write_request(path: str, host: str, *, keep_alive: bool = True) -> bytes:
    """A GET for `path` ("/spin/20") at `host` ("127.0.0.1:8080"), as HTTP/1.1."""
    for text in (path, host):
        sent = text.encode()
        if sent and not IS_TARGET(sent):
            raise ValueError(f"{text!r}: send visible ASCII only, without '#'")
    if not path.startswith("/"):
        raise ValueError(f"path {path!r}: it must begin with '/'")
    close = "" if keep_alive else "Connection: close\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{close}\r\n".encode("ascii")


@jit
def answer_head(data: np.ndarray, at: int, stop: int) -> Head:
    """Read the head of the answer that begins at `at`; data[at:stop] has come so far.

    The body may still be under way: count its bytes, do not keep or scan them.
    To a HEAD request there is none, whatever `size` says: use `head_size`.
    """
    own = read_own(data, at, stop)
    return own if own.status != INCOMPLETE else read_other(data, at, stop)


@jit
def without_status(status: int) -> Head:
    """Return a Head that says INCOMPLETE or MALFORMED and nothing else."""
    return Head(status, UNSAID, UNSAID, 0, 0, 0)


@jit
def read_own(data: np.ndarray, at: int, stop: int) -> Head:
    """Read a complete good answer of our own server; INCOMPLETE: it may be another."""
    kind = expect(data, at, stop, OWN_BEGIN)
    place = expect(data, kind, stop, OWN_JSON)
    if place < 0:
        place = expect(data, kind, stop, OWN_OCTETS)
    length, place = read_digits(data, place, stop, DIGITS_LIMIT)
    place = expect(data, place, stop, OWN_WORKER)
    worker, place = read_digits(data, place, stop, DIGITS_LIMIT)
    place = expect(data, place, stop, OWN_CPU)
    cpu, place = read_digits(data, place, stop, DIGITS_LIMIT)
    end = expect(data, place, stop, OWN_KEPT)
    kept = int64(end >= 0)
    if end < 0:
        end = expect(data, place, stop, OWN_CLOSED)
    if end < 0:
        return without_status(INCOMPLETE)
    return Head(int64(200), worker, cpu, end - at + length, kept, end - at)


@jit
def read_other(data: np.ndarray, at: int, stop: int) -> Head:
    """Read any answer, by the rules above."""
    end = min(stop, at + HEAD_LIMIT)
    for place in range(at, min(end, at + BEGIN.size)):
        if data[place] != BEGIN[place - at]:
            return without_status(MALFORMED)
    line, line_end = at, find_crlf(data, at, end)
    while line < line_end < end:
        line = line_end + 2
        line_end = find_crlf(data, line, end)
    if line_end >= end:
        return without_status(MALFORMED if stop > end else INCOMPLETE)
    return read_headers(data, at, line)


@jit
def read_headers(data: np.ndarray, at: int, end: int) -> Head:
    """Read a head that is complete; at `end` is its empty line."""
    line_end = find_crlf(data, at, end)
    status, minor = read_status_line(data, at, end)
    length, worker, cpu = ABSENT, ABSENT, ABSENT
    said = 0
    while line_end + 2 < end:
        line = line_end + 2
        line_end = find_crlf(data, line, end)
        colon = find_byte(data, line, line_end, COLON)
        value = min(colon + 1, line_end)
        name = find_word(data, line, colon, NAMES)
        if name == LENGTH:
            length = read_once(data, value, line_end, length)
        elif name == WORKER:
            worker = read_once(data, value, line_end, worker)
        elif name == CPU:
            cpu = read_once(data, value, line_end, cpu)
        elif name == CONNECTION:
            said |= read_connection(data, value, line_end)
        elif name == CODING:
            length = WRONG
    if status < 0 or length < 0 or worker == WRONG or cpu == WRONG:
        return without_status(MALFORMED)
    worker, cpu, size = max(worker, UNSAID), max(cpu, UNSAID), end + 2 - at
    return Head(status, worker, cpu, size + length, keeps(said, minor), size)


@jit
def read_status_line(data: np.ndarray, at: int, end: int) -> tuple[int, int]:
    """Return the status and HTTP/1.minor, or (WRONG, 0)."""
    wrong = WRONG, int64(0)
    if at + STATUS_END >= end:
        return wrong
    minor = int64(data[at + BEGIN.size]) - DIGIT_0
    status, place = read_digits(data, at + STATUS_BEGIN, at + STATUS_END, STATUS_DIGITS)
    if not 0 <= minor <= 1 or place != at + STATUS_END or status < LEAST_STATUS:
        return wrong
    if data[at + STATUS_BEGIN - 1] != SPACE:
        return wrong
    if data[place] != SPACE and data[place] != CR:
        return wrong
    return status, minor


@jit
def read_once(data: np.ndarray, begin: int, end: int, before: int) -> int:
    """Return the number in data[begin:end], or UNSAID; WRONG: none, or a second."""
    if before != ABSENT:
        return WRONG
    begin, end = strip(data, begin, end)
    if end - begin == 2 and data[begin] == MINUS and data[begin + 1] == DIGIT_1:
        return UNSAID
    number, place = read_digits(data, begin, end, DIGITS_LIMIT)
    return number if place == end else WRONG
