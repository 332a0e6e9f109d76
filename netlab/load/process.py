"""The load's own process: takes orders over a socket, fires, and says when it is done.

Facts. Ctrl-C in a terminal and an interrupt in Jupyter reach every process of
the group, this one too: it ignores them, because the parent decides. A parent
that is killed cannot say goodbye, but the kernel closes its end of the socket:
end of file here means "the parent is gone", at any moment, also in the middle of
a load, because the socket is watched together with the clients. (A death signal,
PR_SET_PDEATHSIG, would follow the thread that started this process instead.)

Orders and reports are JSON, one a line. An order comes with two descriptors, of
the memory that the logs live in.

    -> {"settings": {...}, "addresses": [[host, port], ...], "stop_early": bool}
    <- {"held": true}     plan touch: all are open; waits for the next line
    -> {"release": true}  close them
    <- {"done": true}

Anything else from the parent in the middle of a load ends this process.
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
from netlab.load.client import Interrupted, Load
from netlab.load.plans import CONNECTION, REQUEST, LoadSettings
from netlab.records import Log

ORDER_BYTES = 1 << 16
OWN = 64  # descriptors that this process needs for itself


def main(descriptor: int) -> None:
    """Serve orders from the socket until the parent closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as control:
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
    settings = LoadSettings(**order["settings"])
    most_connections, most_requests = settings.rows()
    logs = (
        Log(CONNECTION, most_connections, descriptors[0]),
        Log(REQUEST, most_requests, descriptors[1]),
    )
    for descriptor in descriptors:
        os.close(descriptor)  # the mapping has its own
    load = Load(
        settings,
        [(host, port) for host, port in order["addresses"]],
        *logs,
        control.fileno(),
        order["stop_early"],
    )
    with raised_descriptor_limit(settings.descriptors() + OWN, at_most=True):
        try:
            getattr(load, settings.plan)()
            if settings.plan == "touch" and not load.is_over():
                hold(control, load)
        finally:
            load.finish()
    say(control, done=True)


def hold(control: socket.socket, load: Load) -> None:
    """Say that all connections are open, wait for the word, and close them."""
    say(control, held=True)
    control.settimeout(max(load.deadline - time.monotonic(), 0.001))
    try:
        order, _ = hear(control)
    except TimeoutError:  # the word may still come: nobody is here to hear it
        sys.exit("the word to close came later than timeout_s allows")
    control.settimeout(None)
    if order is None:
        raise Interrupted
    load.sleep((load.settings.hold_ms or 0) / 1000)
    if not load.is_over():  # else they are cut off, and their rows say so
        load.let_go()


if __name__ == "__main__":
    main(int(sys.argv[1]))
