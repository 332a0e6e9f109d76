"""The protocol: verdicts, their independence of the splits, and honest answers."""

import contextlib
import http.client
import io
import json
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab import protocol
from netlab.protocol import (
    FILLER,
    HEAD_LIMIT,
    HEADER_COUNT_LIMIT,
    Answer,
    ProtocolError,
    Request,
    Route,
    answer,
    answer_head,
    read_answer,
    read_request,
    write_request,
)
from tests.cases import MALFORMED, VALID, Case, Valid

quick = settings(max_examples=300, deadline=None, derandomize=True)


def by_name(case: Case | Valid) -> str:
    return case.name


def verdicts(data: bytes) -> Iterator[Request | None]:
    """What is read in every prefix of `data`: all that any split can show."""
    return (read_request(data[:count]) for count in range(len(data) + 1))


def assert_split_independent(data: bytes) -> None:
    whole = read_request(data)
    assert {verdict for verdict in verdicts(data) if verdict} <= {whole}


def answered(request: Request) -> tuple[bytes, bytes]:
    """The head and the whole body, as a client would see them."""
    first, owed = answer(request, worker=3, tid=12345, cpu=1, accepts=57)
    head, end, body = first.partition(b"\r\n\r\n")
    return head + end, body + (FILLER * (owed // len(FILLER) + 1))[:owed]


@pytest.mark.parametrize("case", MALFORMED, ids=by_name)
def test_malformed(case):
    request = read_request(case.data)
    assert (request and request.status) == case.status
    assert_split_independent(case.data)
    if request:
        assert request[1:3] == (Route.MISSING, 0)
        assert (request.keep_alive, request.size) == (False, 0)
        assert request.reason.isascii()


@pytest.mark.parametrize("case", VALID, ids=by_name)
def test_valid(case):
    request = read_request(case.data)
    assert request is not None
    assert request[:6] == (*case[2:3], Route[case.route], *case[4:])
    assert request.size == len(case.data)
    assert bool(request.reason) == (request.status != 200)
    assert set(verdicts(case.data[:-1])) == {None}


@pytest.mark.parametrize("case", [*MALFORMED, *VALID], ids=by_name)
def test_place_and_type_of_the_buffer_do_not_matter(case):
    expected = read_request(case.data)
    assert read_request(bytearray(case.data)) == expected
    assert read_request(b"\n\x00junk" + case.data, 6) == expected


@pytest.mark.parametrize("case", VALID, ids=by_name)
def test_what_follows_a_request_does_not_matter(case):
    assert read_request(case.data + b"\n\x00" * HEAD_LIMIT) == read_request(case.data)


def test_there_are_enough_cases_and_their_names_differ():
    names = [case.name for case in [*MALFORMED, *VALID]]
    assert len(MALFORMED) >= 60
    assert len(names) == len(set(names))


pipelines = st.lists(st.sampled_from(VALID), min_size=1, max_size=6)


@quick
@given(pipelines, st.lists(st.integers(0, 2000), max_size=12))
def test_pipelined_requests_are_read_as_if_alone(cases, cuts):
    stream = b"".join(case.data for case in cases)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    buffer, seen = bytearray(), []
    for begin, end in pairwise(places):
        buffer += stream[begin:end]
        at = 0
        while request := read_request(buffer, at):
            seen.append(request)
            at += request.size
        del buffer[:at]
    assert seen == [read_request(case.data) for case in cases]
    assert not buffer


@quick
@given(st.binary(max_size=200))
def test_no_bytes_raise(data):
    assert_split_independent(data)


PIECES = [
    *(b"GET", b"HEAD", b"POST", b"get", b" ", b"/", b"spin/", b"5", b"http://", b"?"),
    *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"Host: h", b"Connection: close", b":"),
    *(b"Content-Length: ", b"Transfer-Encoding: x", b"0", b"\t", b"\x00", b"\xff"),
    *(b"\r\n", b"\r\n", b"\r\n", b"\r", b"\n", b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
]
nearly = st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join)


@st.composite
def spoiled(draw):
    """A valid request with a piece put over some of its bytes."""
    data = draw(st.sampled_from(VALID)).data[:300]
    begin = draw(st.integers(0, len(data)))
    return data[:begin] + draw(nearly) + data[begin + draw(st.integers(0, 4)) :]


@quick
@given(st.one_of(nearly, spoiled()))
def test_verdicts_do_not_depend_on_the_split(data):
    assert_split_independent(data)


@quick
@given(st.one_of(nearly, spoiled()), st.integers(1, 80), st.integers(0, 3))
def test_nor_near_small_limits(data, head_limit, count_limit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "HEAD_LIMIT", head_limit)
        patch.setattr(protocol, "HEADER_COUNT_LIMIT", count_limit)
        assert_split_independent(data)
        if len(data) > head_limit:
            assert read_request(data) is not None


@pytest.mark.parametrize("blank", [0, 1, 5])
def test_head_limit_is_exact(blank):
    def head(size: int) -> bytes:
        before = b"\r\n" * blank + b"GET / HTTP/1.1\r\nHost: "
        return before + b"h" * (size - len(before) - 4) + b"\r\n\r\n"

    longest = read_request(head(HEAD_LIMIT))
    assert longest is not None
    assert (longest.status, longest.size) == (200, HEAD_LIMIT)
    for size in (HEAD_LIMIT + 1, HEAD_LIMIT + 2, HEAD_LIMIT + 5):
        data = head(size)
        assert read_request(data[:HEAD_LIMIT]) is None
        refused = read_request(data[: HEAD_LIMIT + 1])
        assert refused is not None
        assert refused.status == 431
        assert refused == read_request(data)


@pytest.mark.parametrize(("extra", "status"), [(-1, 200), (0, 431)])
def test_header_count_limit_is_exact(extra, status):
    others = b"".join(b"X%d:\r\n" % n for n in range(HEADER_COUNT_LIMIT + extra))
    request = read_request(b"GET / HTTP/1.1\r\nHost: h\r\n" + others + b"\r\n")
    assert request is not None
    assert request.status == status


@pytest.mark.parametrize("path", ["spin", "bytes"])
def test_limits_are_named_in_the_reason(path):
    limit = {"spin": protocol.SPIN_LIMIT_US, "bytes": protocol.BYTES_LIMIT}[path]
    request = read_request(write_request(f"/{path}/{limit + 1}", "h"))
    assert request is not None
    assert str(limit) in request.reason.decode()


@pytest.mark.parametrize("case", [*VALID, *MALFORMED], ids=by_name)
def test_answers_are_honest_and_read_back(case):
    request = read_request(case.data)
    if request is None:
        return
    head, body = answered(request)
    read = answer_head(head + body)
    assert read is not None
    seen, head_size = read
    size = head_size if request.head_only else len(head) + len(body)
    assert head_size == len(head)
    assert seen[:3] == (request.status, 3, 1)
    assert seen.keep_alive == request.keep_alive
    assert request.head_only or seen.size == size
    assert (b"\r\nConnection: close" in head) == (not request.keep_alive)
    assert (b"\r\nAllow: GET, HEAD" in head) == (request.status == 405)


@pytest.mark.parametrize("case", VALID, ids=by_name)
def test_head_says_what_get_says(case):
    request = read_request(case.data)
    assert request is not None
    of_get, body = answered(request._replace(head_only=False))
    of_head, nothing = answered(request._replace(head_only=True))
    assert of_head == of_get
    assert nothing == b""
    assert f"Content-Length: {len(body)}\r\n".encode() in of_head


class _Socket(io.BytesIO):
    """Enough of a socket for http.client to read from."""

    def makefile(self, *_: object) -> io.BytesIO:
        return self


@pytest.mark.parametrize("case", [*VALID, *MALFORMED], ids=by_name)
def test_the_standard_library_reads_the_answers(case):
    request = read_request(case.data)
    if request is None:
        return
    head, body = answered(request)
    method = "HEAD" if request.head_only else "GET"
    response = http.client.HTTPResponse(_Socket(head + body), method=method)  # type: ignore[arg-type]
    response.begin()
    assert response.status == request.status
    assert response.will_close == (not request.keep_alive)
    assert response.read() == body
    assert response.getheader("X-Netlab-Worker") == "3"


def test_root_and_spin_tell_who_answered():
    for path in ("/", "/spin/20"):
        request = read_request(write_request(path, "h"))
        assert request is not None
        _, body = answered(request)
        assert body.endswith(b"}\n")
        told = {"worker": 3, "tid": 12345, "cpu": 1, "accepts": 57}
        assert json.loads(body) == told


@pytest.mark.parametrize("count", [0, 1, len(FILLER), len(FILLER) + 1, 200_000])
def test_long_bodies_are_owed_and_short_ones_sent(count):
    request = read_request(write_request(f"/bytes/{count}", "h"))
    assert request is not None
    first, owed = answer(request, worker=0, tid=1, cpu=0, accepts=0)
    assert owed == (count if count > len(FILLER) else 0)
    head, body = answered(request)
    assert len(body) == count
    assert first.startswith(head[:15])
    assert body[: len(FILLER)] == FILLER[:count]


def test_an_unknown_cpu_is_told_and_read_as_unknown():
    request = read_request(write_request("/", "h"))
    assert request is not None
    data, _ = answer(request, worker=0, tid=1, cpu=-1, accepts=0)
    read = read_answer(data)
    assert read is not None
    assert read[1:3] == (0, -1)


def test_a_kept_connection_of_http_1_0_is_told():
    request = read_request(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert request is not None
    assert b"\r\nConnection: keep-alive\r\n" in answered(request)[0]


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
