"""Both files say the same: `protocol` on bytes and `protocol_arrays` on arrays."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netlab import protocol, protocol_answers, protocol_arrays
from netlab.kernel.native import for_python
from netlab.protocol import FAULTS, FILLER, HEAD_LIMIT, HEADER_COUNT_LIMIT, Request
from netlab.protocol_answers import ANSWER_BYTES, TEXTS
from netlab.protocol_arrays import FINE, Parsed
from tests.cases import MALFORMED, VALID, Case, Valid, get

read_request = for_python(protocol_arrays.read_request)
write_answer = for_python(protocol_answers.write_answer)
write_filler = for_python(protocol_answers.write_filler)
quick = settings(max_examples=500, deadline=None, derandomize=True)
CASES = [*VALID, *MALFORMED]
KEPT = {(keep_alive, minor) for keep_alive in (True, False) for minor in (0, 1)}
BEFORE, BEHIND = b"GET /\n\x00", b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"
ORDER = "worker", "tid", "cpu", "accepts"
OUT = np.zeros(ANSWER_BYTES + 16, np.uint8)


def by_name(case: Case | Valid) -> str:
    return case.name


def expected(request: Request | None) -> Parsed:
    """What the arrays must say where the bytes say `request`."""
    if request is None:
        return Parsed(0, protocol.MISSING, 0, 0, 0, 1, 0, FINE)
    reasons = {fault.reason: place for place, fault in enumerate(FAULTS)}
    fault = reasons[request.reason] if request.reason else FINE
    return Parsed(*map(int, request[:7]), fault)


def array_around(data: bytes) -> np.ndarray:
    return np.frombuffer(BEFORE + data + BEHIND, np.uint8).copy()


def read(array: np.ndarray, size: int) -> Parsed:
    at = len(BEFORE)
    return Parsed(*map(int, read_request(array, at, at + size)))


def assert_read_alike(data: bytes) -> Request | None:
    request = protocol.read_request(data)
    assert read(array_around(data), len(data)) == expected(request)
    return request


def assert_parts_read_alike(data: bytes) -> None:
    array = array_around(data)
    for size in range(len(data) + 1):
        told = expected(protocol.read_request(data[:size]))
        assert read(array, size) == told


def assert_answered_alike(request: Request, **told: int) -> None:
    first, owed = protocol.answer(request, **told)
    OUT[:] = 0
    wrote, owes = write_answer(OUT, 5, expected(request), *map(told.get, ORDER))
    assert OUT[5:wrote].tobytes() == first
    assert owes == owed
    assert not OUT[:5].any()
    assert not OUT[wrote:].any()


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_a_case_and_every_part_of_it_is_read_alike(case):
    if len(case.data) < 1000:
        assert_parts_read_alike(case.data)
    for size in (*range(0, len(case.data), 99), HEAD_LIMIT, HEAD_LIMIT + 1):
        assert_read_alike(case.data[:size])
    assert_read_alike(case.data)


numbers = st.one_of(
    st.integers(-1, 200),
    st.sampled_from([9, 10, 99, 100, 10**12 - 1, 10**12, 2**31, 2**63 - 1, 1 - 2**63]),
    st.integers(0, 2**63 - 1),
)
told = st.fixed_dictionaries(dict.fromkeys(ORDER, numbers))


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_every_case_is_answered_alike(case):
    request = protocol.read_request(case.data)
    if request is not None:
        assert_answered_alike(request, worker=3, tid=12345, cpu=-1, accepts=57)


@quick
@given(
    st.sampled_from([protocol.read_request(case.data) for case in VALID]),
    st.sampled_from([0, 1, 64, len(FILLER), len(FILLER) + 1, protocol.BYTES_LIMIT]),
    *(st.booleans(), st.booleans(), st.integers(0, 1), told),
)
def test_answers_are_written_alike(request, size, head_only, kept, minor, told):
    argument = size if request.route == protocol.BYTES else request.argument
    changed = request._replace(
        argument=argument, head_only=head_only, keep_alive=kept, minor=minor
    )
    assert_answered_alike(changed, **told)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("head_only", [True, False])
def test_every_fault_is_answered_alike(fault, head_only):
    refusal = Request(fault[0], protocol.MISSING, 0, head_only, False, 1, 0, fault[1])
    assert_answered_alike(refusal, worker=9999, tid=1, cpu=0, accepts=0)


def test_all_faults_are_listed_once_and_in_their_order():
    named = [
        value for value in vars(protocol).values() if isinstance(value, protocol.Fault)
    ]
    assert list(FAULTS) == named
    assert len({fault.reason for fault in FAULTS}) == len(FAULTS)


def test_an_answer_has_room():
    longest = max(TEXTS[: protocol_answers.OCTETS + 1], key=len)
    assert longest.startswith(b"HTTP/1.1 ")
    wide = {"worker": 1 - 2**63, "tid": 1 - 2**63, "cpu": 1 - 2**63}
    request = protocol.read_request(get(b"/bytes/%d" % len(FILLER)))
    assert request is not None
    first, _ = protocol.answer(request, **wide, accepts=0)
    assert len(first) <= ANSWER_BYTES


@pytest.mark.parametrize("first", [0, 1, 63, 1023, 1024, 70_001, 2**33 + 5])
@pytest.mark.parametrize("count", [0, 1, 64, 1500, len(FILLER)])
def test_filler_goes_on_where_it_was_left(first, count):
    OUT[:] = 0
    assert write_filler(OUT, 3, first, count) == 3 + count
    begin = first % len(FILLER)
    assert OUT[3 : 3 + count].tobytes() == (FILLER * 2)[begin : begin + count]
    assert not OUT[3 + count :].any()


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_in_every_place_is_read_alike(byte):
    one = bytes([byte])
    for data in (
        one,
        one + get(b"/"),
        b"\r\n" + one,
        get(one),
        get(b"/" + one),
        get(b"/spin/" + one),
        get(b"/spin/1" + one),
        get(b"http:/" + one + b"h/spin/7"),
        get(b"http://" + one),
        get(b"/", version=b"HTTP/1." + one),
        get(b"/", version=b"HTTP/%b.1" % one),
        get(b"/", version=b"HTTP/1%b1" % one),
        b"GE" + one + b" / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET" + one + b"/ HTTP/1.1\r\nHost: h\r\n\r\n",
        get(b"/", b"Host: h" + one),
        get(b"/", b"Hos%b: h" % one),
        get(b"/", b"Host%b h" % one),
        get(b"/", b"Host: h", b"X: y%bz" % one),
        get(b"/", b"Host: h", one + b"X: y"),
        get(b"/", b"Host: h", b"Content-Length:" + one),
        get(b"/", b"Host: h", b"Content-Length: 0" + one),
        get(b"/", b"Host: h", b"Connection: clos" + one),
        get(b"/", b"Host: h", b"Connection: close" + one),
        get(b"/", b"Host: h", b"Connection: %bclose, x" % one),
    ):
        assert_read_alike(data)
        assert_read_alike(data[:-2])


@pytest.mark.parametrize("extra", [-1, 0, 1, 2])
@pytest.mark.parametrize("last", [b"X:\r\n", b"X\r\n", b"X: a\rb\r\n", b"", b"X"])
@pytest.mark.parametrize("target", [b"/", b"/spin/999999999", b"x"])
def test_the_limit_of_headers_is_alike(extra, last, target):
    line = b"GET %b HTTP/1.1\r\n" % target
    head = line + b"Host: h\r\n" + b"X: y\r\n" * (HEADER_COUNT_LIMIT - 2 + extra)
    for end in (b"", b"\r\n", b"X: y\r\n", b"X: y\r\n\r\n", b"\n\r\n"):
        assert_read_alike(head + last + end)


@pytest.mark.parametrize("extra", range(-3, 4))
@pytest.mark.parametrize("blank", [0, 1, 7])
@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\r\n\n", b"\r\r\n", b"\nX\r\n", b""])
def test_the_limit_of_the_head_is_alike(extra, blank, end):
    before = b"\r\n" * blank + b"GET / HTTP/1.1\r\nHost: "
    size = HEAD_LIMIT + extra - len(end)
    data = before.ljust(size, b"h") + end
    for count in (len(data), len(data) - 1, HEAD_LIMIT, HEAD_LIMIT + 1):
        assert_read_alike(data[:count])


# Whole parts, so that what is drawn gets past the request line, and their ruins.
METHODS = [
    b"GET",
    b"HEAD",
    b"POST",
    b"TRACE",
    b"OPTIONS",
    b"PATCH",
    b"GETS",
    b"A,",
    b"",
]
HOSTS = [b"http://h", b"HTTP://h:80", b"http:/", b"http://", b"https://h", b"*", b"h"]
PATHS = [b"/", b"/spin/", b"/bytes/", b"/spin", b"//", b"/nowhere", b"?", b"?/", b"#"]
DIGITS = [b"0", b"7", b"0" * 8, b"100000", b"100001", b"8388608", b"8388609", b"+1"]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/1.", b"http/1.1"]
NAMES = [b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"X"]
VALUES = [b"h", b",", b"close", b"keep-alive", b"Close", b"0", b"00", b"5", b"x y"]
ODD = [b" ", b"\t", b"\x00", b"\x7f", b"\xff", b"\r", b"\n", b"\r\n", b":", b""]


def mostly(
    good: list[bytes], other: st.SearchStrategy[bytes]
) -> st.SearchStrategy[bytes]:
    """One of `good` five times out of six."""
    return st.one_of(*[st.sampled_from(good)] * 5, other)


odd = st.lists(st.sampled_from([*ODD, *VALUES]), max_size=3).map(b"".join)
paths = st.tuples(
    st.sampled_from(PATHS[:3]), mostly(DIGITS, odd), st.sampled_from([b"", b"?a", b"/"])
).map(b"".join)
targets = st.one_of(
    st.just(b"/"),
    paths,
    st.tuples(st.sampled_from(HOSTS), st.one_of(paths, st.just(b""))).map(b"".join),
    st.lists(st.sampled_from([*HOSTS, *PATHS, *DIGITS]), max_size=4).map(b"".join),
)
lines = st.tuples(
    mostly(METHODS[:2], st.sampled_from(METHODS)),
    mostly([b" "], odd),
    targets,
    mostly([b" "], odd),
    mostly(VERSIONS[:2], st.sampled_from(VERSIONS)),
).map(b"".join)
cased = st.tuples(
    st.sampled_from(NAMES), st.sampled_from([bytes.lower, bytes.upper, bytes.swapcase])
).map(lambda both: both[1](both[0]))
values = st.lists(st.sampled_from([*VALUES, b" ", b"\t", b",", b", "]), max_size=5)
header_lines = st.tuples(
    st.one_of(st.sampled_from(NAMES), cased, odd),
    mostly([b":", b": ", b":\t "], odd),
    mostly([b"", b"0", b"close"], values.map(b"".join)),
    mostly([b"", b" "], odd),
).map(b"".join)
headers = st.lists(header_lines, max_size=6)
wrong_heads = st.tuples(
    st.sampled_from([b"", b"", b"\r\n", b"\r\n\r\n", b"\r", b"\n"]),
    lines,
    st.sampled_from([b"\r\nHost: h", b"\r\nHost: h", b""]),
    headers.map(lambda lines: b"".join(b"\r\n" + line for line in lines)),
    mostly([b"\r\n\r\n"], odd),
).map(b"".join)
lengths = st.sampled_from([b"0", b" 00 ", b"5", b"", b"0,0", b"0 0"])
tokens = st.lists(
    st.sampled_from(
        [b"close", b"Keep-Alive", b"x", b" ", b"\t", b",", b", ", b"http://"]
    )
)
weighty = st.one_of(
    lengths.map(b"Content-length:".__add__),
    tokens.map(lambda tokens: b"connection:" + b"".join(tokens)),
    st.sampled_from([b"TRANSFER-encoding: x", b"hOST: h", b"Host:,", b"Hosts: h,"]),
    st.sampled_from([b"Connections: close", b"Content_Length: 5", b"X: close"]),
    st.sampled_from([b" x: folded", b"\tx: folded", b"X: \x00", b"X", b"X : y"]),
)
weighed_heads = st.builds(
    lambda target, headers, version: get(target, *headers, version=version),
    st.one_of(st.just(b"/"), paths),
    st.lists(weighty, max_size=4).map(
        lambda some: [b"Host: h", *some][len(some) % 2 :]
    ),
    st.sampled_from(VERSIONS[:2]),
)
heads = st.one_of(wrong_heads, weighed_heads)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A case or a head with bytes put over some of its bytes, twice."""
    data = draw(st.one_of(st.sampled_from(CASES).map(lambda c: c.data[:400]), heads))
    for _ in range(draw(st.integers(1, 2))):
        begin, cut = draw(st.integers(0, len(data))), draw(st.integers(0, 4))
        put = draw(st.one_of(odd, st.binary(max_size=3)))
        data = data[:begin] + put + data[begin + cut :]
    return data


