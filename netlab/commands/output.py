"""What the commands share: how they speak, and how they are told to end."""

from __future__ import annotations

import _thread
import json
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FAILED = 1  # the exit status when a run, a load or a worker failed
ENDS = (signal.SIGINT, signal.SIGTERM)


def say(message: str) -> None:
    """Print a message to standard error."""
    print(f"netlab: {message}", file=sys.stderr)


def show(found: dict[str, Any], as_json: bool) -> None:
    """Print figures as one JSON object, or a line each."""
    if as_json:
        print(json.dumps(found))
        return
    width = max(map(len, found))
    for name, value in found.items():
        print(f"  {name:<{width}}  {'-' if value is None else value}")


def print_table(table: pd.DataFrame | None) -> None:
    """Print a table that has rows, and an empty line."""
    if table is not None and len(table):
        print(table.to_string(index=False), end="\n\n", flush=True)


def records(table: pd.DataFrame | None) -> list[dict[Any, Any]] | None:
    """Return a table's rows for JSON."""
    return None if table is None else table.to_dict("records")


def listen_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with `port` and `listen` as one list of addresses."""
    listen = list(settings.pop("listen", []))
    if "port" in settings:
        listen.insert(0, f"127.0.0.1:{settings.pop('port')}")
    return settings | ({"listen": listen} if listen else {})


def refuse_impossible(names: list[str], what: str, remedy: str = "") -> None:
    """Raise ValueError, before the first run, for a study that cannot be live here.

    what: is to become of it, as in "recorded". remedy: another than the reason's own.
    """
    from netlab.study import catalogue, replay

    for name in names:
        catalogue.find(name)
        if reason := replay.impossible(name):
            raise ValueError(f"{name} cannot be {what} here. {reason}{remedy}")


def told_to_end() -> threading.Event:
    """Return what SIGINT and SIGTERM set from now on, instead of ending the program.

    A handler runs inside whatever it interrupts, which may hold the event's own lock,
    being about to wait for it. So another thread sets it, which may wait for the lock.
    """
    over = threading.Event()
    for number in ENDS:
        signal.signal(number, lambda *_: _thread.start_new_thread(over.set, ()))
    return over


def end_quietly() -> None:
    """Ignore both from now on: at its end Python makes them deadly again."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)
