"""The probes: one function for each fact, which tries the thing and tells.

Facts: whether a machine has something depends on more than the kernel's version. A
seccomp filter switches io_uring off, a container makes /proc/sys read-only, gVisor
answers the calls of Linux with waiters and orders of its own, distributions backport.
And an old kernel may accept what it does not know: before 4.5, `epoll_ctl` ignored
the bit EPOLLEXCLUSIVE, so that success proved nothing. There the proof is a refusal:
a kernel that knows the bit answers EPOLL_CTL_MOD with EINVAL.

Decision: a probe tries the thing where trying is harmless, on sockets, epolls and
threads of its own that are gone when it returns. Versions are compared only where
nothing can be tried (accept through io_uring). Nothing is mounted, written to a sysctl
or raised; affinity and name are tried on a short-lived thread. A free-threaded
interpreter imports no extension here: it could bring the GIL back.

Cost: a probe shows that the thing works here and now, for this user; not that it is
fast, nor what the kernel's rule behind it is. Every probe returns a `Finding`; it may
raise what it likes, which `doctor` turns into a row. Not in this file: what a finding
means for a reader.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import platform
import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from netlab.kernel import machine, steering
from netlab.kernel.backlog import accept_queue_limit
from netlab.kernel.limits import (
    ROOT,
    cpu_quota,
    descriptor_limits,
    read_text,
    throttling,
)

Finding = tuple[str, bool]  # what is here, and whether it is enough
MANY_DESCRIPTORS = 4096  # a burst of idle clients that shows who takes them all


@contextmanager
def _listener(port: int = 0, backlog: int = 8) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(backlog)
        yield listener


def system() -> Finding:
    """Linux itself, by name and version."""
    major, minor = machine.kernel_version()
    here = platform.system()
    return (f"{here} {major}.{minor}", True) if here == "Linux" else (here, False)


def own_kernel() -> Finding:
    """Whether the calls of Linux are answered by Linux."""
    hints = machine.hints()
    return ", ".join(hints) or "no sign", not {"gVisor", "WSL1"} & set(hints)


def cpus() -> Finding:
    """How many CPUs a run can keep busy; two show placement."""
    owned = machine.cpus_owned()
    return f"{owned} of {machine.cpus_visible()}", owned >= 2


def quota() -> Finding:
    """Whether a cgroup limits the CPU time."""
    quota, spent = cpu_quota(), throttling()
    if quota is None:
        return "none", True
    return f"{quota:g}, throttled {spent.throttled or 0} times", False


def waiting() -> Finding:
    """Whether epoll and select are woken by an eventfd."""
    with select.epoll() as ready:
        stop = os.eventfd(1)
        try:
            ready.register(stop, select.EPOLLIN)
            woken = ready.poll(0) and select.select([stop], [], [], 0)[0]
        finally:
            os.close(stop)
    return ("all three", True) if woken else ("not woken", False)


def placing() -> Finding:
    """Whether a thread can be bound to a CPU and named."""
    with ThreadPoolExecutor(1) as pool:  # its one thread is gone after the block
        return pool.submit(_pin_and_name).result()


def _pin_and_name() -> Finding:
    cpu, path = min(os.sched_getaffinity(0)), f"task/{threading.get_native_id()}/comm"
    try:
        os.sched_setaffinity(0, {cpu})
        (ROOT / "proc/self" / path).write_text("netlab-doctor")
    except OSError as error:
        return _refused(error)
    named = (ROOT / "proc/self" / path).read_text() == "netlab-doctor\n"
    pinned = os.sched_getaffinity(0) == {cpu}
    return ("yes", True) if named and pinned else ("ignored", False)


def accounts() -> Finding:
    """Which of the kernel's accounts of a thread can be read."""
    own = ROOT / "proc/self/task" / str(threading.get_native_id())
    has = {
        "switches": "voluntary_ctxt_switches" in read_text(own / "status"),
        "schedstat": len(read_text(own / "schedstat").split()) == 3,
    }
    return ", ".join(name for name in has if has[name]) or "none", all(has.values())


def descriptors() -> Finding:
    """How many descriptors a process may have open."""
    soft, hard = descriptor_limits()
    return f"soft {soft}, hard {hard}", hard >= MANY_DESCRIPTORS


