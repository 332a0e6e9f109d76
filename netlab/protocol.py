"""Bytes <-> meaning, the server's half: requests are read, answers written.

No sockets, no clocks, no state: every function here takes bytes and returns
values.  The subset of HTTP/1.1 is small and its rules are total; they lean on no
kindness of Python (`int(b' 5')`, `int('1_0')`).  `protocol_client` has the other half.

A *head* is the request line and the header lines, each ended by CR LF, then an
empty line.  Empty lines before it are skipped but counted.  Only the first
HEAD_LIMIT bytes from `at` are ever looked at: they are the *window*.

What decides, in this order; within a step the order of the Faults below:

  step  judged                      when it can be known       verdicts
  1     the request line            its CR LF is there (*)     400 505 405 501
  2     each header line, in turn   its CR LF is there (*)     400 431 (one too many)
  3     the window                  more than HEAD_LIMIT       431 (no end in it)
                                    bytes, and 1, 2 are silent
  4     the headers together        the empty line is there    400 411 413
  5     the path                    after 4                    404 200
  (*)   earlier for a first byte that begins no method, and for a CR or LF that is
        not part of a CR LF: these need not wait for the end of their line.

A verdict reads nothing behind the point where it is known, so it is the same
however the bytes were split: a prefix gives None or the final verdict.  Hence 400
against 431: what is wrong inside the window wins, the limit speaks when nothing is.
The price: a head that drips in is read again on every call (at most 8 KiB of it),
and a refusal may come while the client still writes: whoever closes should drain.

Nearly every head is good, so steps 1 and 2 are first asked as one question: does the
whole head match HEAD?  Only if not is it read line by line, to find out which rule is
broken, or that none is and more bytes must come.  HEAD is composed of the patterns
LINE and HEADER that judge the single lines, so that the two cannot disagree.  PLAIN
is the part of HEAD for which step 4 has nothing to say, and saves half of the time.
The price: to refuse a head of 8 KiB that is wrong at its end takes up to 1 ms.

  request line   method SP target SP version; one space each, case counts everywhere
  version        "HTTP/" digit "." digit, else 400; not 1.0 or 1.1: 505
  target         "/..." or "http://host..." (scheme in any case, host not empty; it
                 is not compared with Host); bytes 0x21-0x7e without "#", else 400
  path           the target without host and "?..."; percent signs are not decoded
  N              1 to 9 digits, leading zeros allowed; above the limit 400, else 404
  header         token ":" value; spaces and tabs around the value do not count;
                 bytes in the value: HTAB, 0x20-0x7e, 0x80-0xff
                 a repeated header counts as one, its values joined by commas
  Host           required in 1.1; any value without a comma, also an empty one
  Content-Length digits alone, so that a list or a second line is 400; 0 is no body
  Connection     a comma list, in any case; `close` beats `keep-alive`

A 404 is an answer and keeps the connection; every other error ends it, and then
nothing counts as consumed (size 0).  No Date is sent: there is no clock here.

The JSON of / and /spin/N has always JSON_BYTES: ab and others count an answer as a
failure when it is not as long as the first one, and servers that are compared must
write equally much.  Spaces behind the brace fill it up; they are legal JSON.  A number
that is larger than foreseen makes the body longer, and Content-Length says so.  Only
the body is of one length: X-Netlab-Worker and X-Netlab-Cpu may differ by a digit.
"""

import re
from enum import IntEnum
from typing import NamedTuple

HEAD_LIMIT = 8192  # bytes; what nginx and Apache allow a line, here for the whole head
HEADER_COUNT_LIMIT = 100  # Apache's default; our own client sends one or two
SPIN_LIMIT_US = 100_000  # one request may hold a worker 0.1 s, not freeze a run
BYTES_LIMIT = 8 * 1024 * 1024  # twice Linux's largest default send buffer (4 MiB)
FILLER = bytes(range(0x21, 0x61)) * 1024  # 64 KiB, the loopback's MTU
DIGITS_LIMIT = 9  # any such number fits in 32 bits; both limits above have fewer
JSON_BYTES = 71  # fits worker and cpu 9999, tid 4194304 and 10**12 - 1 accepts

CRLF = b"\r\n"
HEAD_END = b"\r\n\r\n"
Buffer = bytes | bytearray


class Route(IntEnum):
    """What is asked for."""

    ROOT = 0
    SPIN = 1
    BYTES = 2
    MISSING = 3


# Plain names: reading a member off an Enum class costs 50 ns more in Python 3.11.
BYTES, MISSING = Route.BYTES, Route.MISSING


