"""Clients that others wrote, and whether they and the server count the same.

Decision. Each asks on some connections, of both engines, as threads and as processes.
What it asked, what it says was answered and what the server counted must be one number,
and it must have met no error. wrk is ended by the clock, not by a number of requests:
what it had asked and not read by then is counted by the server alone. That is at most
one request a connection, and stands in the column `under way`.

Broken is: a count that differs, an error, or anything that the server has left.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any, NamedTuple

from netlab.kernel.addresses import Address
from reliability.asking import filler
from reliability.attacks import SERVERS
from reliability.attacks_watch import serving, settled
from reliability.results import Broken, Rows

SIZE = 100  # bytes of a body
CONNECTIONS, PIPELINED = 50, 4
PER_CONNECTION = 200  # requests of the large clients
ENDS_S, GIVE_UP_S = 2, 60
PATIENCE_S = 20.0


class Counted(NamedTuple):
    """What a client says of itself; `asked` is None if it was ended by the clock."""

    asked: int | None
    answered: int
    errors: int
    connections: int


class Client(NamedTuple):
    """One client: its program, the package that has it, and a visit of it."""

    name: str
    program: str
    package: str
    visit: Callable[[str, Address], Counted]

    def missing(self) -> str | None:
        """Return why it cannot be had here; None if it can."""
        if self.program == "python" or shutil.which(self.program):
            return None
        return f"{self.program} is not installed here (package {self.package})"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    names = [client.name for client in CLIENTS]
    parser.add_argument("--client", nargs="*", default=names, metavar="NAME")
    parser.add_argument("--server", nargs="*", default=SERVERS, metavar="KIND")


def measure(options: argparse.Namespace) -> Rows:
    """Return a row for each client of each kind of server; Broken by the first one."""
    chosen = [client for client in CLIENTS if client.name in options.client]
    for client in chosen:
        if reason := client.missing():
            raise ValueError(reason)
    return [visited(kind, client) for kind in options.server for client in chosen]


def visited(kind: str, client: Client) -> dict[str, Any]:
    """Let a client visit a server of a kind; return the table's row."""
    with serving(kind, {}) as served:
        url = f"http://{served.address.host}:{served.address.port}/bytes/{SIZE}"
        said = client.visit(url, served.address)
        counts, left = settled(served)
    under_way = counts["requests"] - said.answered
    row = {
        "client": client.name,
        "server": kind,
        "connections": counts["accepted"],
        "asked": said.asked,
        "answered, it says": said.answered,
        "answered, the server says": counts["requests"],
        "under way": under_way,
        "errors": said.errors + counts["refusals"],
        "left behind": sum(left.values()),
    }
    most = said.connections if said.asked is None else 0
    holds = (
        said.answered
        and said.asked in (None, said.answered)
        and 0 <= under_way <= most
        and not row["errors"]
        and not left
    )
    if not holds:
        raise Broken(f"{client.name} and the server disagree: {row}, {left}")
    return row


# -- the clients ----------------------------------------------------------------------


def h2load(url: str, _: Address) -> Counted:
    """Many connections with several requests under way in each."""
    asked = CONNECTIONS * PER_CONNECTION
    options = ["-c", str(CONNECTIONS), "-m", str(PIPELINED), "-n", str(asked)]
    said = output_of("h2load", "--h1", *options, url)
    words = ("done", "succeeded", "failed", "errored", "timeout")
    counts = [number(rf"(\d+) {word}", said) for word in words]
    done, answered, *errors = counts
    bodies = number(r"headers.*\((\d+)\) data", said)
    wrong = abs(bodies - asked * SIZE) + asked - done
    return Counted(asked, answered, sum(errors) + wrong, CONNECTIONS)


def wrk(url: str, _: Address) -> Counted:
    """Many connections for some seconds, each asking as soon as it is answered."""
    said = output_of("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ENDS_S}", url)
    errors = "Socket errors" in said or "Non-2xx" in said
    answered = number(r"(\d+) requests in", said)
    return Counted(None, answered, int(errors), CONNECTIONS)


def ab(*options: str) -> Callable[[str, Address], Counted]:
    """Return a visit of ab, with its options."""

    def visit(url: str, _: Address) -> Counted:
        asked = CONNECTIONS * PER_CONNECTION // 2
        load = ["-q", "-n", str(asked), "-c", str(CONNECTIONS)]
        said = output_of("ab", *load, *options, url)
        errors = number(r"Failed requests: +(\d+)", said) + ("Non-2xx" in said)
        answered = number(r"Complete requests: +(\d+)", said)
        return Counted(asked, answered, errors, CONNECTIONS)

    return visit


def curl(*options: str) -> Callable[[str, Address], Counted]:
    """Return a visit of curl, with its options."""

    def visit(url: str, _: Address) -> Counted:
        quiet = ["-sS", "--noproxy", "*", "-o", "/dev/null", "-w"]
        written = "%{http_code} %{size_download}\n"
        many = f"{url.rpartition('/')[0]}/[1-{PER_CONNECTION}]"
        said = output_of("curl", *quiet, written, *options, many).split("\n")[:-1]
        right = {f"200 {size}" for size in range(1, PER_CONNECTION + 1)}
        answered = len(right & set(said))
        return Counted(PER_CONNECTION, answered, len(said) - answered, 1)

    return visit


def own(_: str, address: Address) -> Counted:
    """Ask with Python's http.client, on one connection."""
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
    answered = 0
    with contextlib.closing(connection):
        for size in range(PER_CONNECTION):
            connection.request("GET", f"/bytes/{size}")
            answer = connection.getresponse()
            answered += (answer.status, answer.read()) == (200, filler(size))
    return Counted(PER_CONNECTION, answered, PER_CONNECTION - answered, 1)


def output_of(*command: str) -> str:
    """Return what a client printed; Broken with its complaint if it failed."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=GIVE_UP_S, check=False
    )
    if done.returncode:
        raise Broken(f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def number(pattern: str, text: str) -> int:
    """Return the number in the one place where a client prints it."""
    found = re.search(pattern, text)
    if found is None:
        raise Broken(f"no {pattern!r} in what the client printed: {text[-500:]}")
    return int(found[1])


CLIENTS = (
    Client("h2load --h1", "h2load", "nghttp2-client", h2load),
    Client("wrk", "wrk", "wrk", wrk),
    Client("ab", "ab", "apache2-utils", ab()),
    Client("ab -k", "ab", "apache2-utils", ab("-k")),
    Client("curl", "curl", "curl", curl()),
    Client("curl --parallel", "curl", "curl", curl("--parallel")),
    Client("http.client", "python", "", own),
)
