"""Each exhibit still fails as it should, its healthy part does not, and it ends."""

import types

import pytest

from netlab import exhibits
from netlab.exhibits import EXHIBITS, broken, cases, patient
from netlab.exhibits.assembled import assembled
from netlab.stages import judge, s3, s4, s5
from netlab.stages.suite import CASES
from tests.bounded import left_behind, linux, until
from tests.test_portable import ELSEWHERE

NAMES = [exhibit.name for exhibit in EXHIBITS]
OWN = [one for one in vars(cases).values() if isinstance(one, cases.Case)]


@linux
@pytest.mark.parametrize("name", NAMES)
def test_an_exhibit_fails_as_it_says_and_leaves_nothing(name):
    exhibit, before = exhibits.find(name), left_behind()
    row, left = judge.judgements(exhibit.make(), [exhibit.case])
    if row.outcome == judge.NOT_HERE:
        pytest.skip(row.said)
    assert (row.outcome, left.outcome) == (judge.FAIL, judge.PASS)
    assert exhibit.said in row.said
    until(lambda: left_behind() == before)


@linux
@pytest.mark.parametrize("name", NAMES)
def test_its_healthy_part_mends_it(name):
    exhibit = exhibits.find(name)
    assert exhibit.is_mended(exhibit.origin) == f"it passes: {exhibit.case.name}"


@linux
def test_what_is_not_mended_is_told_with_its_case():
    exhibit = exhibits.find("deaf-after-error")
    with pytest.raises(AssertionError, match="who vanishes hurts nobody: no whole"):
        exhibit.is_mended(exhibit.part)


MENDED = {  # one method each, as a reader may write it
    "lost-rest": ("send", patient.Worker.send),
    "reads-on": ("hears", patient.Worker.hears),
    "never-sleeps": ("wishes", patient.Worker.wishes),
    "spin-at-the-limit": ("rest", patient.Worker.rest),
    "someone-else-s-client": ("close", patient.Worker.close),
    "deaf-after-error": ("serve", s3.Worker.serve),
    "forgotten-drain": ("turn", s3.Worker.turn),
    "wrong-pinning": ("begin", s5.Worker.begin),
}


@linux
@pytest.mark.parametrize("name", MENDED)
def test_one_method_mends_a_worker(name):
    exhibit = exhibits.find(name)
    method, text = MENDED[name]
    assert exhibit.is_mended(type("Mended", (exhibit.part,), {method: text}))


@linux
def test_the_patient_server_passes_the_whole_suite_and_the_cases_of_the_exhibits():
    healthy = assembled(s5, patient.PARTS).Stage
    rows = judge.judge(healthy, (*CASES, *OWN))
    assert judge.surprises(rows).empty
    assert not (rows["outcome"] == judge.AS_DECLARED).any()


@linux
def test_the_patient_server_serves_those_who_wait_once_there_are_descriptors():
    (case,) = [one for one in CASES if one.name == "out of descriptors, it rests"]
    with assembled(s5, patient.PARTS).Stage(workers=2) as server:
        case.check(server)
        assert server.counters()["rests"].sum() > 0


def test_an_exhibit_is_named_once_and_has_a_page_a_symptom_and_a_case():
    assert len(set(NAMES)) == len(NAMES) >= 8
    assert {exhibit.page for exhibit in EXHIBITS} == {"02", "03", "05", "14"}
    for exhibit in EXHIBITS:
        assert exhibit.symptom.endswith(".")
        assert exhibit.part is not exhibit.origin
        assert exhibit.case in (*CASES, *OWN)
        assert exhibit.part.__module__ == broken.__name__


def test_no_case_has_the_name_of_one_of_the_suite():
    names = [case.name for case in (*CASES, *OWN)]
    assert len(set(names)) == len(names)


def test_an_exhibit_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'no-such': there are blocking-listener, "):
        exhibits.find("no-such")


def test_an_assembled_stage_leaves_the_stage_as_it_is():
    copy = assembled(s4, {"BACKLOG": 7, "FAILS": {}})
    assert (copy.BACKLOG, s4.BACKLOG, copy.Stage.fails) == (7, 128, {})
    assert copy.Stage is not s4.Stage
    assert s4.Stage.fails
    with pytest.raises(ValueError, match="part 'Wurker': netlab"):
        assembled(s4, {"Wurker": s4.Worker})
    with pytest.raises(ValueError, match="give a module that has a file"):
        assembled(types.ModuleType("made"), {})


@pytest.mark.parametrize("system", [("darwin", "Darwin"), ("win32", "Windows")])
def test_exhibits_are_shown_elsewhere_and_ask_for_a_live_run(fresh, system):
    program = """
    from netlab import exhibits

    exhibit = exhibits.find("lost-rest")
    assert "needs a live run" in exhibit.is_mended(exhibit.part)
    print("done")
    """
    assert fresh(ELSEWHERE + program, *system) == ["done"]
