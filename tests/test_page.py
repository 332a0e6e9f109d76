"""What a page says beside its prose: predictions, claims, exercises, figures."""

import functools
import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import netlab
from netlab.server import placement, strategies
from netlab.server.worker import Worker
from netlab.show import (
    checkout,
    notes,
    page,
    plots,
    sources,
    stacked,
    stamped,
)
from netlab.show.ledger import Ledger
from netlab.show.questions import Question
from netlab.study import catalogue, replay
from netlab.study.found import Found
from netlab.study.run import Run

ROOT = Path(__file__).parents[1]
SHARES = {"count": 4, "total": 200, "each": "worker", "unit": "connections"}
TOPS = {"labels": ["level", "exclusive"], "high": 100, "unit": "%"}
MACHINE = {"line": "Linux 6.18 · 2 CPUs", "date": "2026-01-02T03:04:05+00:00"}
EARLIER = {"line": "Linux 5.15 · 8 CPUs", "date": "2025-11-12T03:04:05+00:00"}


@pytest.fixture(autouse=True)
def own_ledger(monkeypatch):
    monkeypatch.setattr(page, "_ledgers", {"this page": Ledger()})


def markdown_of(shown):
    return shown._repr_mimebundle_(include=None, exclude=None)["text/markdown"]


# Predictions.


@pytest.mark.parametrize(
    ("guess", "rules", "value"),
    [
        (None, {}, None),
        (8, {}, 8),
        (8.5, {"high": 100}, 8.5),
        (np.float64(8.0), {}, 8),
        ("hash", {"choices": ["hash", "race"]}, "hash"),
        ([50, 50, 60, 40], SHARES, [50, 50, 60, 40]),
        (np.array([50, 50, 60, 40]), SHARES, [50, 50, 60, 40]),
        ([None] * 4, SHARES, None),
        ([0, 1, 1], {"count": 3, "choices": range(4)}, [0, 1, 1]),
        ({"level": 40, "exclusive": None}, TOPS, {"level": 40}),
        ({"level": None}, TOPS, None),
        ({"a": [90, 20]}, {"labels": ["a", "b"], "count": 2}, {"a": [90, 20]}),
        ({"a": [None, None]}, {"labels": ["a", "b"], "count": 2}, None),
        ({"a": 30, "b": 70}, {"labels": ["a", "b"], "total": 100}, {"a": 30, "b": 70}),
        ({"a": 30}, {"labels": ["a", "b"], "total": 100}, {"a": 30}),
    ],
)
def test_a_guess_is_kept_as_plain_values(guess, rules, value):
    assert page.predict("How many?", guess, **rules).value == value


@pytest.mark.parametrize(
    ("guess", "rules", "words"),
    [
        ("eight", {}, "'eight': give a number of at least 0, or None"),
        (True, {}, "True: give a number"),
        (-1, {}, "-1: give a number of at least 0"),
        (math.nan, {}, "nan: give"),
        (math.inf, {}, "inf: give"),
        ([8], {}, r"\[8\]: give a number"),
        (101, {"high": 100}, "101: give a number from 0 to 100"),
        ("LIFO", {"choices": ["hash", "race"]}, "'LIFO': give one of 'hash', 'race'"),
        (50, SHARES, "50: give a list of 4 numbers of at least 0, 200 in all"),
        ("5555", SHARES, "'5555': give a list of 4"),
        ([50, 50, 100], SHARES, r"\[50, 50, 100\]: give 4 numbers"),
        ([50, 50, 50, 40], SHARES, "add up to 190: they must add up to 200"),
        ([50, None, 50, 100], SHARES, "value 2 of your guess is None"),
        ([0, 4], {"count": 2, "choices": range(4)}, "value 2 of your guess is 4: give"),
        (40, TOPS, "40: give a dict with a number .* for each of level, exclusive"),
        ({"edge": 40}, TOPS, "'edge': its labels are level, exclusive"),
        ({"level": 400}, TOPS, "for 'level' is 400: give a number from 0 to 100"),
        (
            {"a": 30, "b": 30},
            {"labels": ["a", "b"], "total": 100},
            "add up to 60: they must add up to 100",
        ),
    ],
)
def test_a_guess_that_cannot_be_is_refused_with_the_remedy(guess, rules, words):
    with pytest.raises(ValueError, match=words):
        page.predict("How many?", guess, **rules)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"text": " "}, "ask something"),
        ({"count": 0}, "count=0: ask for at least one"),
        ({"labels": "level"}, "labels='level': give several"),
        ({"choices": ["a", "a"]}, "give several that differ"),
        ({"total": 5}, "total=5: only several numbers"),
        ({"total": 5, "count": 2, "choices": (1, 2)}, "total=5: only several numbers"),
    ],
)
def test_a_question_whose_rules_contradict_is_refused(rules, words):
    with pytest.raises(ValueError, match=words):
        Question(**{"text": "How many?"} | rules)


