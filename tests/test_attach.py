"""Servers that are not ours, watched: nginx, pre-fork, threads, and netlab's own."""

import contextlib
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pandas as pd
import psutil
import pytest
from bounded import exchange, left_behind, linux, lives, until

import netlab
from benchmarks import nginx
from benchmarks.running import started
from netlab import counters
from netlab.kernel import threads
from netlab.kernel.addresses import Address
from netlab.show.tables import cpu_placement_table
from netlab.watch import attach as module
from netlab.watch import listening, rates
from netlab.watch.attach import attach
from netlab.watch.members import COLUMNS
from netlab.watch.rates import intervals, per_second
from netlab.watch.sampler import Sampler
from netlab.watch.trace_tables import summary

pytestmark = linux
with_nginx = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="nginx is missing (apt install nginx-light)"
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another user's")
CHILDREN = 4
PREFORK = """
    import os, select, signal, socket
    from netlab.kernel.libc import die_with_parent

    def serve():
        die_with_parent()
        with select.epoll() as epoll:
            epoll.register(listener, select.EPOLLIN)
            os.write(ready[1], b"x")
            while epoll.poll():
                try:
                    listener.accept()[0].close()
                except BlockingIOError:
                    pass

    listener = socket.create_server(("127.0.0.1", 0), backlog=16)
    listener.setblocking(False)
    ready = os.pipe()
    print(listener.getsockname()[1], flush=True)
    children = []
    while (order := input()) != "end":
        if order == "fork":
            children.append(os.fork())
            if not children[-1]:
                serve()
            os.read(ready[0], 1)
        elif order == "kill":
            os.kill(children[0], signal.SIGKILL)
        elif order == "reap":
            os.waitpid(children.pop(0), 0)
        print(*children, flush=True)
"""
THREADED = """
    import socket, threading
    from netlab.kernel.threads import await_end

    def serve():
        while listener.accept()[0].recv(1) != b"x":
            pass

    listener = socket.create_server(("127.0.0.1", 0))
    workers = [threading.Thread(target=serve, daemon=True) for _ in range(3)]
    for worker in workers:
        worker.start()
    print(listener.getsockname()[1], flush=True)
    while (order := input()) != "end":
        if order == "begin":
            later = threading.Thread(target=serve, daemon=True)
            later.start()
        print(later.native_id, flush=True)
"""


