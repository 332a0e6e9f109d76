"""A process that a study starts for its part of an experiment: told, heard, ended.

The two talk by JSON, one message a packet. A partner whose parent is gone reads the end
of its socket, and ends. Every wait for it ends too.
"""

from __future__ import annotations

import json
import select
import signal
import socket
from typing import Any

from netlab.kernel.child import Module, finalized, interrupts_held_back

START_S = 30.0  # a Python that imports NumPy, on a busy machine
MESSAGE_BYTES = 1 << 16


class Partner:
    """One process that runs a module of netlab; killed when nobody holds it."""

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        try:
            with theirs, interrupts_held_back():
                self._process = Module(module, theirs.fileno())
                self._finalizer = finalized(self, _end, self._process, ours)
        except BaseException:
            ours.close()
            raise

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def __enter__(self) -> Partner:
        return self

    def __exit__(self, *_: object) -> None:
        self._finalizer()

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message; RuntimeError if the process is gone."""
        try:
            self._control.send(json.dumps(message).encode())
        except OSError as error:
            raise RuntimeError(self._last_words()) from error

    def hear(self) -> dict[str, Any]:
        """Return the next message; RuntimeError if the process is gone, or silent."""
        readable = select.poll()
        readable.register(self._control, select.POLLIN)
        if not readable.poll(START_S * 1000):
            raise RuntimeError(f"process {self.pid} said nothing for {START_S:.0f} s")
        if message := self._control.recv(MESSAGE_BYTES):
            return json.loads(message)
        raise RuntimeError(self._last_words())

    def _last_words(self) -> str:
        return f"the study's process {self._process.last_words()}"


class Parent:
    """The other end, in the process itself: what its parent says."""

    def __init__(self, descriptor: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
        self._control = socket.socket(fileno=descriptor)

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self._control.send(json.dumps(message).encode())

    def hear(self, wait_ms: int | None = None) -> dict[str, Any] | None:
        """Return the next message, {} if none comes in time; None: the parent's end."""
        readable = select.poll()
        readable.register(self._control, select.POLLIN)
        if not readable.poll(wait_ms):
            return {}
        message = self._control.recv(MESSAGE_BYTES)
        return json.loads(message) if message else None


def _end(process: Module, control: socket.socket) -> None:
    control.close()
    process.end()
