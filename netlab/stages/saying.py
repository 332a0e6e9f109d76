"""What the stages say: the answer to a request, its work done and its body whole.

It is the same in all of them, and none is about it; the meaning of bytes is
`netlab.protocol`'s. Not in this file: sockets.
"""

from __future__ import annotations

import time

from netlab.kernel.libc import current_cpu
from netlab.protocol import FILLER, Request, Route, answer


def perform(request: Request, *, worker: int, tid: int, accepts: int) -> bytes:
    """Do what was asked, and return the answer."""
    if request.route is Route.SPIN:
        spin(request.argument)
    data, owed = answer(
        request, worker=worker, tid=tid, cpu=current_cpu(), accepts=accepts
    )
    return data + (FILLER * (owed // len(FILLER) + 1))[:owed]


def spin(microseconds: int) -> None:
    """Keep the CPU busy for so long, as a request that costs work would."""
    until = time.perf_counter_ns() + microseconds * 1000
    while time.perf_counter_ns() < until:
        pass