def accept_queue() -> Finding:
    """Whether the accept queue's limit can be read, and is the one asked for."""
    with _listener(backlog=3) as listener:
        limit = accept_queue_limit(listener)
    return f"a backlog of 3 is {limit}", limit == 3


def exclusive() -> Finding:
    """Whether the kernel knows EPOLLEXCLUSIVE, and does not merely ignore it."""
    exclusive = select.EPOLLIN | select.EPOLLEXCLUSIVE
    with _listener() as listener, select.epoll() as ready:
        try:
            ready.register(listener, exclusive)
        except OSError as error:
            return _refused(error)
        try:
            ready.modify(listener, exclusive)
        except OSError as error:
            return ("yes", True) if error.errno == errno.EINVAL else _refused(error)
    return "ignored", False


def reuseport() -> Finding:
    """Whether two listeners can be bound to one port."""
    try:
        with _listener() as first, _listener(first.getsockname()[1]):
            return "yes", True
    except OSError as error:
        return _refused(error)


def steered_by_program() -> Finding:
    """Whether a program can choose among the listeners of a port."""
    with _listener() as listener:
        try:
            steering.steer_by_cpu(listener, 1)
        except OSError as error:
            return _refused(error)
    return "yes", True


def steered_by_cpu() -> Finding:
    """Whether a listener can be given a CPU."""
    with _listener() as listener:
        try:
            steering.prefer_cpu(listener, 0)
            kept = steering.incoming_cpu(listener)
        except OSError as error:
            return _refused(error)
    if kept == 0 and machine.kernel_version() < (6, 2):
        return "ignored by groups", False  # commit b261eda84ec1
    return ("yes", True) if kept == 0 else ("ignored", False)


def migration() -> Finding:
    """Whether tcp_migrate_req is there and may be written."""
    value = machine.sysctl("net.ipv4.tcp_migrate_req")
    if value is None:
        return "no such sysctl", False
    writable = os.access("/proc/sys/net/ipv4/tcp_migrate_req", os.W_OK)
    return f"{value}, {'writable' if writable else 'read-only'}", writable


def uring() -> Finding:
    """Whether a ring can be made, on a kernel whose rings accept."""
    if importlib.util.find_spec("liburing") is None:
        return "no liburing", False
    if machine.free_threaded_build():
        return "not tried, no GIL", False
    liburing = importlib.import_module("liburing")
    ring = liburing.Ring()
    try:
        liburing.io_uring_queue_init(2, ring, 0)
    except OSError as error:
        return _refused(error)
    liburing.io_uring_queue_exit(ring)
    return ("yes", True) if machine.kernel_version() >= (5, 5) else ("too old", False)


def uring_multishot() -> Finding:
    """Whether one request to a ring can accept many times."""
    here, works = uring()
    if works and machine.kernel_version() < (5, 19):
        return "too old", False
    return here, works


def tracing() -> Finding:
    """Whether tracefs is mounted and this user may trace."""
    mounts = map(str.split, read_text(ROOT / "proc/self/mounts").splitlines())
    points = [mount[1] for mount in mounts if mount[2:3] == ["tracefs"]]
    if not points:
        return "not mounted", os.geteuid() == 0  # root can, for the time of a trace
    allowed = any(os.access(f"{point}/instances", os.W_OK) for point in points)
    return ("yes", True) if allowed else ("no rights", False)


def ipv6() -> Finding:
    """Whether ::1 can be bound to."""
    try:
        with socket.socket(socket.AF_INET6) as listener:
            listener.bind(("::1", 0))
    except OSError as error:
        return _refused(error)
    return "yes", True


def gil() -> Finding:
    """Whether the threads of this interpreter run side by side."""
    build = "free-threaded" if machine.free_threaded_build() else "usual build"
    return f"{build}, GIL {'on' if machine.gil_on() else 'off'}", not machine.gil_on()


def compiler() -> Finding:
    """Whether Numba is installed."""
    found = importlib.util.find_spec("numba") is not None
    return "numba" if found else "no numba", found


def _refused(error: OSError) -> Finding:
    return f"refused: {errno.errorcode.get(error.errno or 0, 'error')}", False
