"""What a client may cost: its time, and its place among the descriptors."""

import contextlib
import json
import resource
import socket
import time

import pytest
from bounded import BOUND_S, until
from conftest import KINDS, possible

from netlab import counters
from netlab.server import bounds
from netlab.server.server import Server

LIMIT_S = 0.4
SHARED = {
    "one epoll": {"strategy": "one-epoll-oneshot"},
    "one epoll, compiled": {"strategy": "one-epoll-oneshot", "engine": "compiled"},
    "io_uring": {"strategy": "uring-accept"},
    "a mutex": {"strategy": "accept-mutex"},
}
QUESTION = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
LONG = b"GET /bytes/8000000 HTTP/1.1\r\nHost: h\r\n\r\n"
REFUSED = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"


SOME = ["epoll", "compiled", "processes", "one epoll", "one epoll, compiled"]


@pytest.fixture(params=[*KINDS, *SHARED])
def each_kind(request):
    return possible((KINDS | SHARED)[request.param])


@pytest.fixture(params=SOME)
def kind(request):
    return possible((KINDS | SHARED)[request.param])


def connect(address):
    return socket.create_connection(tuple(address)[:2], timeout=BOUND_S)


def total(server):
    return counters.total(server.snapshot())


def ends(client):
    """Whether the server ends the connection; reads what comes before."""
    with contextlib.suppress(ConnectionError):
        while client.recv(1 << 20):
            pass
    return True


def answers(client):
    client.sendall(QUESTION)
    return client.recv(4096).startswith(b"HTTP/1.1 200 OK")


LATE = {
    "half a request": b"GET / HT",
    "one byte": b"G",
    "a second request without an end": QUESTION + b"GET / HTTP/1.1\r\n",
}


@pytest.mark.parametrize("said", LATE.values(), ids=list(LATE))
def test_who_does_not_go_on_is_closed(said, each_kind):
    with Server(workers=2, client_timeout_s=LIMIT_S, **each_kind) as server:
        with connect(server.address) as client, connect(server.address) as silent:
            began = time.monotonic()
            client.sendall(said)
            assert ends(client)
            assert time.monotonic() - began >= LIMIT_S
            assert answers(silent)
        until(lambda: total(server)["closed"] == 2)
        assert total(server)["timed_out"] == 1


def test_who_reads_nothing_is_closed(each_kind):
    with Server(workers=2, client_timeout_s=LIMIT_S, **each_kind) as server:
        with connect(server.address) as client:
            began = time.monotonic()
            client.sendall(LONG * 4)
            until(lambda: total(server)["timed_out"] == 1)
            assert time.monotonic() - began >= LIMIT_S
            until(lambda: total(server)["closed"] == 1)
        assert total(server)["partial_writes"] == 1


def test_who_stays_after_a_refusal_is_closed(kind):
    with Server(workers=2, client_timeout_s=LIMIT_S, **kind) as server:
        with connect(server.address) as client:
            client.sendall(REFUSED)
            assert client.recv(4096).startswith(b"HTTP/1.1 405")
            client.sendall(b"and more")
            until(lambda: total(server)["timed_out"] == 1)
        assert total(server)["closed"] == 1


def test_bytes_of_an_unfinished_request_renew_nothing(kind):
    settings = kind | {"workers": 2, "client_timeout_s": LIMIT_S}
    with Server(**settings) as server, connect(server.address) as client:
        client.sendall(QUESTION[:-2] + b"X: ")

        def a_byte_more():
            with contextlib.suppress(ConnectionError):
                client.sendall(b"y")
            time.sleep(LIMIT_S / 20)
            return total(server)["timed_out"]

        assert until(a_byte_more) == 1


def test_who_gets_something_done_has_its_time_again(kind):
    with Server(workers=2, client_timeout_s=LIMIT_S, **kind) as server:
        with connect(server.address) as client:
            rest = b""
            for _ in range(6):  # three times the limit in all, half of it each
                time.sleep(LIMIT_S / 2)
                client.sendall(rest + QUESTION[: -(cut := 9)])
                rest = QUESTION[-cut:]
            client.sendall(rest)
            got = b""
            while got.count(b"200 OK") < 6:
                got += client.recv(4096)
        assert total(server)["timed_out"] == 0


def test_who_reads_on_has_its_time_again(kind):
    with Server(workers=2, client_timeout_s=LIMIT_S, **kind) as server:
        with connect(server.address) as client:
            client.sendall(LONG)
            got, began = 0, time.monotonic()
            while got < 8_000_000:
                got += len(client.recv(400_000))
                time.sleep(LIMIT_S / 8)
            assert time.monotonic() - began > LIMIT_S
        assert total(server)["timed_out"] == 0


def test_nobody_s_time_is_looked_at_while_all_behave(kind):
    """A wait with a limit would change the order in which the kernel wakes."""
    settings = kind | {"workers": 2, "client_timeout_s": LIMIT_S}
    with Server(**settings) as server, connect(server.address) as client:
        client.sendall(b"GET / HT")
        time.sleep(LIMIT_S / 5)
        client.sendall(QUESTION[8:])
        assert client.recv(4096)
        time.sleep(LIMIT_S / 2)
        assert server.settle()
        before = total(server)["turns"]
        time.sleep(LIMIT_S)
        assert total(server)["turns"] == before


# --- connections


MOST = 6


def test_more_than_may_be_wait_in_the_backlog(kind):
    apart = kind.get("workers_as") == "processes"
    workers = 1 if apart else 2
    settings = {"workers": workers, "max_connections": MOST}
    with Server(**settings, **kind) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server.address)) for _ in range(12)]
        until(lambda: total(server)["rests"] > 3 * workers)
        opened = total(server)["accepted"]
        assert MOST <= opened <= MOST + workers
        assert opened + server.waiting() == len(clients)
        for done, client in enumerate(clients):  # each makes room for one
            assert answers(client)
            client.close()
            until(lambda done=done: total(server)["closed"] == done + 1)
        counts = total(server)
        assert (counts["accepted"], counts["accept_errors"]) == (12, 0)


FULL = """
    import json, resource, socket, sys
    from netlab import counters
    from netlab.server.server import Server

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    with Server(workers=2, **json.loads(sys.argv[1])) as server:
        print(server.address.port, server.actual()["max_connections"], flush=True)
        sys.stdin.readline()
        for spare in [open("/dev/null") for _ in range(24)]:
            spare.close()
        print(*counters.total(server._crew.rows.copy()).values(), flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("engine", ["python", "compiled"])
def test_by_default_the_process_keeps_some_descriptors_for_itself(engine, start_fresh):
    """256 idle clients at a process with 256 descriptors: it can still open a file."""
    kind = possible({"engine": engine})
    with start_fresh(FULL, json.dumps(kind)) as process, contextlib.ExitStack() as held:
        port, most = map(int, process.stdout.readline().split())
        for _ in range(256):
            held.enter_context(connect(("127.0.0.1", port)))
        time.sleep(0.5)
        print(file=process.stdin, flush=True)
        values = map(int, process.stdout.readline().split())
        counts = dict(zip(counters.SUMMED, values, strict=True))
        assert most <= counts["accepted"] <= most + 2
        assert (counts["accept_errors"], counts["rests"] > 2) == (0, True)
        assert process.communicate("\n", timeout=BOUND_S) == ("", "")


def test_the_limit_of_the_moment_counts():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    settings = bounds.Bounds(1.0, 0, 20, apart=False)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
        assert settings.most() == 400 - 20 - 50
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4000, hard), hard))
        assert settings.most() == min(4000, hard) - 20 - 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