class Fault(NamedTuple):
    """A verdict other than 200: its status, and the text sent with it."""

    status: int
    reason: bytes


# The order is the precedence within a step.  Step 1:
OPENING_BYTE = Fault(400, b"the first byte cannot begin a method")
STRAY_END = Fault(400, b"CR and LF are only allowed together, at the end of a line")
LINE_SHAPE = Fault(400, b"a request line is method, target, version, one space each")
METHOD_BYTE = Fault(400, b"the method is not a token")
TARGET_BYTE = Fault(400, b"the target is empty or has a byte that is not allowed")
VERSION_SHAPE = Fault(400, b"the version is not HTTP/digit.digit")
VERSION_OTHER = Fault(505, b"only HTTP/1.0 and HTTP/1.1 are spoken")
METHOD_OTHER = Fault(405, b"only GET and HEAD are allowed")
METHOD_UNKNOWN = Fault(501, b"the method is unknown")
TARGET_SHAPE = Fault(400, b"the target is neither /path nor http://host/path")
SPIN_TOO_LONG = Fault(400, b"/spin/N: N is at most %d microseconds" % SPIN_LIMIT_US)
BYTES_TOO_MANY = Fault(400, b"/bytes/N: N is at most %d bytes" % BYTES_LIMIT)
# Step 2, after STRAY_END:
HEADERS_TOO_MANY = Fault(431, b"at most %d headers" % HEADER_COUNT_LIMIT)
HEADER_FOLDED = Fault(400, b"a header may not continue on a second line")
HEADER_NAME = Fault(400, b"a header is name: value, and its name a token")
HEADER_VALUE = Fault(400, b"a header's value has a control byte")
# Step 3:
HEAD_TOO_LONG = Fault(431, b"the head has at most %d bytes" % HEAD_LIMIT)
# Step 4:
HOST_COUNT = Fault(400, b"Host is required once")
LENGTH_SHAPE = Fault(400, b"Content-Length is not one number")
LENGTH_AND_CODING = Fault(400, b"both Content-Length and Transfer-Encoding")
BODY_CODED = Fault(411, b"no request body is accepted, and none of unknown length")
BODY_TOO_LARGE = Fault(413, b"no request body is accepted")
# Step 5:
PATH_MISSING = Fault(404, b"there are /, /spin/N and /bytes/N")
FAULTS = (  # all of them; `protocol_arrays` names each by its place here
    *(OPENING_BYTE, STRAY_END, LINE_SHAPE, METHOD_BYTE, TARGET_BYTE, VERSION_SHAPE),
    *(VERSION_OTHER, METHOD_OTHER, METHOD_UNKNOWN, TARGET_SHAPE, SPIN_TOO_LONG),
    *(BYTES_TOO_MANY, HEADERS_TOO_MANY, HEADER_FOLDED, HEADER_NAME, HEADER_VALUE),
    *(HEAD_TOO_LONG, HOST_COUNT, LENGTH_SHAPE, LENGTH_AND_CODING, BODY_CODED),
    *(BODY_TOO_LARGE, PATH_MISSING),
)


class Request(NamedTuple):
    """One request, or the refusal of it; `size` bytes of the input are consumed."""

    status: int  # 200, 404 or the refusal
    route: Route
    argument: int  # microseconds (SPIN) or bytes (BYTES), else 0
    head_only: bool
    keep_alive: bool
    minor: int  # HTTP/1.minor; 1 in a refusal
    size: int  # bytes, with the empty lines before the head; 0 in a refusal
    reason: bytes

    @property
    def is_refusal(self) -> bool:
        """Whether the input was wrong: nothing behind it can be trusted either."""
        return self.size == 0


class _Refused(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


# Patterns. The classes contain no CR and no LF, and what follows a repetition is not
# in its class: there is one way to match, and no time lost in trying others.
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
TARGET = rb"[!-\"$-~]+"
LINE = rb"(GET|HEAD) (%b) (HTTP/1\.[01])" % TARGET
HEADER = rb"%b:[\t -~\x80-\xff]*" % TOKEN
HEAD = re.compile(rb"%b((?:\r\n%b)*)" % (LINE, HEADER))
# The usual head: Host first and without a comma, then nothing that matters, which is
# told by the first letter alone.  Any other good head is read by its headers' names.
HOST = rb"[Hh]ost:[\t -+\--~\x80-\xff]*"
PLAIN = re.compile(rb"%b(\r\n%b(?:\r\n(?![HhCcTt])%b)*)" % (LINE, HOST, HEADER))
IS_TOKEN = re.compile(TOKEN).fullmatch
IS_TARGET = re.compile(TARGET).fullmatch
IS_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]").fullmatch
IS_LINE = re.compile(LINE).fullmatch
IS_HEADER = re.compile(HEADER).fullmatch
# CR may open an empty line, the next byte tells; and no byte is no fault.
CAN_OPEN = re.compile(rb"%b|\r|\Z" % TOKEN).match
WANTED = re.compile(
    rb"\r\n(host|content-length|transfer-encoding|connection):([^\r]*)"
).findall

