"""The life of servers and loads inside a Jupyter kernel, as JupyterLab drives it."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import uuid

import psutil
import pytest

from tests.bounded import (
    BOUND_S,
    ENVIRONMENT,
    ROOT,
    children,
    exchange,
    free_port,
    linux,
    lives,
    thread_names,
    until,
    workers,
)

jupyter_client = pytest.importorskip("jupyter_client")
pytest.importorskip("ipykernel")
pytestmark = linux


STOP_ALL = """
import gc
for it in gc.get_objects():
    if type(it) is netlab.Server and hasattr(it, "_crew"):  # not a refused one
        it.stop()
"""


class Kernel:
    """A kernel, and what JupyterLab does with it."""

    def __init__(self, folder):
        self.manager = jupyter_client.KernelManager(
            connection_file=str(folder / "kernel.json")
        )
        self.manager._kernel_spec = jupyter_client.kernelspec.KernelSpec(
            argv=[
                sys.executable,
                "-m",
                "ipykernel_launcher",
                "-f",
                "{connection_file}",
            ],
            display_name="netlab's tests",
            language="python",
        )
        self.folder = folder
        self.printed = []  # by whatever thread, whenever

    def start(self):
        self.manager.start_kernel(
            cwd=str(ROOT),
            env=ENVIRONMENT | {"IPYTHONDIR": str(self.folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.connect()

    def connect(self):
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=2 * BOUND_S)
        assert self.run("import netlab") == ("ok", None)

    def disconnect(self):
        self.client.stop_channels()

    def end(self, now=True):
        self.disconnect()
        self.manager.shutdown_kernel(now=now)

    @property
    def pid(self):
        return self.manager.provisioner.pid

    def send(self, code, cell=None):
        """Run a cell as JupyterLab does, which says which cell it is."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        message = self.client.session.msg(
            "execute_request", content, metadata={"cellId": cell or str(uuid.uuid4())}
        )
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def ended(self, message):
        """What became of a cell: its status, and the error or the value shown."""
        shown = None
        while True:
            got = self.client.get_iopub_msg(timeout=BOUND_S)
            content = got["content"]
            if got["msg_type"] == "stream":
                self.printed.append(content["text"])
            if got["parent_header"].get("msg_id") != message:
                continue
            if got["msg_type"] == "execute_result":
                shown = content["data"]["text/plain"]
            if got["msg_type"] == "error":
                shown = content["ename"], content["evalue"]
            if content.get("execution_state") == "idle":
                break
        while True:
            reply = self.client.get_shell_msg(timeout=BOUND_S)
            if reply["parent_header"]["msg_id"] == message:
                return reply["content"]["status"], shown

    def run(self, code, cell=None):
        return self.ended(self.send(code, cell))

    def value(self, code):
        """A number, as the kernel shows it."""
        status, shown = self.run(code)
        assert status == "ok", shown
        return int(shown)

    def ports(self):
        """The ports on which the kernel's process listens, Jupyter's own too."""
        found = psutil.Process(self.pid).net_connections(kind="tcp")
        return {it.laddr.port for it in found if it.status == psutil.CONN_LISTEN}

    def traces(self):
        """What netlab left in the kernel's process and beside it."""
        own = [name for name in thread_names(self.pid) if name.startswith("netlab")]
        return own, children(self.pid)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    kernel.start()
    yield kernel
    kernel.end()


@pytest.fixture
def kernel(started):
    """The kernel, which every test leaves as it found it, with nothing printed."""
    ports = started.ports()
    yield started
    assert started.run(STOP_ALL) == ("ok", None)
    until(lambda: started.traces() == ([], set()))
    assert started.ports() == ports
    assert "".join(started.printed) == ""


# -- one cell, one server -------------------------------------------------------------


def test_cell_run_again_has_one_server(kernel):
    port = free_port()
    code = f"server = netlab.Server(workers=2, listen=['127.0.0.1:{port}'])\nserver"
    for _ in range(3):  # shown: `Out` keeps each of them
        status, shown = kernel.run(code, "the cell")
        assert status == "ok"
        assert f"127.0.0.1:{port}: 2 workers" in shown
        until(lambda: workers(kernel.pid) == ["netlab-w0", "netlab-w1"])
        assert exchange(("127.0.0.1", port)).startswith(b"HTTP/1.1 200")
    assert (
        kernel.value("sum(isinstance(it, netlab.Server) for it in Out.values())") == 3
    )


