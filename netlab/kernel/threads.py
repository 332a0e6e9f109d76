"""One thread as the kernel sees it: where it may run, its name, its account.

Facts. On Linux a thread is a task with a number of its own (the tid), its own
set of CPUs, its own name of at most 15 characters, and its own account: how
often it gave the CPU up because it had to wait (a voluntary context switch: it
slept, and something woke it later), how often the CPU was taken from it
(involuntary), and how long it ran. `getrusage(RUSAGE_THREAD)` gives a thread
its own account; /proc/TID gives anybody of the same user the same numbers for
any thread, without waking it and without root.

/proc/TID/status has the state and both kinds of switches in one read, and
/proc/TID/schedstat the time in nanoseconds. (psutil's `cpu_times()` for a tid is the
whole process, psutil issue 1989. The CPU number is psutil's.)

The kernel counts sleeps, not reasons: a thread that waits for the GIL sleeps too.

Decision. Wake-ups are read from outside. A worker that had to be asked would have to
be woken, and the question would be in the answer. A worker publishes its own account
only when it becomes ready and when it ends. Both views are the same counter of the
kernel; a test holds them against each other.

`settle` is how a count is made exact: it waits until every thread is asleep and its
account has stood still for QUIET_S. The account alone would not do: that of a thread
which waits for a CPU stands still as well. A thread that waits for the GIL wakes
every 5 ms (sys.getswitchinterval) and so never looks asleep for long.

What may not be put here: what the threads do.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import psutil

NAME_LIMIT = 15  # characters: TASK_COMM_LEN is 16 with its final NUL
QUIET_S = 0.012  # more than two of the GIL's 5 ms switch intervals
ASLEEP, GONE = "S", ""
STATUS = re.compile(  # the lines of /proc/TID/status that are asked for, in its order
    rb"^State:\s+(\S).*^voluntary_ctxt_switches:\s+(\d+)"
    rb"\s+^nonvoluntary_ctxt_switches:\s+(\d+)",
    re.MULTILINE | re.DOTALL,
)


class Usage(NamedTuple):
    """The kernel's account of one thread since it began."""

    wakeups: int
    """Voluntary context switches: the thread slept and was woken."""
    preemptions: int
    """Involuntary context switches: the CPU was taken from it."""
    cpu_ns: int
    """Time it ran, user and system, in nanoseconds."""


class ThreadGone(LookupError):
    """The thread ended, and the kernel has forgotten its account."""


def pin(cpus: Iterable[int], tid: int = 0) -> None:
    """Let thread `tid` (0: the caller) run on `cpus` only.

    Raises ValueError that names the CPUs that it may not use; the kernel would
    leave them out and say nothing, unless none remained.
    """
    cpus, before = set(cpus), os.sched_getaffinity(tid)
    try:
        os.sched_setaffinity(tid, cpus)
        missing = cpus - os.sched_getaffinity(tid)
    except (OSError, ValueError, OverflowError):  # none of them, or no CPU numbers
        missing = cpus
    if missing or not cpus:
        os.sched_setaffinity(tid, before)
        raise ValueError(
            f"cannot pin to CPUs {sorted(missing)}: "
            f"this thread may use {sorted(before)}"
        )


def set_name(name: str, tid: int) -> None:
    """Name a thread of this process, so that `ps -L` and `top -H` show it.

    Raises ValueError if `name` is longer than 15 bytes, the kernel's limit.
    """
    encoded = name.encode()
    if not 0 < len(encoded) <= NAME_LIMIT:
        raise ValueError(f"thread name {name!r}: 1 to {NAME_LIMIT} bytes are possible")
    with open(f"/proc/self/task/{tid}/comm", "wb", buffering=0) as comm:
        comm.write(encoded)


def own_usage() -> Usage:
    """Return the calling thread's account, by getrusage(RUSAGE_THREAD)."""
    import resource

    used = resource.getrusage(resource.RUSAGE_THREAD)
    cpu_ns = round((used.ru_utime + used.ru_stime) * 1e9)
    return Usage(used.ru_nvcsw, used.ru_nivcsw, cpu_ns)


