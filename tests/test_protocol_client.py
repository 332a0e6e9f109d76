"""The client's half: requests that the server reads, answers read as they are."""

import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab import protocol_client
from netlab.protocol import HEAD_LIMIT, Route, answer, read_request
from netlab.protocol_client import (
    Answer,
    ProtocolError,
    answer_head,
    write_request,
)
from tests.cases import MALFORMED, VALID, Case, Valid, get

quick = settings(max_examples=300, deadline=None, derandomize=True)


def read_answer(data, at=0):
    """The answer that begins at `at`, once all its bytes are there; else None."""
    read = answer_head(data, at)
    return None if read is None or len(data) - at < read[0].size else read[0]


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


@pytest.mark.parametrize("case", [*VALID, *MALFORMED], ids=by_name)
def test_answers_are_honest_and_read_back(case):
    request = read_request(case.data)
    if request is None:
        return
    first, owed = answer(request, worker=3, tid=12345, cpu=1, accepts=57)
    head, end, _ = first.partition(b"\r\n\r\n")
    head += end
    read = answer_head(first)
    assert read is not None
    seen, head_size = read
    size = head_size if request.head_only else len(first) + owed
    assert head_size == len(head)
    assert seen[:3] == (request.status, 3, 1)
    assert seen.keep_alive == request.keep_alive
    assert request.head_only or seen.size == size
    assert (b"\r\nConnection: close" in head) == (not request.keep_alive)
    assert (b"\r\nAllow: GET, HEAD" in head) == (request.status == 405)


def test_an_unknown_cpu_is_told_and_read_as_unknown():
    request = read_request(get(b"/"))
    assert request is not None
    data, _ = answer(request, worker=0, tid=1, cpu=-1, accepts=0)
    read = read_answer(data)
    assert read is not None
    assert read[1:3] == (0, -1)


def outcome(data: bytes) -> object:
    try:
        return answer_head(data)
    except ProtocolError as error:
        return str(error)


def assert_read_alike_without_own(data: bytes) -> None:
    quick_reading = outcome(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol_client, "OWN", re.compile(b"(?!)"))  # matches nothing
        assert outcome(data) == quick_reading


@pytest.mark.parametrize("path", [b"/", b"/spin/5", b"/bytes/9", b"/nowhere"])
@pytest.mark.parametrize("more", [(), (b"Connection: close",)])
@pytest.mark.parametrize("cpu", [-1, 0, 127])
def test_our_own_answers_are_read_in_one_match(path, more, cpu):
    request = read_request(get(path, b"Host: h", *more))
    assert request is not None
    data, _ = answer(request, worker=12, tid=1, cpu=cpu, accepts=0)
    assert protocol_client.OWN.match(data)
    assert_read_alike_without_own(data)


ours = [
    answer(request, worker=3, tid=1, cpu=cpu, accepts=0)[0][:300]
    for case in [*VALID, *MALFORMED]
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
    b"Connection: close\r\n",
]


@quick
@given(st.sampled_from(ours), st.integers(0, 300), st.integers(0, 4), st.data())
def test_spoiled_answers_are_read_alike(data, begin, cut, draw):
    bit = draw.draw(st.sampled_from([b"", *bits]))
    assert_read_alike_without_own(data[:begin] + bit + data[begin + cut :])


OTHERS = (
    b"HTTP/1.1 204 No Content\r\nServer: x\r\ncontent-LENGTH:  0 \r\n\r\n",
    b"HTTP/1.1 200\r\nContent-Length: 3\r\nConnection: x, Close\r\n\r\nabc",
    b"HTTP/1.0 503 Busy\r\nContent-Length: 1\r\n\r\n!",
    b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n",
)
READ = [(204, True), (200, False), (503, False), (200, True)]


@pytest.mark.parametrize(("data", "told"), list(zip(OTHERS, READ, strict=True)))
def test_answers_of_other_servers(data, told):
    status, keep_alive = told
    assert read_answer(data) == Answer(status, -1, -1, len(data), keep_alive)
    assert {read_answer(data[:count]) for count in range(len(data))} == {None}
    assert read_answer(bytearray(b"??" + data + data), 2) == read_answer(data)


def test_a_body_is_counted_before_it_is_there():
    read = answer_head(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n12")
    assert read is not None
    assert read[0].size == read[1] + 1_000_000


OK = b"HTTP/1.1 200 OK\r\n"
UNREADABLE = [
    b"SSH-2.0-x",
    b"\x15\x03\x01",
    b"HTTP/2",
    b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1\r\n\r\n",
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
def test_malformed_answers_raise_and_show_what_was_seen(data):
    with pytest.raises(ProtocolError, match=r"b'"):
        read_answer(data)


@quick
@given(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(OK.__add__)))
def test_other_bytes_raise_nothing_else(data):
    with contextlib.suppress(ProtocolError):
        read_answer(data)