def test_without_a_guess_the_page_runs_on_and_says_what_to_give():
    guess = page.predict("How do they fall?", None, **SHARES)
    assert "No prediction yet. Give 4 numbers" in repr(guess)
    revealed = page.reveal(guess, [54, 40, 46, 60])
    assert revealed.summary == "no prediction"
    assert "worker 3        –         60" in repr(revealed)
    assert "no prediction" in repr(page.ledger())


def test_a_guess_is_shown_beside_what_was_measured():
    guess = page.predict("How do they fall?", [50, 50, 60, 40], **SHARES)
    revealed = page.reveal(guess, pd.Series([54, 40, 46, 60], index=list("abcd")))
    assert [row.off for row in revealed.rows] == [-4, 10, 14, -20]
    assert revealed.summary == "off by at most 20 connections"
    assert "| worker 1 | 50 | 40 | +10 |" in markdown_of(revealed)


def test_labels_are_matched_by_name_and_those_without_a_guess_are_told():
    guess = page.predict("Which share?", {"exclusive": 90}, **TOPS)
    medians = pd.Series({"edge": 1.0, "exclusive": 92.25, "level": 45.0})
    revealed = page.reveal(guess, medians)
    assert [row.what for row in revealed.rows] == ["level", "exclusive"]
    assert [row.off for row in revealed.rows] == [None, -2.25]
    assert revealed.summary == "off by 2.25 points"


def test_words_are_right_or_not():
    one = page.predict("Which rule?", "hash", choices=["hash", "race"])
    assert page.reveal(one, "hash").summary == "right"
    assert page.reveal(one, "race").summary == "not right"
    several = page.predict("Winners?", [0, 1, 2], count=3, choices=range(4))
    assert page.reveal(several, np.array([0, 1, 3])).summary == "2 of 3 right"


def test_workers_keep_their_numbers_and_other_values_are_counted_from_one():
    by_worker = page.predict("Shares?", [1, 2], count=2, each="worker")
    winners = page.predict("Winners?", [1, 2], count=2, each="connection")
    rows = [page.reveal(guess, [1, 2]).rows for guess in (by_worker, winners)]
    assert [row.what for row in rows[0]] == ["worker 0", "worker 1"]
    assert [row.what for row in rows[1]] == ["connection 1", "connection 2"]


def test_pairs_for_each_label_have_a_row_each():
    rules = {"labels": ["a", "b"], "count": 2, "each": "share"}
    guess = page.predict("Where?", {"a": [90, 20]}, **rules)
    revealed = page.reveal(guess, {"a": (92, 20), "b": None})
    assert [row.what for row in revealed.rows] == [
        "a share 1", "a share 2", "b share 1", "b share 2",
    ]  # fmt: skip
    assert [row.off for row in revealed.rows] == [-2, 0, None, None]


def test_what_could_not_be_measured_is_said():
    guess = page.predict("How many?", 8)
    assert page.reveal(guess, float("nan")).summary == "not measured"
    assert "measured –" in repr(page.reveal(guess, None))
    assert (
        repr(page.reveal(page.predict("How few?"), 8)) == "Measured 8. No prediction."
    )


