import os
import subprocess
import sys
import threading

import pytest

from netlab.kernel import probes
from netlab.kernel.doctor import ROWS, facts

linux = pytest.mark.skipif(sys.platform != "linux", reason="probes are Linux's")
ELSEWHERE = """
import os, platform, select, socket, sys
sys.modules["resource"] = sys.modules["fcntl"] = None
for place, name in [(os, "sched_getaffinity"), (os, "sched_setaffinity"),
                    (os, "eventfd"), (select, "epoll"), (select, "EPOLLEXCLUSIVE"),
                    (socket, "SO_REUSEPORT"), (socket, "SO_INCOMING_CPU"),
                    (socket, "TCP_INFO")]:
    if hasattr(place, name):
        delattr(place, name)
platform.system = lambda: "Windows"
import netlab.kernel.backlog, netlab.kernel.limits
from netlab.kernel import doctor, machine
machine.machine().line()
print({fact.mode for fact in doctor.facts() if fact.here == "Windows"})
print([fact for fact in doctor.facts() if fact.mode == "unknown"])
"""


@linux
def test_no_probe_fails_on_linux():
    assert [fact for fact in facts() if fact.mode == "unknown"] == []


@linux
@pytest.mark.parametrize(
    ("what", "name", "answer", "mode"),
    [
        ("kernel of its own", "machine.hints", ("docker",), "live"),
        ("kernel of its own", "machine.hints", ("docker", "gVisor"), "missing"),
        ("CPUs owned", "machine.cpus_owned", 1, "missing"),
        ("CPUs owned", "machine.cpus_owned", 2, "live"),
        ("CPU quota", "cpu_quota", 1.5, "caution"),
        ("CPU quota", "cpu_quota", None, "live"),
        ("descriptors", "descriptor_limits", (64, 256), "caution"),
        ("accept queue", "accept_queue_limit", 128, "caution"),
        ("tcp_migrate_req", "machine.sysctl", None, "missing"),
        ("io_uring accept", "importlib.util.find_spec", None, "missing"),
        ("io_uring multishot", "uring", ("refused: EPERM", False), "missing"),
        ("Numba", "importlib.util.find_spec", None, "missing"),
        ("Python without GIL", "machine.gil_on", False, "live"),
    ],
)
def test_mode_follows_the_machine(monkeypatch, what, name, answer, mode):
    monkeypatch.setattr(f"{probes.__name__}.{name}", lambda *_: answer)
    (fact,) = facts([entry for entry in ROWS if entry.what == what])
    assert fact.mode == mode


@linux
def test_old_kernel_that_ignores_the_exclusive_bit_is_found_out(monkeypatch):
    monkeypatch.setattr(probes.select, "EPOLLEXCLUSIVE", 0)
    (fact,) = facts([entry for entry in ROWS if entry.what == "EPOLLEXCLUSIVE"])
    assert (fact.here, fact.mode) == ("ignored", "missing")


@linux
def test_nothing_is_left_behind_after_twenty_calls():
    facts()  # imports and caches are not leaks
    before = own_state()
    for _ in range(20):
        facts()
    assert own_state() == before


def own_state():
    open_now = sorted(os.listdir("/proc/self/fd"))
    with open(f"/proc/self/task/{threading.get_native_id()}/comm") as name:
        return open_now, threading.active_count(), os.sched_getaffinity(0), name.read()


def test_modules_import_and_answer_on_other_systems():
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["{'missing'}", "[]"]
