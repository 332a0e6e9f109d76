"""What the studies of the first two stages claim, and why each threshold is there.

As in `claims_waking`, a threshold is the claim's own:

    RULE 0.97, 1.3   times what the rule says: no client can be answered sooner, and a
                     busy machine adds some ms to the 60 of each client before it
    FREE 0.2         times the wait behind five clients that stay: nothing is left of
                     it but what a busy machine adds
    ALIKE 0.8, 1.25  times: one thread does as much work a second as one thread
    SEEN 1, 2        something happened at all; and for two in one turn
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.study.cases import each, ratio, repeats_of
from netlab.study.claims_waking import Claims
from netlab.study.firsts import ONE_AT_A_TIME, last_answered
from netlab.study.turns import most_at_once, others_answered, per_repeat

if TYPE_CHECKING:
    from netlab.study.found import Found

RULE, FREE, ALIKE = (0.97, 1.3), 0.2, (0.8, 1.25)
SEEN_ONE, SEEN_TWO = 1, 2


def head_of_line(found: Found) -> Claims:
    """Judge who waits for whom, one at a time and in one loop."""
    waits = found.tables["waits"].query("predicted_ms > 0")
    behind = waits[waits["server"] == ONE_AT_A_TIME]
    names = behind["scene"] + ", client " + behind["client"].astype(str)
    shares = behind.assign(
        of=names, share=behind["answered_ms"] / behind["predicted_ms"]
    )
    claim = "One at a time, a client waits for all that those before it do."
    yield each(claim, repeats_of(shares, "share", "of"), *RULE, unit="times the rule")
    yield ratio(
        "In one loop nobody waits for a silent client.",
        *last_answered(found, "stay"),
        high=FREE,
    )
    yield ratio("One loop does work no sooner.", *last_answered(found, "work"), *ALIKE)


def turns(found: Found) -> Claims:
    """Judge what a loop does while one client has said half, and within one turn."""
    repeats = list(per_repeat(found.tables["turns"]))
    claim = "While half of a request is here, the loop answers others."
    counts = {"others' answers": [others_answered(rows) for rows in repeats]}
    yield each(claim, counts, low=SEEN_ONE, unit="answers")
    claim = "When several are ready, one turn sees to all of them."
    counts = {"the fullest turn": [most_at_once(rows) for rows in repeats]}
    yield each(claim, counts, low=SEEN_TWO, unit="at once")
