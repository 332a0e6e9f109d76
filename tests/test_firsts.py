"""Who waits for whom, and what a loop does at each turn: studies and figures."""

import functools
import socket
import threading

import pandas as pd
import pytest

from netlab.show import firsts_tables, plots
from netlab.show.firsts import SYMBOLS
from netlab.stages import s1, s2, s3
from netlab.study import firsts, turns, visitors
from netlab.study.firsts import ONE_AT_A_TIME, ONE_LOOP
from netlab.study.visitors import Visit
from tests.bounded import left_behind, linux, until

QUIET = {"repeats": 1, "progress": False}
MIXED = (Visit(20, 50), Visit(60), Visit(0, 30), Visit(40, 10))


@functools.cache
def found():
    """Both servers and both scenes, once."""
    return firsts.head_of_line(**QUIET)


def made_up(answered=(60, 120), server="one at a time", scene="work", **columns):
    """Waits that nobody measured: each client asks for 60 ms of work."""
    rows = pd.DataFrame({"client": range(1, len(answered) + 1)})
    given = {
        "server": server, "scene": scene, "repeat": 0, "work_ms": 60, "stay_ms": 0,
        "connected_ms": 0.1, "answered_ms": answered, "left_ms": answered,
        "predicted_ms": [60 * client for client in rows["client"]],
    }  # fmt: skip
    return rows.assign(**(given | columns))


# --- who waits for whom


def test_the_rules_add_up_what_those_before_do():
    assert firsts.answered_one_at_a_time(MIXED) == [20, 130, 130, 200]
    assert firsts.answered_by_one_loop(MIXED) == [20, 80, 80, 120]
    assert firsts.answered_one_at_a_time([]) == []


@linux
def test_one_at_a_time_waits_for_stays_and_a_loop_does_not():
    last = {
        scene: [one[0] for one in firsts.last_answered(found(), scene)]
        for scene in firsts.SCENES
    }
    in_loop, in_turn = last["stay"]
    assert in_loop < 100 < 290 < in_turn
    assert min(last["work"]) > 350


