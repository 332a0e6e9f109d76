import contextlib
import socket
import sys
import time

import pytest

from netlab.kernel.backlog import (
    Drops,
    accept_queue_length,
    accept_queue_limit,
    listen_drops,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO is Linux's")
FAMILIES = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
NETSTAT = """\
TcpExt: SyncookiesSent ListenOverflows ListenDrops
TcpExt: 1 22 333
IpExt: InNoRoutes ListenDrops
IpExt: 4 5
"""


@pytest.fixture(params=FAMILIES, ids=["ipv4", "ipv6"])
def listener(request):
    family, host = request.param
    with socket.socket(family) as passive:
        try:
            passive.bind((host, 0))
        except OSError:
            pytest.skip(f"no {host} here")
        passive.listen(16)
        yield passive


@pytest.fixture
def clients():
    with contextlib.ExitStack() as opened:
        yield opened


def connect(listener, count, clients):
    for _ in range(count):
        client = clients.enter_context(socket.socket(listener.family))
        client.setblocking(False)
        client.connect_ex(listener.getsockname()[:2])


def becomes(read, wanted):
    deadline = time.monotonic() + 5
    while read() != wanted and time.monotonic() < deadline:
        time.sleep(0.005)
    return read() == wanted


@linux
def test_unaccepted_connections_are_counted_until_they_are_accepted(listener, clients):
    assert accept_queue_length(listener) == 0
    connect(listener, 5, clients)
    assert becomes(lambda: accept_queue_length(listener), 5)
    for left in (4, 3):
        listener.accept()[0].close()
        assert accept_queue_length(listener) == left


@linux
def test_limit_is_the_backlog_that_took_effect(listener):
    assert accept_queue_limit(listener) == 16
    listener.listen(9)
    assert accept_queue_limit(listener) == 9


@linux
def test_siblings_on_one_port_have_queues_of_their_own(clients):
    with socket.socket() as first, socket.socket() as second:
        for passive in (first, second):
            passive.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        first.bind(("127.0.0.1", 0))
        second.bind(first.getsockname())
        first.listen(16)
        second.listen(16)
        connect(first, 8, clients)
        both = (first, second)
        assert becomes(lambda: sum(accept_queue_length(one) for one in both), 8)


@linux
def test_full_queue_holds_one_more_than_its_limit_and_drops_the_rest(listener, clients):
    listener.listen(2)
    before = listen_drops()
    connect(listener, 6, clients)
    assert becomes(lambda: accept_queue_length(listener), 3)
    lost = listen_drops().since(before)
    assert lost.overflows >= 3
    assert lost.drops >= lost.overflows


@linux
def test_socket_that_does_not_listen_is_named_in_the_error():
    with socket.socket() as idle, pytest.raises(ValueError, match=r"call listen\(\)"):
        accept_queue_length(idle)


@linux
def test_socket_that_is_not_tcp_has_no_accept_queue():
    with socket.socket(type=socket.SOCK_DGRAM) as udp, pytest.raises(OSError):  # noqa: PT011
        accept_queue_length(udp)


def test_other_systems_get_a_reason(monkeypatch):
    monkeypatch.delattr(socket, "TCP_INFO", raising=False)
    with socket.socket() as any_socket, pytest.raises(OSError, match="needs Linux"):
        accept_queue_limit(any_socket)


def fake(tmp_path, text):
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/netstat").write_text(text)
    return tmp_path


def test_drops_are_read_by_name(tmp_path):
    assert listen_drops(fake(tmp_path, NETSTAT)) == Drops(22, 333)


@pytest.mark.parametrize("text", ["", "TcpExt: A\n", "TcpExt: A B\nTcpExt: 1 2\n"])
def test_missing_counters_are_an_error_and_no_zero(tmp_path, text):
    with pytest.raises(OSError, match="has no counter"):
        listen_drops(fake(tmp_path, text))


def test_drops_subtract():
    assert Drops(5, 9).since(Drops(2, 3)) == Drops(3, 6)
