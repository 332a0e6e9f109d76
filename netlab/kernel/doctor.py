"""What this machine offers: a table of facts, each with its reason and remedy.

Facts: what can be built, measured or tried on a machine differs from kernel to
kernel, from container to container and from user to user; `probes` finds it out. A
reader wants to know three things of each: what is here, whether it can be relied on,
and if not, what to do.

Decision: a row of `ROWS` is a fact, with one sentence for either finding. The
sentences speak of the machine, whatever netlab makes of it. An unexpected error in a
probe becomes a row with the mode `unknown`.

    live      it is here and it works
    caution   netlab runs, but read the reason before you believe a number
    missing   it is not here; the reason says what it takes
    unknown   the probe itself failed

Cost: the modes are coarse, and what is enough (two CPUs, 4096 descriptors) is our
choice. Not in this file: anything that touches the machine.
"""

from __future__ import annotations

import platform
import shutil
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from netlab.kernel import probes
from netlab.kernel.probes import MANY_DESCRIPTORS, Finding

if TYPE_CHECKING:
    import pandas

Mode = Literal["live", "caution", "missing", "unknown"]
NARROW = 40  # columns left for the reason, below which it goes on lines of its own
NEEDS_LINUX = "Only Linux has it: use a Linux container or virtual machine."


class Fact(NamedTuple):
    """What was asked, what this machine has, how far it can be relied on, and why."""

    what: str
    here: str
    mode: Mode
    why: str


class Row(NamedTuple):
    """A fact to find out: `look` returns what is here and whether it is enough."""

    what: str
    look: Callable[[], Finding]
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
        return Fact(row.what, platform.system(), "missing", NEEDS_LINUX)
    try:
        here, enough = row.look()
    except Exception as error:  # whatever a strange machine comes up with
        why = f"The probe itself failed with {type(error).__name__} ({error}): tell us."
        return Fact(row.what, "probe failed", "unknown", why)
    mode = "live" if enough else row.otherwise
    return Fact(row.what, here, mode, row.good if enough else row.remedy)


# One fact is one paragraph; a line for each argument would double the table.
# fmt: off
ROWS = (
    Row("Linux", probes.system, "missing",
        "The kernel that the servers here are made for.",
        "Servers need Linux's epoll: use a Linux container or virtual machine.",
        linux_only=False),
    Row("kernel of its own", probes.own_kernel, "missing",
        "Who wakes whom is decided by Linux itself.",
        "An imitation of Linux has wait queues of its own: use Linux or WSL2."),
    Row("CPUs owned", probes.cpus, "missing",
        "Threads can be placed side by side, and where they run can be shown.",
        "Placement and speed-up need two: allow this process a second CPU.",
        linux_only=False),
    Row("CPU quota", probes.quota, "caution",
        "No cgroup limits the CPU time, as far as this process can see.",
        "Throttled workers look like an unfair kernel: lift the quota (docker --cpus) "
        "or trust counts only."),
    Row("epoll, eventfd, select", probes.waiting, "missing",
        "Every way to wait works.",
        "Workers cannot wait or be stopped: use an unfiltered Linux 2.6.27 or later."),
    Row("pin and name threads", probes.placing, "caution",
        "Threads can be bound to a CPU and found by name in ps -L.",
        "Workers may wander and stay anonymous: allow sched_setaffinity and /proc."),
    Row("account per thread", probes.accounts, "caution",
        "Wake-ups and the wait for a CPU are read without root.",
        "A column of the account will be empty: use a kernel with CONFIG_SCHED_INFO "
        "and an unmasked /proc."),
    Row("descriptors", probes.descriptors, "caution",
        "Each idle client costs one on either side: there is room for large bursts.",
        f"Large bursts do not fit: start with ulimit -Hn {MANY_DESCRIPTORS}."),
    Row("accept queue", probes.accept_queue, "caution",
        "The queue's length and limit can be read while a server runs.",
        "The queue stays unseen: raise net.core.somaxconn or use Linux itself."),
    Row("EPOLLEXCLUSIVE", probes.exclusive, "missing",
        "Waiters can be exclusive: a connection need not wake them all.",
        "Waiters cannot be exclusive before Linux 4.5: use a later one."),
    Row("SO_REUSEPORT", probes.reuseport, "missing",
        "Several listeners can share one port, each with a queue of its own.",
        "Listeners cannot share a port before Linux 3.9: use a later one."),
    Row("steering by program", probes.steered_by_program, "missing",
        "A small program can choose among the listeners of a port, without root.",
        "A program that chooses among listeners needs Linux 4.5 or later, without a "
        "filter on it."),
    Row("steering by option", probes.steered_by_cpu, "missing",
        "A listener can be given the CPU whose connections it prefers.",
        "A listener cannot be given a CPU (SO_INCOMING_CPU): use Linux 6.2 or later."),
    Row("tcp_migrate_req", probes.migration, "missing",
        "What waits at a listener that closes can be moved to another of its port.",
        "Moving what waits at a listener that closes needs Linux 5.14 and a writable "
        "/proc/sys: use root, or docker run --privileged."),
    Row("io_uring accept", probes.uring, "missing",
        "An accept can be asked for in advance, through io_uring.",
        "Accepts through io_uring need Linux 5.5, liburing and no filter: pip install "
        "liburing (a wheel for x86-64), and see kernel.io_uring_disabled and seccomp."),
    Row("io_uring multishot", probes.uring_multishot, "missing",
        "One request to io_uring can accept many connections.",
        "Multishot needs what io_uring accept needs, and Linux 5.19 or later."),
    Row("tracefs", probes.tracing, "missing",
        "The scheduler's own events can be traced.",
        "Tracing the scheduler needs root and tracefs: start Python with sudo."),
    Row("IPv6 loopback", probes.ipv6, "caution",
        "Servers can listen on ::1 as well.",
        "Use 127.0.0.1, or enable IPv6 (net.ipv6.conf.lo.disable_ipv6=0).",
        linux_only=False),
    Row("Python without GIL", probes.gil, "missing",
        "The threads of this Python run side by side.",
        "The threads of this Python take turns: side by side they run in a "
        "free-threaded one (conda-forge: python-freethreading, PYTHON_GIL=0).",
        linux_only=False),
    Row("Numba", probes.compiler, "missing",
        "Python code can be compiled, and then needs no GIL.",
        "Compiling Python code needs Numba: install it on the usual build of Python.",
        linux_only=False),
)
# fmt: on
