"""The server as the course builds it: six stages, each a small server in one file.

    s1  blocking: a listener, one client at a time
    s2  one loop with select, many clients
    s3  epoll behind a wrapper, level- and edge-triggered
    s4  a loop for each CPU on shared listeners: the original's architecture
    s5  the same, counted: the original complete
    s6  safe: `netlab.server` itself

Each has a class `Stage` with the same face: `start`, `stop`, `address`, a with block,
and `fails`, the cases that it is meant to fail. `suite` has the cases, and `judge` puts
any server of that face to them.

Decision. The files repeat one another on purpose: same names, same order, so that the
difference between two of them is what the step is about. What no step is about is
beside them: the wrapper of the wait (`loops`), what is answered (`saying`), and the
counts from outside (`counting`).
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

NUMBERS = range(1, 7)


def stage(number: int) -> ModuleType:
    """Return a stage's module by its number, 1 to 6."""
    if number not in NUMBERS:
        raise ValueError(f"stage {number!r}: there are 1 to {NUMBERS[-1]}")
    return import_module(f"netlab.stages.s{int(number)}")
