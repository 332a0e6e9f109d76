"""Load held on long-lived servers for as long as you like: no loss, no leak, no drift.

Four servers, both engines in threads and in processes, live from the first minute to
the last. In every round each of them goes through all loads (`soak_loads`), one server
after the other; the load's process is kept, in every FRESH_EVERY-th round it is a fresh
one. After its loads a server must have answered everything, and after the round all
must be at rest as they were after the WARM_UP rounds: the same descriptors, threads,
processes and listeners, nobody in a queue, the same sysctls. Memory and latencies are
noted, and their trend is judged at the end (`soak_trends`).

The time is a bound for how long it goes on, and nothing is judged by it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from netlab.checks import finite
from netlab.load.generator import Generator
from reliability import soak_loads
from reliability.results import Broken, Rows
from reliability.served import until
from reliability.soak_held import KINDS, belongings, family, memory_kb, start
from reliability.soak_loads import Rounds
from reliability.soak_trends import Look, trend
from reliability.soak_visitors import REGULARS, Company, address_of
from reliability.trial import of_the_machine

MINUTES, MINUTES_LIMIT = 60.0, 7 * 24 * 60
WARM_UP = 2  # rounds: what is allocated once has been
LEAST = 4  # rounds after it, however short the time: a trend needs some
FRESH_EVERY = 5
TOLD_EVERY_S = 60.0
LONG_S = 300.0  # for which another program may have a sysctl changed
LOAD, SELF = "the load's process", "the process that measures"
Servers = dict[str, Callable[[], Any]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what may be asked for."""
    parser.add_argument("--minutes", type=float, default=MINUTES, metavar="N")


def measure(options: argparse.Namespace) -> Rows:
    """Return a row a process; Broken for a loss, a leak or a drift.

    An interrupt ends it with the round that it is in. ValueError if that was too early
    for a trend.
    """
    finite("minutes", options.minutes, 0)
    if options.minutes > MINUTES_LIMIT:
        raise ValueError(f"minutes={options.minutes}: give at most {MINUTES_LIMIT}")
    return soak(options.minutes, {kind: _starter(kind) for kind in KINDS})


def _starter(kind: str) -> Callable[[], Any]:
    return lambda: start(kind)


def soak(minutes: float, servers: Servers) -> Rows:
    """Hold these servers under load; `measure` with servers of one's own."""
    trend([Look(made, 0) for made in range(3)])  # what is kept for ever is loaded now
    machine, before = of_the_machine(), _own_belongings()
    with contextlib.ExitStack() as stack:
        held = Soak(stack, servers)
        with _ended_by_interrupts(held):
            held.go_on(minutes * 60)
        rows = held.rows()
        held.stop()
    until(lambda: of_the_machine() == machine, f"the machine again {machine}", LONG_S)
    if (own := _own_belongings()) != before:
        raise Broken(f"descriptors, threads, processes: before {before}, now {own}")
    return rows


@contextlib.contextmanager
def _ended_by_interrupts(held: Soak) -> Iterator[None]:
    """Let the first interrupt end the soak with its round, and the second at once."""

    def told(*_: object) -> None:
        if held.over:
            raise KeyboardInterrupt
        held.over = True
        print("interrupted: this round is the last", file=sys.stderr)

    before = signal.signal(signal.SIGINT, told)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _own_belongings() -> tuple[int, ...]:
    own = belongings([os.getpid()])
    return own.descriptors, own.threads, len(family(os.getpid()))


