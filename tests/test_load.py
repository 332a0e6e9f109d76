"""Fire: what a load does and leaves, at servers that behave and that do not."""

import contextlib
import io
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import netlab
from netlab.kernel.child import interrupts_held_back
from netlab.kernel.limits import raised_descriptor_limit
from netlab.load import generator as module
from netlab.load.generator import Generator
from netlab.load.plans import MEANINGS, Outcome
from netlab.load.result import LoadError
from tests.bounded import (
    BOUND_S,
    ENVIRONMENT,
    ROOT,
    background,
    children,
    free_port,
    left_behind,
    linux,
    lives,
    until,
)

pytestmark = linux
LONG = {"duration_s": 50.0}  # a load that is ended by something else
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"


@pytest.fixture(scope="module")
def generator():
    with Generator() as kept:
        yield kept


@pytest.fixture(scope="module")
def server():
    with netlab.Server(workers=2) as running:
        yield running


@contextlib.contextmanager
def answering(behave, backlog=128):
    """A server that calls `behave` with each client, in a thread each.

    Yields its address. What the clients are left with is closed at the end.
    """
    kept = []

    def accept():
        with contextlib.suppress(OSError):
            while True:
                kept.append(listener.accept()[0])
                thread = threading.Thread(target=attend, args=(kept[-1],))
                threads.append(thread)
                thread.start()

    def attend(client):
        with contextlib.suppress(OSError):
            behave(client)

    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        yield address_of(listener)
        listener.shutdown(socket.SHUT_RDWR)
    threads[0].join()
    for client in kept:
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    for client in kept:
        client.close()


def address_of(listener):
    host, port = listener.getsockname()
    return f"{host}:{port}"


def heard(client):
    """Whether the client has asked something."""
    return client.recv(1 << 16)


def hang_up(client):
    heard(client)
    client.close()


def hang_up_half_way(client):
    heard(client)
    client.sendall(HEAD + b"\r\n123")
    client.close()


def reset(client):
    heard(client)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def saying(*pieces):
    def behave(client):
        while heard(client):
            for piece in pieces:
                client.sendall(piece)

    return behave


def kinds(result):
    return result.connections["outcome"].value_counts().to_dict()


def answers_of(server):
    return int(server.snapshot()["answers"].sum())


# -- loads that go well ---------------------------------------------------------------


def test_closed_by_count_has_a_row_for_every_request(generator, server):
    got = generator.fire(server, connections=40, at_once=8, requests=3)
    assert len(got.requests) == 120
    assert got.requests["connection"].value_counts().to_dict() == dict.fromkeys(
        range(40), 3
    )
    assert set(got.requests["status"]) == {200}
    assert set(got.requests["worker"]) <= {0, 1}
    assert set(got.requests["cpu"]) <= set(server.actual()["cpus"])
    assert (got.requests["latency_ns"] > 0).all()
    assert (got.failures(), got.missing, got.dropped) == ({}, 0, 0)


def test_closed_by_count_has_a_row_for_every_connection(generator, server):
    before = len(server.accepts())
    got = generator.fire(server, connections=30, requests=2).connections
    assert sorted(got["connection"]) == list(range(30))
    assert set(got["outcome"]) == {"closed"}
    assert set(got["requests"]) == {2}
    assert (got["connect_ns"] >= 0).all()
    assert (got["closed_ns"] > got["opened_ns"]).all()
    assert got["port"].is_unique
    server.settle()
    assert set(server.accepts()["port"][before:]) == set(got["port"])


def test_each_answer_is_its_workers(generator):
    with netlab.Server(workers=3) as own:
        got = generator.fire(own, connections=60, requests=2)
    counted = got.requests["worker"].value_counts()
    assert own.counters()["answers"].tolist() == [counted.get(n, 0) for n in range(3)]


def test_closed_by_duration_ends_and_has_every_row(generator):
    with netlab.Server(workers=2) as own:
        began = time.monotonic()
        got = generator.fire(own, duration_s=0.3, at_once=4)
        assert 0.3 <= time.monotonic() - began < BOUND_S
    assert (got.failures(), got.missing, got.dropped) == ({}, 0, 0)
    assert len(got.connections) == 4  # they ask until the time is up
    assert len(got.requests) == own.counters()["answers"].sum() > 4
    assert got.requests["start_ns"].max() - got.requests["start_ns"].min() < 0.31e9


