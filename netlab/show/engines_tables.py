"""The tables behind the figures of the engines, and these figures in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from netlab.show.figures import readable
from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import medians_of, require, rows

REMEDY = "give the table of that name of the study engines"
WORK, TOUCH = "work", "touch"
EVENTS = {
    "wake-ups": "wakeups_per_accept",
    "would-blocks": "would_block_per_accept",
    "turns": "turns_per_accept",
}
LOADS = {
    TOUCH: "one connection at a time",
    "arriving": "200 connections a second, each asks and closes",
}
REPLAYED = "replayed"
STAMP = ["run_by", "python", "gil", REPLAYED]  # names a way to run workers


def engines_table(
    runs: pd.DataFrame,
    predicted: Mapping[str, tuple[float, float]] | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per way to run workers: what it gains, and what it wakes.

    Columns: run_by, python, gil, replayed, speed_up with speed_up_low and
    speed_up_high (requests/s of two workers by those of one, in the same repeat),
    workers, wakeups with wakeups_low and wakeups_high (per accept, of so many workers),
    repeats; and with a prediction, predicted_speed_up and predicted_wakeups. recorded:
    others' runs, whose rows follow, see `outlines.of_both`.

    Raises ValueError if a way lacks one of the two.
    """
    table = _ways(runs)
    if predicted:
        table = _with_guesses(table, predicted)
    return of_both(table, _measured(recorded, runs), _ways, ["run_by", "workers"])


def _ways(runs: pd.DataFrame) -> pd.DataFrame:
    figures = ["requests_per_s", "wakeups_per_accept"]
    require(runs, "runs of engines", REMEDY, "run_by", "load", "workers", *figures)
    runs = _stamped(runs)
    gain, woken = _gain(runs), _most_woken(runs)
    names = list(dict.fromkeys(runs["run_by"]))
    if lacking := [name for name in names if name not in gain or name not in woken]:
        raise ValueError(
            f"{lacking[0]!r} has no speed-up or no wake-ups: measure loads {WORK!r}, "
            f"of one worker and of two, and {TOUCH!r}"
        )
    stamps = runs.drop_duplicates("run_by")[STAMP].set_index("run_by")
    each = [
        {"run_by": name, **stamps.loc[name]}
        | _spread("speed_up", gain[name])
        | {"workers": _most(runs)}
        | _spread("wakeups", woken[name])
        | {"repeats": len(gain[name])}
        for name in names
    ]
    return pd.DataFrame(each)


def _gain(runs: pd.DataFrame) -> dict[str, Any]:
    """Return what a second worker gains, of each way and repeat."""
    work = runs.query("load == @WORK")
    rates = work.pivot_table(
        "requests_per_s", ["run_by", "repeat"], "workers", sort=False
    )
    if not {1, 2} <= set(rates.columns):
        return {}
    ratio = (rates[2] / rates[1]).dropna()
    return {str(name): own for name, own in ratio.groupby("run_by", sort=False)}


def _most_woken(runs: pd.DataFrame) -> dict[str, Any]:
    """Return the wake-ups per accept of the largest team, of each way."""
    touched = runs[(runs["load"] == TOUCH) & (runs["workers"] == _most(runs))]
    woken = touched.groupby("run_by", sort=False)["wakeups_per_accept"]
    return {str(name): own for name, own in woken}


def _most(runs: pd.DataFrame) -> int:
    workers = runs.query("load == @TOUCH")["workers"].tolist()
    return max(workers, default=0)


def _spread(name: str, values: Any) -> dict[str, float]:
    """Return the median of the repeats, and their range."""
    return {
        name: float(values.median()),
        f"{name}_low": float(values.min()),
        f"{name}_high": float(values.max()),
    }


def _with_guesses(
    table: pd.DataFrame, predicted: Mapping[str, tuple[float, float]]
) -> pd.DataFrame:
    columns = ["predicted_speed_up", "predicted_wakeups"]
    for name, guess in predicted.items():
        if len(guess) != 2 or not all(number > 0 for number in guess):
            raise ValueError(
                f"predicted[{name!r}]={guess!r}: give its speed-up and its wake-ups "
                "per accept, both above 0"
            )
    if unknown := sorted(set(predicted) - set(table["run_by"])):
        raise ValueError(
            f"predicted {unknown[0]!r}: there are {', '.join(table['run_by'])}"
        )
    guesses = pd.DataFrame.from_dict(dict(predicted), orient="index", columns=columns)
    return table.join(guesses, on="run_by")


