"""Both protocol files given the same bytes, and both engines the same streams.

Hypothesis draws inputs that are mostly good heads (`inputs`), in batches with a seed
each; of every one drawn all parts are read too, and its answer written both ways, and
ALTERED others are made of it. What is counted as an input is a whole one, drawn or
altered, that was not met before; its parts are counted apart. Of what differs, the
least that still differs is told.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from typing import Any

from hypothesis import strategies as st

from netlab.checks import whole_number
from netlab.protocol import FAULTS, Request
from reliability import fuzz_live
from reliability.alike import (
    ORDER,
    Differ,
    answered_alike,
    minimal,
    parts_read_alike,
    read_alike,
)
from reliability.inputs import altered, draw, for_long
from reliability.results import Broken, Rows

INPUTS, STREAMS = 1_000_000, 2_000
INPUTS_LIMIT, STREAMS_LIMIT = 100_000_000, 100_000
BATCH = 500  # examples: whoever draws more at once repeats himself more
ENOUGH = 20_000  # inputs among which every verdict is
FEWEST = 50  # the first of a batch are always the same
ALTERED = 15  # of each drawn: to draw one takes a hundred times as long
NUMBERS = (-1, 0, 1, 9, 10, 99, 9999, 10**9, 10**12 - 1, 2**63 - 1)  # in an answer
WAITING = "not complete yet"
TOLD_EVERY_S = 30.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what may be asked for."""
    inputs, streams = "inputs of both files, at least", "streams to both engines"
    parser.add_argument("--inputs", type=int, default=INPUTS, metavar="N", help=inputs)
    parser.add_argument(
        "--streams", type=int, default=STREAMS, metavar="N", help=streams
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N")


def measure(options: argparse.Namespace) -> Rows:
    """Return a row a verdict, and one for all; Broken if anything differs."""
    whole_number("inputs", options.inputs, 1, INPUTS_LIMIT)
    whole_number("streams", options.streams, 1, STREAMS_LIMIT)
    whole_number("seed", options.seed, 0, INPUTS_LIMIT)
    streams = fuzz_live.compared(options.streams, options.seed)
    compared = Compared()
    compared.until(options.inputs, options.seed)
    if options.inputs >= ENOUGH:
        require_all_verdicts(compared.inputs)
    return [*rows("protocol files", compared), *rows("engines, live", streams)]


def rows(what: str, compared: Any) -> Rows:
    """Return the table's rows of one comparison: what split how."""
    verdicts = sorted(compared.inputs)
    counted = [
        (verdict, compared.inputs[verdict], compared.parts[verdict])
        for verdict in verdicts
    ]
    counted.append(("all", compared.inputs.total(), compared.parts.total()))
    return [
        {"given to both": what, "verdict": verdict, "different inputs": inputs,
         "their parts": parts or None, "said different things": 0}
        for verdict, inputs, parts in counted
    ]  # fmt: skip


class Compared:
    """How many inputs were read alike, by their verdict."""

    def __init__(self) -> None:
        self.inputs: Counter[str] = Counter()
        self.parts: Counter[str] = Counter()
        self.seen: set[int] = set()  # 64 bits of each
        self.told_s = time.monotonic()

    def until(self, inputs: int, first_seed: int) -> None:
        """Compare until there were so many different ones; Broken for one that differs.

        first_seed: the first batch's; the next has the next.
        """
        drawn = st.tuples(for_long, st.integers(0))
        while len(self.seen) < inputs:
            missing = -(-(inputs - len(self.seen)) // (ALTERED + 1))
            examples = min(BATCH, max(FEWEST, missing))
            try:
                draw(self.compare, drawn, examples, first_seed)
            except AssertionError as error:
                raise Broken(told(error, first_seed)) from error
            first_seed += 1
            self._tell(inputs)

    def compare(self, drawn: tuple[bytes, int]) -> None:
        """Compare one that was drawn, its parts, its answer, and what is made of it."""
        data, seed_of_others = drawn
        others = random.Random(seed_of_others)
        request = self.note(data)
        for verdict in parts_read_alike(data):
            self.parts[verdict_of(verdict)] += 1
        if request is not None:
            told = {name: others.choice(NUMBERS) for name in ORDER}
            answered_alike(request, **told)
        for _ in range(ALTERED):
            self.note(altered(data, others))

    def note(self, data: bytes) -> Request | None:
        """Compare one, and count it if it was not met before."""
        request = read_alike(data)
        if (known := hash(data)) not in self.seen:
            self.seen.add(known)
            self.inputs[verdict_of(request)] += 1
        return request

    def _tell(self, inputs: int) -> None:
        if time.monotonic() - self.told_s > TOLD_EVERY_S:
            self.told_s = time.monotonic()
            print(f"{len(self.seen):,} of {inputs:,} inputs: alike", file=sys.stderr)


def verdict_of(request: Request | None) -> str:
    """Return what a verdict is counted as: its status and why."""
    if request is None:
        return WAITING
    return f"{request.status} {request.reason.decode()}".strip()


def require_all_verdicts(met: Counter[str]) -> None:
    """Raise Broken unless every verdict that there is was met: a poor fuzz."""
    every = {f"{fault.status} {fault.reason.decode()}" for fault in FAULTS}
    if missing := {*every, "200", WAITING} - met.keys():
        raise Broken(f"no input was met of which is said: {sorted(missing)}")


def told(error: AssertionError, number: int) -> str:
    """Return what is said of an input that differs: the least that still does."""
    if not isinstance(error, Differ):  # an answer
        return f"{error} (seed {number})"
    try:
        read_alike(smallest := minimal(error.data))
    except Differ as least:
        return f"{least} (seed {number}: of {error.data!r})"
    return f"{smallest!r} differs only now and then"
