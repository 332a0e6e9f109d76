"""The table behind the figure of settling shares, and the figure in words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from netlab.show.orders_tables import REMEDY, Strip, strips
from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import require, rows

STEP = 1.3  # from one round that is marked to the next
FROM_STEPS = range(3, 60)  # the second round, to more than any run has connections


def settling_table(
    accepts: pd.DataFrame,
    chance: pd.DataFrame | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per strategy and mark: how far the farthest worker is off by then.

    Columns: strategy, rule, workers (how many), connections (so far), worker (the
    farthest), share_percent (its own), off_points (from an equal share, in percentage
    points, without a sign). chance: further rows, connections and off_points, strategy
    "chance". recorded: others' accepts, see `outlines.of_both`.

    Raises ValueError for one worker, or fewer connections than the first mark.
    """
    require(accepts, "accepts of orders", REMEDY, "strategy")
    drawn = strips(accepts, list(dict.fromkeys(accepts["strategy"])))
    table = pd.DataFrame(row for strip in drawn for row in _marks(strip))
    if chance is not None:
        require(chance, "chance", "compute a band", "connections", "off_points")
        table = pd.concat([table, chance.assign(strategy="chance")], ignore_index=True)
    return of_both(
        table, recorded, settling_table, ["strategy", "workers", "connections"]
    )


def _marks(strip: Strip) -> Iterator[dict[str, object]]:
    workers = len(strip.registered)
    if workers < 2:
        raise ValueError(f"{strip.strategy}: one worker has all; give two or more")
    at = marked(workers, len(strip.owners))
    if not at:
        raise ValueError(
            f"{strip.strategy}: {len(strip.owners)} connections; give more than "
            f"two rounds of its {workers} workers"
        )
    each = np.arange(workers)
    got = np.cumsum(np.array(strip.owners)[:, None] == each, axis=0)
    for count in at:
        percent = 100 * got[count - 1] / count
        off = np.abs(percent - 100 / workers)
        farthest = int(off.argmax())
        yield {
            "strategy": strip.strategy, "rule": strip.rule.name, "workers": workers,
            "connections": count, "worker": farthest,
            "share_percent": float(percent[farthest]),
            "off_points": float(off[farthest]),
        }  # fmt: skip


def marked(workers: int, connections: int) -> list[int]:
    """Return after how many connections a mark is made, the last one near the end.

    Always half a round after a whole one: after a whole one who goes in turn is off by
    nothing, which a logarithmic axis cannot show.
    """
    half, rounds = max(1, workers // 2), {round(STEP**step) for step in FROM_STEPS}
    last = (connections - half) // workers
    return [workers * whole + half for whole in sorted({*rounds, last}) if whole > 1
            and whole <= last]  # fmt: skip


def last_marks(table: pd.DataFrame) -> pd.DataFrame:
    """Return the last row of each strategy, chance left out."""
    return table.query("strategy != 'chance'").groupby("strategy", sort=False).tail(1)


def allowed(chance: pd.DataFrame, connections: float) -> float:
    """Return how far off, in points, chance lets a share be after so many."""
    x, y = (chance[name].to_numpy(float) for name in ("connections", "off_points"))
    return float(np.interp(connections, x, y))


def settling_alt(
    accepts: pd.DataFrame,
    chance: pd.DataFrame | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.settling` shows, in words."""
    table, theirs = parted(settling_table(accepts, chance, recorded))
    ends = last_marks(table)
    each = "; ".join(
        f"{row.strategy} {_first(table, row.strategy)}, {row.off_points:.2g} after "
        f"{row.connections:,} (worker {row.worker:g} had {row.share_percent:.1f} %)"
        for row in rows(ends)
    )
    text = (
        "Lines of how far the farthest worker is from an equal share, in percentage "
        "points, against the connections so far, both axes logarithmic: "
        f"{each}."
    )
    if chance is not None:
        last = ends["connections"].to_numpy().max()
        text += (
            f" Shaded is what chance allows: {allowed(chance, last):.2g} points after "
            f"{last:,.0f}."
        )
    return text + told(
        recorded,
        (
            f"{row.strategy} {row.off_points:.2g} after {row.connections:,}"
            for row in rows(last_marks(theirs))
        ),
    )


def _first(table: pd.DataFrame, strategy: str) -> str:
    first = table[table["strategy"] == strategy].iloc[0]
    return f"{first['off_points']:.2g} after {first['connections']:,.0f}"
