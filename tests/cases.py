"""Requests and what must become of them: data only.

The same rows are put to `netlab.protocol`, whole and in pieces, and to live servers.
A status of None means that the head never ends and nothing in it is wrong: the
server waits, and the client gives up.
"""

from typing import NamedTuple

from netlab.protocol import BYTES_LIMIT, HEAD_LIMIT, HEADER_COUNT_LIMIT, SPIN_LIMIT_US


class Case(NamedTuple):
    """Bytes that are no good request, and the status they are refused with."""

    name: str
    data: bytes
    status: int | None


class Valid(NamedTuple):
    """A request that is answered, and what is to be read in it."""

    name: str
    data: bytes
    status: int = 200
    route: str = "ROOT"
    argument: int = 0
    head_only: bool = False
    keep_alive: bool = True
    minor: int = 1


HOST = b"Host: h\r\n"


def get(target: bytes, *headers: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    """A GET with a Host line, unless headers are given."""
    lines = [b"GET %s %s" % (target, version), *(headers or (b"Host: h",))]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def line(text: bytes) -> bytes:
    """A head with this request line and a Host line."""
    return text + b"\r\n" + HOST + b"\r\n"


def header(text: bytes) -> bytes:
    """A head with this line between two good ones."""
    return b"GET / HTTP/1.1\r\n" + HOST + text + b"\r\nAccept: */*\r\n\r\n"


MANY = b"X: y\r\n" * HEADER_COUNT_LIMIT

MALFORMED = [
    # The first byte
    Case("TLS ClientHello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    Case("first byte NUL", b"\x00", 400),
    Case("first byte space", b" GET / HTTP/1.1\r\n", 400),
    Case("first byte LF", b"\n", 400),
    Case("first byte above 0x7f", b"\xc3\xa9", 400),
    Case("first byte colon", b":", 400),
    Case("SSH greeting", b"SSH-2.0-OpenSSH_9.6\r\n", 400),
    Case("PROXY protocol line", b"PROXY TCP4 10.0.0.1 10.0.0.2 5 80\r\n", 400),
    Case("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    # Ends of lines
    Case("LF for CR LF", b"GET / HTTP/1.1\nHost: h\n\n", 400),
    Case("CR for CR LF", b"GET / HTTP/1.1\rHost: h\r\r", 400),
    Case("CR after CR LF", b"\r\n\rGET / HTTP/1.1\r\n", 400),
    Case("CR CR LF", line(b"GET / HTTP/1.1\r"), 400),
    Case("CR in the target", line(b"GET /\rx HTTP/1.1"), 400),
    Case("LF in a value", header(b"X: a\nb"), 400),
    Case("CR in a value", header(b"X: a\rb"), 400),
    Case("CR in a name", header(b"X\r: a"), 400),
    Case("stray LF before 405", line(b"POST /\n HTTP/1.1"), 400),
    Case("LF ends the head", b"GET / HTTP/1.1\r\n" + HOST + b"\n", 400),
    # Shape of the request line
    Case("HTTP/0.9", b"GET /\r\n", 400),
    Case("method alone", b"GET\r\n", 400),
    Case("no target", line(b"GET HTTP/1.1"), 400),
    Case("empty target", line(b"GET  HTTP/1.1"), 400),
    Case("two spaces before the target", line(b"GET  / HTTP/1.1"), 400),
    Case("two spaces before the version", line(b"GET /  HTTP/1.1"), 400),
    Case("space after the version", line(b"GET / HTTP/1.1 "), 400),
    Case("space in the target", line(b"GET /a b HTTP/1.1"), 400),
    Case("tab for space", line(b"GET\t/\tHTTP/1.1"), 400),
    # The method
    Case("comma in the method", line(b"G,T / HTTP/1.1"), 400),
    Case("byte above 0x7f in the method", line(b"G\xc9T / HTTP/1.1"), 400),
    Case("lower-case method", line(b"get / HTTP/1.1"), 501),
    Case("unknown method", line(b"BREW /pot HTTP/1.1"), 501),
    Case("nearly GET", line(b"GETS / HTTP/1.1"), 501),
    Case("POST", line(b"POST / HTTP/1.1"), 405),
    Case("PUT", line(b"PUT / HTTP/1.1"), 405),
    Case("DELETE", line(b"DELETE / HTTP/1.1"), 405),
    Case("PATCH", line(b"PATCH / HTTP/1.1"), 405),
    Case("TRACE", line(b"TRACE / HTTP/1.1"), 405),
    Case("OPTIONS of the server", line(b"OPTIONS * HTTP/1.1"), 405),
    Case("CONNECT", line(b"CONNECT h:443 HTTP/1.1"), 405),
    Case("405 is known at its line", b"POST / HTTP/1.1\r\n", 405),
    # The version
    Case("HTTP/2.0", line(b"GET / HTTP/2.0"), 505),
    Case("HTTP/1.2", line(b"GET / HTTP/1.2"), 505),
    Case("HTTP/0.9 in words", line(b"GET / HTTP/0.9"), 505),
    Case("505 before 405", line(b"POST / HTTP/3.0"), 505),
    Case("lower-case version", line(b"GET / http/1.1"), 400),
    Case("version without minor", line(b"GET / HTTP/1"), 400),
    Case("version of two digits", line(b"GET / HTTP/1.10"), 400),
    Case("version with a comma", line(b"GET / HTTP/1,1"), 400),
    Case("another protocol", line(b"GET / ICAP/1.0"), 400),
    Case("superscript one", line(b"GET / HTTP/1.\xb9"), 400),
    # The target
    Case("NUL in the target", line(b"GET /\x00 HTTP/1.1"), 400),
    Case("DEL in the target", line(b"GET /\x7f HTTP/1.1"), 400),
    Case("UTF-8 in the target", line(b"GET /\xc3\xa9 HTTP/1.1"), 400),
    Case("fragment", line(b"GET /#top HTTP/1.1"), 400),
    Case("asterisk for GET", line(b"GET * HTTP/1.1"), 400),
    Case("relative path", line(b"GET spin/5 HTTP/1.1"), 400),
    Case("query alone", line(b"GET ?a HTTP/1.1"), 400),
    Case("authority for GET", line(b"GET h:80 HTTP/1.1"), 400),
    Case("https target", line(b"GET https://h/ HTTP/1.1"), 400),
    Case("absolute target without host", line(b"GET http:///spin/5 HTTP/1.1"), 400),
    Case("absolute target, host only queried", line(b"GET http://?/ HTTP/1.1"), 400),
    Case("spin above the limit", get(b"/spin/%d" % (SPIN_LIMIT_US + 1)), 400),
    Case("bytes above the limit", get(b"/bytes/%d" % (BYTES_LIMIT + 1)), 400),
    Case("limit is told at the line", b"GET /spin/999999999 HTTP/1.1\r\n", 400),
    # Header lines
    Case("no colon", header(b"Nonsense"), 400),
    Case("empty name", header(b": x"), 400),
    Case("space before the colon", header(b"X : y"), 400),
    Case("tab before the colon", header(b"X\t: y"), 400),
    Case("space in the name", header(b"X y: z"), 400),
    Case("parenthesis in the name", header(b"X(1): y"), 400),
    Case("byte above 0x7f in the name", header(b"\xc3\xa9: y"), 400),
    Case("obs-fold by a space", header(b"X: y\r\n z"), 400),
    Case("obs-fold by a tab", header(b"X: y\r\n\tz"), 400),
    Case("space before the first header", b"GET / HTTP/1.1\r\n Host: h\r\n", 400),
    Case("NUL in a value", header(b"X: a\x00b"), 400),
    Case("BEL in a value", header(b"X: a\x07b"), 400),
    Case("DEL in a value", header(b"X: a\x7fb"), 400),
    # Host
    Case("no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    Case("two Hosts", get(b"/", b"Host: a", b"Host: b"), 400),
    Case("the same Host twice", get(b"/", b"Host: a", b"host: a"), 400),
    Case("two empty Hosts", get(b"/", b"Host:", b"Host:"), 400),
    Case("two Hosts in 1.0", get(b"/", HOST + b"Host: h", version=b"HTTP/1.0"), 400),
    Case("no Host comes before 404", b"GET /nowhere HTTP/1.1\r\n\r\n", 400),
    # Bodies
    Case("Content-Length above 0", header(b"Content-Length: 5"), 413),
    Case("Content-Length 007", header(b"Content-Length: 007"), 413),
    Case(
        "Content-Length of 5000 digits", header(b"Content-Length: " + b"9" * 5000), 413
    ),
    Case("negative Content-Length", header(b"Content-Length: -1"), 400),
    Case("signed Content-Length", header(b"Content-Length: +0"), 400),
    Case("hexadecimal Content-Length", header(b"Content-Length: 0x0"), 400),
    Case("underscore in Content-Length", header(b"Content-Length: 1_0"), 400),
    Case("superscript Content-Length", header(b"Content-Length: \xb2"), 400),
    Case("empty Content-Length", header(b"Content-Length:"), 400),
    Case("listed Content-Length", header(b"Content-Length: 5, 5"), 400),
    Case("differing", header(b"Content-Length: 0\r\nContent-Length: 5"), 400),
    Case("repeated", header(b"Content-Length: 5\r\nContent-Length: 5"), 400),
    Case("chunked", header(b"Transfer-Encoding: chunked"), 411),
    Case("identity", header(b"transfer-encoding: identity"), 411),
    Case("CL.TE", header(b"Content-Length: 5\r\nTransfer-Encoding: chunked"), 400),
    Case("TE.CL", header(b"Transfer-Encoding: chunked\r\nContent-Length: 0"), 400),
    Case("413 before 404", get(b"/nowhere", b"Host: h", b"Content-Length: 1"), 413),
    # Limits
    Case("one header too many", b"GET / HTTP/1.1\r\n" + MANY + HOST, 431),
    Case("too many, stray LF", b"GET / HTTP/1.1\r\n" + MANY + b"a\nb\r\n", 400),
    Case("request line too long", line(b"GET /%s HTTP/1.1" % (b"a" * HEAD_LIMIT)), 431),
    Case("method too long", b"A" * (HEAD_LIMIT + 1), 431),
    Case("header too long", header(b"X: " + b"a" * HEAD_LIMIT), 431),
    Case("only empty lines", b"\r\n" * (HEAD_LIMIT // 2) + b"G", 431),
    Case("405 before 431", line(b"POST / HTTP/1.1") + b"a" * HEAD_LIMIT, 405),
    Case("stray CR before 431", b"GET /\rx" + b"a" * HEAD_LIMIT, 400),
    # Nothing is wrong yet
    Case("nothing", b"", None),
    Case("empty lines", b"\r\n\r\n", None),
    Case("a CR", b"\r", None),
    Case("half a method", b"GE", None),
    Case("a line without its end", b"GET / HTTP/1.1\r", None),
    Case("no empty line", b"GET / HTTP/1.1\r\n" + HOST, None),
    Case("half an empty line", b"GET / HTTP/1.1\r\n" + HOST + b"\r", None),
    Case("NUL in a line without its end", b"GET /\x00 HTTP/1.1", None),
    Case("as long as may be", b"A" * HEAD_LIMIT, None),
]

OLD = b"HTTP/1.0"
VALID = [
    Valid("root", get(b"/")),
    Valid("HEAD", line(b"HEAD / HTTP/1.1"), head_only=True),
    Valid("query", get(b"/?a=/spin/5?b")),
    Valid("spin", get(b"/spin/250"), route="SPIN", argument=250),
    Valid("spin 0", get(b"/spin/0"), route="SPIN"),
    Valid("leading zeros", get(b"/spin/000000007"), route="SPIN", argument=7),
    Valid(
        "spin at the limit",
        get(b"/spin/%d" % SPIN_LIMIT_US),
        route="SPIN",
        argument=SPIN_LIMIT_US,
    ),
    Valid("bytes", get(b"/bytes/1000"), route="BYTES", argument=1000),
    Valid("bytes 0", get(b"/bytes/0"), route="BYTES"),
    Valid(
        "bytes at the limit",
        get(b"/bytes/%d?x" % BYTES_LIMIT),
        route="BYTES",
        argument=BYTES_LIMIT,
    ),
    Valid(
        "HEAD of bytes",
        line(b"HEAD /bytes/70000 HTTP/1.1"),
        route="BYTES",
        argument=70000,
        head_only=True,
    ),
    Valid("absolute", get(b"http://h:80/spin/5"), route="SPIN", argument=5),
    Valid("absolute without path", get(b"HTTP://h")),
    Valid("absolute with a query", get(b"http://h?/spin/5")),
    Valid("empty lines before", b"\r\n\r\n" + get(b"/")),
    Valid("empty Host", get(b"/", b"Host:")),
    Valid("Host in capitals, no space", get(b"/", b"HOST:h")),
    Valid("many spaces around a value", get(b"/", b"Host: \t h \t ")),
    Valid("bytes above 0x7f in a value", get(b"/", b"Host: h", b"X: \xc3\xa9\x80\xff")),
    Valid("tab and colons in a value", get(b"/", b"Host: h", b"X: a\tb:c::")),
    Valid("every kind of token byte", get(b"/", b"Host: h", b"!#$%&'*+-.^_`|~0aZ: x")),
    Valid("Content-Length 0", get(b"/", b"Host: h", b"Content-Length: 0")),
    Valid("Content-Length 000", get(b"/", b"Host: h", b"Content-Length: \t000 ")),
    Valid("close", get(b"/", b"Host: h", b"Connection: close"), keep_alive=False),
    Valid("CLOSE", get(b"/", b"Host: h", b"connection:CLOSE"), keep_alive=False),
    Valid(
        "close in a list",
        get(b"/", b"Host: h", b"Connection: keep-alive ,,\tclose, x"),
        keep_alive=False,
    ),
    Valid(
        "close in the second line",
        get(b"/", b"Connection: keep-alive", b"Host: h", b"Connection: close"),
        keep_alive=False,
    ),
    Valid("closed is not close", get(b"/", b"Host: h", b"Connection: closed, x close")),
    Valid("1.0", get(b"/", version=OLD), keep_alive=False, minor=0),
    Valid("1.0 without Host", b"GET / HTTP/1.0\r\n\r\n", keep_alive=False, minor=0),
    Valid("1.0 kept", get(b"/", b"Connection: Keep-Alive", version=OLD), minor=0),
    Valid(
        "1.0 kept and closed",
        get(b"/", b"Connection: keep-alive, close", version=OLD),
        keep_alive=False,
        minor=0,
    ),
    Valid("404", get(b"/nowhere"), status=404, route="MISSING"),
    Valid("404 closed", get(b"/x", version=OLD), 404, "MISSING", 0, False, False, 0),
    Valid("spin without N", get(b"/spin/"), status=404, route="MISSING"),
    Valid("spin without slash", get(b"/spin"), status=404, route="MISSING"),
    Valid("ten digits", get(b"/spin/0000000001"), status=404, route="MISSING"),
    Valid("signed N", get(b"/spin/+5"), status=404, route="MISSING"),
    Valid("underscored N", get(b"/spin/1_0"), status=404, route="MISSING"),
    Valid("slash after N", get(b"/spin/5/"), status=404, route="MISSING"),
    Valid("deeper", get(b"/a/spin/5"), status=404, route="MISSING"),
    Valid("two slashes", get(b"//"), status=404, route="MISSING"),
    Valid("percent signs", get(b"/%73pin/5"), status=404, route="MISSING"),
    Valid("capitals", get(b"/SPIN/5"), status=404, route="MISSING"),
    Valid(
        "as many headers as may be",
        b"GET / HTTP/1.1\r\n" + HOST + MANY[: -len(b"X: y\r\n")] + b"\r\n",
    ),
]
