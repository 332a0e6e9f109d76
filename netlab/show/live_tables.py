"""The numbers behind the live picture, and the picture in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from netlab.show.live_svg import Words, wakeups_per_accept
from netlab.show.svg_marks import number

if TYPE_CHECKING:
    from netlab.watch.lately import Lately

LISTED = 8  # workers that the words tell one by one; the table has all


def live_table(seen: Lately) -> pd.DataFrame:
    """Return a row a worker: worker, accepts, wakeups, per accept, percent of CPUs."""
    columns = {
        "worker": range(len(seen.accepted)),
        "accepts": seen.accepted,
        "wakeups": seen.wakeups,
        "wakeups_per_accept": wakeups_per_accept(seen),
    }
    used = {cpu for own in seen.busy for cpu in own}
    for cpu in sorted(used):
        columns[f"cpu_{cpu}_percent"] = [own.get(cpu, 0.0) for own in seen.busy]
    return pd.DataFrame(columns)


def live_alt(seen: Lately, words: Words) -> str:
    """Return what the picture shows, in words."""
    made_per_s, asked_per_s = map(round, seen.per_s)
    each = sum(wakeups_per_accept(seen))
    return (
        f"Live picture of {_count(len(seen.accepted), 'worker')}, {words.state}: "
        f"{words.told}. In the last {seen.over_s:.1f} s "
        f"{_count(sum(seen.accepted), 'connection')} accepted, {number(each)} wake-ups "
        f"for each: {number(made_per_s)} connections and "
        f"{number(asked_per_s)} requests a second. {_by_worker(seen)}"
    )


def _by_worker(seen: Lately) -> str:
    if len(seen.accepted) > LISTED:
        low, high = min(seen.accepted), max(seen.accepted)
        return f"Each worker accepted {low:,} to {high:,}; the table has them all."
    return " ".join(
        f"Worker {worker}: {accepts:,} accepted, {_places(busy)}."
        for worker, (accepts, busy) in enumerate(
            zip(seen.accepted, seen.busy, strict=True)
        )
    )


def _places(busy: dict[int, float]) -> str:
    places = [f"{percent:.0f} % of CPU {cpu}" for cpu, percent in sorted(busy.items())]
    return " and ".join(places) or "no CPU time"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
