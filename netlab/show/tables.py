"""The table behind each figure, and the figure in words: its alt text.

`X_table` makes of a run's table the few numbers that plot X draws; `X_alt` says
them, for those who do not see the picture. Plot, fold and words thus tell the
same numbers. An empty table is refused with the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

LISTED = 16  # so many workers are named one by one in a sentence


def accepts_per_worker_table(
    workers: pd.DataFrame,
    predicted: Sequence[float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per worker, by CPU: worker, cpu, connections (that it owned).

    predicted: a further column, in the order of the workers' numbers. recorded:
    another run's workers, as many; what they owned is a further column too.
    """
    require(workers, "workers", "give Run.workers", "worker", "cpu", "accepted")
    owned = workers["accepted"]
    if {"received", "given"} <= set(workers.columns):  # what was handed over
        owned = owned + workers["received"] - workers["given"]
    frame = workers[["worker", "cpu"]].assign(connections=owned).sort_values("worker")
    others = None
    if recorded is not None:
        theirs = accepts_per_worker_table(recorded).sort_values("worker")
        others = theirs["connections"].tolist()
    for name, values in (("predicted", predicted), ("recorded", others)):
        if values is not None:
            frame[name] = _one_each(name, values, len(frame))
    return frame.sort_values(["cpu", "worker"], ignore_index=True)


