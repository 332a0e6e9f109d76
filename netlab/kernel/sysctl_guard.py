"""The guard of a changed sysctl: waits for its process's end, and puts the value back.

It is told once which of its descriptors is the sysctl's file, and the value to write
there; then it sleeps until the other end of its socket is gone. It ignores the signals
that end a terminal's processes: those are for the process it guards, and its own end
follows. What may not be put here: anything that may fail before the value is back.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

MESSAGE_BYTES = 8192  # a number, and a sysctl's text of at most a page


def main(descriptor: int) -> None:
    """Guard one sysctl."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as control:
        file, _, before = control.recv(MESSAGE_BYTES).partition(b"\n")
        if not file:
            return
        control.send(b".")
        try:
            control.recv(1)
        except ConnectionError:
            pass  # gone without having read our word
        os.pwrite(int(file), before, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
