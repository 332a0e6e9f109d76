"""The server's half: verdicts, their independence of the splits, honest answers."""

import http.client
import io
import json
import re
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
    JSON_BYTES,
    Request,
    Route,
    answer,
    read_request,
)
from tests.cases import MALFORMED, VALID, Case, Valid, get

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


def assert_read_alike_without_plain(data: bytes) -> None:
    quick_verdict = read_request(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "PLAIN", re.compile(b"(?!)"))  # matches nothing
        assert read_request(data) == quick_verdict


@pytest.mark.parametrize("case", [*VALID, *MALFORMED], ids=by_name)
def test_plain_heads_are_read_as_any_other(case):
    assert_read_alike_without_plain(case.data)


@quick
@given(st.one_of(nearly, spoiled()))
def test_nearly_plain_heads_too(data):
    assert_read_alike_without_plain(data)


@pytest.mark.parametrize("name", [b"Host", b"Connection", b"Content-Length", b"TE"])
@pytest.mark.parametrize("change", [bytes, bytes.lower, bytes.upper, bytes.swapcase])
def test_names_that_matter_are_never_plain(name, change):
    head = get(b"/", b"Host: h", change(name) + b": 0").removesuffix(b"\r\n\r\n")
    assert protocol.HEAD.fullmatch(head)
    assert not protocol.PLAIN.fullmatch(head)


@pytest.mark.parametrize(
    "headers",
    [
        (b"Host: 127.0.0.1:8080",),  # wrk and our own client
        (b"Host: h:1", b"User-Agent: ApacheBench/2.3", b"Accept: */*"),
        (b"Host: [::1]:8080", b"User-Agent: curl/8.5.0", b"Accept: */*"),
    ],
)
def test_the_heads_of_load_generators_are_plain(headers):
    head = get(b"/", *headers).removesuffix(b"\r\n\r\n")
    assert protocol.PLAIN.fullmatch(head)


@pytest.mark.parametrize("byte", range(256))
def test_the_check_of_a_whole_head_and_of_its_lines_agree(byte):
    one = bytes([byte])
    for data in (
        get(b"/" + one),
        get(b"/", b"Host: h" + one),
        get(b"/", b"Host: h", b"X%b: y" % one),
        get(b"/", b"Host: h", b"X: y%bz" % one),
        get(b"/", b"Host: h", version=b"HTTP/1." + one),
        one + get(b"/"),
    ):
        assert_split_independent(data)
        assert_read_alike_without_plain(data)


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
    request = read_request(get(b"/%b/%d" % (path.encode(), limit + 1)))
    assert request is not None
    assert str(limit) in request.reason.decode()


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


@pytest.mark.parametrize("path", [b"/", b"/spin/20"])
def test_root_and_spin_tell_who_answered(path):
    request = read_request(get(path))
    assert request is not None
    _, body = answered(request)
    assert body.rstrip(b" \n").endswith(b"}")
    told = {"worker": 3, "tid": 12345, "cpu": 1, "accepts": 57}
    assert json.loads(body) == told


NUMBERS = [  # worker, tid, cpu, accepts
    (0, 1, 0, 0),
    (0, 1, -1, 0),
    (17, 4242, 3, 100),
    (9999, 4_194_304, 9999, 10**12 - 1),  # the largest that are foreseen
]


@pytest.mark.parametrize("path", [b"/", b"/spin/20"])
@pytest.mark.parametrize(("worker", "tid", "cpu", "accepts"), NUMBERS)
def test_the_json_is_always_equally_long(path, worker, tid, cpu, accepts):
    request = read_request(get(path))
    assert request is not None
    told = {"worker": worker, "tid": tid, "cpu": cpu, "accepts": accepts}
    data, owed = answer(request, **told)
    head, _, body = data.partition(b"\r\n\r\n")
    assert (len(body), owed) == (JSON_BYTES, 0)
    assert b"\r\nContent-Length: %d\r\n" % JSON_BYTES in head
    assert body.endswith(b"\n")
    assert json.loads(body) == told


@pytest.mark.parametrize("which", ["worker", "tid", "cpu", "accepts"])
def test_larger_numbers_make_longer_json_and_are_told(which):
    request = read_request(get(b"/"))
    assert request is not None
    told = {"worker": 9999, "tid": 4_194_304, "cpu": 9999, "accepts": 10**12 - 1}
    told[which] *= 10
    head, _, body = answer(request, **told)[0].partition(b"\r\n\r\n")
    assert len(body) > JSON_BYTES
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head
    assert json.loads(body) == told


@pytest.mark.parametrize("count", [0, 1, len(FILLER), len(FILLER) + 1, 200_000])
def test_long_bodies_are_owed_and_short_ones_sent(count):
    request = read_request(get(b"/bytes/%d" % count))
    assert request is not None
    first, owed = answer(request, worker=0, tid=1, cpu=0, accepts=0)
    assert owed == (count if count > len(FILLER) else 0)
    head, body = answered(request)
    assert len(body) == count
    assert first.startswith(head[:15])
    assert body[: len(FILLER)] == FILLER[:count]


def test_a_kept_connection_of_http_1_0_is_told():
    request = read_request(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert request is not None
    assert b"\r\nConnection: keep-alive\r\n" in answered(request)[0]
