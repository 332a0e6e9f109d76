"""The fuzz: it reaches every verdict, and finds a difference that is there."""

import argparse

import pytest

from netlab import protocol
from netlab.protocol import FAULTS
from reliability import alike, fuzz, fuzz_live
from reliability.results import Broken
from tests.cases import VALID, get


def asked(*words):
    parser = argparse.ArgumentParser()
    fuzz.add_options(parser)
    return parser.parse_args(words)


def test_every_verdict_is_reached_and_both_files_agree():
    rows = fuzz.measure(asked("--inputs", "4000", "--streams", "30"))
    of_files = [row for row in rows if row["given to both"] == "protocol files"]
    sums = {row["verdict"]: row["different inputs"] for row in of_files}
    assert sums.pop("all") == sum(sums.values()) >= 4000
    few = {protocol.LENGTH_AND_CODING, protocol.BYTES_TOO_MANY}  # met by more inputs
    every = {f"{one.status} {one.reason.decode()}" for one in {*FAULTS} - few}
    assert every | {"200", fuzz.WAITING} <= sums.keys()
    live = [row for row in rows if row["given to both"] == "engines, live"]
    assert live[-1]["different inputs"] >= 30
    assert {row["said different things"] for row in rows} == {0}
    assert len({tuple(row) for row in rows}) == 1


def test_a_fuzz_that_misses_a_verdict_says_so():
    compared = fuzz.Compared()
    compared.note(get(b"/"))
    with pytest.raises(Broken, match="411 no request body is accepted"):
        fuzz.require_all_verdicts(compared.inputs)


def test_a_difference_is_found_and_told_by_the_least_input_that_has_it(monkeypatch):
    monkeypatch.setattr(protocol, "keeps", lambda connection, minor: True)
    with pytest.raises(Broken, match="protocol says Request") as caught:
        fuzz.Compared().until(20_000, 1)
    told = str(caught.value)
    data = told.removeprefix("of b").split(" protocol says")[0]
    assert len(data) < 60
    assert "seed" in told


def test_an_answer_that_differs_is_found(monkeypatch):
    monkeypatch.setitem(protocol.PHRASES, 404, "No Such Thing")
    with pytest.raises(Broken, match="No Such Thing"):
        fuzz.Compared().until(20_000, 1)


@pytest.mark.parametrize("case", VALID[:5], ids=lambda case: case.name)
def test_nothing_can_be_spared_of_a_minimal_input(monkeypatch, case):
    monkeypatch.setattr(alike, "differs", lambda data: b"H" in data and b"/" in data)
    assert sorted(alike.minimal(case.data)) == sorted(b"H/")


def test_engines_that_answer_differently_are_found(monkeypatch):
    monkeypatch.setattr("netlab.server.connection.read_request", lambda *_: None)
    with pytest.raises(Broken, match="python says 0 bytes"):
        fuzz_live.compared(30, 1)


def live(*said):
    """Streams whose two servers say this, whatever they are asked."""
    streams = fuzz_live.Streams([])
    streams._answers = lambda pieces: [fuzz_live.Said(*one) for one in said]
    return streams


def test_threads_and_cpus_are_no_difference():
    one = b'X-Netlab-Cpu: 3\r\n{"worker": 0, "tid": 12, "cpu": -1}  \n'
    other = b'X-Netlab-Cpu: 12\r\n{"worker": 0, "tid": 4000, "cpu": 12}\n'
    live((one, False), (other, False)).compare((b"GET", []))
    with pytest.raises(AssertionError, match="cut at"):
        live((one, False), (other.replace(b"0", b"1"), False)).compare((b"GET", []))


def test_what_was_lost_by_a_reset_is_no_difference_and_what_was_said_is():
    live((b"HTTP/1.1 200 OK", True), (b"HTTP/1.1 200 OK\r\n", False)).compare((b"", []))
    live((b"HTTP/1.1 200 OK", True), (b"", True)).compare((b"", []))
    with pytest.raises(AssertionError, match="reset"):
        live((b"HTTP/1.1 2", True), (b"HTTP/1.1 4", True)).compare((b"", []))
    with pytest.raises(AssertionError, match="cut at"):
        live((b"HTTP/1.1 2", False), (b"HTTP/1.1 20", False)).compare((b"", []))


@pytest.mark.parametrize(
    ("cuts", "pieces"),
    [([], [b"abcd"]), ([0.5], [b"ab", b"cd"]), ([1.0, 0.0, 0.26], [b"a", b"bcd"])],
)
def test_a_stream_is_cut_where_it_is_said(cuts, pieces):
    assert fuzz_live.pieces(b"abcd", cuts) == pieces
