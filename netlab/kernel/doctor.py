"""What this machine can show: a table of facts, each with its reason and remedy.

Facts: what a page can show live depends on more than the kernel's version. A seccomp
filter switches io_uring off, a container makes /proc/sys read-only, gVisor answers
the calls of Linux with waiters and orders of its own, distributions backport. And an
old kernel may accept what it does not know: before 4.5, `epoll_ctl` ignored the
bit EPOLLEXCLUSIVE, so that success proved nothing. There the proof is a refusal: a
kernel that knows the bit answers EPOLL_CTL_MOD with EINVAL.

Decision: a row of `ROWS` is a fact, and its function tries the thing where trying is
harmless, on sockets, epolls and threads of its own that are gone when it returns.
Versions are compared only where nothing can be tried (multishot accept). Nothing is
mounted, written to a sysctl or raised; affinity and name are tried on a short-lived
thread. A free-threaded interpreter imports no extension here: it could bring the GIL
back. An unexpected error becomes a row with the mode `unknown`.

    live      shown on this machine
    caution   shown on this machine, but read the reason before you believe a number
    replayed  the page draws the recording, and a run that asks for it is refused
    unknown   the probe itself failed

Cost: a probe shows that the thing works here and now, for this user; not that it is
fast, nor that the kernel's rule behind it is the one of the recordings.
"""

from __future__ import annotations

import array
import errno
import importlib
import importlib.util
import os
import platform
import select
import shutil
import socket
import struct
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

from netlab.kernel import machine
from netlab.kernel.backlog import accept_queue_limit
from netlab.kernel.limits import (
    ROOT,
    cpu_quota,
    descriptor_limits,
    read_text,
    throttling,
)

if TYPE_CHECKING:
    import pandas

Mode = Literal["live", "caution", "replayed", "unknown"]
MANY_DESCRIPTORS = 4096  # a burst of idle clients that shows who takes them all
SO_ATTACH_REUSEPORT_CBPF = 51  # include/uapi/asm-generic/socket.h (not on SPARC)
BPF_RETURN_0 = struct.pack("HBBI", 0x06, 0, 0, 0)  # one instruction: always socket 0
NARROW = 40  # columns left for the reason, below which it goes on lines of its own
NEEDS_LINUX = "Only Linux has it: use a Linux container or virtual machine to see it."


class Fact(NamedTuple):
    """What was asked, what this machine has, how pages show it, reason and remedy."""

    what: str
    here: str
    mode: Mode
    why: str


class Row(NamedTuple):
    """A fact to find out: `look` returns what is here and whether it is enough."""

    what: str
    look: Callable[[], tuple[str, bool]]
    otherwise: Mode
    good: str
    remedy: str
    linux_only: bool = True


def facts(rows: Sequence[Row] | None = None) -> list[Fact]:
    """Probe this machine, row by row; never raises and leaves nothing behind."""
    return [_fact(row) for row in (ROWS if rows is None else rows)]


def doctor() -> pandas.DataFrame:
    """The facts as a table with the columns what, here, mode and why."""
    import pandas

    return pandas.DataFrame(facts(), columns=list(Fact._fields))


def as_text(found: Sequence[Fact], width: int | None = None) -> str:
    """The facts as aligned lines, wrapped to `width` (default: the terminal's)."""
    width = width or shutil.get_terminal_size().columns
    sizes = [max((len(fact[i]) for fact in found), default=0) for i in range(3)]
    left = sum(sizes) + 2 * len(sizes)
    beside = width - left >= NARROW
    lines = []
    for fact in found:
        head = "".join(f"{cell:<{n}}  " for cell, n in zip(fact, sizes, strict=False))
        indent = " " * (left if beside else 4)
        room = max(20, width - len(indent))
        wrapped = textwrap.wrap(fact.why, room, break_on_hyphens=False)
        why = [indent + line for line in wrapped]
        lines += [head + why[0][left:], *why[1:]] if beside else [head.rstrip(), *why]
    return "\n".join(lines)


def _fact(row: Row) -> Fact:
    if row.linux_only and platform.system() != "Linux":
        return Fact(row.what, platform.system(), "replayed", NEEDS_LINUX)
    try:
        here, enough = row.look()
    except Exception as error:  # whatever a strange machine comes up with
        why = f"The probe itself failed with {type(error).__name__} ({error}): tell us."
        return Fact(row.what, "probe failed", "unknown", why)
    mode = "live" if enough else row.otherwise
    return Fact(row.what, here, mode, row.good if enough else row.remedy)


@contextmanager
def _listener(port: int = 0, backlog: int = 8) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(backlog)
        yield listener


def _system() -> tuple[str, bool]:
    major, minor = machine.kernel_version()
    here = platform.system()
    return (f"{here} {major}.{minor}", True) if here == "Linux" else (here, False)


