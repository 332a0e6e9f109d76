"""The workers' host: a process with one thread that forks the workers and buries them.

Facts. An order of registration must be kept: a worker makes its own epoll after the
fork and registers the listeners there, so the host forks the next one only when the
last has said that it did. A process that is killed cannot say goodbye; the kernel
closes its end of the socket, which reads as its end, and a parent's death can be made
a child's (PR_SET_PDEATHSIG: it follows the thread that forked, and here there is one).

Decision. The host is told once what to make, by a message; after that the shared
stop's word and eventfd are enough. All workers wait at a pipe that nobody writes to,
and start when the host closes its last writing end. The host then only waits: for
workers to end (pidfd), and for the parent's end of the socket. It ignores interrupts,
as the parent decides. Messages go to the parent, each whole:

    {"worker": n, "failed": "..."}   what ended it
    {"worker": n, "fault": "..."}    the first error that cost it a connection

What may not be put here: what a worker does.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from netlab.kernel import libc, threads
from netlab.server import engines, listeners, strategies
from netlab.server.bounds import Bounds
from netlab.server.loops import Watching
from netlab.server.outfit import Outfit
from netlab.server.shared import Shared, Sizes

ORDER_BYTES = 1 << 20
STOP_TIMEOUT_S = 10.0  # for workers whose server is gone; then they are killed
LOOK_S = 0.05  # between two looks at what may also have ended


class Host:
    """N worker processes, from their forks to their ends."""

    def __init__(self, outfit: Outfit, control: socket.socket) -> None:
        self.outfit = outfit
        self.control = control
        self.common = outfit.engine.prepare(outfit)
        self.workers: dict[int, int] = {}  # number by pidfd
        self.pids: dict[int, int] = {}  # pid by pidfd
        self.gate, self.opener = os.pipe()

    def start(self) -> bool:
        """Fork all workers, in the order of registration; False if one failed."""
        for number in self.outfit.order:
            if not self.fork(number):
                return False
        os.close(self.opener)
        return True

    def fork(self, number: int) -> bool:
        """Fork one worker and wait until it watches; False if it never did."""
        heard, told = os.pipe()
        host = os.getpid()
        pid = os.fork()
        if pid == 0:
            os._exit(self.live(number, host, told))
        os.close(told)
        descriptor = os.pidfd_open(pid)
        self.workers[descriptor], self.pids[descriptor] = number, pid
        watching = os.read(heard, 1)
        os.close(heard)
        return watching != b""

    def live(self, number: int, host: int, told: int) -> int:
        """Be one worker's process; return its exit status."""
        try:
            libc.die_with_parent()
            if os.getppid() != host:
                return 1
            worker = self.outfit.make(number, self.common)
            self.outfit.take_place(number)
            os.write(told, b".")
            os.close(told)
            os.close(self.opener)
            os.read(self.gate, 1)  # until all others are here
            worker.run()
            worker.close_loop()
            if worker.fault:
                say(self.control, worker=number, fault=repr(worker.fault))
        except BaseException as error:
            say(self.control, worker=number, failed=f"{type(error).__name__}: {error}")
            return 1
        return 0

    def attend(self) -> None:
        """Wait until all workers have ended; stop them when the parent is gone."""
        deadline = None
        while self.workers:
            wait_for = [*self.workers] + ([self.control] if deadline is None else [])
            poll = select.poll()
            for one in wait_for:
                poll.register(one, select.POLLIN)
            for descriptor, _ in poll.poll(LOOK_S * 1000 if deadline else None):
                if descriptor in self.workers:
                    self.bury(descriptor)
                else:  # the parent says nothing more, so this is its end
                    self.outfit.shared.tell_to_stop()
                    listeners.release(self.outfit.listeners())
                    deadline = time.monotonic() + STOP_TIMEOUT_S
            if deadline is not None and time.monotonic() > deadline:
                self.kill()

    def bury(self, descriptor: int) -> None:
        """Take note of a worker's end; the parent hears of a death by signal."""
        number, pid = self.workers.pop(descriptor), self.pids.pop(descriptor)
        os.close(descriptor)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status < 0:
            say(self.control, worker=number, failed=f"killed by signal {-status}")

    def kill(self) -> None:
        """End all workers at once."""
        for descriptor in self.workers:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)


def say(control: socket.socket, **message: Any) -> None:
    """Send one message to the parent, if it is there."""
    try:
        control.send(json.dumps(message).encode())
    except ConnectionError:
        pass


def outfit_of(order: dict[str, Any]) -> Outfit:
    """Make the parent's outfit again from its order and the inherited descriptors."""
    known: dict[int, socket.socket] = {}
    for watched in order["watched"]:
        for descriptor in watched:
            if descriptor not in known:
                known[descriptor] = socket.socket(fileno=descriptor)
                known[descriptor].setblocking(os.get_blocking(descriptor))
    return Outfit(
        engine=engines.find(order["engine"]),
        strategy=strategies.find(order["strategy"]),
        how=Watching(*order["how"]),
        order=tuple(order["order"]),
        cpus=order["cpus"],
        pin=order["pin"],
        incoming_cpu=order["incoming_cpu"],
        slow=tuple(order["slow"]) if order["slow"] else None,
        bounds=Bounds(*order["bounds"]),
        watched=[tuple(known[fd] for fd in row) for row in order["watched"]],
        shared=Shared(Sizes(*order["sizes"]), order["memory"], order["stop"]),
    )


def main(descriptor: int) -> None:
    """Serve one order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threads.set_name("netlab-host", os.getpid())
    with socket.socket(fileno=descriptor) as control:
        data = control.recv(ORDER_BYTES)
        if not data:
            return
        host = Host(outfit_of(json.loads(data)), control)
        if not host.start():
            host.kill()
        host.attend()


if __name__ == "__main__":
    main(int(sys.argv[1]))
