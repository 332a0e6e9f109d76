"""The load's own process: takes orders over a socket, fires, and says when it is done.

Facts. Ctrl-C in a terminal and an interrupt in Jupyter reach every process of
the group, this one too: it ignores them, because the parent decides. A parent
that is killed cannot say goodbye, but the kernel closes its end of the socket:
end of file here means "the parent is gone", at any moment, also in the middle of
a load, because the socket is watched together with the clients. (A death signal,
PR_SET_PDEATHSIG, would follow the thread that started this process instead.)

Orders and reports are JSON, one a line. An order comes with two descriptors, of
the memory that the logs live in.

    <- {"started": true}  everything is imported
    <- {"ready": true}    the loop is compiled, or was found ready
    -> {"settings": {...}, "target": {...}}
    <- {"held": true}     plans that hold: all are open; waits for the next line
    -> {"release": true}  close them
    <- {"done": true, "cpu_ns": N, "compiled": true}

Anything else from the parent in the middle of a load ends this process. `cpu_ns` is
the CPU time of this process from the order to its end.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from typing import Any

from netlab.kernel.limits import raised_descriptor_limit
from netlab.kernel.native import COMPILED
from netlab.load.bundle import Target
from netlab.load.firing import Firing, Interrupted, settle_in
from netlab.load.plans import (
    CONNECTION,
    OWN_DESCRIPTORS,
    REQUEST,
    LoadSettings,
    Outcome,
)
from netlab.records import Log

ORDER_BYTES = 1 << 16


def main(descriptor: int) -> None:
    """Serve orders from the socket until the parent closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as control:
        say(control, started=True)
        settle_in()
        say(control, ready=True)
        while True:
            order, descriptors = hear(control)
            if order is None:
                return
            try:
                fire(control, order, descriptors)
            except Interrupted:
                return


def hear(control: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Return the next order with its descriptors; None if the parent is gone."""
    data, descriptors, _, _ = socket.recv_fds(control, ORDER_BYTES, 2)
    while data and not data.endswith(b"\n"):
        more = control.recv(ORDER_BYTES)
        data = data + more if more else b""
    return (json.loads(data) if data else None), descriptors


def say(control: socket.socket, **report: Any) -> None:
    """Send one report to the parent."""
    control.sendall(json.dumps(report).encode() + b"\n")


def fire(control: socket.socket, order: dict[str, Any], descriptors: list[int]) -> None:
    """Run one load; what became of it is in the logs."""
    began_ns = time.process_time_ns()
    settings, target = LoadSettings(**order["settings"]), Target(**order["target"])
    most_connections, most_requests = settings.rows()
    logs = (
        Log(CONNECTION, most_connections, descriptors[0]),
        Log(REQUEST, most_requests, descriptors[1]),
    )
    for descriptor in descriptors:
        os.close(descriptor)  # the mapping has its own
    with raised_descriptor_limit(
        settings.descriptors() + OWN_DESCRIPTORS, at_most=True
    ):
        firing = Firing(settings, target, logs, control.fileno())
        try:
            if firing.fire() and settings.holds:
                hold(control, firing)
        finally:
            firing.close()
    spent_ns = time.process_time_ns() - began_ns
    say(control, done=True, cpu_ns=spent_ns, compiled=COMPILED)


def hold(control: socket.socket, firing: Firing) -> None:
    """Say that all connections are open, wait for the word, and close them."""
    say(control, held=True)
    control.settimeout(max(firing.left_s, 0.001))
    try:
        order, _ = hear(control)
    except TimeoutError:  # the word may still come: nobody is here to hear it
        sys.exit("the word to close came later than timeout_s allows")
    control.settimeout(None)
    if order is None:
        raise Interrupted
    if firing.hold((firing.settings.hold_ms or 0) / 1000):
        firing.let_go(Outcome.CLOSED)  # else they are cut off, and their rows say so


if __name__ == "__main__":
    main(int(sys.argv[1]))