def usage_of(tid: int) -> Usage:
    """Return the account of any living thread of this user, from outside.

    Raises ThreadGone if there is no such thread any more, OSError if this process
    has no descriptor left to look with.
    """
    return _look(tid)[1]


def cpu_of(tid: int) -> int:
    """Return the CPU that a living thread ran on last, or raise ThreadGone."""
    with _gone_if_missing(tid):
        return _view(tid).cpu_num()


def name_and_age(tid: int) -> tuple[str, float]:
    """Return a living thread's name, and the seconds since it began.

    The age counts from field 22 of /proc/TID/stat, clock ticks after the boot
    (proc_pid_stat(5)). psutil's `create_time()` adds the boot's time in whole
    seconds, which makes a young thread up to a second too old.
    """
    with _gone_if_missing(tid), open(f"/proc/{tid}/stat", "rb", buffering=0) as stat:
        head, _, fields = stat.read().rpartition(b")")
    began_s = int(fields.split()[19]) / os.sysconf("SC_CLK_TCK")
    name = head.partition(b"(")[2].decode(errors="replace")
    return name, time.clock_gettime(time.CLOCK_BOOTTIME) - began_s


def await_end(tids: Iterable[int], timeout_s: float = 1.0) -> None:
    """Wait until the kernel has forgotten these threads of this process.

    Python's `join` returns a moment earlier, when a thread's last Python code is
    done; until then `ps` still lists it.
    """
    deadline = time.monotonic() + timeout_s
    for tid in tids:
        while os.path.exists(f"/proc/self/task/{tid}"):
            if time.monotonic() > deadline:
                return
            time.sleep(0.0002)


def settle(tids: Iterable[int], timeout_s: float = 5.0) -> bool:
    """Wait until all threads have slept for QUIET_S; False if they never do.

    Threads that end meanwhile count as asleep.
    """
    deadline = time.monotonic() + timeout_s
    tids = tuple(tids)
    before = _looks(tids)
    while time.monotonic() < deadline:
        time.sleep(QUIET_S)
        after = _looks(tids)
        if after == before and {state for state, _ in after} <= {ASLEEP, GONE}:
            return True
        before = after
    return False


def _looks(tids: tuple[int, ...]) -> list[tuple[str, Usage | None]]:
    looks: list[tuple[str, Usage | None]] = []
    for tid in tids:
        try:
            looks.append(_look(tid))
        except ThreadGone:
            looks.append((GONE, None))
    return looks


def _look(tid: int) -> tuple[str, Usage]:
    """Return a thread's state and account; the switches are of one moment."""
    with _gone_if_missing(tid):
        with open(f"/proc/{tid}/status", "rb", buffering=0) as status:
            found = STATUS.search(status.read())
        if found is None:
            raise OSError(f"/proc/{tid}/status has no context switches to count")
        state, voluntary, involuntary = found.groups()
        usage = Usage(int(voluntary), int(involuntary), _cpu_ns(tid))
        return state.decode(), usage


def _cpu_ns(tid: int) -> int:
    """Return the time a thread ran; without a schedstat, to the clock tick."""
    try:
        with open(f"/proc/{tid}/schedstat", "rb", buffering=0) as schedstat:
            return int(schedstat.read().split()[0])
    except FileNotFoundError:
        # /proc/TID/stat would have the times of the whole process.
        with open(f"/proc/{tid}/task/{tid}/stat", "rb", buffering=0) as stat:
            fields = stat.read().rpartition(b")")[2].split()
        ticks = int(fields[11]) + int(fields[12])  # utime and stime
        return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _gone_if_missing(tid: int) -> Iterator[None]:
    import psutil

    gone = (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError, IndexError)
    try:
        yield
    except gone as error:  # not all of OSError: EMFILE does not end a thread
        raise ThreadGone(f"thread {tid} has ended") from error


@lru_cache(maxsize=1024)
def _view(tid: int) -> psutil.Process:
    import psutil

    return psutil.Process(tid)
