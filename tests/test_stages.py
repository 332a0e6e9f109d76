"""Each stage passes what it should, fails what it says it fails, and ends."""

import functools
import socket
import time

import pytest

from netlab import counters
from netlab.kernel import threads
from netlab.server import connection
from netlab.show import page
from netlab.show.differences import difference
from netlab.stages import NUMBERS, judge, s2, s3, s4, s5, s6, stage
from netlab.stages.asking import Client
from netlab.stages.suite import CASES, Case
from netlab.watch.ps import ps
from tests.bounded import left_behind, linux, until
from tests.test_portable import ELSEWHERE

pytestmark = linux
SUITE_S = 15
SAID = {  # how each declared failure shows itself
    "a silent client holds up nobody": "no whole answer",
    "clients take turns": "no whole answer",
    "a slow reader holds up nobody": "no whole answer",
    "a busy worker holds up nobody": "waited for another client's",
    "a long answer arrives whole": "no whole answer",
    "who reads late gets every answer": "no whole answer",
    "a thousand descriptors are not too many": "ended unanswered",
    "out of descriptors, it rests": "busy for",
}
KINDS = {f"stage {number}": stage(number).Stage for number in NUMBERS} | {
    "stage 4 of four": functools.partial(s4.Stage, workers=4, ports=(0, 0)),
    "stage 4 with select": functools.partial(s4.Stage, loop="select"),
}
MORE = {"stage 4 with select": s2.FAILS.keys() - s3.FAILS.keys()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stage_fails_what_it_declares_and_nothing_else(kind):
    began = time.monotonic()
    rows = judge.judgements(KINDS[kind])
    assert time.monotonic() - began < SUITE_S
    undeclared = MORE.get(kind, set())
    wrong = [row for row in rows if row.outcome == judge.FAIL]
    assert {row.case for row in wrong} == undeclared
    assert [row for row in rows if row.outcome == judge.UNEXPECTED] == []
    for row in rows:
        if row.outcome in (judge.FAIL, judge.AS_DECLARED):
            assert SAID[row.case] in row.said
    assert len(rows) == len(CASES) + 1


@pytest.mark.parametrize("number", NUMBERS)
def test_a_stage_that_stopped_leaves_nothing(number):
    before = left_behind()
    server = stage(number).Stage()
    for _ in range(3):
        with server:
            one, another = (socket.create_connection(server.address) for _ in "ab")
            one.sendall(b"GET /spin/1000 HTTP/1.1\r\nHost: h\r\n\r\n")
        one.close()
        another.close()
    until(lambda: left_behind() == before)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_port_that_is_taken_is_an_error_and_leaves_nothing(number):
    before = left_behind()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        several = {"ports": (0, port)} if number > 3 else {"port": port}
        with pytest.raises(OSError, match="in use"):
            stage(number).Stage(**several).start()
    assert left_behind() == before


@pytest.mark.parametrize("number", NUMBERS)
def test_declared_failures_are_cases_of_the_suite(number):
    assert stage(number).FAILS.keys() <= {case.name for case in CASES}


def test_the_last_stage_names_a_remedy_for_all_that_the_one_before_fails():
    assert s5.FAILS.keys() <= s6.REMEDIES.keys() <= {case.name for case in CASES}
    assert s6.FAILS == {}
    for function in s6.REMEDIES.values():
        assert "netlab/server/" in page.show(function).markdown


@pytest.mark.parametrize("loop", ["edge", "select"])
def test_stage_3_serves_with_its_other_loops(loop):
    failing = s3.FAILS.keys() | s2.FAILS.keys()
    cases = [case for case in CASES if case.name not in failing]
    rows = judge.judgements(functools.partial(s3.Stage, loop=loop), cases)
    assert {row.outcome for row in rows} == {judge.PASS}


def test_a_loop_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="loop='kqueue': there are epoll, edge"):
        s3.Stage(loop="kqueue")
    with pytest.raises(ValueError, match="workers=0"):
        s4.Stage(workers=0)


def test_stage_4_has_a_pinned_thread_for_each_worker_and_all_listeners_in_all_loops():
    with s4.Stage(workers=3, ports=(0, 0)) as server:
        for worker in server.workers:
            until(lambda worker=worker: worker.tid)
        assert len({worker.tid for worker in server.workers}) == 3
        assert [list(one.listeners.values()) for one in server.workers] == (
            [server.listeners] * 3
        )
        for address in server.addresses:
            with Client(address) as client:
                assert client.ask().status == 200