class Soak:
    """The servers, the load's process, and what was seen of them, round by round."""

    def __init__(self, stack: contextlib.ExitStack, servers: Servers) -> None:
        self.machine = of_the_machine()
        self.generator = stack.enter_context(Generator())
        self.servers: dict[str, Any] = {}
        self.played: dict[str, Rounds] = {}
        for number, (kind, starts) in enumerate(servers.items()):
            server = self.servers[kind] = stack.enter_context(starts())
            company = Company(address_of(server), number)
            stack.callback(company.leave)
            self.played[kind] = Rounds(kind, server, company)
        names = [*servers, LOAD, SELF]
        self.looks: dict[str, list[Look]] = {name: [] for name in names}
        self.connections = dict.fromkeys(names, 0)
        self.requests = dict.fromkeys(names, 0)
        self.at_rest: dict[str, Any] = {}
        self.rounds, self.lasted_s, self.over = 0, 0.0, False

    def go_on(self, seconds: float) -> None:
        """Play rounds until the time is over, and LEAST of them at least."""
        began = told = time.monotonic()
        while not self.over and (
            self.lasted_s < seconds or self.rounds < WARM_UP + LEAST
        ):
            self.play()
            self.lasted_s = time.monotonic() - began
            if time.monotonic() - told > TOLD_EVERY_S:
                told = time.monotonic()
                self._tell(seconds)

    def play(self) -> None:
        """Play one round on every server, and look at all of them at rest."""
        fresh = self.rounds % FRESH_EVERY == FRESH_EVERY - 1
        seen = {}
        with Generator() if fresh else contextlib.nullcontext() as other:
            for kind, rounds in self.played.items():
                seen[kind] = rounds.play(self.rounds, other or self.generator)
                self._count(kind, seen[kind])
        self.rounds += 1
        if self.rounds >= WARM_UP:
            self._look(seen)
            self._require_rest()

    def _count(self, kind: str, played: soak_loads.Round) -> None:
        for name in (kind, SELF):
            self.connections[name] += played.connections
            self.requests[name] += played.requests
        self.connections[LOAD] = self.connections[SELF]
        self.requests[LOAD] = self.requests[SELF]

    def _look(self, seen: dict[str, soak_loads.Round]) -> None:
        """Note each process's memory, and what the round showed of each server."""
        for name, pids in self._pids().items():
            of_round = seen.get(name)
            told = (of_round.p50_us, of_round.wakeups_per_accept) if of_round else ()
            memory = memory_kb(pids)
            self.looks[name].append(Look(self.connections[name], memory, *told))

    def _pids(self) -> dict[str, list[int]]:
        pids = {kind: family(server.pid) for kind, server in self.servers.items()}
        return pids | {LOAD: [self.generator.pid or 0], SELF: [os.getpid()]}

    def _require_rest(self) -> None:
        """Raise Broken unless all have what they had at rest after the warm-up."""
        machine = self.machine  # what others change meanwhile, they put back
        until(
            lambda: of_the_machine() == machine, f"the machine again {machine}", LONG_S
        )
        for name, pids in self._pids().items():
            now = belongings(pids, REGULARS if name in self.servers else 0)
            before = self.at_rest.setdefault(name, now)
            if now != before or now.waiting:
                raise Broken(
                    f"round {self.rounds}, {name}: {before} at rest is now {now}"
                )

    def rows(self) -> Rows:
        """Return a row a process; Broken for one that drifts."""
        if self.rounds < WARM_UP + LEAST:
            least = WARM_UP + LEAST
            raise ValueError(f"ended after {self.rounds} rounds; a trend takes {least}")
        return [self._row(name) for name in self.looks]

    def _row(self, name: str) -> dict[str, Any]:
        found = trend(self.looks[name])
        if faults := found.faults():
            raise Broken(f"{name}, after {self.rounds} rounds: {'; '.join(faults)}")
        return {
            "process": name,
            "minutes": round(self.lasted_s / 60, 1),
            "rounds": self.rounds,
            "connections": self.connections[name],
            "requests": self.requests[name],
            "lost": 0,
            "mixed": 0,
            "descriptors, threads, processes left": 0,
            "memory, MiB, after the warm-up": round(found.memory_mb[0], 1),
            "at the end": round(found.memory_mb[1], 1),
            "kB per 1,000 connections": round(found.kb_per_1000, 2),
            "p50, last third by first": _rounded(found.p50_drift),
            "wake-ups per accept, last third by first": _rounded(found.wakeups_drift),
        }

    def stop(self) -> None:
        """Stop the servers; Broken for one that failed or whose log does not add up."""
        for rounds in self.played.values():
            rounds.company.leave()
        for kind, server in self.servers.items():
            server.stop()
            soak_loads.require_log(server)
            if server.failures or server.faults:
                raise Broken(f"{kind}: {server.failures} {server.faults}")

    def _tell(self, seconds: float) -> None:
        minutes = f"{self.lasted_s / 60:.0f} of {seconds / 60:.0f} min"
        made, asked = self.connections[SELF], self.requests[SELF]
        done = f"{self.rounds} rounds, {made:,} connections, {asked:,} requests"
        print(f"{minutes}, {done}: nothing lost, nothing left", file=sys.stderr)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
