"""The x-ray: the kernel's own record of what its scheduler does with some threads.

Facts. The kernel can write down every waking and every switch of a thread, and every
entry into a system call and return from it, into buffers of each CPU. A filter that
is written as an expression has a limit of length; `set_event_pid` takes any number of
threads, and for wakings and switches looks at both sides: a worker's waking is kept
whoever wakes it. Enabling the calls makes every system call of the machine a little
slower until the end.

Decision. The clock is "mono", so that the times are those of time.monotonic_ns(). The
buffers are read as bytes after tracing has stopped (`trace_buffer`): reading in the
meantime would be in what is read. What did not fit is counted, and a trace that lost
something gives its events only to who says that it may.

Cost. Buffers of `buffer_kb` for each CPU while it traces, some 0.4 us an event, and
0.1 us for every system call of anybody else (loops of `epoll.poll(0)`, Linux 6.18,
2 CPUs). Making the instance and its removal took 60 and 100 ms there, in which the
kernel rewrites itself and its CPUs wait for each other: not in a run that is timed.

What may not be put here: what the events mean (`trace_events`), and how tracefs is
come by (`tracefs`).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.checks import whole_number
from netlab.kernel import threads
from netlab.watch import trace_buffer, trace_tables
from netlab.watch.trace_buffer import CALLS, Format
from netlab.watch.trace_events import BEGIN, END, Event
from netlab.watch.tracefs import available, instance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Trace", "available"]

SCHEDULER = ("sched/sched_waking", "sched/sched_wakeup", "sched/sched_switch")
SIDES = ("enter", "exit")
BUFFER_KB = 1024  # a CPU: some ten thousand events
LOST = re.compile(r"^(?:overrun|commit overrun|dropped events): (\d+)$", re.MULTILINE)


class Trace:
    """Records what the scheduler does with threads `tids` inside a `with` block.

    The place of a thread in `tids` is its worker's number; the threads may be of any
    process. buffer_kb: the room for events, for each CPU.

    Entering raises PermissionError or OSError with the reason and the remedy where
    tracing is not possible (see `available`), and LookupError if a thread is gone.
    """

    def __init__(self, tids: Iterable[int], *, buffer_kb: int = BUFFER_KB) -> None:
        self.tids = tuple(tids)
        for tid in self.tids:
            whole_number("tid", tid, 1, 1 << 22)
        if not self.tids or len(set(self.tids)) < len(self.tids):
            raise ValueError(f"tids={self.tids}: give each thread's number once")
        whole_number("buffer_kb", buffer_kb, 8, 1 << 20)
        self.buffer_kb = buffer_kb
        self.lost = 0
        self._first: list[Event] = []
        self._events: list[Event] = []
        self._open = ExitStack()

    def __enter__(self) -> Trace:
        """Begin to record; the threads should sleep (`server.settle()`)."""
        if self._first:
            raise RuntimeError("this trace was begun before: make another one")
        with ExitStack() as stack:
            folder = stack.enter_context(instance())
            self._prepare(folder)
            self._first = self._begin()
            stack.callback(self._finish, folder)
            _write(folder, "tracing_on", "1")
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __repr__(self) -> str:
        lost = f", {self.lost} lost" if self.lost else ""
        return f"<netlab.Trace of {len(self.tids)} threads: {len(self)} events{lost}>"

    def __len__(self) -> int:
        return len(self._events)

    def events(self, *, allow_lost: bool = False) -> pd.DataFrame:
        """Return a row per event, in the order of time: the fields of `Event`.

        allow_lost: give what there is of a trace that did not fit into its buffers.

        Raises RuntimeError before the end of the block, and if events were lost.
        """
        if not self._events:
            raise RuntimeError("the events are there after the trace's with block")
        if self.lost and not allow_lost:
            raise RuntimeError(
                f"the trace lost {self.lost} events: trace for a shorter time, or give "
                f"more room than buffer_kb={self.buffer_kb}"
            )
        return trace_tables.table(self._events)

    def _prepare(self, folder: Path) -> None:
        """Set clock, room, filter and events; nothing is recorded yet."""
        _write(folder, "tracing_on", "0")
        _write(folder, "trace_clock", "mono")
        _write(folder, "buffer_size_kb", str(self.buffer_kb))
        _write(folder, "set_event_pid", " ".join(map(str, self.tids)))
        for event in _events_of(folder):
            _write(folder, f"events/{event}/enable", "1")

    def _begin(self) -> list[Event]:
        """Return the first row of each worker; raises LookupError if one is gone."""
        cpus = [threads.cpu_of(tid) for tid in self.tids]
        asleep = [int(_sleeps(tid)) for tid in self.tids]
        now_ns = time.monotonic_ns()
        return [
            Event(now_ns, tid, worker, cpus[worker], BEGIN, asleep[worker])
            for worker, tid in enumerate(self.tids)
        ]

    def _finish(self, folder: Path) -> None:
        """Stop, and read what was recorded."""
        _write(folder, "tracing_on", "0")
        now_ns = time.monotonic_ns()
        workers = {tid: worker for worker, tid in enumerate(self.tids)}
        pages, formats = _pages(folder), _formats(folder)
        found = trace_buffer.events(pages, formats, workers)
        ends = [row._replace(time_ns=now_ns, event=END, value=0) for row in self._first]
        self.lost = _lost(folder)
        self._events = [*self._first, *found, *ends]


def _events_of(folder: Path) -> list[str]:
    """Return the events that this kernel has of those that tell a worker's life.

    Raises OSError if it cannot trace system calls.
    """
    sides = [f"syscalls/sys_{side}_{call}" for call in CALLS for side in SIDES]
    calls = [name for name in sides if (folder / "events" / name).exists()]
    if not calls:
        raise OSError(
            "this kernel cannot trace system calls (CONFIG_FTRACE_SYSCALLS): use "
            "another, or a recorded trace"
        )
    return [*SCHEDULER, *calls]


def _sleeps(tid: int) -> bool:
    import psutil

    try:
        return psutil.Process(tid).status() != psutil.STATUS_RUNNING
    except psutil.NoSuchProcess as error:
        raise threads.ThreadGone(f"thread {tid} has ended") from error


def _formats(folder: Path) -> dict[int, Format]:
    found = (
        trace_buffer.parse_format((folder / "events" / name / "format").read_text())
        for name in _events_of(folder)
    )
    return {form.number: form for form in found}


def _pages(folder: Path) -> dict[int, list[bytes]]:
    """Return what the buffers hold, by CPU."""
    size = _page_bytes(folder)
    return {
        int(cpu.name.removeprefix("cpu")): list(_pages_of(cpu, size))
        for cpu in (folder / "per_cpu").iterdir()
    }


def _pages_of(cpu: Path, size: int) -> Iterator[bytes]:
    flags = os.O_RDONLY | os.O_NONBLOCK  # an empty buffer ends it
    with open(os.open(cpu / "trace_pipe_raw", flags), "rb", buffering=0) as file:
        while page := file.read(size):
            yield page


def _page_bytes(folder: Path) -> int:
    """Return the size of a page, whatever the machine's or the buffer's is."""
    head = (folder / "events" / "header_page").read_text()
    found = re.search(r"char data;\toffset:(\d+);\tsize:(\d+);", head)
    if found is None:
        raise OSError(f"this kernel's trace buffers are unknown: {head!r}")
    return int(found[1]) + int(found[2])


def _lost(folder: Path) -> int:
    """Return how many events did not fit into the buffers."""
    stats = [(cpu / "stats").read_text() for cpu in (folder / "per_cpu").iterdir()]
    return sum(int(count) for text in stats for count in LOST.findall(text))


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
