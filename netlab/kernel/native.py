"""Functions that run without the GIL: compiled by Numba, or plain Python if need be.

Facts. Numba compiles a function of flat arrays and numbers to machine code, which
runs beside Python's threads (`nogil`). It can call the C library: through ctypes,
which also works when nothing is compiled but is never cached, or through an
ExternalFunction, which is cached but exists only when compiled. Where Numba is
missing (free-threaded Python) or switched off (NUMBA_DISABLE_JIT=1: debugger,
coverage) the same text runs interpreted, some hundred times slower.

Numba's cache asks whether the FILE of a cached function changed, not whether the
files of the functions it calls did. Beside that it keys an entry by the function's
bytecode and by the values in its closure.

Decision. The C functions are made here once, of one kind or the other, under one
name. `jit` is for every compiled function, called by others of its kind only
(`inlined`: for the smallest); one function a loop is `cached`, callable from Python,
and closes over a `digest` of all files it is made of: a change in any of them is
another key. Compiled code never raises: it returns negative numbers (errno), and
what it must tell in more words it writes into arrays.

`settle_in` calls a loop once before it matters, with a bundle that makes it return
at once. That compiles it or loads it from the cache. What takes more than two seconds
of CPU time is a compilation, and the person who waits is told. Time on the clock would
not tell them apart: loading was seen to take 6 s, with 0.5 s of CPU time, on a machine
that did much else.

Rules for compiled text that must run uncompiled too: fields by `record["name"]`, no
attribute; a record, not a copy, by `array[i]`, or by `record_at` its address;
addresses by `address(array)` of arrays that somebody else keeps alive; numbers of 64
bits throughout.

What may not be put here: what is compiled.
"""

from __future__ import annotations

import hashlib
import importlib
import platform
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from netlab.kernel import libc


def _numba() -> Any:
    try:
        return importlib.import_module("numba")
    except ImportError:
        return None


Function = TypeVar("Function", bound=Callable[..., Any])
numba = _numba()
COMPILED = bool(numba) and not numba.config.DISABLE_JIT
int64: Any = np.int64  # a number of the one kind that loops use
# `struct epoll_event` is packed on x86-64, and nowhere else.
_PACKED = platform.machine() in ("x86_64", "AMD64")
EPOLL_EVENT = np.dtype(
    {
        "names": ["events", "fd"],
        "formats": ["uint32", "int32"],
        "offsets": [0, 4 if _PACKED else 8],
        "itemsize": 12 if _PACKED else 16,
    }
)
OPTIONS = {"nogil": True, "error_model": "numpy"}
# No way in for Python, nor for C: that is a fifth of the time to compile.
INNER = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
PATIENCE_S = 2.0  # of CPU time: loading takes 0.5, compiling five or more
LOOK_S = 0.1


def jit(function: Function) -> Function:
    """Compile `function` where that is possible; it needs no GIL then."""
    if not COMPILED:
        return function
    return numba.njit(forceinline=False, **INNER)(function)


def inlined(function: Function) -> Function:
    """Compile as `jit` does, into each of the functions that call this one."""
    if not COMPILED:
        return function
    return numba.njit(forceinline=True, **INNER)(function)


def cached(function: Function) -> Function:
    """Compile as `jit` does, and keep the result for later processes if possible.

    `function` must close over the `digest` of the modules it is made of.
    """
    if not COMPILED:
        return function
    try:
        return numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # no folder to keep it in that this user may write to
        return numba.njit(**OPTIONS)(function)


def for_python(function: Function) -> Function:
    """Return a function of the compiled text for Python to call, as tests do."""
    if not COMPILED:
        return function

    @numba.njit(**OPTIONS)
    def call(*arguments: Any) -> Any:
        return function(*arguments)

    return call


def digest(*modules: ModuleType) -> int:
    """Return a number that changes when the text of one of the modules does."""
    texts = hashlib.sha256()
    for module in (*modules, sys.modules[__name__], libc):
        with open(str(module.__file__), "rb") as file:
            texts.update(file.read())
    return int.from_bytes(texts.digest()[:7], "little")


def settle_in(loop: Callable[..., Any], bundle: Any, what: str) -> Any:
    """Call `loop(bundle)`; say on standard error if it has to be compiled first."""
    clock = time.pthread_getcpuclockid(threading.get_ident())
    ended = threading.Event()
    notice = threading.Thread(target=_announce, args=(what, clock, ended), daemon=True)
    notice.start()
    try:
        return loop(bundle)
    finally:
        ended.set()
        notice.join()


