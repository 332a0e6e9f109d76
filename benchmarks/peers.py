"""The table of servers: what each is, how it is started, and what it needs.

All give answers of the same length to `GET /`, on 127.0.0.1, with one worker. A
server that this machine does not have is a row with the reason, never left out.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks import nginx
from netlab import __version__
from netlab.server import engines

HERE = Path(__file__).resolve().parent
FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-pthread")


class Peer(NamedTuple):
    """One row. `command` may write files of its own into the folder it is given."""

    name: str
    summary: str
    lacks: Callable[[], str | None]
    command: Callable[[Path], list[str]]
    version: Callable[[], str]


def needs(program: str, package: str) -> Callable[[], str | None]:
    """Return what says why a program cannot be used: it is not here."""
    return lambda: None if shutil.which(program) else f"apt install {package}"


def build(folder: Path) -> Path:
    """Compile peer.c into the folder and return the program; CalledProcessError."""
    program = folder / "peer"
    if not program.exists():
        source = str(HERE / "peer.c")
        subprocess.run(["gcc", *FLAGS, "-o", str(program), source], check=True)
    return program


def netlab(*options: str) -> Callable[[Path], list[str]]:
    """Return the command of netlab's own server with these options."""
    serve = [sys.executable, "-m", "netlab", "serve", "--port", "0", "--workers", "1"]
    return lambda _: [*serve, *options]


def asyncio(loop: str) -> Callable[[Path], list[str]]:
    """Return the command of the server on this event loop."""
    return lambda _: [sys.executable, "-m", "benchmarks.peer_asyncio", loop]


def compiled_lacks() -> str | None:
    """Return why the compiled engine cannot run here."""
    return engines.find("compiled").missing()


def nothing_lacks() -> None:
    """Return None: it is always here."""


def version_of(package: str) -> str:
    """Return the version of a Python package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def uvloop_lacks() -> str | None:
    """Return why uvloop cannot be used."""
    return "pip install uvloop" if version_of("uvloop") == "none" else None


def said_by(*command: str) -> str:
    """Return the first line that a program prints about its version."""
    if shutil.which(command[0]) is None:
        return "not here"
    done = subprocess.run(command, capture_output=True, text=True)
    lines = (done.stdout + done.stderr).splitlines()
    return lines[0].strip() if lines else "unknown"


PEERS = (
    Peer(
        "c",
        "the same design in C, benchmarks/peer.c",
        needs("gcc", "gcc libc6-dev"),
        lambda folder: [str(build(folder))],
        lambda: said_by("gcc", "--version"),
    ),
    Peer(
        "netlab compiled",
        "netlab's worker, in machine code by Numba",
        compiled_lacks,
        netlab("--engine", "compiled"),
        lambda: f"netlab {__version__}, numba {version_of('numba')}",
    ),
    Peer(
        "netlab python",
        "netlab's worker, interpreted",
        nothing_lacks,
        netlab("--engine", "python"),
        lambda: f"netlab {__version__}, Python {platform.python_version()}",
    ),
    Peer(
        "uvloop",
        "asyncio's protocols on libuv; netlab's parser and answers",
        uvloop_lacks,
        asyncio("uvloop"),
        lambda: f"uvloop {version_of('uvloop')}, Python {platform.python_version()}",
    ),
    Peer(
        "asyncio",
        "asyncio's protocols; netlab's parser and answers",
        nothing_lacks,
        asyncio("asyncio"),
        lambda: f"Python {platform.python_version()}",
    ),
    Peer(
        "nginx",
        "one worker process, `return 200`, no access log",
        needs("nginx", "nginx-light"),
        nginx.command,
        lambda: said_by("nginx", "-v"),
    ),
)
NAMES = [peer.name for peer in PEERS]


def find(name: str) -> Peer:
    """Return the server called `name`."""
    return PEERS[NAMES.index(name)]
