"""Bytes -> meaning over uint8 arrays: `protocol` once more, for the compiled loops.

The rules are those of `protocol`, which says and explains them: the steps, the order
of the Faults, the window, the routes, how headers are weighed.  Not one of its limits
is written here: the tables below are made from it when this is imported. Both files
give the same verdict for the same bytes; a test holds them together.

Facts. Array code that is interpreted takes 40 times as long as `bytes` methods and
patterns, and those Numba cannot compile: hence two files. Numba compiles a function
once more for every different constant that it is called with, unless the constant
is an int64 and no plain int; that was half of the time to compile this file.

Decision. A head is data[at:stop], wherever a receive put it: slices would be counted
references in the middle of a loop. As in `protocol`, a good head is read in one
pass (`read_head`), which gives up at the first byte that is out of order; only then
it is asked line by line what is wrong, or whether more must come (`blame`). What
the headers say together is a set of bits. `protocol_answers` writes the answers.

The price: a rule is written in two ways. A head that drips in is read again on every
call, at most 8 KiB of it, as in the other file.

What may not be put here: a socket, a clock, state, or a rule of its own.
"""

from typing import Any, NamedTuple

import numpy as np

from netlab import protocol
from netlab.kernel.native import int64, jit
from netlab.protocol import (
    FAULTS,
    HEAD_LIMIT,
    HEADER_COUNT_LIMIT,
    MINORS,
    Route,
)


class Parsed(NamedTuple):
    """`protocol.Request`, or that there is none yet (status 0); all are int64."""

    status: int  # 200, 404 or the refusal; 0: incomplete, and not wrong so far
    route: int
    argument: int  # microseconds (SPIN) or bytes (BYTES), else 0
    head_only: int
    keep_alive: int
    minor: int
    size: int  # bytes; 0 in a refusal
    fault: int  # its place in protocol.FAULTS; -1: none


class Target(NamedTuple):
    """What a request line asks for; all are int64."""

    route: int
    argument: int
    fault: int  # FINE: none


def array(text: bytes) -> np.ndarray:
    """Return bytes as the uint8 array that compiled code can look at."""
    return np.frombuffer(text, np.uint8)


# Bytes. A class is a bit of CLASSES; the patterns of `protocol` say what is in it.
TAB, LF, CR, SPACE, COMMA, COLON, SLASH, QUERY, DOT = map(int64, b"\t\n\r ,:/?.")
DIGIT_0, DIGIT_9, MINUS = map(int64, b"09-")
IN_TOKEN, IN_TARGET, IN_VALUE, IN_NUMBER = map(int64, (1, 2, 4, 8))
IN_ZEROS, IN_LINE, OPENS = map(int64, (16, 32, 64))


def _classes(byte: bytes) -> int:
    return (
        IN_TOKEN * bool(protocol.IS_TOKEN(byte))
        | IN_TARGET * bool(protocol.IS_TARGET(byte))
        | IN_VALUE * bool(protocol.IS_HEADER(b"X:" + byte))
        | IN_NUMBER * byte.isdigit()
        | IN_ZEROS * (byte == b"0")
        | IN_LINE * (byte not in protocol.CRLF)
        | OPENS * bool(protocol.CAN_OPEN(byte))
    )


CLASSES = np.array([_classes(bytes([byte])) for byte in range(256)], np.uint8)
LOWER = array(bytes(range(256)).lower())

# Words. One is looked up by its length: no two in a table have the same.
WORD_BYTES = 18  # more than any has


def _words(*words: bytes) -> np.ndarray:
    table = np.zeros((WORD_BYTES, WORD_BYTES), np.uint8)
    for word in words:
        table[len(word), : len(word)] = array(word)
    return table


