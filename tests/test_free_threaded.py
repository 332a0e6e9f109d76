"""A Python without a GIL: netlab's interpreted workers run side by side on it."""

import json
import os
import shutil
import statistics
import subprocess
import textwrap

import pytest

from netlab.kernel import machine
from tests.bounded import ENVIRONMENT, linux

pytestmark = linux
VARIABLE = "NETLAB_FREE_THREADED"
NEEDED = ("numpy", "pandas", "psutil", "tqdm")
REPEATS = 3
SIDE_BY_SIDE = 1.25  # CPUs wanted, against those under the GIL; 2 at best
SERVE = """
    import json
    import numpy, pandas, psutil  # an extension can switch the GIL on
    import netlab

    with netlab.Server(engine="python", workers=2) as server:
        load = netlab.fire(server, connections=20, progress=False)
        seen = netlab.ps(server)["comm"].tolist()
    run = netlab.run(engine="python", workers=2, connections=20, progress=False)
    stamp = netlab.machine()
    print(json.dumps({
        "answers": len(load.requests),
        "threads": seen[1:],
        "conserved": run.figures["conserved"],
        "gil": [stamp.gil, run.machine["gil"]],
        "lines": [stamp.line(), run.machine["line"]],
        "samples": sorted(set(run.samples["worker"])),
    }))
"""
SPIN = """
    import json, socket, time
    from pathlib import Path
    import netlab

    REQUESTS = 10
    HEAD = b"HTTP/1.1 200"

    def ask(client, path, count=1):
        client.sendall(b"GET %s HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n" % path * count)

    def answers(client, count=1):
        got = b""
        while got.count(HEAD) < count:
            part = client.recv(65536)
            assert part
            got += part
        return got

    def worker_of(client):
        ask(client, b"/")
        return int(answers(client).partition(b"X-Netlab-Worker: ")[2].split()[0])

    def wanted(server):
        # Time on a CPU, and time waiting for one that others had.
        texts = [Path(f"/proc/{tid}/schedstat").read_text() for tid in server.tids]
        return sum(int(ns) for text in texts for ns in text.split()[:2])

    with netlab.Server(engine="python", workers=2) as server:
        everybody, clients = [], {}
        while len(clients) < 2:  # a client of each worker
            everybody.append(socket.create_connection(server.address, timeout=20))
            clients[worker_of(everybody[-1])] = everybody[-1]
        assert server.settle()
        before, began = wanted(server), time.monotonic_ns()
        for client in clients.values():
            ask(client, b"/spin/20000", REQUESTS)
        for client in clients.values():
            answers(client, REQUESTS)
        took = time.monotonic_ns() - began
        assert server.settle()
        print(json.dumps((wanted(server) - before) / took))
        for client in everybody:
            client.close()
"""
NATIVE = """
    import json
    from netlab.kernel import native

    @native.jit
    def double(number):
        return 2 * number

    print(json.dumps(double(21)))
"""


@pytest.fixture(scope="module")
def python():
    """The path of a free-threaded interpreter that has what netlab needs."""
    on_path = filter(None, map(shutil.which, ("python3.14t", "python3.13t")))
    path = os.environ.get(VARIABLE) or next(on_path, None)
    if path is None:
        pytest.skip(f"no free-threaded Python here ({VARIABLE} names one)")
    for module in NEEDED:
        command = [path, "-c", f"import {module}"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip(f"the free-threaded Python here has no {module}")
    return path


def tell(python, program, gil="0"):
    """What a program printed that ended well and complained of nothing."""
    done = subprocess.run(
        [python, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        env=ENVIRONMENT | {"PYTHON_GIL": gil, "PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_a_server_runs_without_a_gil_and_its_stamp_says_so(python):
    told = tell(python, SERVE)
    assert told["gil"] == [False, False]
    assert all(line.endswith("GIL off") for line in told["lines"])
    assert told["answers"] == 20
    assert told["threads"] == ["netlab-w0", "netlab-w1"]
    assert told["conserved"]
    assert told["samples"] == [0, 1]


def test_the_same_python_with_a_gil_says_so_too(python):
    told = tell(python, SERVE, gil="1")
    assert told["gil"] == [True, True]
    assert all(line.endswith("GIL on") for line in told["lines"])


@pytest.mark.skipif(machine.cpus_owned() < 2, reason="needs two CPUs")
def test_workers_compute_side_by_side(python):
    # A worker that waits for the GIL sleeps. One that waits for a CPU, since another
    # program has it at the moment, would run: its time counts.
    pairs = [(tell(python, SPIN), tell(python, SPIN, gil="1")) for _ in range(REPEATS)]
    ratios = [free / bound for free, bound in pairs]
    assert statistics.median(ratios) > SIDE_BY_SIDE, pairs


def test_what_is_compiled_elsewhere_runs_uncompiled(python):
    assert tell(python, NATIVE) == 42
