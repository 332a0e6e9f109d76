"""The attacks: slowhttptest's four, and a crowd that connects and says nothing.

Facts. slowhttptest opens its connections at a rate, keeps them for a time, and looks
once a second whether the server answers it. It ends early when the server has closed
all of them, and never opens one anew. netlab answers GET and HEAD only, and no head of
more than 8 KiB, so that two of the four are refused at once:

    slow headers   a head that never ends, a line a second
    slow body      a POST: 405, and what follows is read and thrown away
    slow read      /bytes/8000000, of which 32 bytes a second are read
    range          a HEAD with 13 kB of ranges: 431
    idle crowd     connections that ask for nothing, CROWDED times as many as it takes

Decision. An attack goes on for its whole time: when the tool has no connection left, it
is started again; a little after that time it is killed. The crowd is ours, for lack of
a tool, and a newcomer stands behind it, who must wait, and be answered once the crowd
has gone.

An attack is an iterator, so that its caller can look at the server while it goes on. It
ends with what the attacker saw.
"""

from __future__ import annotations

import contextlib
import csv
import math
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

from netlab.kernel.addresses import Address
from reliability.asking import answered, get
from reliability.results import Broken
from reliability.served import KINDS, PATIENCE_S, WORKERS

TOOL, PACKAGE = "slowhttptest", "slowhttptest"
LOOK_S = 0.25
LATE_S = 15.0  # the tool ends by itself, some seconds after its time at most
SHORTEST_ROUND_S = 1  # the tool counts in whole seconds
RATE = 4  # times its connections a second: all are open at once for most of the time
CROWDED = 4  # the crowd is so many times as large as `max_connections`
ENDED = re.compile(r"Exit status: *(.+)")
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

Going = Generator[None, None, str]


class Attack(NamedTuple):
    """One attack.

    what: what it is to netlab. stays: whether its connections stay until the server
    ends them. begin: begins it, by address, connections and seconds. crowds: whether it
    is about `max_connections`.
    """

    name: str
    what: str
    stays: bool
    begin: Callable[[Address, int, float], Going]
    crowds: bool = False

    def settings(self, connections: int) -> dict[str, Any]:
        """Return the settings of a server that is to be attacked."""
        return {"max_connections": connections // CROWDED} if self.crowds else {}


def missing() -> str | None:
    """Return why the tool cannot be had here; None if it can."""
    if shutil.which(TOOL):
        return None
    return f"{TOOL} is not installed here (package {PACKAGE})"


def tool(*options: str, path: str = "/") -> Callable[[Address, int, float], Going]:
    """Return what begins one of the tool's attacks."""

    def begin(address: Address, connections: int, seconds: float) -> Going:
        url = f"http://{address.host}:{address.port}{path}"
        fixed = ["-c", str(connections), "-r", str(RATE * connections), "-u", url]
        ends, looks, available, rounds, most = time.monotonic() + seconds, 0, 0, 0, 0
        said = "it never began"
        while (left_s := ends - time.monotonic()) >= SHORTEST_ROUND_S or not rounds:
            length = ["-l", str(max(SHORTEST_ROUND_S, int(left_s)))]
            with tempfile.TemporaryDirectory() as folder:
                yield from _round([TOOL, *options, *fixed, *length], folder, ends)
                said, table = _report(Path(folder))
            rounds += 1
            looks += len(table)
            available += sum(row["Service Available"] != "0" for row in table)
            most = max([most, *(int(row["Connected"]) for row in table)])
        return (
            f"available at {available} of {looks} looks; {most} connected at once; "
            f"{rounds} rounds, the last: {said}"
        )

    return begin


def _round(command: list[str], folder: str, ends: float) -> Going:
    """Run the tool once, to its end or until it is too late."""
    with (Path(folder) / "said").open("w") as said:
        process = subprocess.Popen(
            [*command, "-g", "-o", "report"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        try:
            while process.poll() is None:
                if time.monotonic() > ends + LATE_S:
                    raise Broken(f"{TOOL} did not end: {' '.join(command)}")
                yield
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_S)
        finally:
            process.kill()
            process.wait()
    return ""


def _report(folder: Path) -> tuple[str, list[dict[str, str]]]:
    """Return how the tool ended, and its table: a row a second."""
    said = COLOURS.sub("", (folder / "said").read_text(errors="replace"))
    ended = ENDED.findall(said)
    try:
        with (folder / "report.csv").open(newline="") as file:
            return ended[-1].strip(), list(csv.DictReader(file))
    except (OSError, IndexError) as cause:
        raise Broken(f"{TOOL} left no report: {said[-500:]}") from cause


def crowd(address: Address, connections: int, seconds: float) -> Going:
    """Connect and say nothing; let one more client wait behind them."""
    ends = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        with contextlib.ExitStack() as here:
            for _ in range(connections):
                here.enter_context(socket.create_connection(address, PATIENCE_S))
            yield
            newcomer = socket.create_connection(address, PATIENCE_S)
            stack.enter_context(newcomer).sendall(get("/bytes/1"))
            while time.monotonic() < ends:
                if select.select([newcomer], [], [], LOOK_S)[0]:
                    raise Broken("a newcomer was let in, though the server was full")
                yield
        gone = time.monotonic()
        if not answered(newcomer, 1):
            raise Broken("the newcomer was not answered when the crowd had gone")
        waited_ms = 1000 * (time.monotonic() - gone)
    return f"a newcomer waits, and is answered {waited_ms:.0f} ms after the crowd left"


SLOWLY = ("-i", "1", "-x", "10")  # a line of up to 10 letters a second
STALLED = ("-n", "1", "-z", "32", "-w", "512", "-y", "1024")  # 32 bytes a second
ATTACKS = (
    Attack("slow headers", "a head that never ends", True, tool("-H", *SLOWLY)),
    Attack("slow body", "POST: refused, 405", False, tool("-B", *SLOWLY)),
    Attack(
        "slow read",
        "8 MB asked for and not read",
        True,
        tool("-X", *STALLED, path="/bytes/8000000"),
    ),
    Attack("range", "HEAD with 13 kB of ranges: refused, 431", False, tool("-R")),
    Attack(
        "idle crowd",
        f"{CROWDED} times max_connections, which say nothing",
        True,
        crowd,
        crowds=True,
    ),
)


def named(name: str) -> Attack:
    """Return an attack by its name; ValueError names those that there are."""
    for attack in ATTACKS:
        if attack.name == name:
            return attack
    names = ", ".join(attack.name for attack in ATTACKS)
    raise ValueError(f"attack {name!r}: there are {names}")


def bounds(name: str, connections: int, server: str) -> tuple[int, float]:
    """Return how many of its connections an attack must bring to a server, and how many
    the server may have open at once.

    Worker processes have `max_connections` each; any worker may take one too many.
    """
    attack = named(name)
    if not attack.crowds:
        return connections, math.inf
    limit = attack.settings(connections)["max_connections"]
    apart = KINDS[server].get("workers_as") == "processes"
    return limit, limit * (WORKERS if apart else 1) + WORKERS
