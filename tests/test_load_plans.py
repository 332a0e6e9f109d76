"""Plans open, burst and hold, and what every plan's rows say of them."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import netlab
from netlab.__main__ import main
from netlab.load import child
from netlab.load import generator as module
from netlab.load.generator import Generator
from netlab.load.plans import LoadSettings, Outcome
from netlab.load.result import LoadError
from netlab.protocol_client import write_request
from netlab.study.report import load_figures
from tests.bounded import BOUND_S, ENVIRONMENT, background, free_port, linux, until
from tests.test_load import answering, hang_up, heard, kinds, saying

pytestmark = linux
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"
OPEN = {"plan": "open"}
HOLDING = ["touch", "burst", "hold"]
SLOW_NS = 150_000_000


@pytest.fixture(scope="module")
def generator():
    with Generator() as kept:
        yield kept


@pytest.fixture(scope="module")
def server():
    with netlab.Server(workers=2) as running:
        yield running


def due_of(got):
    """When the requests were due, from the first on."""
    starts = np.sort(got.request_rows["start_ns"])
    return (starts - starts[0]).tolist()


# -- open -----------------------------------------------------------------------------


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_open_asks_by_its_schedule(generator, server, arrivals):
    settings = OPEN | {"rate_per_s": 400, "duration_s": 0.5, "arrivals": arrivals}
    got = generator.fire(server, at_once=8, **settings)
    due = LoadSettings(**settings).schedule()
    assert due_of(got) == (due - due[0]).tolist()
    assert kinds(got) == {"closed": 8}
    assert (got.unanswered, got.missing, got.dropped) == (0, 0, 0)
    rows = got.request_rows
    assert (rows["late_ns"] >= 0).all()
    assert (rows["latency_ns"] > rows["late_ns"]).all()
    assert ((rows["overdue_ns"] >= 0) & (rows["overdue_ns"] <= rows["late_ns"])).all()
    assert rows["connection"].max() < 8


def test_open_opens_its_connections_before_the_schedule(generator, server):
    got = generator.fire(server, **OPEN, rate_per_s=200, duration_s=0.2, at_once=30)
    made = got.connection_rows
    assert len(made) == 30
    assert (made["opened_ns"] + made["connect_ns"]).max() < (
        got.request_rows["start_ns"].min()
    )


def test_open_takes_the_connection_that_was_idle_longest(generator, server):
    got = generator.fire(server, **OPEN, rate_per_s=40, duration_s=0.5, at_once=4)
    counts = np.bincount(got.request_rows["connection"], minlength=4)
    assert counts.tolist() == [5, 5, 5, 5]


def test_open_with_one_request_opens_a_connection_for_each(generator, server):
    got = generator.fire(server, **OPEN, rate_per_s=300, duration_s=0.4, requests=1)
    assert len(got.request_rows) == len(got.connection_rows) == 120
    assert kinds(got) == {"closed": 120}
    assert set(got.connection_rows["requests"].tolist()) == {1}


def test_open_with_several_requests_opens_anew_after_these(generator, server):
    settings = OPEN | {"rate_per_s": 400, "duration_s": 0.5, "at_once": 5}
    got = generator.fire(server, requests=10, **settings)
    assert got.connection_rows["requests"].max() == 10
    assert got.connection_rows["requests"].sum() == len(got.request_rows) == 200
    assert kinds(got) == {"closed": len(got.connection_rows)}
    assert len(got.connection_rows) >= 20


def test_rows_of_an_open_load_are_conserved():
    run = netlab.run(workers=2, plan="open", rate_per_s=500, duration_s=0.5)
    assert run.figures["conserved"]
    assert sum(run.figures["accepts"]) == 64
    assert len(run.requests) == 250
    assert run.figures["late_sends"].keys() == {"overdue", "waited"}
    assert 0 <= run.figures["on_time_percent"] <= 100
    assert run.figures["load_cpu_us_per_request"] > 0


def stalling(after, seconds):
    """A server all of whose connections stand still once, after some requests."""
    lock, count = threading.Lock(), [0]

    def behave(client):
        while heard(client):
            with lock:
                count[0] += 1
                if count[0] == after:
                    time.sleep(seconds)
            client.sendall(ANSWER)

    return behave


def test_closed_loop_hides_a_stall_that_an_open_loop_shows(generator):
    def slow(**settings):
        with answering(stalling(50, 0.5)) as address:
            got = generator.fire(address, at_once=4, duration_s=1.2, **settings)
        return int((got.request_rows["latency_ns"] > SLOW_NS).sum()), got

    hidden, _ = slow(plan="closed")
    shown, got = slow(plan="open", rate_per_s=400)
    assert 1 <= hidden <= 8  # one for each client; and what a busy machine adds
    assert shown > 80  # those that were due in the 0.35 s
    assert len(got.request_rows) == 480


def test_requests_that_wait_for_a_connection_are_late(generator):
    def behave(client):
        while heard(client):
            time.sleep(0.03)
            client.sendall(ANSWER)

    with answering(behave) as address:
        got = generator.fire(address, **OPEN, rate_per_s=200, duration_s=0.4, at_once=2)
    rows = got.request_rows
    assert len(rows) == 80
    assert got.late()["waited"] > 40
    assert (rows["latency_ns"] > 30e6).all()
    assert np.diff(np.sort(rows["start_ns"])).max() <= 5e6  # by the schedule
    figures = load_figures(got)
    assert figures["on_time_percent"] < 50
    assert "waited for a free connection" in figures["schedule"]
    in_order = rows[np.argsort(rows["start_ns"] + rows["late_ns"], kind="stable")]
    assert (np.diff(in_order["start_ns"]) >= 0).all()


def test_requests_that_the_load_noticed_late_are_its_own_fault(generator, server):
    settings = OPEN | {"rate_per_s": 500, "duration_s": 1.0}
    with background(generator.fire, server, **settings) as firing:
        before = server.snapshot()["answers"].sum()
        until(lambda: server.snapshot()["answers"].sum() > before + 20)
        os.kill(generator.pid, signal.SIGSTOP)
        time.sleep(0.2)
        os.kill(generator.pid, signal.SIGCONT)
        got = firing.result(BOUND_S)
    assert len(got.request_rows) == 500
    assert got.late()["overdue"] > 50
    assert "machine could not keep the schedule" in load_figures(got)["schedule"]


def test_only_an_open_load_can_be_late(generator, server):
    got = generator.fire(server, connections=20)
    assert got.late() is None
    assert set(got.request_rows["late_ns"].tolist()) == {0}
    figures = load_figures(got)
    assert figures["late_sends"] is figures["on_time_percent"] is None


def test_open_goes_on_without_the_connections_that_end(generator):
    settings = OPEN | {"rate_per_s": 100, "duration_s": 0.3, "at_once": 4}
    with answering(hang_up) as address:
        got = generator.fire(address, on_error="record", **settings)
        with pytest.raises(LoadError, match="closed by the server"):
            generator.fire(address, **settings)
    assert kinds(got)["hung_up"] >= 30  # each request meets one
    assert (len(got.request_rows), got.unanswered) == (0, 30)


def test_open_where_nothing_listens(generator):
    address = f"127.0.0.1:{free_port()}"
    settings = OPEN | {"rate_per_s": 100, "duration_s": 0.2, "at_once": 4}
    got = generator.fire(address, on_error="record", **settings)
    assert kinds(got) == {"refused": 4 + 20}
    assert got.unanswered == 20
    with pytest.raises(LoadError, match="nobody listens"):
        generator.fire(address, **settings)


def test_open_that_is_never_answered_ends_in_time(generator):
    settings = OPEN | {"rate_per_s": 100, "duration_s": 0.2, "at_once": 4}
    with answering(saying()) as address:
        got = generator.fire(address, on_error="record", timeout_s=0.6, **settings)
    assert got.failures() == {Outcome.TIMED_OUT: 4}
    assert got.unanswered == 20


# -- burst and hold -------------------------------------------------------------------


def test_burst_connects_before_it_looks(generator, server):
    got = generator.fire(server, plan="burst", connections=60)
    made = got.connection_rows
    assert kinds(got) == {"closed": 60}
    assert made["opened_ns"].max() < (made["opened_ns"] + made["connect_ns"]).min()
    assert len(got.request_rows) == 0


def test_burst_asks_when_all_are_connected(generator, server):
    got = generator.fire(server, plan="burst", connections=25, requests=3)
    made, asked = got.connection_rows, got.request_rows
    assert (made["opened_ns"] + made["connect_ns"]).max() < asked["start_ns"].min()
    assert np.bincount(asked["connection"]).tolist() == [3] * 25
    assert made["closed_ns"].min() > (asked["start_ns"] + asked["latency_ns"]).max()
    assert (got.unanswered, got.failures()) == (0, {})


@pytest.mark.parametrize("plan", HOLDING)
def test_all_are_open_when_they_are_held(generator, plan):
    seen = []

    def look():
        own.settle()
        seen.append(int(own.counters()["open"].sum()))
        seen.append(time.monotonic_ns())

    settings = {"plan": plan, "connections": 40, "hold_ms": 50, "on_held": look}
    pause = {"pause_ms": 0} if plan == "touch" else {}
    with netlab.Server(workers=2) as own:
        got = generator.fire(own, **settings, **pause)
    assert seen[0] == 40
    assert (got.connection_rows["closed_ns"] > seen[1] + 50e6).all()
    assert kinds(got) == {"closed": 40}


@pytest.mark.parametrize("plan", ["burst", "hold"])
def test_a_run_that_holds_counts_what_accepting_alone_costs(plan):
    run = netlab.run(workers=2, plan=plan, connections=50)
    assert run.figures["conserved"]
    assert run.figures["accept_wakeups_per_accept"] > 0
    assert sum(run.figures["accepts"]) == 50


def test_several_own_addresses(generator, server, monkeypatch):
    monkeypatch.setattr(module, "CONNECTIONS_PER_SOURCE", 10)
    made = generator.fire(server, plan="hold", connections=35).connection_rows
    assert np.bincount(made["source"]).tolist() == [10, 10, 10, 5]
    by_number = made[np.argsort(made["connection"])]
    assert (np.diff(by_number["source"]) >= 0).all()


def test_the_server_sees_the_own_addresses(generator, monkeypatch):
    monkeypatch.setattr(module, "CONNECTIONS_PER_SOURCE", 2)
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        address = "{}:{}".format(*listener.getsockname())
        made = generator.fire(address, plan="burst", connections=5).connection_rows
        accepted = [listener.accept() for _ in range(5)]
    peers = sorted(peer for _, peer in accepted)
    for client, _ in accepted:
        client.close()
    told = zip(made["source"].tolist(), made["port"].tolist(), strict=True)
    assert peers == sorted((f"127.0.0.{1 + source}", port) for source, port in told)


def test_ipv6_has_one_own_address(generator, monkeypatch):
    monkeypatch.setattr(module, "CONNECTIONS_PER_SOURCE", 2)
    try:
        own = netlab.Server(workers=1, listen=["[::1]:0"])
    except OSError:
        pytest.skip("no ::1 here")
    with own:
        made = generator.fire(own, plan="hold", connections=7).connection_rows
    assert set(made["source"].tolist()) == {0}


def test_more_than_the_ports_of_ipv6_are_refused(monkeypatch):
    monkeypatch.setattr(module.limits, "descriptor_limits", lambda: (1 << 20, 1 << 20))
    with Generator() as unused:
        with pytest.raises(ValueError, match=r"IPv6 has only one own address, ::1"):
            unused.fire("[::1]:80", plan="hold", connections=70_000)
        assert unused.pid is None


def test_more_than_the_hard_limit_is_refused(monkeypatch):
    monkeypatch.setattr(module.limits, "descriptor_limits", lambda: (200, 1000))
    with Generator() as unused:
        with pytest.raises(ValueError, match=r"2000 connections.*936.*ulimit"):
            unused.fire("127.0.0.1:80", plan="hold", connections=2000)
        assert unused.pid is None


# -- the share for /spin/ -------------------------------------------------------------

SPINNING = [
    {"connections": 30, "requests": 4},
    {"plan": "open", "rate_per_s": 400, "duration_s": 0.3},
    {"plan": "burst", "connections": 30, "requests": 4},
]


@pytest.mark.parametrize("load", SPINNING, ids=lambda load: load.get("plan", "closed"))
def test_spin_share_is_what_the_server_got(generator, load):
    with netlab.Server(workers=2) as own:
        got = generator.fire(own, spin_us=20, spin_share=0.3, seed=5, **load)
        host = str(own.address)
    plain, spun = np.bincount(got.request_rows["path"])
    assert plain + spun == 120
    assert spun == got.settings.pattern().sum() > 0
    sizes = [len(write_request(path, host)) for path in ("/", "/spin/20")]
    assert own.counters()["bytes_in"].sum() == plain * sizes[0] + spun * sizes[1]


def test_one_client_follows_the_pattern(generator, server):
    spin = {"spin_us": 10, "spin_share": 0.5, "seed": 9}
    got = generator.fire(server, connections=1, requests=60, **spin)
    assert got.request_rows["path"].tolist() == got.settings.pattern().tolist()
    assert set(got.request_rows["status"].tolist()) == {200}


# -- the loop -------------------------------------------------------------------------

SMALL = """
import json, sys
import netlab
address, plan = sys.argv[1], json.loads(sys.argv[2])
got = netlab.fire(address, progress=False, **plan)
rows = sorted(got.request_rows[["connection", "status", "worker", "path"]].tolist())
ends = sorted(got.connection_rows[["connection", "requests", "outcome"]].tolist())
loaded = {"numba", "pandas", "netlab.kernel.native"} & sys.modules.keys()
print(json.dumps([rows, ends, got.compiled, got.recorded()["compiled"], [*loaded]]))
"""
SMALL_LOADS = [
    {"connections": 6, "at_once": 1, "requests": 3, "spin_us": 5, "spin_share": 0.5},
    {"connections": 4, "path": "/bytes/200000", "at_once": 4},
    {"plan": "burst", "connections": 5, "requests": 2},
    {"plan": "hold", "connections": 9},
]


def fired(address, load, **environment):
    """What a fresh process reports of a load: rows, ends, compiled, what it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", SMALL, address, json.dumps(load)],
        env=ENVIRONMENT | environment,
        capture_output=True,
        check=True,
        text=True,
        timeout=BOUND_S * 3,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("load", SMALL_LOADS, ids=str)