NAMES = _words(
    *(b"host", b"connection", b"content-length", b"transfer-encoding"),
    *(b"x-netlab-worker", b"x-netlab-cpu"),
)
HOST, CONNECTION = len(b"host"), len(b"connection")
LENGTH, CODING = len(b"content-length"), len(b"transfer-encoding")
WORKER, CPU = len(b"x-netlab-worker"), len(b"x-netlab-cpu")
TOKENS = _words(b"close", b"keep-alive")
CLOSE = len(b"close")
SCHEMES = _words(b"http://")
SCHEME_BYTES = len(b"http://")

# What the headers say together, as bits.
CLOSES, KEEPS, HOSTED, HOST_LISTED = map(int64, (1, 2, 4, 8))
CODED, LENGTHED, LENGTH_WRONG, LENGTH_ABOVE_0 = map(int64, (16, 32, 64, 128))

# Verdicts.
FINE = int64(-1)


def _place(fault: protocol.Fault) -> Any:
    return int64(FAULTS.index(fault))


OPENING_BYTE = _place(protocol.OPENING_BYTE)
STRAY_END = _place(protocol.STRAY_END)
LINE_SHAPE = _place(protocol.LINE_SHAPE)
METHOD_BYTE = _place(protocol.METHOD_BYTE)
TARGET_BYTE = _place(protocol.TARGET_BYTE)
VERSION_SHAPE = _place(protocol.VERSION_SHAPE)
VERSION_OTHER = _place(protocol.VERSION_OTHER)
METHOD_OTHER = _place(protocol.METHOD_OTHER)
METHOD_UNKNOWN = _place(protocol.METHOD_UNKNOWN)
TARGET_SHAPE = _place(protocol.TARGET_SHAPE)
HEADERS_TOO_MANY = _place(protocol.HEADERS_TOO_MANY)
HEADER_FOLDED = _place(protocol.HEADER_FOLDED)
HEADER_NAME = _place(protocol.HEADER_NAME)
HEADER_VALUE = _place(protocol.HEADER_VALUE)
HEAD_TOO_LONG = _place(protocol.HEAD_TOO_LONG)
HOST_COUNT = _place(protocol.HOST_COUNT)
LENGTH_SHAPE = _place(protocol.LENGTH_SHAPE)
LENGTH_AND_CODING = _place(protocol.LENGTH_AND_CODING)
BODY_CODED = _place(protocol.BODY_CODED)
BODY_TOO_LARGE = _place(protocol.BODY_TOO_LARGE)
PATH_MISSING = _place(protocol.PATH_MISSING)
STATUSES: Any = np.array([fault.status for fault in FAULTS], np.int64)

# The request line.
GET, HEAD = array(b"GET "), array(b"HEAD ")
KNOWN = array(b"".join(method + b" " for method in sorted(protocol.KNOWN)))
VERSION_0, VERSION_1 = (array(b" " + version) for version in sorted(MINORS))
VERSION_BEGIN = array(b"HTTP/")
ROOT, SPIN, BYTES, MISSING = map(int64, Route)
DIGITS_LIMIT = int64(protocol.DIGITS_LIMIT)
SPIN_PATH, BYTES_PATH = (array(prefix + b"/") for prefix in protocol.COUNTED)
# By route: the most that N may be, and the fault of more.
LIMITS: Any = np.array([0, protocol.SPIN_LIMIT_US, protocol.BYTES_LIMIT], np.int64)
ABOVE: Any = np.array([FINE, *(_place(row[2]) for row in protocol.COUNTED.values())])


@jit
def expect(data: np.ndarray, at: int, stop: int, text: np.ndarray) -> int:
    """Return the place behind `text` if it begins at `at`, else (or at -1) -1."""
    if at < 0 or at + text.size > stop:
        return int64(-1)
    for place in range(text.size):
        if data[at + place] != text[place]:
            return int64(-1)
    return int64(at + text.size)


@jit
def skip(data: np.ndarray, begin: int, end: int, kind: int) -> int:
    """Return where in data[begin:end] the first byte of no class of `kind` is."""
    while begin < end and CLASSES[data[begin]] & kind != 0:
        begin += 1
    return begin


