"""Bytes <-> meaning, the client's half: requests are written, answers read.

No sockets, no clocks, no state, as in `protocol`, whose words are used here.  The
rules are those of a client that counts: it must know which worker answered, where
the answer ends, and whether the connection stays, and it keeps nothing else.

  status line     "HTTP/1.0" or "HTTP/1.1", a space, three digits, a space or the end
  Content-Length  required, 1 to 15 digits: an answer that ends with the connection,
                  or is chunked, cannot be told from one that was cut off
  X-Netlab-...    a number, or -1 as our own server says of a CPU it does not know;
                  another server says nothing, which is read as -1 too
  Connection      as in a request
  other headers   are not looked at

An answer must have its head within HEAD_LIMIT bytes.  What breaks a rule is no
HTTP, or none that a load can be counted by: ProtocolError, with the bytes seen.

The answers of our own server are written in one way only, so one match with OWN
reads them, in a third of the time.  It takes nothing that the general rules would
not read alike, and whatever it does not know is left to them.
"""

import re
from typing import NamedTuple

from netlab.protocol import (
    CRLF,
    HEAD_END,
    HEAD_LIMIT,
    IS_TARGET,
    MINORS,
    Buffer,
    keeps,
)

LENGTH_DIGITS_LIMIT = 15  # a length the client reads back: exact even as a float


class ProtocolError(ValueError):
    """An answer that cannot be read; the text shows the bytes that were seen."""


class Answer(NamedTuple):
    """One answer, as the client counts it."""

    status: int
    worker: int  # -1: the server does not say
    cpu: int  # -1: the server does not say
    size: int  # bytes, head and body
    keep_alive: bool


SOUGHT = {
    b"content-length",
    b"transfer-encoding",
    b"connection",
    b"x-netlab-worker",
    b"x-netlab-cpu",
}
STATUS_MARGINS = {b"  ", b" \r"}  # before and behind the three digits
UNSAID = b"-1"  # what our own server says of a CPU it does not know
NUMBER = rb"[0-9]{1,%d}" % LENGTH_DIGITS_LIMIT
OWN = re.compile(
    rb"HTTP/1\.1 ([0-9]{3}) [^\r\n]*\r\nContent-Type: [^\r\n]*\r\n"
    rb"Content-Length: (%b)\r\nX-Netlab-Worker: (%b)\r\nX-Netlab-Cpu: (-1|%b)\r\n"
    rb"(Connection: close\r\n)?\r\n" % (NUMBER, NUMBER, NUMBER)
)


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


def answer_head(data: Buffer, at: int = 0) -> tuple[Answer, int] | None:
    """The answer whose head is there, and the head's size in bytes; else None.

    The body may still be under way: count its bytes, do not keep or scan them.
    To a HEAD request there is none, whatever `size` says: use the head's size.
    Raises ProtocolError if the head is malformed or does not give the length.
    """
    stop = at + HEAD_LIMIT
    own = OWN.match(data, at, stop)
    if own:
        status, length, worker, cpu, close = own.groups()
        head_size = own.end() - at
        size = head_size + int(length)
        answer = Answer(int(status), int(worker), int(cpu), size, close is None)
        return answer, head_size
    return _read_other(data, at, stop)


def _read_other(data: Buffer, at: int, stop: int) -> tuple[Answer, int] | None:
    end = data.find(HEAD_END, at, stop)
    if end < 0:
        _check_answer_part(bytes(data[at:stop]), len(data) > stop)
        return None
    head = bytes(data[at:end])
    minor, status = MINORS.get(head[:8]), head[9:12]
    if minor is None or not status.isdigit() or head[8:13:4] not in STATUS_MARGINS:
        raise ProtocolError(f"not a status line of HTTP/1.x: {head[:40]!r}")
    found = _seek_headers(head.lower().split(CRLF))
    length = _number(found.get(b"content-length", UNSAID))
    if length < 0 or b"transfer-encoding" in found:
        raise ProtocolError(f"Content-Length must give the length: {head!r}")
    worker = _number(found.get(b"x-netlab-worker", UNSAID))
    cpu = _number(found.get(b"x-netlab-cpu", UNSAID))
    keep_alive = keeps(found.get(b"connection", b""), minor)
    size = end + 4 - at
    return Answer(int(status), worker, cpu, size + length, keep_alive), size


def _seek_headers(lines: list[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        if name in SOUGHT:
            found[name] = value if name not in found else found[name] + b"," + value
    return found


def _check_answer_part(window: bytes, full: bool) -> None:
    begin = b"HTTP/1."
    if window[: len(begin)] != begin[: len(window)]:
        raise ProtocolError(f"not an answer of HTTP/1.x: {window[:40]!r}")
    if full:
        raise ProtocolError(f"no end of head in {HEAD_LIMIT} bytes: {window[:40]!r}")


def _number(text: bytes) -> int:
    text = text.strip(b" \t")
    if text.isdigit() and len(text) <= LENGTH_DIGITS_LIMIT:
        return int(text)
    if text == UNSAID:
        return -1
    raise ProtocolError(f"not a number of up to {LENGTH_DIGITS_LIMIT} digits: {text!r}")
