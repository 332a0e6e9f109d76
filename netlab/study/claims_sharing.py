"""What the studies of shares and latencies claim, and why each threshold is there.

As in `claims_waking`, a threshold is the claim's own. Here it follows from counting, or
from what somebody else published.

    SLOW 25          percent of connections for the slower of two workers: its speed
                     deserves 16.7, and an equal share is 50
    HALF 40, 60      the binomial band of an equal share of 400 connections
    TOP 75           percent of a burst of 12 for one of 4 workers: three equal shares
    SPREAD 60        the same of a hash: by chance its top has 42 on average, and more
                     than 60 once in 90 bursts
    MOST 50          two equal shares of such a burst, for every shared queue
    EVEN 34          an equal share is 3 of 12, and one connection more makes 33.3
    LESS 0.5         of what it took before for each of the other's: its speed deserves
                     1 / 5, and indifference leaves 1
    AS_BEFORE 0.67,  the same of a hash: it is 1, and as far from LESS as chance and a
    1.5              busy machine shift it in a few hundred connections
    FREE 1           percent of the light requests held up by a stall: none is expected,
                     and a busy machine delays some
    HELD 1           the same where one worker accepts: 12 of 800 requests for each
                     stall that hits it, of 8 in all, make 3 if it serves a quarter
    LONGER 1         times the latency: anything more is longer. The second wake-up
                     takes some 5 us, which a wait for a CPU can hide: measured 1.03 to
                     1.3, so a threshold of 1.1 stayed undecided
    LATER 1.2        times as long: lots put 7.4 of 12 on the luckier of two workers
                     on average, so 12 on one take 1.6 times as long
    TAIL 3           times the standard deviation: Cloudflare had 16 with 12 workers. 4
                     workers on 2 CPUs spread the shared queue's latencies as well
    ALIKE 0.9, 1.1   times the average: as many clients and as much work allow no more
                     (Little's law); Cloudflare's was 1.03
    STALLED 10       times the closed loop's p99: a stall is 50 ms, and a light request
                     less than 5 even on a busy machine
    GROWN 1.5        times the p99 of half the load, above the capacity: 2 if the queue
                     only grows

What may not be put here: how several cases become one verdict (`cases`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.study.cases import by_chance, each, only, ratio, repeats_of
from netlab.study.claims_waking import Claims
from netlab.study.verdicts import at_most

if TYPE_CHECKING:
    import pandas as pd

    from netlab.study.found import Found

SLOW, HALF = 25, (40, 60)
TOP, SPREAD, MOST, EVEN = 75, 60, 50, 34
LESS, AS_BEFORE, LATER = 0.5, (0.67, 1.5), 1.2
FREE, HELD, LONGER = 1, 1, 1
TAIL, ALIKE = 3, (0.9, 1.1)
STALLED, GROWN = 10, 1.5
BLIND = ("reuseport", "handoff-round-robin")  # to how fast a worker is
COUNTED = ("handoff-least", "handoff-two-choices")  # what each worker has open
HANDING = ("handoff-round-robin", "handoff-least")


def slow_worker(found: Found) -> Claims:
    """Judge the slow worker's share, by what a strategy knows of speed."""
    shares = repeats_of(found.tables["slow_worker"], "share_percent", "strategy")
    seeing = {name: shares[name] for name in shares if name not in BLIND}
    claim = "A shared queue, or an acceptor that counts, gives a slow worker less."
    yield each(claim, seeing, high=SLOW, unit="%")
    claim = "A hash or taking turns gives a slow worker as much as a fast one."
    yield each(claim, only(shares, BLIND), *HALF, unit="%")


def burst(found: Found) -> Claims:
    """Judge who has the connections of an idle burst."""
    tops = repeats_of(found.tables["burst"], "top_share_percent", "strategy")
    claim = "Under exclusive one worker has most of an idle burst."
    yield each(claim, only(tops, ["exclusive"]), low=TOP, unit="%")
    claim = "A hash spreads an idle burst."
    yield each(claim, only(tops, ["reuseport"]), high=SPREAD, unit="%")
    claim = "An acceptor that counts spreads an idle burst evenly."
    yield each(claim, only(tops, COUNTED), high=EVEN, unit="%")


def equilibrium(found: Found) -> Claims:
    """Judge who loses connections while it is slow, and what an idle burst costs."""
    if "phases" in found.tables:
        yield from _penalty(found.tables["phases"])
    if "afterwards" in found.tables:
        table = found.tables["afterwards"]
        lasted = repeats_of(table, "duration_s", "strategy")
        one, lots = lasted.get("exclusive", []), lasted.get("reuseport", [])
        claim = "An idle burst on one worker is answered later than one that is spread."
        yield ratio(claim, one, lots, low=LATER)


