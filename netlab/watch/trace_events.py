"""What a trace means: from events to a worker's life: asleep, runnable, running.

Facts. The scheduler tells of a thread in four words. `waking`: somebody decided that
it shall run (`by_tid`, or whoever's CPU was interrupted for it). `wakeup`: it stands
in the queue of a CPU. `switch_in` and `switch_out`: it gets the CPU and leaves it,
with the state in which it leaves: asleep, or still runnable because the CPU was taken
from it. A waking that comes while the thread still runs changes nothing: it has not
fallen asleep yet. Where it comes just while the thread leaves its CPU, its time may
lie before the `switch_out`; the `wakeup` comes after it for certain. So both end a
sleep, whichever the thread sleeps at.

The calls tell the rest. A thread that was woken and falls asleep again in the call in
which it slept has not come back to its program: `epoll_wait` looked at the listener
once more, found the queue empty and went on waiting. This is the part of the herd
that no program can count.

Decision. One life per worker, a small machine with a rule for each kind of event;
spans, marks and sums are read from it. A table of events begins with a row `begin`
for each worker and ends with a row `end`, so that it tells by itself how long the
trace was and who was never woken.

Known limits. Of a thread that made no traced call yet it is supposed that it began
in its wait: start the trace when the workers sleep (`server.settle()`). A switch may
be missing in the record: on one machine (Linux 6.18, 2 virtual CPUs) no switch from the
idle thread of the second CPU was there, in 14 of 40 traces of a connection. A worker
that does what only a running one can do is therefore taken to run from then on; its
run looks too short by some microseconds. A sleep in a lock of the kernel, inside the
call, has a waking of its own and is not counted as "never returned".

What may not be put here: files of the kernel, and tables (`trace_tables`).
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

BEGIN, END = "begin", "end"
EVENTS = (
    BEGIN, "waking", "wakeup", "switch_in", "switch_out", "wait_enter", "wait_exit",
    "accept_enter", "accept_exit", END,
)  # fmt: skip
ASLEEP, RUNNABLE, RUNNING = "asleep", "runnable", "running"
ACCEPT, EAGAIN, NEVER_RETURNED, FAILED = "accept", "EAGAIN", "never returned", "failed"
NOBODY = -1
INTERRUPTIBLE = 1  # TASK_INTERRUPTIBLE: asleep until something happens, not in a lock
LIFE_BEFORE = {"waking": ASLEEP, "wakeup": ASLEEP, "switch_in": RUNNABLE}


class Event(NamedTuple):
    """One row of a trace: what happened to a worker's thread, and when.

    time_ns is that of time.monotonic_ns(). value is what the call returned
    (`wait_exit`, `accept_exit`), the state in which the thread left its CPU
    (`switch_out`; 0: still runnable), the CPU it is to run on (`waking`, `wakeup`),
    or whether the thread was asleep at first (`begin`).
    """

    time_ns: int
    tid: int
    worker: int
    cpu: int
    event: str
    value: int = 0
    by_tid: int = NOBODY


class Span(NamedTuple):
    """A stretch of a worker's life in one state; cpu: where it last ran or will."""

    worker: int
    tid: int
    state: str
    begin_ns: int
    end_ns: int
    cpu: int


class Mark(NamedTuple):
    """A moment: a connection was accepted, or was not."""

    worker: int
    time_ns: int
    mark: str


class Life:
    """One worker's states, from its `begin` to its `end`, and what is read from them.

    counts: by mark, and "woken" (a sleep ended), "ran" (it got a CPU), "returned"
    (its wait came back to the program).
    """

    def __init__(self, begin: Event, state: str) -> None:
        self.worker, self.tid = begin.worker, begin.tid
        self.spans: list[Span] = []
        self.marks: list[Mark] = []
        self.counts: Counter[str] = Counter()
        self._state, self._since_ns, self._cpu = state, begin.time_ns, begin.cpu
        self._in_call, self._still_waits = True, False

    def live(self, event: Event) -> None:
        """Go on by one event, with its rule."""
        _RULES[event.event](self, event)

    def _wake(self, event: Event) -> None:
        if self._state == ASLEEP:
            self._become(RUNNABLE, event)
            self._still_waits = self._in_call
            self.counts["woken"] += 1
        if self._state == RUNNABLE:
            self._cpu = event.value  # the last word is where it is queued

    def _run(self, event: Event) -> None:
        self._wake(event._replace(value=event.cpu))
        self._become(RUNNING, event)
        self._cpu = event.cpu
        self.counts["ran"] += 1

    def _leave(self, event: Event) -> None:
        self._must_run(event)
        self._become(ASLEEP if event.value else RUNNABLE, event)
        if self._still_waits and event.value & INTERRUPTIBLE:
            self._mark(NEVER_RETURNED, event)

    def _call(self, event: Event) -> None:
        self._must_run(event)
        self._in_call, self._still_waits = True, False

    def _come_back(self, event: Event) -> None:
        self._must_run(event)
        self._in_call = self._still_waits = False
        if event.event == "wait_exit":
            self.counts["returned"] += 1
        elif event.value >= 0:
            self._mark(ACCEPT, event)
        else:
            self._mark(EAGAIN if event.value == -errno.EAGAIN else FAILED, event)

    def _must_run(self, event: Event) -> None:
        """Have it run from here on, where the kernel did not say since when."""
        if self._state != RUNNING:
            self._run(event)

    def _become(self, state: str, event: Event) -> None:
        """Close the span of the state before, unless nothing changes."""
        if state != self._state:
            self._close(event.time_ns)
        self._state = state

    def _close(self, now_ns: int) -> None:
        """Keep the span up to now, if it lasted; one with the span before if alike."""
        if now_ns <= self._since_ns:  # or the clocks of two CPUs are some ns apart
            return
        begin_ns = self._since_ns
        if self.spans and self.spans[-1].state == self._state:
            begin_ns = self.spans.pop().begin_ns
        identity = (self.worker, self.tid, self._state)
        self.spans.append(Span(*identity, begin_ns, now_ns, self._cpu))
        self._since_ns = now_ns

    def _mark(self, name: str, event: Event) -> None:
        self.marks.append(Mark(self.worker, event.time_ns, name))
        self.counts[name] += 1

    def _end(self, event: Event) -> None:
        self._close(event.time_ns)


_RULES: dict[str, Callable[[Life, Event], None]] = {
    "waking": Life._wake,
    "wakeup": Life._wake,
    "switch_in": Life._run,
    "switch_out": Life._leave,
    "wait_enter": Life._call,
    "accept_enter": Life._call,
    "wait_exit": Life._come_back,
    "accept_exit": Life._come_back,
    END: Life._end,
}


def lives(events: Iterable[Event]) -> list[Life]:
    """Return what became of each worker, in the order of their numbers.

    Raises ValueError for events without the rows `begin` and `end` of each worker.
    """
    by_worker: dict[int, list[Event]] = {}
    for event in events:
        by_worker.setdefault(event.worker, []).append(event)
    return [_life(worker, own) for worker, own in sorted(by_worker.items())]


def _life(worker: int, own: list[Event]) -> Life:
    begin, *later = own
    if begin.event != BEGIN or not later or later[-1].event != END:
        raise ValueError(
            f"worker {worker}'s events do not go from {BEGIN!r} to {END!r}: "
            "take them as Trace.events() gives them"
        )
    still = ASLEEP if begin.value else RUNNING
    first = later[0].event
    life = Life(begin, still if first == END else LIFE_BEFORE.get(first, RUNNING))
    for event in later:
        life.live(event)
    return life
