"""The C library's functions that Python does not offer; the only ctypes here.

Facts. Python has no `sched_getcpu` (which CPU is this thread on, right now), and
its `socket` and `select` cannot be called by compiled loops. A `ctypes.CDLL` function
gives the GIL away for the length of the call, a `ctypes.PyDLL` function keeps it.
Giving it away invites another worker to take it, so a call that only asks for a
number would add the very context switches that netlab counts.

Decision. `sched_getcpu` is reached through PyDLL. It costs about 80 ns (Python 3.11,
an idle 2.8 GHz Xeon) and is read once a turn, because a thread that is not pinned
may move at any time and an answer that names its CPU should name the one it was
served on.

FUNCTIONS lists what the compiled loops call, as words that both Numba and ctypes can
be given (`native` does that). A pointer is an int64 there, and so is a size: 64-bit
machines only.

What may not be put here: anything that decides, loops or keeps state.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

FUNCTIONS: dict[str, tuple[str, ...]] = {  # name: result, arguments
    "accept4": ("int32", "int32", "int64", "int64", "int32"),
    "bind": ("int32", "int32", "int64", "int32"),
    "clock_gettime": ("int32", "int32", "int64"),
    "close": ("int32", "int32"),
    "connect": ("int32", "int32", "int64", "int32"),
    "epoll_ctl": ("int32", "int32", "int32", "int32", "int64"),
    "epoll_wait": ("int32", "int32", "int64", "int32", "int32"),
    "free": ("int64", "int64"),  # returns nothing: never look at it
    "getsockname": ("int32", "int32", "int64", "int64"),
    "getsockopt": ("int32", "int32", "int32", "int32", "int64", "int64"),
    "getrlimit": ("int32", "int32", "int64"),
    "malloc": ("int64", "int64"),
    "memcpy": ("int64", "int64", "int64", "int64"),
    "poll": ("int32", "int64", "int64", "int32"),
    "recv": ("int64", "int32", "int64", "int64", "int32"),
    "sched_getcpu": ("int32",),
    "select": ("int32", "int32", "int64", "int64", "int64", "int64"),
    "send": ("int64", "int32", "int64", "int64", "int32"),
    "setsockopt": ("int32", "int32", "int32", "int32", "int64", "int32"),
    "shutdown": ("int32", "int32", "int32"),
    "socket": ("int32", "int32", "int32", "int32"),
    "timerfd_create": ("int32", "int32", "int32"),
    "timerfd_settime": ("int32", "int32", "int32", "int64", "int64"),
}
# Linux's numbers, the same on x86-64 and Arm (include/uapi).
EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD = 1, 2, 3
SOCK_NONBLOCK, SOCK_CLOEXEC = 0o4000, 0o2000000
MSG_NOSIGNAL = 0x4000
CLOCK_MONOTONIC = 1
PR_SET_PDEATHSIG = 1

_TYPES = {"int32": ctypes.c_int32, "int64": ctypes.c_int64}


def function(name: str) -> Callable[..., int]:
    """Return a function of FUNCTIONS for Python to call; `last_error` after it."""
    result, *arguments = FUNCTIONS[name]
    found = getattr(_library(), name)
    found.restype = _TYPES[result]
    found.argtypes = [_TYPES[argument] for argument in arguments]
    return found


def reader(most: int) -> Callable[[int], bytes]:
    """Return a function that reads a file from its beginning, at most so many bytes.

    It is for one thread. It keeps the GIL: for files of /proc, which are short to read.
    It raises OSError as `os.pread` does.
    """
    pread = ctypes.PyDLL(None, use_errno=True).pread
    pread.restype = ctypes.c_ssize_t
    pread.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64]
    buffer = ctypes.create_string_buffer(most)

    def read(descriptor: int) -> bytes:
        size = pread(descriptor, buffer, most, 0)
        if size < 0:
            raise OSError(last_error(), os.strerror(last_error()))
        return ctypes.string_at(buffer, size)

    return read


def memory(address: int, size: int) -> Any:
    """Return the `size` bytes at an address; whoever gave it keeps them alive."""
    return (ctypes.c_char * size).from_address(address)


def last_error() -> int:
    """Return the errno that the calling thread's last `function` left."""
    return ctypes.get_errno()


def current_cpu() -> int:
    """Return the CPU that the calling thread runs on, or -1 where unknown."""
    return -1 if _sched_getcpu is None else _sched_getcpu()


def die_with_parent() -> None:
    """Have this process killed when the thread that forked it ends (prctl(2))."""
    ctypes.PyDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _library() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _find(name: str) -> Callable[[], int] | None:
    """Return a function of the C library, or None where there is none such."""
    if sys.platform == "win32":
        return None
    return getattr(ctypes.PyDLL(None), name, None)


_sched_getcpu = _find("sched_getcpu")