def _announce(what: str, clock: int, ended: threading.Event) -> None:
    """Tell the person who waits, if the thread of this clock works for long."""
    ends = time.clock_gettime(clock) + PATIENCE_S
    while not ended.wait(LOOK_S):
        if time.clock_gettime(clock) >= ends:
            sys.stderr.write(
                f"netlab: compiling {what}; once, later starts find it ready\n"
            )
            return


def _c_function(name: str) -> Callable[..., Any]:
    if not COMPILED:
        return libc.function(name)
    result, *arguments = (getattr(numba, word) for word in libc.FUNCTIONS[name])
    return numba.types.ExternalFunction(name, result(*arguments))


accept4 = _c_function("accept4")
bind = _c_function("bind")
clock_gettime = _c_function("clock_gettime")
close = _c_function("close")
connect = _c_function("connect")
epoll_ctl = _c_function("epoll_ctl")
epoll_wait = _c_function("epoll_wait")
free = _c_function("free")
getsockname = _c_function("getsockname")
getsockopt = _c_function("getsockopt")
getrlimit = _c_function("getrlimit")
malloc = _c_function("malloc")
memcpy = _c_function("memcpy")
poll = _c_function("poll")
recv = _c_function("recv")
sched_getcpu = _c_function("sched_getcpu")
select = _c_function("select")
send = _c_function("send")
setsockopt = _c_function("setsockopt")
shutdown = _c_function("shutdown")
socket = _c_function("socket")
timerfd_settime = _c_function("timerfd_settime")

if COMPILED:
    _errno_location = numba.types.ExternalFunction(
        "__errno_location", numba.types.CPointer(numba.int32)()
    )

    @numba.extending.intrinsic
    def _pointer(_: Any, number: Any) -> Any:
        """Take a number for an address."""

        def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
            kind = context.get_value_type(numba.types.voidptr)
            return builder.inttoptr(arguments[0], kind)

        return numba.types.voidptr(number), generate

    @numba.extending.intrinsic
    def _exchange(_: Any, address: Any, old: Any, new: Any) -> Any:
        """Write `new` at an address if `old` is there, in one step of the CPU."""

        def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
            word = context.get_value_type(numba.int64).as_pointer()
            place = builder.inttoptr(arguments[0], word)
            order = "seq_cst"
            done = builder.cmpxchg(place, arguments[1], arguments[2], order, order)
            return builder.extract_value(done, 1)

        return numba.boolean(numba.int64, numba.int64, numba.int64), generate

    @inlined
    def exchange(address: int, old: int, new: int) -> bool:
        """Write `new` at an address if `old` is there, in one step; tell whether."""
        return _exchange(int64(address), int64(old), int64(new))

    @inlined
    def record_at(address: int, dtype: DTypeLike) -> Any:
        """Return the record of `dtype` that lies at an address, not a copy."""
        return numba.carray(_pointer(address), 1, dtype)[0]

    @inlined
    def array_at(address: int, size: int, dtype: DTypeLike) -> np.ndarray:
        """Return the array of `size` items that begins at an address."""
        return numba.carray(_pointer(address), size, dtype)

    @inlined
    def errno() -> int:
        """Return the errno that the calling thread's last C function left."""
        return int64(numba.carray(_errno_location(), 1)[0])

else:

    def exchange(address: int, old: int, new: int) -> bool:
        """Write `new` at an address if `old` is there; the GIL makes it one step."""
        word = array_at(address, 1, np.int64)
        if word[0] != old:
            return False
        word[0] = new
        return True

    def record_at(address: int, dtype: DTypeLike) -> Any:
        """Return the record of `dtype` that lies at an address, not a copy."""
        return array_at(address, 1, dtype)[0]

    def array_at(address: int, size: int, dtype: DTypeLike) -> np.ndarray:
        """Return the array of `size` items that begins at an address."""
        memory = libc.memory(int(address), int(size) * np.dtype(dtype).itemsize)
        return np.frombuffer(memory, dtype)

    def errno() -> int:
        """Return the errno that the calling thread's last C function left."""
        return libc.last_error()


@inlined
def address(array: np.ndarray) -> int:
    """Return the address of an array's first byte."""
    return int64(array.ctypes.data)


@inlined
def now_ns(clock: np.ndarray) -> int:
    """Return CLOCK_MONOTONIC; `clock` is room for a timespec, two int64."""
    clock_gettime(libc.CLOCK_MONOTONIC, address(clock))
    return clock[0] * 1_000_000_000 + clock[1]
