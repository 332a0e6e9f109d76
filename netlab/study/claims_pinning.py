"""What the study `pinning` claims, and why its thresholds are there.

AWAY_PERCENT 80   looks that found a free worker on the CPU that would be its own.
                  Measured: 50, as if by chance between two; with more CPUs it is
                  less. A bound worker's are all there (KEPT_PERCENT)
WAITS 2           wake-ups of two interpreted workers that work at once, against in
                  turn. Measured: 4 to 6 times as many
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from netlab.study.cases import each, ratio, repeats_of
from netlab.study.orders import KEPT_PERCENT
from netlab.study.verdicts import Verdict

if TYPE_CHECKING:
    from netlab.study.found import Found

AWAY_PERCENT, WAITS = 80, 2
OF_LOOKS = "% of the looks"


def pinning(found: Found) -> Iterator[Verdict]:
    """Judge where workers were seen, and what working at once costs them."""
    table = found.tables["pinning"]
    bound, free = at_home(table.query("bound")), at_home(table.query("not bound"))
    claim = "A bound worker runs on its own CPU alone."
    cases = repeats_of(bound, "percent", "worker", "worker {}")
    yield each(claim, cases, low=KEPT_PERCENT, unit=OF_LOOKS)
    claim = "A worker that is left free does not stay on the CPU of its number."
    means = [rows["percent"].mean() for _, rows in free.groupby("repeat")]
    cases = {"free": means} if means else {}
    yield each(claim, cases, high=AWAY_PERCENT, unit=OF_LOOKS)
    waits = repeats_of(found.tables["gil"], "wakeups", "together")
    claim = "Interpreted workers that work at once are woken more often than in turn."
    yield ratio(claim, waits.get("True", []), waits.get("False", []), low=WAITS)


def at_home(table: Any) -> Any:
    """Return a row per repeat and worker: repeat, worker, percent.

    percent: of its looks, those that saw it on the CPU that it was bound to at first.
    """
    home = table["looks"].where(table["cpu"] == table["worker_cpu"], 0)
    by_worker = table.assign(home=home).groupby(["repeat", "worker"], as_index=False)
    sums = by_worker[["home", "looks"]].sum()
    percent = 100 * sums["home"] / sums["looks"]
    return sums[["repeat", "worker"]].assign(percent=percent)
