"""What the two protocol files are asked about, drawn by Hypothesis: heads and ruins.

Of bytes drawn at random next to none get past the first byte, so heads are put together
from parts that are mostly good, and then spoiled. Every fault that a head can have is
met that way, and the two limits too; a test counts them. What is not drawn but altered
(`altered`) costs a hundredth of the time, and is led further from what was thought of.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from netlab.protocol import HEAD_LIMIT, HEADER_COUNT_LIMIT
from tests.cases import MALFORMED, VALID, get

CASES = [*VALID, *MALFORMED]

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


def padded(head: bytes, place: int, over: int) -> bytes:
    """A head made so long, by one letter, that it ends near the window's end."""
    fill = b"a" * (HEAD_LIMIT + over - len(head))
    return head[:place] + fill + head[place:]


def crowded(head: bytes, count: int) -> bytes:
    """A head with so many lines more."""
    return head.replace(b"\r\n", b"\r\n" + b"X: y\r\n" * count, 1)


limits = st.one_of(
    st.builds(padded, heads, st.integers(0, 200), st.integers(-3, 4)),
    st.builds(crowded, heads, st.integers(HEADER_COUNT_LIMIT - 4, HEADER_COUNT_LIMIT)),
)
inputs = st.one_of(heads, heads, spoiled(), joined(), st.binary(max_size=60))
for_long = st.one_of(
    *[weighed_heads] * 3,
    *[st.sampled_from(VALID).map(lambda case: case.data[:400])] * 2,
    *[inputs] * 3,
    limits,
)

PIECES = [*METHODS, *HOSTS, *PATHS, *DIGITS, *VERSIONS, *NAMES, *VALUES, *ODD]
TARGETS = [path + digits for path in PATHS for digits in (b"", *DIGITS)]
TARGETS += [b"/spin/100001", b"/bytes/8388609"] * 4
BOTH = b"Content-Length: 0\r\nTransfer-Encoding: x"
LINES = [
    *(b"Host: h", b"host:", b"Content-Length: 0", b"Content-Length: 5", b"X: y"),
    *(b"Transfer-Encoding: x", b"Connection: close", b"Connection: keep-alive, x"),
    *(b"\tx: folded", b"X", b"X : y", b"Hosts: h", b"A: \xff", b"Accept: */*"),
    *(
        BOTH,
        b"B:",
        b"connection:\tx , keep-alive",
        b"content-length:\t00",
        b"E: a\tb:c",
    ),
]


def altered(data: bytes, drawn: random.Random) -> bytes:
    """Return `data` with one thing done to it, or some."""
    for _ in range(drawn.choice((1, 1, 1, 2, 3))):
        alter = drawn.choice((_with_line, _with_line, _with_other_word, _with_piece))
        data = alter(data, drawn)
    return data


def _with_line(data: bytes, drawn: random.Random) -> bytes:
    """Return it with one more line, behind one that it has."""
    lines = data.split(b"\r\n")
    lines.insert(drawn.randint(1, max(1, len(lines) - 2)), drawn.choice(LINES))
    return b"\r\n".join(lines)


def _with_other_word(data: bytes, drawn: random.Random) -> bytes:
    """Return it with another method, target or version."""
    line, end, rest = data.partition(b"\r\n")
    words = line.split(b" ")
    place = drawn.randrange(len(words))
    words[place] = drawn.choice((METHODS, TARGETS, VERSIONS)[min(place, 2)])
    return b" ".join(words) + end + rest


def _with_piece(data: bytes, drawn: random.Random) -> bytes:
    """Return it with something put over some of its bytes, or these changed."""
    begin = drawn.randint(0, len(data))
    end = min(len(data), begin + drawn.choice((0, 0, 1, 1, 2, 5, 20)))
    put = drawn.choice(
        (
            drawn.choice(PIECES),
            drawn.randbytes(1),
            data[begin:end] * 2,
            bytes(byte ^ 1 << drawn.randrange(8) for byte in data[begin:end]),
        )
    )
    return data[:begin] + put + data[end:]


def draw(
    check: Callable[[Any], None],
    strategy: st.SearchStrategy[Any],
    examples: int,
    number: int,
    shrink: bool = False,
) -> None:
    """Have Hypothesis draw so many examples; what `check` raises comes out of it.

    shrink: then of the smallest example that it finds. Inputs are cut down without
    it (`alike.minimal`), since the altered ones are not in its hands.
    """
    phases = [Phase.generate, *([Phase.shrink] if shrink else [])]
    of_one_seed = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )

    def one(drawn: Any) -> None:
        check(drawn)

    seed(number)(of_one_seed(given(strategy)(one)))()