def test_stage_5_counts_what_its_clients_did():
    with s5.Stage(workers=2) as server:
        for _ in range(10):
            with Client(server.address) as client:
                client.ask()
        threads.settle(server.tids)
        sums = counters.total(server.snapshot())
        assert list(ps(server)["comm"][1:]) == ["netlab-w0", "netlab-w1"]
    assert sums["accepted"] == sums["closed"] == sums["requests"] == 10
    assert sums["turns"] >= 20  # an accept and a request are never of one turn
    assert sums["wakeups"] > 0
    assert sums["accept_errors"] == 0
    kept = counters.total(server.snapshot())
    assert kept == sums | {name: kept[name] for name in counters.USAGE}
    assert list(server.counters()["open"]) == [0, 0]


def test_stage_5_counts_the_races_that_a_worker_lost():
    with s5.Stage(workers=2) as server:

        def lost():
            with Client(server.address) as client:
                client.ask()
            return server.counters()["would_block"].sum()

        assert until(lost) > 0


# --- the judge


def pass_by(server):
    pass


def fail(server):
    raise AssertionError("it is not so")


def hang(server):
    time.sleep(3)


class Nothing:
    """A server that does nothing, and declares a failure."""

    fails = {"declared": "it does nothing"}  # noqa: RUF012

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def outcomes(*cases):
    return [row.outcome for row in judge.judgements(Nothing, cases)]


def test_the_judge_tells_four_outcomes():
    cases = [
        Case("other", "", pass_by),
        Case("declared", "", fail),
        Case("other", "", fail),
        Case("declared", "", pass_by),
    ]
    found = [judge.PASS, judge.AS_DECLARED, judge.FAIL, judge.UNEXPECTED]
    assert outcomes(*cases) == [*found, judge.PASS]
    surprising = judge.surprises(judge.judge(Nothing, cases))
    assert list(surprising["outcome"]) == found[2:]


def test_the_judge_does_not_wait_for_what_hangs(monkeypatch):
    monkeypatch.setattr(judge, "CASE_S", 0.1)
    first, last = judge.judgements(Nothing, [Case("other", "", hang)])
    assert (first.outcome, first.said) == (
        judge.FAIL,
        "it did not come to an end within 0.1 s",
    )
    assert last.outcome == judge.FAIL
    assert "thread" in last.said
    time.sleep(3)


def test_the_judge_sees_what_a_server_leaves():
    left = []

    def leave(server):
        left.append(socket.socket())

    row = judge.judgements(Nothing, [Case("other", "", leave)])[-1]
    left.pop().close()
    assert row.outcome == judge.FAIL
    assert "socket" in row.said


def test_a_reader_s_own_class_takes_the_place_of_a_stage():
    class Mine(s3.Stage):
        fails = s3.FAILS | {"a request is answered": "wrongly said"}

    row = judge.judge_one(Mine, CASES[0])
    assert row.outcome == judge.UNEXPECTED


# --- their differences


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_neighbours_differ_by_a_page(number):
    found = page.diff(number, number + 1)
    assert 0 < found.went < 60
    assert 0 < found.came <= 75
    assert "Stage.__enter__" in found.same
    assert "```diff\n" in found.note().markdown
    assert f"stages/s{number + 1}.py" in repr(found)


def test_a_difference_says_which_definition_changed():
    text = repr(difference(s2, s3))
    assert "@@ Worker.watch @@" in text
    assert "\n-        ready, _, _ = select.select(self.watched, (), ())\n" in text
    assert "Stage 3: epoll" not in text


def test_a_method_can_be_compared_with_another():
    found = difference(s3.Worker.serve, s4.Worker.serve)
    assert (found.went, found.came, found.same) == (0, 0, ("serve",))


def test_the_last_stage_has_no_difference_and_says_what_to_show():
    with pytest.raises(ValueError, match="REMEDIES"):
        page.diff(5, 6)
    with pytest.raises(ValueError, match="stage 7: there are 1 to 6"):
        page.diff(6 + 1, 3)
    assert s6.REMEDIES["a long answer arrives whole"] is connection.Connection.send


@pytest.mark.parametrize("system", [("darwin", "Darwin"), ("win32", "Windows")])
def test_stages_import_elsewhere_and_start_nowhere_but_on_linux(fresh, system):
    program = """
    from netlab.stages import NUMBERS, judge, stage

    for number in NUMBERS:
        server = stage(number).Stage()
        try:
            server.start()
        except OSError as error:
            assert "Linux" in str(error)
        server.stop()
    print("done")
    """
    assert fresh(ELSEWHERE + program, *system) == ["done"]
