"""The command line: python -m netlab serve | load | ps | doctor | strategies | run.

Every command is a table of options (`options`) and a function that returns the status:
0 when all went well, 1 when a run, a load or a worker failed, 2 for a setting
that cannot be honoured. Messages go to standard error, results to standard
output; `--json` prints JSON and nothing else there: one object, or for the tables
of `doctor` and `strategies` one list.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netlab.options import REFUSED, parser

if TYPE_CHECKING:
    from netlab.server.server import Server

FAILED = 1
ENDS = (signal.SIGINT, signal.SIGTERM)
LOOK_S = 0.5  # between two looks at whether all workers still live


# -- commands -------------------------------------------------------------------------


def serve(settings: dict[str, Any]) -> int:
    """Run a server until SIGINT, SIGTERM or --seconds."""
    over = threading.Event()
    for number in ENDS:  # before the imports, which take a while
        signal.signal(number, lambda *_: over.set())
    from netlab.server.server import Server

    seconds = settings.pop("seconds", None)
    if seconds is not None and not 0 < seconds < threading.TIMEOUT_MAX:
        raise ValueError(f"--seconds {seconds}: give a time above 0")
    if settings.get("allow_remote"):
        say("whoever can reach this address can make this machine work")
    with Server(**listen_of(settings)) as server:
        addresses = " ".join(map(str, server.addresses))
        actual = server.actual()
        print(
            f"listening on {addresses} with {actual['workers']} workers, strategy "
            f"{actual['strategy']}, loop {actual['loop']}, pid {server.pid}",
            flush=True,
        )
        await_end(server, over, seconds)
    for number in ENDS:  # at its end Python gives them their deadly meaning back
        signal.signal(number, signal.SIG_IGN)
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


def load(settings: dict[str, Any]) -> int:
    """Fire one load at an address."""
    from netlab.load.generator import fire
    from netlab.study.report import load_figures

    as_json = settings.pop("json")
    result = fire(settings.pop("target"), on_error="record", **settings)
    found = load_figures(result)
    show(found, as_json)
    if found["schedule"] not in (None, "kept"):
        say(f"the schedule was {found['schedule']}")
    incomplete = result.failures() or result.missing or result.unanswered
    return FAILED if incomplete else 0


def ps(settings: dict[str, Any]) -> int:
    """Show a process's threads as the original's picture does."""
    from netlab.watch.ps import ps as table

    print(table(settings["pid"]).to_string(index=False))
    return 0


def doctor(settings: dict[str, Any]) -> int:
    """Tell what this machine can show."""
    from netlab.kernel.doctor import as_text, facts

    found = facts()
    if settings["json"]:
        print(json.dumps([fact._asdict() for fact in found], indent=1))
    else:
        print(as_text(found))
    return 0


def strategies(settings: dict[str, Any]) -> int:
    """Print the strategy table."""
    from netlab.server.strategies import STRATEGIES

    rows = [row.described() for row in STRATEGIES]
    if settings["json"]:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print(f"{row.pop('name')}: {row.pop('summary')}")
        show({name: row[name] for name in row if row[name]}, as_json=False)
    return 0


def run(settings: dict[str, Any]) -> int:
    """Run one server under one load and print the figures."""
    from netlab.study.repeats import repeated, summary
    from netlab.study.run import new_folder

    as_json, save = settings.pop("json"), settings.pop("save", None)
    if save:
        new_folder(save)  # refused now, not after the runs
    runs = repeated(settings.pop("repeats", 1), **listen_of(settings))
    if save:
        runs[-1].save(save)
    found = summary(runs)
    if not as_json:
        for name in ("settings", "machine", "repeats"):
            del found[name]
        print(runs[-1].workers.T.to_string(header=False), end="\n\n")
    show(found, as_json)
    return 0


# -- plumbing -------------------------------------------------------------------------


def listen_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with `port` and `listen` as one list of addresses."""
    listen = list(settings.pop("listen", []))
    if "port" in settings:
        listen.insert(0, f"127.0.0.1:{settings.pop('port')}")
    return settings | ({"listen": listen} if listen else {})


def show(found: dict[str, Any], as_json: bool) -> None:
    """Print figures as one JSON object, or a line each."""
    if as_json:
        print(json.dumps(found))
        return
    width = max(map(len, found))
    for name, value in found.items():
        print(f"  {name:<{width}}  {'-' if value is None else value}")


def say(message: str) -> None:
    """Print a message to standard error."""
    print(f"netlab: {message}", file=sys.stderr)


COMMANDS: dict[str, Callable[[dict[str, Any]], int]] = {
    "serve": serve,
    "load": load,
    "ps": ps,
    "doctor": doctor,
    "strategies": strategies,
    "run": run,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    purposes = {name: command.__doc__ for name, command in COMMANDS.items()}
    settings = vars(parser(__doc__, purposes).parse_args(arguments))
    command = COMMANDS[settings.pop("command")]
    try:
        status = command(settings)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the rest
        return 128 + signal.SIGPIPE
    except (ValueError, OSError) as error:
        say(str(error))
        return REFUSED
    except RuntimeError as error:
        say(str(error))
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
