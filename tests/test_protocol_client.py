"""The client's half: requests that the server reads, answers read as they are."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab import protocol_client
from netlab.kernel.native import for_python
from netlab.protocol import HEAD_LIMIT, Route, answer, keeps, read_request
from netlab.protocol_client import (
    INCOMPLETE,
    MALFORMED,
    UNSAID,
    Head,
    write_request,
)
from tests import cases
from tests.cases import Case, Valid, get

answer_head = for_python(protocol_client.answer_head)
read_other = for_python(protocol_client.read_other)
read_own = for_python(protocol_client.read_own)
quick = settings(max_examples=300, deadline=None, derandomize=True)


def read(data: bytes, at: int = 0, stop: int | None = None, by=answer_head) -> Head:
    """What `by` reads in data[at:stop], as Python's numbers."""
    array = np.frombuffer(data, np.uint8).copy()  # a bundle's arrays are writable too
    head = by(array, at, len(data) if stop is None else stop)
    return Head(*(int(number) for number in head))


CASES = [*cases.VALID, *cases.MALFORMED]


def by_name(case: Case | Valid) -> str:
    return case.name


@pytest.mark.parametrize("keep_alive", [True, False])
def test_requests_written_are_requests_read(keep_alive):
    data = write_request("/spin/20?x", "127.0.0.1:80", keep_alive=keep_alive)
    request = read_request(data)
    expected = (200, Route.SPIN, 20, False, keep_alive, 1, len(data), b"")
    assert request == expected


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("spin", "h"),
        ("", "h"),
        ("/a b", "h"),
        ("/é", "h"),
        ("/", "h\r\nX: y"),
        ("/#", ""),
    ],
)
def test_requests_that_cannot_be_written(path, host):
    with pytest.raises(ValueError, match=r"path|ASCII"):
        write_request(path, host)


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_answers_are_honest_and_read_back(case):
    request = read_request(case.data)
    if request is None:
        return
    first, owed = answer(request, worker=3, tid=12345, cpu=1, accepts=57)
    head, end, _ = first.partition(b"\r\n\r\n")
    head += end
    seen = read(first)
    size = len(head) if request.head_only else len(first) + owed
    assert seen.head_size == len(head)
    assert seen[:3] == (request.status, 3, 1)
    assert seen.keep_alive == request.keep_alive
    assert request.head_only or seen.size == size
    assert (b"\r\nConnection: close" in head) == (not request.keep_alive)
    assert (b"\r\nAllow: GET, HEAD" in head) == (request.status == 405)


def test_an_unknown_cpu_is_told_and_read_as_unknown():
    request = read_request(get(b"/"))
    assert request is not None
    data, _ = answer(request, worker=0, tid=1, cpu=-1, accepts=0)
    assert read(data)[:4] == (200, 0, UNSAID, len(data))


def number_in(values: list[bytes]) -> int:
    """UNSAID for none and for -1, MALFORMED for anything that is not one number."""
    text = b",".join(values).strip(b" \t")
    if values and not re.fullmatch(rb"-1|[0-9]{1,15}", text):
        return MALFORMED - 1
    return int(text or b"-1")


def expected(data: bytes) -> Head:
    """The same rules once more, the plain way: on bytes, and the whole head at once."""
    window = data[:HEAD_LIMIT]
    head, end, _ = window.partition(b"\r\n\r\n")
    line = re.match(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: |\r)", window)
    begin = b"HTTP/1."[: len(data)]
    if not end and window.startswith(begin) and len(data) <= HEAD_LIMIT:
        return read_nothing(INCOMPLETE)
    if not end or not line:
        return read_nothing(MALFORMED)
    pairs = [part.partition(b":")[::2] for part in head.lower().split(b"\r\n")]
    said = {name: [v for n, v in pairs if n == name] for name, _ in pairs}
    length, worker, cpu = (number_in(said.get(name, [])) for name in NUMBERS)
    if min(length + 1, worker + 2, cpu + 2) < 1 or b"transfer-encoding" in said:
        return read_nothing(MALFORMED)
    kept = keeps(b",".join(said.get(b"connection", [])), int(line[1]))
    size = len(head + end)
    return Head(int(line[2]), worker, cpu, size + length, int(kept), size)


NUMBERS = b"content-length", b"x-netlab-worker", b"x-netlab-cpu"


def read_nothing(status: int) -> Head:
    return Head(status, UNSAID, UNSAID, 0, 0, 0)


def assert_read_as_expected(data: bytes) -> None:
    told = expected(data)
    assert read(b"HTTP" + data + b"\r\n\r\n", 4, 4 + len(data)) == told
    own = read(data, by=read_own)
    assert own.status == INCOMPLETE or own == told


@pytest.mark.parametrize("path", [b"/", b"/spin/5", b"/bytes/9", b"/bytes/100000"])
@pytest.mark.parametrize("more", [(), (b"Connection: close",)])
@pytest.mark.parametrize("cpu", [0, 127])
def test_our_own_good_answers_are_read_in_one_comparison(path, more, cpu):
    request = read_request(get(path, b"Host: h", *more))
    assert request is not None
    data, _ = answer(request, worker=12, tid=1, cpu=cpu, accepts=0)
    own = read(data, by=read_own)
    assert own == read(data, by=read_other) == read(data)
    assert own.keep_alive == request.keep_alive
    for count in range(own.head_size):
        assert read(data, stop=count).status == INCOMPLETE


