"""Workers as processes: forked from a host, shared, watched, and never left behind."""

import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

import netlab
from netlab import counters
from netlab.server import crew
from netlab.server.server import Server
from tests.bounded import ENVIRONMENT, background, children, linux, lives, until

pytestmark = linux
QUESTION = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture(params=["python", "compiled"])
def engine(request):
    return request.param


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = children(), sorted(os.listdir("/proc/self/fd"))
    yield
    until(lambda: (children(), sorted(os.listdir("/proc/self/fd"))) == before)


def serve(engine, workers=3, **settings):
    return Server(workers=workers, engine=engine, workers_as="processes", **settings)


def answer(address):
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(QUESTION)
        return client.recv(4096)


def test_each_worker_is_a_process_of_one_thread_with_one_parent(engine):
    with serve(engine) as server:
        assert children() == {server.pid, *server.tids}
        for number, pid in enumerate(server.tids):
            worker = psutil.Process(pid)
            assert worker.ppid() == server.pid
            assert worker.num_threads() == 1
            assert worker.name() == f"netlab-w{number}"
            assert worker.cpu_affinity() == [server.actual()["cpus"][number]]
        host = psutil.Process(server.pid)
        assert (host.name(), host.num_threads()) == ("netlab-host", 1)
        table = netlab.ps(server)
    assert table["comm"].tolist() == [
        "netlab-host",
        *(f"netlab-w{n}" for n in range(3)),
    ]
    assert table["pid"].tolist() == table["tid"].tolist() == [server.pid, *server.tids]


def test_counts_and_logs_come_back_from_all_of_them(engine):
    with serve(engine) as server:
        for number in range(30):
            said = answer(server.address)
            assert said.startswith(b"HTTP/1.1 200 OK")
            until(lambda n=number: server.snapshot()["accepted"].sum() == n + 1)
        until(lambda: server.snapshot()["closed"].sum() == 30)
    rows, accepts = server.snapshot(), server.accepts()
    assert rows["answers"].sum() == len(accepts) == 30
    owners = accepts["owner"].value_counts()
    assert rows["accepted"].tolist() == [owners.get(n, 0) for n in range(3)]
    assert set(server.counters()["state"]) == {"ended"}


def test_a_run_in_processes_is_conserved(engine):
    run = netlab.run(
        workers=2, engine=engine, workers_as="processes", connections=60, requests=3
    )
    assert run.figures["conserved"] is True
    assert sum(run.figures["accepts"]) == 60
    assert run.settings["actual"]["server"]["workers_as"] == "processes"


def test_without_a_gil_between_them_each_is_woken_once(engine):
    """The kernel's own number, from interpreted workers too."""
    counted = []
    for _ in range(3):
        run = netlab.run(
            workers=6,
            engine=engine,
            workers_as="processes",
            plan="touch",
            connections=40,
        )
        counted.append(run.figures["accept_wakeups_per_accept"])
    assert 0.9 * 6 <= sorted(counted)[1] <= 1.25 * 6, counted


def test_they_register_in_the_order_asked_for(engine):
    """The host forks one when the last has registered, so their numbers tell."""
    with serve(engine, register_order=[2, 0, 1]) as server:
        assert server.actual()["register_order"] == [2, 0, 1]
        pids = server.tids
    assert pids[2] < pids[0] < pids[1] or max(pids) - min(pids) > 10_000  # numbers wrap


# --- ends


def test_a_worker_that_is_killed_is_told_of_and_the_others_go_on(engine):
    with serve(engine) as server:
        os.kill(server.tids[1], signal.SIGKILL)
        until(lambda: server.failures)
        assert str(server.failures[1]) == "killed by signal 9"
        for _ in range(6):
            assert b" 200 OK" in answer(server.address)
    assert list(server.failures) == [1]


def test_a_run_whose_worker_is_killed_is_no_result():
    def kill():
        until(lambda: len(children()) >= 4)
        time.sleep(0.3)
        worker = [
            child
            for child in psutil.Process().children(recursive=True)
            if child.name() == "netlab-w0"
        ]
        worker[0].kill()

    with background(kill), pytest.raises(RuntimeError, match=r"died|did not complete"):
        netlab.run(workers=2, workers_as="processes", duration_s=3.0, progress=False)


def test_a_host_that_is_killed_takes_its_workers_with_it(engine):
    server = serve(engine)
    with server:
        tids = server.tids
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: not any(lives(pid) for pid in tids))
        until(lambda: len(server.failures) == 3)
        assert "host was killed by signal 9" in str(server.failures[0])


PARENT = """
import sys, time
from netlab.server.server import Server
server = Server(workers=3, engine=sys.argv[1], workers_as="processes")
print(server.pid, *server.tids, flush=True)
time.sleep(60)
"""


def test_a_parent_that_is_killed_leaves_no_process(engine):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, engine],
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    ) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 4
        parent.kill()
        until(lambda: not any(lives(pid) for pid in pids))


def test_an_interrupt_reaches_the_parent_alone(engine):
    """Ctrl-C in a terminal reaches every process of the group."""
    with serve(engine) as server:
        for pid in (server.pid, *server.tids):
            os.kill(pid, signal.SIGINT)
        assert b" 200 OK" in answer(server.address)
        assert server.failures == {}


def test_workers_that_cannot_start_take_the_server_back(engine, monkeypatch):
    monkeypatch.setattr(crew.machine, "cpus_allowed", lambda: (0, 9999))
    with pytest.raises(RuntimeError, match=r"did not start: ValueError.*9999"):
        serve(engine)


def test_busy_workers_are_waited_for(engine):
    with serve(engine, workers=1) as server:
        client = socket.create_connection(server.address, timeout=20)
        client.sendall(b"GET /spin/100000 HTTP/1.1\r\nHost: h\r\n\r\n" * 4)
        until(lambda: server.snapshot()["requests"].sum() >= 1)
    rows = server.snapshot()
    assert (counters.open_connections(rows) == rows["left_open"]).all()
    client.close()


def test_a_server_that_nobody_holds_leaves_no_process(engine):
    server = serve(engine)
    pids = [server.pid, *server.tids]
    del server
    until(lambda: not any(lives(pid) for pid in pids))


BROKEN = """
from netlab.server import serving
healthy = serving.answer
def answer(request, **names):
    if request.argument == 13:
        raise ZeroDivisionError
    return healthy(request, **names)
serving.answer = answer
"""


def test_an_error_of_the_servers_code_is_told_when_its_worker_ends(
    monkeypatch, tmp_path
):
    (tmp_path / "sitecustomize.py").write_text(BROKEN)  # of the host's interpreter
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with serve("python", workers=1) as server:
        with socket.create_connection(server.address, timeout=20) as client:
            client.sendall(QUESTION.replace(b"/ ", b"/spin/13 ", 1))
            assert client.recv(1) == b""
        assert b" 200 OK" in answer(server.address)
    assert {n: str(why) for n, why in server.faults.items()} == {
        0: "ZeroDivisionError()"
    }
    assert server.failures == {}
