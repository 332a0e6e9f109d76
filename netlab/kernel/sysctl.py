"""A sysctl that is changed for a while, and put back whatever happens.

Facts. A sysctl belongs to the machine, or to its network namespace, and outlives
whoever wrote it. A `finally` is not run when its process is killed. But another process
that holds one end of a socket reads its end when the other is closed, and the kernel
closes all that a process had, however it went. Jupyter kills a kernel that does not
end in time together with its process group.

Decision. Such a guard always puts the value back, so that there is one way for all
ends: at the end of the block its socket is closed and its own end awaited. It inherits
the open file, asks for no rights of its own, and has a process group of its own. Users
within the process are counted: the first changes the value, the last puts it back; a
second value in between is refused. The file is locked (flock) until it is back, so that
no other process takes our value for the machine's.

Cost. Starting the guard takes as long as starting a Python. Known limits: a child that
this process forks without exec holds the socket too, and the guard then waits for its
end as well. What another program writes meanwhile is overwritten. Where the machine
kills both at once (the end of a container), the value stays. What may not be put here:
why a value is wanted.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netlab.kernel.child import Module, interrupts_held_back

FOLDER = Path("/proc/sys")
NAME = re.compile(r"[\w-]+(\.[\w-]+)+")
GUARD = "netlab.kernel.sysctl_guard"
VALUE_BYTES = 4096  # a sysctl's text is at most a page
START_TIMEOUT_S = 30.0  # a fresh Python, on a busy machine
END_TIMEOUT_S = 5.0  # a write and an exit


@contextmanager
def changed(name: str, value: int | str) -> Iterator[str]:
    """Have a sysctl at `value` within the block; yields what it was before.

    name: as sysctl(8) writes it, "net.ipv4.tcp_migrate_req". Raises PermissionError if
    it may not be written, FileNotFoundError if this kernel has none such, ValueError
    if the kernel refuses the value or the process holds it at another, and
    BlockingIOError if another process holds it.
    """
    held: _Held | None = None
    try:
        with interrupts_held_back():
            held = _enter(name, str(value))
        yield held.before.decode().strip()
    finally:
        with interrupts_held_back():
            if held is not None:
                _leave(name, held)


def _enter(name: str, value: str) -> _Held:
    with _LOCK:
        held = _HELD.get(name)
        if held is None:
            held = _HELD[name] = _Held(name, value)
        elif held.value != value:
            raise ValueError(
                f"{name}={value}: this process holds it at {held.value}; leave that "
                "block first"
            )
        held.users += 1
        return held


def _leave(name: str, held: _Held) -> None:
    with _LOCK:
        held.users -= 1
        if held.users == 0:
            del _HELD[name]
            held.end()


class _Held:
    """One sysctl at our value, with the guard that puts the old one back."""

    def __init__(self, name: str, value: str) -> None:
        self.value, self.users = value, 0
        file = _open(name)
        try:
            self.before = os.pread(file, VALUE_BYTES, 0)
            guard, control = _start_guard(file, self.before)
        except BaseException:
            os.close(file)
            raise
        self.end = weakref.finalize(
            self, _end, os.getpid(), guard, control, file, self.before
        )
        try:
            os.pwrite(file, f"{value}\n".encode(), 0)
        except OSError as error:
            self.end()
            raise _explained(error, name, value) from error


def _open(name: str) -> int:
    """Return the sysctl's file, locked against other processes."""
    import fcntl  # Linux's, as is all of this

    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no sysctl: write it as net.ipv4.tcp_migrate_req")
    try:
        file = os.open(FOLDER / name.replace(".", "/"), os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise _explained(error, name) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise _explained(error, name) from error
    return file


def _start_guard(file: int, before: bytes) -> tuple[Module, socket.socket]:
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            guard = Module(GUARD, theirs.fileno(), [file])
        _await_guard(guard, ours, b"%d\n%s" % (file, before))
    except BaseException:
        ours.close()
        raise
    return guard, ours


def _await_guard(guard: Module, control: socket.socket, order: bytes) -> None:
    """Tell the guard what it guards, and wait until it does."""
    control.settimeout(START_TIMEOUT_S)
    try:
        control.sendall(order)
        if not control.recv(1):
            raise ConnectionResetError
    except OSError as error:
        reason = f"the guard of a sysctl {guard.last_words()}"
        guard.end()
        raise RuntimeError(reason) from error


def _end(
    owner: int, guard: Module, control: socket.socket, file: int, before: bytes
) -> None:
    """Have the guard put the value back; do it for one that was killed."""
    control.close()
    if os.getpid() != owner:
        return  # a forked child ends: the value is its parent's
    guard.ended_within(END_TIMEOUT_S)
    guard.end()
    if os.pread(file, VALUE_BYTES, 0) != before:
        os.pwrite(file, before, 0)
    os.close(file)


def _explained(error: OSError, name: str, value: str | None = None) -> Exception:
    """Return the error that names the sysctl and what to do."""
    number = error.errno or 0
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionError(
            number,
            f"{name} may not be written ({error.strerror}): it takes root and a "
            "writable /proc/sys (docker run --privileged)",
        )
    if number == errno.ENOENT:
        return FileNotFoundError(
            number, f"{name}: this kernel has no such sysctl; see sysctl -a, or update"
        )
    if number == errno.EWOULDBLOCK:
        return BlockingIOError(
            number, f"{name}: another process has changed it; wait until that has ended"
        )
    return ValueError(f"{name}={value}: refused by the kernel ({error.strerror})")


_LOCK = threading.Lock()
_HELD: dict[str, _Held] = {}
