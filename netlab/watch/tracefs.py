"""Tracefs, and an instance in it that nobody else sees and nothing survives.

Facts. The files by which the kernel is told what to trace are a file system of root's,
tracefs, which often is not mounted. Tracing is one for the whole machine, but a folder
made in `instances` is a tracer of its own, with its events, filter, clock and buffers,
and all of it is gone with the folder. Folders stay when their maker is killed, and so
do mounts. The numbers of threads in a trace are those of the outermost container.

Decision. Each trace has an instance of its own, named with its process, and removes it
whatever happens; what a killed process left, the next trace removes. If tracefs is
mounted it is used where it is. If not, it is mounted on a new folder, held by a
descriptor and taken off the folder at once (`umount -l`): by way of the descriptor
this process can use it, nobody else has seen it but for a few milliseconds, and the
kernel drops it with the descriptor, also after a kill. A mount at /sys/kernel/tracing
would be simpler, and would change what other programs find there.

Cost. Two programs are run, some 5 ms.

What may not be put here: which events are traced.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MOUNTED_AT = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
FIRST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO (include/linux/proc_ns.h)
INSTANCE = re.compile(r"netlab-(\d+)-\d+")
_numbers = itertools.count()


def available() -> str | None:
    """Return None if threads can be traced here, else the reason and the remedy."""
    try:
        with root():
            return None
    except OSError as error:
        return str(error)


@contextmanager
def root() -> Iterator[Path]:
    """Give the root of tracefs: where it is mounted, or out of everybody's sight.

    Raises PermissionError or OSError with the reason and the remedy.
    """
    _refuse_where_impossible()
    for point in MOUNTED_AT:
        if os.access(f"{point}/instances", os.W_OK):
            yield Path(point)
            return
    descriptor = _mount_unseen()
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _refuse_where_impossible() -> None:
    if sys.platform != "linux":
        raise OSError(
            f"tracing needs Linux and this is {sys.platform}: use a recorded trace"
        )
    if os.geteuid() != 0:
        raise PermissionError(
            "tracing the scheduler needs root: start Python with sudo, or use a "
            "recorded trace"
        )
    if os.readlink("/proc/self/ns/pid") != FIRST_PID_NAMESPACE:
        raise OSError(
            "the kernel's trace has other thread numbers than this container: start it "
            "with docker run --pid=host --privileged, or use a recorded trace"
        )


def _mount_unseen() -> int:
    """Return a descriptor of a mounted tracefs that has no place among the folders."""
    with tempfile.TemporaryDirectory(prefix="netlab-tracefs-") as folder:
        mounting = ("mount", "-t", "tracefs", "tracefs", folder)
        done = subprocess.run(mounting, capture_output=True, text=True)
        if done.returncode:
            raise OSError(
                f"tracefs cannot be mounted ({done.stderr.strip()}): use a kernel that "
                "has it, or docker run --privileged, or a recorded trace"
            )
        try:
            return os.open(folder, os.O_PATH | os.O_DIRECTORY)
        finally:
            subprocess.run(("umount", "-l", folder), check=True)


@contextmanager
def instance() -> Iterator[Path]:
    """Give the folder of an own instance of tracing, for the time of the block.

    Raises PermissionError or OSError with the reason and the remedy.
    """
    with root() as folder:
        yield from _made(folder / "instances")


def _made(instances: Path) -> Iterator[Path]:
    _remove_leftovers(instances)
    folder = instances / f"netlab-{os.getpid()}-{next(_numbers)}"
    try:
        folder.mkdir()
        yield folder
    finally:
        with suppress(FileNotFoundError):  # an interrupt came before it was made
            folder.rmdir()


def _remove_leftovers(instances: Path) -> None:
    """Remove the instances of processes that were killed."""
    for folder in instances.iterdir():
        found = INSTANCE.fullmatch(folder.name)
        if found and not os.path.exists(f"/proc/{found[1]}"):
            with suppress(OSError):  # another trace removes it at this moment
                folder.rmdir()
