"""One input put to both protocol files: both say the same, or `Differ` says what.

`protocol` reads bytes, `protocol_arrays` an array, and nothing is written twice but the
rules. The array has bytes around the input that would be read by a file that looks
beyond its end: a whole request behind it, half of one before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from netlab import protocol, protocol_answers, protocol_arrays
from netlab.kernel.native import for_python
from netlab.protocol import FAULTS, HEAD_LIMIT, Request
from netlab.protocol_answers import ANSWER_BYTES
from netlab.protocol_arrays import FINE, Parsed

read_array = for_python(protocol_arrays.read_request)
write_answer = for_python(protocol_answers.write_answer)
BEFORE, BEHIND = b"GET /\n\x00", b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"
AT, BEGIN = len(BEFORE), 5  # where the input is, where the answer is to be written
ORDER = "worker", "tid", "cpu", "accepts"
OUT = np.zeros(ANSWER_BYTES + 16, np.uint8)
REASONS = {fault.reason: place for place, fault in enumerate(FAULTS)} | {b"": int(FINE)}
WAITS = Parsed(0, protocol.MISSING, 0, 0, 0, 1, 0, int(FINE))
SHORT = 1000  # bytes of an input of which every part is read
STEP = 99  # bytes between two parts of a longer one


class Differ(AssertionError):
    """The two files do not say the same of `data`."""

    def __init__(self, data: bytes, of_bytes: Any, of_arrays: Any) -> None:
        super().__init__(
            f"of {data!r} protocol says {of_bytes}, protocol_arrays {of_arrays}"
        )
        self.data = data


def expected(request: Request | None) -> Parsed:
    """Return what the arrays must say where the bytes say `request`."""
    if request is None:
        return WAITS
    return Parsed._make([*map(int, request[:7]), REASONS[request.reason]])


def read_alike(data: bytes) -> Request | None:
    """Read an input both ways; return the verdict."""
    request = protocol.read_request(data)
    _compare(array_around(data), data, request)
    return request


def parts_read_alike(data: bytes) -> list[Request | None]:
    """Read the beginnings of an input both ways; return each verdict.

    Of one that is short, all of them: what any split can show. Of a longer one every
    so often, and those about the window's end.
    """
    array, verdicts = array_around(data), []
    for size in sizes(len(data)):
        verdicts.append(protocol.read_request(data[:size]))
        _compare(array, data[:size], verdicts[-1])
    return verdicts


def sizes(size: int) -> Iterator[int]:
    """Yield how long the parts of an input of this size are that are read."""
    if size < SHORT:
        yield from range(size)
    else:
        yield from range(0, size, STEP)
        yield from range(HEAD_LIMIT - 3, min(size, HEAD_LIMIT + 4))


def array_around(data: bytes) -> np.ndarray:
    """Return the array that has `data` at AT."""
    return np.frombuffer(BEFORE + data + BEHIND, np.uint8).copy()


def _compare(array: np.ndarray, data: bytes, request: Request | None) -> None:
    told = read_array(array, AT, AT + len(data))
    if told != expected(request):
        raise Differ(data, request, Parsed(*map(int, told)))


def answered_alike(request: Request, **told: int) -> None:
    """Answer a request both ways; AssertionError unless both write the same."""
    first, owed = protocol.answer(request, **told)
    OUT[:] = 0
    wrote, owes = write_answer(
        OUT, BEGIN, expected(request), *(told[name] for name in ORDER)
    )
    found = OUT[BEGIN:wrote].tobytes()
    assert (found, owes) == (first, owed), (
        f"{request}, {told}: answered by {first!r} and {owed} more, by the arrays "
        f"{found!r} and {owes} more"
    )
    beside = OUT[:BEGIN].any() or OUT[wrote:].any()
    assert not beside, f"{request}, {told}: the arrays write beside their place"


def minimal(data: bytes) -> bytes:
    """Return what is left of an input when nothing can be spared: it still differs."""
    size = max(1, len(data) // 2)
    while size:
        before, begin = len(data), 0
        while begin < len(data):
            shorter = data[:begin] + data[begin + size :]
            if differs(shorter):
                data = shorter
            else:
                begin += size
        if size > 1 or len(data) == before:
            size //= 2
    return data


def differs(data: bytes) -> bool:
    """Whether the two files say something different of an input."""
    try:
        read_alike(data)
    except Differ:
        return True
    return False
