"""The numbers of the x-ray, and the x-ray in words.

The x-ray's table has a row per stretch and mark: kind ("span" or "mark"), worker,
what (a state or a mark), begin_ns, end_ns and cpu. Its time begins at the first
waking of any worker.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd

from netlab.show.tables import LISTED, require, rows

ASLEEP, RUNNABLE, RUNNING = STATES = ("asleep", "runnable", "running")
ACCEPT, EAGAIN, NEVER_RETURNED = "accept", "EAGAIN", "never returned"
OUTCOMES = {  # a mark, and what it means for its worker; the first is told first
    ACCEPT: "accepted",
    EAGAIN: "EAGAIN",
    NEVER_RETURNED: "never returned",
    "failed": "failed",
}
NOT_WOKEN, NOTHING = "not woken", "nothing to do"
REMEDY = "give the figure's table of a trace in which a worker was woken"


class Herd(NamedTuple):
    """The x-ray in four numbers."""

    workers: int
    woken: int
    connections: int
    in_vain: int
    """Workers that were woken and got no connection."""


def xray_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per worker: worker, woken, woken_us, waited_us, ran_us, outcome.

    woken: how often it was. woken_us: when for the first time, since any was.
    waited_us, ran_us: how long it waited for a CPU, and ran. outcome: "accepted",
    "EAGAIN", "never returned", several of them, "nothing to do" or "not woken".
    """
    spans: dict[int, list[Any]] = {}
    for row in rows(stretches(table)):
        spans.setdefault(row.worker, []).append(row)
    marks = Counter((row.worker, row.what) for row in rows(table) if row.kind == "mark")
    return pd.DataFrame(_lane(worker, own, marks) for worker, own in spans.items())


def stretches(table: pd.DataFrame) -> pd.DataFrame:
    """Return the spans with their times in us since the first waking: from_us, to_us.

    Raises ValueError, with the remedy, for a table without a waking.
    """
    columns = ("kind", "worker", "what", "begin_ns", "end_ns", "cpu")
    require(table, "spans", REMEDY, *columns)
    spans = table.query("kind == 'span'").sort_values(by=["worker", "begin_ns"])
    if unknown := sorted(set(spans["what"]) - set(STATES)):
        raise ValueError(f"spans have the state {', '.join(unknown)}: {REMEDY}")
    origin_ns = first_waking_ns(spans)
    return spans.assign(
        from_us=(spans["begin_ns"] - origin_ns) / 1e3,
        to_us=(spans["end_ns"] - origin_ns) / 1e3,
    )


def first_waking_ns(table: pd.DataFrame) -> int:
    """Return when the first sleep ended; raises ValueError if none did."""
    spans = table[table["kind"] == "span"]
    sleeps = spans.loc[spans["what"] == ASLEEP, "end_ns"]
    ended = sleeps[sleeps < spans["end_ns"].max()]
    if not len(ended):
        raise ValueError(f"no worker was woken: {REMEDY}")
    return int(ended.min())


def herd(table: pd.DataFrame) -> Herd:
    """Return how many workers there are, were woken, got a connection, did not."""
    lanes = xray_table(table)
    got = table.loc[(table["kind"] == "mark") & (table["what"] == ACCEPT), "worker"]
    woken = set(lanes.loc[lanes["woken"] > 0, "worker"])
    return Herd(len(lanes), len(woken), len(got), len(woken - set(got)))


def headline(table: pd.DataFrame) -> str:
    """Return the x-ray in one line: "1 connection woke 4 of 4 workers, 3 in vain"."""
    found = herd(table)
    connections = f"{found.connections} connection{'s' * (found.connections != 1)}"
    vain = f", {found.in_vain} in vain" if found.in_vain else ""
    return f"{connections} woke {found.woken} of {found.workers} workers{vain}"


def xray_alt(table: pd.DataFrame) -> str:
    """Return what `xray` shows, in words."""
    lanes, spans = xray_table(table), stretches(table)
    text = (
        f"The life of {len(lanes)} workers, asleep, runnable or running, through "
        f"{spans['to_us'].max() - spans['from_us'].min():,.0f} microseconds. "
        f"{headline(table)}. "
    )
    if len(lanes) > LISTED:
        counts = Counter(lanes["outcome"])
        each = (f"{count} {outcome}" for outcome, count in counts.most_common())
        return f"{text}Their outcomes: {', '.join(each)}."
    return text + "; ".join(_in_words(row) for row in rows(lanes)) + "."


def _lane(
    worker: int, own: list[Any], marks: Counter[tuple[int, str]]
) -> dict[str, Any]:
    """Return one worker's row of the table, from its spans in the order of time."""
    wakings = [
        after.from_us for before, after in pairwise(own) if before.what == ASLEEP
    ]
    long_us: Counter[str] = Counter()
    for span in own:
        long_us[span.what] += span.to_us - span.from_us
    return {
        "worker": worker,
        "woken": len(wakings),
        "woken_us": wakings[0] if wakings else math.nan,
        "waited_us": float(long_us[RUNNABLE]),
        "ran_us": float(long_us[RUNNING]),
        "outcome": _outcome({mark: marks[worker, mark] for mark in OUTCOMES}, wakings),
    }


def _outcome(counts: dict[str, int], wakings: list[float]) -> str:
    several = [
        OUTCOMES[mark] + (f" ×{count}" if count > 1 else "")
        for mark, count in counts.items()
        if count
    ]
    return ", ".join(several) or (NOTHING if wakings else NOT_WOKEN)


def _in_words(row: Any) -> str:
    if not row.woken:
        return f"worker {row.worker}: {row.outcome}"
    return (
        f"worker {row.worker}: woken at {row.woken_us:,.0f} µs, waited "
        f"{row.waited_us:,.0f} µs for a CPU, ran {row.ran_us:,.1f} µs, {row.outcome}"
    )
