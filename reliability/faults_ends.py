"""Ends: of a request's code, a worker, a load's process, and of the server's own.

Some of these end connections of clients that behave. Such a client is told so by the
end of its connection, and asks again; what it may never get is silence, or an answer
that is not its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time

from netlab.load.generator import Generator
from netlab.load.result import LoadError
from reliability.asking import answered, get
from reliability.faults_clients import client_of, has_ended
from reliability.served import PATIENCE_S, WORKERS, Served, lives, until
from reliability.trial import Trial, is_free

ERROR, DEATH = 13, 14  # of /bytes/N, to a server that is `broken`
LENGTH = 99
CONNECTIONS = 8  # of the load; the clients that behave have fewer
LOAD_S = 50.0  # longer than the load is left alive


# -- inside ----------------------------------------------------------------------------


def error_in_a_request(trial: Trial) -> str:
    """Let the code that serves a request raise, behind a good one on its connection."""
    with trial.serve(broken=True) as (served, _):
        for _ in range(trial.times):
            with client_of(served, get(f"/bytes/{LENGTH}")) as client:
                trial.require(answered(client, LENGTH), "a good request was lost")
                client.sendall(get(f"/bytes/{ERROR}"))
                trial.require(has_ended(client), "the connection outlived the error")
        counted = lambda: served.count("faults") == trial.times  # noqa: E731
        until(counted, f"{trial.times} errors counted")  # once a turn
        if not served.in_processes:  # those tell when they end
            told = " ".join(served.look()["faults"].values())
            trial.require("ZeroDivisionError" in told, f"told is {told!r}")
    return "that connection ends and no other; `server.faults` has the error"


def worker_that_dies(trial: Trial) -> str:
    """Let a worker die of what it serves; the others go on. A new server each time."""
    for _ in range(trial.times):
        with trial.serve(broken=True) as (served, _):
            with client_of(served, get(f"/bytes/{DEATH}")) as client:
                trial.require(has_ended(client), "its client was not told")
            told = until(lambda served=served: served.look()["died"], "it is told of")
            trial.require(len(told) == 1, f"told is {told}")
            go_on(trial, served)
    return f"`server.failures` tells of it; the other {WORKERS - 1} serves on"


def killed_worker(trial: Trial) -> str:
    """Kill a worker's process; the others go on. A new server each time."""
    for number in range(trial.times):
        with trial.serve() as (served, _):
            victim = number % WORKERS
            os.kill(served.tids[victim], signal.SIGKILL)
            told = until(lambda served=served: served.look()["died"], "it is told of")
            said = told.get(str(victim), "")
            trial.require("killed by signal 9" in said, f"told is {told}")
            go_on(trial, served)
    return f"`server.failures` tells of it; the other {WORKERS - 1} serves on"


def killed_host(trial: Trial) -> str:
    """Kill the process that the workers are children of. A new server each time."""
    for _ in range(trial.times):
        with trial.serve() as (served, _):
            os.kill(served.host, signal.SIGKILL)
            whole = lambda served=served: len(served.look()["died"]) == WORKERS  # noqa: E731
            until(whole, "all are told of")
            gone = lambda served=served: not any(map(lives, served.tids))  # noqa: E731
            until(gone, "the workers ended")
            trial.stop(served)  # before its clients are asked what they got
    return (
        "its workers end with it, and `server.failures` tells of each; who comes then "
        "waits in the queue until the server is stopped"
    )


def go_on(trial: Trial, served: Served) -> None:
    """Require that a server answers newcomers, however many workers are left."""
    for length in range(10):
        with client_of(served, get(f"/bytes/{length}")) as client:
            trial.require(answered(client, length), "who came afterwards was lost")


# -- the load --------------------------------------------------------------------------


def killed_load(trial: Trial) -> str:
    """Kill the load's process in the middle of a load."""
    with trial.serve() as (served, _), Generator() as generator:
        for _ in range(trial.times):
            fired = Fired(generator, served)
            until(lambda: served.look()["open"] > CONNECTIONS, "the load is under way")
            pid = generator.pid
            trial.require(pid, "the load has no process")
            os.kill(pid or 0, signal.SIGKILL)
            fired.join(PATIENCE_S)
            trial.require(isinstance(fired.error, LoadError), f"told: {fired.error!r}")
            trial.require("signal 9" in str(fired.error), f"told: {fired.error!r}")
            trial.require(not lives(pid or 0), "the load's process is still there")
        rows = len(generator.last.requests) if generator.last else 0
        trial.require(rows, "the rows so far are gone")
    return "LoadError says so, with the rows so far; the server closes its connections"


class Fired(threading.Thread):
    """A load, fired beside; `error` is what it raised."""

    def __init__(self, generator: Generator, served: Served) -> None:
        super().__init__(daemon=True)
        self.generator, self.served = generator, served
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Fire until it is over or fails."""
        address = str(self.served.address)
        try:
            self.generator.fire(
                address, connections=CONNECTIONS, duration_s=LOAD_S, progress=False
            )
        except BaseException as error:
            self.error = error


# -- the process of the server ---------------------------------------------------------


def interrupted(trial: Trial) -> str:
    """Interrupt the process (SIGINT, Ctrl-C); Python's own way to its end."""
    return told_to_end(trial, signal.SIGINT, says_more=True)


def terminated(trial: Trial) -> str:
    """Terminate the process (SIGTERM), which ends it with no clean-up of Python's."""
    return told_to_end(trial, signal.SIGTERM, says_more=False)


def was_told(client: socket.socket) -> bool:
    """Whether a client hears the end of its connection, behind what was answered."""
    with contextlib.suppress(ConnectionError):
        while client.recv(1 << 16):
            pass
    return True


def told_to_end(trial: Trial, number: signal.Signals, says_more: bool) -> str:
    """Signal a process with a busy server; nothing of it may be left."""
    worst_s = 0.0
    for _ in range(trial.times):
        with trial.serve() as (served, _), contextlib.ExitStack() as stack:
            busy = [stack.enter_context(client_of(served)) for _ in range(4)]
            for client in busy:
                client.sendall(get("/spin/1000") * 3)
            began = time.monotonic()
            served.process.send_signal(number)
            if says_more:
                left = served.last_word()["left"]
                trial.require(not left, f"left in the process: {left}")
            served.process.wait(PATIENCE_S)
            gone = lambda served=served: not any(map(lives, served.all_pids()))  # noqa: E731
            until(gone, "all its processes ended")
            worst_s = max(worst_s, time.monotonic() - began)
            trial.require(all(map(was_told, busy)), "a client was not told")
            trial.require(is_free(served.address), "the port is still taken")
    return f"threads, processes and port are gone after {worst_s:.2f} s at most"
