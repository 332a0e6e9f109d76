"""What sharding the port does: the tables behind the figures of `sharded`, and these
figures in words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import pandas as pd

from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import require, rows

FIGURES = ("min_ms", "avg_ms", "med_ms", "max_ms", "dev_ms")  # as Cloudflare tells them


def latency_tail_table(
    requests: pd.DataFrame,
    published: pd.DataFrame | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per strategy: source, requests, and `FIGURES` of their latencies.

    dev_ms is the standard deviation. published: further rows, strategy and the same
    figures, of others' requests; how many there were is not known. recorded: others'
    requests, further rows that a column `from` tells apart, see `outlines.of_both`.

    Raises ValueError for latencies that a logarithmic axis cannot hold.
    """
    require(requests, "requests", _remedy("latency_tail"), "strategy", "latency_ms")
    if not (requests["latency_ms"].to_numpy(float) > 0).all():
        raise ValueError("latency_ms must be above 0: give the answered requests only")
    latency = requests.groupby("strategy", sort=False)["latency_ms"]
    table = pd.DataFrame(
        {
            "requests": latency.size(), "min_ms": latency.min(),
            "avg_ms": latency.mean(), "med_ms": latency.median(),
            "max_ms": latency.max(), "dev_ms": latency.std(ddof=0),
        }
    ).reset_index()  # fmt: skip
    table.insert(1, "source", "measured")
    if published is not None:
        require(published, "published", "give data/published", "strategy", *FIGURES)
        theirs = published[["strategy", *FIGURES]].assign(source="published")
        table = pd.concat([table, theirs], ignore_index=True)
    return of_both(table, recorded, latency_tail_table, ["strategy", "source"])


def latency_tail_alt(
    requests: pd.DataFrame,
    published: pd.DataFrame | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.latency_tail` shows, in words."""
    table, theirs = parted(latency_tail_table(requests, published, recorded))
    each = "; ".join(
        f"{row.strategy} ({row.source}): median {row.med_ms:.3g}, standard deviation "
        f"{row.dev_ms:.3g}, average {row.avg_ms:.3g}, least {row.min_ms:.3g}, greatest "
        f"{row.max_ms:.3g}"
        for row in rows(table)
    )
    return (
        f"Cumulative distributions of the latency of {len(requests):,} requests, in "
        f"milliseconds on a logarithmic axis, by strategy: {each}."
    ) + told(
        recorded,
        (
            f"{row.strategy} median {row.med_ms:.3g}, standard deviation "
            f"{row.dev_ms:.3g}"
            for row in rows(theirs)
        ),
    )


def worker_death_table(
    runs: pd.DataFrame, recorded: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return a row per setting: migrate, runs, clients, and what became of the clients.

    For answered, reset and neither: the median over the runs, low and high. recorded:
    as for `latency_tail_table`.

    Raises ValueError if a run answered and reset more clients than there were.
    """
    columns = ("migrate", "clients", "reset", "answered")
    require(runs, "runs", _remedy("worker_death"), *columns)
    runs = runs.assign(neither=runs["clients"] - runs["reset"] - runs["answered"])
    if (runs["neither"].to_numpy() < 0).any():
        raise ValueError("answered + reset exceed clients: count each client once")
    by_setting = runs.groupby("migrate")
    table = pd.DataFrame(
        {"runs": by_setting.size(), "clients": by_setting["clients"].median()}
    )
    for name in ("answered", "reset", "neither"):
        table[name] = by_setting[name].median()
        table[f"{name}_low"] = by_setting[name].min()
        table[f"{name}_high"] = by_setting[name].max()
    return of_both(table.reset_index(), recorded, worker_death_table, ["migrate"])


def worker_death_alt(runs: pd.DataFrame, recorded: pd.DataFrame | None = None) -> str:
    """Return what `plots.worker_death` shows, in words."""
    table, theirs = parted(worker_death_table(runs, recorded))
    each = (
        f"{migrating(row.migrate)}, of {row.clients:,g} clients "
        f"{_range(row, 'answered')} were answered, {_range(row, 'reset')} reset, "
        f"{_range(row, 'neither')} neither"
        for row in rows(table)
    )
    return (
        "Stacked bars of what became of the clients when one worker's listener closed, "
        f"median and range: {'; '.join(each)}."
    ) + told(
        recorded,
        (
            f"{migrating(row.migrate)} {row.answered:,g} of {row.clients:,g} answered"
            for row in rows(theirs)
        ),
    )


def _range(row: Any, name: str) -> str:
    low, high = getattr(row, f"{name}_low"), getattr(row, f"{name}_high")
    return f"{getattr(row, name):,g} ({low:,g} to {high:,g})"


def migrating(migrate: bool) -> str:
    """Return the setting in words."""
    return f"{'with' if migrate else 'without'} tcp_migrate_req"


def steering_table(
    connections: pd.DataFrame, recorded: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return a row per strategy, client_cpu and worker: worker_cpu, connections, and
    share_percent, of the connections from that CPU. recorded: as for
    `latency_tail_table`.
    """
    names = ["strategy", "client_cpu", "worker", "worker_cpu"]
    remedy = _remedy("steering")
    require(connections, "connections", remedy, *names, "connections")
    total = connections.groupby(names, sort=False)["connections"].sum()
    table = pd.DataFrame({"connections": total}).reset_index()
    of_cpu = table.groupby(names[:2])["connections"].transform("sum")
    table["share_percent"] = 100 * table["connections"] / of_cpu.clip(lower=1)
    return of_both(table, recorded, steering_table, names)


def on_client_cpu(table: pd.DataFrame) -> dict[str, float]:
    """Return of each strategy the percentage that a worker on the client's CPU took."""
    by_strategy = cast(Iterable[tuple[str, Any]], table.groupby("strategy", sort=False))
    return {
        strategy: 100 * own["connections"][own["client_cpu"] == own["worker_cpu"]].sum()
        / max(1, own["connections"].sum())
        for strategy, own in by_strategy
    }  # fmt: skip


def steering_alt(
    connections: pd.DataFrame, recorded: pd.DataFrame | None = None
) -> str:
    """Return what `plots.steering` shows, in words."""
    table, theirs = parted(steering_table(connections, recorded))
    each = []
    for strategy, percent in on_client_cpu(table).items():
        cells = table.query(f"strategy == {strategy!r}")
        said = f"{strategy}: {percent:.1f} % on the client's CPU"
        each.append(said + (_cells(cells) if len(cells) <= 16 else ""))
    return (
        "Heat maps of the connections by the client's CPU and the worker that took "
        f"them. {'; '.join(each)}."
    ) + told(
        recorded,
        (
            f"{strategy} {percent:.1f} % on the client's CPU"
            for strategy, percent in on_client_cpu(theirs).items()
        ),
    )


def _cells(cells: pd.DataFrame) -> str:
    each = (
        f"CPU {row.client_cpu} to worker {row.worker} on CPU {row.worker_cpu} "
        f"{row.connections:,}"
        for row in rows(cells)
    )
    return f" ({', '.join(each)})"


def _remedy(study: str) -> str:
    return f"give the table of the study {study}"
