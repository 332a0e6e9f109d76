"""What the study of an attack claims, and why each threshold is there.

As in `claims_waking`, a threshold is the claim's own:

    HOARDED 80 MB    half of what is asked for and not read; the kernel's buffers take
                     up to 4 MB of each of the eight, and may take more
    BOUNDED 20 MB    one answer of 0.5 MB for each of eight, and what Python adds
    BUSY 50 %        of one CPU: a worker that spins takes what CPU there is, and on a
                     busy machine that may be half of one
    RESTS 20 %       50 clients that send a byte each 50 ms are 1,000 wake-ups a second
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.study.cases import each, only, repeats_of
from netlab.study.claims_waking import Claims

if TYPE_CHECKING:
    import pandas as pd

    from netlab.study.found import Found

HOARDED, BOUNDED = 80, 20
BUSY, RESTS = 50, 20
CROWDED = "one byte at a time"
FIRST = 1  # the client that behaves
RUN = ["server", "repeat"]


def attack(found: Found) -> Claims:
    """Judge what is kept, who spins, and whether anything is left."""
    table = found.tables["attack"]
    added = added_mb(table)
    claim = "Who keeps all and reads on grows with what is asked."
    yield each(claim, only(added, ["reads on"]), low=HOARDED, unit="MB")
    claim = "Who stops listening to a client that does not read stays as it is."
    yield each(claim, only(added, ["stage 6"]), high=BOUNDED, unit="MB")
    busy = busy_percent(table, found.settings["spans"])
    claim = "Out of descriptors, stage 5 is busy all the time."
    yield each(claim, only(busy, ["stage 5"]), low=BUSY, unit="%")
    claim = "Out of descriptors, stage 6 rests."
    yield each(claim, only(busy, ["stage 6"]), high=RESTS, unit="%")
    at_last = table.query("at_ms == at_ms.max()")
    left = at_last.assign(left=at_last["held"] - FIRST)
    claim = "When the attackers are gone, no connection of theirs is left."
    yield each(claim, repeats_of(left, "left", "server"), high=0, unit="connections")


def added_mb(table: pd.DataFrame) -> dict[str, list[float]]:
    """Return by how much each server's memory grew at most, a number a repeat."""
    memory = table.groupby(RUN, sort=False)["memory_mb"]
    runs = memory.agg(at_first="first", most="max").reset_index()
    grown = runs.assign(added_mb=runs["most"] - runs["at_first"])
    return repeats_of(grown, "added_mb", "server")


def busy_percent(table: pd.DataFrame, spans: list[list]) -> dict[str, list[float]]:
    """Return each server's CPU time while it is out of descriptors, one a repeat."""
    ((begin_ms, end_ms),) = [span[1:] for span in spans if span[0] == CROWDED]
    during = table[table["at_ms"].between(begin_ms + 1, end_ms)]
    busy = during.groupby(RUN, sort=False)["cpu_percent"]
    return repeats_of(busy.agg(busy="mean").reset_index(), "busy", "server")
