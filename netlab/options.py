"""The options of the command line, as tables: a row an option, a tuple a command."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, NoReturn

REFUSED = 2  # the exit status for a setting that cannot be honoured

Option = tuple[str, dict[str, Any]]


def numbers(text: str) -> tuple[int, ...]:
    """Parse "2,0,3,1"."""
    return tuple(int(part) for part in text.split(","))


SERVER: tuple[Option, ...] = (
    ("--workers", {"type": int, "metavar": "N", "help": "how many (one per CPU)"}),
    (
        "--workers-as",
        {"metavar": "KIND", "help": "threads (default), or processes: pre-fork"},
    ),
    ("--strategy", {"metavar": "NAME", "help": "see: python -m netlab strategies"}),
    ("--engine", {"metavar": "NAME", "help": "python (default) or compiled"}),
    ("--loop", {"choices": ["epoll", "select"], "help": "the way to wait"}),
    (
        "--listen",
        {
            "action": "append",
            "metavar": "ADDR:PORT",
            "help": "may be given several times (127.0.0.1, any free port)",
        },
    ),
    ("--port", {"type": int, "metavar": "P", "help": "short for 127.0.0.1:P"}),
    ("--backlog", {"type": int, "metavar": "N", "help": "how many may wait"}),
    (
        "--max-connections",
        {"type": int, "metavar": "N", "help": "open at once (what descriptors allow)"},
    ),
    (
        "--client-timeout",
        {
            "dest": "client_timeout_s",
            "type": float,
            "metavar": "SECONDS",
            "help": "for what only the client can do next (10)",
        },
    ),
    (
        "--register-order",
        {"type": numbers, "metavar": "2,0,1", "help": "order of watching"},
    ),
    (
        "--rotate-every",
        {"type": int, "metavar": "K", "help": "exclusive-rotate: accepts (16)"},
    ),
    (
        "--slow",
        {"type": numbers, "metavar": "W,F", "help": "worker W spins F times longer"},
    ),
    (
        "--incoming-cpu",
        {"action": "store_true", "help": "note each accept's SO_INCOMING_CPU"},
    ),
    (
        "--turn-log",
        {"type": int, "metavar": "N", "help": "note each worker's first N turns"},
    ),
    (
        "--place-seed",
        {"type": int, "metavar": "N", "help": "of what handing over draws (1)"},
    ),
    (
        "--no-pin",
        {"dest": "pin", "action": "store_false", "help": "let workers move"},
    ),
)
LOAD: tuple[Option, ...] = (
    (
        "--plan",
        {"metavar": "NAME", "help": "closed (default), touch, open, burst or hold"},
    ),
    (
        "--connections",
        {"type": int, "metavar": "C", "help": "in all (100; plan hold: 1000)"},
    ),
    (
        "--at-once",
        {"type": int, "metavar": "N", "help": "open at one time (8; plan open: 64)"},
    ),
    (
        "--requests",
        {
            "type": int,
            "metavar": "R",
            "help": "per connection (1; plan open: no limit)",
        },
    ),
    (
        "--duration",
        {
            "dest": "duration_s",
            "type": float,
            "metavar": "SECONDS",
            "help": "instead of a number of connections; plan open: how long (5)",
        },
    ),
    ("--path", {"help": "/ (default), /spin/MICROSECONDS or /bytes/N"}),
    (
        "--rate",
        {
            "dest": "rate_per_s",
            "type": float,
            "metavar": "R",
            "help": "plan open: requests a second (1000)",
        },
    ),
    (
        "--arrivals",
        {"metavar": "KIND", "help": "plan open: constant (default) or poisson"},
    ),
    (
        "--spin-us",
        {"type": int, "metavar": "US", "help": "with --spin-share: for /spin/US ..."},
    ),
    (
        "--spin-share",
        {"type": float, "metavar": "X", "help": "... is this share, 0 to 1"},
    ),
    (
        "--seed",
        {"type": int, "metavar": "N", "help": "of poisson arrivals and the share (1)"},
    ),
    ("--pause-ms", {"type": float, "metavar": "MS", "help": "between openings (5)"}),
    ("--hold-ms", {"type": float, "metavar": "MS", "help": "held at the end (0)"}),
    (
        "--timeout",
        {
            "dest": "timeout_s",
            "type": float,
            "metavar": "SECONDS",
            "help": "when to give up (60)",
        },
    ),
)
REMOTE: Option = (
    "--allow-remote",
    {"action": "store_true", "help": "permit addresses beyond this machine"},
)
PID: Option = ("pid", {"type": int, "metavar": "PID"})
JSON: Option = ("--json", {"action": "store_true", "help": "print one JSON object"})

OPTIONS: dict[str, tuple[Option, ...]] = {
    "serve": (
        *SERVER,
        REMOTE,
        ("--seconds", {"type": float, "metavar": "S", "help": "stop after S"}),
    ),
    "load": (("target", {"metavar": "ADDR:PORT"}), *LOAD, REMOTE, JSON),
    "ps": (PID,),
    "watch": (
        PID,
        ("--seconds", {"type": float, "metavar": "S", "help": "stop after S"}),
        (
            "--interval",
            {
                "dest": "interval_s",
                "type": float,
                "metavar": "SECONDS",
                "help": "between two looks (1)",
            },
        ),
        ("--trace", {"action": "store_true", "help": "x-ray the wake-ups; root only"}),
        JSON,
    ),
    "doctor": (JSON,),
    "strategies": (
        ("name", {"nargs": "?", "metavar": "NAME", "help": "all about one of them"}),
        JSON,
    ),
    "reproduce": (
        ("names", {"nargs": "*", "metavar": "NAME", "help": "none: lists them"}),
        ("--all", {"action": "store_true", "help": "every study; needs --out"}),
        (
            "--replay",
            {"action": "store_true", "help": "from the recordings, not measured here"},
        ),
        ("--repeats", {"type": int, "metavar": "K", "help": "of each kind of run"}),
        ("--seed", {"type": int, "metavar": "N", "help": "of the runs' order (1)"}),
        ("--out", {"metavar": "FOLDER", "help": "save tables and figures there"}),
        JSON,
    ),
    "record": (
        ("names", {"nargs": "*", "metavar": "NAME", "help": "none: lists them"}),
        ("--repeats", {"type": int, "metavar": "K", "help": "of each kind of run"}),
        ("--seed", {"type": int, "metavar": "N", "help": "of the runs' order (1)"}),
        ("--folder", {"metavar": "FOLDER", "help": "instead of the course's data/"}),
    ),
    "run": (
        *SERVER,
        *LOAD,
        ("--repeats", {"type": int, "metavar": "K", "help": "runs (1)"}),
        ("--save", {"metavar": "FOLDER", "help": "save the last run there"}),
        JSON,
    ),
}


class Parser(argparse.ArgumentParser):
    """argparse's, but a mistake costs one line, as every other refusal does."""

    def error(self, message: str) -> NoReturn:
        """End with the message."""
        self.exit(REFUSED, f"netlab: {message}; see {self.prog} --help\n")


def parser(description: str | None, commands: Mapping[str, str | None]) -> Parser:
    """Return the parser; options that are not given are not in its result.

    commands: what each command is for, by its name in OPTIONS.
    """
    top = Parser(prog="python -m netlab", description=description)
    top.formatter_class = argparse.RawDescriptionHelpFormatter
    below = top.add_subparsers(dest="command", required=True)
    for name, purpose in commands.items():
        one = below.add_parser(name, help=purpose, description=purpose)
        for flag, settings in OPTIONS[name]:
            default = False if flag == "--json" else argparse.SUPPRESS
            one.add_argument(flag, **settings, default=default)
    return top