KNOWN = {b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"CONNECT", b"TRACE"}
MINORS = {b"HTTP/1.0": 0, b"HTTP/1.1": 1}
AT_ROOT = (Route.ROOT, 0)
COMMA, QUERY = b",?"  # as numbers: `number in bytes` is ten times as fast as bytes
NOWHERE = (MISSING, 0)
COUNTED = {
    b"/spin": (Route.SPIN, SPIN_LIMIT_US, SPIN_TOO_LONG),
    b"/bytes": (Route.BYTES, BYTES_LIMIT, BYTES_TOO_MANY),
}


def read_request(data: Buffer, at: int = 0) -> Request | None:
    """Read the request that begins at `at`; None: incomplete, and not wrong so far."""
    stop = at + HEAD_LIMIT
    first = at
    while data.startswith(CRLF, first, stop):
        first += 2
    end = data.find(HEAD_END, first, stop)
    try:
        if end >= 0:
            plain = PLAIN.fullmatch(data, first, end)
            head = plain or HEAD.fullmatch(data, first, end)
            if head:
                return _read_head(head, plain is not None, end + 4 - at)
        return _refuse_or_wait(bytes(data[first:stop]), len(data) > stop)
    except _Refused as refused:
        status, reason = refused.fault
        head_only = data.startswith(b"HEAD ", first, stop)
        return Request(status, MISSING, 0, head_only, False, 1, 0, reason)


def _refuse_or_wait(window: bytes, full: bool) -> None:
    """Judge by the same rules, line by line, a head that is wrong or unfinished."""
    *lines, rest = window.split(CRLF)
    if lines:
        _check_line(lines[0])
        _check_headers(lines)
    elif not CAN_OPEN(rest):
        raise _Refused(OPENING_BYTE)
    if _has_stray(rest.removesuffix(b"\r")):
        raise _Refused(STRAY_END)
    if full:
        raise _Refused(HEAD_TOO_LONG)


def _has_stray(line: bytes) -> bool:
    return b"\r" in line or b"\n" in line


def _read_head(head: re.Match[bytes], plain: bool, size: int) -> Request:
    method, target, version, headers = head.groups()
    route, argument = AT_ROOT if target == b"/" else _find_route(target)
    if headers.count(CRLF) > HEADER_COUNT_LIMIT:
        raise _Refused(HEADERS_TOO_MANY)
    minor = MINORS[version]
    keep_alive = minor == 1 if plain else _weigh_headers(headers, minor)
    status, reason = PATH_MISSING if route is MISSING else (200, b"")
    head_only = method == b"HEAD"
    fields = (status, route, argument, head_only, keep_alive, minor, size, reason)
    return tuple.__new__(Request, fields)  # Request(*fields), in half its time


def _check_line(line: bytes) -> None:
    read = IS_LINE(line)
    if read is None:
        raise _Refused(_blame_line(line))
    _find_route(read[2])


def _blame_line(line: bytes) -> Fault:
    parts = line.split(b" ")
    method, target, version = parts if len(parts) == 3 else (b"", b"", b"")
    broken = (
        (not CAN_OPEN(line), OPENING_BYTE),
        (_has_stray(line), STRAY_END),
        (len(parts) != 3, LINE_SHAPE),
        (not IS_TOKEN(method), METHOD_BYTE),
        (not IS_TARGET(target), TARGET_BYTE),
        (not IS_VERSION(version), VERSION_SHAPE),
        (version not in MINORS, VERSION_OTHER),
        (method in KNOWN, METHOD_OTHER),
    )
    return next((fault for wrong, fault in broken if wrong), METHOD_UNKNOWN)


def _find_route(target: bytes) -> tuple[Route, int]:
    path = target.partition(b"?")[0] if QUERY in target else target
    if path[:1] != b"/":
        path = _path_of_absolute(path)
    if path == b"/":
        return AT_ROOT
    prefix, _, digits = path.rpartition(b"/")
    if prefix not in COUNTED or len(digits) > DIGITS_LIMIT or not digits.isdigit():
        return NOWHERE
    route, limit, fault = COUNTED[prefix]
    argument = int(digits)
    if argument > limit:
        raise _Refused(fault)
    return route, argument


