"""The ways to wait, by one script: what epoll can for a client, they all can."""

import contextlib
import os
import select
import socket
import threading

import pytest

from netlab.kernel import probes
from netlab.server.loops import (
    EDGE,
    EVENTS_PER_TURN,
    EXCLUSIVE,
    ONESHOT,
    READ,
    SELECT_LIMIT,
    WRITE,
    SelectLoop,
    Watching,
)
from netlab.server.ways import LOOPS

MANY = [name for name in LOOPS if name != "accept"]  # that one has one client at a time
RING = [name for name in LOOPS if name.startswith("io_uring")]


def made(name, common=None, **how):
    if name in RING and not probes.uring()[1]:
        pytest.skip(f"no io_uring here: {probes.uring()[0]}")
    way = LOOPS[name]
    return way(Watching(name, **how), way.common() if common is None else common)


@pytest.fixture(params=MANY)
def waiter(request):
    loop = made(request.param)
    yield loop
    loop.close()


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def ready(waiter, timeout_s=0):
    return sorted(waiter.wait(timeout_s))


def test_the_bits_are_epolls():
    assert (READ, WRITE) == (select.EPOLLIN, select.EPOLLOUT)
    found = select.EPOLLEXCLUSIVE, select.EPOLLONESHOT, select.EPOLLET
    assert found == (EXCLUSIVE, ONESHOT, EDGE)


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
    waiter = made("epoll")
    with contextlib.ExitStack() as opened:
        opened.callback(waiter.close)
        for _ in range(EVENTS_PER_TURN + 1):
            stop = os.eventfd(1)
            opened.callback(os.close, stop)
            waiter.add(stop, READ)
        assert len(list(waiter.wait(0))) == EVENTS_PER_TURN


def test_select_refuses_what_its_sets_cannot_hold(pair):
    waiter = SelectLoop(Watching("select"))
    waiter.add(pair[0].fileno(), WRITE)
    with pytest.raises(ValueError, match=r"cannot watch descriptor 1024.*with epoll"):
        waiter.add(SELECT_LIMIT, READ)
    assert ready(waiter) == [(pair[0].fileno(), WRITE)]


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def watching(opened, name, listener, count=3, **how):
    """So many loops of one kind that watch one listener, in this order."""
    common = LOOPS[name].common()
    waiters = [made(name, common, **how) for _ in range(count)]
    for waiter in waiters:
        opened.callback(waiter.close)
        waiter.watch(listener)
    return waiters


@pytest.mark.parametrize("name", ["epoll", "select", "nested epoll"])
def test_a_shared_listener_wakes_every_loop(name, listener):
    with contextlib.ExitStack() as opened:
        waiters = watching(opened, name, listener)
        opened.enter_context(socket.create_connection(listener.getsockname()))
        fd = listener.fileno()
        assert [ready(waiter, 20) for waiter in waiters] == [[(fd, READ)]] * 3
        waiters[0].accept(listener)[0].close()
        assert [ready(waiter) for waiter in waiters] == [[]] * 3


@pytest.mark.parametrize("events", [READ | EDGE, READ | ONESHOT])
def test_one_epoll_tells_one_loop_only(events, listener):
    with contextlib.ExitStack() as opened:
        waiters = watching(opened, "one epoll", listener, events=events)
        opened.enter_context(socket.create_connection(listener.getsockname()))
        told = [ready(waiter, 1) for waiter in waiters]
        assert sorted(told) == [[], [], [(listener.fileno(), events & READ)]]


def test_one_shot_tells_again_when_it_is_armed(listener):
    with contextlib.ExitStack() as opened:
        (waiter,) = watching(opened, "epoll", listener, 1, events=READ | ONESHOT)
        for _ in range(2):
            opened.enter_context(socket.create_connection(listener.getsockname()))
        assert len(ready(waiter, 20)) == 1
        assert ready(waiter) == []
        waiter.arm(listener)
        assert len(ready(waiter, 20)) == 1


def test_who_has_the_mutex_watches_until_it_has_accepted(listener):
    with contextlib.ExitStack() as opened:
        one, another = watching(opened, "epoll and mutex", listener, 2)
        opened.enter_context(socket.create_connection(listener.getsockname()))
        assert ready(one, 20) == [(listener.fileno(), READ)]
        assert ready(another) == []  # though a connection waits
        one.accept(listener)[0].close()
        opened.enter_context(socket.create_connection(listener.getsockname()))
        assert ready(another, 20) == [(listener.fileno(), READ)]


@pytest.mark.parametrize("name", MANY)
def test_what_is_unwatched_tells_nothing_and_may_be_watched_again(name, listener):
    with contextlib.ExitStack() as opened:
        (waiter,) = watching(opened, name, listener, 1)
        waiter.unwatch(listener)
        opened.enter_context(socket.create_connection(listener.getsockname()))
        assert ready(waiter, 0.05) == []
        waiter.watch(listener)
        assert [fd for fd, _ in ready(waiter, 20)] == [listener.fileno()]
        client, peer = waiter.accept(listener)
        client.close()
        assert peer[0] == "127.0.0.1"
        with pytest.raises(BlockingIOError):
            waiter.accept(listener)


def test_a_way_to_wait_tells_what_it_is():
    how = Watching(events=READ | EXCLUSIVE | EDGE, drain=True, rotate_every=16)
    assert how.described() == (
        "epoll, exclusive, edge-triggered, accept until would-block, "
        "registered anew every 16 accepts"
    )
