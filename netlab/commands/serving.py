"""The command that runs a server."""

from __future__ import annotations

import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

from netlab.commands.output import FAILED, end_quietly, listen_of, say, told_to_end

if TYPE_CHECKING:
    from netlab.server.server import Server

LOOK_S = 0.5  # between two looks at whether all workers still live


def serve(settings: dict[str, Any]) -> int:
    """Run a server until SIGINT, SIGTERM or --seconds."""
    over = told_to_end()  # before the imports, which take a while
    from netlab.server.server import Server
    from netlab.server.settings import REMOTE_MEANS, RemoteAccess

    seconds = settings.pop("seconds", None)
    if seconds is not None and not 0 < seconds < threading.TIMEOUT_MAX:
        raise ValueError(f"--seconds {seconds}: give a time above 0")
    if settings.get("allow_remote"):
        say(REMOTE_MEANS)
        warnings.simplefilter("ignore", RemoteAccess)  # said
    with Server(**listen_of(settings)) as server:
        addresses = " ".join(map(str, server.addresses))
        actual = server.actual()
        print(
            f"listening on {addresses} with {actual['workers']} workers, strategy "
            f"{actual['strategy']}, loop {actual['loop']}, pid {server.pid}",
            flush=True,
        )
        await_end(server, over, seconds)
    end_quietly()
    print(server.counters().T.to_string(header=False))
    for number, reason in server.failures.items():
        say(f"worker {number} died: {reason!r}")
    for number, reason in server.faults.items():
        say(f"an error in worker {number} ended a connection: {reason!r}")
    return FAILED if server.failures or server.faults else 0


def await_end(server: Server, over: threading.Event, seconds: float | None) -> None:
    """Wait until told to stop, until the time is up, or until a worker dies."""
    ends = time.monotonic() + (seconds or threading.TIMEOUT_MAX / 2)
    while not server.failures and (left := ends - time.monotonic()) > 0:
        if over.wait(min(left, LOOK_S)):
            return