def test_uncompiled_loop_leaves_the_same_rows(load):
    with netlab.Server(workers=1) as own:
        rows, ends, *compiled = fired(str(own.address), load)
        same_rows, same_ends, *interpreted = fired(
            str(own.address), load, NUMBA_DISABLE_JIT="1"
        )
    assert (rows, ends) == (same_rows, same_ends)
    assert len(ends) == load["connections"]
    assert compiled == [True, True, []]  # and the parent needs nothing of it
    assert interpreted == [False, False, []]


def test_uncompiled_open_loop_keeps_its_schedule():
    load = OPEN | {"rate_per_s": 50, "duration_s": 0.4, "at_once": 3}
    with netlab.Server(workers=1) as own:
        rows, ends, *_ = fired(str(own.address), load, NUMBA_DISABLE_JIT="1")
    assert len(rows) == 20
    assert [end[2] for end in ends] == [Outcome.CLOSED] * 3


def test_whoever_waits_for_the_compiler_is_told_once(monkeypatch, capsys):
    monkeypatch.setattr(child, "PATIENCE_S", 0.0)
    monkeypatch.setattr(child, "PROGRESS_S", 0.01)
    with Generator() as own, contextlib.suppress(LoadError):
        own.fire(f"127.0.0.1:{free_port()}", connections=1, progress=False)
    assert capsys.readouterr().err.count("compiling the load's loop") == 1