def _own_kernel() -> tuple[str, bool]:
    hints = machine.hints()
    return ", ".join(hints) or "no sign", not {"gVisor", "WSL1"} & set(hints)


def _cpus() -> tuple[str, bool]:
    owned = machine.cpus_owned()
    return f"{owned} of {machine.cpus_visible()}", owned >= 2


def _quota() -> tuple[str, bool]:
    quota, spent = cpu_quota(), throttling()
    if quota is None:
        return "none", True
    return f"{quota:g}, throttled {spent.throttled or 0} times", False


def _waiting() -> tuple[str, bool]:
    with select.epoll() as ready:
        stop = os.eventfd(1)
        try:
            ready.register(stop, select.EPOLLIN)
            woken = ready.poll(0) and select.select([stop], [], [], 0)[0]
        finally:
            os.close(stop)
    return ("all three", True) if woken else ("not woken", False)


def _placing() -> tuple[str, bool]:
    with ThreadPoolExecutor(1) as pool:  # its one thread is gone after the block
        return pool.submit(_pin_and_name).result()


def _pin_and_name() -> tuple[str, bool]:
    cpu, path = min(os.sched_getaffinity(0)), f"task/{threading.get_native_id()}/comm"
    try:
        os.sched_setaffinity(0, {cpu})
        (ROOT / "proc/self" / path).write_text("netlab-doctor")
    except OSError as error:
        return _refused(error)
    named = (ROOT / "proc/self" / path).read_text() == "netlab-doctor\n"
    pinned = os.sched_getaffinity(0) == {cpu}
    return ("yes", True) if named and pinned else ("ignored", False)


def _accounts() -> tuple[str, bool]:
    own = ROOT / "proc/self/task" / str(threading.get_native_id())
    has = {
        "switches": "voluntary_ctxt_switches" in read_text(own / "status"),
        "schedstat": len(read_text(own / "schedstat").split()) == 3,
    }
    return ", ".join(name for name in has if has[name]) or "none", all(has.values())


def _descriptors() -> tuple[str, bool]:
    soft, hard = descriptor_limits()
    return f"soft {soft}, hard {hard}", hard >= MANY_DESCRIPTORS


def _accept_queue() -> tuple[str, bool]:
    with _listener(backlog=3) as listener:
        limit = accept_queue_limit(listener)
    return f"a backlog of 3 is {limit}", limit == 3


def _exclusive() -> tuple[str, bool]:
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


def _reuseport() -> tuple[str, bool]:
    try:
        with _listener() as first, _listener(first.getsockname()[1]):
            return "yes", True
    except OSError as error:
        return _refused(error)


def _steered_by_program() -> tuple[str, bool]:
    code = array.array("B", BPF_RETURN_0)  # struct sock_fprog: a length and an address
    program = struct.pack("HP", 1, code.buffer_info()[0])
    with _listener() as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)
        except OSError as error:
            return _refused(error)
    return "yes", True


def _steered_by_cpu() -> tuple[str, bool]:
    with _listener() as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_INCOMING_CPU, 0)
            kept = listener.getsockopt(socket.SOL_SOCKET, socket.SO_INCOMING_CPU)
        except OSError as error:
            return _refused(error)
    return ("yes", True) if kept == 0 else ("ignored", False)


def _migration() -> tuple[str, bool]:
    value = machine.sysctl("net.ipv4.tcp_migrate_req")
    if value is None:
        return "no such sysctl", False
    writable = os.access("/proc/sys/net/ipv4/tcp_migrate_req", os.W_OK)
    return f"{value}, {'writable' if writable else 'read-only'}", writable


def _uring() -> tuple[str, bool]:
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


def _uring_multishot() -> tuple[str, bool]:
    here, works = _uring()
    if works and machine.kernel_version() < (5, 19):
        return "too old", False
    return here, works


def _tracing() -> tuple[str, bool]:
    mounts = map(str.split, read_text(ROOT / "proc/self/mounts").splitlines())
    points = [mount[1] for mount in mounts if mount[2:3] == ["tracefs"]]
    if not points:
        return "not mounted", False
    allowed = any(os.access(f"{point}/instances", os.W_OK) for point in points)
    return ("yes", True) if allowed else ("no rights", False)


def _ipv6() -> tuple[str, bool]:
    try:
        with socket.socket(socket.AF_INET6) as listener:
            listener.bind(("::1", 0))
    except OSError as error:
        return _refused(error)
    return "yes", True


def _gil() -> tuple[str, bool]:
    build = "free-threaded" if machine.free_threaded_build() else "usual build"
    return f"{build}, GIL {'on' if machine.gil_on() else 'off'}", not machine.gil_on()


