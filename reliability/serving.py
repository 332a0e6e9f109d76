"""A server in a process of its own, told by lines: what faults are done to.

    python -m reliability.serving '{"workers": 2, "engine": "compiled"}'
    <- {"address": ["127.0.0.1", N], "pid": N, "host": N, "tids": [...]}
    -> look   <- {"counters": {...}, "open": N, "waiting": N, "died": {...}, ...}
    -> stop   <- the same, once it has stopped, with what is "left" in the process
    (end of file, or SIGINT: it stops, says the same, and ends)

Counters are read from the shared rows: `Server.snapshot` asks the kernel for its own
account too, and needs a descriptor for that, which is what some faults take away.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from typing import Any

import psutil

from netlab import counters
from netlab.server.server import Server

SETTLE_S = 2.0


def holdings() -> dict[str, int]:
    """Return how many threads, processes and descriptors this process has."""
    gc.collect()
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "processes": len(psutil.Process().children(recursive=True)),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


def left_since(before: dict[str, int]) -> dict[str, int]:
    """Return what there is more of than before, and stays so for SETTLE_S.

    The kernel forgets a thread a moment after it was joined.
    """
    deadline = time.monotonic() + SETTLE_S
    while True:
        after = holdings()
        left = {name: after[name] - before[name] for name in before}
        left = {name: count for name, count in left.items() if count > 0}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.01)


def look(server: Server) -> dict[str, Any]:
    """Return what the server counts, and what became of its workers."""
    rows = server._crew.rows.copy() if server.running else server.snapshot()
    return {
        "counters": counters.total(rows),
        "turns": rows["turns"].tolist(),
        "open": int((rows["accepted"] - rows["closed"]).sum()),
        "waiting": server.waiting(),
        "died": {number: str(why) for number, why in server.failures.items()},
        "faults": {number: repr(why) for number, why in server.faults.items()},
        "says": repr(server),
    }


def say(**what: Any) -> None:
    """Send one line to the parent, if it is there."""
    try:
        print(json.dumps(what), flush=True)
    except BrokenPipeError:
        pass


def serve(settings: dict[str, Any]) -> dict[str, Any]:
    """Serve until told otherwise; return what the stopped server counted."""
    with Server(**settings) as server:
        try:
            say(
                address=server.address,
                pid=os.getpid(),
                host=server.pid,
                tids=server.tids,
            )
            for line in sys.stdin:
                if line == "stop\n":
                    break
                say(**look(server))
        except KeyboardInterrupt:
            pass
    return look(server)


def load_for_ever(engine: str) -> None:
    """Load what the first server of a process leaves in it for the next ones."""
    if engine == "compiled":
        from netlab.server import compiled_worker  # takes a while

        compiled_worker.warm_up()


def main(settings: dict[str, Any]) -> None:
    """Be the process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored behind a "&"
    load_for_ever(settings.get("engine", "python"))
    before = holdings()
    found = serve(settings)
    say(**found, left=left_since(before))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
