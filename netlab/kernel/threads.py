"""One thread as the kernel sees it: where it may run, its name, its account.

Facts. On Linux a thread is a task with a number of its own (the tid), its own
set of CPUs, its own name of at most 15 characters, and its own account: how
often it gave the CPU up because it had to wait (a voluntary context switch: it
slept, and something woke it later), how often the CPU was taken from it
(involuntary), and how long it ran. `getrusage(RUSAGE_THREAD)` gives a thread
its own account; /proc/TID gives anybody of the same user the same numbers for
any thread, without waking it and without root.

A thread's folder in /proc has the state and both kinds of switches in one read of
`status`, the time in nanoseconds in `schedstat`, and in `stat` the CPU it was last on.
The folder is /proc/TID/task/TID: /proc/TID/stat tells the times of the whole process,
and so does psutil's `cpu_times()` for a tid (psutil issue 1989).

Half of the time that a look takes is opening and closing the files. A file that stays
open can be read again from its beginning and tells the news. It belongs to the
thread, not to its number: when the thread is gone, reading fails, whoever has the
number by then. A system call by way of Python gives the GIL away, and beside busy
threads costs most by getting it back.

The kernel counts sleeps, not reasons: a thread that waits for the GIL sleeps too.

Decision. Wake-ups are read from outside. A worker that had to be asked would have to
be woken, and the question would be in the answer. A worker publishes its own account
only when it becomes ready and when it ends. Both views are the same counter of the
kernel; a test holds them against each other.

Who looks often looks in a `kept_open` block. What is kept belongs to the thread that
looks, so that nobody closes a file under another's hands, and is bounded by KEPT_LIMIT:
the server needs its descriptors for connections. Files of threads beyond that, and
all looks outside of such a block, open and close.

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
import threading
import time
from collections.abc import Iterable, Iterator
from io import FileIO
from typing import NamedTuple

from netlab.kernel import libc

NAME_LIMIT = 15  # characters: TASK_COMM_LEN is 16 with its final NUL
QUIET_S = 0.012  # more than two of the GIL's 5 ms switch intervals
ASLEEP, GONE = "S", ""
KEPT_LIMIT = 48  # descriptors: the three files of 16 threads
FILE_LIMIT = 1 << 16  # bytes: `status` has some 1600, more with many groups and nodes
FIRST_FIELD = 3  # of `stat` behind the name; the numbers are those of proc_pid_stat(5)
STATUS = re.compile(  # the lines of `status` that are asked for, in its order
    rb"^State:\s+(\S).*?^Tgid:\s+(\d+).*^voluntary_ctxt_switches:\s+(\d+)"
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


class _Files(threading.local):
    """The files that the calling thread keeps open, by tid and name."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, str], FileIO] = {}
        self.room = 0
        self.read_file = libc.reader(FILE_LIMIT)

    def read(self, tid: int, name: str) -> bytes:
        file = self.kept.get((tid, name))
        if file is None:
            return self._read_anew(tid, name)
        try:
            return self.read_file(file.fileno())
        except ProcessLookupError:
            self.close({tid})
            raise

    def _read_anew(self, tid: int, name: str) -> bytes:
        path = f"/proc/{tid}/task/{tid}/{name}"
        file = FileIO(path)  # no bare number: an interrupt may come now
        if len(self.kept) < self.room:
            self.kept[tid, name] = file
            return self.read(tid, name)
        with file:
            return self.read_file(file.fileno())

    def close(self, tids: set[int]) -> None:
        for key in [key for key in self.kept if key[0] in tids]:
            self.kept.pop(key).close()


_files = _Files()


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
    return int(_stat(tid)[1][39 - FIRST_FIELD])


def waited_ns(tid: int) -> int:
    """Return how long a living thread stood in run queues, in ns, or raise ThreadGone.

    A kernel without schedstat (CONFIG_SCHED_INFO) says the same of every thread.
    """
    return int(_read(tid, "schedstat").split()[1])


def process_of(tid: int) -> int:
    """Return the process that a living thread belongs to, or raise ThreadGone."""
    return int(_status(tid)[1])


def name_and_age(tid: int) -> tuple[str, float]:
    """Return a living thread's name, and the seconds since it began.

    The kernel counts the start in clock ticks after the boot. psutil's
    `create_time()` adds the boot's time in whole seconds, which makes a young
    thread up to a second too old.
    """
    name, fields = _stat(tid)
    began_s = int(fields[22 - FIRST_FIELD]) / os.sysconf("SC_CLK_TCK")
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - began_s
    return name.decode(errors="replace"), age_s


@contextlib.contextmanager
def kept_open() -> Iterator[None]:
    """Look faster: what the calling thread reads in the block stays open until its end.

    A thread's files are closed earlier, when it is found gone.
    """
    _files.room = KEPT_LIMIT
    try:
        yield
    finally:
        _files.room = 0
        _files.close({tid for tid, _ in _files.kept})


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
    state, _, voluntary, involuntary = _status(tid)
    usage = Usage(int(voluntary), int(involuntary), _cpu_ns(tid))
    return state.decode(), usage


def _cpu_ns(tid: int) -> int:
    """Return the time a thread ran; without a schedstat, to the clock tick."""
    try:
        return int(_read(tid, "schedstat").split()[0])
    except ThreadGone:  # or this kernel has no such file
        _, fields = _stat(tid)
        ticks = int(fields[14 - FIRST_FIELD]) + int(fields[15 - FIRST_FIELD])
        return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def _status(tid: int) -> tuple[bytes, ...]:
    """Return a thread's state, process, voluntary and involuntary switches."""
    found = STATUS.search(_read(tid, "status"))
    if found is None:
        raise OSError(f"/proc/{tid}/status has no context switches to count")
    return found.groups()


def _stat(tid: int) -> tuple[bytes, list[bytes]]:
    """Return a thread's name, and the fields behind it from FIRST_FIELD on."""
    head, _, fields = _read(tid, "stat").rpartition(b")")
    return head.partition(b"(")[2], fields.split()


def _read(tid: int, name: str) -> bytes:
    """Return one file of a thread's folder, or raise ThreadGone."""
    try:
        return _files.read(tid, name)
    except (FileNotFoundError, ProcessLookupError) as error:
        # Not all of OSError: being out of descriptors does not end a thread.
        raise ThreadGone(f"thread {tid} has ended") from error
