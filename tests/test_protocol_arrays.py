"""Both files say the same: `protocol` on bytes and `protocol_arrays` on arrays."""

import os
import random
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netlab import protocol, protocol_answers
from netlab.kernel.native import for_python
from netlab.protocol import FAULTS, FILLER, HEAD_LIMIT, HEADER_COUNT_LIMIT, Request
from netlab.protocol_answers import ANSWER_BYTES, TEXTS
from reliability.alike import ORDER, OUT, answered_alike, parts_read_alike, read_alike
from reliability.inputs import CASES, altered, draw, for_long, heads, inputs
from tests.cases import VALID, Case, Valid, get

write_filler = for_python(protocol_answers.write_filler)
quick = settings(max_examples=500, deadline=None, derandomize=True)
KEPT = {(keep_alive, minor) for keep_alive in (True, False) for minor in (0, 1)}


def by_name(case: Case | Valid) -> str:
    return case.name


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_a_case_and_every_part_of_it_is_read_alike(case):
    parts_read_alike(case.data)
    read_alike(case.data)


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
        answered_alike(request, worker=3, tid=12345, cpu=-1, accepts=57)


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
    answered_alike(changed, **told)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("head_only", [True, False])
def test_every_fault_is_answered_alike(fault, head_only):
    refusal = Request(fault[0], protocol.MISSING, 0, head_only, False, 1, 0, fault[1])
    answered_alike(refusal, worker=9999, tid=1, cpu=0, accepts=0)


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
        read_alike(data)
        read_alike(data[:-2])


@pytest.mark.parametrize("extra", [-1, 0, 1, 2])
@pytest.mark.parametrize("last", [b"X:\r\n", b"X\r\n", b"X: a\rb\r\n", b"", b"X"])
@pytest.mark.parametrize("target", [b"/", b"/spin/999999999", b"x"])
def test_the_limit_of_headers_is_alike(extra, last, target):
    line = b"GET %b HTTP/1.1\r\n" % target
    head = line + b"Host: h\r\n" + b"X: y\r\n" * (HEADER_COUNT_LIMIT - 2 + extra)
    for end in (b"", b"\r\n", b"X: y\r\n", b"X: y\r\n\r\n", b"\n\r\n"):
        read_alike(head + last + end)


@pytest.mark.parametrize("extra", range(-3, 4))
@pytest.mark.parametrize("blank", [0, 1, 7])
@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\r\n\n", b"\r\r\n", b"\nX\r\n", b""])
def test_the_limit_of_the_head_is_alike(extra, blank, end):
    before = b"\r\n" * blank + b"GET / HTTP/1.1\r\nHost: "
    size = HEAD_LIMIT + extra - len(end)
    data = before.ljust(size, b"h") + end
    for count in (len(data), len(data) - 1, HEAD_LIMIT, HEAD_LIMIT + 1):
        read_alike(data[:count])


@quick
@given(inputs)
@example(get(b"/", b"Host: h", b"Connection: http://"))
@example(get(b"/", b"Host: h", b"\x00: x"))
def test_other_heads_are_read_alike(data):
    parts_read_alike(data)
    read_alike(data)


@quick
@given(heads, told)
def test_other_heads_are_answered_alike(data, told):
    request = read_alike(data)
    if request is not None:
        answered_alike(request, **told)


def test_what_is_drawn_meets_every_fault_of_a_head():
    met: set[Request | None] = set()

    def read_with_others(drawn):
        data, number = drawn
        others = random.Random(number)
        met.add(read_alike(data))
        met.update(read_alike(altered(data, others)) for _ in range(15))

    draw(read_with_others, st.tuples(for_long, st.integers(0)), 500, 1)
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
