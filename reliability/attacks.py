"""slowhttptest's attacks on a server, while a client that behaves asks all the time.

Facts. An attack of this sort costs its sender nothing: many connections, each of which
asks the server for a little patience. What it costs a server is seen by those who
behave, and in the server's memory.

Decision. Server, attacker and client are processes of their own on one machine. The
client asks 50 times a second, from before the attack to its end (`attacks_client`). All
the while the server is looked at: connections open, memory of its processes. The kernel
keeps bytes for a socket, too, which belong to no process: what all TCP sockets of the
machine hold is read beside it, so nothing else should run on it. After the attack the
client leaves, and the server must come back to what it had at first, and stop whole.

Broken is: a request that was lost, or got another answer; a median above BAR_MS, which
is a bar of this project and no fact about machines; an attack that did not reach the
server; anything left behind.

What may not be put here: how an attack is made (`attacks_kinds`), and how the server is
looked at (`attacks_watch`).
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import sys
import time
from collections.abc import Iterator
from typing import Any

from netlab.kernel.limits import raised_descriptor_limit
from netlab.study.partners import Partner
from reliability import attacks_kinds
from reliability.attacks_client import NEW_EVERY
from reliability.attacks_kinds import Attack
from reliability.attacks_watch import Watch, serving, settled
from reliability.results import Broken, Rows
from reliability.served import KINDS

BAR_MS = 100.0
SERVERS = tuple(KINDS)[:4]  # both engines, as threads and as processes
SHOWN = (  # in the document; the kept file has all
    *("attack", "what it is", "server", "open at once", "timed out"),
    *("requests", "lost", "median ms", "p99 ms", "worst ms"),
    *("kB a connection", "kernel's kB a connection", "left behind"),
)
QUIET_S = 2.0  # before the attack, for comparison
ASKED = ("requests", "answered", "lost", "mixed")
TOOK = ("median ms", "p99 ms", "worst ms")
DESCRIPTORS = 512  # beside the connections


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    names = [attack.name for attack in attacks_kinds.ATTACKS]
    parser.add_argument("--connections", type=int, default=1000, help="of an attack")
    parser.add_argument("--seconds", type=float, default=20, help="of an attack")
    parser.add_argument("--attack", nargs="*", default=names, metavar="NAME")
    parser.add_argument("--server", nargs="*", default=SERVERS, metavar="KIND")


def measure(options: argparse.Namespace) -> Rows:
    """Return a row for each attack on each kind of server; Broken names them all."""
    if reason := attacks_kinds.missing():
        raise ValueError(reason)
    chosen = [attacks_kinds.named(name) for name in options.attack]
    if unknown := set(options.server) - set(KINDS):
        raise ValueError(f"server {min(unknown)!r}: there are {', '.join(KINDS)}")
    rows = []
    for kind in options.server:
        for attack in chosen:
            rows.append(attacked(kind, attack, options.connections, options.seconds))
            say(rows[-1])
    require(rows, bar_ms=BAR_MS)
    return rows


def say(row: dict[str, Any]) -> None:
    """Say on standard error how far it is, as all of it takes minutes."""
    names = ("attack", "server", "answered", "lost", "median ms", "worst ms")
    words = ", ".join(f"{name} {row[name]}" for name in names)
    print(words, file=sys.stderr, flush=True)


def attacked(
    kind: str,
    attack: Attack,
    connections: int,
    seconds: float,
    *,
    quiet_s: float = QUIET_S,
    **settings: Any,
) -> dict[str, Any]:
    """Attack a server of a kind; return the table's row, which nobody has judged yet.

    settings: the server's, beside those that the attack needs.
    """
    wanted = attack.settings(connections) | settings
    with enough_descriptors(connections), serving(kind, wanted) as served:
        with Partner("reliability.attacks_client") as client:
            new_every = 0 if attack.crowds else NEW_EVERY
            client.tell({"address": list(served.address), "new_every": new_every})
            time.sleep(quiet_s)
            quiet = told(client, go_on=True)
            watch, began = Watch(served), time.monotonic()
            saw = watch.look_on(attack.begin(served.address, connections, seconds))
            lasted_s = time.monotonic() - began
            figures = told(client, go_on=False)
        counts, left = settled(served)
    opened = counts["accepted"] - figures["connections"]
    stayed = watch.open if attack.stays else 0
    return {
        "attack": attack.name,
        "what it is": attack.what,
        "server": kind,
        "connections": connections,
        "opened": opened,
        "open at once": watch.open,
        "seconds": round(lasted_s, 1),
        **{name: figures[name] for name in ASKED},
        "median ms before": quiet["median ms"],
        **{name: figures[name] for name in TOOK},
        "refused": counts["refusals"],
        "timed out": counts["timed_out"],
        **watch.memory(stayed),
        "left behind": ", ".join(f"{n} {what}" for what, n in left.items()) or 0,
        "what the attacker saw": saw,
    }


@contextlib.contextmanager
def enough_descriptors(connections: int) -> Iterator[None]:
    """Have enough of them, for whatever is started within the block, too."""
    try:
        with raised_descriptor_limit(2 * connections + DESCRIPTORS):
            yield
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        raise ValueError(f"{connections} connections: {error.strerror}") from error


def told(client: Partner, *, go_on: bool) -> dict[str, Any]:
    """Return the client's figures since it was told last; it goes on, or leaves."""
    client.tell({"go_on": go_on})
    return client.hear()


def require(rows: Rows, bar_ms: float | None = None) -> None:
    """Raise Broken with everything that did not hold; None: no time is judged."""
    wrong = [
        f"{row['attack']}, {row['server']}: {what}"
        for row in rows
        for what in wrongs(row, bar_ms)
    ]
    if wrong:
        raise Broken("; ".join(wrong))


def wrongs(row: dict[str, Any], bar_ms: float | None) -> list[str]:
    """Return what did not hold in a row."""
    least, most = attacks_kinds.bounds(row["attack"], row["connections"], row["server"])
    stays = attacks_kinds.named(row["attack"]).stays
    reached = row["open at once" if stays else "opened"]
    median_ms = row["median ms"]
    broken = (
        (not row["answered"], "nobody was answered"),
        (row["lost"], f"{row['lost']} requests lost"),
        (row["mixed"], f"{row['mixed']} answers mixed"),
        (row["left behind"], f"left behind: {row['left behind']}"),
        (reached < least, f"{reached} connections reached it, of {least}"),
        (row["open at once"] > most, f"{row['open at once']} open, of at most {most}"),
        (
            bar_ms is not None and median_ms is not None and median_ms > bar_ms,
            f"a median of {median_ms} ms",
        ),
    )
    return [what for holds_not, what in broken if holds_not]