ours = [
    answer(request, worker=3, tid=1, cpu=cpu, accepts=0)[0][:300]
    for case in CASES
    for cpu in (-1, 1)
    if (request := read_request(case.data))
]
bits = [
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b":",
    b"0",
    b"-1",
    b"\x00",
    b"9999999999999999",
    b"Connection: close\r\n",
]


@quick
@given(st.sampled_from(ours), st.integers(0, 300), st.integers(0, 4), st.data())
def test_spoiled_answers_are_read_by_the_rules(data, begin, cut, draw):
    bit = draw.draw(st.sampled_from([b"", *bits]))
    assert_read_as_expected(data[:begin] + bit + data[begin + cut :])


OTHERS = [
    (b"HTTP/1.1 204 No Content\r\nServer: x\r\ncontent-LENGTH:  0 ", 204, 0, True),
    (b"HTTP/1.1 200\r\nContent-Length: 3\r\nConnection: x, Close", 200, 3, False),
    (b"HTTP/1.0 503 Busy\r\nContent-Length: 1", 503, 1, False),
    (b"HTTP/1.0 200 \r\nConnection: Keep-Alive\r\nContent-Length:0", 200, 0, True),
    (b"HTTP/1.1 200 x\r\nConnection:\r\nContent-Length:\t12", 200, 12, True),
    (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
        b"Connection: keep-alive\r\nHost: a\r\nHost: b\r\nConnection:\tCLOSE ,x",
        *(200, 5, False),
    ),
]


@pytest.mark.parametrize("other", OTHERS)
def test_answers_of_other_servers(other):
    text, status, length, keep_alive = other
    data = text + b"\r\n\r\n"
    told = Head(status, UNSAID, UNSAID, len(data) + length, keep_alive, len(data))
    assert read(data) == told
    assert read(b"??" + data + data, 2) == told
    for count in range(len(data)):
        assert read(data, stop=count).status == INCOMPLETE
    assert_read_as_expected(data)


def test_a_body_is_counted_before_it_is_there():
    seen = read(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n12")
    assert seen.size == seen.head_size + 1_000_000


OK = b"HTTP/1.1 200 OK\r\n"
UNREADABLE = [
    b"SSH-2.0-x",
    b"\x15\x03\x01",
    b"HTTP/2",
    b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 200\r\n\r\n",
    b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1200 OK\r\nContent-Length: 0\r\n\r\n",
    OK + b"\r\n",
    OK + b"Content-Length: \r\n\r\n",
    OK + b"Content-Length: -1\r\n\r\n",
    OK + b"Content-Length: 1_0\r\n\r\n",
    OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
    OK + b"Content-Length: 9999999999999999\r\n\r\n",
    OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    OK + b"Content-Length: 1\r\nX-Netlab-Worker: one\r\n\r\n",
    OK + b"Content-Length: 1\rX\r\n\r\n",
    OK + b"Content-Length: 1\r\nX-Netlab-Cpu\r\n\r\n",
    OK + b"X: " + b"y" * HEAD_LIMIT,
]


@pytest.mark.parametrize("data", UNREADABLE, ids=range(len(UNREADABLE)))
def test_malformed_answers_are_told(data):
    assert read(data) == read_nothing(MALFORMED)
    assert_read_as_expected(data)


@pytest.mark.parametrize("extra", [0, 1])
def test_the_limit_of_a_head_is_exact(extra):
    begin, end = OK + b"Content-Length: 0\r\nX: ", b"\r\n\r\n"
    data = begin.ljust(HEAD_LIMIT + extra - len(end), b"y") + end
    assert read(data).status == (200, MALFORMED)[extra]
    assert read(data[:HEAD_LIMIT]).status == (200, INCOMPLETE)[extra]
    assert_read_as_expected(data)


PIECES = [
    *(b"Content-Length", b"content-length", b"X-Netlab-Worker", b"X-Netlab-CPU"),
    *(b"Transfer-Encoding", b"Connection", b"Host", b"close", b"Keep-Alive", b"X"),
    *(b":", b": ", b",", b" ", b"\t", b"0", b"12", b"-1", b"-", b"999999999999999"),
    *(b"\r\n", b"\r\n", b"\r", b"\n", b"\x00", b"\xc9"),
]
some = st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join)
name_value = st.tuples(st.sampled_from(PIECES[:7]), st.sampled_from([b":", b""]), some)
headers = st.lists(st.one_of(name_value.map(b"".join), some), max_size=5)


@quick
@given(
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 404\r", b"HTTP/1.1 099 x", b""]),
    headers,
    st.sampled_from([b"\r\n\r\n", b"\r\nContent-Length: 7\r\n\r\n", b"\r\n"]),
)
def test_other_answers_are_read_by_the_rules(line, headers, end):
    assert_read_as_expected(b"\r\n".join([line, *headers]) + end)


@quick
@given(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(OK.__add__)))
def test_other_bytes_are_read_by_the_rules(data):
    assert_read_as_expected(data)