@jit
def find_byte(data: np.ndarray, begin: int, end: int, byte: int) -> int:
    """Return where in data[begin:end] `byte` first is, or `end`."""
    while begin < end and data[begin] != byte:
        begin += 1
    return begin


@jit
def find_crlf(data: np.ndarray, begin: int, end: int) -> int:
    """Return where in data[begin:end] CR LF first is, or `end`."""
    while begin + 1 < end and (data[begin] != CR or data[begin + 1] != LF):
        begin += 1
    return begin if begin + 1 < end else end


@jit
def find_word(data: np.ndarray, begin: int, end: int, words: np.ndarray) -> int:
    """Return the length of the word that data[begin:end] is, in any case; else 0."""
    size = end - begin
    if size >= WORD_BYTES:
        return int64(0)
    for place in range(size):
        if LOWER[data[begin + place]] != words[size, place]:
            return int64(0)
    return int64(size)


@jit
def strip(data: np.ndarray, begin: int, end: int) -> tuple[int, int]:
    """Return data[begin:end] as (begin, end) without spaces and tabs around it."""
    while begin < end and (data[begin] == SPACE or data[begin] == TAB):
        begin += 1
    while begin < end and (data[end - 1] == SPACE or data[end - 1] == TAB):
        end -= 1
    return begin, end


@jit
def read_digits(data: np.ndarray, at: int, end: int, limit: int) -> tuple[int, int]:
    """Return the number of up to `limit` digits and the place behind it, or (0, -1)."""
    number, place, end = int64(0), at, min(end, at + limit)
    while 0 <= place < end and DIGIT_0 <= data[place] <= DIGIT_9:
        number = number * 10 + int64(data[place]) - DIGIT_0
        place += 1
    return (number, place) if place > at else (int64(0), int64(-1))


@jit
def read_connection(data: np.ndarray, begin: int, end: int) -> int:
    """Return what the Connection list data[begin:end] says: CLOSES, KEEPS, as bits."""
    said = 0
    while begin < end:
        comma = find_byte(data, begin, end, COMMA)
        token, token_end = strip(data, begin, comma)
        word = find_word(data, token, token_end, TOKENS)
        if word > 0:
            said |= CLOSES if word == CLOSE else KEEPS
        begin = comma + 1
    return said


@jit
def keeps(said: int, minor: int) -> int:
    """Return 1 if the connection stays open (`protocol.keeps`), else 0."""
    return int64(said & CLOSES == 0 and (minor == 1 or said & KEEPS != 0))


@jit
def read_request(data: np.ndarray, at: int, stop: int) -> Parsed:
    """Read the request that begins at `at`; data[at:stop] has come so far."""
    end = min(stop, at + HEAD_LIMIT)
    first = at
    while first + 1 < end and data[first] == CR and data[first + 1] == LF:
        first += 2
    parsed = read_head(data, at, first, end)
    if parsed.status == 0:
        fault = blame(data, first, end)
        if fault == FINE and stop > end:
            fault = HEAD_TOO_LONG
        if fault != FINE:
            parsed = refuse(fault, int64(expect(data, first, end, HEAD) >= 0))
    return parsed


@jit
def refuse(fault: int, head_only: int) -> Parsed:
    """Return a refusal, or with FINE that nothing can be said yet."""
    status = STATUSES[fault] if fault != FINE else int64(0)
    return Parsed(status, MISSING, 0, head_only, 0, 1, 0, fault)