def _penalty(phases: pd.DataFrame) -> Claims:
    """Judge the slow worker's connections for each of the other's, against before."""
    phase = phases.pivot(
        index=["strategy", "repeat"], columns="phase", values="for_each_other"
    )
    kept = phase["slow"] / phase["before"].clip(lower=0.001)
    of = repeats_of(phase.assign(kept=kept).reset_index(), "kept", "strategy")
    claim = "From a shared queue a worker takes less as soon as it is slow."
    yield each(claim, only(of, ["level"]), high=LESS, unit="times")
    claim = "By hash a worker gets as much while it is slow as before."
    yield each(claim, only(of, ["reuseport"]), *AS_BEFORE, unit="times")


def handing_over(found: Found) -> Claims:
    """Judge the gain, and the costs: to a lone client, and when the acceptor stalls."""
    table = found.tables["handing_over"]
    of = {
        measure: repeats_of(rows, "value", "strategy")
        for measure, rows in table.groupby("measure")
    }
    claim = "An acceptor that deals in turn or counts spreads an idle burst evenly."
    yield each(claim, only(of["top share"], HANDING), high=EVEN, unit="%")
    lone = of["lone latency"]
    dealt, kept = lone.get("handoff-round-robin", []), lone.get("exclusive", [])
    claim = "A lone client waits longer if its connection is handed over."
    yield ratio(claim, dealt, kept, low=LONGER)
    claim = "While others may accept, a stall holds up hardly anybody."
    yield each(claim, only(of["held up"], ["exclusive"]), high=FREE, unit="%")
    claim = "A stall of the only acceptor holds up others."
    yield each(claim, only(of["held up"], HANDING), low=HELD, unit="%")


def choice(found: Found) -> Claims:
    """Judge that shared queues lose one, a hash the other, and who wins both."""
    table = found.tables["choice"]
    tops = repeats_of(table, "top_share_percent", "strategy")
    slow = repeats_of(table, "slow_share_percent", "strategy")
    shared = table.query("family == 'shared queue'")["strategy"].unique()
    claim = "Every shared queue lets one worker have half of an idle burst."
    yield each(claim, only(tops, shared), low=MOST, unit="%")
    claim = "A hash gives a slow worker as much as a fast one."
    yield each(claim, only(slow, ["reuseport"]), *HALF, unit="%")
    claim = "An acceptor that counts spreads an idle burst evenly."
    yield each(claim, only(tops, COUNTED), high=EVEN, unit="%")
    claim = "An acceptor that counts gives a slow worker less."
    yield each(claim, only(slow, COUNTED), high=SLOW, unit="%")


def latency_tail(found: Found) -> Claims:
    """Judge the shape of the latencies under a hash, against one queue for all."""
    runs = found.tables["summary"]

    def of(column: str) -> tuple[list[float], list[float]]:
        repeats = repeats_of(runs, column, "strategy")
        return repeats.get("reuseport", []), repeats.get("exclusive", [])

    yield ratio("A hash spreads the latencies.", *of("dev_ms"), low=TAIL)
    yield ratio("The median is lower under a hash.", *of("med_ms"), high=1)
    yield ratio(
        "The average is the same under a hash and a shared queue.",
        *of("avg_ms"),
        *ALIKE,
    )


def worker_death(found: Found) -> Claims:
    """Judge who is reset when a listener closes."""
    table = found.tables["worker_death"]
    lost = table.query("not migrate").to_dict("records")
    fates = {
        f"repeat {row['repeat']}": [row["reset"], row["clients"] - row["reset"]]
        for row in lost
    }
    claim = "Without migration the clients in the closed queue are reset: about half."
    yield by_chance(claim, fates)
    moved = table.query("migrate")["reset"].tolist()
    yield at_most(
        "With migration nobody is reset.",
        (max(moved), max(moved)) if moved else None,
        0,
        unit="clients reset",
    )


def two_truths(found: Found) -> Claims:
    """Judge what the closed loop leaves out, and what the open one's length adds."""
    tails = found.tables["truths"].query("percentile == 99")
    by_clock = tails.assign(of=tails["plan"] + ", from " + tails["counted_from"])
    p99 = repeats_of(by_clock, "latency_ms", "of")
    due, closed = p99.get("open, from due", []), p99.get("closed, from sending", [])
    claim = "Of the same stalls an open loop's p99 tells, a closed loop's does not."
    yield ratio(claim, due, closed, low=STALLED)
    runs = found.tables["rates"].query("plan == 'open'")
    above = runs.query(f"rate_per_s > {1e6 / found.settings['spin_us']}")
    for rate, rows in above.groupby("rate_per_s"):
        p99 = repeats_of(rows, "p99_ms", "fired_s")
        longest, shortest = (p99[name] for name in (max(p99), min(p99)))
        claim = (
            f"At {rate:,.0f} requests/s, above the capacity, p99 grows with the load."
        )
        yield ratio(claim, longest, shortest, low=GROWN)
