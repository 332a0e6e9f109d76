"""The soak: one for real, and that it fails when something is lost, left or drifts."""

import argparse
import os
import signal
import socket
import threading

import numpy as np
import pytest

from netlab import counters
from netlab.server.connection import Connection
from netlab.server.server import Server
from reliability import soak, soak_held, soak_loads
from reliability.results import Broken
from reliability.soak import Soak
from reliability.soak_trends import GROWTH_KB, JUDGED, Look, trend
from reliability.soak_visitors import Company, Visits, address_of, is_of

ONE = {"python threads": lambda: Server(workers=2, accept_log=256)}
SHORT = ("closed", "touch")  # the loads that a row needs


@pytest.fixture
def short(monkeypatch):
    """Rounds of two loads and the visitors, and few of them."""
    loads = {name: soak_loads.LOADS[name] | {"connections": 20} for name in SHORT}
    monkeypatch.setattr(soak_loads, "LOADS", loads)
    monkeypatch.setattr(soak_loads, "SEEDED", ())
    monkeypatch.setattr(soak_loads, "ENDED_AT", -1)
    monkeypatch.setattr(soak, "LEAST", 2)


def test_a_soak_of_all_servers_loses_nothing_leaves_nothing_and_does_not_drift():
    parser = argparse.ArgumentParser()
    soak.add_options(parser)
    rows = soak.measure(parser.parse_args(["--minutes", "0.5"]))
    assert [row["process"] for row in rows] == [*soak_held.KINDS, soak.LOAD, soak.SELF]
    assert len({tuple(row) for row in rows}) == 1
    for row in rows:
        assert row["rounds"] >= soak.WARM_UP + soak.LEAST
        assert row["connections"] > 400 * row["rounds"]
        assert row["requests"] > row["connections"]
        assert (row["lost"], row["mixed"]) == (0, 0)


def test_an_interrupt_ends_a_soak_with_its_round(short, monkeypatch):
    play = Soak.play

    def play_and_be_interrupted(held):
        play(held)
        if held.rounds == 4:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Soak, "play", play_and_be_interrupted)
    rows = soak.soak(60, ONE)
    assert {row["rounds"] for row in rows} == {4}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_soak_interrupted_too_early_for_a_trend_says_so(short, monkeypatch):
    play = Soak.play

    def play_and_be_interrupted(held):
        play(held)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Soak, "play", play_and_be_interrupted)
    with pytest.raises(ValueError, match="ended after 1 rounds"):
        soak.soak(60, ONE)


def test_a_server_that_keeps_descriptors_is_found(short, monkeypatch):
    kept, receive = [], Connection.receive

    def receive_and_keep(connection):
        kept.append(os.open(os.devnull, os.O_RDONLY))
        receive(connection)

    monkeypatch.setattr(Connection, "receive", receive_and_keep)
    try:
        with pytest.raises(Broken, match=r"python threads: Belongings\(descriptors="):
            soak.soak(0, ONE)
    finally:
        for descriptor in kept:
            os.close(descriptor)


def test_a_server_that_keeps_threads_is_found(short, monkeypatch):
    over, receive = threading.Event(), Connection.receive

    def receive_and_start(connection):
        if connection.owner.tally.answers % 50 == 0:
            threading.Thread(target=over.wait, daemon=True).start()
        receive(connection)

    monkeypatch.setattr(Connection, "receive", receive_and_start)
    try:
        with pytest.raises(Broken, match="threads="):
            soak.soak(0, ONE)
    finally:
        over.set()


def test_a_server_that_loses_an_answer_is_found(short, monkeypatch):
    reply, lost = Connection.reply, []

    def reply_or_hang_up(connection):
        if (
            connection.owner.tally.requests > 100 and len(lost) < 9
        ):  # who vanishes is no loss
            lost.append(connection.inbox)
            connection.socket.shutdown(socket.SHUT_RDWR)
        reply(connection)

    monkeypatch.setattr(Connection, "reply", reply_or_hang_up)
    with pytest.raises(Broken, match=r"round \d, python threads, "):
        soak.soak(0, ONE)


def test_a_server_that_mixes_answers_is_found(short, monkeypatch):
    monkeypatch.setattr(
        "reliability.soak_visitors.filler", lambda size: b"another's" * size
    )
    with pytest.raises(Broken, match=r"visitors: GET /bytes/\d+: mixed"):
        soak.soak(0, ONE)


@pytest.fixture
def counted():
    """What a server counts that answered what its visitors heard."""
    rows, visits = np.zeros(2, counters.DTYPE), Visits()
    rows["worker"] = 0, 1
    rows["accepted"] = rows["closed"] = 3, 2
    rows["answers"] = rows["requests"] = 6, 4
    visits.connections = 5
    visits.answers.update({0: 6, 1: 4})
    return rows, visits


