"""The kernel's trace buffers: pages of bytes -> records -> events; no files.

Facts. The text that the kernel makes of a trace has microseconds, and what happens in
a wake-up takes one or two of them. The buffers have nanoseconds. A page begins with
the time of its first record and the number of its bytes; then come records, a word
each with 5 bits of kind and 27 of time since the record before, and what belongs to
it. `events/header_page` and `events/header_event` of tracefs describe this, and each
event's `format` where its fields lie.

Decision. The pages are read as they are. The fields are looked up in the formats,
because their places differ between kernels and machines; the words of the records,
which have been the same since 2.6.29, are written down here.

Known limit. The order of the bits is that of little-endian machines.

What may not be put here: what the events mean for a worker.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple

from netlab.watch.trace_events import Event

HEAD = struct.Struct("<QI")  # a page: time of the first record, bytes (and two flags)
HEAD_BYTES = 16
WORDS = struct.Struct("<II")
BYTES_MASK = (1 << 30) - 1  # the flags say that records were lost before this page
TIME_BITS = 27
LONG, PADDING, TIME_EXTEND, TIME_STAMP = 0, 29, 30, 31  # kinds that are no lengths
STATE_MASK = 0xFF  # of prev_state: the states that `ps` knows; above: was preempted
FIELD = re.compile(r"field:.*?(\w+)(?:\[.*?\])?;\toffset:(\d+);\tsize:(\d+);")
CALLS: dict[str, str] = {  # the system calls, and which of a worker's steps they are
    "epoll_wait": "wait",
    "epoll_pwait": "wait",
    "epoll_pwait2": "wait",
    "select": "wait",
    "pselect6": "wait",
    "poll": "wait",
    "ppoll": "wait",
    "accept": "accept",
    "accept4": "accept",
}


class Format(NamedTuple):
    """An event of the kernel: its number, its name, and its fields' offset and size."""

    number: int
    name: str
    fields: dict[str, tuple[int, int]]


class Record(NamedTuple):
    """One record of a buffer: when, and the bytes of the event."""

    time_ns: int
    data: bytes

    def field(self, form: Format, name: str) -> int:
        """Return a field's number."""
        offset, size = form.fields[name]
        return int.from_bytes(self.data[offset : offset + size], "little", signed=True)


def parse_format(text: str) -> Format:
    """Return what an event's `format` file says.

    Raises ValueError for a text that is none.
    """
    name = re.search(r"^name: (\w+)$", text, re.MULTILINE)
    number = re.search(r"^ID: (\d+)$", text, re.MULTILINE)
    if name is None or number is None:
        raise ValueError(f"no format of an event: {text[:60]!r}")
    fields = {at: (int(begin), int(size)) for at, begin, size in FIELD.findall(text)}
    return Format(int(number[1]), name[1], fields)


def records(page: bytes) -> Iterator[Record]:
    """Yield the records of one page of a buffer, in the order of time."""
    time_ns, size = HEAD.unpack_from(page)
    at, end = HEAD_BYTES, HEAD_BYTES + (size & BYTES_MASK)
    page += bytes(4)  # behind the last word
    while at < end:
        word, more = WORDS.unpack_from(page, at)
        kind, delta = word & 31, word >> 5
        if kind == PADDING and not delta:
            return
        time_ns += delta
        if kind == TIME_EXTEND:
            time_ns += more << TIME_BITS
        elif kind == TIME_STAMP:  # the five bits above are those of the time before
            time_ns = (time_ns >> 59 << 59) | (more << TIME_BITS) | delta
        begin, length = at + 4, 4 * kind
        if kind in (LONG, PADDING):
            begin, length = at + 8, more - 4
        elif kind in (TIME_EXTEND, TIME_STAMP):
            length = 4
        if kind < PADDING:
            yield Record(time_ns, page[begin : begin + length])
        at = begin + length


def events(
    pages: Mapping[int, list[bytes]],
    formats: Mapping[int, Format],
    workers: Mapping[int, int],
) -> list[Event]:
    """Return the events of these workers' threads, in the order of time.

    pages: by CPU. formats: by number. workers: their numbers by thread id.
    """
    found: list[Event] = []
    for cpu, own in pages.items():
        for record in (record for page in own for record in records(page)):
            number = int.from_bytes(record.data[:2], "little")
            if number in formats:
                found += _events_of(record, cpu, formats[number], workers)
    return sorted(found, key=attrgetter("time_ns"))  # stable: a CPU's order stays


def _events_of(
    record: Record, cpu: int, form: Format, workers: Mapping[int, int]
) -> Iterator[Event]:
    """Yield what one record tells of the workers: a switch may tell of two."""
    for name, tid, value, by_tid in _told(record, form):
        if tid in workers:
            yield Event(record.time_ns, tid, workers[tid], cpu, name, value, by_tid)


def _told(record: Record, form: Format) -> Iterator[tuple[str, int, int, int]]:
    current = record.field(form, "common_pid")
    if form.name == "sched_switch":
        state = record.field(form, "prev_state") & STATE_MASK
        yield "switch_out", record.field(form, "prev_pid"), state, -1
        yield "switch_in", record.field(form, "next_pid"), 0, -1
    elif form.name in ("sched_waking", "sched_wakeup"):
        cpu = record.field(form, "target_cpu")
        yield form.name[6:], record.field(form, "pid"), cpu, current
    else:
        _, side, call = form.name.split("_", 2)  # sys_exit_accept4
        value = record.field(form, "ret") if side == "exit" else 0
        yield f"{CALLS[call]}_{side}", current, value, -1
