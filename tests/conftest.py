"""What several test modules share: ways to wait, a fresh process, a plain client."""

import functools
import os
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from netlab.server import engines, strategies

ROOT = Path(__file__).resolve().parents[1]


# Every kind of server that there is, by the settings that make it.
THREADS = {
    "epoll": {"loop": "epoll"},
    "select": {"loop": "select"},
    "compiled": {"engine": "compiled"},
}
PROCESSES = {
    "processes": {"workers_as": "processes"},
    "compiled processes": {"workers_as": "processes", "engine": "compiled"},
}
KINDS = THREADS | PROCESSES


def strategy_kinds():
    """Every strategy on each of its engines, in threads, by name."""
    return {
        name_of(row.name, engine): {"strategy": row.name, "engine": engine}
        for row in strategies.table()
        for engine in row.engines
    }


def name_of(strategy, engine):
    return strategy if engine == "python" else f"{strategy} {engine}"


def pytest_collection_modifyitems(items):
    """Give each strategy every eighth case of what a server must read and answer.

    All of them read by the same two protocols, and each kind of server has all cases.
    With NETLAB_PROVE set, as in `make prove`, each strategy has them, too.
    """
    if "NETLAB_PROVE" not in os.environ:
        items[:] = [item for item in items if not left_out(item)]


def left_out(item):
    """Whether it is one of the seven cases in eight that a strategy is spared."""
    called = getattr(item, "callspec", None)
    if called is None or not {"served", "case"} <= called.params.keys():
        return False
    places = called.indices
    spared = (places["served"] + places["case"]) % 8 != 0
    return spared and called.params["served"] not in {"own", *KINDS}


@pytest.fixture(scope="session", autouse=True)
def compiled_before():
    """Have both loops compiled, so that no test is the one that waits for it."""
    command = [sys.executable, str(ROOT / "tools/warm_up.py")]
    paths = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, env=paths, check=True, capture_output=True, timeout=300)


@pytest.fixture(params=["epoll", "select"])
def loop(request):
    return request.param


@pytest.fixture(params=list(KINDS))
def kind(request):
    return possible(KINDS[request.param])


@pytest.fixture(params=list(THREADS))
def kind_in_threads(request):
    return possible(THREADS[request.param])


@functools.cache
def reason_against(engine, strategy):
    """Why they cannot be had here; None if they can."""
    return engines.find(engine).missing() or strategies.find(strategy).missing()


def possible(kind):
    """The kind, if its engine and its strategy can be had here."""
    wanted = kind.get("engine", "python"), kind.get("strategy", "level")
    if reason := reason_against(*wanted):
        pytest.skip(reason)
    return kind


@pytest.fixture(scope="session")
def becomes():
    """Return whether a condition comes true, asked again and again for a while."""

    def becomes(condition, timeout_s=20):
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    return becomes


@pytest.fixture(scope="session")
def start_fresh():
    """Start a program in a new process; the caller talks to it line by line."""

    def start(program, *arguments, **options):
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
            + [str(argument) for argument in arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    return start


@pytest.fixture(scope="session")
def fresh(start_fresh):
    """Run a program in a new process (its only thread is the main one); it must
    end well and complain of nothing. Return what it printed, in words."""

    def run(program, *arguments, timeout_s=60, **options):
        with start_fresh(program, *arguments, **options) as process:
            try:
                printed, complaints = process.communicate(timeout=timeout_s)
            finally:
                process.kill()
        assert (process.returncode, complaints) == (0, "")
        return printed.split()

    return run


@pytest.fixture(scope="session")
def ask():
    """Ask once on a connection of its own; return the whole answer, as bytes."""

    def ask(address, path="/"):
        with socket.create_connection(tuple(address)[:2], timeout=20) as client:
            request = f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            client.sendall(request.encode())
            return b"".join(iter(lambda: client.recv(65536), b""))

    return ask
