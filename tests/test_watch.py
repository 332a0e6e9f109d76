import contextlib
import errno
import math
import os
import subprocess
import sys
import threading
import time

import pytest

import netlab
from netlab import counters
from netlab.kernel import threads
from netlab.watch import sampler as module
from netlab.watch.ps import COLUMNS
from netlab.watch.sampler import HIGHEST_RATE_PER_S, Sampler
from tests.bounded import ENVIRONMENT, exchange, linux, until

pytestmark = linux
THREADS = """
import threading
from netlab.kernel.threads import set_name
def sleep(number):
    set_name(f"sleeper {number}", threading.get_native_id())
    ready.wait()
    threading.Event().wait()
ready = threading.Barrier(5)
for number in range(4):
    threading.Thread(target=sleep, args=(number,), daemon=True).start()
ready.wait()
print(flush=True)
input()
"""


@pytest.fixture(scope="module")
def server():
    with netlab.Server(workers=8) as running:
        yield running


def samplers():
    return [t for t in threading.enumerate() if t.name == "netlab-sampler"]


def wakeups(server):
    assert server.settle()
    return server.snapshot()["wakeups"].tolist()


# -- ps -------------------------------------------------------------------------------


def test_ps_of_a_server_is_the_originals_picture(server):
    table = netlab.ps(server)
    assert tuple(table.columns) == COLUMNS == ("pid", "tid", "psr", "pcpu", "comm")
    assert table["tid"].tolist() == [os.getpid(), *server.tids]
    assert set(table["pid"]) == {os.getpid()}
    assert table["comm"].tolist()[1:] == [f"netlab-w{n}" for n in range(8)]
    assert table["psr"].tolist()[1:] == server.actual()["cpus"]
    assert table["psr"].isin(os.sched_getaffinity(0)).all()
    assert (table["pcpu"] >= 0).all()


class Processes:
    """A server as `ps` sees it whose workers are processes."""

    def __init__(self, host, workers):
        self.pid, self.tids = host.pid, tuple(worker.pid for worker in workers)


def test_ps_names_the_process_that_each_thread_belongs_to():
    with contextlib.ExitStack() as stack:
        host, *workers = (
            stack.enter_context(subprocess.Popen(["sleep", "60"])) for _ in range(3)
        )
        for process in (host, *workers):
            stack.callback(process.kill)
        table = netlab.ps(Processes(host, workers))
    numbers = [process.pid for process in (host, *workers)]
    assert table["pid"].tolist() == table["tid"].tolist() == numbers
    assert set(table["comm"]) <= {"sleep", "python"}  # not yet, or already executed


def test_ps_of_a_thread_shows_its_process(server):
    table = netlab.ps(server.tids[0])
    assert set(table["pid"]) == {os.getpid()}
    assert set(table["tid"]) >= {os.getpid(), *server.tids}


def test_ps_of_a_stopped_server_has_no_workers():
    with netlab.Server(workers=2) as stopped:
        pass
    until(lambda: netlab.ps(stopped)["tid"].tolist() == [os.getpid()])