def test_duration_with_a_count_of_requests_opens_anew(generator, server):
    got = generator.fire(server, duration_s=0.2, requests=1, at_once=2)
    assert len(got.requests) == len(got.connections) > 2


def test_at_once_is_reached_and_never_exceeded(generator):
    met, lock, seen = threading.Barrier(5), threading.Lock(), []
    open_now = 0

    def behave(client):
        nonlocal open_now
        with lock:
            open_now += 1
            seen.append(open_now)
        heard(client)
        met.wait(BOUND_S)  # until five are open together
        with lock:
            open_now -= 1
        client.sendall(HEAD + b"Connection: close\r\n\r\n12345")
        client.close()

    with answering(behave) as address:
        got = generator.fire(address, connections=25, at_once=5)
    assert len(got.requests) == 25
    assert max(seen) == 5


def test_addresses_take_turns(generator):
    listen = ["127.0.0.1:0", "[::1]:0", "127.0.0.1:0"]
    try:
        own = netlab.Server(workers=2, listen=listen)
    except OSError:
        pytest.skip("no ::1 here")
    with own:
        got = generator.fire(own, connections=30)
        again = generator.fire([str(own.addresses[1])], connections=5)
    numbers = got.connections.sort_values("connection")["address"].tolist()
    assert numbers == [0, 1, 2] * 10
    assert set(again.connections["outcome"]) == {"closed"}
    assert own.accepts()["listener"].value_counts().to_dict() == {0: 10, 1: 15, 2: 10}


def test_several_servers_take_turns(generator, server):
    with netlab.Server(workers=1) as other:
        got = generator.fire([server, str(other.address)], connections=10)
        assert answers_of(other) == 5
    assert got.connections["address"].value_counts().to_dict() == {0: 5, 1: 5}


def test_touch_opens_one_at_a_time_and_holds_all(generator):
    seen = []

    def look():
        own.settle()
        counted = own.counters()
        seen.append((counted["open"].sum(), counted["requests"].sum()))
        seen.append(time.monotonic_ns())

    with netlab.Server(workers=2) as own:
        got = generator.fire(
            own, plan="touch", connections=25, pause_ms=4, on_held=look
        )
        until(lambda: own.counters()["open"].sum() == 0)
        assert own.counters()["bytes_in"].sum() == 0
    made = got.connections.sort_values("connection")
    assert seen[0] == (25, 0)
    assert (made["closed_ns"] > seen[1]).all()
    assert np.diff(made["opened_ns"]).min() >= 3.9e6
    assert set(made["outcome"]) == {"closed"}
    assert len(got.requests) == 0


def test_touch_holds_for_as_long_as_asked(generator, server):
    got = generator.fire(
        server, plan="touch", connections=3, pause_ms=0, hold_ms=150
    ).connections
    assert got["closed_ns"].min() - got["opened_ns"].max() >= 0.15e9


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_bodies_of_any_size(generator, server, size):
    before = server.snapshot()["bytes_out"].sum()
    got = generator.fire(server, connections=4, requests=2, path=f"/bytes/{size}")
    assert len(got.requests) == 8
    until(lambda: server.snapshot()["bytes_out"].sum() - before > 8 * size)


def test_refusals_are_answers(generator, server):
    load = {"connections": 3, "requests": 2, "path": "/nowhere"}
    got = generator.fire(server, on_error="record", **load)
    assert set(got.requests["status"]) == {404}
    assert (got.failures(), got.unanswered, got.refused) == ({}, 0, 6)
    with pytest.raises(LoadError, match=r"6 requests for /nowhere.*6 refused"):
        generator.fire(server, **load)


def test_requests_after_a_refusal_that_closes_are_missed(generator, server):
    with pytest.raises(LoadError, match=r"2 refused by the server; 6 not answered"):
        generator.fire(server, connections=2, requests=4, path="/spin/999999")