def broken(rows, visits):
    return [one.what for one in soak_loads.visited(rows, visits) if not one.holds]


def test_a_visit_that_adds_up(counted):
    assert broken(*counted) == []


@pytest.mark.parametrize(
    ("name", "by", "found"),
    [
        ("accepted", 1, ["connections", "connections closed"]),
        ("closed", -1, ["connections closed"]),
        ("answers", -1, ["worker 1, answers", "answers of all"]),
        ("answers", 1, ["worker 1, answers", "answers of all"]),
        ("requests", 1, ["requests"]),
        ("timed_out", 1, ["ended for their slowness"]),
    ],
)
def test_a_count_that_is_false_is_found(counted, name, by, found):
    rows, visits = counted
    rows[name][1] += by
    assert broken(rows, visits) == found


def test_who_vanished_may_have_been_answered_but_not_twice(counted):
    rows, visits = counted
    visits.unheard = 1
    assert broken(rows, visits) == []
    rows["answers"][1] += 1
    assert broken(rows, visits) == []
    rows["answers"][0] += 1
    assert broken(rows, visits) == ["answers of all"]


def test_who_stalls_may_be_ended_and_nobody_else(counted):
    rows, visits = counted
    visits.stalled, rows["timed_out"][0] = 2, 2
    assert broken(rows, visits) == []
    visits.ended = 2
    assert broken(rows, visits) == []
    rows["timed_out"][0] = 1
    assert broken(rows, visits) == ["ended for their slowness"]
    rows["timed_out"][0] = 3
    assert broken(rows, visits) == ["ended for their slowness"]


def test_visitors_hear_what_they_asked_for():
    with Server(workers=2) as server:
        company = Company(address_of(server), 1)
        company.arrive()
        visits = [company.visit(until_ended=False) for _ in range(3)]
        company.leave()
    assert all(visit.answers.total() > visit.connections for visit in visits)


@pytest.mark.parametrize(
    ("path", "size", "body", "right"),
    [
        ("/bytes/3", 3, b'!"#', True),
        ("/bytes/3", 3, None, True),
        ("/bytes/3", 4, None, False),
        ("/bytes/3", 3, b'!"!', False),
        ("/", 20, b'{"worker": 1}', True),
        ("/spin/5", 20, b'{"worker": 0}', False),
    ],
)
def test_another_answer_is_told_from_the_right_one(path, size, body, right):
    assert is_of(path, size, body, 1) == right


def looks(memory_kb, p50_us=40.0, wakeups=2.0, rounds=60):
    """A server's looks: each value, or a function of the round."""
    return [
        Look(
            500 * n,
            *(of(n) if callable(of) else of for of in (memory_kb, p50_us, wakeups)),
        )
        for n in range(rounds)
    ]


def test_what_does_not_grow_is_no_drift():
    noise = np.random.default_rng(1).normal(0, 500, 60)
    found = trend(looks(lambda n: 50_000 + noise[n], lambda n: 40 + abs(noise[n]) / 20))
    assert found.faults() == []


def test_a_leak_of_a_small_object_a_connection_is_found():
    leak_kb = 0.064 * 500
    found = trend(looks(lambda n: 50_000 + leak_kb * n))
    assert found.kb_per_1000 == pytest.approx(64, rel=0.01)
    assert "memory grows by 64 kB" in found.faults()[0]


def test_a_step_is_no_leak_and_neither_is_what_fits_in_the_allowance():
    assert trend(looks(lambda n: 50_000 + 4000 * (n > 10))).faults() == []
    grown = trend(looks(lambda n: 50_000 + 40 * n, rounds=20))
    assert grown.kb_per_1000 > 64
    assert grown.growth_kb < GROWTH_KB
    assert grown.faults() == []


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"p50_us": lambda n: 40 + n * n}, "latency"),
        ({"wakeups": lambda n: 1 + n * n}, "wake-ups"),
    ],
)
def test_what_takes_longer_and_longer_is_found_in_enough_rounds(what, told):
    (fault,) = trend(looks(50_000, **what)).faults()
    assert fault.startswith(told)
    assert trend(looks(50_000, **what, rounds=JUDGED - 1)).faults() == []


def test_a_drift_breaks_the_soak(short, monkeypatch):
    monkeypatch.setattr(
        "reliability.soak.memory_kb",
        lambda pids, grown=[0]: grown.append(0) or 3000 * len(grown),
    )
    with pytest.raises(Broken, match="memory grows"):
        soak.soak(0, ONE)
