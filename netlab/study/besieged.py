"""The server under attack: a process of its own, with few descriptors.

The limit is lowered in this process only, so that the reader's kernel keeps its own.
Memory and processor time that are read from outside are then the server's.

    <- {"server": "stage 5", "descriptors": 64}
    -> {"address": ["127.0.0.1", N]}
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from netlab import exhibits
from netlab.stages import s5, s6
from netlab.study.partners import Parent

SERVERS: dict[str, Callable[..., Any]] = {
    "stage 5": s5.Stage,
    "reads on": exhibits.find("reads-on").make(),
    "stage 6": s6.Stage,
}
WORKERS = 2


def main(descriptor: int) -> None:
    """Serve until the parent closes its end."""
    import resource

    parent = Parent(descriptor)
    order = parent.hear()
    if order is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with SERVERS[order["server"]](workers=WORKERS) as server:
        resource.setrlimit(resource.RLIMIT_NOFILE, (order["descriptors"], hard))
        parent.tell({"address": list(server.address)[:2]})
        parent.hear()


if __name__ == "__main__":
    main(int(sys.argv[1]))
