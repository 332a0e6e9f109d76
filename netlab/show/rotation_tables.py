"""A listener that is re-added now and then: the table behind the figure of `rotation`,
and that figure in words.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from netlab.show.tables import LISTED, require, rows

NEVER = "never"  # what `every` says where the listener is not re-added


def rotate_table(
    accepts: pd.DataFrame, workers: int | None = None, first: int = 64
) -> pd.DataFrame:
    """Return a row per `every` and worker: connections, share_percent, longest_block.

    A block is a stretch of connections that all went to this worker; `drawn` is how
    many it served of the first so many. The rarer the listener is re-added, the
    earlier the row. workers: how many there are, to tell those that got nothing.
    """
    remedy = "give the table of the study rotate"
    require(accepts, "accepts", remedy, "every", "connection", "worker")
    if first < 1:
        raise ValueError(f"first={first}: show at least one connection")
    count = max(workers or 0, int(accepts["worker"].to_numpy().max()) + 1)
    ordered = in_order(accepts)
    found = [
        _shares(every, ordered.loc[ordered["every"] == every, "worker"], count, first)
        for every in sorted(set(ordered["every"]), key=_rarity)
    ]
    return pd.concat(found, ignore_index=True)


def in_order(accepts: pd.DataFrame) -> pd.DataFrame:
    """Return the accepts by connection, with `every` as text."""
    ordered = accepts.sort_values("connection", kind="stable")
    return ordered.assign(every=ordered["every"].astype(str))


def _rarity(every: str) -> float:
    """Return a key that sorts `never` first, then the greatest number."""
    if every == NEVER:
        return -math.inf
    if not (every.isascii() and every.isdigit() and int(every)):
        raise ValueError(f"every={every!r}: it is a number of accepts, or {NEVER!r}")
    return -int(every)


def _shares(every: str, own: pd.Series, workers: int, first: int) -> pd.DataFrame:
    winners = own.to_numpy()
    counts = np.bincount(winners, minlength=workers)
    longest = np.zeros(workers, int)
    for worker, length in blocks(winners):
        longest[worker] = max(longest[worker], length)
    return pd.DataFrame(
        {
            "every": every, "worker": range(workers), "connections": counts,
            "share_percent": 100 * counts / len(winners), "longest_block": longest,
            "drawn": np.bincount(winners[:first], minlength=workers),
        }
    )  # fmt: skip


def blocks(winners: np.ndarray) -> list[tuple[int, int]]:
    """Return who won and how often in a row, for each change of the winner."""
    starts = np.flatnonzero(np.diff(winners, prepend=-1))
    lengths = np.diff(starts, append=len(winners))
    return list(zip(winners[starts].tolist(), lengths.tolist(), strict=True))


def rotate_alt(
    accepts: pd.DataFrame, workers: int | None = None, first: int = 64
) -> str:
    """Return what `plots.rotate` shows, in words."""
    table = rotate_table(accepts, workers, first)
    drawn = in_order(accepts).groupby("every").head(first)
    each = (
        f"{re_added(str(every))}: {_order(drawn.query(f'every == {every!r}'))}; "
        f"{_got(own)}, the longest block {own['longest_block'].max():,}"
        for every, own in table.groupby("every", sort=False)
    )
    return (
        f"Strips of the first {first} connections in order, a mark at the worker that "
        f"served each, by how often the listener is re-added. {'. '.join(each)}."
    )


def re_added(every: str) -> str:
    """Return in words how often the listener is re-added."""
    if every == NEVER:
        return "never re-added"
    return f"re-added after every {'accept' if every == '1' else f'{every} accepts'}"


def _order(own: pd.DataFrame) -> str:
    found = blocks(own["worker"].to_numpy())
    return " ".join(f"{winner}×{n}" if n > 1 else f"{winner}" for winner, n in found)


def _got(own: pd.DataFrame) -> str:
    counts = own["connections"].to_numpy()
    if len(own) > LISTED:
        least, most = counts.min(), counts.max()
        return f"of {counts.sum():,} each worker got {least:,} to {most:,}"
    each = ", ".join(f"worker {row.worker} {row.connections:,}" for row in rows(own))
    return f"of {counts.sum():,} got {each}"
