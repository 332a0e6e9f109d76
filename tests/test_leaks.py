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


def live(kind):
    listen = ["127.0.0.1:0", "127.0.0.1:0"]
    with Server(workers=3, listen=listen, **kind) as server:
        for address in (*server.addresses, server.address):
            with socket.create_connection(address, timeout=20) as client:
                client.sendall(REQUEST)
                assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
        server.counters()
        server.accepts()


def test_many_servers_leave_nothing(kind, becomes):
    count = 10 if kind.get("workers_as") == "processes" else 50  # a host takes a while
    for _ in range(5):  # imports, thread stacks and arenas are kept by the process
        live(kind)
    before, memory = belongings(), psutil.Process().memory_info().rss
    for _ in range(count):
        live(kind)
    assert becomes(lambda: belongings() == before)
    assert psutil.Process().memory_info().rss - memory < 8 * MIB


def port_in_use(monkeypatch, kind):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        Server(workers=3, **kind, listen=["127.0.0.1:0", f"127.0.0.1:{port}"])


def cpu_that_is_not(monkeypatch, kind):
    monkeypatch.setattr(crew.machine, "cpus_allowed", lambda: (0, 9999))
    Server(workers=3, **kind)


def thread_that_cannot_be(monkeypatch, kind, healthy=threading.Thread.start):
    def start(thread):
        if threading.active_count() > 2:
            raise RuntimeError("can't start new thread")
        healthy(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    Server(workers=3, **kind)


def setting_that_cannot_be(monkeypatch, kind):
    Server(workers=3, **kind, register_order=[0, 1, 1])


FAILURES = [
    port_in_use,
    cpu_that_is_not,
    thread_that_cannot_be,
    setting_that_cannot_be,
]


@pytest.mark.parametrize("construct", FAILURES, ids=lambda how: how.__name__)
def test_twenty_failures_leave_nothing(construct, kind_in_threads, becomes):
    live(kind_in_threads)
    before = belongings()
    for _ in range(20):
        with (
            pytest.MonkeyPatch.context() as monkeypatch,
            pytest.raises((OSError, RuntimeError, ValueError)),
        ):
            construct(monkeypatch, kind_in_threads)
    assert becomes(lambda: belongings() == before)
    live(kind_in_threads)