@jit
def read_head(data: np.ndarray, at: int, first: int, end: int) -> Parsed:
    """Read the head at `first` if it is complete and each line is as it must be.

    Anything else is told as incomplete, for `blame` to find out.
    """
    begin = expect(data, first, end, GET)
    head_only = int64(begin < 0)
    if head_only:
        begin = expect(data, first, end, HEAD)
    space = skip(data, begin, end, IN_TARGET) if begin >= 0 else begin
    place, minor = expect(data, space, end, VERSION_1), 1
    if place < 0:
        place, minor = expect(data, space, end, VERSION_0), 0
    after, said, count = read_lines(data, place, end)
    if space == begin or after < 0:
        return refuse(FINE, int64(0))
    target = find_target(data, begin, space)
    fault = target.fault
    if fault == FINE:
        fault = judge(said, count, minor)
    if fault != FINE:
        return refuse(fault, head_only)
    status, keep_alive = int64(200), keeps(said, minor)
    if target.route == MISSING:
        fault, status = PATH_MISSING, STATUSES[PATH_MISSING]
    route, argument, size = target.route, target.argument, int64(after - at)
    return Parsed(
        status, route, argument, head_only, keep_alive, int64(minor), size, fault
    )


@jit
def read_lines(data: np.ndarray, place: int, end: int) -> tuple[int, int, int]:
    """Read the header lines from the CR LF before them on.

    Returns the place behind the head, what the headers say, and how many they are;
    (-1, 0, 0) if a line is not as it must be, or the end is not there.
    """
    said, count = int64(0), int64(0)
    while place >= 0 and place + 4 <= end:
        if data[place] != CR or data[place + 1] != LF:
            break
        line = place + 2
        if data[line] == CR and data[line + 1] == LF:
            return int64(line + 2), said, count
        colon = skip(data, line, end, IN_TOKEN)
        if not line < colon < end or data[colon] != COLON:
            break
        place = skip(data, colon + 1, end, IN_VALUE)
        name = find_word(data, line, colon, NAMES)
        if name > 0:
            said |= weigh(data, name, colon + 1, place, said)
        count += 1
    return int64(-1), int64(0), int64(0)


@jit
def weigh(data: np.ndarray, name: int, begin: int, end: int, said: int) -> int:
    """Return what the header `name` says, with data[begin:end] as its value, as bits.

    `said` is what the headers before it said: some may come only once.
    """
    if name == CONNECTION:
        return read_connection(data, begin, end)
    if name == CODING:
        return CODED
    if name == HOST:
        alone = said & HOSTED == 0 and find_byte(data, begin, end, COMMA) == end
        return HOSTED if alone else HOSTED | HOST_LISTED
    if name == LENGTH:
        begin, end = strip(data, begin, end)
        after = skip(data, begin, end, IN_NUMBER)
        if begin == end or after < end or said & LENGTHED != 0:
            return LENGTHED | LENGTH_WRONG
        above_0 = skip(data, begin, end, IN_ZEROS) < end
        return LENGTHED | LENGTH_ABOVE_0 if above_0 else LENGTHED
    return int64(0)


@jit
def judge(said: int, count: int, minor: int) -> int:
    """Judge the headers together: their fault, or FINE."""
    if count > HEADER_COUNT_LIMIT:
        return HEADERS_TOO_MANY
    if said & HOST_LISTED != 0 or (minor == 1 and said & HOSTED == 0):
        return HOST_COUNT
    if said & LENGTH_WRONG != 0:
        return LENGTH_SHAPE
    if said & CODED != 0:
        return LENGTH_AND_CODING if said & LENGTHED != 0 else BODY_CODED
    return BODY_TOO_LARGE if said & LENGTH_ABOVE_0 != 0 else FINE


@jit
def find_target(data: np.ndarray, begin: int, end: int) -> Target:
    """Return what the target data[begin:end] asks for."""
    end = find_byte(data, begin, end, QUERY)
    if begin == end or data[begin] != SLASH:
        host = begin + SCHEME_BYTES
        begin = find_byte(data, host, end, SLASH)
        if begin <= host or find_word(data, host - SCHEME_BYTES, host, SCHEMES) == 0:
            return Target(MISSING, int64(0), TARGET_SHAPE)
    if end - begin <= 1:
        return Target(ROOT, int64(0), FINE)
    route, digits = SPIN, expect(data, begin, end, SPIN_PATH)
    if digits < 0:
        route, digits = BYTES, expect(data, begin, end, BYTES_PATH)
    argument, place = read_digits(data, digits, end, DIGITS_LIMIT)
    if place != end:
        return Target(MISSING, int64(0), FINE)
    if argument > LIMITS[route]:
        return Target(MISSING, int64(0), ABOVE[route])
    return Target(route, argument, FINE)