def test_another_cell_does_not_stop_the_first(kernel):
    port = free_port()
    code = f"netlab.Server(workers=1, listen=['127.0.0.1:{port}'])"
    assert kernel.run(f"a = {code}", "first")[0] == "ok"
    status, shown = kernel.run(f"b = {code}", "second")
    assert status == "error"
    assert shown[0] == "OSError"
    assert "already in use" in shown[1]
    assert kernel.run("b = netlab.Server(workers=1)", "second")[0] == "ok"
    until(lambda: workers(kernel.pid) == ["netlab-w0"] * 2)
    assert exchange(("127.0.0.1", port))


def test_several_servers_of_one_cell_live_together(kernel):
    code = "kept = [netlab.Server(workers=1) for _ in range(3)]"
    for _ in range(2):
        assert kernel.run(code, "three")[0] == "ok"
        until(lambda: workers(kernel.pid) == ["netlab-w0"] * 3)
    assert kernel.run("kept[0].running, kept[2].running") == ("ok", "(True, True)")


def test_cell_that_was_refused_may_be_mended(kernel):
    port = free_port()
    code = f"server = netlab.Server(workers=%s, listen=['127.0.0.1:{port}'])"
    assert kernel.run(code % 1, "cell")[0] == "ok"
    assert kernel.run(code % 0, "cell")[1][0] == "ValueError"
    assert exchange(("127.0.0.1", port))  # a setting that was refused stops nothing
    assert kernel.run(code % 2, "cell")[0] == "ok"
    until(lambda: workers(kernel.pid) == ["netlab-w0", "netlab-w1"])


def test_cells_without_a_number_share_nothing(kernel):
    """A console sends no cell's id: there the name that is bound anew must do."""
    message = kernel.client.execute("a = netlab.Server(workers=1)")
    assert kernel.ended(message)[0] == "ok"
    message = kernel.client.execute("a = netlab.Server(workers=1)")
    assert kernel.ended(message)[0] == "ok"
    until(lambda: workers(kernel.pid) == ["netlab-w0"])


# -- loads and runs -------------------------------------------------------------------


def test_fire_in_the_kernel(kernel):
    assert kernel.run("server = netlab.Server(workers=2)")[0] == "ok"
    code = "result = netlab.fire(server, connections=20, requests=2)\nresult"
    for _ in range(2):
        shown = kernel.run(code, "fire")[1]
        assert shown == "<LoadResult: 40 requests on 20 connections, 0 failed>"
    assert children(kernel.pid) == set()
    assert kernel.value("int(server.counters()['answers'].sum())") == 80


def test_run_in_the_kernel(kernel):
    code = "result = netlab.run(workers=2, connections=30)\nlen(result.requests)"
    assert kernel.value(code) == 30


