"""The process of another interpreter that holds a server: `elsewhere` asks it.

It is told the settings once, makes the server, and answers one question after the
other: "snapshot", then "stop", after which it ends. When whoever asks is gone, its
socket is closed, and it stops too. It ignores interrupts, as its parent decides.
"""

from __future__ import annotations

import platform
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any

from netlab import counters
from netlab.kernel import machine
from netlab.server import logs
from netlab.server.server import Server


def begun(server: Server) -> dict[str, Any]:
    """Return what is known of a server that has just started."""
    return {
        "tids": list(server.tids),
        "addresses": [tuple(address) for address in server.addresses],
        "actual": server.actual(),
        "interpreter": {"python": platform.python_version(), "gil": machine.gil_on()},
    }


def rows(server: Server) -> dict[str, Any]:
    """Return the counter rows as they are now."""
    return {"rows": server.snapshot().astype(counters.DTYPE).tobytes()}


def stopped(server: Server) -> dict[str, Any]:
    """Stop the server and return all that is left of it."""
    server.stop()
    return rows(server) | {
        "accepts": server.accept_records().astype(logs.ACCEPT).tobytes(),
        "dropped": server.accepts_dropped(),
        "waiting": server.waiting(),
        "failures": {n: repr(error) for n, error in server.failures.items()},
        "faults": {n: repr(error) for n, error in server.faults.items()},
    }


ANSWERS = {"snapshot": rows, "stop": stopped}


def serve(control: Connection) -> None:
    """Make the server that is asked for, and answer until its stop."""
    settings = control.recv()
    try:
        server = Server(**settings)
    except (ValueError, OSError) as error:
        control.send({"refused": str(error)})
        return
    with server:
        control.send(begun(server))
        while server.running:
            control.send(ANSWERS[control.recv()](server))


def main(descriptor: int) -> None:
    """Serve one order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(descriptor) as control:
        try:
            serve(control)
        except (EOFError, ConnectionError):
            return  # whoever asked is gone


if __name__ == "__main__":
    main(int(sys.argv[1]))