def test_cpu_time_is_that_of_the_load(generator, server):
    short = generator.fire(server, connections=20)
    long = generator.fire(server, connections=20, requests=200)
    assert 0 < short.cpu_ns < long.cpu_ns
    figures = load_figures(long)
    assert figures["load_cpu_us_per_request"] == round(long.cpu_ns / 4e6, 4)
    assert figures["settings"]["compiled"] is long.compiled is True


def test_a_head_in_many_pieces_is_one_answer(generator):
    pieces = [ANSWER[at : at + 7] for at in range(0, len(ANSWER), 7)]

    def behave(client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while heard(client):
            for piece in pieces:
                client.sendall(piece)
                time.sleep(0.001)

    with answering(behave) as address:
        got = generator.fire(address, connections=6, requests=4, at_once=3)
    assert len(got.request_rows) == 24
    assert set(got.request_rows["status"].tolist()) == {200}


# -- the command line -----------------------------------------------------------------


def test_command_line_knows_the_plans(server, capsys):
    asked = ["--plan", "open", "--rate", "200", "--duration", "0.2", "--seed", "3"]
    more = ["--arrivals", "poisson", "--spin-us", "10", "--spin-share", "0.5"]
    assert main(["load", str(server.address), *asked, *more, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    settings = found["settings"]
    assert (settings["rate_per_s"], settings["arrivals"]) == (200.0, "poisson")
    assert (settings["spin_us"], settings["spin_share"]) == (10, 0.5)
    assert (settings["seed"], settings["compiled"]) == (3, True)
    assert found["requests"] == len(
        LoadSettings(
            plan="open", rate_per_s=200, duration_s=0.2, arrivals="poisson", seed=3
        ).schedule()
    )
    assert found["late_sends"].keys() == {"overdue", "waited"}
    assert found["unanswered"] == 0
    assert found["load_cpu_us_per_request"] > 0
