"""The progress bar of a load, or of many runs: tqdm's, without what it leaves behind.

tqdm starts a thread that looks after its bars, and a lock that is shared by processes,
for which Python starts another process. Neither would end with the bar.
"""

from __future__ import annotations

import threading
from typing import Any

_LOCK = threading.RLock()
DELAY_S = 0.5  # nobody wants to see a bar that is gone at once


def bar(total: int | None, unit: str, shown: bool) -> Any:
    """Return a bar with the time that is left, to be used in a `with` block.

    shown: on a terminal or in a notebook; never in a file.
    """
    from tqdm.auto import tqdm

    class Bar(tqdm):
        monitor_interval = 0

    Bar.set_lock(_LOCK)
    hidden = None if shown else True
    return Bar(total=total, unit=unit, disable=hidden, leave=False, delay=DELAY_S)