class Program:
    """A server in a process of its own, which is told in lines what to do."""

    def __init__(self, process):
        self.process, self.pid = process, process.pid
        self.port = int(process.stdout.readline())

    def order(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return [int(word) for word in self.process.stdout.readline().split()]

    def touch(self, data=b""):
        with socket.create_connection(("127.0.0.1", self.port), 20) as client:
            client.sendall(data)


@pytest.fixture
def start(start_fresh):
    """Start a program; at the end it and all it forked are gone."""
    with contextlib.ExitStack() as stack:

        def start(text):
            process = stack.enter_context(start_fresh(text))
            stack.callback(process.kill)
            return Program(process)

        yield start


@pytest.fixture
def prefork(start):
    program = start(PREFORK)
    for _ in range(CHILDREN):
        program.children = program.order("fork")
    assert threads.settle([program.pid, *program.children])
    return program


@pytest.fixture
def threaded(start):
    return start(THREADED)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    command = nginx.command(folder)
    path = folder / "nginx.conf"
    text = path.read_text()
    path.write_text(text.replace("worker_processes 1;", "worker_processes 2;"))
    with started("nginx", command, folder, sorted(os.sched_getaffinity(0))) as running:
        yield running


def of(table, tid):
    return table.set_index("tid").loc[tid]


# -- what is seen ---------------------------------------------------------------------


@with_nginx
def test_nginxs_workers_wake_and_its_master_sleeps(two_workers):
    attached = attach(two_workers.pid)
    assert attached.table()["role"].tolist() == ["main", "child", "child"]
    for _ in range(10):
        assert threads.settle(attached.tids)
        exchange(two_workers.address)
    assert threads.settle(attached.tids)
    table = attached.table()
    assert tuple(table.columns) == COLUMNS
    assert table["tid"].tolist() == table["pid"].tolist() == list(attached.tids)
    assert set(table["comm"]) == {"nginx"}
    assert of(table, two_workers.pid)["wakeups"] == 0
    assert table["wakeups"].sum() >= 10
    assert table["cpu_ns"].sum() > 0
    assert not table["new"].any()
    assert not table["ended"].any()


def test_every_child_is_woken_for_every_connection(prefork):
    attached = attach(prefork.pid)
    assert attached.tids == (prefork.pid, *prefork.children)
    for _ in range(8):
        prefork.touch()
        assert threads.settle(attached.tids)
    table = attached.table()
    assert of(table, prefork.pid)["wakeups"] == 0
    assert (table["wakeups"].iloc[1:] >= 8).all()
    assert table["wakeups"].sum() >= 8 * CHILDREN


def test_threads_of_one_process(threaded):
    attached = attach(threaded.pid)
    table = attached.table()
    assert table["role"].tolist() == ["main", "thread", "thread", "thread"]
    assert set(table["pid"]) == {threaded.pid}
    for _ in range(5):
        assert threads.settle(attached.tids)
        threaded.touch()
    assert threads.settle(attached.tids)
    assert attached.table()["wakeups"].sum() >= 5


def test_netlabs_own_server_is_told_as_it_tells_itself(kind):
    with netlab.Server(workers=3, **kind) as server:
        assert server.settle()
        attached, before = attach(server.pid), server.snapshot()
        for _ in range(20):
            exchange(server.address)
        assert server.settle()
        after, table = server.snapshot(), attached.table().set_index("tid")
        for name in ("wakeups", "preemptions"):
            told = (after[name] - before[name]).tolist()
            assert table.loc[list(server.tids), name].tolist() == told
    assert after["accepted"].sum() == 20


def test_attached_to_oneself_or_to_one_of_its_threads():
    with netlab.Server(workers=2) as server:
        for pid in (os.getpid(), server.tids[1]):
            attached = attach(pid)
            assert attached.pid == os.getpid()
            assert attached.running
            assert set(attached.tids) >= {os.getpid(), *server.tids}


def test_without_children(prefork):
    assert attach(prefork.pid, children=False).tids == (prefork.pid,)


def test_what_it_says_of_itself(prefork):
    text = repr(attach(prefork.pid))
    assert f"process {prefork.pid}," in text
    assert "5 threads in 5 processes" in text


def test_nothing_stays_open(prefork):
    before = left_behind()
    attached = attach(prefork.pid)
    attached.table()
    attached.snapshot()
    attached.listeners()
    list(intervals(attached, threading.Event(), 0.05, 0.1))
    assert left_behind() == before


# -- what comes and goes --------------------------------------------------------------


def test_a_child_that_begins_later_counts_from_its_start_and_is_new(prefork):
    attached = attach(prefork.pid)
    child = prefork.order("fork")[-1]
    assert threads.settle([prefork.pid, child])
    table = attached.table()
    assert table["new"].tolist() == [False] * (1 + CHILDREN) + [True]
    assert of(table, child)[["pid", "role"]].tolist() == [child, "child"]
    assert of(table, child)["cpu_ns"] == threads.usage_of(child).cpu_ns
    assert of(table, child)["wakeups"] == threads.usage_of(child).wakeups


@pytest.mark.parametrize("reaped", [True, False], ids=["reaped", "zombie"])
def test_a_child_that_ended_keeps_what_was_last_seen(prefork, reaped):
    attached, victim = attach(prefork.pid), prefork.children[0]
    prefork.touch()
    assert threads.settle(attached.tids)
    before = of(attached.table(), victim)
    assert before["wakeups"] >= 1
    prefork.order("kill")
    until(lambda: not lives(victim))
    if reaped:
        prefork.order("reap")
    for _ in range(2):
        table = attached.table()
        after = of(table, victim)
        assert table["ended"].tolist() == [False] * CHILDREN + [True]
        assert after["wakeups"] >= before["wakeups"]
        assert after["cpu_ns"] >= before["cpu_ns"]
    assert attached.running


def test_a_thread_that_comes_and_goes(threaded):
    attached = attach(threaded.pid)
    (tid,) = threaded.order("begin")
    assert of(attached.table(), tid)[["role", "new", "ended"]].tolist() == [
        "thread",
        True,
        False,
    ]
    for _ in range(4):  # whoever accepts it ends: all four in the end
        threaded.touch(b"x")
    until(lambda: len(os.listdir(f"/proc/{threaded.pid}/task")) == 1)
    table = attached.table()
    assert table["ended"].tolist() == [False, True, True, True, True]
    assert of(table, tid)["new"]


def test_the_process_ends_while_it_is_watched(prefork):
    attached = attach(prefork.pid)
    before = attached.table().set_index("tid")
    prefork.process.kill()
    prefork.process.wait()
    until(lambda: attached.table()["ended"].all())
    assert not attached.running
    after = attached.table().set_index("tid")
    assert (after["cpu_ns"] >= before["cpu_ns"]).all()
    assert attached.snapshot()["state"][0] == counters.State.ENDED
    assert per_second(after.reset_index(), attached.table()).empty
    assert attached.listeners().empty


def test_a_child_is_followed_when_its_parent_ends(start_fresh):
    orphan = """
        import os, time
        child = os.fork() or time.sleep(600)
        print(child, flush=True)
        input()
    """
    with start_fresh(orphan) as process:
        child = int(process.stdout.readline())
        try:
            attached = attach(process.pid)
            process.kill()
            process.wait()
            table = attached.table()
            assert not attached.running
            assert of(table, process.pid)["ended"]
            assert not of(table, child)["ended"]
        finally:
            os.kill(child, signal.SIGKILL)


def test_of_those_that_ended_only_so_many_are_kept(threaded, monkeypatch):
    monkeypatch.setattr(module, "ENDED_LIMIT", 2)
    attached = attach(threaded.pid)
    for _ in range(3):
        threaded.touch(b"x")
    until(lambda: len(os.listdir(f"/proc/{threaded.pid}/task")) == 1)
    assert attached.table()["ended"].tolist() == [False, True, True]


def test_a_process_lives_as_long_as_any_of_its_threads(start_fresh):
    program = """
        import ctypes, threading, time
        threading.Thread(target=lambda: print(flush=True) or time.sleep(600)).start()
        ctypes.CDLL(None).pthread_exit(None)
    """
    with start_fresh(program) as process:
        try:
            process.stdout.readline()
            zombie = psutil.STATUS_ZOMBIE
            until(lambda: psutil.Process(process.pid).status() == zombie)
            attached = attach(process.pid)
            assert attached.running
            assert len(attached.tids) == 2
        finally:
            process.kill()


# -- what it does now -----------------------------------------------------------------


def looked(seconds, *rows):
    """A table by hand: tid, wakeups, preemptions, cpu_ns, new, ended."""
    fixed = (7, "main", "nginx", 1)
    rows = [
        (fixed[0], row[0], *fixed[1:], *row[1:], int(seconds * 1e9)) for row in rows
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_rates_are_differences_by_the_time_between():
    before = looked(
        100,
        (1, 10, 1, 500_000_000, False, False),
        (2, 20, 2, 0, False, False),
        (3, 30, 3, 0, True, True),
    )
    after = looked(
        102,
        (1, 30, 2, 1_500_000_000, False, False),
        (4, 8, 0, 0, True, False),
        (3, 30, 3, 0, True, True),
        (2, 25, 2, 0, False, True),
    )
    table = per_second(before, after)
    assert tuple(table.columns) == rates.COLUMNS
    assert table.to_numpy().tolist() == [
        [7, 1, 1, 50.0, 10.0, 0.5, "nginx"],
        [7, 4, 1, 0.0, 4.0, 0.0, "nginx"],
    ]


def test_a_busy_thread_is_told_by_its_cpu():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            attached = attach(process.pid)
            until(lambda: attached.rates(0.1)["pcpu"].max() > 5)
        finally:
            process.kill()


def test_intervals_until_the_time_is_up(prefork):
    tables = list(intervals(attach(prefork.pid), threading.Event(), 0.05, 0.2))
    assert 1 <= len(tables) <= 5
    assert all(len(table) == 1 + CHILDREN for table in tables)


def test_intervals_until_told_to_end(prefork):
    over = threading.Event()
    told = intervals(attach(prefork.pid), over, 0.05)
    assert len(next(told)) == 1 + CHILDREN
    over.set()
    assert list(told) == []


def test_intervals_until_the_process_ends(prefork):
    told = intervals(attach(prefork.pid), threading.Event(), 0.05)
    next(told)
    prefork.process.kill()
    for _ in told:
        pass


@pytest.mark.parametrize(
    "seconds", [0, 0.04, -1, math.nan, math.inf, 86_401, "1", None]
)
def test_times_that_are_refused(prefork, seconds):
    attached = attach(prefork.pid)
    with pytest.raises(ValueError, match=f"seconds='?{seconds}"):
        attached.rates(seconds)
    with pytest.raises(ValueError, match=f"interval_s='?{seconds}"):
        next(intervals(attached, threading.Event(), seconds))


def test_out_of_descriptors_the_watching_goes_on(fresh, prefork):
    program = """
        import os, resource, sys, threading
        from netlab.watch.attach import attach
        from netlab.watch.rates import intervals
        attached = attach(int(sys.argv[1]))
        told = intervals(attached, threading.Event(), 0.05, 60)
        print(len(next(told)))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        again = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        print(attached.running)
        try:
            attached.table()
        except OSError as error:
            print(error.errno)
        threading.Timer(0.5, again).start()
        print(len(next(told)), attached.table()["ended"].any())
    """
    assert fresh(program, prefork.pid) == ["5", "True", "24", "5", "False"]


# -- as a Sampler sees it -------------------------------------------------------------


def test_a_sampler_takes_it_for_a_server(prefork):
    attached = attach(prefork.pid)
    with Sampler(attached, 50) as sampler:
        prefork.touch()
        until(lambda: len(sampler) >= 5)
    samples = sampler.samples()
    assert samples["tid"].tolist() == list(attached.tids) * len(sampler)
    assert samples["worker"].tolist() == list(range(5)) * len(sampler)
    assert set(samples["state"]) == {"ready"}
    assert (samples["psr"] >= 0).all()
    assert set(cpu_placement_table(samples)["worker"]) == set(range(5))
    last = samples.tail(5)["wakeups"].tolist()
    assert last[0] == 0
    assert min(last[1:]) >= 1
    assert samples.drop(columns=["worker", "tid", "cpu"]).notna().all(axis=None)


def test_a_sampler_has_as_many_rows_when_threads_come_and_ends_when_they_go(prefork):
    attached = attach(prefork.pid)
    with Sampler(attached, 50) as sampler:
        until(lambda: len(sampler) >= 2)
        prefork.order("fork")
        assert len(attached.table()) == 2 + CHILDREN
        seen = len(sampler)
        until(lambda: len(sampler) >= seen + 2)
        prefork.order("kill")
        prefork.order("reap")
        until(lambda: sampler._thread and not sampler._thread.is_alive())
    assert len(sampler.samples()) == 5 * len(sampler)


def test_the_snapshot_and_the_table_count_the_same(prefork):
    attached = attach(prefork.pid)
    prefork.touch()
    assert threads.settle(attached.tids)
    rows, table = attached.snapshot(), attached.table()
    for name in ("tid", "wakeups", "preemptions", "cpu_ns"):
        assert rows[name].tolist() == table[name].tolist()


# -- its x-ray ------------------------------------------------------------------------


def test_the_x_ray_is_of_the_threads_that_it_was_attached_to(prefork):
    attached = attach(prefork.pid)
    try:
        with attached.trace(buffer_kb=512) as trace:
            prefork.touch()
            assert threads.settle(attached.tids)
    except OSError as error:
        pytest.skip(str(error))
    assert trace.tids == attached.tids
    assert trace.buffer_kb == 512
    table = attached.table()
    assert table["wakeups"].iloc[0] == 0
    told = summary(trace.events())
    assert told["tid"].tolist() == list(attached.tids)
    assert told["accepted"].sum() == 1
    assert (told["woken"].iloc[1:] >= 1).all()


# -- where it listens -----------------------------------------------------------------


def test_the_accept_queue_is_seen(prefork):
    for child in prefork.children:
        os.kill(child, signal.SIGSTOP)
    address = ("127.0.0.1", prefork.port)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(address, 20))
        table = attach(prefork.pid).listeners()
    pids = (prefork.pid, *prefork.children)
    assert table.columns.tolist() == ["address", "queue", "limit", "pids"]
    assert table.to_numpy().tolist() == [[f"127.0.0.1:{prefork.port}", 3, 16, pids]]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_ones_own_listener(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        try:
            listener.bind((host, 0))
        except OSError as error:
            pytest.skip(f"this machine has no {host}: {error}")
        listener.listen(7)
        address = Address(host, listener.getsockname()[1])
        table = attach(os.getpid()).listeners().set_index("address")
    assert table.loc[str(address)].tolist() == [0, 7, (os.getpid(),)]


def test_a_connection_is_no_listener(threaded):
    with socket.create_connection(("127.0.0.1", threaded.port), 20):
        assert len(attach(threaded.pid).listeners()) == 1


def test_what_the_kernel_refuses_is_told(monkeypatch):
    monkeypatch.setattr(listening, "SOCK_DIAG_BY_FAMILY", 9999)
    with pytest.raises(OSError, match="sock_diag: "):
        listening.all_listeners()


@as_root
def test_a_network_of_its_own_is_refused():
    if shutil.which("unshare") is None:
        pytest.skip("unshare is missing (apt install util-linux)")
    with subprocess.Popen(["unshare", "--net", "sleep", "60"]) as process:
        try:
            until(lambda: comm(process.pid) == "sleep" or process.poll() is not None)
            if process.poll() is not None:
                pytest.skip("this machine lets nobody have a network of their own")
            with pytest.raises(OSError, match=f"process {process.pid} has a network"):
                attach(process.pid).listeners()
        finally:
            process.kill()


def comm(pid):
    return psutil.Process(pid).name()


# -- what is refused ------------------------------------------------------------------


@pytest.mark.parametrize("pid", [0, -1, True, "1", 1.5, (1 << 22) + 1], ids=str)
def test_what_is_no_process_number(pid):
    with pytest.raises(ValueError, match=f"pid='?{pid}"):
        attach(pid)


def test_nobody():
    with subprocess.Popen(["true"]) as process:
        process.wait()
    with pytest.raises(ProcessLookupError, match=f"process {process.pid}: there is no"):
        attach(process.pid)


def test_a_process_that_has_ended_and_was_not_reaped():
    with subprocess.Popen(["true"]) as process:
        until(lambda: not lives(process.pid))
        with pytest.raises(ProcessLookupError, match=f"{process.pid} has ended"):
            attach(process.pid)


@as_root
def test_of_another_users_process_all_is_seen_but_where_it_listens(fresh, prefork):
    program = """
        import os, sys
        import pandas
        from netlab.watch import listening
        from netlab.watch.attach import attach
        os.setgroups([])
        os.setuid(65534)
        attached = attach(int(sys.argv[1]))
        print(len(attached.table()))
        try:
            attached.listeners()
        except PermissionError as error:
            print(str(error).split(":")[0])
    """
    said = fresh(program, prefork.pid)
    assert said == ["5", *f"process {prefork.pid} is another user's".split()]


def test_a_process_that_proc_hides(prefork, monkeypatch):
    def hidden(process, **_):
        raise psutil.AccessDenied(1)

    monkeypatch.setattr(psutil.Process, "children", hidden)
    with pytest.raises(PermissionError, match=f"process {prefork.pid}: /proc hides"):
        attach(prefork.pid)
    assert attach(prefork.pid, children=False).running


def test_a_later_process_of_the_same_number_is_another(prefork, monkeypatch):
    attached = attach(prefork.pid)
    monkeypatch.setattr(psutil.Process, "is_running", lambda process: False)
    assert not attached.running
    assert attached.table()["ended"].all()
