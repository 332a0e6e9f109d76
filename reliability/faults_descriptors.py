"""Out of descriptors, out of memory: what the kernel may refuse a server.

The limit of descriptors is lowered for the server's processes alone. What only a
machine that is out of everything would say is put into accept's mouth by strace: the
call is not made, so the connection stays in the queue, as it does in earnest.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator

from reliability.asking import answered, get
from reliability.results import Broken
from reliability.served import PATIENCE_S, Served, until
from reliability.trial import Trial, resting

WAITING = 8  # clients that come meanwhile
ROOM = 4  # descriptors for clients, in each process that holds any
MANY = 1000  # more than ever come
LENGTH = 77  # of what they ask for
RESTING = ("ENFILE", "ENOBUFS", "ENOMEM")
EVERY, EVERY_SECOND = "1+", "1+2"


@contextlib.contextmanager
def newcomers(served: Served, count: int = WAITING) -> Iterator[list[socket.socket]]:
    """Give clients that have asked for /bytes/LENGTH; they leave at the end."""
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = socket.create_connection(served.address, PATIENCE_S)
            clients.append(stack.enter_context(client))
            client.sendall(get(f"/bytes/{LENGTH}"))
        yield clients


Without = Callable[[Served, int], contextlib.AbstractContextManager[None]]


def without(trial: Trial, what: Without, torn: int = 0) -> str:
    """Let clients come while something is not there, and give it back.

    With a bound of connections that is never met, so that accept itself fails.
    torn: accepts that may fail otherwise, for the sake of what makes them fail.
    """
    turns = 0.0
    with trial.serve(max_connections=MANY) as (served, askers):
        for number in range(trial.times):
            before = served.count("rests")
            with contextlib.ExitStack() as stack:
                with what(served, number):
                    clients = stack.enter_context(newcomers(served))
                    until(lambda n=before: served.count("rests") > n + 2, "rests")
                    if number == 0:
                        with askers.quiet():
                            turns = resting(trial, served)
                right = [answered(client, LENGTH) for client in clients]
            trial.require(all(right), f"of those who waited: {right}")
        counts = served.look()["counters"]
        rests, errors = counts["rests"], counts["accept_errors"]
        trial.require(
            rests <= errors <= rests + torn, f"{errors} errors, {rests} rests"
        )
    return (
        f"{rests} rests of 0.1 s, in which a worker takes {turns:.0f} turns a second; "
        "who waits in the queue is answered after it"
    )


def out_of_descriptors(trial: Trial) -> str:
    """Lower the limit of the server's processes."""
    return without(trial, lambda served, _: served.few_descriptors(ROOM))


def out_of_memory(trial: Trial) -> str:
    """Let accept say that the machine has no file, buffer or memory left.

    A tracer that leaves in the middle of a call that it had taken away lets it fail as
    one that the kernel does not have (ENOSYS).
    """
    refuse: Without = lambda served, n: refused(served, RESTING[n % 3], EVERY)  # noqa: E731
    return without(trial, refuse, torn=trial.times)


def gone_in_the_queue(trial: Trial) -> str:
    """Let every second accept say that its client is gone."""
    with trial.serve() as (served, _):
        for _ in range(trial.times):
            with (
                refused(served, "ECONNABORTED", EVERY_SECOND),
                newcomers(served) as clients,
            ):
                right = [answered(client, LENGTH) for client in clients]
            trial.require(all(right), f"of those who came: {right}")
        errors, rests = served.count("accept_errors"), served.count("rests")
        trial.require(errors, "no accept failed")
        trial.require(not rests, f"{rests} rests for the error of one client")
    return f"{errors} accepts failed and were made again at once; none rested"


@contextlib.contextmanager
def refused(served: Served, error: str, which: str) -> Iterator[None]:
    """Let the workers' accepts fail within the block; `which` in strace's words."""
    inject = f"inject=accept4:error={error}:when={which}"
    processes = [word for pid in served.holders() for word in ("-p", str(pid))]
    command = [tool(), "-f", "-e", "trace=accept4", "-e", inject, *processes]
    left = len(served.holders())
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    try:
        while left:
            line = tracer.stderr.readline()
            if not line:
                raise Broken(f"strace ended with status {tracer.wait()}")
            left -= "attached" in line
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=PATIENCE_S)


def tool() -> str:
    """Return strace; ValueError if it is not here."""
    if (path := shutil.which("strace")) is None:
        raise ValueError("strace is not installed here (package strace)")
    return path
