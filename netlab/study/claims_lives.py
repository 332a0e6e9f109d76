"""What the studies of one thread's life claim, and why each threshold is where it is.

    IDLE_PERCENT 1     CPU time of a thread that sleeps: measured 0
    BUSY_PERCENT 95    time in which a thread that works runs or waits for a CPU; the
                       two clocks of the account are read one after the other
    ONCE 1.3           wake-ups a request, of a worker that sleeps before each
    HALF 35 to 65 %    waiting of two that work on one CPU: the scheduler is fair to
                       half of a slice in a look of some forty
    LITTLE_PERCENT 15  waiting of one that has its CPU to itself; others of the machine
                       use it as well
    OFTEN 3            preemptions in a look, of one that shares its CPU: a slice is
                       some milliseconds, a look a hundred slices and more

What may not be put here: how several cases become one verdict (`cases`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netlab.study.accounts import APART, ASKED, SLEEPS, TOGETHER
from netlab.study.cases import each, only, repeats_of
from netlab.study.lives import BESIDE
from netlab.study.verdicts import Verdict

if TYPE_CHECKING:
    from netlab.study.found import Found

IDLE_PERCENT, BUSY_PERCENT, LITTLE_PERCENT = 1, 95, 15
ONCE, OFTEN, HALF_PERCENT = 1.3, 3, (35, 65)
ONE_EACH = "A request wakes its worker once."

Claims = Iterator[Verdict]


def one_life(found: Found) -> Claims:
    """Judge what moves a worker that answers, alone and beside a spinner."""
    traces = found.tables["traces"]
    traces = traces.assign(
        woken=traces["voluntary"] / traces["requests"],
        taken=traces["involuntary"] / traces["requests"],
    )
    woken = repeats_of(traces, "woken", "company")
    yield each(ONE_EACH, woken, 1, ONCE, "wake-ups per request")
    beside = only(repeats_of(traces, "taken", "company"), [BESIDE])
    claim = "Beside a spinner the CPU is taken from it in each request."
    yield each(claim, beside, low=1, unit="preemptions per request")


def switches(found: Found) -> Claims:
    """Judge what the account says of sleeping, being asked, working and sharing."""
    table = found.tables["switches"]
    runs = table.assign(
        ran=100 * table["ran_ms"] / table["lasted_ms"],
        waited=100 * table["waited_ms"] / table["lasted_ms"],
        woken=table["voluntary"] / table["requests"].where(table["requests"] > 0),
    )
    runs["awake"] = runs["ran"] + runs["waited"]
    columns = ("ran", "waited", "awake", "woken", "involuntary")
    by = {name: repeats_of(runs, name, "case") for name in columns}
    claim = "A sleeping worker uses no CPU time."
    yield each(claim, only(by["ran"], [SLEEPS]), high=IDLE_PERCENT, unit="% running")
    yield each(ONE_EACH, only(by["woken"], [ASKED]), 1, ONCE, "wake-ups per request")
    claim = "Who works does not sleep: it runs, or waits for a CPU."
    busy = only(by["awake"], [APART, TOGETHER])
    yield each(claim, busy, low=BUSY_PERCENT, unit="% running or runnable")
    claim = "Of two that work on one CPU, each waits half of the time."
    yield each(claim, only(by["waited"], [TOGETHER]), *HALF_PERCENT, unit="% waiting")
    claim = "Moved to a CPU of its own, it hardly waits."
    yield each(
        claim, only(by["waited"], [APART]), high=LITTLE_PERCENT, unit="% waiting"
    )
    claim = "Who shares its CPU loses it again and again."
    taken = only(by["involuntary"], [TOGETHER])
    yield each(claim, taken, low=OFTEN, unit="preemptions")