def _compiler() -> tuple[str, bool]:
    found = importlib.util.find_spec("numba") is not None
    return "numba" if found else "no numba", found


def _refused(error: OSError) -> tuple[str, bool]:
    return f"refused: {errno.errorcode.get(error.errno or 0, 'error')}", False


# One fact is one paragraph; a line for each argument would double the table.
# fmt: off
ROWS = (
    Row("Linux", _system, "replayed",
        "Servers are built and measured on this kernel.",
        "Servers need Linux's epoll: use a Linux container or virtual machine.",
        linux_only=False),
    Row("kernel of its own", _own_kernel, "replayed",
        "Who wakes whom is decided by Linux itself.",
        "An imitation of Linux has wait queues of its own: use Linux or WSL2."),
    Row("CPUs owned", _cpus, "replayed",
        "Workers run side by side, and where they run can be shown.",
        "Placement and speed-up need two: allow this process a second CPU.",
        linux_only=False),
    Row("CPU quota", _quota, "caution",
        "No cgroup limits the CPU time, as far as this process can see.",
        "Throttled workers look like an unfair kernel: lift the quota (docker --cpus) "
        "or trust counts only."),
    Row("epoll, eventfd, select", _waiting, "replayed",
        "Every way to wait works.",
        "Workers cannot wait or be stopped: use an unfiltered Linux 2.6.27 or later."),
    Row("pin and name threads", _placing, "caution",
        "Workers can be bound to a CPU and found by name in ps -L.",
        "Workers may wander and stay anonymous: allow sched_setaffinity and /proc."),
    Row("account per thread", _accounts, "caution",
        "Wake-ups and the wait for a CPU are read without root.",
        "A column of the account will be empty: use a kernel with CONFIG_SCHED_INFO "
        "and an unmasked /proc."),
    Row("descriptors", _descriptors, "caution",
        "Each idle client costs one on either side, and a run raises the soft limit.",
        f"Large bursts are cut to fit: start with ulimit -Hn {MANY_DESCRIPTORS}."),
    Row("accept queue", _accept_queue, "caution",
        "The queue's length and limit can be read while a server runs.",
        "The queue stays unseen: raise net.core.somaxconn or use Linux itself."),
    Row("EPOLLEXCLUSIVE", _exclusive, "replayed",
        "The strategies exclusive and exclusive-rotate run.",
        "The strategies exclusive and exclusive-rotate need Linux 4.5 or later."),
    Row("SO_REUSEPORT", _reuseport, "replayed",
        "Every worker can have a listener of its own on one port.",
        "The strategies reuseport and reuseport-... need Linux 3.9 or later."),
    Row("steering by program", _steered_by_program, "replayed",
        "The strategy reuseport-cpu runs, without root.",
        "The strategy reuseport-cpu needs Linux 4.5 or later without a filter on it."),
    Row("steering by option", _steered_by_cpu, "replayed",
        "The strategy reuseport-incoming-cpu runs.",
        "The strategy reuseport-incoming-cpu needs SO_INCOMING_CPU: use Linux 4.4 or "
        "later."),
    Row("tcp_migrate_req", _migration, "replayed",
        "The strategy reuseport-migrate can set the sysctl and put it back.",
        "The strategy reuseport-migrate needs Linux 5.14 and a writable /proc/sys: "
        "use root, or docker run --privileged."),
    Row("io_uring accept", _uring, "replayed",
        "The strategy uring-accept runs.",
        "The strategy uring-accept needs Linux 5.5, liburing and no filter: pip "
        "install liburing, and see kernel.io_uring_disabled and seccomp."),
    Row("io_uring multishot", _uring_multishot, "replayed",
        "The strategy uring-multishot runs.",
        "The strategy uring-multishot needs what uring-accept needs, on Linux 5.19 or "
        "later."),
    Row("x-ray (tracefs)", _tracing, "replayed",
        "The scheduler's own events can be traced.",
        "The x-ray needs root and tracefs: mount -t tracefs tracefs "
        "/sys/kernel/tracing."),
    Row("IPv6 loopback", _ipv6, "caution",
        "Servers can listen on ::1 as well.",
        "Use 127.0.0.1, or enable IPv6 (net.ipv6.conf.lo.disable_ipv6=0).",
        linux_only=False),
    Row("Python without GIL", _gil, "replayed",
        "The interpreted workers run side by side.",
        "Runs without the GIL need a free-threaded Python (conda-forge: "
        "python-freethreading), started with PYTHON_GIL=0 if need be.",
        linux_only=False),
    Row("compiled engine", _compiler, "replayed",
        "Compiled workers show the kernel without the GIL.",
        "The compiled engine needs Numba: install numba on the usual build of Python.",
        linux_only=False),
)
# fmt: on