def test_touch_holds_only_what_is_connected(generator):
    with socket.create_server(("127.0.0.1", 0), backlog=2) as listener:
        address = "{}:{}".format(*listener.getsockname())
        settings = {"plan": "touch", "connections": 12, "pause_ms": 0, "timeout_s": 0.5}
        got = generator.fire(address, on_error="record", **settings)
    assert 3 <= (got.connection_rows["connect_ns"] >= 0).sum() < 12  # n + 1 fit
    assert got.failures() == {Outcome.TIMED_OUT: 12}


def test_a_load_can_be_fired_while_many_connections_are_held(server):
    with Generator() as first, Generator() as second:
        answered = []

        def on_held():
            answered.append(second.fire(server, connections=5))

        with raised_descriptor_limit(1500 + 256):
            first.fire(
                server, on_held=on_held, plan="touch", connections=1200, pause_ms=0
            )
    assert len(answered[0].request_rows) == 5


def test_another_server_names_no_worker(generator, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as other:
        port = other.stdout.readline().split(" port ")[1].split()[0]
        got = generator.fire(f"127.0.0.1:{port}", connections=10, at_once=2)
        other.kill()
    assert len(got.requests) == 10
    assert set(got.requests["worker"]) == set(got.requests["cpu"]) == {-1}


def test_more_connections_than_the_shells_limit(server):
    """The load's process raises its own limit; it was started with a low one."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1024:
        pytest.skip("the hard limit is too low")
    with netlab.Generator() as low:
        low.fire(server, connections=1)
        resource.prlimit(low.pid, resource.RLIMIT_NOFILE, (200, hard))
        settings = {"plan": "touch", "connections": 300, "pause_ms": 0}
        assert kinds(low.fire(server, **settings)) == {"closed": 300}
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


# -- targets --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("8.8.8.8:80", "8.8.8.8:80 is not this machine"),
        ("0.0.0.0:80", "not this machine"),
        ("[::]:80", "not this machine"),
        ("192.0.2.1:80", "consent"),
        (["127.0.0.1:80", "192.0.2.1:80"], "192.0.2.1:80"),
        ("example.org:80", "numeric host"),
        ("127.0.0.1:99999", "65535"),
        ("", "HOST:PORT"),
        ([], "at least one address"),
    ],
    ids=str,
)
def test_target_that_is_refused(target, told):
    with Generator() as unused:
        with pytest.raises(ValueError, match=r".") as caught:
            unused.fire(target)
        assert told in str(caught.value)
        assert unused.pid is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"on_error": "ignore"}, "'ignore'"), ({"connections": 0}, "connections=0")],
)
def test_bad_settings_start_no_process(server, settings, told):
    with Generator() as unused:
        with pytest.raises(ValueError, match=told):
            unused.fire(server, **settings)
        assert unused.pid is None


# -- servers that misbehave -----------------------------------------------------------

FAULTS = {
    "hangs up": (hang_up, Outcome.HUNG_UP),
    "hangs up half way": (hang_up_half_way, Outcome.HUNG_UP),
    "resets": (reset, Outcome.RESET),
    "says nonsense": (saying(b"220 smtp.example ready\r\n"), Outcome.MALFORMED),
    "says a number too long": (
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999\r\n\r\n"),
        Outcome.MALFORMED,
    ),
    "gives no length": (saying(b"HTTP/1.1 200 OK\r\n\r\n"), Outcome.MALFORMED),
    "never ends its head": (saying(HEAD + b"X: y\r\n" * 2000), Outcome.MALFORMED),
    "says more than it said": (saying(HEAD + b"\r\n1234567"), Outcome.MALFORMED),
    "never answers": (saying(), Outcome.TIMED_OUT),
    "never ends its body": (saying(HEAD, b"\r\n123"), Outcome.TIMED_OUT),
}
SHORT = {"connections": 6, "at_once": 3, "timeout_s": 0.6}


def alone(outcome):
    """Settings under which all of six connections meet the fault before the end."""
    return SHORT | ({"at_once": 6} if outcome == Outcome.TIMED_OUT else {})


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_recorded_by_its_kind(generator, fault):
    behave, kind = FAULTS[fault]
    with answering(behave) as address:
        got = generator.fire(address, on_error="record", **alone(kind))
    assert got.failures() == {kind: 6}
    assert got.missing == 0
    assert generator.last is got


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_ends_the_load_and_raises(generator, fault):
    behave, kind = FAULTS[fault]
    with (
        answering(behave) as address,
        pytest.raises(LoadError, match=address) as caught,
    ):
        generator.fire(address, **alone(kind))
    got = caught.value.result
    assert got.failures()[kind] >= 1
    assert set(got.failures()) <= {kind, Outcome.OPEN}
    assert MEANINGS[kind] in str(caught.value)
    assert generator.pid  # the process is none the worse for it


def test_nothing_listens(generator):
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(LoadError, match=f"{address}.*nobody listens") as caught:
        generator.fire(address, connections=20)
    got = caught.value.result
    assert set(got.failures()) == {Outcome.REFUSED}
    assert (got.connections["connect_ns"] == -1).all()
    assert len(got.connections) + got.missing == 20
    assert len(got.requests) == 0
    assert "not begun" in str(caught.value)


def test_nothing_listens_and_that_is_recorded(generator):
    got = generator.fire(f"127.0.0.1:{free_port()}", on_error="record", connections=20)
    assert kinds(got) == {"refused": 20}
    assert sorted(got.connections["connection"]) == list(range(20))


def test_touch_where_nothing_listens_holds_nothing(generator):
    held = []
    with pytest.raises(LoadError, match="nobody listens") as caught:
        generator.fire(
            f"127.0.0.1:{free_port()}",
            plan="touch",
            connections=5,
            on_held=lambda: held.append(1),
        )
    assert held == []
    assert len(caught.value.result.connections) == 1


def test_touch_of_a_server_that_talks_first(generator):
    with answering(lambda client: client.sendall(HEAD + b"\r\n12345")) as address:
        got = generator.fire(
            address, plan="touch", connections=3, pause_ms=30, on_error="record"
        )
    assert kinds(got) == {"malformed": 3}
    assert got.dropped == 0


def test_one_of_two_addresses_is_dead(generator, server):
    target = [str(server.address), f"127.0.0.1:{free_port()}"]
    got = generator.fire(target, connections=10, on_error="record")
    by_address = got.connections.groupby("address")["outcome"].unique()
    assert [list(kind) for kind in by_address] == [["closed"], ["refused"]]


def test_connections_that_nobody_accepts_time_out(generator):
    with socket.create_server(("127.0.0.1", 0), backlog=1) as full:
        got = generator.fire(
            address_of(full), on_error="record", **alone(Outcome.TIMED_OUT)
        )
    assert kinds(got) == {"timed_out": 6}
    assert (got.connections["connect_ns"] < 0).any()  # some found the queue full
    assert (got.connections["connect_ns"] >= 0).any()


# -- loads that run out of time -------------------------------------------------------


def test_count_that_time_does_not_allow_is_an_error(generator, server):
    for _ in range(10):  # the end may come between two connections
        with pytest.raises(LoadError, match="not begun") as caught:
            generator.fire(server, connections=100_000, at_once=1, timeout_s=0.05)
        got = caught.value.result
        assert got.missing == 100_000 - len(got.connections) > 0


def test_touch_that_runs_out_of_time_is_an_error(generator, server):
    held = []
    with pytest.raises(LoadError, match="not finished in time") as caught:
        generator.fire(
            server,
            plan="touch",
            connections=1000,
            timeout_s=0.2,
            on_held=lambda: held.append(1),
        )
    got = caught.value.result
    assert held == []
    assert len(got.connections) + got.missing == 1000
    assert set(got.failures()) == {Outcome.TIMED_OUT}


def test_holding_that_time_does_not_allow_is_an_error(generator, server):
    with pytest.raises(LoadError, match="3 not finished in time"):
        generator.fire(
            server, plan="touch", connections=3, hold_ms=60_000, timeout_s=0.3
        )


def test_on_held_that_takes_too_long_is_an_error(generator, server):
    with pytest.raises(LoadError, match="later than timeout_s"):
        generator.fire(
            server,
            plan="touch",
            connections=2,
            timeout_s=0.1,
            on_held=lambda: until(lambda: not lives(generator.pid)),
        )
    assert len(generator.fire(server, connections=5).requests) == 5


def test_on_held_that_raises_ends_the_load(generator, server):
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        generator.fire(server, plan="touch", connections=4, on_held=fail)
    assert generator.pid is None
    assert len(generator.last.connections) == 4
    until(lambda: server.counters()["open"].sum() == 0)


# -- ends in the middle ---------------------------------------------------------------


def under_way(server, more=50):
    """Wait until a load is in its middle."""
    before = answers_of(server)
    until(lambda: answers_of(server) > before + more)


def test_server_that_stops_in_the_middle(generator):
    with (
        netlab.Server(workers=2) as own,
        background(generator.fire, own, timeout_s=55, **LONG) as firing,
    ):
        under_way(own)
        own.stop()
        error = firing.exception(BOUND_S)
    assert isinstance(error, LoadError)
    assert len(error.result.requests) > 50
    assert set(error.result.failures()) <= {
        Outcome.REFUSED,
        Outcome.RESET,
        Outcome.HUNG_UP,
        Outcome.OPEN,
    }


def test_process_that_is_killed_in_the_middle(generator, server):
    with background(generator.fire, server, **LONG) as firing:
        under_way(server)
        killed = generator.pid
        os.kill(killed, signal.SIGKILL)
        error = firing.exception(BOUND_S)
    assert isinstance(error, LoadError)
    assert "signal 9" in str(error)
    assert len(error.result.requests) > 50
    assert (error.result.requests["latency_ns"] > 0).all()
    assert not lives(killed)
    assert len(generator.fire(server, connections=5).requests) == 5
    assert generator.pid not in (None, killed)


def test_process_that_stands_still(generator, server, monkeypatch):
    monkeypatch.setattr(module, "GRACE_S", 0.3)
    with background(generator.fire, server, duration_s=0.8, timeout_s=1) as firing:
        under_way(server)
        stopped = generator.pid
        os.kill(stopped, signal.SIGSTOP)
        error = firing.exception(BOUND_S)
    assert isinstance(error, LoadError)
    assert "said nothing" in str(error)
    assert len(error.result.requests) > 50
    assert not lives(stopped)
    assert len(generator.fire(server, connections=5).requests) == 5


def test_process_that_was_killed_while_idle(generator, server):
    generator.fire(server, connections=1)
    idle = generator.pid
    os.kill(idle, signal.SIGKILL)
    until(lambda: not lives(idle))
    with pytest.raises(LoadError, match="signal 9"):
        generator.fire(server, connections=5)
    assert len(generator.fire(server, connections=5).requests) == 5


PARENT = """
import netlab, sys, time
server, generator = netlab.Server(workers=1), netlab.Generator()
generator.fire(server, connections=1)
print(generator.pid, server.pid, flush=True)
def say():
    print("now", flush=True)
    time.sleep(60)
{what}
"""
ENDS = {
    "idle": "say()",
    "asking": "print('now', flush=True); generator.fire(server, duration_s=50)",
    "pausing": "print('now', flush=True); "
    "generator.fire(server, plan='touch', connections=100, pause_ms=40000)",
    "holding": "generator.fire(server, plan='touch', connections=2, on_held=say)",
}


@pytest.mark.parametrize("moment", ENDS)
def test_parent_that_is_killed_leaves_no_process(moment):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT.format(what=ENDS[moment])],
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    ) as parent:
        pid = int(parent.stdout.readline().split()[0])
        assert parent.stdout.readline() == "now\n"
        assert lives(pid)
        parent.kill()
        until(lambda: not lives(pid))


def test_interrupt_in_the_middle_leaves_rows_and_no_process(generator, server):
    def interrupt():
        under_way(server)
        before.append(generator.pid)
        os.kill(os.getpid(), signal.SIGINT)

    before = []
    with background(interrupt), pytest.raises(KeyboardInterrupt):
        generator.fire(server, **LONG)
    assert generator.pid is None
    assert not lives(before[0])
    assert len(generator.last.requests) > 50
    until(lambda: server.counters()["open"].sum() == 0)
    assert len(generator.fire(server, connections=5).requests) == 5


def test_load_ignores_the_terminals_interrupt(generator, server):
    with background(generator.fire, server, duration_s=0.5) as firing:
        under_way(server)
        os.kill(generator.pid, signal.SIGINT)
        assert firing.result(BOUND_S).failures() == {}


# -- what is left ---------------------------------------------------------------------


def test_one_process_serves_many_loads_and_nothing_is_left(server):
    netlab.fire(server, connections=1)  # imports, and what they open
    before = left_behind()
    with Generator() as kept:
        pids = {kept.fire(server, connections=3) and kept.pid for _ in range(20)}
        assert len(pids) == 1
        assert children() - before[0] == pids
    for _ in range(3):
        netlab.fire(server, connections=3)
    server.settle()
    assert left_behind() == before


def test_failed_loads_leave_nothing(server):
    address = f"127.0.0.1:{free_port()}"
    before = left_behind()
    for _ in range(3):
        with pytest.raises(LoadError):
            netlab.fire(address, connections=3)
    server.settle()
    assert left_behind() == before


def test_dropped_generator_leaves_no_process(server):
    dropped = Generator()
    dropped.fire(server, connections=1)
    pid = dropped.pid
    assert repr(dropped) == f"<netlab.Generator: process {pid}>"
    del dropped
    until(lambda: not lives(pid))


def test_closed_generator_may_fire_again(server):
    with Generator() as kept:
        assert repr(kept) == "<netlab.Generator: idle>"
        kept.close()
        kept.fire(server, connections=1)
        first = kept.pid
        kept.close()
        kept.close()
        kept.fire(server, connections=1)
        assert kept.pid != first
        assert not lives(first)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("shown", [True, False])
def test_progress_bar_leaves_no_thread(generator, server, monkeypatch, shown):
    monkeypatch.setattr(sys, "stderr", Terminal())
    before = left_behind()
    generator.fire(server, duration_s=0.9, progress=shown)
    assert ("requests" in sys.stderr.getvalue()) == shown
    server.settle()
    assert left_behind() == before


FORKSERVER = """
import multiprocessing, netlab, psutil
multiprocessing.set_start_method("forkserver")
with netlab.Server(workers=1) as server:
    netlab.fire(server, connections=1)
assert psutil.Process().children() == [], psutil.Process().children()
"""


def test_progress_bar_leaves_no_process():
    """Where multiprocessing forks from a server, as it does since Python 3.14."""
    subprocess.run(
        [sys.executable, "-c", FORKSERVER], check=True, env=ENVIRONMENT, timeout=BOUND_S
    )


def test_result_tells_what_it_is(generator, server):
    got = generator.fire(server, connections=4, requests=2)
    assert repr(got) == "<LoadResult: 8 requests on 4 connections, 0 failed>"
    assert got.settings.at_once is None
    assert got.actual.at_once == 4


def test_an_interrupt_is_held_back_while_a_process_is_made():
    steps = []

    def make():
        with interrupts_held_back():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("went on")

    with pytest.raises(KeyboardInterrupt):
        make()
    assert steps == ["went on"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


INTERRUPTED = """
import os, psutil, signal, time
from netlab.load.generator import Generator
signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
for step in range(24):
    generator = Generator()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002 + step * 0.004)
        generator.fire("127.0.0.1:9", on_error="record", connections=1)
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        generator.close()
    left = psutil.Process().children()
    assert left == [], (step, left)
"""


def test_an_interrupt_at_any_moment_of_the_start_leaves_no_process():
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=BOUND_S * 3,
    )
    assert (done.returncode, done.stderr) == (0, "")


DROPPED = """
import signal, socket, time
from netlab.kernel.child import Module

ours, theirs = socket.socketpair()
module = Module("netlab.load.process", theirs.fileno())
wait = module._process.wait
module._process.wait = lambda: (signal.raise_signal(signal.SIGINT), wait())
try:
    del module  # its finalizer is interrupted
    time.sleep(20)
except KeyboardInterrupt:
    print("interrupted")
ours.close()
theirs.close()
"""


def test_an_interrupt_that_comes_while_a_process_is_dropped_is_not_lost(fresh):
    assert fresh(DROPPED) == ["interrupted"]
