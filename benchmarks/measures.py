"""The table of measures: what is told of each, and who makes its cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmarks import (
    calls,
    first_answer,
    generators,
    idle,
    requests,
    sampling,
    scaling,
)
from benchmarks.bench import Bench, Case
from benchmarks.running import Missing
from benchmarks.settings import chosen


class Measure(NamedTuple):
    """One row. `cases` raises Missing with the reason if it cannot be had here."""

    name: str
    cases: Callable[[Bench], list[Case]]


MEASURES = (
    Measure("requests", requests.cases),
    Measure("calls", calls.cases),
    Measure("idle", idle.cases),
    Measure("generators", generators.cases),
    Measure("open-loop", generators.open_cases),
    Measure("scaling", scaling.cases),
    Measure("first-answer", first_answer.cases),
    Measure("sampler", sampling.cases),
)
NAMES = [measure.name for measure in MEASURES]


def all_cases(bench: Bench) -> list[Case]:
    """Return the cases of the measures asked for; those that lack are noted."""
    found: list[Case] = []
    wanted = chosen("measure", bench.settings.measures, NAMES)
    for measure in MEASURES:
        if measure.name in wanted:
            try:
                found += measure.cases(bench)
            except Missing as reason:
                bench.lack(measure.name, "all", str(reason))
    return found
