"""What the studies of wake-ups and orders claim, and why each threshold is where it is.

A function here takes what a study found, live or recorded, and yields its verdicts. A
threshold is the claim's own: it follows from the kernel's rule and leaves room for the
noise that is told beside it.

    OFF_PERCENT 5   wake-ups against the number of workers: measured 0 to 1 % more. A
                    worker that is woken for another reason counts as well
    ALONE 1.3       wake-ups where one worker is woken: measured 1.00 to 1.04
    SEEN 5          returns of the wait, of a herd of up to 64: measured 1.0 to 1.7.
                    Only workers that run before the queue is empty see a herd, about
                    one a CPU; 5 leaves room for four CPUs

What is predicted of each accept, and counts by chance, are held as `orders` holds them:
KEPT_PERCENT, TWO_PERCENT, COVERAGE. Of a race (the rule "all wake") nothing is claimed.

Known limit: the tables do not say whether a quota stopped a run or all workers slept,
so no verdict is doubted for that. What may not be put here: how several cases become
one verdict (`cases`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from netlab.server import strategies
from netlab.study.cases import all_kept, by_chance, each, only, repeats_of
from netlab.study.orders import REGISTERED, TWO_PERCENT, kept_percent
from netlab.study.sharing import BURST_WORKERS
from netlab.study.verdicts import Verdict, at_least

if TYPE_CHECKING:
    import pandas as pd

    from netlab.study.found import Found

OFF_PERCENT, ALONE, SEEN = 5, 1.3, 5
WAKE_UPS = "wake-ups per accept"
STEERED = ("reuseport-cpu", "reuseport-incoming-cpu")

Claims = Iterator[Verdict]


def herd(found: Found) -> Claims:
    """Judge what a connection wakes, and what the program sees of it, at each N."""
    table = found.tables["herd"].query("engine == 'compiled'")
    level = table.query("strategy == 'level'")
    level = level.assign(off=off_percent(level["wakeups_per_accept"], level["workers"]))
    yield _all_woken(
        "Under level a connection wakes all workers.", _by_workers(level, "off")
    )
    alone = _by_workers(table.query("strategy == 'exclusive'"), "wakeups_per_accept")
    claim = "Under exclusive a connection wakes one worker."
    yield each(claim, alone, high=ALONE, unit=WAKE_UPS)
    turns = _by_workers(level, "turns_per_accept")
    claim = "The program sees little of the herd under level."
    yield each(claim, turns, high=SEEN, unit="turns per accept")


def _by_workers(table: pd.DataFrame, column: str) -> dict[str, list[float]]:
    return repeats_of(table, column, "workers", "{} workers")


def off_percent(woken: Any, workers: Any) -> Any:
    """Return by how many percent more were woken than there are."""
    return 100 * (woken / workers - 1)


def _all_woken(claim: str, off: dict[str, list[float]]) -> Verdict:
    return each(claim, off, -OFF_PERCENT, OFF_PERCENT, "% above their number")


def order(found: Found) -> Claims:
    """Judge the rule of each wait queue by the strategies that it is said of."""
    classes = found.tables["classes"]
    predicted = classes.query("kept_percent.notna() and rule != 'head, twice'")
    for rule, rows in predicted.groupby("rule"):
        claim = f"The rule {rule!r} says who is next."
        yield all_kept(claim, repeats_of(rows, "kept_percent", "strategy"))
    twice = classes.query("rule == 'head, twice'")["shares"]
    twos = list(map(_percent_of_two, twice))
    yield at_least(
        "The rule 'head, twice' leaves most connections to two workers.",
        (min(twos), max(twos)) if twos else None,
        TWO_PERCENT,
        unit="%",
    )
    hashed = classes.query("rule == 'hash'").to_dict("records")
    shares = {
        f"{row['strategy']} {row['registered']}, repeat {row['repeat']}": (
            _counts(row["shares"])
        )
        for row in hashed
    }
    yield by_chance("A hash gives each worker an equal chance.", shares)


def _counts(shares: str) -> list[int]:
    return list(map(int, shares.split("/")))


def _percent_of_two(shares: str) -> float:
    counts = sorted(_counts(shares))
    return 100 * sum(counts[-2:]) / sum(counts)


def rotate(found: Found) -> Claims:
    """Judge that waiters which register anew have their turn, and others do not."""
    percents = {
        f"every={every}": _kept(rows, str(every))
        for every, rows in found.tables["rotate"].groupby("every")
    }
    never = only(percents, ["every=never"])
    turned = {name: percents[name] for name in percents if name not in never}
    claim = "Exclusive waiters that register anew every k accepts have k each in turn."
    yield all_kept(claim, turned)
    yield all_kept("If they never register anew, the first has all.", never)


def _kept(rows: pd.DataFrame, every: str) -> list[float | None]:
    """Return what each repeat kept of the rule that belongs to `every`, in percent."""
    rule, accepts = ("stays", 0) if every == "never" else ("to the tail", int(every))
    registered = list(range(BURST_WORKERS))
    return [
        kept_percent(rule, won.tolist(), registered, accepts)
        for _, won in rows.groupby("repeat")["worker"]
    ]


def steering(found: Found) -> Claims:
    """Judge that a connection goes to its packets' CPU where it is steered."""
    runs = found.tables["steering"].groupby(["strategy", "client_cpu", "repeat"])
    met: dict[str, list[float]] = {}
    hashed: dict[str, list[int]] = {}
    for _, rows in runs:
        strategy, cpu, repeat = rows.iloc[0][["strategy", "client_cpu", "repeat"]]
        counts = rows["connections"].tolist()
        ours = rows.query("worker_cpu == client_cpu")["connections"].tolist()
        met.setdefault(strategy, []).append(100 * sum(ours) / sum(counts))
        if strategy == "reuseport":
            hashed[f"client on CPU {cpu}, repeat {repeat}"] = counts
    claim = "A connection that is steered goes to the worker on its client's CPU."
    yield all_kept(claim, only(met, STEERED))
    yield by_chance("A hash knows no CPU: each worker has an equal chance.", hashed)


def xray(found: Found) -> Claims:
    """Judge how many workers the kernel woke for one connection."""
    woken = repeats_of(found.tables["traces"], "woken", "strategy")
    workers = found.settings["workers"]
    off = [off_percent(count, workers) for count in woken.get("level", [])]
    claim = "Under level the kernel wakes all workers for one connection."
    yield _all_woken(claim, {"level": off} if off else {})
    claim = "Under exclusive it wakes one worker for it."
    yield each(claim, only(woken, ["exclusive"]), high=ALONE, unit="wake-ups")


def matrix(found: Found) -> Claims:
    """Judge what a connection costs under each rule, of the compiled strategies."""
    runs = found.tables["runs"].query("measure == 'wake-ups' and engine == 'compiled'")
    runs = runs.assign(
        rule=[strategies.find(name).queue for name in runs["strategy"]],
        off=off_percent(runs["value"], len(REGISTERED[0])),
    )
    herds = repeats_of(runs.query("rule == 'all wake'"), "off", "strategy")
    yield _all_woken("Where all wait alike, a connection wakes all.", herds)
    others = runs.query("rule not in ['all wake', 'head, twice']")
    alone = repeats_of(others, "value", "strategy")
    claim = "Where they wait in a queue, or one listener is chosen, it wakes one."
    yield each(claim, alone, high=ALONE, unit=WAKE_UPS)
