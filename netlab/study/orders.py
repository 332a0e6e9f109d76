"""Study `order`: each strategy's order of winners, and whether its queue explains it.

Connections come one at a time, slowly enough that all workers sleep again. Then what
happens to a waiter's entry in the wait queue says who is next, and the table's `queue`
is a prediction that each accept keeps or breaks:

    to the tail    the worker that was served longest ago; with a rotation every k
                   accepts, the same one k times
    stays          the first registered
    to the head    the last winner again
    head, twice    the winner before the last; but one that is woken as well may be
                   faster, so all that is asked is that two workers have most of it
    a lock         the last winner again
    one acceptor   worker 0 accepts
    steered        the worker on the CPU that the kernel names for its packets
    hash           none: the counts must lie in the binomial band
    all wake       none: a race has no order, and shows none of the others'

The first accepts of a queue that is built by the waits themselves (to the tail, to the
head) cannot be predicted and are left out: nobody knows who fell asleep first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netlab.server import strategies
from netlab.study.found import Found
from netlab.study.interleave import Measured, Point, interleaved
from netlab.study.stats import binomial_band

if TYPE_CHECKING:
    import pandas as pd

    from netlab.server.strategy import Strategy
    from netlab.study.run import Run

WORKERS = 4
CONNECTIONS = 400
PAUSE_MS = 3.0
PYTHON_PAUSE_MS = 5.0  # for interpreted workers, which wait for the GIL as well
REGISTERED = ((0, 1, 2, 3), (2, 0, 3, 1))
KEPT_PERCENT, TWO_PERCENT = 95.0, 75.0
COVERAGE = 0.9999
# The strategies of the figure "one rule, five orders", and how they were registered.
DRAWN = {
    "blocking": "0, 1, 2, 3",
    "exclusive": "2, 0, 3, 1",
    "one-epoll-edge": "0, 1, 2, 3",
    "level": "0, 1, 2, 3",
    "reuseport": "0, 1, 2, 3",
}
CHOSEN = {"exclusive-rotate": {"rotate_every": 1}}


def order(
    repeats: int = 1,
    seed: int = 1,
    progress: bool = True,
    names: Sequence[str] | None = None,
    registered: Iterable[Sequence[int]] = REGISTERED,
    connections: int = CONNECTIONS,
) -> Found:
    """Measure who gets each connection, for every strategy that runs here."""
    import pandas as pd

    rows, notes = possible(names)
    points = [
        _point(row, tuple(one), connections) for row in rows for one in registered
    ]
    accepts, classes = [], []
    for measured in interleaved(points, repeats, seed, progress):
        accepts.append(winners(measured))
        classes.append(class_of(measured))
    table = pd.concat(accepts, ignore_index=True)
    drawn = (_is_drawn(table, *chosen) for chosen in DRAWN.items())
    return Found(
        "order",
        {
            "orders": pd.concat([table.loc[rows] for rows in drawn], ignore_index=True),
            "classes": pd.DataFrame(classes),
            "accepts": table,
        },
        {"repeats": repeats, "seed": seed, "connections": connections},
        notes,
    )


def _is_drawn(accepts: pd.DataFrame, strategy: str, registered: str) -> Any:
    named = accepts["strategy"].eq(strategy)
    return named & accepts["registered"].eq(registered) & accepts["repeat"].eq(0)


def possible(
    names: Sequence[str] | None = None,
) -> tuple[list[Strategy], tuple[str, ...]]:
    """Return the strategies that can run here, and a note for each that cannot."""
    rows, notes = [], []
    for row in map(strategies.find, names or [row.name for row in strategies.table()]):
        if reason := row.missing():
            notes.append(f"{row.name} cannot run here: {reason}")
        else:
            rows.append(row)
    return rows, tuple(notes)


def _point(row: Strategy, registered: tuple[int, ...], connections: int) -> Point:
    labels = {
        "strategy": row.name,
        "engine": row.engines[-1],
        "rule": row.queue,
        "registered": ", ".join(map(str, registered)),
    }
    settings = {
        "strategy": row.name,
        "engine": row.engines[-1],
        "workers": len(registered),
        "register_order": registered,
        "incoming_cpu": True,
        "sample_rate_per_s": None,
        **one_at_a_time(row, connections),
        **CHOSEN.get(row.name, {}),
    }
    return Point(labels, settings)


def one_at_a_time(row: Strategy, connections: int) -> dict[str, Any]:
    """Return the load that opens so many connections, one at a time.

    A worker that sleeps in accept is taken by a client that says nothing, so there
    each client asks, is answered and closes before the next.
    """
    pause_ms = PAUSE_MS if "compiled" in row.engines else PYTHON_PAUSE_MS
    if row.how.loop != "accept":
        return {"plan": "touch", "connections": connections, "pause_ms": pause_ms}
    rate = 1000 / pause_ms
    return {
        "plan": "open",
        "rate_per_s": rate,
        "duration_s": connections / rate,
        "requests": 1,
        "at_once": 1,
    }


def winners(measured: Measured) -> pd.DataFrame:
    """Return a row per accept: the run's labels, connection (from 1), worker."""
    import pandas as pd

    accepts = measured.run.accepts
    frame = pd.DataFrame(
        {"connection": accepts["sequence"] + 1, "worker": accepts["owner"]}
    )
    for place, (name, value) in enumerate(measured.labels.items()):
        frame.insert(place, name, value)
    return frame


