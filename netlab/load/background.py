"""A load that is fired by a thread, so that a notebook's cell returns while it runs.

Facts. A widget's click, and any other cell, waits for the cell that runs. What goes
wrong in a thread has nobody to be told to. A `join` that is interrupted takes the
thread for ended, though it runs (Python 3.11 and 3.12); to wait for an event has no
such flaw.

Decision. The settings are checked before the thread begins, and whoever asks may start
the generator's process before (`Generator.start`): what is wrong with either then
raises in the cell that asked. What comes later is kept for whoever waits. What the load
alone needs, its generator and perhaps a server, belongs to the thread, which leaves it
when the load has ended. To cancel is to kill the load's process; the thread then ends
as after any load that was killed.

Cost. The thread wakes ten times a second, as everybody does who waits for a load.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from netlab.checks import known
from netlab.kernel import threads
from netlab.load.generator import Generator, Target
from netlab.load.plans import LoadSettings
from netlab.load.result import LoadResult

NAME = "netlab-load"
AGAIN_S = 0.05  # between two tries to kill a process that is only being started


def check(settings: dict[str, Any]) -> None:
    """Raise TypeError or ValueError for settings that no load can have."""
    known(settings, (one.name for one in fields(LoadSettings)))
    LoadSettings(**settings)


class Background:
    """One load at `target`, from now on, by a thread.

    generator: what fires it. owned: what is closed when all is over, this generator and
    perhaps a server. ended: called before that, with what went wrong, or None.
    """

    def __init__(
        self,
        target: Target,
        generator: Generator,
        owned: contextlib.ExitStack,
        ended: Callable[[Exception | None], None],
        **settings: Any,
    ) -> None:
        check(settings)
        self._settings, self._ended = settings, ended
        self._generator = generator
        self._result: LoadResult | None = None
        self._error: Exception | None = None
        self._cancelled = False
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(target, owned), name=NAME, daemon=True
        )
        self._thread.start()

    def __repr__(self) -> str:
        return f"<a load in the background: {'running' if self.running else 'over'}>"

    @property
    def running(self) -> bool:
        """Whether the load, or what comes after it, goes on."""
        return not self._over.is_set()

    def wait(self) -> LoadResult:
        """Wait for the load's end and return its rows, or raise what went wrong."""
        self._over.wait()
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def cancel(self) -> None:
        """End the load now, and wait for that; more calls do nothing."""
        self._cancelled = True
        while self.running and self._thread is not threading.current_thread():
            if (pid := self._generator.pid) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._over.wait(AGAIN_S)

    def _run(self, target: Target, owned: contextlib.ExitStack) -> None:
        threads.set_name(NAME, threading.get_native_id())
        try:
            with owned:
                self._fire(target)
        except Exception as error:
            self._error = self._error or error
        finally:
            _forget_locals(self._error)
            self._over.set()

    def _fire(self, target: Target) -> None:
        try:
            load = self._generator.fire(target, progress=False, **self._settings)
            self._result = load
        except Exception as error:
            self._error = error
        self._ended(None if self._cancelled else self._error)


def _forget_locals(error: BaseException | None) -> None:
    """Let go of what an error's functions held: the load's memory, its descriptors.

    The error is kept for whoever waits, who may hold this load for long.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
