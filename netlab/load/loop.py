"""The load's loop, compiled: what is due is done, then whatever comes is served.

Facts. `epoll_wait` counts its timeout in milliseconds, too coarse for a schedule of
5,000 requests a second; a `timerfd` is a high-resolution timer that one waits for
like for anything else. A timer that is set again is no longer readable, so it is
never read.

Decision. One epoll has the clients, the timer, set to the next moment at which
something is due, and the parent's socket. The loop waits for these without a limit.
It returns to Python when its goal is reached, when time has run out, when a load that
ends at its first failure has one, or when the parent said something (HEARD); what to
do then is decided there (`firing`).

In plan open, what is due is looked for after every event, so that many answers at
once make no request late. A request that is due finds the client that has been idle
longest; if there is none, it waits, and those that wait are served in order.

Whatever a load is made of, `run` is compiled once and kept: it closes over a digest
of the files that it comes from.

What may not be put here: the text of a message, or what only Python can do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from netlab import (
    protocol,
    protocol_answers,
    protocol_arrays,
    protocol_client,
    records,
)
from netlab.kernel import native
from netlab.kernel.native import address, int64, jit
from netlab.load import bundle as bundles
from netlab.load import client as clients
from netlab.load import opening, plans, rows
from netlab.load.bundle import FOREVER_NS, SECOND_NS, Bundle, Goal
from netlab.load.client import (
    ABSENT,
    AT_ONCE,
    CONNECTING,
    IDLE,
    MADE,
    NONE,
    ask,
    end,
    leave_line,
    receive,
)
from netlab.load.opening import begin, connected, make

DONE, OUT_OF_TIME, FAILED_EARLY, HEARD = range(4)  # why the loop returned
REACHED = -1  # in place of a moment: the goal is reached, nothing more is due
TIMER = 2  # its place in Bundle.scratch, behind the clock
ABSOLUTE = 1  # TFD_TIMER_ABSTIME
OPEN, BURST, ASK, ANSWERS, SCHEDULE, HOLD, LET_GO = np.array(Goal)


@jit
def serve(b: Bundle, count: int) -> int:
    """Deal with `count` events; 1 if the parent said something, else 0."""
    state, heard = b.state[0], 0
    for place in range(count):  # not positive after a signal: there is nothing then
        event = b.events[place]
        fd = int64(event["fd"])
        if fd == state["control"]:
            heard = 1
        elif fd == state["timer"]:
            state["timer_ns"] = 0  # it must be set again to be quiet
        elif b.clients[fd]["stage"] == CONNECTING:
            connected(b, fd, event["events"])
        else:
            receive(b, fd)
        if state["goal"] == SCHEDULE:
            follow(b, native.now_ns(b.scratch))
    return heard


@jit
def set_timer(b: Bundle, moment: int) -> int:
    """Let the timer become readable at `moment`, unless it is set to that."""
    state = b.state[0]
    if state["timer_ns"] == moment:
        return 0
    state["timer_ns"] = moment
    b.scratch[TIMER], b.scratch[TIMER + 1] = 0, 0
    b.scratch[TIMER + 2] = moment // SECOND_NS
    b.scratch[TIMER + 3] = moment % SECOND_NS
    place = address(b.scratch) + 8 * TIMER
    return native.timerfd_settime(state["timer"], ABSOLUTE, place, 0)


# -- goals: each does what is due, and returns when more is, or REACHED ---------------


@jit
def advance(b: Bundle, now: int) -> int:
    """Do what the goal has due at `now`."""
    state = b.state[0]
    goal = state["goal"]
    if goal == OPEN:
        return open_more(b, now)
    if goal == SCHEDULE:
        return follow(b, now)
    if goal == ANSWERS:
        return FOREVER_NS if state["busy"] > 0 else REACHED
    if goal == HOLD:
        return state["until_ns"] if now < state["until_ns"] else REACHED
    return for_all(b, goal)


@jit
def open_more(b: Bundle, now: int) -> int:
    """Open connections, as many as may be open and under way, until all were."""
    state = b.state[0]
    while may_open(b, now):
        if now < state["next_open_ns"]:
            return state["next_open_ns"]
        if opened(b, NONE) == NONE:
            return now  # after a look at the events
        if state["pause_ns"] >= 0:
            state["next_open_ns"] = now + state["pause_ns"]
            return state["next_open_ns"]
        now = native.now_ns(b.scratch)
    waiting = state["open"] if state["asks"] else state["connecting"]
    all_were = state["opened"] >= state["wanted"] or now >= state["last_ask_ns"]
    if waiting > 0 or not all_were:
        return FOREVER_NS
    return state["next_open_ns"] if now < state["next_open_ns"] else REACHED


@jit
def may_open(b: Bundle, now: int) -> int:
    """Return whether a connection more is wanted, and allowed now."""
    state = b.state[0]
    return (
        state["opened"] < state["wanted"]
        and state["open"] < state["at_once"]
        and state["connecting"] < state["under_way"]
        and now < state["last_ask_ns"]
    )


@jit
def opened(b: Bundle, arrival: int) -> int:
    """Open a connection for a request of the schedule, or NONE; its descriptor."""
    fd = make(b, arrival)
    return fd if fd == NONE else begin(b, fd)


@jit
def follow(b: Bundle, now: int) -> int:
    """Ask what the schedule has due, as far as connections are free."""
    state, total = b.state[0], len(b.schedule)
    while state["to_replace"] > 0 and state["taken"] < total:
        state["to_replace"] -= 1
        if state["requests"] > 1 and state["open"] < state["at_once"]:
            opened(b, NONE)
    while state["taken"] < state["noticed"] and take(b):
        continue
    while state["noticed"] < total and now >= due_ns(b):
        state["noticed"] += 1
        if state["taken"] + 1 < state["noticed"] or take(b) == 0:
            b.schedule[state["noticed"] - 1]["noticed_ns"] = now
        now = native.now_ns(b.scratch)
    if state["noticed"] < total:
        return due_ns(b)
    under_way = state["busy"] + state["connecting"]
    return REACHED if state["taken"] == total and under_way == 0 else FOREVER_NS


@jit
def due_ns(b: Bundle) -> int:
    """Return when the next request that was not noticed yet is due."""
    state = b.state[0]
    return state["zero_ns"] + b.schedule[state["noticed"]]["due_ns"]


@jit
def take(b: Bundle) -> int:
    """Let a free client ask what has waited longest; 0 if none is free."""
    state = b.state[0]
    fd, arrival = state["oldest"], state["taken"]
    if fd != NONE:
        state["taken"] += 1
        b.clients[fd]["arrival"] = arrival
        leave_line(b, fd)
        ask(b, fd)
        return 1
    if state["open"] >= state["at_once"]:
        return 0
    state["taken"] += 1
    if b.schedule[arrival]["noticed_ns"] == AT_ONCE:  # the handshake is waiting
        b.schedule[arrival]["noticed_ns"] = native.now_ns(b.scratch)
    opened(b, arrival)
    return 1


@jit
def for_all(b: Bundle, goal: int) -> int:
    """Do at once what a goal wants of every client."""
    state = b.state[0]
    if goal == BURST:
        while state["opened"] < state["wanted"]:
            make(b, NONE)
    for fd in range(len(b.clients)):
        stage = b.clients[fd]["stage"]
        if goal == BURST and stage == MADE:
            begin(b, fd)
        elif goal == ASK and stage == IDLE:
            ask(b, fd)
        elif goal == LET_GO and stage != ABSENT:
            end(b, fd, state["last_outcome"])
    return REACHED


def _compiled() -> Callable[[Bundle], int]:
    own = (sys.modules[__name__], clients, opening, rows, bundles, plans)
    words = (protocol, protocol_answers, protocol_arrays, protocol_client, records)
    made_of = native.digest(*own, *words)

    @native.cached
    def run(b: Bundle) -> int:
        """Work for the goal in the bundle's state, and wait; return why it is over."""
        state, last = b.state[0], len(b.events) - 1
        if state["goal"] == LET_GO:  # also when the time is over
            return for_all(b, LET_GO)
        while made_of:
            now = native.now_ns(b.scratch)
            if now >= state["deadline_ns"]:
                return OUT_OF_TIME
            if state["failed"] and state["stop_early"]:
                return FAILED_EARLY
            due = advance(b, now)
            if due == REACHED:
                return DONE
            set_timer(b, min(due, state["deadline_ns"]))
            count = native.epoll_wait(state["epoll"], address(b.events), last, -1)
            if serve(b, count):
                return HEARD
        return NONE  # never: a digest is not 0

    return run


run = _compiled()
