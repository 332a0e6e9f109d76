"""The C library's functions that Python does not offer; the only ctypes here.

Facts. Python has no `sched_getcpu` (which CPU is this thread on, right now).
A `ctypes.CDLL` function gives the GIL away for the length of the call, a
`ctypes.PyDLL` function keeps it. Giving it away invites another worker to take
it, so a call that only asks for a number would add the very context switches
that netlab counts.

Decision. `sched_getcpu` is reached through PyDLL. It costs about 80 ns (Python 3.11,
an idle 2.8 GHz Xeon) and is read once a turn, because a thread that is not pinned
may move at any time and an answer that names its CPU should name the one it was
served on.

What may not be put here: anything that decides, loops or keeps state.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable


def _find(name: str) -> Callable[[], int] | None:
    """Return a function of the C library, or None where there is none such."""
    if sys.platform == "win32":
        return None
    return getattr(ctypes.PyDLL(None), name, None)


_sched_getcpu = _find("sched_getcpu")


def current_cpu() -> int:
    """Return the CPU that the calling thread runs on, or -1 where unknown."""
    return -1 if _sched_getcpu is None else _sched_getcpu()
