"""A sweep: every combination of a grid of settings, repeated, a row per run.

    netlab.sweep({"strategy": ["level", "exclusive"], "workers": [1, 2, 4]},
                 plan="touch", connections=100, folder="runs/herd")

Facts. A grid grows as a product, and takes its time; a combination that cannot be had
would show after an hour, an interrupt would lose that hour, and a row whose machine was
throttled meanwhile looks like any other.

Decision. All combinations are checked before the first run, and those that cannot be
honoured are named at once. Runs go in the blocks of `interleave`. Each is a row as soon
as it is conserved, with whether its machine disturbed it: `throttled` (a quota stopped
it for a while), `settled` (the workers were asleep whenever they were counted). With a
folder, the row is on the disk before the next run begins (`journal`), and the same call
goes on where it was stopped.

Known limits. What only shows when a server starts, such as an address that is taken, is
met by its run; the rows before it are kept. A resumed run has its planned place in its
block, but comes after a pause, in which the machine may have changed.

What may not be put here: what the numbers mean (`verdicts`), and pictures.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.checks import finite, known, whole_number
from netlab.kernel import limits
from netlab.kernel.machine import machine
from netlab.load.plans import LoadSettings
from netlab.server.settings import SEED_LIMIT, ServerSettings
from netlab.study import journal
from netlab.study.experiment import LOAD_FIELDS, OWN_DESCRIPTORS, SERVER_FIELDS
from netlab.study.interleave import Measured, Point, in_blocks, in_order
from netlab.watch.sampler import HIGHEST_RATE_PER_S

if TYPE_CHECKING:
    import pandas as pd

RATE = "sample_rate_per_s"
SETTINGS = {RATE, *SERVER_FIELDS, *LOAD_FIELDS}
REPEATS_LIMIT = 100_000
# Figures that say nothing in a row: a run that is not conserved has none, and `settled`
# stands with what else may have disturbed it.
LEFT_OUT = ("conserved", "settled")


def sweep(
    grid: Mapping[str, Sequence[Any]],
    *,
    repeats: int = 3,
    seed: int = 1,
    folder: str | Path | None = None,
    progress: bool = True,
    **settings: Any,
) -> pd.DataFrame:
    """Run every combination of a grid `repeats` times; return a row per run.

    grid: values by the name of a setting, of the server or of the load.
    seed: of the order of the runs; the load's own can be in the grid.
    folder: where rows are kept as they come; called again with the same arguments, the
        sweep goes on.
    settings: those that all runs share, as `run` takes them; but nothing samples
        unless `sample_rate_per_s` is given.

    Columns: the grid's, `repeat` (from 0), the figures of `run` that are numbers or
    texts (lists as text; those that no run has are left out), `throttled`, `settled`
    and `stamp`. Rows stand in the order of the grid.

    Raises TypeError for an unknown setting, ValueError for combinations that cannot be
    honoured and for a folder of another sweep, and else what `run` raises.
    """
    whole_number("repeats", repeats, 1, REPEATS_LIMIT)
    whole_number("seed", seed, 0, SEED_LIMIT - REPEATS_LIMIT)
    if seed is None:
        raise ValueError("seed=None: give a whole number, such as 1")
    points = combinations(grid, settings)
    asked = {"grid": dict(grid), "repeats": repeats, "seed": seed, "settings": settings}
    with journal.opened(folder, asked | {"machine": machine().as_dict()}) as kept:
        done = {_key(row, grid) for row in kept.rows}
        order = in_blocks(points, repeats, seed)
        left = [one for one in order if _wanted_key(one, grid) not in done]
        with closing(in_order(left, seed, progress)) as found:
            for measured in found:
                kept.append(row_of(measured))
        wanted = [(repeat, point) for point in points for repeat in range(repeats)]
        return _table(kept.rows, wanted, grid)


def combinations(
    grid: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]
) -> list[Point]:
    """Return the runs of a grid, one each; raises as `sweep` does."""
    known([*grid, *settings], SETTINGS)
    for name, values in grid.items():
        _check_values(name, values, settings)
    points = [
        Point(_labels(chosen), {RATE: None, **settings, **chosen})
        for values in itertools.product(*grid.values())
        for chosen in [dict(zip(grid, values, strict=True))]
    ]
    _refuse_what_cannot_be(points)
    return points


def row_of(measured: Measured) -> dict[str, Any]:
    """Return the row of a run, JSON-safe."""
    run = measured.run
    figures = {
        name: _text_if_list(value)
        for name, value in run.figures.items()
        if not isinstance(value, dict) and name not in LEFT_OUT
    }
    disturbed = {
        "throttled": bool(run.figures["throttling"]["throttled"]),
        "settled": run.figures["settled"],
    }
    return measured.labels | figures | disturbed | {"stamp": run.machine["line"]}


def _check_values(name: str, values: Any, settings: Mapping[str, Any]) -> None:
    if name in settings:
        raise ValueError(
            f"{name} is in the grid and beside it ({settings[name]!r}): give it once"
        )
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise ValueError(f"grid[{name!r}]={values!r}: give a list of at least one")
    texts = list(map(_text_if_list, values))
    if twice := [text for text in texts if texts.count(text) > 1]:
        raise ValueError(
            f"grid[{name!r}] has {twice[0]!r} twice: give each value once; `repeats` "
            "repeats them"
        )


def _refuse_what_cannot_be(points: Iterable[Point]) -> None:
    """Raise ValueError that names all combinations that cannot be honoured."""
    told = [
        f"  {_named(point.labels)}: {reason}"
        for point in points
        if (reason := _reason_against(dict(point.settings)))
    ]
    if told:
        listed = "\n".join(told)
        raise ValueError(
            f"{len(told)} combinations cannot be honoured, and nothing was run; take "
            f"the values out of the grid, or into a sweep of their own:\n{listed}"
        )


def _reason_against(settings: dict[str, Any]) -> str | None:
    """Return why a run with these settings cannot be; None if it can."""
    rate = settings.pop(RATE)
    for_load = {name: settings.pop(name) for name in LOAD_FIELDS & settings.keys()}
    try:
        finite(RATE, rate, 0.01)
        if rate is not None and rate > HIGHEST_RATE_PER_S:
            raise ValueError(f"{RATE}={rate}: at most {HIGHEST_RATE_PER_S:.0f}")
        ServerSettings(**settings)
        wanted = LoadSettings(**for_load).descriptors() + OWN_DESCRIPTORS
        with limits.raised_descriptor_limit(wanted):
            return None
    except (ValueError, TypeError, OSError) as error:
        return str(error)


def _table(
    rows: Iterable[dict[str, Any]],
    wanted: Iterable[tuple[int, Point]],
    grid: Iterable[str],
) -> pd.DataFrame:
    """Return the rows of the runs that were wanted, without figures that none has."""
    import pandas as pd

    names = list(grid)
    found = {_key(row, names): row for row in rows}
    runs = [found[_wanted_key(one, names)] for one in wanted]
    told = {name for row in runs for name in row if row[name] is not None}
    columns = dict.fromkeys([*names, *(name for row in runs for name in row)])
    kept = [name for name in columns if name in told or name in names]
    return pd.DataFrame(runs, columns=pd.Index(kept))


def _key(row: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return what tells a run from the others."""
    return json.dumps([row[name] for name in (*names, "repeat")])


def _wanted_key(one: tuple[int, Point], names: Iterable[str]) -> str:
    repeat, point = one
    return _key(point.labels | {"repeat": repeat}, names)


def _labels(chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _text_if_list(value) for name, value in chosen.items()}


def _named(labels: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in labels.items()) or "all"


def _text_if_list(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
