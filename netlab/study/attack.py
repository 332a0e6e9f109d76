"""Study `attack`: what a server holds, and how it does, while clients misbehave.

Facts. A client that does not read its answers fills the buffers of the kernel, and then
the server has to choose: forget the rest, keep it, or stop listening to that client. A
client that never ends its request keeps a descriptor. When a process has none left,
`accept` fails (EMFILE) and the listener stays ready. A client that vanishes leaves an
error where an answer was to be sent. None of them costs its sender much.

Decision. Three servers go through the same attack, one after the other: stage 5, which
forgets; an exhibit, which keeps everything and reads on; and stage 6. Each is a process
of its own with DESCRIPTORS descriptors, so that its memory and processor time are
nobody else's. They are looked at from outside, every STEP_MS: descriptors held,
resident memory, CPU time of all threads. A client that was there before asks a short
question at each step. The attack has three spans with a pause after each; see SPANS.
The attackers are a further process (`attackers`), and bounded.

What must be seen is large: 160 MB are asked for and not read; a worker that finds the
listener ready for ever is busy all the time.

Known limits: resident memory does not count what the kernel holds for a socket, some
MB a client in all three servers (tcp_wmem limits it). Memory that was freed need not go
back to the system at once. One client's latency, a request a step, is no distribution.

What may not be put here: how the servers are made (`besieged`), and drawing.
"""

from __future__ import annotations

import os
import random
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.checks import whole_number
from netlab.load.progress import bar
from netlab.study.besieged import SERVERS
from netlab.study.found import Found
from netlab.study.partners import Partner

if TYPE_CHECKING:
    import pandas as pd

STEP_MS = 50
END_MS = 1850
SETTLE_S = 0.05  # for what a server does once, at its start
DESCRIPTORS = 64  # of a server; it needs about ten for itself
ASK = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
ANSWER_BYTES = 4096


class Span(NamedTuple):
    """When what is done to the server."""

    attack: str
    begin_ms: int
    end_ms: int


SPANS = (
    Span("never read", 150, 650),
    Span("one byte at a time", 800, 1300),
    Span("reset", 1450, 1700),
)


def attack(
    repeats: int = 3,
    seed: int = 1,
    progress: bool = True,
    servers: Sequence[str] = tuple(SERVERS),
) -> Found:
    """Attack each server, and look at it every STEP_MS.

    servers: names of `besieged.SERVERS`.

    Table `attack`: a row per server, repeat and step: engine; at_ms; held, its
    connections; memory_mb, resident; cpu_percent since the step before, of one CPU;
    latency_ms of the request sent then, missing if none was sent or none came back.

    Raises ValueError for a server that there is not.
    """
    import pandas as pd

    whole_number("repeats", repeats, 1, 100)
    if unknown := set(servers) - SERVERS.keys():
        raise ValueError(f"servers {sorted(unknown)}: there are {', '.join(SERVERS)}")
    rows = [row for one in _runs(servers, repeats, seed, progress) for row in one]
    table = pd.DataFrame(rows).sort_values(
        ["server", "repeat", "at_ms"], key=_in_order, ignore_index=True
    )
    settings = {
        "repeats": repeats, "seed": seed, "servers": list(servers),
        "descriptors": DESCRIPTORS, "step_ms": STEP_MS,
        "spans": [list(span) for span in SPANS],
    }  # fmt: skip
    return Found("attack", {"attack": table}, settings)


def _in_order(column: pd.Series) -> pd.Series:
    return column.map(list(SERVERS).index) if column.name == "server" else column


def _runs(
    servers: Sequence[str], repeats: int, seed: int, progress: bool
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each run; the order within a repeat is shuffled."""
    drawn = random.Random(seed)
    with bar(repeats * len(servers), "runs", progress) as told:
        for repeat in range(repeats):
            with ExitStack() as stack:
                started = [(name, _start(stack, name)) for name in servers]
                attackers = stack.enter_context(Partner("netlab.study.attackers"))
                drawn.shuffle(started)
                for name, server in started:
                    with server:
                        rows = _besiege(server, attackers)
                    labels = {"server": name, "engine": "python", "repeat": repeat}
                    yield [labels | row for row in rows]
                    told.update()


def _start(stack: ExitStack, name: str) -> Partner:
    server = stack.enter_context(Partner("netlab.study.besieged"))
    server.tell({"server": name, "descriptors": DESCRIPTORS})
    return server


def _besiege(server: Partner, attackers: Partner) -> list[dict[str, Any]]:
    """Let one server go through all spans; return a row a step."""
    address = tuple(server.hear()["address"])
    orders = {span.begin_ms: span.attack for span in SPANS}
    orders |= {span.end_ms: "nobody" for span in SPANS}
    look = Look(server.pid)
    with Regular(address) as client:
        time.sleep(SETTLE_S)
        look()
        rows, began = [], time.perf_counter()
        for at_ms in range(0, END_MS, STEP_MS):
            client.attend(began + at_ms / 1000)
            if at_ms in orders:
                attackers.tell({"attack": orders[at_ms], "address": address})
            rows.append({"at_ms": at_ms} | look() | {"latency_ms": float("nan")})
            client.ask(rows[-1])
        client.attend(began + END_MS / 1000)
    return rows


class Look:
    """What can be seen of a server's process from outside."""

    def __init__(self, pid: int) -> None:
        self.home = f"/proc/{pid}"
        self.own = self._descriptors()
        self.before_ns, self.at_ns = self._used_ns(), time.monotonic_ns()

    def __call__(self) -> dict[str, Any]:
        """Return what it holds now, and the CPU time that it took since."""
        used_ns, now_ns = self._used_ns(), time.monotonic_ns()
        percent = 100 * (used_ns - self.before_ns) / (now_ns - self.at_ns)
        self.before_ns, self.at_ns = used_ns, now_ns
        return {
            "held": self._descriptors() - self.own,
            "memory_mb": round(self._memory_bytes() / 1e6, 1),
            "cpu_percent": round(percent, 1),
        }

    def _descriptors(self) -> int:
        return len(os.listdir(f"{self.home}/fd"))

    def _memory_bytes(self) -> int:
        with open(f"{self.home}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _used_ns(self) -> int:
        used_ns = 0
        for thread in os.listdir(f"{self.home}/task"):
            with open(f"{self.home}/task/{thread}/schedstat") as file:
                used_ns += int(file.read().split()[0])
        return used_ns


class Regular:
    """A client that behaves: it asks, waits for its answer, and asks again."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.ready = select.poll()
        self.ready.register(self.socket, select.POLLIN)
        self.asked_s = 0.0
        self.row: dict[str, Any] | None = None  # of the question that is not answered
        self.hung_up = False

    def __enter__(self) -> Regular:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, row: dict[str, Any]) -> None:
        """Ask, unless an answer is still to come; its latency goes into the row."""
        if self.row is None and not self.hung_up:
            self.asked_s = time.perf_counter()
            with suppress(OSError):
                self.socket.send(ASK)
                self.row = row

    def attend(self, until_s: float) -> None:
        """Wait until then, and for an answer meanwhile."""
        while (left_s := until_s - time.perf_counter()) > 0:
            if self.hung_up or self.row is None:
                time.sleep(left_s)
            elif self.ready.poll(1000 * left_s):
                self._hear(self.row)

    def _hear(self, row: dict[str, Any]) -> None:
        took_s = time.perf_counter() - self.asked_s
        try:
            heard = self.socket.recv(ANSWER_BYTES)
        except OSError:
            heard = b""
        self.row, self.hung_up = None, not heard
        if heard:
            row["latency_ms"] = round(1000 * took_s, 3)
