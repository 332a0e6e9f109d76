"""What an idle connection costs a server in memory of its own.

Facts. Client and server each need a descriptor a connection, and each has its own
limit. The kernel's memory for the sockets, some kilobytes each, is in nobody's
account. A server that had many connections before has room for them still, so that
new ones seem to cost nothing.

Decision. A new process of the server is warmed up with a few, then as many are held as
the limits allow, at most 20,000. That all are the server's, not in its queue, is seen
from its descriptors. An active client is asked to be answered in between. What a
server lays out at its start (nginx: its table of connections) is not in the number.
"""

from __future__ import annotations

from functools import partial

import netlab
from benchmarks import client, peers
from benchmarks.accounts import descriptors, memory_bytes, settle
from benchmarks.bench import Bench, Case, Numbers
from benchmarks.running import Missing, Running
from benchmarks.settings import chosen
from netlab.kernel.limits import descriptor_limits

OWN = 512  # descriptors for Python, the load, and what a server leaves to its process
WARM_UP = 100
TIMEOUT_S = 300.0


def most(wanted: int) -> int:
    """Return how many connections the limits allow, at most `wanted`."""
    return min(descriptor_limits()[1] - OWN, wanted)


def hold(server: Running, connections: int) -> Numbers:
    """Hold so many idle connections; return what each cost. Missing if some failed."""
    seen: Numbers = {"connections": connections}
    with netlab.Generator() as generator:
        fire = partial(
            generator.fire,
            f"{server.address.host}:{server.address.port}",
            plan="hold",
            progress=False,
        )
        fire(connections=WARM_UP)
        settle(server.pid)  # it has closed those few
        before, open_before = memory_bytes(server.pid), descriptors(server.pid)

        def on_held() -> None:
            client.length(server.address, last=True)  # it accepts in order: all are in
            settle(server.pid)
            seen["open"] = descriptors(server.pid) - open_before
            seen["bytes_each"] = (memory_bytes(server.pid) - before) / connections

        fire(connections=connections, on_held=on_held, timeout_s=TIMEOUT_S)
    if seen["open"] != connections:
        raise Missing(f"{seen['open']} of {connections} connections were accepted")
    return seen


def measure(bench: Bench, name: str) -> Numbers:
    """Hold connections at a new process of this server."""
    with bench.fresh(name) as server:
        return hold(server, most(bench.settings.idle_connections))


def cases(bench: Bench) -> list[Case]:
    """Return a case per server that could be started."""
    names = [n for n in chosen("server", (), peers.NAMES) if n in bench.servers]
    acts = {name: partial(measure, bench, name) for name in names}
    return [Case("idle", name, act, once=True) for name, act in acts.items()]
