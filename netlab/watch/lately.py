"""What the workers did lately: a few looks a second, and no more than some seconds.

Facts. Three things are read at a look. The workers' rows of counters lie in memory that
they share with whoever looks: to copy it is no call of the kernel. The kernel's account
of a thread and the CPU that it was last on are files of /proc: to read them is a call
of the one who looks, and the thread that is looked at sleeps on. So none of the three
wakes a worker. What a look costs is the looker's own time: 0.1 ms for four workers,
with the GIL kept from the first file to the last, which an interpreted worker may have
to wait for.

Decision. A look keeps numbers, not rows, and `now` makes differences of them. The CPU
time between two looks is put down to the CPU that the thread was on last: at five looks
a second this is a sample, and a worker that went and came back is not seen. Of old
looks only those are kept that are still asked for, so nothing grows.

What may not be put here: how it is drawn, and when (`show.live`).
"""

from __future__ import annotations

import time
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from netlab.kernel import machine, threads

if TYPE_CHECKING:
    from netlab.watch.watched import Watched


class Look(NamedTuple):
    """What was seen at one moment; the lists have a number a worker."""

    time_s: float
    accepted: list[int]
    wakeups: list[int]
    cpu_ns: list[int]
    cpus: list[int]
    requests: int


class Lately(NamedTuple):
    """What some workers did in the last seconds; lists have an item a worker.

    over_s: the seconds that `accepted`, `wakeups` and `busy` are of.
    busy: percent of one CPU by its number, for the CPUs where the worker ran.
    per_s: connections and requests a second, in all of that time.
    rates: (seconds ago, connections a second, requests a second) between two looks.
    in_all: connections and requests since the first look. age_s: how long that is ago.
    """

    over_s: float
    accepted: list[int]
    wakeups: list[int]
    busy: list[dict[int, float]]
    cpus: tuple[int, ...]
    per_s: tuple[float, float]
    rates: list[tuple[float, float, float]]
    in_all: tuple[int, int]
    age_s: float


class Looks:
    """The looks at one server: sums of the last `lately_s`, rates of `rates_s`.

    shortest_s: a look that comes sooner after another takes its place, since the rate
    between the two would be that of a moment.
    """

    def __init__(self, lately_s: float, rates_s: float, shortest_s: float) -> None:
        self.lately_s, self.rates_s, self.shortest_s = lately_s, rates_s, shortest_s
        self._cpus = set(machine.cpus_allowed())
        self._kept: deque[Look] = deque()
        self._first: Look | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def look(self, server: Watched) -> None:
        """Look once. Raises LookupError or OSError where there is nothing to see."""
        rows, tids = server.snapshot(), server.tids
        if len(rows) != len(tids):
            raise LookupError("the server is stopping")
        seen = Look(
            time.monotonic(),
            rows["accepted"].tolist(),
            rows["wakeups"].tolist(),
            rows["cpu_ns"].tolist(),
            [threads.cpu_of(tid) for tid in tids],
            int(rows["requests"].sum()),
        )
        self._first = self._first or seen
        self._cpus.update(seen.cpus)
        if len(self) > 1 and seen.time_s - self._kept[-1].time_s < self.shortest_s:
            self._kept.pop()
        self._kept.append(seen)
        oldest_s = seen.time_s - max(self.rates_s, self.lately_s)
        while self._kept[0].time_s < oldest_s:
            self._kept.popleft()

    def now(self) -> Lately | None:
        """Return what was seen by the last look; None before the second one."""
        if self._first is None or len(self._kept) < 2:
            return None
        last = self._kept[-1]
        recent = [one for one in self._kept if last.time_s - one.time_s < self.lately_s]
        then = recent[0] if len(recent) > 1 else self._kept[-2]
        return Lately(
            last.time_s - then.time_s,
            _more(then.accepted, last.accepted),
            _more(then.wakeups, last.wakeups),
            self._busy(then),
            tuple(sorted(self._cpus)),
            _per_s(then, last),
            [
                (last.time_s - after.time_s, *_per_s(before, after))
                for before, after in pairwise(self._kept)
            ],
            _made(self._first, last),
            last.time_s - self._first.time_s,
        )

    def _busy(self, then: Look) -> list[dict[int, float]]:
        """Return each worker's CPU time since `then`, by where it was last."""
        used: list[dict[int, float]] = [{} for _ in then.cpus]
        later = [one for one in self._kept if one.time_s >= then.time_s]
        per_ns = 1e-7 / max(later[-1].time_s - then.time_s, 1e-9)  # percent of a CPU
        for before, after in pairwise(later):
            spent = _more(before.cpu_ns, after.cpu_ns)
            for own, cpu, cpu_ns in zip(used, after.cpus, spent, strict=True):
                if cpu_ns:
                    own[cpu] = own.get(cpu, 0.0) + cpu_ns * per_ns
        return used


def _made(before: Look, after: Look) -> tuple[int, int]:
    """Return how many connections and requests there were between two looks."""
    made = sum(after.accepted) - sum(before.accepted)
    return made, after.requests - before.requests


def _per_s(before: Look, after: Look) -> tuple[float, float]:
    took_s = max(after.time_s - before.time_s, 1e-9)
    made, asked = _made(before, after)
    return made / took_s, asked / took_s


def _more(before: list[int], after: list[int]) -> list[int]:
    return [late - early for early, late in zip(before, after, strict=True)]