def test_faulty_clients_print_nothing_into_cells(kernel):
    assert kernel.run("server = netlab.Server(workers=2)")[0] == "ok"
    port = kernel.value("server.address.port")
    for data in (b"\x16\x03\x01", b"GET / HTTP/9.9\r\n\r\n", b"GET", b"\r\n" * 9000):
        with contextlib.suppress(OSError), connected(port) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while client.recv(1 << 16):
                pass
    for _ in range(3):
        with connected(port) as client:
            client.sendall(b"GET /bytes/8000000 HTTP/1.1\r\nHost: h\r\n\r\n")
            client.recv(10)
            linger = struct.pack("ii", 1, 0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    ended = "int((lambda c: (c['resets'] + c['refusals']).sum())(server.counters()))"
    until(lambda: kernel.value(ended) >= 5)
    assert exchange(("127.0.0.1", port)).startswith(b"HTTP/1.1 200")
    assert kernel.value("int(server.counters()['faults'].sum())") == 0


def connected(port):
    return socket.create_connection(("127.0.0.1", port), BOUND_S)


def test_worker_that_dies_prints_nothing_into_cells(kernel):
    code = (
        "class Faulty(netlab.server.worker.Worker):\n"
        "    def accept(self, fd):\n"
        "        raise ZeroDivisionError\n"
        "kept, engines.Worker = engines.Worker, Faulty\n"
        "try:\n"
        "    server = netlab.Server(workers=1)\n"
        "finally:\n"
        "    engines.Worker = kept\n"
        "server.address.port"
    )
    assert kernel.run("import netlab.server.worker\nfrom netlab.server import engines")
    port = kernel.value(code)
    with connected(port):
        until(lambda: workers(kernel.pid) == [])
    assert kernel.value("len(server.failures)") == 1


# -- interrupts -----------------------------------------------------------------------


def load_lives(kernel):
    return children(kernel.pid) and "netlab-sampler" in thread_names(kernel.pid)


def connections_of(kernel):
    found = psutil.Process(kernel.pid).net_connections(kind="tcp")
    return [it for it in found if it.status == psutil.CONN_ESTABLISHED]


LOADS = {
    "closed": "duration_s=30, at_once=40",
    "touch": "plan='touch', connections=3000, pause_ms=10",
    "held": "plan='touch', connections=40, pause_ms=0, hold_ms=30_000",
}


@pytest.mark.parametrize("load", LOADS)
def test_interrupted_run_leaves_nothing(kernel, load):
    before = kernel.ports()
    usual = len(connections_of(kernel))
    message = kernel.send(f"netlab.run(workers=4, {LOADS[load]})", "long")
    until(lambda: load_lives(kernel))
    until(lambda: len(connections_of(kernel)) >= usual + 40)
    assert kernel.ports() > before
    began = time.monotonic()
    kernel.manager.interrupt_kernel()
    status, shown = kernel.ended(message)
    assert time.monotonic() - began < 20
    assert (status, shown[0]) == ("error", "KeyboardInterrupt")
    until(lambda: kernel.traces() == ([], set()))
    assert kernel.ports() == before
    again = "netlab.run(workers=2, connections=10).figures['conserved']"
    assert kernel.run(again, "long") == ("ok", "True")


@pytest.mark.parametrize("moment", ["server starts", "load starts"])
def test_run_interrupted_at_its_beginning_leaves_nothing(kernel, moment):
    before = kernel.ports()
    message = kernel.send("netlab.run(workers=8, duration_s=30)", "long")
    until(
        lambda: (
            workers(kernel.pid) if moment == "server starts" else children(kernel.pid)
        )
    )
    kernel.manager.interrupt_kernel()
    assert kernel.ended(message)[1][0] == "KeyboardInterrupt"
    until(lambda: kernel.traces() == ([], set()))
    assert kernel.ports() == before


def test_interrupt_leaves_a_server_of_another_cell_alone(kernel):
    assert kernel.run("server = netlab.Server(workers=2)")[0] == "ok"
    port = kernel.value("server.address.port")
    code = "kept = netlab.Generator()\nkept.fire(server, duration_s=30)"
    message = kernel.send(code)
    until(lambda: children(kernel.pid))
    until(lambda: len(connections_of(kernel)) > 8)
    kernel.manager.interrupt_kernel()
    assert kernel.ended(message)[1][0] == "KeyboardInterrupt"
    until(lambda: children(kernel.pid) == set())
    assert exchange(("127.0.0.1", port)).startswith(b"HTTP/1.1 200")
    assert kernel.run("len(kept.last.requests) > 0") == ("ok", "True")
    assert kernel.run("len(kept.fire(server).requests)") == ("ok", "100")
    assert kernel.run("kept.close()")[0] == "ok"


# -- the kernel's own end -------------------------------------------------------------


@pytest.fixture
def ended_kernel(tmp_path):
    """A kernel that the test ends."""
    kernel = Kernel(tmp_path)
    kernel.start()
    yield kernel
    if kernel.manager.has_kernel:
        kernel.end()


def idle(kernel):
    """Have a server and a load's process; returns the process and the port."""
    start = "server, kept = netlab.Server(workers=2), netlab.Generator()\n"
    port = kernel.value(start + "kept.fire(server)\nserver.address.port")
    (load,) = children(kernel.pid)
    return load, port


def under_way(kernel):
    """The same, in the middle of a load."""
    load, port = idle(kernel)
    usual = len(connections_of(kernel))
    kernel.send("kept.fire(server, duration_s=50, at_once=40)")
    until(lambda: len(connections_of(kernel)) >= usual + 40)
    return load, port


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def test_restart_in_the_middle_of_a_load_leaves_nothing(ended_kernel):
    load, port = under_way(ended_kernel)
    ended_kernel.disconnect()
    ended_kernel.manager.restart_kernel(now=True)
    until(lambda: not lives(load))
    until(lambda: is_free(port))
    ended_kernel.connect()
    again = "netlab.run(workers=2, connections=10).figures['conserved']"
    assert ended_kernel.run(again) == ("ok", "True")
    assert ended_kernel.traces() == ([], set())


@pytest.mark.parametrize("how", ["politely", "at once", "killed"])
def test_kernel_that_ends_leaves_nothing(ended_kernel, how):
    load, port = (idle if how == "politely" else under_way)(ended_kernel)
    pid = ended_kernel.pid
    if how == "killed":
        os.kill(pid, signal.SIGKILL)
    ended_kernel.end(now=how != "politely")
    until(lambda: not lives(pid))
    until(lambda: not lives(load))
    until(lambda: is_free(port))