def class_of(measured: Measured) -> dict[str, Any]:
    """Return a run's labels, shares, and whether its order is the expected one.

    seen: what the order looks like, whatever was expected.
    """
    labels, accepts = measured.labels, measured.run.accepts
    registered = list(map(int, labels["registered"].split(", ")))
    column = "acceptor" if labels["rule"] == "one acceptor" else "owner"
    won = accepts[column].tolist()
    every = measured.run.settings["actual"]["server"]["rotate_every"]
    kept = kept_percent(labels["rule"], won, registered, every)
    if labels["rule"] == "steered":
        kept = steered_percent(measured.run)
    shares = np.bincount(accepts["owner"], minlength=len(registered)).tolist()
    return labels | {
        "shares": "/".join(map(str, shares)),
        "kept_percent": kept,
        "seen": looks_like(accepts["owner"].tolist(), registered),
        "as_expected": as_expected(labels["rule"], kept, won, registered),
    }


def steered_percent(run: Run) -> float:
    """Return how many connections, in percent, came to the CPU of their packets."""
    cpus = run.settings["actual"]["server"]["cpus"]
    owners, packets = run.accepts["owner"], run.accepts["incoming_cpu"]
    met = [cpus[owner] == cpu for owner, cpu in zip(owners, packets, strict=True)]
    return round(100 * sum(met) / max(len(met), 1), 2)


def looks_like(won: list[int], registered: list[int]) -> str:
    """Return the order's looks: round robin, one takes all, in no order."""
    if (_tail_percent(won, registered) or 0) >= KEPT_PERCENT:
        return "round robin"
    top = int(np.bincount(won).max())
    return "one takes all" if 100 * top / len(won) >= KEPT_PERCENT else "no order"


def _tail_percent(won: list[int], registered: list[int]) -> float | None:
    return kept_percent("to the tail", won, registered)


def kept_percent(
    rule: str, winners: list[int], registered: list[int], every: int = 0
) -> float | None:
    """Return how many accepts, in percent, went where the rule says; None: it does not.

    winners: the workers in the order of accepts. registered: the workers in that order.
    every: accepts after which a waiter goes to the tail, 0 for one.
    """
    predict = PREDICTORS.get(rule)
    if predict is None or not winners:
        return None
    predicted = predict(winners, registered, max(every, 1))
    scored = [(p, w) for p, w in zip(predicted, winners, strict=True) if p is not None]
    return round(100 * sum(p == w for p, w in scored) / max(len(scored), 1), 2)


def as_expected(
    rule: str, kept: float | None, winners: list[int], registered: list[int]
) -> bool:
    """Whether an order is the one that its rule says."""
    if rule == "head, twice":
        two = np.sort(np.bincount(winners))[-2:].sum()
        return bool(100 * two >= TWO_PERCENT * len(winners))
    if kept is not None:
        return kept >= KEPT_PERCENT
    if rule == "hash":
        low, high = binomial_band(len(winners), 1 / len(registered), COVERAGE)
        counts = np.bincount(winners, minlength=len(registered))
        return bool(((low <= counts) & (counts <= high)).all())
    others = (kept_percent(other, winners, registered) or 0 for other in QUEUED)
    return all(percent < KEPT_PERCENT for percent in others)


def chance(connections: int, workers: int = WORKERS) -> pd.DataFrame:
    """Return how far off an equal share a worker may be by chance, as they come.

    Columns: connections, from two rounds to a sixth more than asked for; off_points,
    percentage points, within COVERAGE of the binomial distribution.
    """
    import pandas as pd

    ends = 2 * workers, max(1.17 * connections, 2 * workers + 1)
    counts = np.unique(np.geomspace(*ends, 40).round().astype(int))
    share = 1 / workers
    bands = [binomial_band(int(count), share, COVERAGE) for count in counts]
    off = [
        100 * max(share - low / count, high / count - share)
        for count, (low, high) in zip(counts, bands, strict=True)
    ]
    return pd.DataFrame({"connections": counts, "off_points": off})


def _tail(winners: list[int], registered: list[int], every: int) -> list[int | None]:
    """Predict the head of a queue whose head goes to the tail after `every` accepts."""
    queue, made, predicted = list(registered), dict.fromkeys(registered, 0), []
    for place, winner in enumerate(winners):
        known = every > 1 or place >= len(registered)
        predicted.append(queue[0] if known else None)
        made[winner] += 1
        if made[winner] % every == 0:
            queue.remove(winner)
            queue.append(winner)
    return predicted


def _last_but_one(winners: list[int], _: list[int], __: int) -> list[int | None]:
    return [None, None, *winners[:-2]]


def _first(winners: list[int], registered: list[int], _: int) -> list[int | None]:
    return [registered[0]] * len(winners)


def _last(winners: list[int], _: list[int], __: int) -> list[int | None]:
    return [None, *winners[:-1]]


def _acceptor(winners: list[int], _: list[int], __: int) -> list[int | None]:
    return [0] * len(winners)


Predictor = Callable[[list[int], list[int], int], list[int | None]]
PREDICTORS: dict[str, Predictor] = {
    "to the tail": _tail,
    "stays": _first,
    "to the head": _last,
    "head, twice": _last_but_one,
    "a lock": _last,
    "one acceptor": _acceptor,
}
QUEUED = ("to the tail", "stays", "to the head")