@pytest.mark.parametrize(
    ("rules", "measured", "words"),
    [
        (SHARES, [1, 2], "measured has 2 values: the guess has 4"),
        (TOPS, {"level": 4}, "measured lacks 'exclusive'"),
        (TOPS, [1, 2], "give a value for each label"),
    ],
)
def test_measured_values_of_another_form_are_refused(rules, measured, words):
    guess = page.predict("How many?", None, **rules)
    with pytest.raises(ValueError, match=words):
        page.reveal(guess, measured)


def test_the_ledger_keeps_each_question_once_in_order():
    page.predict("First?", 1)
    page.reveal(page.predict("Second?", 2, unit="ms"), 5)
    page.predict("First?", 3)
    lines = repr(page.ledger()).splitlines()
    assert len(page.ledger()) == 2
    assert re.split("  +", lines[1]) == ["First?", "3", "–", "not measured yet"]
    assert re.split("  +", lines[2]) == ["Second?", "2 ms", "5 ms", "off by 3 ms"]


def test_an_empty_ledger_says_so():
    assert repr(page.ledger()) == "No prediction was made on this page."


def test_a_guess_that_changes_after_the_measurement_is_marked():
    page.reveal(page.predict("How many?", 1), 5)
    assert not page.predict("How many?", 1).late
    for guess in (5, 5):  # Run All, twice
        changed = page.predict("How many?", guess)
        assert changed.late
        assert "changed afterwards" in repr(page.reveal(changed, 5))
    assert "right, changed afterwards" in repr(page.ledger())
    assert not page.predict("How many?", None).late


def test_a_reader_s_words_cannot_become_markup():
    evil = "<script> | *b* `c`"
    guess = page.predict("Which?", evil, choices=[evil, "x"])
    for shown in (guess, page.reveal(guess, "x"), page.ledger()):
        text = markdown_of(shown)
        assert "<script>" not in text.replace(r"\<script\>", "")
        assert r"\|" in text


# Claims.


def test_a_claim_says_its_threshold_before_the_run():
    claim = page.claim("All are woken.", at_least=7.5, unit="wake-ups")
    assert "confirmed if all of the interval is at least 7.5 wake-ups" in repr(claim)
    assert "at least 7.5 wake-ups" in markdown_of(claim)


@pytest.mark.parametrize(
    ("threshold", "measured", "value"),
    [
        ({"at_least": 7.5}, (7.9, 8.2), "confirmed"),
        ({"at_least": 7.5}, (7.0, 8.2), "inconclusive"),
        ({"at_most": 2}, (3, 4), "contradicted"),
        ({"within": (15, 25)}, (19, 20), "confirmed"),
        ({"kept": 99}, 80.0, "contradicted"),
    ],
)
def test_a_claim_is_judged_by_its_threshold(threshold, measured, value):
    claim = page.claim("So it is.", **threshold)
    verdict = claim.judge(measured)
    assert (verdict.value, verdict.claim) == (value, "So it is.")


def test_a_throttled_run_decides_nothing():
    claim = page.claim("It is quick.", at_most=5, unit="ms")
    assert claim.judge((1, 2), throttled=True).value == "inconclusive"


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        ({}, "claim with no threshold: give one of at_least, at_most, within, kept"),
        ({"at_least": 1, "at_most": 2}, "with at_least, at_most: give one"),
        ({"more": 1}, "claim with more: give one"),
        ({"within": 3}, "within takes"),
        ({"at_most": (1, 2)}, "others a number"),
    ],
)
def test_a_claim_without_one_threshold_is_refused(threshold, words):
    with pytest.raises(ValueError, match=words):
        page.claim("So it is.", **threshold)


def test_what_is_exact_raises():
    assert "holds: none is lost" in repr(page.require(np.bool_(True), "none is lost"))
    with pytest.raises(AssertionError, match="any machine: none is lost"):
        page.require(np.bool_(False), "none is lost")


def test_an_empty_column_proves_nothing():
    with pytest.raises(ValueError, match="one truth value"):
        page.require(pd.Series([], dtype=bool), "none is lost")


# Source.


