"""The table and the words of the figure of where workers ran, free and bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from netlab.show.tables import LISTED, require

KINDS = {False: "left free", True: "bound"}
REMEDY = "give the table of study pinning"
PS = ("pid", "tid", "psr", "pcpu", "comm")


def cpus_of(looks: pd.DataFrame) -> list[int]:
    """Return the CPUs on which any worker was seen, or that are a worker's own."""
    own = looks["worker_cpu"]
    return sorted(set(looks["cpu"]) | set(own[own >= 0]))


def shares(looks: pd.DataFrame, bound: bool) -> pd.DataFrame:
    """Return the percent of its looks that saw each worker on each CPU: a row each."""
    mine = looks[looks["bound"] == bound]
    table = mine.pivot_table(
        index="worker", columns="cpu", values="looks", aggfunc="sum", fill_value=0
    ).reindex(columns=cpus_of(looks), fill_value=0)
    return 100 * table.div(table.sum(axis=1), axis=0)


def first_of(table: pd.DataFrame, *columns: str) -> Any:
    """Return the rows of the first repeat, which is what the figure draws."""
    require(table, "looks", REMEDY, "bound", *columns)
    if "repeat" not in table:
        return table
    return table[table["repeat"] == table["repeat"].min()]


def pinning_table(
    looks: pd.DataFrame, threads: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return a row per kind and worker: its line of `ps`, and its looks by CPU.

    Columns: bound, those of `ps` if `threads` are given, worker, worker_cpu, and in
    percent a column for each CPU. Of several repeats it is the first.
    """
    looks = first_of(looks, "worker", "worker_cpu", "cpu", "looks")
    parts = []
    for bound in kinds(looks):
        percent = shares(looks, bound).round(1)
        percent.columns = [f"on CPU {cpu} (%)" for cpu in percent.columns]
        own = looks[looks["bound"] == bound].groupby("worker")["worker_cpu"].first()
        part = percent.reset_index()
        part.insert(1, "worker_cpu", own.tolist())
        part.insert(0, "bound", bound)
        if threads is not None:
            listed = of_workers(threads, bound, len(part))
            part = pd.concat([part[["bound"]], listed, part.iloc[:, 1:]], axis=1)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def kinds(looks: pd.DataFrame) -> list[bool]:
    """Return which kinds there are, free ones first."""
    return sorted(map(bool, looks["bound"].unique()))


def listed_of(threads: pd.DataFrame, bound: bool) -> pd.DataFrame:
    """Return the process list of one kind: the main thread, then the workers."""
    listed = first_of(threads, *PS)
    return listed.loc[listed["bound"] == bound, list(PS)].reset_index(drop=True)


def of_workers(threads: pd.DataFrame, bound: bool, workers: int) -> pd.DataFrame:
    """Return the lines of the workers; ValueError unless there are so many."""
    listed = listed_of(threads, bound).iloc[1:].reset_index(drop=True)
    if len(listed) != workers:
        raise ValueError(
            f"{len(listed)} threads beside {workers} workers: take both of one run"
        )
    return listed


def pinning_alt(looks: pd.DataFrame, threads: pd.DataFrame | None = None) -> str:
    """Return what `plots.pinning` shows, in words."""
    table = pinning_table(looks, threads)
    beside = "" if threads is None else ", beside the process list"
    told = [
        f"{KINDS[kind].capitalize()}: {_told(table[table['bound'] == kind])}."
        for kind in kinds(looks)
    ]
    what = f"Heat map of the CPUs on which each worker was seen to run{beside}."
    return " ".join([what, *told])


def _told(table: Any) -> str:
    if len(table) > LISTED:
        home = [_home(row) for row in table.to_dict("records")]
        return (
            f"{len(table)} workers, on the CPU of their number in {min(home):.0f} to "
            f"{max(home):.0f} % of the looks"
        )
    return "; ".join(_worker(row) for row in table.to_dict("records"))


def _home(row: dict[str, Any]) -> float:
    return row.get(f"on CPU {row['worker_cpu']} (%)", 0.0)


def _worker(row: dict[str, Any]) -> str:
    psr = f" (psr {row['psr']})" if "psr" in row else ""
    return f"worker {row['worker']}{psr} on {', '.join(_seen(row))}"


def _seen(row: dict[str, Any]) -> Iterator[str]:
    for name, percent in row.items():
        if name.startswith("on CPU ") and percent > 0:
            yield f"{name.removeprefix('on ').removesuffix(' (%)')} {percent:.0f} %"
