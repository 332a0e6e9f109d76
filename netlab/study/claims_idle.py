"""What the study of idle descriptors claims, and why each threshold is where it is.

The claims are about the compiled turns, which are the kernel's but for a little. They
compare turns of one machine, so that its speed is in none of them.

    GROWN 3     turns among 1,000 idle descriptors to turns among 10: measured 5 to 9.
                1,010 are looked at instead of 20, so the kernel's part grows 50 times;
                the reading of the active ones, which does not, is most of the shorter
                turn
    SAME 2      epoll's turn among the most idle descriptors to that among 10: measured
                0.95 to 1.1, and on a busy machine 0.8 to 1.4. It is a thousand times
                as many, and poll's turn takes a hundred times as long
    NO_WORSE 2  times: select's and poll's turn to epoll's, among 10 idle descriptors:
                measured 0.9 to 1.6
    NO_BETTER   0.7 times: epoll's turn to poll's, if something happens everywhere:
                measured 0.9 to 1.2. If epoll saved what it saves among idle ones, it
                would be a tenth
    TOLD 1.5    epoll's turn, if it is told of each descriptor anew, to poll's: measured
                2 to 4
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netlab.study.cases import ratio
from netlab.study.idle import ANEW, WAYS, busy_us, turns_us
from netlab.study.verdicts import Verdict

if TYPE_CHECKING:
    from netlab.study.found import Found

GROWN, SAME, NO_WORSE, NO_BETTER, TOLD = 3, 2, 2, 0.7, 1.5
FEW, MANY = 10, 1000


def idle_clients(found: Found) -> Iterator[Verdict]:
    """Judge how each turn grows with the idle descriptors, and with the active ones."""
    few = {way: turns_us(found, way, FEW) for way in WAYS}
    for way in ("select", "poll"):
        claim = f"Among a thousand idle descriptors {way}'s turn costs much more."
        yield ratio(claim, turns_us(found, way, MANY), few[way], low=GROWN)
    claim = "Among the most of them epoll's turn costs the same."
    yield ratio(claim, turns_us(found, "epoll"), few["epoll"], high=SAME)
    for way in ("select", "poll"):
        claim = f"Among ten idle descriptors {way} is not slow."
        yield ratio(claim, few[way], few["epoll"], high=NO_WORSE)
    poll = busy_us(found, "poll")
    claim = "Where something happens at every descriptor, epoll saves little."
    yield ratio(claim, busy_us(found, "epoll"), poll, low=NO_BETTER)
    claim = "Told of each of them anew, it costs more than poll."
    yield ratio(claim, busy_us(found, ANEW), poll, low=TOLD)