def lines_of(file, first, last):
    return (ROOT / file).read_text().splitlines()[first - 1 : last]


def place_of(note):
    found = re.match(r"`([^`]+)`, lines (\d+) to (\d+)\n", note.markdown)
    return found[1], int(found[2]), int(found[3])


@pytest.mark.parametrize(
    ("thing", "file", "begins"),
    [
        (placement.least, "netlab/server/placement.py", "def least("),
        (Worker, "netlab/server/worker.py", "class Worker"),
        (functools.partial(placement.least, 1), "netlab/server/placement.py", "def"),
        (strategies.find("exclusive"), "netlab/server/strategies.py", "    Strategy("),
        (catalogue.find("burst"), "netlab/study/catalogue.py", "    Study("),
        (plots.PLOTS["choice"], "netlab/show/plots.py", '    Plot("choice"'),
    ],
)
def test_source_is_shown_with_its_file_and_lines(thing, file, begins):
    note = page.show(thing)
    place, first, last = place_of(note)
    assert place == file
    there = lines_of(file, first, last)
    assert there[0].startswith(begins)
    shown = re.search(r"```python\n(.*)\n```", note.markdown, flags=re.S)[1]
    assert [line.strip() for line in shown.splitlines()] == [
        line.strip() for line in there
    ]
    assert note.text.splitlines()[1].split()[0] == str(first)


def test_a_row_of_a_table_is_the_one_that_was_asked_for():
    for row in strategies.table():
        assert f'Strategy("{row.name}"' in page.show(row).text


def test_one_method_or_some_lines_of_a_thing_can_be_shown():
    whole, part = page.show(Worker), page.show(Worker, method="__init__")
    assert part.markdown != whole.markdown
    assert "```python\ndef __init__" in part.markdown
    _, first, _ = place_of(page.show(placement.least))
    note = page.show(placement.least, lines=(2, 3))
    assert place_of(note)[1:] == (first + 1, first + 2)


@pytest.mark.parametrize("lines", [(0, 1), (3, 2), (1, 9999)])
def test_lines_that_are_not_there_are_refused(lines):
    with pytest.raises(ValueError, match="there are 1 to"):
        page.show(placement.least, lines=lines)


def test_a_compiled_function_shows_what_was_written():
    compiled = SimpleNamespace(py_func=placement.least)  # as Numba keeps it
    assert page.show(compiled) == page.show(placement.least)


class Sample:
    @property
    def one(self):
        return 1

    @functools.cached_property
    def two(self):
        return 2

    @staticmethod
    def three():
        return 3


@pytest.mark.parametrize("method", ["one", "two", "three"])
def test_methods_of_every_kind_are_shown(method):
    assert f"def {method}" in page.show(Sample, method=method).text


def test_source_from_elsewhere_names_no_folder_of_this_machine():
    assert place_of(page.show(re.compile))[0] == "re/__init__.py"
    package = place_of(page.show(pd.DataFrame.head))[0]
    assert ".venv" not in package
    assert sys.prefix not in package
    assert sources._place("/tmp/ipykernel_12/34.py") == "this page"


@pytest.mark.parametrize("thing", [7, "text", len, ("row", 1), strategies])
def test_what_has_no_source_is_refused(thing):
    if thing is strategies:
        assert place_of(page.show(thing))[1] == 1
        return
    with pytest.raises(ValueError, match="has no source to show: give a function"):
        page.show(thing)


def test_a_missing_method_is_refused():
    with pytest.raises(ValueError, match="method='fly'"):
        page.show(Worker, method="fly")


def test_a_fence_is_longer_than_any_in_the_text():
    assert notes.code("a ```` b").startswith("`````python\n")


# Exercises.