def test_ps_of_a_process_is_what_ps_says():
    with subprocess.Popen(
        [sys.executable, "-c", THREADS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    ) as process:
        assert process.stdout.readline() == "\n"

        def same():
            told = subprocess.run(
                ["ps", "-L", "-o", "pid=,tid=,psr=,comm=", "-p", str(process.pid)],
                capture_output=True,
                check=True,
                text=True,
            ).stdout
            theirs = [line.split(maxsplit=3) for line in told.splitlines()]
            table = netlab.ps(process.pid)
            ours = table[["pid", "tid", "psr", "comm"]].astype(str).to_numpy().tolist()
            return sorted(theirs) == sorted(ours) and ours

        rows = until(same)  # a thread may be moved between the two looks
        process.communicate("\n")
    assert len(rows) == 5
    assert {row[3] for row in rows} >= {f"sleeper {number}" for number in range(4)}


def test_ps_of_a_busy_thread_shows_its_cpu():
    spin = "while True: pass"
    with subprocess.Popen([sys.executable, "-c", spin]) as process:
        until(lambda: netlab.ps(process.pid)["pcpu"].max() > 5)
        process.kill()


def gone():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize("pid", [gone, 0, 10**20], ids=str)
def test_ps_of_nobody(pid):
    pid = pid() if callable(pid) else pid
    with pytest.raises(ProcessLookupError, match=f"process {pid}: there is no such"):
        netlab.ps(pid)


# -- the sampler ----------------------------------------------------------------------


def test_samples_are_a_row_per_look_and_worker(server):
    with Sampler(server, 100) as sampler:
        until(lambda: len(sampler) >= 5)
    table = sampler.samples()
    assert table.columns.tolist()[:3] == ["time_ns", "time_s", "psr"]
    assert (
        table.columns.tolist()[3:] == counters.table(server.snapshot()).columns.tolist()
    )
    assert len(table) == 8 * len(sampler)
    assert table["worker"].tolist() == list(range(8)) * len(sampler)
    assert table["psr"].tolist() == server.actual()["cpus"] * len(sampler)
    assert table["time_s"].iloc[0] == 0
    assert table["time_s"].is_monotonic_increasing
    assert (table.groupby("time_ns").size() == 8).all()


def test_last_look_sees_the_end(server):
    with Sampler(server, 0.01) as sampler:
        until(lambda: len(sampler) == 1)
        exchange(server.address)
        server.settle()
    table = sampler.samples()
    assert len(sampler) == 2
    assert table["accepted"].tail(8).sum() == table["accepted"].head(8).sum() + 1


def test_rate_is_kept_as_far_as_the_machine_allows(server):
    began = time.monotonic()
    with Sampler(server, 40) as sampler:
        until(lambda: len(sampler) >= 40)
        took = time.monotonic() - began
    assert 40 <= len(sampler) <= 40 * (time.monotonic() - began) + 2  # never faster
    assert took < 10  # a tenth of the rate


def test_looking_wakes_no_worker(server):
    before = wakeups(server)
    with Sampler(server, 100) as sampler:
        until(lambda: len(sampler) >= 40)
    assert wakeups(server) == before
    samples = sampler.samples()
    assert (samples.groupby("worker")["wakeups"].nunique() == 1).all()


def test_cost_is_measured(server):
    with Sampler(server, 100) as sampler:
        until(lambda: len(sampler) >= 10)
    assert 0 < sampler.cost_percent() < 100
    assert "looks at 100/s" in repr(sampler)


def test_sampler_opens_its_files_once_and_closes_them(server, monkeypatch):
    before, opened = sorted(os.listdir("/proc/self/fd")), []
    whole = threads.FileIO

    def counted(path):
        opened.append(path)
        return whole(path)

    monkeypatch.setattr(threads, "FileIO", counted)
    with Sampler(server, 100) as sampler:
        until(lambda: len(sampler) >= 10)
    paths = [path for path in opened if str(path).startswith("/proc/")]
    assert len(paths) == len(set(paths)) == 3 * 8
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_sampler_ends_with_its_server():
    with netlab.Server(workers=2) as own:
        sampler = Sampler(own, 100).start()
        until(lambda: len(sampler) >= 2)
        assert len(samplers()) == 1
    until(lambda: not samplers())
    assert set(sampler.samples()["worker"]) == {0, 1}
    sampler.stop()


def test_stop_twice_start_once(server):
    sampler = Sampler(server)
    sampler.stop()
    sampler.start()
    sampler.stop()
    sampler.stop()
    assert samplers() == []
    with pytest.raises(RuntimeError, match="make another"):
        sampler.start()


def test_sampler_that_never_looked_has_the_columns_all_the_same(server):
    with Sampler(server) as looked:
        pass
    empty, full = Sampler(server).samples(), looked.samples()
    assert len(empty) == 0
    assert empty.columns.tolist() == full.columns.tolist()


def test_sampler_that_is_full_stops_and_says_so(server, monkeypatch):
    monkeypatch.setattr(module, "SAMPLES_LIMIT", 3)
    with Sampler(server, 200) as sampler:
        until(lambda: not samplers())
        assert len(sampler) == 3
    assert "no room for more" in repr(sampler)


def test_look_without_a_descriptor_is_left_out(server, monkeypatch):
    calls = []

    def cpu_of(tid):
        calls.append(tid)
        if len(calls) == 10:
            raise OSError(errno.EMFILE, "Too many open files")
        return 0

    monkeypatch.setattr(threads, "cpu_of", cpu_of)
    with Sampler(server, 100) as sampler:
        until(lambda: len(calls) > 30)
    assert len(sampler) >= 2
    assert len(sampler.samples()) == 8 * len(sampler)


def test_sampler_ends_with_a_thread_that_is_gone(server, monkeypatch):
    def cpu_of(tid):
        raise threads.ThreadGone(f"thread {tid} has ended")

    monkeypatch.setattr(threads, "cpu_of", cpu_of)
    with Sampler(server, 100) as sampler:
        until(lambda: not samplers())
    assert len(sampler) == 0


@pytest.mark.parametrize(
    "rate", [0, -1, math.nan, math.inf, HIGHEST_RATE_PER_S + 1, "20", True, None]
)
def test_rate_that_is_refused(server, rate):
    with pytest.raises(ValueError, match=f"rate_per_s='?{rate}"):
        Sampler(server, rate)