@linux
def test_connect_returns_before_anybody_is_answered():
    waits = found().tables["waits"].query("scene == 'work'")
    assert waits["connected_ms"].max() < waits["answered_ms"].min()
    in_order = waits[["connected_ms", "sent_ms", "answered_ms", "left_ms"]]
    assert (in_order.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


@linux
def test_nothing_is_left_of_a_study():
    before = left_behind()
    firsts.head_of_line(**QUIET, scenes={"mixed": MIXED})
    until(lambda: left_behind() == before)


@linux
def test_a_server_that_does_not_answer_is_told_and_the_clients_end(monkeypatch):
    monkeypatch.setattr(visitors, "PATIENCE_S", 0.2)
    before = left_behind()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        thread = threading.Thread(target=lambda: deaf.accept()[0].close())
        thread.start()
        with pytest.raises(
            RuntimeError, match="the clients' process ended: Connection"
        ):
            visitors.visited(deaf.getsockname(), [Visit()])
        thread.join()
    until(lambda: left_behind() == before)


def test_a_server_without_a_rule_and_an_empty_scene_are_refused():
    with pytest.raises(TypeError, match="two loops: there are one at a time, one loop"):
        firsts.head_of_line(servers={"two loops": s2.Stage})
    with pytest.raises(ValueError, match="give one server, and visits"):
        firsts.head_of_line(scenes={"nobody": ()})


# --- turns


@linux
@pytest.mark.parametrize("stage", [s2, s3])
def test_the_recorder_sees_what_the_script_makes_the_loop_do(stage):
    before = left_behind()
    rows = turns.turns(**QUIET, server=stage.Stage).tables["turns"]
    until(lambda: left_behind() == before)
    told = {who: list(own["did"]) for who, own in rows.groupby("who")}
    assert told["listener"].count("accepted") == 4
    assert [did for did in told["A"] if did != "nothing"] == [
        *("part", "answered", "answered", "closed")
    ]
    for who, answers in (("B", 2), ("C", 2), ("D", 1)):
        assert told[who] == ["answered"] * answers + ["closed"]
    assert turns.others_answered(rows) == 2
    assert turns.most_at_once(rows) >= 2
    assert rows["turn"].is_monotonic_increasing


def test_a_worker_without_turns_is_refused():
    with socket.socket() as listener, pytest.raises(ValueError, match="has no turn"):
        turns.Recorder(s1.Worker(listener), "AB")


def test_the_seed_draws_the_order_of_those_that_come_meanwhile():
    drawn = {tuple(turns.script_of(seed)) for seed in range(20)}
    assert len(drawn) == 6
    assert turns.script_of(1) == turns.script_of(1)


# --- figures


def test_the_words_and_numbers_of_waits_are_those_of_the_table():
    table = pd.concat([made_up((61, 125)), made_up((69, 131), repeat=1)])
    numbers = firsts_tables.head_of_line_table(table)
    assert numbers["answered_ms"].tolist() == [65, 128]
    assert numbers["most"].tolist() == [69, 131]
    alt = firsts_tables.head_of_line_alt(table)
    assert "each asks for 60 ms of work, then leaves" in alt
    assert "answered after 65, 128 ms, by the rule after 60, 120 ms" in alt
    assert "medians of 2 runs" in alt


def test_a_guess_and_a_recording_are_drawn_said_and_tabled():
    given = {"predicted": [50, 70], "recorded": made_up((62, 200))}
    shown = plots.show("head_of_line", made_up(), stamp="stamp", **given)
    assert "Guessed: 50, 70 ms." in shown.alt
    assert "client 2 after 200 ms" in shown.alt
    assert shown.table["from"].tolist() == ["here"] * 2 + ["recorded"] * 2
    axes = plots.head_of_line(made_up(), **given)
    drawn = [line.get_xdata().tolist() for line in axes.lines]
    assert [60, 120] in drawn
    assert [50, 70] in drawn
    assert [62, 200] in drawn


def test_bars_are_as_long_as_the_waits_and_the_work():
    axes = plots.head_of_line(made_up((61, 130)))
    spans = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert (0.1, 69.9) in [(x, round(width, 6)) for x, width in spans]
    assert (70, 60) in spans
    assert len(spans) == 4  # nobody stays


def test_groups_can_be_chosen_and_unknown_ones_are_refused():
    both = pd.concat([made_up(), made_up(server="one loop")])
    assert firsts_tables.head_of_line_table(both, [ONE_LOOP]).shape[0] == 2
    assert ONE_AT_A_TIME not in firsts_tables.head_of_line_alt(both, [ONE_LOOP])
    with pytest.raises(ValueError, match="server 'two': there are one at a time"):
        firsts_tables.head_of_line_table(both, ["two"])
    with pytest.raises(ValueError, match="give one for each of 2 clients"):
        firsts_tables.head_of_line_table(both, predicted=[1])


def test_each_thing_done_is_a_mark_in_its_lane_and_turn():
    told = [(1, "listener", "accepted"), (2, "A", "answered"), (2, "A", "closed")]
    table = pd.DataFrame(told, columns=["turn", "who", "did"]).assign(repeat=0)
    axes = plots.turns(table)
    marks = {
        line.get_label(): (line.get_xdata()[0], line.get_ydata()[0])
        for line in axes.lines
    }
    assert marks[SYMBOLS["accepted"].words] == (1, 0)
    answered, closed = (marks[SYMBOLS[did].words] for did in ("answered", "closed"))
    assert answered[0] < 2 < closed[0]
    assert answered[1] == closed[1] == 1
    assert "turn 2: A answered, A closed" in firsts_tables.turns_alt(table)


@pytest.mark.parametrize("name", ["head_of_line", "turns"])
def test_an_empty_table_is_refused_with_the_study(name):
    study = name.replace("_", "-")
    for make in (plots.PLOTS[name].draw, plots.PLOTS[name].alt):
        with pytest.raises(ValueError, match=f"give the table of study '{study}'"):
            make(pd.DataFrame())
