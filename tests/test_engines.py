"""Two engines, one vocabulary: the same script, the same answers, the same counters."""

import errno
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import calls
from benchmarks.running import started
from netlab import counters
from netlab.kernel import machine, native
from netlab.server import (
    compiled,
    compiled_state,
    connection,
    engines,
)
from netlab.server.compiled_arrays import Arrays, Common
from netlab.server.compiled_state import LISTENER
from netlab.server.server import Server
from netlab.server.settings import ServerSettings
from netlab.server.shared import Shared, Sizes
from tests.bounded import ENVIRONMENT, ROOT, linux, until
from tests.cases import MALFORMED, VALID, get, line

pytestmark = linux
COMPARED = set(counters.SUMMED) - set(counters.USAGE) - {"turns"}
PIPELINE = b"".join(get(b"/bytes/%d" % n) for n in range(40))
SCRIPT = [  # what one client after the other sends, and the answers it waits for
    (get(b"/"), 1),
    (get(b"/") + get(b"/spin/50") + get(b"/nowhere"), 3),
    (PIPELINE, 40),  # more than the answers of one turn
    (get(b"/bytes/70000") + get(b"/bytes/3"), 2),  # the first is owed as a whole
    (line(b"HEAD /bytes/9 HTTP/1.1"), 1),
    (get(b"/", b"Host: h", b"Connection: close") + get(b"/"), 1),
    (get(b"/", version=b"HTTP/1.0"), 1),
    (b"", 0),
    (b"GET / HT", 0),
]

# Whether a long answer has to wait for room is up to the client: see `slow_reader`.
SMALL = [case for case in VALID if case.route != "BYTES" or case.argument < 1_000_000]


def converse(address, data, answers):
    """Send everything, say no more, and return all that comes until the end."""
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert said.count(b"HTTP/1.1 ") >= answers
    return said


def drip(address, data):
    """Send byte by byte, and return all that comes until the end."""
    with socket.create_connection(address, timeout=20) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(len(data)):
            client.sendall(data[place : place + 1])
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


def without_names(said):
    """Answers without what names the thread and the CPU that gave them."""
    said = re.sub(rb'"(tid|cpu)": \d+', rb'"\1": N', said)
    return re.sub(rb" +\n", b"\n", re.sub(rb"X-Netlab-Cpu: \d+", b"", said))


def played(**kind):
    """Play the whole script to one worker; return answers and counts."""
    with Server(workers=1, **kind) as server:
        said = [converse(server.address, *step) for step in SCRIPT]
        said += [converse(server.address, case.data, 0) for case in MALFORMED]
        said += [converse(server.address, case.data, 1) for case in SMALL]
        said.append(drip(server.address, get(b"/bytes/7") + get(b"/x")))
        slow_reader(server)
        assert server.settle()
        assert server.failures == server.faults == {}
    rows = server.snapshot()
    return list(map(without_names, said)), {n: int(rows[n].sum()) for n in COMPARED}


def slow_reader(server):
    """Read an answer only when it waits for room, and then to its end."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        client.settimeout(20)
        client.connect(server.address)
        client.sendall(get(b"/bytes/8000000", b"Host: h", b"Connection: close"))
        until(lambda: server.snapshot()["partial_writes"].sum() == 1)
        assert len(b"".join(iter(lambda: client.recv(1 << 16), b""))) > 8_000_000


@pytest.fixture(scope="module")
def interpreted():
    return played(engine="python")


def compare(one, another):
    for step, (said, also) in enumerate(zip(one[0], another[0], strict=True)):
        assert said == also, step
    assert one[1] == another[1]


@pytest.mark.parametrize("workers_as", ["threads", "processes"])
def test_both_engines_answer_and_count_alike(interpreted, workers_as):
    compare(interpreted, played(engine="compiled", workers_as=workers_as))
    assert interpreted[1]["partial_writes"] >= 1


UNCOMPILED = """
import json
from netlab.kernel import native
from tests.test_engines import played
assert not native.COMPILED
said, counts = played(engine="compiled")
print(json.dumps([[one.decode("latin-1") for one in said], counts]))
"""


def test_uncompiled_the_compiled_text_does_the_same(interpreted):
    done = subprocess.run(
        [sys.executable, "-c", UNCOMPILED],
        env=ENVIRONMENT | {"NUMBA_DISABLE_JIT": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    said, counts = json.loads(done.stdout)
    compare(interpreted, ([one.encode("latin-1") for one in said], counts))


def test_stages_are_the_same_numbers():
    for stage in connection.Stage:
        assert getattr(compiled_state, stage.name) == stage


def test_what_ran_is_told():
    with Server(workers=1, engine="compiled") as server:
        actual = server.actual()
    assert (actual["engine"], actual["interpreted"]) == (
        "compiled",
        not native.COMPILED,
    )
    with Server(workers=1) as server:
        assert server.actual()["interpreted"] is True


# --- what the engine is for


@pytest.mark.parametrize("workers", [4, 16])
def test_a_connection_wakes_each_worker_once(workers, becomes):
    """Without a GIL the kernel's own number shows: N for each accept."""
    counted = []
    for _ in range(3):
        with Server(workers=workers, engine="compiled") as server:
            held = []
            for number in range(1, 21):
                held.append(socket.create_connection(server.address, timeout=20))
                assert becomes(lambda n=number: accepted(server) == n)
                assert server.settle()
            counted.append(int(server.snapshot()["wakeups"].sum()) / 20)
            for client in held:
                client.close()
    assert 0.95 * workers <= sorted(counted)[1] <= 1.25 * workers, counted


