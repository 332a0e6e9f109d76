"""Accepts that are asked for in advance: io_uring for the listener, epoll for clients.

Facts. A request goes into a ring that the kernel and the program share, and its answer
comes back the same way. A request to accept, with nothing to accept, waits in the
listener's wait queue as an exclusive entry. A single-shot one is answered once: asked
for again, it goes to the tail, so that the workers are served in turn. A multishot one
(IORING_CQE_F_MORE says that it goes on) stays where it is, and the first takes all. The
kernel accepts in the thread that asked, when that thread enters the kernel or sleeps
there: a busy worker is given connections that wait for it. A request outlives that
thread, to be dismissed by the next connection, which stays in the queue.

Waiting inside liburing would keep the GIL. But a ring is a descriptor, which epoll can
watch: it is readable while it has answers.

Decision. The ring lies in the worker's epoll beside its clients. Requests are made by
`wait`, not by `watch`, since the thread that makes a worker may not be the one that
runs it. So that the order of registration is kept all the same, the loops of a server
stand in line (`line`) for their first request. What the kernel has accepted stays in
the loop until the worker fetches it; nothing is asked for while there is something to
fetch.

Cost. Kernels after 5.5 answered a request on a non-blocking listener at once with
EAGAIN; so the flag is taken off the listener, unknown to its Python object, which takes
no part in it. A request holds no descriptor, but a new one that finds none free fails,
with or without a connection to accept.

Known limits. What the kernel accepted and nobody fetched before `close` is closed, and
counted in `unserved`. What may not be put here: a call that waits in liburing; requests
for clients.
"""

from __future__ import annotations

import errno
import importlib
import os
import socket
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netlab.server.line import LOOK_S, Line
from netlab.server.loops import EVENTS_PER_TURN, READ, EpollLoop, Ready, Watching

if TYPE_CHECKING:
    from netlab.server.listeners import Listener

ENTRIES = EVENTS_PER_TURN // 2  # the ring for answers has room for twice as many
CANCELLING = 0  # the number of a request to cancel; accepts are numbered from 1
CANCEL_S = 1.0  # a bound: it takes a call, or some ms if the thread that asked is gone


