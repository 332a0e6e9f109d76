"""Many runs, a row each: settings side by side, in an order that favours none.

Facts. A machine drifts: it warms up, another program wakes, a quota runs out. Runs of
one kind after the other would give the drift to the kinds. The first run of a process
pays for imports, cold code and the first pages of its memory.

Decision. All points are run once in a shuffled order, then again in another, as often
as there are repeats (randomized complete blocks). One load's process serves them all.
A short run that is not counted goes first. The shuffle comes from a seed, so that the
same command makes the same order.
"""

from __future__ import annotations

import random
from collections import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

from netlab.load.generator import Generator
from netlab.load.plans import short
from netlab.load.progress import bar
from netlab.study.experiment import LOAD_FIELDS, run
from netlab.study.run import Run

WARM_UP_CONNECTIONS = 32
WARM_UP_S = 0.2


class Point(NamedTuple):
    """One kind of run: the columns that name it in a table, and its settings."""

    labels: dict[str, Any]
    settings: dict[str, Any]


class Measured(NamedTuple):
    """One run of a point."""

    labels: dict[str, Any]
    run: Run


def interleaved(
    points: Sequence[Point], repeats: int, seed: int = 1, progress: bool = True
) -> abc.Generator[Measured, None, None]:
    """Run every point `repeats` times, and yield each run with its labels.

    The labels gain `repeat`, from 0. Raises what `run` raises.
    """
    return in_order(in_blocks(points, repeats, seed), seed, progress)


def in_order(
    order: Sequence[tuple[int, Point]], seed: int = 1, progress: bool = True
) -> abc.Generator[Measured, None, None]:
    """Run what `in_blocks` made, or what is left of it; else as `interleaved`.

    Whoever may leave before the last run closes it, which ends the load's process.
    """
    if not order:
        return
    alone = len(order) == 1  # then the load's own bar tells more
    with (
        Generator() as generator,
        bar(len(order), "runs", progress and not alone) as told,
    ):
        warm_up(order[0][1].settings, generator)
        for repeat, point in order:
            told.set_postfix_str(" ".join(map(str, point.labels.values())))
            drawn: dict[str, Any] = {"place_seed": seed + repeat}
            done = run(
                **drawn | point.settings,
                generator=generator,
                progress=progress and alone,
            )
            yield Measured(point.labels | {"repeat": repeat}, done)
            told.update()


def in_blocks(
    points: Sequence[Point], repeats: int, seed: int
) -> list[tuple[int, Point]]:
    """Return all runs in the order of running: (repeat, point).

    Raises ValueError unless `repeats` is a whole number of at least 1.
    """
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise ValueError(f"repeats={repeats!r}: give a whole number of at least 1")
    draw = random.Random(seed)
    order = []
    for repeat in range(repeats):
        block = list(points)
        draw.shuffle(block)
        order += [(repeat, point) for point in block]
    return order


def warm_up(settings: dict[str, Any], generator: Generator) -> None:
    """Run once, shortly, and count nothing."""
    for_load = {name: settings[name] for name in settings if name in LOAD_FIELDS}
    shorter = short(for_load, WARM_UP_CONNECTIONS, WARM_UP_S)
    run(**settings | shorter, generator=generator, progress=False)
