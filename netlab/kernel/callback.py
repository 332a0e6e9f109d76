"""A function at an address: what a compiled loop calls without having been told of it.

Facts. A compiled function is made with all that it calls. To make the workers' loop
anew for each rule that places connections would cost some ten seconds a rule; to call
a rule by its address costs one jump. Numba makes such an address for a function of
numbers (`cfunc`) in a few tenths of a second.

Decision. A callback takes four int64 numbers, some of them addresses, and returns one.
Where nothing is compiled an address is a number by which the function is found. Whoever
holds the address keeps the callback alive. What may not be put here: what is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from netlab.kernel import native

SIGNATURE = "int64(int64, int64, int64, int64)"
CallAt = Callable[[int, int, int, int, int], int]


class Callback(Protocol):
    """A function that has an address."""

    @property
    def address(self) -> int:
        """Where a loop finds it."""
        ...


class Numbered(NamedTuple):
    """A plain function, and the number it is found by."""

    function: Callable[..., int]
    address: int


_numbered: list[Numbered] = []


def callback(function: Callable[[int, int, int, int], int]) -> Callback:
    """Return a function with an address, compiled where that is possible.

    Raises ValueError with the reason if it cannot be compiled.
    """
    if not native.COMPILED:
        _numbered.append(Numbered(function, len(_numbered) + 1))
        return _numbered[-1]
    try:
        return native.numba.cfunc(SIGNATURE)(function)
    except Exception as error:  # the compiler has many, and not of one family
        raise ValueError(f"it cannot be compiled ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """Return the first line that says what is wrong, not at which pass it was found."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = (line for line in lines if not line.startswith("Failed in nopython mode"))
    return next(told, type(error).__name__)


def callable_here(function: native.Function) -> native.Function:
    """Compile a plain function as far as a callback calls it."""
    return native.numba.njit(**native.INNER)(function) if native.COMPILED else function


def returns_whole_numbers(function: Any) -> bool:
    """Whether what a callback calls returns integers; others would be cut."""
    if not native.COMPILED:
        return True
    whole = (native.numba.types.Integer, native.numba.types.Boolean)
    found = (one.return_type for one in function.nopython_signatures)
    return all(isinstance(kind, whole) for kind in found)


def _call_numbered(address: int, a: int, b: int, c: int, d: int) -> int:
    """Call the function at an address with four numbers; it returns one."""
    return _numbered[int(address) - 1].function(a, b, c, d)


def _call_compiled() -> CallAt:
    numba = native.numba

    @numba.extending.intrinsic
    def call_at(_: Any, address: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
        """Call the function at an address with four numbers; it returns one."""
        from llvmlite import ir

        def generate(context: Any, builder: Any, __: Any, given: Any) -> Any:
            word = context.get_value_type(numba.int64)
            kind = ir.FunctionType(word, [word] * 4).as_pointer()
            return builder.call(builder.inttoptr(given[0], kind), given[1:])

        return numba.int64(address, a, b, c, d), generate

    return call_at


call_at: CallAt = _call_compiled() if native.COMPILED else _call_numbered
