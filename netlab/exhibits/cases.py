"""What the exhibits fail and the suite does not ask: cases of the same form.

As in the suite (`stages.suite`), a case looks at a running server from outside, all its
waits end, and it raises if something is not as it should be. Those that look at this
process's memory or processor time are of use only for a server in this process.
"""

from __future__ import annotations

import mmap
import os
import socket
import statistics
import time
from contextlib import ExitStack

from netlab.kernel.machine import cpus_allowed
from netlab.stages.asking import Client
from netlab.stages.suite import LONG, SMALL, Case, NotHereError, Running

LOOK_S = 0.2
TOUCHES = 100  # connections for which workers race; each is lost by one or more
PAIRS = 40  # by then the kernel's acknowledgements are delayed
HOARD = 400, 100_000  # answers that are asked for and not read, and bytes of each


def _race(server: Running) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(Client(server.address)) for _ in range(12)]
        for _ in range(TOUCHES):
            with Client(server.address):
                pass
            for client in held:
                assert client.ask().status == 200


def _at_once(server: Running) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(Client(server.address))
        first.send(b"/spin/100000")  # whoever comes now waits in the queue
        clients = [stack.enter_context(Client(server.address)) for _ in range(5)]
        for client in clients:
            client.send(b"/")
        assert first.read().status == 200
        for client in clients:
            assert client.read().status == 200


def _spread(server: Running) -> None:
    cpus, tids = cpus_allowed(), getattr(server, "tids", ())
    if len(cpus) < 2 or len(tids) < 2:
        raise NotHereError("it takes two CPUs and two workers")
    bound = [tuple(sorted(os.sched_getaffinity(tid))) for tid in tids]
    wanted = min(len(cpus), len(tids))
    assert len(set(bound)) == wanted, f"{len(bound)} workers are on CPUs {bound}"


def _sleeps(server: Running) -> None:
    with Client(server.address) as client:
        assert client.ask().status == 200
        before = time.process_time()
        time.sleep(LOOK_S)
        used_s = time.process_time() - before
    assert used_s < LOOK_S / 40, f"busy for {used_s / LOOK_S:.0%} of the time"


def _no_pause(server: Running) -> None:
    with Client(server.address) as client:
        took_ms = [_pair_ms(client) for _ in range(PAIRS)][PAIRS // 2 :]
    median_ms = statistics.median(took_ms)
    assert median_ms < 20, f"two answers took {median_ms:.0f} ms"


def _pair_ms(client: Client) -> float:
    began = time.perf_counter()
    client.send(b"/", b"/")
    for _ in range(2):
        client.read()
    return (time.perf_counter() - began) * 1e3


def _own_answer(server: Running) -> None:
    with Client(server.address, SMALL) as one:
        one.send(LONG)
        one.socket.recv(1, socket.MSG_PEEK)  # it is being answered
        one.vanish()
    time.sleep(LOOK_S)
    with ExitStack() as stack:
        for _ in range(8):
            client = stack.enter_context(Client(server.address))
            client.send(b"/")
            began = client.socket.recv(9, socket.MSG_PEEK)
            assert began == b"HTTP/1.1 ", f"its answer begins with {began!r}"


def _costs_little(server: Running) -> None:
    count, size = HOARD
    with Client(server.address, SMALL) as client:
        assert client.ask().status == 200
        before = _resident_bytes()
        client.send(*[b"/bytes/%d" % size] * count)
        time.sleep(2 * LOOK_S)
        grown = _resident_bytes() - before
    assert grown < count * size / 4, f"{grown / 1e6:.0f} MB are kept for one client"


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE


RACE = Case("who loses a race serves on", "12 clients, 100 others come and go", _race)
AT_ONCE = Case("who comes at once is served", "five, while it is busy", _at_once)
SPREAD = Case("workers have different CPUs", "as many as there are", _spread)
SLEEPS = Case("with nothing to do it sleeps", "a client is silent", _sleeps)
NO_PAUSE = Case("two answers come without a pause", "asked together", _no_pause)
OWN_ANSWER = Case("nobody gets another's answer", "one vanishes early", _own_answer)
COSTS_LITTLE = Case("who never reads costs little", "40 MB asked for", _costs_little)
