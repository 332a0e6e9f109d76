"""Waiting in accept: who is served, how it stops, what becomes of a quiet client."""

import contextlib
import os
import select
import socket
import time

import pytest

from netlab.server import blocking
from netlab.server.blocking import BlockingLoop
from netlab.server.loops import READ, WRITE, Watching
from tests.bounded import BOUND_S, background, linux
from tests.waiters import waiters

pytestmark = linux
ORDER = (2, 0, 3, 1)
OUT_OF_DESCRIPTORS = """
    import contextlib, errno, os, resource, socket
    from netlab.server.blocking import BlockingLoop
    from netlab.server.line import Line
    from netlab.server.loops import READ, Watching

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    loop = BlockingLoop(Watching(), Line())
    stop, spent = os.eventfd(0), []
    loop.add(stop, READ)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), 20) as client,
    ):
        loop.watch(listener)
        with contextlib.suppress(OSError):
            while True:
                spent.append(os.dup(0))
        assert loop.wait() == [(listener.fileno(), READ)]
        try:
            loop.accept(listener)
        except OSError as error:
            print(errno.errorcode[error.errno])
        loop.unwatch(listener)
        print(loop.wait(0.01))
        os.close(spent.pop())
        loop.watch(listener)
        assert loop.wait() == [(listener.fileno(), READ)]
        accepted, peer = loop.accept(listener)
        accepted.close()
        print(peer == client.getsockname())
"""


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield listener


@pytest.fixture
def stop():
    descriptor = os.eventfd(0)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def loop(stop):
    made = BlockingLoop(Watching(), BlockingLoop.common())
    made.add(stop, READ)
    yield made
    made.close()


@pytest.fixture
def client(loop):
    """A client that the loop waits for: the worker's socket and its own."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        loop.add(ours.fileno(), READ)
        yield ours, theirs
        loop.forget(ours.fileno())


def connect(listener):
    return socket.create_connection(listener.getsockname(), BOUND_S)


def test_threads_are_served_in_turn_in_the_order_of_registration(listener):
    with waiters(BlockingLoop, listener, ORDER) as team:
        for number in range(len(ORDER)):
            team.begin(number)
        assert tuple(team.connect(24)) == ORDER * 6


def test_stop_is_heard_out_of_turn(listener, stop):
    line = BlockingLoop.common()
    first, second = (BlockingLoop(Watching(), line) for _ in range(2))
    first.watch(listener)
    second.watch(listener)
    second.add(stop, READ)
    os.eventfd_write(stop, 1)
    assert second.wait() == [(stop, READ)]


def test_loop_that_closes_lets_the_next_one_wait(listener, loop):
    line = BlockingLoop.common()
    first, second = (BlockingLoop(Watching(), line) for _ in range(2))
    first.watch(listener)
    second.watch(listener)
    first.close()
    with connect(listener):
        assert second.wait() == [(listener.fileno(), READ)]
    second.close()


def test_what_a_wait_accepted_is_fetched_once(loop, listener):
    loop.watch(listener)
    with connect(listener) as client:
        assert loop.wait() == [(listener.fileno(), READ)]
        assert loop.wait() == [(listener.fileno(), READ)]  # it is still there
        accepted, peer = loop.accept(listener)
        accepted.close()
        assert peer == client.getsockname()
        with pytest.raises(BlockingIOError):
            loop.accept(listener)


@pytest.mark.parametrize("first", ["stop", "listener"])
def test_sleeping_accept_ends_with_the_stop_and_without_an_error(
    loop, listener, stop, first
):
    loop.watch(listener)
    with background(loop.wait) as waiting:
        time.sleep(0.02)
        ends = [
            lambda: os.eventfd_write(stop, 1),
            lambda: listener.shutdown(socket.SHUT_RDWR),
        ]
        for end in ends if first == "stop" else reversed(ends):
            end()
            time.sleep(0.02)
        assert waiting.result(BOUND_S) == [(stop, READ)]


def test_accept_that_comes_after_the_stop_ends_too(loop, listener, stop):
    loop.watch(listener)
    listener.shutdown(socket.SHUT_RDWR)
    os.eventfd_write(stop, 1)
    assert loop.wait() == [(stop, READ)]


def test_listener_that_is_shut_down_without_a_stop_is_an_error(
    loop, listener, monkeypatch
):
    monkeypatch.setattr(blocking, "PATIENCE_S", 0.01)
    loop.watch(listener)
    listener.shutdown(socket.SHUT_RDWR)
    assert loop.wait() == [(listener.fileno(), READ)]
    with pytest.raises(OSError, match="Invalid argument"):
        loop.accept(listener)


def test_with_a_client_nobody_else_is_accepted(loop, listener, client):
    ours, theirs = client
    loop.watch(listener)
    with connect(listener):
        theirs.send(b"x")
        assert loop.wait() == [(ours.fileno(), READ)]
        ours.recv(1)
        assert loop.wait(0.01) == []


def test_client_is_watched_for_what_was_asked(loop, client):
    ours, theirs = client
    theirs.send(b"x")
    loop.change(ours.fileno(), WRITE)
    assert loop.wait() == [(ours.fileno(), WRITE)]
    loop.change(ours.fileno(), READ)
    assert loop.wait() == [(ours.fileno(), READ)]


def test_stop_is_heard_beside_a_quiet_client(loop, client, stop):
    os.eventfd_write(stop, 1)
    assert loop.wait() == [(stop, READ)]


def test_client_that_says_nothing_is_at_its_end(loop, client, monkeypatch):
    ours, _ = client
    monkeypatch.setattr(blocking, "PATIENCE_S", 0.01)
    ((descriptor, events),) = loop.wait()
    assert (descriptor, events & READ) == (ours.fileno(), READ)
    assert ours.recv(1) == b""


def test_client_that_does_not_read_is_at_its_end(loop, client, monkeypatch):
    ours, _ = client
    with contextlib.suppress(BlockingIOError):
        while True:
            ours.send(bytes(65536))
    loop.change(ours.fileno(), WRITE)
    monkeypatch.setattr(blocking, "PATIENCE_S", 0.01)
    ((descriptor, events),) = loop.wait()
    assert descriptor == ours.fileno()
    assert events & (WRITE | select.POLLHUP)
    with pytest.raises(BrokenPipeError):
        ours.send(b"x")


def test_worker_with_more_to_answer_does_not_wait(loop, client, monkeypatch):
    ours, _ = client
    monkeypatch.setattr(blocking, "PATIENCE_S", 0)
    assert loop.wait(0) == []
    with pytest.raises(BlockingIOError):  # and its client is not at its end
        ours.recv(1)


def test_out_of_descriptors_is_an_error_of_accept_and_loses_nobody(fresh):
    assert fresh(OUT_OF_DESCRIPTORS) == ["EMFILE", "[]", "True"]


def test_what_nobody_fetched_is_closed_and_counted(loop, listener):
    loop.watch(listener)
    with connect(listener) as client:
        loop.wait()
        loop.close()
        loop.close()
        assert loop.unserved == 1
        assert client.recv(1) == b""


def test_second_listener_is_refused(loop, listener):
    loop.watch(listener)
    loop.unwatch(listener)
    loop.watch(listener)  # after a rest
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(ValueError, match="one address"),
    ):
        loop.watch(other)


def test_listener_that_does_not_block_is_refused(loop, listener):
    listener.setblocking(False)
    with pytest.raises(ValueError, match="setblocking"):
        loop.watch(listener)