class UringLoop(EpollLoop):
    """Asks for one connection at a time, again at each wait."""

    def __init__(self, how: Watching, common: Line) -> None:
        super().__init__(how)
        self._uring: Any = importlib.import_module("liburing")
        self._ring = _new_ring(self._uring, self._epoll.close)
        self._completion = self._uring.Cqe()
        self._epoll.register(self._ring.ring_fd, READ)
        self._line, self._place = common, 0
        self._wanted: dict[int, int] = {}  # request by watched listener; 0: none
        self._requests: dict[int, int] = {}  # listener by request
        self._made = CANCELLING
        self._outcomes: dict[int, deque[int | OSError]] = defaultdict(deque)
        self.unserved = 0  # connections that were accepted, and closed unseen
        self.accept: Callable[[Listener], tuple[socket.socket, Any]] = self._accept
        self.close = self._close

    @staticmethod
    def common() -> Line:
        """Return the line in which the loops of one server stand."""
        return Line()

    # -- the listener -------------------------------------------------------------

    def watch(self, listener: Listener) -> None:
        """Ask for connections at the next wait; take a place in the line for it."""
        os.set_blocking(listener.fileno(), True)
        self._wanted[listener.fileno()] = 0
        self._place = self._place or self._line.join()

    def unwatch(self, listener: Listener) -> None:
        """Ask no more; what was accepted is kept until the listener is watched."""
        self._cancel(self._wanted.pop(listener.fileno()))
        self._read_answers()

    def arm(self, listener: Listener) -> None:
        """Do nothing: each wait asks for what is not asked for."""

    def _accept(self, listener: Listener) -> tuple[socket.socket, Any]:
        """Return a connection that the kernel accepted, or raise its error."""
        outcomes = self._outcomes[listener.fileno()]
        if not outcomes:
            raise BlockingIOError(errno.EAGAIN, "no accept has been answered")
        outcome = outcomes.popleft()
        if isinstance(outcome, OSError):
            raise outcome
        kind = listener.family, listener.type, listener.proto
        client = socket.socket(*kind, fileno=outcome)
        return client, _peer(client)

    # -- waiting ------------------------------------------------------------------

    def wait(self, timeout_s: float | None = None) -> Ready:
        """Return what is ready, each listener for which there is an outcome last."""
        while not self._line.is_next(self._place):
            if ready := self._epoll.poll(LOOK_S, EVENTS_PER_TURN):
                return ready  # the stop, already
        self._ask()
        if self._with_outcome():
            timeout_s = 0
        ready = self._epoll.poll(timeout_s, EVENTS_PER_TURN)
        clients = [pair for pair in ready if pair[0] != self._ring.ring_fd]
        if len(clients) < len(ready):
            self._read_answers()
        return clients + [(listener, READ) for listener in self._with_outcome()]

    def _with_outcome(self) -> list[int]:
        return [listener for listener in self._wanted if self._outcomes[listener]]

    def _ask(self) -> None:
        """Request a connection of each watched listener that has no request."""
        for listener, request in self._wanted.items():
            if not request and not self._outcomes[listener]:
                self._made += 1
                self._request(self._made, listener)
                self._wanted[listener] = self._made
                self._requests[self._made] = listener
        self._line.leave(self._place)

    def _request(self, number: int, listener: int) -> None:
        entry = self._uring.io_uring_get_sqe(self._ring)
        self._prepare(entry, listener)
        entry.user_data = number
        self._uring.io_uring_submit(self._ring)

    def _prepare(self, entry: Any, listener: int) -> None:
        prepare = self._uring.io_uring_prep_accept
        prepare(entry, listener, None, socket.SOCK_CLOEXEC)

    # -- answers ------------------------------------------------------------------

    def _read_answers(self) -> None:
        """Take all answers out of the ring."""
        while True:
            try:
                self._uring.io_uring_peek_cqe(self._ring, self._completion)
            except BlockingIOError:
                return
            self._note(self._completion[0])
            self._uring.io_uring_cq_advance(self._ring, 1)

    def _note(self, answer: Any) -> None:
        """Keep an answer for `accept`, and note whether its request has ended.

        Of a request that was cancelled only a connection is kept, not an error.
        """
        request = answer.user_data
        if request == CANCELLING:
            return
        listener = self._requests[request]
        is_wanted = self._wanted.get(listener) == request
        if not answer.flags & self._uring.IORING_CQE_F_MORE:
            del self._requests[request]
            if is_wanted:
                self._wanted[listener] = 0
        outcome = _outcome(answer)
        if is_wanted or isinstance(outcome, int):
            self._outcomes[listener].append(outcome)

    # -- the end ------------------------------------------------------------------

    def _cancel(self, request: int) -> None:
        if request:
            entry = self._uring.io_uring_get_sqe(self._ring)
            self._uring.io_uring_prep_cancel64(entry, request)
            entry.user_data = CANCELLING
            self._uring.io_uring_submit(self._ring)

    def _close(self) -> None:
        """Withdraw all requests, close what nobody fetched, give the rings back.

        The kernel dismantles a ring later, and until then a request would keep its
        listener's port: hence the wait. More calls do nothing.
        """
        if self._epoll.closed:
            return
        self._line.leave(self._place)
        self._wanted.clear()
        for request in list(self._requests):
            self._cancel(request)
        deadline = time.monotonic() + CANCEL_S
        self._read_answers()
        while self._requests and time.monotonic() < deadline:
            self._epoll.poll(0.001)
            self._read_answers()
        self._close_unserved()
        self._uring.io_uring_queue_exit(self._ring)
        self._epoll.close()

    def _close_unserved(self) -> None:
        for outcomes in self._outcomes.values():
            for outcome in outcomes:
                if isinstance(outcome, int):
                    os.close(outcome)
                    self.unserved += 1
        self._outcomes.clear()


class MultishotLoop(UringLoop):
    """Asks once for all connections, and again only if the kernel gave up."""

    def _prepare(self, entry: Any, listener: int) -> None:
        prepare = self._uring.io_uring_prep_multishot_accept
        prepare(entry, listener, None, socket.SOCK_CLOEXEC)


def _new_ring(uring: Any, give_up: Callable[[], object]) -> Any:
    ring = uring.Ring()
    try:
        uring.io_uring_queue_init(ENTRIES, ring)
    except OSError as error:
        give_up()
        raise OSError(
            error.errno,
            f"no io_uring to be had: {error.strerror}; see kernel.io_uring_disabled, "
            "the seccomp filter of a container, and ulimit -n",
        ) from error
    return ring


def _outcome(answer: Any) -> int | OSError:
    """Return the descriptor that was accepted, or the error."""
    try:
        return answer.res
    except OSError as error:
        return error


def _peer(client: socket.socket) -> Any:
    """Return the client's address; ("", 0) for one that has gone already."""
    try:
        return client.getpeername()
    except OSError:
        return "", 0