def engines_alt(
    runs: pd.DataFrame,
    predicted: Mapping[str, tuple[float, float]] | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.engines` shows, in words."""
    table, theirs = parted(engines_table(runs, predicted, recorded))
    each = "; ".join(
        f"{name_of(row)} {row.speed_up:.2f} times ({row.speed_up_low:.2f} to "
        f"{row.speed_up_high:.2f}) and {row.wakeups:.3g} ({row.wakeups_low:.3g} to "
        f"{row.wakeups_high:.3g})"
        for row in rows(table)
    )
    text = (
        f"Scatter plot of {len(table)} ways to run workers, {medians_of(table)}: the "
        "requests per second of two workers by those of one, and the wake-ups per "
        f"accept of {table['workers'].iloc[0]} workers, where a line marks one for "
        f"each worker: {each}."
    )
    for name, (speed_up, wakeups) in (predicted or {}).items():
        text += f" Predicted for {name}: {speed_up:g} times and {wakeups:g}."
    return text + told(
        recorded,
        (
            f"{row.run_by} {row.speed_up:.2f} times and {row.wakeups:.3g}"
            for row in rows(theirs)
        ),
    )


def name_of(row: Any) -> str:
    """Return a way's name with its Python, and whether it was measured here."""
    since = ", recorded" if row.replayed else ""
    return f"{row.run_by} ({row.python}{since})"


def engine_lines_table(
    runs: pd.DataFrame,
    events: str = "wake-ups",
    load: str = TOUCH,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per way and number of workers: median, low, high per accept.

    Columns: run_by, python, gil, replayed, events, load, workers, median, low, high,
    repeats. events: a key of EVENTS. load: a key of LOADS. recorded: others' runs,
    whose rows follow, see `outlines.of_both`.

    Raises ValueError for other events, or a load that was not measured.
    """
    if events not in EVENTS:
        raise ValueError(f"events={events!r}: there are {', '.join(EVENTS)}")
    if load not in LOADS:
        raise ValueError(f"load={load!r}: there are {', '.join(LOADS)}")

    def lines(own: pd.DataFrame) -> pd.DataFrame:
        return _lines(own, events, load)

    theirs = _measured(recorded, runs)
    return of_both(lines(runs), theirs, lines, ["run_by", "workers"])


def _lines(runs: pd.DataFrame, events: str, load: str) -> pd.DataFrame:
    column = EVENTS[events]
    require(runs, "runs of engines", REMEDY, "run_by", "load", "workers", column)
    own = _stamped(runs).query("load == @load")
    if own.empty:
        raise ValueError(f"load={load!r} was not measured: ask the study for it")
    by = [*STAMP, "workers"]
    figures = own.groupby(by, sort=False)[column]
    table = figures.agg(median="median", low="min", high="max", repeats="size")
    table = table.reset_index().assign(events=events, load=load)
    each = [
        own.sort_values("workers") for _, own in table.groupby("run_by", sort=False)
    ]
    return pd.concat(each, ignore_index=True)


def engine_lines_alt(
    runs: pd.DataFrame,
    events: str = "wake-ups",
    load: str = TOUCH,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.engine_lines` shows, in words."""
    table, theirs = parted(engine_lines_table(runs, events, load, recorded))
    at = ", ".join(map(str, sorted(set(table["workers"]))))
    text = (
        f"Lines of {events} per accept against the number of workers ({LOADS[load]}), "
        f"{medians_of(table)}, with {at} workers: {'; '.join(_in_words(table))}."
    )
    return text + told(recorded, _in_words(theirs))


def _in_words(table: pd.DataFrame) -> list[str]:
    return [
        f"{name_of(next(iter(rows(own))))} {', '.join(map(readable, own['median']))}"
        for _, own in table.groupby("run_by", sort=False)
    ]


def _stamped(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with a column that says which were replayed."""
    if REPLAYED in runs.columns:
        return runs
    return runs.assign(**{REPLAYED: False})


def _measured(recorded: pd.DataFrame | None, runs: pd.DataFrame) -> Any:
    """Return the recorded runs of what was measured here, not replayed here too."""
    if recorded is None:
        return None
    ours = _stamped(runs)
    here = ours.loc[~ours[REPLAYED].astype(bool), "run_by"]
    return recorded[recorded["run_by"].isin(here)]
