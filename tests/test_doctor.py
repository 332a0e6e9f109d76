import os
import subprocess
import sys
import threading

import pytest

from netlab.kernel import doctor as module
from netlab.kernel.doctor import ROWS, Fact, Row, as_text, doctor, facts

MODES = {"live", "caution", "replayed", "unknown"}
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


def row(look, **changes):
    return Row("thing", look, "replayed", "It works.", "Mend it: so.")._replace(
        **changes
    )


def test_every_row_has_a_finding_a_mode_and_one_sentence_of_reason():
    found = facts()
    assert [fact.what for fact in found] == [entry.what for entry in ROWS]
    assert {fact.mode for fact in found} <= MODES
    for fact in found:
        assert fact.here
        assert fact.why[0].isupper()
        assert fact.why.endswith(".")


def test_every_row_has_both_sentences_and_its_own_name():
    assert len({entry.what for entry in ROWS}) == len(ROWS)
    for entry in ROWS:
        assert entry.good.endswith(".")
        assert entry.remedy.endswith(".")


@linux
def test_no_probe_fails_on_linux():
    assert [fact for fact in facts() if fact.mode == "unknown"] == []


def test_probe_that_raises_becomes_a_row():
    def broken():
        raise ZeroDivisionError("of all things")

    (fact,) = facts([row(broken, linux_only=False)])
    assert fact.mode == "unknown"
    assert "ZeroDivisionError (of all things)" in fact.why


@pytest.mark.parametrize(
    ("enough", "mode", "why"),
    [(True, "live", "It works."), (False, "replayed", "Mend it: so.")],
)
def test_reason_follows_the_finding(enough, mode, why):
    found = facts([row(lambda: ("3", enough), linux_only=False)])
    assert found == [Fact("thing", "3", mode, why)]


@linux
@pytest.mark.parametrize(
    ("what", "name", "answer", "mode"),
    [
        ("kernel of its own", "machine.hints", ("docker",), "live"),
        ("kernel of its own", "machine.hints", ("docker", "gVisor"), "replayed"),
        ("CPUs owned", "machine.cpus_owned", 1, "replayed"),
        ("CPUs owned", "machine.cpus_owned", 2, "live"),
        ("CPU quota", "cpu_quota", 1.5, "caution"),
        ("CPU quota", "cpu_quota", None, "live"),
        ("descriptors", "descriptor_limits", (64, 256), "caution"),
        ("accept queue", "accept_queue_limit", 128, "caution"),
        ("tcp_migrate_req", "machine.sysctl", None, "replayed"),
        ("io_uring accept", "importlib.util.find_spec", None, "replayed"),
        ("io_uring multishot", "_uring", ("refused: EPERM", False), "replayed"),
        ("compiled engine", "importlib.util.find_spec", None, "replayed"),
        ("Python without GIL", "machine.gil_on", False, "live"),
    ],
)
def test_mode_follows_the_machine(monkeypatch, what, name, answer, mode):
    monkeypatch.setattr(f"{module.__name__}.{name}", lambda *_: answer)
    (fact,) = facts([entry for entry in ROWS if entry.what == what])
    assert fact.mode == mode


@linux
def test_old_kernel_that_ignores_the_exclusive_bit_is_found_out(monkeypatch):
    monkeypatch.setattr(module.select, "EPOLLEXCLUSIVE", 0)
    (fact,) = facts([entry for entry in ROWS if entry.what == "EPOLLEXCLUSIVE"])
    assert (fact.here, fact.mode) == ("ignored", "replayed")


def test_rows_of_linux_are_not_even_tried_elsewhere(monkeypatch):
    monkeypatch.setattr(module.platform, "system", lambda: "Darwin")
    (fact,) = facts([row(lambda: pytest.fail("tried"))])
    assert fact == Fact("thing", "Darwin", "replayed", module.NEEDS_LINUX)


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


def test_doctor_is_the_facts_as_a_table():
    pytest.importorskip("pandas")
    table = doctor()
    assert list(table.columns) == ["what", "here", "mode", "why"]
    assert len(table) == len(ROWS)


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_text_keeps_to_the_width_and_loses_no_word(width):
    found = facts()
    text = as_text(found, width)
    assert max(map(len, text.splitlines())) <= width
    for fact in found:
        for word in " ".join(fact).split():
            assert word in text


def test_text_is_aligned():
    found = [
        Fact("a", "b", "live", "Short."),
        Fact("longer", "x" * 9, "replayed", "Because " * 20),
    ]
    first, second, *more = as_text(found, 100).splitlines()
    column = second.index("Because")
    assert first.index("Short.") == column
    assert {len(line) - len(line.lstrip()) for line in more} == {column}


def test_narrow_text_puts_the_reason_beneath():
    assert as_text([Fact("a", "b", "live", "Short.")], 30) == "a  b  live\n    Short."


def test_text_of_nothing_is_nothing():
    assert as_text([]) == ""


def test_modules_import_and_answer_on_other_systems():
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["{'replayed'}", "[]"]
