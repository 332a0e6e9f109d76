"""Threads that wait for connections, each with a loop of its own, and who gets them."""

import contextlib
import os
import socket
import threading

from netlab.kernel.threads import settle
from netlab.server.loops import READ, Watching
from tests.bounded import BOUND_S, until


class Waiters:
    """Threads by number: their loops, and the owners of connections, in their order."""

    def __init__(self, kind, listener, order):
        self.listener, self.stop, self.owners = listener, os.eventfd(0), []
        self.loops, self.threads = {}, {}
        common = kind.common()
        for number in order:
            loop = self.loops[number] = kind(Watching(), common)
            loop.add(self.stop, READ)
            loop.watch(listener)

    def begin(self, number):
        thread = threading.Thread(target=self.accept_until_stopped, args=[number])
        self.threads[number] = thread
        thread.start()

    def accept_until_stopped(self, number):
        loop, ready = self.loops[number], []
        while (self.stop, READ) not in ready:
            ready = list(loop.wait())
            if (self.listener.fileno(), READ) in ready:
                client, _ = loop.accept(self.listener)
                self.owners.append(number)
                client.close()

    def fall_asleep(self):
        settle([thread.native_id for thread in self.threads.values()], BOUND_S)

    def connect(self, count):
        """Let clients come one at a time, each when all sleep; return their owners."""
        for served in range(1, count + 1):
            self.fall_asleep()
            with socket.create_connection(self.listener.getsockname(), BOUND_S):
                until(lambda served=served: len(self.owners) >= served)
        return self.owners

    def end(self):
        os.eventfd_write(self.stop, 1)
        if self.listener.getblocking():
            self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads.values():
            thread.join(BOUND_S)
        for loop in self.loops.values():
            loop.close()
        os.close(self.stop)


@contextlib.contextmanager
def waiters(kind, listener, order):
    made = Waiters(kind, listener, order)
    try:
        yield made
    finally:
        made.end()
