"""Accepts through io_uring: who is served, and that nothing is lost or left."""

import contextlib
import errno
import os
import socket
import struct
import threading
import types

import pytest

from netlab.kernel import probes, threads
from netlab.kernel.backlog import accept_queue_length
from netlab.server import uring
from netlab.server.loops import READ, Watching
from netlab.server.uring import MultishotLoop, UringLoop
from tests.bounded import BOUND_S, background, until
from tests.waiters import waiters

ORDER = (2, 0, 3, 1)
KINDS = {"single-shot": UringLoop, "multishot": MultishotLoop}
OUT_OF_DESCRIPTORS = """
    import contextlib, errno, os, resource, socket, sys
    from netlab.server import uring
    from netlab.server.loops import READ, Watching

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    kind = getattr(uring, sys.argv[1])
    loop = kind(Watching(), kind.common())
    spent = []

    def spend_all():
        with contextlib.suppress(OSError):
            while True:
                spent.append(os.dup(0))

    def failure():
        assert loop.wait(20) == [(listener.fileno(), READ)]
        try:
            loop.accept(listener)
        except OSError as error:
            return errno.errorcode[error.errno]

    with (
        contextlib.closing(loop),
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket() as client,
    ):
        loop.watch(listener)
        assert loop.wait(0) == []
        spend_all()
        client.connect(listener.getsockname())
        print(failure())
        loop.unwatch(listener)
        print(loop.wait(0.01))
        os.close(spent.pop())
        loop.watch(listener)
        assert loop.wait(20) == [(listener.fileno(), READ)]
        accepted, peer = loop.accept(listener)
        print(peer == client.getsockname())
        loop.unwatch(listener)
        loop.watch(listener)
        print(failure())  # with nobody to accept
        accepted.close()
"""
WITHOUT_LIBURING = """
    import sys
    sys.modules["liburing"] = None
    import netlab.server.uring
    print("imported")
"""


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture(params=list(KINDS))
def kind(request):
    look = probes.uring if request.param == "single-shot" else probes.uring_multishot
    found, works = look()
    if not works:
        pytest.skip(f"{request.param} accept through io_uring: {found}")
    return KINDS[request.param]


@pytest.fixture
def loop(kind):
    made = kind(Watching(), kind.common())
    yield made
    made.close()


def served_order(kind, listener):
    with waiters(kind, listener, ORDER) as team:
        for number in range(len(ORDER)):
            team.begin(number)
        return team.connect(24)


def connect(listener):
    return socket.create_connection(listener.getsockname(), BOUND_S)


def fetch(loop, listener):
    """The next connection: its socket and its peer."""
    assert (listener.fileno(), READ) in loop.wait(BOUND_S)
    return loop.accept(listener)


def test_single_shot_goes_round_and_multishot_stays_with_the_first(listener, kind):
    expected = ORDER * 6 if kind is UringLoop else (ORDER[0],) * 24
    assert tuple(served_order(kind, listener)) == expected


def test_what_is_accepted_is_an_ordinary_connection(loop, listener):
    loop.watch(listener)
    assert loop.wait(0) == []
    with connect(listener) as client:
        accepted, peer = fetch(loop, listener)
        with accepted:
            assert peer == client.getsockname()
            assert (accepted.family, accepted.type) == (client.family, client.type)
            assert accepted.getblocking()
            assert not os.get_inheritable(accepted.fileno())
            client.send(b"x")
            assert accepted.recv(1) == b"x"


def test_clients_and_the_stop_are_heard_of_in_the_same_wait(loop, listener):
    loop.watch(listener)
    ours, theirs = socket.socketpair()
    with ours, theirs, connect(listener):
        loop.add(ours.fileno(), READ)
        theirs.send(b"x")
        heard = set()
        until(lambda: heard.update(loop.wait(0)) or len(heard) == 2)
        assert heard == {(ours.fileno(), READ), (listener.fileno(), READ)}
        loop.accept(listener)[0].close()


def test_without_an_answer_there_is_nothing_to_accept(loop, listener):
    loop.watch(listener)
    with pytest.raises(BlockingIOError):
        loop.accept(listener)


