"""One thread as the kernel sees it: where it may run, its name, its account.

Facts. On Linux a thread is a task with a number of its own (the tid), its own
set of CPUs, its own name of at most 15 characters, and its own account: how
often it gave the CPU up because it had to wait (a voluntary context switch: it
slept, and something woke it later), how often the CPU was taken from it
(involuntary), and how long it ran. `getrusage(RUSAGE_THREAD)` gives a thread
its own account; /proc/TID gives anybody of the same user the same numbers for
any thread, without waking it and without root.

psutil reads the switches and the CPU number of a thread if it is given a tid,
but its `cpu_times()` for a tid is the whole process (psutil issue 1989), so
the time comes from /proc/TID/schedstat, whose first field is nanoseconds.

Decision. Wake-ups are read from outside. A worker that had to be asked would
have to be woken, and the question would be in the answer. A worker publishes
its own account only when it becomes ready and when it ends. Both views are the
same counter of the kernel; a test holds them against each other.

`settle` is how a count is made exact: it waits until every thread's account
has stood still for QUIET_S. A thread that waits for the GIL wakes every 5 ms
(sys.getswitchinterval) and so never looks asleep for long.

What may not be put here: what the threads do.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import psutil

NAME_LIMIT = 15  # characters: TASK_COMM_LEN is 16 with its final NUL
QUIET_S = 0.012  # more than two of the GIL's 5 ms switch intervals


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
    with _gone_if_missing(tid):
        switches = _view(tid).num_ctx_switches()
        with open(f"/proc/{tid}/schedstat", "rb", buffering=0) as schedstat:
            cpu_ns = int(schedstat.read().split()[0])
        return Usage(switches.voluntary, switches.involuntary, cpu_ns)


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


def settle(tids: Iterable[int], timeout_s: float = 5.0) -> bool:
    """Wait until none of the threads has run for QUIET_S; False if they never do.

    Threads that end meanwhile count as quiet.
    """
    deadline = time.monotonic() + timeout_s
    tids = tuple(tids)
    before = _accounts(tids)
    while time.monotonic() < deadline:
        time.sleep(QUIET_S)
        after = _accounts(tids)
        if after == before:
            return True
        before = after
    return False


def _accounts(tids: tuple[int, ...]) -> list[Usage | None]:
    return [_account(tid) for tid in tids]


def _account(tid: int) -> Usage | None:
    try:
        return usage_of(tid)
    except ThreadGone:
        return None