def is_three(answer):
    if answer != 3:  # no assert: pytest would add its own words
        raise AssertionError("count the workers again")
    return f"right, {answer} workers"


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        (None, "not answered yet", ""),
        (..., "not answered yet", ""),
        (4, "not yet", "count the workers again"),
        (3, "right", "right, 3 workers"),
    ],
)
def test_an_answer_is_right_or_not_yet_or_not_there(answer, state, said):
    checked = page.exercise("Workers", answer, is_three, hint="Look at ps.")
    assert (checked.state, checked.said) == (state, said)
    assert checked.right == (state == "right")
    assert state in repr(checked)
    assert ("Look at ps." in markdown_of(checked)) == (state != "right")
    assert "Look at ps." not in repr(checked)


@pytest.mark.parametrize(
    ("found", "right"),
    [(None, True), (True, True), (np.bool_(True), True), (np.bool_(False), False)],
)
def test_a_check_may_return_a_truth_value(found, right):
    assert page.exercise("Any", 1, lambda _: found).right is right


def test_an_answer_of_another_kind_is_told_and_the_page_runs_on():
    checked = page.exercise("Pair", 5, lambda pair: len(pair) == 2)
    assert checked.state == "not yet"
    assert "TypeError: object of type 'int' has no len()" in checked.said


def test_a_function_with_a_gap_is_not_answered_yet():
    def choose(workers):
        raise NotImplementedError

    assert page.exercise("Rule", choose, lambda rule: rule(4) == 0).state == (
        "not answered yet"
    )


def test_an_interrupt_is_not_an_answer():
    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        page.exercise("Any", 1, interrupted)


@pytest.mark.parametrize(
    ("solution", "words"),
    [("answer = 3", "answer = 3"), (placement.least, "netlab/server/placement.py")],
)
def test_the_solution_is_folded_away(solution, words):
    checked = page.exercise("Workers", None, is_three, solution=solution)
    folded = re.search(
        "<details><summary>Solution.*</details>", markdown_of(checked), re.S
    )
    assert words in folded[0]
    assert words not in repr(checked)


def test_a_check_that_is_none_is_refused():
    with pytest.raises(ValueError, match="check=3"):
        page.exercise("Any", 1, 3)


# Figures.


def a_burst(machine=MACHINE, mode="live", top=92.0):
    table = pd.DataFrame(
        {
            "strategy": ["level", "reuseport"] * 2, "workers": 4, "connections": 12,
            "engine": "python", "top_share_percent": [top, 33.0, top, 42.0],
        }
    )  # fmt: skip
    settings = {"repeats": 2}
    return Found("burst", {"burst": table}, settings, machine=machine, mode=mode)


def test_a_study_s_figure_has_stamp_words_and_table():
    shown = page.figure(a_burst())
    assert shown.stamp == (
        "Linux 6.18 · 2 CPUs · engine python · 2 runs · live, 2026-01-02"
    )
    assert "level 92.0" in shown.alt
    assert shown.table["strategy"].tolist() == ["reuseport", "level"]


def test_a_replayed_figure_says_so():
    assert "replayed from 2026-01-02" in page.figure(a_burst(mode="replayed")).stamp


def test_a_prediction_is_drawn_as_a_ghost():
    guess = page.predict("Which?", {"level": 40}, labels=["level", "reuseport"])
    assert "predicted 40" in page.figure(a_burst(), predicted=guess).alt
    nothing = page.predict("Which?", None, labels=["level", "reuseport"])
    assert page.figure(a_burst(), predicted=nothing).alt == page.figure(a_burst()).alt


def test_the_recording_is_outlined_beside_what_is_live():
    recording = a_burst(EARLIER, "replayed", top=75.0)
    shown = page.figure(a_burst(), recorded=recording)
    assert (
        "live, 2026-01-02 · recorded 2025-11-12 on Linux 5.15 · 8 CPUs" in shown.stamp
    )
    assert shown.alt.endswith("Outlined, as recorded: reuseport 37.5; level 75.0.")
    tops = shown.table[shown.table["strategy"] == "level"]
    assert tops.set_index("from")["median"].to_dict() == {"here": 92, "recorded": 75}
    other = page.figure(a_burst(), recorded=a_burst(EARLIER, "replayed", top=50.0))
    assert len({page.figure(a_burst()).png, shown.png, other.png}) == 3


