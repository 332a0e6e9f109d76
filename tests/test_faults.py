"""What can go wrong is made to go wrong, and those who do it would notice.

With NETLAB_PROVE set: every fault, on every kind of server it is for, several times.
"""

import argparse
import os
import shutil
import socket
import threading

import pytest

from netlab.kernel.addresses import Address
from reliability import asking, faults, faults_disk, served
from reliability.asking import Askers, filler, read_answer
from reliability.results import Broken
from reliability.trial import Fault, Trial
from tests.bounded import linux
from tests.conftest import possible

pytestmark = [linux, pytest.mark.timeout(300)]
PROVE = "NETLAB_PROVE" in os.environ
TIMES = 3 if PROVE else 1
EVERY_DAY = {
    "no descriptor left": ("python threads", "compiled processes"),
    "no file, buffer or memory left": ("compiled threads",),
    "gone before accepted": ("python threads, one-epoll-oneshot",),
    "clients that vanish by a reset": ("python threads", "compiled threads"),
    "clients that say no more": ("python threads, reuseport",),
    "clients that read nothing": ("python threads", "compiled threads"),
    "one byte at a time": ("compiled threads, one-epoll-oneshot",),
    "idle clients beyond the bound": ("python threads",),
    "more connects than the queue holds": ("compiled threads",),
    "an error in a request": ("python threads",),
    "a worker that dies": ("python processes",),
    "a worker killed": ("compiled processes",),
    "the host killed": ("python processes",),
    "a load killed": ("python threads",),
    "SIGINT": ("python threads",),
    "SIGTERM": ("compiled processes",),
    "a kernel restarted": ("python processes",),
    "a full disk": ("none",),
}
DONE = [
    pytest.param(fault, kind, id=f"{fault.name}, {kind}")
    for fault in faults.FAULTS
    for kind in fault.kinds
    if PROVE or kind in EVERY_DAY[fault.name]
]
TRACED = {"no file, buffer or memory left", "gone before accepted"}


@pytest.mark.parametrize(("fault", "kind"), DONE)
def test_nothing_is_lost_mixed_or_left(fault, kind):
    possible(served.KINDS.get(kind, {}))
    if fault.name in TRACED and shutil.which("strace") is None:
        pytest.skip("strace is not installed here (package strace)")
    row = faults.done(fault, kind, TIMES)
    assert row["times"] >= TIMES
    assert row["lost"] == row["mixed"] == row["left behind"] == 0
    if kind != "none":
        assert row["answered"] >= asking.EACH
    if not fault.may_cut:
        assert row["answered"] == row["requests"]


def test_every_fault_is_done_every_day():
    assert list(EVERY_DAY) == [fault.name for fault in faults.FAULTS]
    for fault in faults.FAULTS:
        assert set(EVERY_DAY[fault.name]) <= set(fault.kinds)


def test_a_disk_that_cannot_be_mounted_is_done_without(monkeypatch):
    mount = faults_disk.subprocess.run
    refuse = lambda command, **options: mount(["false"], **options)  # noqa: E731
    monkeypatch.setattr(faults_disk.subprocess, "run", refuse)
    fault = Fault("a full disk", faults_disk.full_disk, ("none",))
    assert faults.done(fault, "none", 1)["times"] == 3


@pytest.mark.parametrize("options", [{"times": 0}, {"only": "a flood"}])
def test_what_is_not_there_is_refused(options):
    wanted = {"times": 1, "only": "", "kind": ""} | options
    with pytest.raises(ValueError, match=str(next(iter(options.values())))):
        faults.measure(argparse.Namespace(**wanted))


# -- those who look would see it ------------------------------------------------------


HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Length: %d\r\nX-Netlab-Worker: 0\r\nX-Netlab-Cpu: 1\r\n\r\n"
)
SAID = {
    "answered": HEAD % 9 + filler(9),
    "mixed": HEAD % 8 + filler(8),
    "mixed, another body": HEAD % 9 + filler(10)[1:],
    "mixed, more than there is": HEAD % 9 + filler(9) + b"!",
    "mixed, a refusal": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "cut off, in the body": (HEAD % 9 + filler(9))[:-1],
    "cut off, in the head": HEAD[:20],
    "cut off, before it": b"",
}


@pytest.mark.parametrize("said", SAID)
def test_an_answer_is_compared_whole(said):
    here, there = socket.socketpair()
    with here:
        there.sendall(SAID[said])
        there.close()
        assert read_answer(here, 9) == said.partition(",")[0]


def test_silence_is_a_loss():
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(0.05)
        there.sendall(HEAD % 9)
        assert read_answer(here, 9) == "lost"


class Answering(threading.Thread):
    """A server that gives every answer to the client that asked before."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address(*self.listener.getsockname())
        self.start()

    def run(self):
        with self.listener:
            for _ in range(4):
                client, _ = self.listener.accept()
                with client:
                    client.recv(4096)
                    client.sendall(HEAD % 9 + filler(9))


def test_a_server_that_mixes_answers_is_found_out():
    askers = Askers(Answering().address)
    with askers:
        served.until(lambda: askers.came_to()["refused"], "it ends")
    assert askers.came_to()["mixed"] == 4
    assert askers.came_to()["answered"] == 0


BAD = [("lost", 1), ("mixed", 1), ("cut off", 1), ("refused", 1)]


@pytest.mark.parametrize(("name", "count"), BAD)
def test_a_request_that_came_to_nothing_breaks_the_promise(name, count):
    trial = a_trial()
    trial.came_to[name] += count
    with pytest.raises(Broken, match=r"a made-up fault.*1 (requests|answers)"):
        trial.row(may_cut=False, seen="")


def test_who_ends_a_server_may_cut_and_may_not_lose():
    trial = a_trial()
    trial.came_to.update({"answered": 5, "cut off": 2, "refused": 3})
    row = trial.row(may_cut=True, seen="it ends")
    assert (row["requests"], row["cut off"], row["lost"]) == (7, 2, 0)
    trial.came_to["lost"] += 1
    with pytest.raises(Broken, match="1 requests lost"):
        trial.row(may_cut=True, seen="")


def test_what_is_left_breaks_the_promise():
    trial = a_trial()
    trial.left["descriptors"] += 1
    with pytest.raises(Broken, match=r"left behind: \{'descriptors': 1\}"):
        trial.row(may_cut=False, seen="")


def a_trial():
    return Trial(Fault("a made-up fault", lambda _: "", ("none",)), "none", 1)


def test_a_descriptor_that_a_server_keeps_is_seen(monkeypatch):
    monkeypatch.setattr("reliability.trial.STOP_S", 0.3)

    def leak(trial):
        with trial.serve() as (one, _):
            one.at_rest -= 1

    fault = Fault("a leak", leak, ("python threads",))
    with pytest.raises(Broken, match="their descriptors"):
        faults.done(fault, "python threads", 1)
