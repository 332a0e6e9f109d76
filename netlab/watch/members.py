"""The members of a server from elsewhere: its processes found, its threads seen."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

import psutil

from netlab.kernel import threads
from netlab.kernel.threads import Usage

NOTHING = Usage(0, 0, 0)
COLUMNS = (
    *("pid", "tid", "role", "comm", "psr"),
    *Usage._fields,
    *("new", "ended", "time_ns"),
)


class Member(NamedTuple):
    """One thread of the server, as it was last seen."""

    pid: int
    tid: int
    role: str
    new: bool
    ended: bool = False
    comm: str = ""
    psr: int = -1
    time_ns: int = 0
    before: Usage = NOTHING
    usage: Usage = NOTHING

    def seen(self) -> Member:
        """Return it as it is now; as it was last seen, and ended, if it is gone."""
        if self.ended:
            return self
        try:
            comm, _ = threads.name_and_age(self.tid)
            psr, usage = threads.cpu_of(self.tid), threads.usage_of(self.tid)
        except threads.ThreadGone:
            return self._replace(ended=True)
        now_ns = time.monotonic_ns()
        return self._replace(comm=comm, psr=psr, usage=usage, time_ns=now_ns)

    def counted(self) -> Usage:
        """Return what it did while it was watched."""
        pairs = zip(self.usage, self.before, strict=True)
        return Usage(*(now - before for now, before in pairs))

    def row(self) -> tuple[object, ...]:
        """Return its row of `Attached.table`."""
        place = (self.pid, self.tid, self.role, self.comm, self.psr)
        return (*place, *self.counted(), self.new, self.ended, self.time_ns)


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes that descend from a process, by number."""
    try:
        found = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return sorted(found, key=lambda process: process.pid)


def lives(process: psutil.Process) -> bool:
    """Return whether any thread of a process lives; the first may end before others."""
    try:
        if not process.is_running():
            return False
        ended = process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    return not ended or len(tids_of(process.pid)) > 1


def tids_of(pid: int) -> list[int]:
    """Return the numbers of a process's threads; none if it is gone."""
    try:
        return sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return []