def accepted(server):
    return server.snapshot()["accepted"].sum()


def test_a_compiled_worker_leaves_the_interpreter_to_others():
    """It spins for a request, and Python goes on beside it."""
    if machine.cpus_owned() < 2:
        pytest.skip("one CPU here: nothing runs side by side")
    turns = {engine: looks_while_spinning(engine) for engine in ("python", "compiled")}
    assert turns["compiled"] > 1.3 * turns["python"], turns


def looks_while_spinning(engine):
    """How often Python looks for answers while a worker spins for half a second."""
    said, looks = b"", 0
    with (
        Server(workers=1, engine=engine) as server,
        socket.create_connection(server.address, timeout=20) as client,
    ):
        client.sendall(get(b"/spin/100000") * 5)
        client.setblocking(False)
        while said.count(b"HTTP/1.1") < 5:
            looks += 1
            try:
                said += client.recv(1 << 16)
            except BlockingIOError:
                pass
    return looks


def test_the_connection_table_is_as_long_as_the_limit(fresh):
    program = """
        import resource, socket
        from netlab.server.server import Server
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        with Server(workers=2, engine="compiled") as server:
            print(len(server._crew._team._workers[0]._arrays.connections))
            with socket.create_connection(server.address) as client:
                client.sendall(b"GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n")
                print(client.recv(12).split()[1].decode())
    """
    assert fresh(program) == ["100", "200"]


def test_system_calls_of_both_engines(tmp_path):
    """recv, send and a wait for each request, and no engine makes more."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed here (package strace)")
    found = {}
    for engine in ("python", "compiled"):
        command = [sys.executable, "-m", "netlab", "serve", "--workers", "1"]
        command += ["--engine", engine]
        with started(engine, command, tmp_path, [*os.sched_getaffinity(0)]) as server:
            for load in calls.LOADS:
                counted = calls.per_request(server, load, 50, tmp_path)
                found[engine, load] = counted["kinds"]
    kept, new = calls.LOADS
    for engine in ("python", "compiled"):
        assert found[engine, kept] == {"epoll_wait": 1, "recvfrom": 1, "sendto": 1}
    assert found["compiled", new] == {
        "accept4": 1,
        "close": 1,
        "epoll_ctl": 1,
        "epoll_wait": 2,
        "recvfrom": 1,
        "sendto": 1,
    }
    assert found["compiled", new].items() <= found["python", new].items()


# --- what cannot be


def test_without_numba_the_compiled_engine_is_refused(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"engine='compiled'.*Numba.*pip install"):
        ServerSettings(engine="compiled")


def test_without_a_gil_in_the_build_it_is_refused(monkeypatch):
    monkeypatch.setattr(engines.machine, "free_threaded_build", lambda: True)
    with pytest.raises(ValueError, match=r"free-threaded Python.*engine='python'"):
        ServerSettings(engine="compiled")


def test_an_unknown_engine_is_named():
    with pytest.raises(ValueError, match="engine='magic': there are python and comp"):
        engines.find("magic")


def test_a_wait_that_fails_ends_the_loop_with_its_error():
    watched, shared = np.zeros(1, LISTENER), Shared(Sizes(1, 1))
    arrays = Arrays(0, -1, watched, shared, Common.of_none())
    assert compiled.run(arrays.own) == -errno.EBADF


# --- compiled once


def test_it_is_compiled_once_and_that_is_said(tmp_path):
    program = (
        "from netlab.server.server import Server\n"
        "with Server(workers=1, engine='compiled') as server: print(server.running)\n"
    )

    def run():
        return subprocess.run(
            [sys.executable, "-c", program],
            env=ENVIRONMENT | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=110,
        )

    def kept():
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")}

    first = run()
    assert first.stdout == "True\n"
    assert first.stderr.count("compiling the workers' loop; once") == 1
    before = kept()
    assert before
    assert run().stdout == "True\n"
    assert kept() == before
