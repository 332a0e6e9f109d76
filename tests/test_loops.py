"""The ways to wait, by one script: what epoll can, select can."""

import contextlib
import os
import select
import socket
import threading

import pytest

from netlab.server.loops import (
    EVENTS_PER_TURN,
    LOOPS,
    READ,
    SELECT_LIMIT,
    WRITE,
    SelectLoop,
    watch_level,
)


@pytest.fixture
def waiter(loop):
    made = LOOPS[loop]()
    yield made
    made.close()


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def ready(waiter, timeout_s=0):
    return sorted(waiter.wait(timeout_s))


def test_the_two_bits_are_epolls():
    assert (READ, WRITE) == (select.EPOLLIN, select.EPOLLOUT)


def test_nothing_is_ready_until_something_is(waiter, pair):
    ours, theirs = pair
    assert ready(waiter) == []
    waiter.add(ours.fileno(), READ)
    assert ready(waiter) == []
    theirs.send(b"x")
    for _ in range(2):  # level-triggered: until it is read
        assert ready(waiter) == [(ours.fileno(), READ)]
    ours.recv(1)
    assert ready(waiter) == []


def test_one_watches_for_reading_or_for_writing(waiter, pair):
    ours, theirs = pair
    theirs.send(b"x")
    waiter.add(ours.fileno(), READ)
    waiter.change(ours.fileno(), WRITE)
    assert ready(waiter) == [(ours.fileno(), WRITE)]
    waiter.change(ours.fileno(), READ)
    assert ready(waiter) == [(ours.fileno(), READ)]


def test_what_is_removed_is_not_watched_and_may_come_back(waiter, pair):
    ours, theirs = pair
    theirs.send(b"x")
    waiter.add(ours.fileno(), READ)
    waiter.remove(ours.fileno())
    assert ready(waiter) == []
    waiter.add(ours.fileno(), WRITE)
    assert ready(waiter) == [(ours.fileno(), WRITE)]


def test_what_is_closed_is_forgotten(waiter):
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            waiter.add(ours.fileno(), READ)
            theirs.send(b"x")
            waiter.forget(ours.fileno())
        assert ready(waiter) == []


def test_a_wait_without_timeout_ends_when_there_is_something(waiter, pair):
    ours, theirs = pair
    waiter.add(ours.fileno(), READ)
    found = []
    sleeper = threading.Thread(target=lambda: found.extend(waiter.wait()))
    sleeper.start()
    assert found == []
    theirs.send(b"x")
    sleeper.join(20)
    assert found == [(ours.fileno(), READ)]


def test_a_client_that_leaves_is_ready_to_be_read(waiter, pair):
    ours, theirs = pair
    waiter.add(ours.fileno(), READ)
    theirs.close()
    ((descriptor, events),) = ready(waiter)
    assert (descriptor, events & READ) == (ours.fileno(), READ)
    assert ours.recv(1) == b""


def test_all_that_is_ready_is_reported_sooner_or_later(waiter):
    count = EVENTS_PER_TURN + 50
    with contextlib.ExitStack() as opened:
        descriptors = set()
        for _ in range(count):
            stop = os.eventfd(1)
            opened.callback(os.close, stop)
            waiter.add(stop, READ)
            descriptors.add(stop)
        seen = [{fd for fd, _ in waiter.wait(0)} for _ in range(3)]
    assert set.union(*seen) == descriptors


def test_epoll_bounds_a_turn():
    waiter = LOOPS["epoll"]()
    with contextlib.ExitStack() as opened:
        opened.callback(waiter.close)
        for _ in range(EVENTS_PER_TURN + 1):
            stop = os.eventfd(1)
            opened.callback(os.close, stop)
            waiter.add(stop, READ)
        assert len(list(waiter.wait(0))) == EVENTS_PER_TURN


def test_select_refuses_what_its_sets_cannot_hold(pair):
    waiter = SelectLoop()
    waiter.add(pair[0].fileno(), WRITE)
    with pytest.raises(ValueError, match=r"cannot watch descriptor 1024.*loop='epoll'"):
        waiter.add(SELECT_LIMIT, READ)
    assert ready(waiter) == [(pair[0].fileno(), WRITE)]


def test_a_shared_listener_wakes_every_loop(loop):
    waiters = [LOOPS[loop]() for _ in range(3)]
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setblocking(False)
        for waiter in waiters:
            opened.callback(waiter.close)
            watch_level(waiter, listener)
        opened.enter_context(socket.create_connection(listener.getsockname()))
        fd = listener.fileno()
        assert [ready(waiter, 20) for waiter in waiters] == [[(fd, READ)]] * 3
        listener.accept()[0].close()
        assert [ready(waiter) for waiter in waiters] == [[]] * 3
