"""Each equation, held against a run that adds up and against one that does not."""

from dataclasses import replace

import numpy as np
import pytest

from netlab import counters
from netlab.load.plans import CONNECTION, REQUEST, LoadSettings, Outcome
from netlab.load.result import LoadResult
from netlab.study import conservation
from netlab.study.conservation import Check, ConservationError, require

EQUATIONS = [
    "worker 0, in and out",
    "worker 1, in and out",
    "connections",
    "accept log",
    "handing over",
    "worker 0, answers",
    "worker 1, answers",
    "answers of no worker",
    "request rows",
]


class Sides:
    """Five connections of two requests each: two workers' side, and the client's."""

    def __init__(self):
        self.rows = np.zeros(2, counters.DTYPE)
        self.rows["worker"] = 0, 1
        self.rows["accepted"] = self.rows["closed"] = 3, 2
        self.rows["answers"] = 6, 4
        self.logged, self.log_dropped, self.waiting = 5, 0, 0
        made, asked = np.zeros(5, CONNECTION), np.zeros(10, REQUEST)
        made["connect_ns"], made["outcome"], made["requests"] = 9, Outcome.CLOSED, 2
        asked["worker"] = [0] * 6 + [1] * 4
        settings = LoadSettings(connections=5, requests=2)
        self.load = LoadResult(settings, settings, made, asked, 0)

    def broken(self):
        found = conservation.checks(
            self.rows, self.logged, self.log_dropped, self.waiting, self.load
        )
        assert [check.what for check in found] == EQUATIONS
        return [check.what for check in found if not check.holds]


@pytest.fixture
def sides():
    return Sides()


def test_run_that_adds_up(sides):
    assert sides.broken() == []


@pytest.mark.parametrize(
    ("counter", "worker", "by", "broken"),
    [
        ("closed", 0, 1, ["worker 0, in and out"]),
        ("closed", 1, -1, ["worker 1, in and out"]),
        ("left_open", 1, 1, ["worker 1, in and out"]),
        ("accepted", 0, 1, ["worker 0, in and out", "connections", "accept log"]),
        ("accepted", 0, -1, ["worker 0, in and out", "connections", "accept log"]),
        ("given", 0, 1, ["worker 0, in and out", "handing over"]),
        ("received", 1, 1, ["worker 1, in and out", "handing over"]),
        ("answers", 0, 1, ["worker 0, answers"]),
        ("answers", 0, -1, ["worker 0, answers"]),
        ("answers", 1, 1, ["worker 1, answers"]),
        ("answers", 1, -1, ["worker 1, answers"]),
    ],
)
def test_counter_that_is_false_is_found(sides, counter, worker, by, broken):
    sides.rows[counter][worker] += by
    assert sides.broken() == broken


@pytest.mark.parametrize("by", [1, -1])
def test_accept_log_that_lost_or_doubled_a_record_is_found(sides, by):
    sides.logged += by
    assert sides.broken() == ["accept log"]


def test_records_that_the_log_dropped_are_counted(sides):
    sides.logged, sides.log_dropped = 2, 3
    assert sides.broken() == []


def test_connection_that_nobody_made_is_found_in_the_queue(sides):
    sides.waiting = 1
    assert sides.broken() == ["connections"]


def test_connection_that_nobody_accepted_is_found(sides):
    for name in ("accepted", "closed"):
        sides.rows[name][1] -= 1
    sides.logged -= 1
    assert sides.broken() == ["connections"]


def test_connection_that_was_refused_is_no_margin(sides):
    sides.load.connection_rows["connect_ns"][0] = -1
    sides.load.connection_rows["outcome"][0] = Outcome.REFUSED
    assert sides.broken() == ["connections"]


def test_connection_left_in_the_queue_is_counted(sides):
    for name in ("accepted", "closed"):
        sides.rows[name][1] -= 1
    sides.logged, sides.waiting = 4, 1
    assert sides.broken() == []


def test_hand_over_is_no_loss(sides):
    sides.rows["given"][0], sides.rows["received"][1] = 2, 2
    sides.rows["closed"] = 1, 4
    assert sides.broken() == []


def test_answers_that_another_worker_claims_are_found(sides):
    sides.load.request_rows["worker"][0] = 1
    assert sides.broken() == ["worker 0, answers", "worker 1, answers"]


def test_answers_without_a_worker_are_found(sides):
    sides.load.request_rows["worker"][-1] = -1
    assert sides.broken() == ["worker 1, answers", "answers of no worker"]


def test_request_without_a_row_is_found(sides):
    sides.load = replace(sides.load, request_rows=sides.load.request_rows[:-1])
    assert sides.broken() == ["worker 1, answers", "request rows"]


def test_request_that_no_connection_made_is_found(sides):
    sides.load.connection_rows["requests"][4] = 1
    assert sides.broken() == ["request rows"]


def test_rows_that_were_dropped_are_a_margin_for_answers(sides):
    sides.load = replace(
        sides.load, request_rows=sides.load.request_rows[:-2], dropped=2
    )
    assert sides.broken() == []
    sides.rows["answers"][1] += 1
    assert sides.broken() == ["worker 1, answers"]


def cut_off(sides, number, kind):
    """Let a connection end before its second answer."""
    sides.load.connection_rows["outcome"][number] = kind
    sides.load.connection_rows["requests"][number] = 1
    sides.load = replace(sides.load, request_rows=sides.load.request_rows[:-1])


@pytest.mark.parametrize("kind", [Outcome.TIMED_OUT, Outcome.OPEN, Outcome.RESET])
def test_answer_under_way_at_the_cut_may_have_been_counted(sides, kind):
    cut_off(sides, 4, kind)
    assert sides.broken() == []  # the server counted it
    sides.rows["answers"][1] -= 1
    assert sides.broken() == []  # or it did not
    sides.rows["answers"][1] -= 1
    assert sides.broken() == ["worker 1, answers"]


def test_margin_is_as_wide_as_what_was_cut_off(sides):
    cut_off(sides, 4, Outcome.TIMED_OUT)
    sides.rows["answers"][1] += 1
    assert sides.broken() == ["worker 1, answers"]


def test_handshake_under_way_may_have_been_accepted(sides):
    sides.load.connection_rows["connect_ns"][2] = -1
    assert sides.broken() == []  # accepted all the same
    for name in ("accepted", "closed"):
        sides.rows[name][0] -= 1
    sides.logged -= 1
    assert sides.broken() == []  # or not
    sides.rows["accepted"][0] -= 1
    assert "connections" in sides.broken()


@pytest.mark.parametrize(
    ("less", "more", "margin", "holds"),
    [(5, 5, 0, True), (5, 6, 0, False), (5, 6, 1, True), (6, 5, 1, False)],
)
def test_margin_is_one_sided(less, more, margin, holds):
    assert Check("this", less, more, margin).holds == holds


def test_require_says_where_and_keeps_the_checks():
    found = [Check("this", 5, 5), Check("that", 3, 4), Check("those", 9, 7)]
    with pytest.raises(
        ConservationError, match="that: 3 against 4; those: 9"
    ) as caught:
        require(found)
    assert "5 against 5" not in str(caught.value)
    assert "another client" in str(caught.value)
    assert caught.value.checks == found
    require(found[:1])


def test_table_is_a_row_a_check():
    table = conservation.table([Check("this", 5, 5), Check("that", 3, 4, 0)])
    assert table.columns.tolist() == ["what", "less", "more", "margin", "holds"]
    assert table["holds"].tolist() == [True, False]
