"""What several tests wait for, never longer than a bound, and what they look at."""

import concurrent.futures
import contextlib
import gc
import os
import socket
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
BOUND_S = 30.0  # "did not hang", on a machine that does much else
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
linux = pytest.mark.skipif(sys.platform != "linux", reason="the server needs Linux")


def until(condition, bound_s=BOUND_S):
    """What `condition` returns once it is true; fails if it never is."""
    deadline = time.monotonic() + bound_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited for something that never came"
        time.sleep(0.005)
    return found


@contextlib.contextmanager
def background(function, *args, **kwargs):
    """Run `function` in a thread; yields its future, and waits for it at the end."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool.submit(function, *args, **kwargs)


def lives(pid):
    """Whether a process runs: neither gone nor a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children(pid=None):
    """The numbers of a process's children, grandchildren too."""
    return {child.pid for child in psutil.Process(pid).children(recursive=True)}


def thread_names(pid="self"):
    """The names of a process's threads, as the kernel has them."""
    names = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            names.append((task / "comm").read_text().strip())
    return sorted(names)


def workers(pid="self"):
    return [name for name in thread_names(pid) if name.startswith("netlab-w")]


def left_behind():
    """What a test could leave: children, threads, open descriptors."""
    gc.collect()  # what an earlier test dropped is not this one's
    descriptors = len(os.listdir("/proc/self/fd"))
    return children(), sorted(t.name for t in threading.enumerate()), descriptors


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def exchange(address, data=b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"):
    """What a server sends back to `data` until it closes."""
    with socket.create_connection(address[:2], BOUND_S) as client:
        client.sendall(data)
        return b"".join(iter(lambda: client.recv(1 << 16), b""))
