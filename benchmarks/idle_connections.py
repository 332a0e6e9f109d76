"""How much memory an idle connection costs one worker: prints one JSON object.

    python benchmarks/idle_connections.py [CONNECTIONS]

Holds as many idle connections as the descriptor limit allows (at most 20,000) on
one worker, checks that an active client is still answered, and compares the
process's private memory before and while they are held. The kernel's own memory
for the sockets is not in it.
"""

from __future__ import annotations

import http.client
import json
import sys
from typing import Any

import psutil

import netlab
from netlab.counters import open_connections
from netlab.kernel.limits import descriptor_limits, raised_descriptor_limit

MOST = 20_000
OWN = 256  # descriptors for Python, the server and the load


def measure(connections: int) -> dict[str, Any]:
    """Hold `connections` idle ones; return what they cost and who was answered."""
    seen: dict[str, Any] = {}
    me = psutil.Process()
    with netlab.Server(workers=1) as server, netlab.Generator() as generator:
        generator.fire(server, plan="touch", connections=100, pause_ms=0)
        server.settle()
        before = me.memory_full_info().uss

        def on_held() -> None:
            server.settle(30)
            seen["bytes_each"] = (me.memory_full_info().uss - before) // connections
            seen["open"] = int(open_connections(server.snapshot()).sum())
            client = http.client.HTTPConnection(*server.address, timeout=10)
            client.request("GET", "/")
            seen["active_client_status"] = client.getresponse().status
            client.close()

        load = generator.fire(
            server,
            on_held=on_held,
            plan="touch",
            connections=connections,
            pause_ms=0,
            timeout_s=300,
        )
        seen["failures"] = {k.name: n for k, n in load.failures().items()}
    return {"connections": connections, **seen, "machine": netlab.machine().line()}


def main() -> None:
    """Measure with the number given, or the most that is possible."""
    most = min(descriptor_limits()[1] - OWN, MOST)
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else most
    with raised_descriptor_limit(wanted + OWN):
        print(json.dumps(measure(wanted)))


if __name__ == "__main__":
    main()