@st.composite
def joined(draw: st.DrawFn) -> bytes:
    """The beginning of one case and the end of another."""
    one, other = (draw(st.sampled_from(CASES)).data[:400] for _ in range(2))
    return one[: draw(st.integers(0, 400))] + other[draw(st.integers(0, 400)) :]


@quick
@given(st.one_of(heads, heads, spoiled(), joined(), st.binary(max_size=60)))
@example(get(b"/", b"Host: h", b"Connection: http://"))
@example(get(b"/", b"Host: h", b"\x00: x"))
def test_other_heads_are_read_alike(data):
    assert_parts_read_alike(data)


@quick
@given(heads, told)
def test_other_heads_are_answered_alike(data, told):
    request = assert_read_alike(data)
    if request is not None:
        assert_answered_alike(request, **told)


def test_what_is_drawn_meets_every_fault_of_a_head():
    met: set[Request | None] = set()

    @settings(max_examples=1500, deadline=None, derandomize=True, database=None)
    @given(st.one_of(heads, spoiled()))
    def draw(data):
        met.add(assert_read_alike(data))

    draw()
    seen = {request.reason for request in met if request}
    limits = {protocol.HEADERS_TOO_MANY, protocol.HEAD_TOO_LONG}
    assert {fault.reason for fault in FAULTS if fault not in limits} <= seen
    good = {request for request in met if request and request.size}
    assert {request.route for request in good} == {*protocol.Route}
    assert {(request.keep_alive, request.minor) for request in good} == KEPT


def test_uncompiled_they_say_the_same():
    program = (
        "import pytest, sys; from netlab.kernel import native; "
        "assert not native.COMPILED; sys.exit(pytest.main(sys.argv[1:]))"
    )
    tests = "test_every_case or test_every_fault or filler or heads_are_answered"
    options = ["-q", "-k", tests, "-p", "no:cacheprovider", __file__]
    environ = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, *options],
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