def test_a_replayed_figure_is_not_told_twice_and_gets_no_outline():
    replayed = a_burst(mode="replayed")
    shown = page.figure(replayed, recorded=a_burst(EARLIER, "replayed", top=50.0))
    assert "from" not in shown.table
    assert "2025" not in shown.stamp
    assert shown.png == page.figure(replayed).png


def a_rotation(machine=MACHINE, mode="live", connections=8):
    table = pd.DataFrame({"every": "1", "connection": range(1, connections + 1)})
    table["worker"] = table["connection"] % 2
    return Found("rotate", {"rotate": table}, {}, machine=machine, mode=mode)


def test_a_recording_that_is_not_drawn_is_told_and_tabled():
    shown = page.figure(a_rotation(), recorded=a_rotation(EARLIER, "replayed", 6))
    assert shown.png == page.figure(a_rotation()).png
    assert "Recorded on 2025-11-12: Strips of the first 64" in shown.alt
    assert shown.table["from"].tolist() == ["here"] * 2 + ["recorded"] * 2
    assert shown.table["connections"].tolist() == [4, 4, 3, 3]


def test_the_words_of_a_recording_that_are_long_are_left_to_the_table(monkeypatch):
    monkeypatch.setattr(stamped, "LONGEST", 20)
    shown = page.figure(a_rotation(), recorded=a_rotation(EARLIER, "replayed", 6))
    assert shown.alt.endswith("The table has what was recorded on 2025-11-12 too.")


# Two of one study.


def test_two_of_a_study_are_shown_with_both_stamps_words_and_tables():
    mine = a_burst(EARLIER, "replayed", top=50.0)
    shown = page.beside(mine, a_burst(), titles=("mine", "theirs"))
    assert "mine: Linux 5.15 · 8 CPUs" in shown.stamp
    assert "replayed from 2025-11-12 — theirs: Linux 6.18" in shown.stamp
    assert "mine: Dots: " in shown.alt
    assert "level 50.0" in shown.alt
    assert "theirs: Dots: " in shown.alt
    assert "level 92.0" in shown.alt
    tops = shown.table[shown.table["strategy"] == "level"]
    assert tops.set_index("from")["median"].to_dict() == {"mine": 50, "theirs": 92}


def test_two_of_a_study_are_drawn_to_the_same_scale():
    two = {"mine": a_burst(top=30.0), "theirs": a_burst(EARLIER, top=90.0)}
    parts = {title: page._material(found, None) for title, found in two.items()}
    one, other = stacked.draw_axes(parts, {"mine": {}, "theirs": {}})
    assert one.get_xlim() == other.get_xlim()
    alone = parts["mine"].row.draw(parts["mine"].table)
    assert alone.get_xlim() != one.get_xlim()
    one.figure.figure.draw_without_rendering()
    above, below = (axes.get_window_extent() for axes in (one, other))
    assert (above.x0, above.x1) == (below.x0, below.x1)
    assert above.y0 > below.y1
    assert [part.get_suptitle() for part in (one.figure, other.figure)] == [*two]


def test_what_are_not_two_of_one_study_is_refused():
    with pytest.raises(ValueError, match="'burst' and 'rotate': give two of the same"):
        page.beside(a_burst(), a_rotation())
    with pytest.raises(ValueError, match="draws the table 'burst', which this 'burst'"):
        page.beside(a_burst(), Found("burst", {}, {}, machine=MACHINE))
    with pytest.raises(ValueError, match=r"titles=.*: give two that differ"):
        page.beside(a_burst(), a_burst(), titles=("same", "same"))


def test_a_plot_that_is_not_the_study_s_is_refused():
    with pytest.raises(ValueError, match="'herd': study 'burst' has burst"):
        page.figure(a_burst(), "herd")
    without = Found("herd", {"herd": pd.DataFrame()}, {}, machine=MACHINE)
    with pytest.raises(ValueError, match="draws the table 'load', which this 'herd'"):
        page.figure(without, "herd_under_load")


