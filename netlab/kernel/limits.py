"""How much of the machine this process may have: descriptors and CPU time.

Descriptors. Every socket, epoll and eventfd is one, and a process may hold as many as
its soft limit (often 1,024) allows; then `accept` fails with EMFILE, although the
connection stays in the queue and keeps waking the workers. The soft limit may be moved
up to the hard one. Both belong to the whole process: were each of two overlapping runs
to put back what it had found, the first to end would take the descriptors away from
the other. So users are counted under a lock: the first remembers the reader's value,
each may raise it further, the last puts it back. The cost: in between the highest wish
stands. The limit is never lowered below what somebody else has set, and the hard one
is never touched, not even by root: it belongs to whoever started the process.

CPU time. A cgroup's quota is time per period, not CPUs, and every group on the way from
the process to the root may have one: the tightest wins. v2 has one tree and a file
`cpu.max` ("200000 100000", "max 100000"); v1 has a tree per controller, and
`cpu.cfs_quota_us` (-1 is none) beside `cpu.cfs_period_us`; a hybrid machine has both.
/proc/self/cgroup names our group in each tree, /proc/self/mountinfo says where a tree
is mounted and which group is its top. Both speak from inside our cgroup namespace: a
leading "/.." is outside. A process that has used up its quota stands still until the
period ends, which looks like an unfair kernel on a plot. So every file is optional, all
that are found are read, junk counts as absent, and `throttling` adds up all groups on
the way, to be recorded before and after a run. The cost: a limit above the topmost
visible group cannot be seen.
"""

from __future__ import annotations

import errno
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

ROOT = Path("/")
Number = TypeVar("Number", int, float)
UNLIMITED = sys.maxsize  # what RLIM_INFINITY means, in a number that compares


class Throttling(NamedTuple):
    """How often the quota stopped this process's groups; None where it is unknown."""

    periods: int | None
    throttled: int | None
    throttled_ms: float | None

    def since(self, earlier: Throttling) -> Throttling:
        """The difference to an earlier reading, None where either is unknown."""
        return Throttling(
            _difference(self.periods, earlier.periods),
            _difference(self.throttled, earlier.throttled),
            _difference(self.throttled_ms, earlier.throttled_ms),
        )


def descriptor_limits() -> tuple[int, int]:
    """The soft and the hard limit; `UNLIMITED` where the system sets none (Windows)."""
    try:
        import resource
    except ImportError:
        return UNLIMITED, UNLIMITED
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (UNLIMITED if n == resource.RLIM_INFINITY else n for n in limits)
    return soft, hard


@contextmanager
def raised_descriptor_limit(wanted: int, *, at_most: bool = False) -> Iterator[int]:
    """Have at least `wanted` descriptors within the block; yield the soft limit held.

    Raises OSError (EMFILE) if the hard limit is below `wanted`; with `at_most=True`
    the hard limit is taken instead, and the number yielded says so.
    """
    if wanted < 1:
        raise ValueError(f"wanted {wanted} descriptors: ask for 1 or more")
    held = _SOFT_LIMIT.enter(wanted, at_most)
    try:
        yield held
    finally:
        _SOFT_LIMIT.leave()


def cpu_quota(root: Path = ROOT) -> float | None:
    """CPUs' worth of time by the tightest cgroup on the way up; None if unlimited."""
    quotas = [_quota(group) for group in _cpu_groups(root)]
    return min((quota for quota in quotas if quota is not None), default=None)


def throttling(root: Path = ROOT) -> Throttling:
    """Periods, throttled periods and the time lost, over all groups on the way up."""
    stats = [_numbers(read_text(group / "cpu.stat")) for group in _cpu_groups(root)]
    known = [stat for stat in stats if {"nr_periods", "nr_throttled"} <= stat.keys()]
    if not known:
        return Throttling(None, None, None)
    return Throttling(
        sum(stat["nr_periods"] for stat in known),
        sum(stat["nr_throttled"] for stat in known),
        sum(  # microseconds in v2, nanoseconds in v1
            stat.get("throttled_usec", 0) / 1e3 + stat.get("throttled_time", 0) / 1e6
            for stat in known
        ),
    )