def test_burst_beyond_the_ring_is_served_whole(kind, listener, monkeypatch):
    monkeypatch.setattr(uring, "ENTRIES", 1)  # room for two answers
    loop = kind(Watching(), kind.common())
    with contextlib.closing(loop), contextlib.ExitStack() as opened:
        loop.watch(listener)
        assert loop.wait(0) == []
        clients = [opened.enter_context(connect(listener)) for _ in range(20)]
        accepted = [fetch(loop, listener) for _ in clients]
        for client, _ in accepted:
            client.close()
        assert [peer for _, peer in accepted] == [c.getsockname() for c in clients]
        assert loop.wait(0) == []


def test_client_that_has_gone_is_still_a_connection(loop, listener):
    loop.watch(listener)
    with connect(listener) as client:
        linger = struct.pack("ii", 1, 0)  # close resets
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    accepted, peer = fetch(loop, listener)
    accepted.close()
    assert peer == ("", 0)


def test_what_is_not_watched_is_not_accepted(loop, listener):
    loop.watch(listener)
    assert loop.wait(0) == []
    loop.unwatch(listener)
    with connect(listener) as client:
        assert loop.wait(0.01) == []
        assert accept_queue_length(listener) == 1
        loop.watch(listener)
        accepted, peer = fetch(loop, listener)
        accepted.close()
        assert peer == client.getsockname()


def test_what_was_accepted_before_unwatching_is_kept(loop, listener):
    loop.watch(listener)
    assert loop.wait(0) == []
    with connect(listener) as client:
        until(lambda: loop.wait(0) == [(listener.fileno(), READ)])
        loop.unwatch(listener)
        assert loop.wait(0.01) == []
        loop.watch(listener)
        accepted, peer = fetch(loop, listener)
        accepted.close()
        assert peer == client.getsockname()


def test_requests_of_a_thread_that_has_ended_take_nobody(loop, listener):
    loop.watch(listener)
    with background(lambda: (loop.wait(0), threading.get_native_id())) as waiting:
        ready, tid = waiting.result(BOUND_S)
    assert (ready, threads.await_end([tid])) == ([], None)
    with connect(listener):
        until(lambda: loop._epoll.poll(0))
        assert accept_queue_length(listener) == 1
        loop.close()
        assert loop.unserved == 0
        assert accept_queue_length(listener) == 1


def test_what_nobody_fetched_is_closed_and_counted(loop, listener):
    loop.watch(listener)
    assert loop.wait(0) == []
    with connect(listener) as client:
        until(lambda: loop.wait(0))
        loop.close()
        assert loop.unserved == 1
        assert client.recv(1) == b""


def test_listener_that_is_shut_down_is_an_error_of_accept(loop, listener):
    loop.watch(listener)
    assert loop.wait(0) == []
    listener.shutdown(socket.SHUT_RDWR)
    assert loop.wait(BOUND_S) == [(listener.fileno(), READ)]
    with pytest.raises(OSError, match="Invalid argument"):
        loop.accept(listener)


def test_error_of_a_request_that_was_withdrawn_is_nobody_s(loop, listener):
    loop.watch(listener)
    assert loop.wait(0) == []
    listener.shutdown(socket.SHUT_RDWR)
    loop.unwatch(listener)
    loop.watch(listener)
    with pytest.raises(BlockingIOError):
        loop.accept(listener)


def test_out_of_descriptors_is_an_error_of_accept_and_loses_nobody(kind, fresh):
    printed = fresh(OUT_OF_DESCRIPTORS, kind.__name__)
    assert printed == ["EMFILE", "[]", "True", "EMFILE"]


def test_closed_loops_leave_no_descriptor_and_free_the_port(kind):
    def live():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
            with waiters(kind, listener, ORDER) as team:
                for number in ORDER:
                    team.begin(number)
                team.connect(2)
        socket.create_server(address).close()

    live()  # imports are not leaks
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(10):
        live()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_stop_is_heard_out_of_turn(kind, listener):
    line = kind.common()
    first, second = (kind(Watching(), line) for _ in range(2))
    stop = os.eventfd(1)
    with contextlib.closing(first), contextlib.closing(second):
        first.watch(listener)
        second.watch(listener)
        second.add(stop, READ)
        assert second.wait() == [(stop, READ)]
    os.close(stop)


def test_ring_that_is_refused_names_the_remedy(monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    given_up = []
    filtered = types.SimpleNamespace(Ring=object, io_uring_queue_init=refuse)
    with pytest.raises(PermissionError, match="io_uring_disabled"):
        uring._new_ring(filtered, lambda: given_up.append(True))
    assert given_up == [True]


def test_module_imports_without_liburing(fresh):
    assert fresh(WITHOUT_LIBURING) == ["imported"]