@jit
def blame(data: np.ndarray, line: int, end: int) -> int:
    """Return the first fault of a head that is wrong or unfinished, or FINE."""
    line_end = find_crlf(data, line, end)
    fault, count = FINE, int64(0)
    if line_end == end and line < end and CLASSES[data[line]] & OPENS == 0:
        return OPENING_BYTE
    while line_end < end and fault == FINE:
        if count == 0:
            fault = blame_line(data, line, line_end)
        else:
            fault = blame_header(data, line, line_end, count)
        count += 1
        line = line_end + 2
        line_end = find_crlf(data, line, end)
    if fault == FINE and line < end:
        if data[end - 1] == CR:  # its LF may come
            end -= 1
        if skip(data, line, end, IN_LINE) < end:
            return STRAY_END
    return fault


@jit
def blame_line(data: np.ndarray, line: int, end: int) -> int:
    """Return the fault of a request line, or FINE."""
    target = find_byte(data, line, end, SPACE) + 1
    version = find_byte(data, target, end, SPACE) + 1
    if CLASSES[data[line]] & OPENS == 0:
        return OPENING_BYTE
    if skip(data, line, end, IN_LINE) < end:
        return STRAY_END
    if version > end or find_byte(data, version, end, SPACE) < end:
        return LINE_SHAPE
    if line == target - 1 or skip(data, line, target, IN_TOKEN) != target - 1:
        return METHOD_BYTE
    if target == version - 1 or skip(data, target, version, IN_TARGET) != version - 1:
        return TARGET_BYTE
    fault = blame_version(data, version, end)
    if fault != FINE:
        return fault
    if expect(data, line, end, GET) < 0 and expect(data, line, end, HEAD) < 0:
        return METHOD_OTHER if is_known(data, line) else METHOD_UNKNOWN
    return find_target(data, target, version - 1).fault


@jit
def blame_version(data: np.ndarray, begin: int, end: int) -> int:
    """Return the fault of the version data[begin:end], or FINE."""
    major = expect(data, begin, end, VERSION_BEGIN)
    if major < 0 or end - major != 3 or data[major + 1] != DOT:
        return VERSION_SHAPE
    if CLASSES[data[major]] & CLASSES[data[major + 2]] & IN_NUMBER == 0:
        return VERSION_SHAPE
    spoken = max(
        expect(data, begin - 1, end, VERSION_0), expect(data, begin - 1, end, VERSION_1)
    )
    return FINE if spoken == end else VERSION_OTHER


@jit
def is_known(data: np.ndarray, begin: int) -> bool:
    """Return whether the method at `begin`, with a space behind it, is in KNOWN."""
    word = 0
    while word < KNOWN.size:
        place = begin
        while KNOWN[word] != SPACE and KNOWN[word] == data[place]:
            word, place = word + 1, place + 1
        if KNOWN[word] == SPACE and data[place] == SPACE:
            return True
        while KNOWN[word] != SPACE:
            word += 1
        word += 1
    return False


@jit
def blame_header(data: np.ndarray, line: int, end: int, count: int) -> int:
    """Return the fault of the header line with number `count`, or FINE."""
    colon = skip(data, line, end, IN_TOKEN)
    named = line < colon < end and data[colon] == COLON
    if skip(data, line, end, IN_LINE) < end:
        return STRAY_END
    if count > HEADER_COUNT_LIMIT:
        return HEADERS_TOO_MANY
    if data[line] == SPACE or data[line] == TAB:
        return HEADER_FOLDED
    if not named:
        return HEADER_NAME
    value_end = skip(data, colon + 1, end, IN_VALUE)
    return HEADER_VALUE if value_end < end else FINE
