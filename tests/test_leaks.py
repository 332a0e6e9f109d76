"""Many servers in one process leave what one leaves: nothing."""

import gc
import os
import socket
import threading
from pathlib import Path

import psutil
import pytest

from netlab.server import crew
from netlab.server.server import Server

MIB = 1 << 20
REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def belongings():
    """Descriptors, threads of Python and of the kernel, children, shared memory."""
    gc.collect()
    return (
        sorted(os.listdir("/proc/self/fd")),
        threading.active_count(),
        len(os.listdir("/proc/self/task")),
        len(psutil.Process().children(recursive=True)),
        Path("/proc/self/maps").read_text().count("/dev/zero"),
    )


def live(loop):
    with Server(workers=3, loop=loop, listen=["127.0.0.1:0", "127.0.0.1:0"]) as server:
        for address in (*server.addresses, server.address):
            with socket.create_connection(address, timeout=20) as client:
                client.sendall(REQUEST)
                assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
        server.counters()
        server.accepts()


def test_fifty_servers_leave_nothing(loop, becomes):
    for _ in range(5):  # imports, thread stacks and arenas are kept by the process
        live(loop)
    before, memory = belongings(), psutil.Process().memory_info().rss
    for _ in range(50):
        live(loop)
    assert becomes(lambda: belongings() == before)
    assert psutil.Process().memory_info().rss - memory < 8 * MIB


def port_in_use(monkeypatch, loop):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        Server(workers=3, loop=loop, listen=["127.0.0.1:0", f"127.0.0.1:{port}"])


def cpu_that_is_not(monkeypatch, loop):
    monkeypatch.setattr(crew.machine, "cpus_allowed", lambda: (0, 9999))
    Server(workers=3, loop=loop)


def thread_that_cannot_be(monkeypatch, loop, healthy=threading.Thread.start):
    def start(thread):
        if threading.active_count() > 2:
            raise RuntimeError("can't start new thread")
        healthy(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    Server(workers=3, loop=loop)


def setting_that_cannot_be(monkeypatch, loop):
    Server(workers=3, loop=loop, register_order=[0, 1, 1])


FAILURES = [
    port_in_use,
    cpu_that_is_not,
    thread_that_cannot_be,
    setting_that_cannot_be,
]


@pytest.mark.parametrize("construct", FAILURES, ids=lambda how: how.__name__)
def test_twenty_failures_leave_nothing(construct, loop, becomes):
    live(loop)
    before = belongings()
    for _ in range(20):
        with (
            pytest.MonkeyPatch.context() as monkeypatch,
            pytest.raises((OSError, RuntimeError, ValueError)),
        ):
            construct(monkeypatch, loop)
    assert becomes(lambda: belongings() == before)
    live(loop)