def a_run(machine=MACHINE, counts=(3, 1)):
    none = pd.DataFrame()
    workers = pd.DataFrame({"worker": [0, 1], "cpu": [1, 0], "accepted": counts})
    settings = {"actual": {"server": {"engine": "compiled"}}}
    return Run(settings, machine, {}, workers, none, none, none, none, none)


def test_a_run_is_drawn_with_its_own_stamp_and_another_s_outline():
    shown = page.figure(a_run(), "accepts_per_worker", recorded=a_run(EARLIER, (2, 7)))
    assert "engine compiled · 1 run · live" in shown.stamp
    assert "recorded 2025-11-12" in shown.stamp
    table = shown.table.set_index("worker")
    assert table["connections"].to_dict() == {0: 3, 1: 1}
    assert table["recorded"].to_dict() == {0: 2, 1: 7}


@pytest.mark.parametrize("plot", [None, "burst", "pie"])
def test_a_plot_that_is_not_of_a_run_is_refused(plot):
    with pytest.raises(ValueError, match="of a run there are accepts_per_worker"):
        page.figure(a_run(), plot)


@pytest.mark.parametrize("study", catalogue.STUDIES, ids=lambda study: study.name)
def test_every_drawing_of_the_catalogue_has_its_plot(study):
    for drawing in study.drawings:
        assert drawing.plot in plots.PLOTS


# The first cell.


def test_a_page_begins_with_one_line(monkeypatch):
    monkeypatch.setattr(replay, "impossible", lambda name=None: None)
    monkeypatch.chdir(ROOT / "notebooks")
    monkeypatch.delenv("NETLAB_MODE", raising=False)
    note = page.start("06-the-thundering-herd")
    assert note.text == (
        f"netlab {netlab.__version__} from this checkout · live: this machine has "
        "what it takes"
    )


def test_studies_that_are_replayed_for_different_reasons_are_told_apart(monkeypatch):
    monkeypatch.delenv("NETLAB_MODE", raising=False)
    reasons = {"xray": "no rights"}
    monkeypatch.setattr(replay, "impossible", reasons.get)
    text = page.start("06", "herd", "xray", "order").text
    assert "herd, order live: " in text
    assert "xray replayed: no rights" in text
    assert "\n" not in text


def test_a_study_that_is_not_there_is_refused_at_the_start():
    with pytest.raises(ValueError, match="study 'hurd': there are"):
        page.start("06", "hurd")


def test_nonsense_in_the_environment_is_refused_at_the_start(monkeypatch):
    monkeypatch.setenv("NETLAB_MODE", "alive")
    with pytest.raises(ValueError, match="NETLAB_MODE='alive'"):
        page.start("06")


def test_another_page_has_another_ledger_and_the_same_one_keeps_its_own():
    page.start("06")
    page.predict("How many?", 1)
    page.start("06")
    assert len(page.ledger()) == 1
    page.start("07")
    assert len(page.ledger()) == 0


@pytest.fixture
def two_checkouts(tmp_path):
    for name, version in (("one", "0.1.0"), ("two", "0.2.0")):
        (tmp_path / name / "notebooks").mkdir(parents=True)
        text = f'[project]\nname = "netlab"\nversion = "{version}"\n'
        (tmp_path / name / "pyproject.toml").write_text(text)
    return tmp_path / "one", tmp_path / "two"


def test_a_netlab_of_another_checkout_is_told(two_checkouts):
    one, two = two_checkouts
    said = functools.partial(checkout.told, "0.1.0", one / "netlab")
    assert said(one / "notebooks") == "netlab 0.1.0 from this checkout"
    assert f"from ELSEWHERE, {one}: open" in said(two / "notebooks")
    assert "NO CHECKOUT" in said(one.parent)


def test_a_checkout_that_has_changed_under_a_kernel_is_told(two_checkouts):
    _, two = two_checkouts
    said = checkout.told("0.1.0", two / "netlab", two / "notebooks")
    assert "this checkout is now 0.2.0: RESTART" in said


def test_a_project_file_that_cannot_be_read_is_no_checkout(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project\n")
    assert checkout.checkout_of(tmp_path) != checkout.Checkout(tmp_path, "")