def _path_of_absolute(target: bytes) -> bytes:
    host, _, rest = target[7:].partition(b"/")
    if target[:7].lower() != b"http://" or not host:
        raise _Refused(TARGET_SHAPE)
    return b"/" + rest


def _check_headers(lines: list[bytes]) -> None:
    """Check the lines after the first."""
    for line in lines[1 : HEADER_COUNT_LIMIT + 1]:
        if not IS_HEADER(line):
            raise _Refused(_blame_header(line))
    if len(lines) > HEADER_COUNT_LIMIT + 1:
        stray = _has_stray(lines[HEADER_COUNT_LIMIT + 1])
        raise _Refused(STRAY_END if stray else HEADERS_TOO_MANY)


def _blame_header(line: bytes) -> Fault:
    name, colon, _ = line.partition(b":")
    if _has_stray(line):
        return STRAY_END
    if line.startswith((b" ", b"\t")):
        return HEADER_FOLDED
    return HEADER_VALUE if colon and IS_TOKEN(name) else HEADER_NAME


def _weigh_headers(headers: bytes, minor: int) -> bool:
    """Judge the headers together; return whether the connection is kept."""
    found: dict[bytes, bytes] = {}
    for name, value in WANTED(headers.lower()):
        found[name] = found[name] + b"," + value if name in found else value
    host = found.get(b"host")
    if (host is None and minor == 1) or (host and COMMA in host):
        raise _Refused(HOST_COUNT)
    _refuse_body(found)
    return keeps(found.get(b"connection", b""), minor)


def _refuse_body(found: dict[bytes, bytes]) -> None:
    length = found.get(b"content-length", b"0").strip(b" \t")
    coded = b"transfer-encoding" in found
    broken = (
        (not length.isdigit(), LENGTH_SHAPE),
        (coded and b"content-length" in found, LENGTH_AND_CODING),
        (coded, BODY_CODED),
        (length.strip(b"0") != b"", BODY_TOO_LARGE),  # no int(): it may be 8000 digits
    )
    for wrong, fault in broken:
        if wrong:
            raise _Refused(fault)


def keeps(connection: bytes, minor: int) -> bool:
    """Whether the connection stays open, by the Connection header and HTTP/1.minor."""
    if not connection:
        return minor == 1
    tokens = [token.strip(b" \t") for token in connection.lower().split(b",")]
    return b"close" not in tokens and (minor == 1 or b"keep-alive" in tokens)


PHRASES = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    505: "HTTP Version Not Supported",
}
JSON = "application/json"
TEXT = "text/plain; charset=us-ascii"
OCTETS = "application/octet-stream"
EXTRA = {405: "Allow: GET, HEAD\r\n"}
CONNECTION = {  # by keep_alive, then by minor
    False: ("Connection: close\r\n", "Connection: close\r\n"),
    True: ("Connection: keep-alive\r\n", ""),
}


def answer(
    request: Request, *, worker: int, tid: int, cpu: int, accepts: int
) -> tuple[bytes, int]:
    """The bytes to send first, and how many bytes of FILLER, repeated, to send after.

    A body of at most one FILLER is in the bytes; a longer one is owed as a whole.
    """
    if request.route is BYTES:
        return _answer_bytes(request, worker, cpu)
    if request.status == 200:
        kind = JSON
        body = (
            f'{{"worker": {worker}, "tid": {tid}, "cpu": {cpu}, "accepts": {accepts}}}'
        ).ljust(JSON_BYTES - 1)
    else:
        kind, body = TEXT, request.reason.decode("ascii")
    head = _write_head(request, kind, len(body) + 1, worker, cpu)
    return (head if request.head_only else f"{head}{body}\n").encode("ascii"), 0


def _answer_bytes(request: Request, worker: int, cpu: int) -> tuple[bytes, int]:
    count = request.argument
    head = _write_head(request, OCTETS, count, worker, cpu).encode("ascii")
    if request.head_only:
        return head, 0
    return (head + FILLER[:count], 0) if count <= len(FILLER) else (head, count)


def _write_head(request: Request, kind: str, length: int, worker: int, cpu: int) -> str:
    status, _, _, _, keep_alive, minor, _, _ = request
    return (
        f"HTTP/1.1 {status} {PHRASES[status]}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\nX-Netlab-Worker: {worker}\r\n"
        f"X-Netlab-Cpu: {cpu}\r\n{EXTRA.get(status, '')}"
        f"{CONNECTION[keep_alive][minor]}\r\n"
    )
