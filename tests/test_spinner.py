"""The spinner keeps one CPU busy, does nothing else, and never outlives its owner."""

import os
import socket
import time

import psutil
import pytest

from netlab.kernel import spinner, threads
from netlab.kernel.spinner import Spinner
from tests.bounded import left_behind, linux, lives, until

pytestmark = linux
CPU = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


def test_it_never_sleeps_and_runs_where_it_was_told():
    with Spinner(CPU) as one:
        before, began_s = threads.usage_of(one.tid), time.monotonic()
        waited = threads.waited_ns(one.tid)
        time.sleep(0.3)
        after, lasted_s = threads.usage_of(one.tid), time.monotonic() - began_s
        awake_ns = after.cpu_ns - before.cpu_ns + threads.waited_ns(one.tid) - waited
        assert after.wakeups == before.wakeups
        assert awake_ns > 0.8e9 * lasted_s
        assert os.sched_getaffinity(one.tid) == {CPU}
        assert threads.cpu_of(one.tid) == CPU
        assert str(one.tid) in repr(one)


def test_it_ends_with_its_block_and_leaves_nothing():
    before = left_behind()
    with Spinner(CPU) as one:
        tid = one.tid
        assert lives(tid)
    assert not lives(tid)
    assert left_behind() == before


def test_it_ends_with_the_process_that_started_it(start_fresh):
    program = """
        import os, time
        from netlab.kernel.spinner import Spinner
        with Spinner(min(os.sched_getaffinity(0))) as one:
            print(one.tid, flush=True)
            time.sleep(60)
    """
    with start_fresh(program) as process:
        tid = int(process.stdout.readline())
        process.kill()
    until(lambda: not lives(tid))


def test_it_ends_by_itself(monkeypatch):
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(spinner, "LIMIT_S", 0.05)
    allowed = os.sched_getaffinity(0)
    try:
        with ours:
            ours.sendall(b"%d\n" % CPU)
            began_s = time.monotonic()
            spinner.main(theirs.detach())
            assert 0.05 <= time.monotonic() - began_s < 5
    finally:
        os.sched_setaffinity(0, allowed)


def test_another_cpu_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"cpu=4096: this process may use \["):
        Spinner(4096)


def test_one_that_does_not_start_is_quoted(monkeypatch):
    before = psutil.Process().num_fds()
    monkeypatch.setattr(spinner, "Module", _broken)
    with pytest.raises(RuntimeError, match="the spinner ended: no such luck"):
        Spinner(CPU).__enter__()
    assert psutil.Process().num_fds() == before


def _broken(name, control):
    class Broken:
        pid = 0

        def end(self):
            pass

        def last_words(self):
            return "ended: no such luck"

    return Broken()
