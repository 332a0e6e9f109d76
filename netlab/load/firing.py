"""One load in its process: the goals of its plan, one after the other.

The compiled loop does what a goal asks for; which goal comes next, and what to do
when the parent speaks, is decided here. The epoll and the timer are made here too:
Python cannot make a timerfd before 3.13.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator

import numpy as np

from netlab.kernel import libc
from netlab.load import loop
from netlab.load.bundle import CLIENT, Bundle, Goal, Target, bundle
from netlab.load.plans import (
    CONNECTION,
    OWN_DESCRIPTORS,
    REQUEST,
    LoadSettings,
    Outcome,
)
from netlab.records import Log

SOURCES = 100  # own addresses, from 127.0.0.1: 1,200,000 connections to each of theirs
TIMER_FLAGS = libc.SOCK_NONBLOCK | libc.SOCK_CLOEXEC  # TFD_... are the same numbers


class Interrupted(Exception):
    """The parent asked for the end, or is gone."""


class Firing:
    """One load: its bundle, and the descriptors that its loop waits with."""

    def __init__(
        self,
        settings: LoadSettings,
        target: Target,
        logs: tuple[Log, Log],
        control: int,
    ) -> None:
        self.settings = settings.resolved()
        self.epoll = select.epoll()
        self.timer = libc.function("timerfd_create")(libc.CLOCK_MONOTONIC, TIMER_FLAGS)
        if self.timer < 0:
            raise OSError(libc.last_error(), "timerfd_create failed")
        for descriptor in (control, self.timer):
            self.epoll.register(descriptor, select.EPOLLIN)
        room = np.zeros(settings.descriptors() + OWN_DESCRIPTORS, CLIENT)
        self.bundle: Bundle = bundle(settings, target, *logs)._replace(clients=room)
        self.state = self.bundle.state[0]
        self._start(control)

    def _start(self, control: int) -> None:
        state, now = self.state, time.monotonic_ns()
        deadline = now + int(self.settings.timeout_s * 1e9)
        state["control"], state["timer"] = control, self.timer
        state["epoll"], state["sources"] = self.epoll.fileno(), SOURCES
        state["deadline_ns"] = state["last_ask_ns"] = deadline
        if self.settings.ends_by_time:
            state["last_ask_ns"] = now + int((self.settings.duration_s or 0) * 1e9)

    def fire(self) -> bool:
        """Reach the plan's goals; False if the load ended before the last."""
        return all(self.reach(goal) for goal in PLAN_GOALS[self.settings.plan](self))

    def hold(self, seconds: float) -> bool:
        """Keep what is open for a time; False if the load ended before."""
        self.state["until_ns"] = time.monotonic_ns() + int(seconds * 1e9)
        return self.reach(Goal.HOLD)

    def reach(self, goal: Goal) -> bool:
        """Run the loop towards one goal; False if the load is over before."""
        self.state["goal"] = goal
        why = loop.run(self.bundle)
        if why == loop.HEARD:
            raise Interrupted
        return why == loop.DONE

    def let_go(self, outcome: Outcome) -> None:
        """Close what is open; its rows say `outcome`."""
        self.state["last_outcome"] = outcome
        self.state["goal"] = Goal.LET_GO
        loop.run(self.bundle)

    @property
    def left_s(self) -> float:
        """Seconds until the load's time is over."""
        return max(int(self.state["deadline_ns"]) - time.monotonic_ns(), 0) / 1e9

    def close(self) -> None:
        """Close what the end of the load cut off, and the loop's descriptors."""
        self.let_go(Outcome.OPEN if self.left_s else Outcome.TIMED_OUT)
        self.epoll.close()
        os.close(self.timer)


def _open(firing: Firing) -> Iterator[Goal]:
    yield Goal.OPEN
    firing.state["zero_ns"] = time.monotonic_ns() + LEAD_NS
    yield Goal.SCHEDULE
    firing.let_go(Outcome.CLOSED)


def _burst(firing: Firing) -> Iterator[Goal]:
    yield Goal.BURST
    yield Goal.OPEN
    if firing.settings.requests:
        yield Goal.ASK
        yield Goal.ANSWERS


def _simple(_: Firing) -> Iterator[Goal]:
    yield Goal.OPEN


LEAD_NS = 1_000_000  # so that the first request of a schedule is not late already
PLAN_GOALS: dict[str, Callable[[Firing], Iterator[Goal]]] = {
    "closed": _simple,
    "touch": _simple,
    "open": _open,
    "burst": _burst,
    "hold": _simple,
}


def settle_in() -> None:
    """Compile the loop, or load it from the cache, before anybody waits for it."""
    target = Target([("127.0.0.1", 9)], 1, stop_early=False)
    logs = Log(CONNECTION, 1), Log(REQUEST, 1)
    over = bundle(LoadSettings(), target, *logs)._replace(clients=np.zeros(1, CLIENT))
    loop.run(over)  # its deadline is long past
