"""What a server's processes used: CPU time, memory, descriptors.

Facts. The kernel's schedstat has the time that a thread ran in nanoseconds, user and
system together. How it divides is in its stat, in ticks of 10 ms, and is an estimate:
at each timer interrupt the kernel looks which of the two it has interrupted, and then
scales both sums so that together they are the exact time. A thread that compiled for
half a minute carries the error of that half minute on.

Decision. The total is the sum of all threads' schedstat; stat only divides it. Both
are read per thread, so that what the main thread did at the start is not mixed with
what the workers do. The cost: over 3 seconds the total is good to a millionth, the
division to a few hundredths. Times of threads that end between two looks are lost; no
server here ends any. Memory is what belongs to the processes alone (USS); the
kernel's own, such as the sockets and their buffers, is not in it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import psutil

from netlab.kernel import threads


class Account(NamedTuple):
    """CPU time since the processes began."""

    cpu_ns: int
    user_ticks: int
    system_ticks: int

    def since(self, earlier: Account) -> tuple[float, float]:
        """Return user and system time since an earlier look, in microseconds."""
        total_us = (self.cpu_ns - earlier.cpu_ns) / 1000
        user = self.user_ticks - earlier.user_ticks
        ticks = user + self.system_ticks - earlier.system_ticks
        user_us = total_us * user / ticks if ticks else 0.0
        return user_us, total_us - user_us


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    try:
        below = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return [pid]
    return [pid, *(process.pid for process in below)]


def account(pid: int) -> Account:
    """Return what a process and its descendants used so far."""
    found = [
        _account_of_thread(one, int(tid))
        for one in tree(pid)
        for tid in os.listdir(f"/proc/{one}/task")
    ]
    return Account(*map(sum, zip(*found, strict=True)))


def _account_of_thread(pid: int, tid: int) -> Account:
    with open(f"/proc/{pid}/task/{tid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return Account(threads.usage_of(tid).cpu_ns, int(fields[11]), int(fields[12]))


def settle(pid: int) -> bool:
    """Wait until all threads of a process and its descendants sleep."""
    tids = [int(tid) for one in tree(pid) for tid in os.listdir(f"/proc/{one}/task")]
    return threads.settle(tids)


def memory_bytes(pid: int) -> int:
    """Return the memory that a process and its descendants alone have."""
    return sum(psutil.Process(one).memory_full_info().uss for one in tree(pid))


def descriptors(pid: int) -> int:
    """Return how many descriptors a process and its descendants have open."""
    return sum(psutil.Process(one).num_fds() for one in tree(pid))
