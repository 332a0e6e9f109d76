"""A process of our own: a netlab module, started, quoted when it dies, and ended.

Facts. A process forked from a Jupyter kernel inherits its threads' locks and none of
its threads; a fresh interpreter inherits nothing but what it is given. It must not
print into a notebook's cell. An interrupt in the middle of `Popen` would leave a
process that nobody holds, and only the main thread is ever interrupted. A terminal and
Jupyter interrupt a whole process group: also a child that is not yet able to ignore it.

Decision. `Module` runs `python -m MODULE N`, N being a descriptor to talk over, in this
interpreter or in another that is given (`interpreters`). Its standard error goes to a
file without a name, so that its last line can be quoted. An interrupt waits until the
process is made and held, or killed and buried; and as Python throws away what a
finalizer raises, one that came there is sent again. The process has a group of its own:
what is done to it, its parent decides. What may not be put here: what is said over the
descriptor.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Any

from netlab.kernel.interpreters import Interpreter

AGAIN_S = 0.05  # long enough for a finalizer to be over
PACKAGE_PARENT = Path(__file__).parents[2]


class Module:
    """One process that runs a module of netlab; killed when nobody holds it."""

    def __init__(
        self,
        name: str,
        control: int,
        descriptors: Iterable[int] = (),
        interpreter: Interpreter | None = None,
    ):
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - `_end` closes it
        self._errors = errors
        try:
            with interrupts_held_back():
                command = ["-m", name, str(control)]
                passed = [control, *descriptors]
                self._process = _start(command, passed, interpreter, errors)
                self._finalizer = finalized(self, _end, self._process, errors)
        except BaseException:
            if not hasattr(self, "_finalizer"):
                errors.close()
            raise

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def end(self) -> None:
        """Kill the process if it lives, and bury it; more calls do nothing."""
        with interrupts_held_back():
            self._finalizer()

    def ended_within(self, timeout_s: float) -> bool:
        """Wait for the process's end; False if it has not come in that time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self._process.returncode is not None

    def last_words(self) -> str:
        """Return how the process ended, with the last line it wrote."""
        self.ended_within(1)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        status = self._process.returncode
        how = f"was killed by signal {-status}" if status and status < 0 else "ended"
        return f"{how}: {lines[-1] if lines else 'it left no word'}"


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Let a KeyboardInterrupt wait until the block is over."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda *call: came.append(call))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came and callable(before):
            before(*came[0])


def finalized(
    owner: object, function: Callable[..., None], *arguments: Any
) -> weakref.finalize:
    """Return a finalizer in which no interrupt is lost: one is sent again later.

    As when it is called, so when nobody holds `owner` any more.
    """

    def finish() -> None:
        try:
            function(*arguments)
        except KeyboardInterrupt:
            again = threading.Timer(AGAIN_S, signal.raise_signal, [signal.SIGINT])
            again.daemon = True
            again.start()

    return weakref.finalize(owner, finish)


def _start(
    command: list[str],
    passed: list[int],
    interpreter: Interpreter | None,
    errors: IO[bytes],
) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")])
    own = {"PYTHONPATH": path.rstrip(os.pathsep)}
    if interpreter is not None:
        own |= interpreter.environment()
    python = sys.executable if interpreter is None else interpreter.path
    return subprocess.Popen(
        [python, *command],
        pass_fds=passed,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env=os.environ | own,
        process_group=0,
    )


def _end(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    with interrupts_held_back():  # else it may be killed, and never buried
        process.kill()
        process.wait()
        errors.close()