def accepts_per_worker_alt(
    workers: pd.DataFrame,
    predicted: Sequence[float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.accepts_per_worker` shows, in words."""
    table = accepts_per_worker_table(workers, predicted, recorded)
    counts = table["connections"].to_numpy()
    text = (
        f"Bar chart of connections per worker: {_count(counts.sum(), 'connection')} on "
        f"{_count(len(table), 'worker')}, an equal share being "
        f"{round(counts.mean(), 1):,g}; by CPU: "
    )
    if len(table) > LISTED:
        names, low, high = table["worker"], counts.argmin(), counts.argmax()
        return text + (
            f"the fewest are {counts[low]:,} on worker {names[low]}, the most "
            f"{counts[high]:,} on worker {names[high]}."
        )
    return text + "; ".join(_bar_in_words(row) for row in rows(table)) + "."


def accepts_beside_ps_table(
    workers: pd.DataFrame,
    threads: pd.DataFrame,
    predicted: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Return a row per thread: pid, tid, psr, pcpu, comm, worker, connections.

    The last two are missing for a thread that is no worker. predicted: a further
    column, in the order of the workers' numbers.
    """
    require(threads, "threads", "give netlab.ps(server)", "tid", "psr", "pcpu", "comm")
    counts = accepts_per_worker_table(workers, predicted).merge(
        workers[["worker", "tid"]]
    )
    table = threads.merge(counts.drop(columns="cpu"), on="tid", how="left")
    if not table["worker"].notna().to_numpy().any():
        raise ValueError("no worker is among the threads: take both of one server")
    return table


def accepts_beside_ps_alt(
    workers: pd.DataFrame,
    threads: pd.DataFrame,
    predicted: Sequence[float] | None = None,
) -> str:
    """Return what `plots.accepts_beside_ps` shows, in words."""
    table = accepts_beside_ps_table(workers, threads, predicted)
    rows = table.dropna(subset="worker").to_dict("records")
    each = (
        f"{row['comm']} (thread {row['tid']}, last on processor {row['psr']}) "
        f"{row['connections']:,.0f}"
        + (f", predicted {row['predicted']:,g}" if "predicted" in row else "")
        for row in rows
    )
    total = sum(row["connections"] for row in rows)
    return (
        f"The process list of {len(table)} threads, with a bar of connections beside "
        f"each worker: {_count(int(total), 'connection')} in all; {'; '.join(each)}."
    )


def cpu_placement_table(samples: pd.DataFrame) -> pd.DataFrame:
    """Return a row per stretch of time: worker, from_s, to_s, cpu, ran.

    A stretch is a time in which the worker's looks agree. What is between two
    looks is told by the second: `cpu` is where the thread last ran by then, and
    `ran` whether it used CPU time since the first. So at least two are needed.
    """
    remedy = "sample the run, sample_rate_per_s=20, and let it last some looks"
    require(samples, "samples", remedy, "worker", "time_s", "psr", "cpu_ns")
    if len(set(samples["time_s"])) < 2:
        raise ValueError(f"samples hold a single look: {remedy}")
    looks = samples.sort_values(["worker", "time_s"])
    by_worker = looks.groupby("worker")
    looks = looks.assign(
        from_s=by_worker["time_s"].shift(), ran=by_worker["cpu_ns"].diff() > 0
    ).dropna(subset="from_s")
    state = looks[["worker", "psr", "ran"]].to_numpy(int)
    changes = (np.diff(state, axis=0) != 0).any(axis=1)
    stretches = looks.groupby(np.cumsum([False, *changes])).agg(
        worker=("worker", "first"), from_s=("from_s", "first"),
        to_s=("time_s", "last"), cpu=("psr", "first"), ran=("ran", "first"),
    )  # fmt: skip
    return stretches.reset_index(drop=True)


def cpu_placement_alt(samples: pd.DataFrame) -> str:
    """Return what `plots.cpu_placement` shows, in words."""
    table = cpu_placement_table(samples)
    spans = table[["from_s", "to_s"]].to_numpy()
    seconds = float(spans.max() - spans.min())
    cpus, shares = _cpus_and_shares(table, seconds)
    moved = sum(len(found) > 1 for found in cpus.values())
    text = (
        f"Heat map of the CPU that each of {_count(len(cpus), 'worker')} was on, "
        f"through {seconds:.1f} s: {moved} of them changed CPU. How much of the time "
        "was between looks in which a worker ran: "
    )
    if len(cpus) > LISTED:
        low, high = min(shares.values()), max(shares.values())
        count = _count(len(set(table["cpu"])), "CPU")
        return text + f"{low:.0f} to {high:.0f} %, on {count}."
    each = (
        f"worker {worker}: CPU {', '.join(map(str, found))}, ran in "
        f"{shares[worker]:.0f} %"
        for worker, found in cpus.items()
    )
    return text + "; ".join(each) + "."


def _cpus_and_shares(
    table: pd.DataFrame, seconds: float
) -> tuple[dict[int, list[int]], dict[int, float]]:
    """Return each worker's CPUs, and in how many percent of the time it ran."""
    cpus, shares = {}, {}
    for worker, own in table.groupby("worker"):
        long_s = (own["to_s"] - own["from_s"]).to_numpy()
        cpus[worker] = sorted(set(own["cpu"]))
        shares[worker] = 100 * long_s[own["ran"].to_numpy()].sum() / seconds
    return cpus, shares


def accept_timeline_table(accepts: pd.DataFrame, first: int = 48) -> pd.DataFrame:
    """Return a row per connection, the first so many: connection (from 1), worker."""
    require(accepts, "accepts", "give Run.accepts of a run with connections", "owner")
    if first < 1:
        raise ValueError(f"first={first}: show at least one connection")
    owners = accepts["owner"].head(first).reset_index(drop=True)
    return pd.DataFrame({"connection": range(1, len(owners) + 1), "worker": owners})


def accept_timeline_alt(
    accepts: pd.DataFrame, first: int = 48, workers: int | None = None
) -> str:
    """Return what `plots.accept_timeline` shows, in words."""
    table = accept_timeline_table(accepts, first)
    shares = table["worker"].value_counts().sort_index()
    got = ", ".join(f"worker {worker} {count}" for worker, count in shares.items())
    idle = "" if workers is None else f" of {workers}"
    return (
        f"Strip of the first {_count(len(table), 'connection')} in order, a mark at "
        f"the worker that served each: {' '.join(map(str, table['worker']))}. "
        f"By worker ({len(shares)}{idle} got any): {got}."
    )


def latency_by_worker_table(requests: pd.DataFrame) -> pd.DataFrame:
    """Return a row per worker: requests, and quantiles of their latency in ms."""
    remedy = "give Run.requests of a run that sent requests to a netlab server"
    require(requests, "requests", remedy, "worker", "latency_ns")
    answered = requests.query("worker >= 0")  # -1: the server named no worker
    require(answered, "requests with a worker", remedy)
    latency = answered.groupby("worker")["latency_ns"]
    frame = pd.DataFrame({"requests": latency.size()})
    for percent in (10, 25, 50, 75, 90, 99):
        frame[f"p{percent}_ms"] = latency.quantile(percent / 100) / 1e6
    return frame.reset_index()


def latency_by_worker_alt(requests: pd.DataFrame) -> str:
    """Return what `plots.latency_by_worker` shows, in words."""
    table = latency_by_worker_table(requests)
    text = (
        f"Quantiles of the latency of {table['requests'].sum():,} requests, "
        "in milliseconds on a logarithmic axis, by worker: "
    )
    if len(table) > LISTED:
        low, high = table["p50_ms"].min(), table["p50_ms"].max()
        return text + f"the medians of {len(table)} are {low:.3g} to {high:.3g}."
    each = (
        f"worker {row.worker}: median {row.p50_ms:.3g}, p90 {row.p90_ms:.3g}, "
        f"p99 {row.p99_ms:.3g}"
        for row in rows(table)
    )
    return text + "; ".join(each) + "."


def require(frame: pd.DataFrame, name: str, remedy: str, *columns: str) -> None:
    """Raise ValueError, with the remedy, unless the table has rows and the columns."""
    if not len(frame):
        raise ValueError(f"there are no {name}: {remedy}")
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(f"{name} lack the column {', '.join(missing)}: {remedy}")


def medians_of(table: pd.DataFrame) -> str:
    """Say of how many runs the rows are medians, by their column `repeats`."""
    repeats = sorted(set(table["repeats"]))
    if repeats == [1]:
        return "of one run each"
    return f"medians of {' to '.join(map(str, [*repeats[:1], *repeats[1:][-1:]]))} runs"


def _one_each(name: str, values: Sequence[float], workers: int) -> list[float]:
    if len(values) != workers:
        raise ValueError(
            f"{name} has {len(values)} values: give one for each of {workers} workers"
        )
    return list(values)


def rows(table: pd.DataFrame) -> Iterable[Any]:
    """Return the table's rows, each with an attribute per column."""
    return table.itertuples(index=False)


def _bar_in_words(row: Any) -> str:
    text = f"worker {row.worker} on CPU {row.cpu}: {row.connections:,}"
    for name in ("predicted", "recorded"):
        if hasattr(row, name):
            text += f" ({name} {getattr(row, name):,g})"
    return text


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