def read_text(path: Path) -> str:
    """The file's text, or nothing: no file here is sure to exist or to be readable."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


class _SoftLimit:
    """The one soft limit of this process, and how many users need it raised."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.before = self.ours = 0

    def enter(self, wanted: int, at_most: bool) -> int:
        with self.lock:
            soft, hard = descriptor_limits()
            if self.users == 0:
                self.before = self.ours = soft
            goal = min(wanted, hard) if at_most else wanted
            if goal > soft:
                _set_soft(goal, hard)
                self.ours = soft = goal
            self.users += 1
            return soft

    def leave(self) -> None:
        with self.lock:
            self.users -= 1
            soft, hard = descriptor_limits()
            untouched = soft == self.ours  # else somebody else has set it: leave it
            if self.users == 0 and untouched and soft != self.before:
                _set_soft(self.before, hard)


_SOFT_LIMIT = _SoftLimit()


def _set_soft(wanted: int, hard: int) -> None:
    import resource

    if wanted > hard:
        raise OSError(errno.EMFILE, _too_many(wanted, hard))
    _, hard_as_is = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard_as_is))
    except (ValueError, OSError) as cause:  # macOS: kern.maxfilesperproc is lower
        raise OSError(errno.EMFILE, _too_many(wanted, hard)) from cause


def _too_many(wanted: int, hard: int) -> str:
    return (
        f"wanted {wanted} descriptors, but this process may have {hard} (hard limit): "
        f"ask for less, or start it with a higher limit (ulimit -Hn {wanted} as root, "
        f"docker run --ulimit nofile={wanted}, systemd LimitNOFILE={wanted})"
    )


def _cpu_groups(root: Path) -> list[Path]:
    """The folder of every visible group, of v1 or v2, that limits this process."""
    paths = _own_paths(root)
    groups: dict[tuple[str, PurePosixPath], Path] = {}  # a tree may be mounted twice
    for controller, top, point in _cgroup_mounts(root):
        beneath = _beneath(paths.get(controller, ""), top)
        if beneath is None:
            continue
        for group in (beneath, *beneath.parents):
            folder = root / point.lstrip("/") / group
            groups.setdefault((controller, PurePosixPath(top, group)), folder)
    return list(groups.values())


def _own_paths(root: Path) -> dict[str, str]:
    """Controller -> this process's group; the controller "" is the tree of v2."""
    paths = {}
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def _cgroup_mounts(root: Path) -> Iterator[tuple[str, str, str]]:
    """Controller, topmost group and mount point of each tree that may hold a quota."""
    for line in read_text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        mount, kind = before.split(), after.split()
        if len(mount) < 5 or not kind:
            continue
        if kind[0] == "cgroup2":
            yield "", mount[3], mount[4]
        elif kind[0] == "cgroup" and "cpu" in kind[-1].split(","):
            yield "cpu", mount[3], mount[4]


def _beneath(path: str, top: str) -> PurePosixPath | None:
    """The group `path` as seen from the mount's `top`; None if it lies elsewhere."""
    try:
        beneath = PurePosixPath(path).relative_to(top)
    except ValueError:  # a top of "/.." is an ancestor outside of our namespace
        above = bool(path) and set(PurePosixPath(top).parts) == {"/", ".."}
        return PurePosixPath() if above else None
    return None if ".." in beneath.parts else beneath


def _quota(group: Path) -> float | None:
    text = read_text(group / "cpu.max") or " ".join(
        read_text(group / name) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    )
    try:
        quota_us, period_us = map(int, text.split())
    except ValueError:  # "max 100000", no such file, or junk
        return None
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None


def _difference(now: Number | None, before: Number | None) -> Number | None:
    return None if now is None or before is None else now - before


def _numbers(text: str) -> dict[str, int]:
    return {name: int(n) for name, n in re.findall(r"^(\w+) (\d+)$", text, re.M)}
