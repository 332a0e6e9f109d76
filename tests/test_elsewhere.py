"""A server in another interpreter: held, asked, stopped, and never left behind.

The other interpreter is this one's own program, since any Python will do.
"""

import os
import stat
import sys
import textwrap

import pytest

import netlab
from netlab.kernel import interpreters
from netlab.kernel.interpreters import Interpreter
from netlab.server.elsewhere import ElsewhereError, ServerElsewhere
from netlab.study import experiment
from tests.bounded import children, linux, until

pytestmark = linux
THIS = Interpreter(sys.executable, "its version", gil=True)
TOUCH = {"plan": "touch", "connections": 20, "sample_rate_per_s": None}


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = children(), sorted(os.listdir("/proc/self/fd"))
    yield
    until(lambda: (children(), sorted(os.listdir("/proc/self/fd"))) == before)


def test_its_answers_are_those_of_a_server_of_ours():
    with ServerElsewhere(THIS, workers=2) as server:
        load = netlab.fire(server, connections=30, progress=False)
        assert server.settle()
        assert server.snapshot()["accepted"].sum() == 30
        assert server.running
        assert server.pid in children()
    assert not server.running
    assert len(server.accepts()) == len(load.connections) == 30
    assert (server.accepts_dropped(), server.waiting()) == (0, 0)
    assert (server.failures, server.faults) == ({}, {})
    assert server.snapshot()["closed"].sum() == 30


def test_it_says_which_interpreter_it_is():
    with ServerElsewhere(THIS, workers=1) as server:
        here = netlab.machine()
        told = server.actual()["interpreter"]
        assert told == {"python": here.python, "gil": here.gil}


@pytest.mark.parametrize("plan", [TOUCH, {"connections": 40}])
def test_a_run_of_it_is_conserved_and_counted(plan):
    settings = {"workers": 4, "progress": False} | plan
    found = experiment.run(interpreter=THIS, **settings)
    assert found.checks["holds"].all()
    assert found.figures["settled"]
    assert found.settings["actual"]["server"]["interpreter"]["gil"] == THIS.gil
    if plan is TOUCH:
        assert found.figures["accept_wakeups_per_accept"] >= 3


def test_what_cannot_be_honoured_is_refused_with_its_reason():
    with pytest.raises(ElsewhereError, match=r"workers=0: give a number from 1"):
        ServerElsewhere(THIS, workers=0)


def test_a_process_that_dies_is_quoted(tmp_path):
    program = python_that(tmp_path, "raise SystemExit('no such luck')")
    with pytest.raises(ElsewhereError, match="no such luck"):
        ServerElsewhere(Interpreter(program, "none"), workers=1)


def test_it_ends_with_whoever_holds_it():
    server = ServerElsewhere(THIS, workers=1)
    pid = server.pid
    del server
    until(lambda: pid not in children())


def python_that(folder, program):
    """The path of a program that runs these lines, whatever it is asked."""
    path = folder / "python-of-the-test"
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(program)}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


# --- which interpreters there are


def named(monkeypatch, path):
    monkeypatch.setenv(interpreters.VARIABLE, path)
    interpreters.asked.cache_clear()


def told(version, built, lacking):
    return f"import json\nprint(json.dumps({[version, built, lacking]!r}))"


def test_the_variable_names_a_free_threaded_python(monkeypatch, tmp_path):
    path = python_that(tmp_path, told("3.99.1", True, []))
    named(monkeypatch, path)
    assert interpreters.free_threaded() == Interpreter(path, "3.99.1", gil=False)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (told("3.99.1", False, []), "Python 3.99.1 there has a GIL"),
        (told("3.99.1", True, ["numpy"]), "lacks numpy"),
        ("print('hello')", "does not answer as a Python does"),
        ("raise SystemExit(3)", "does not answer as a Python does"),
    ],
)
def test_another_program_is_refused_with_the_remedy(
    program, why, monkeypatch, tmp_path
):
    named(monkeypatch, python_that(tmp_path, program))
    with pytest.raises(LookupError, match=f"{why}.*set NETLAB_FREE_THREADED"):
        interpreters.free_threaded()


def test_a_name_that_is_no_program_is_told(monkeypatch):
    named(monkeypatch, "/nowhere/python3.14t")
    with pytest.raises(LookupError, match=r"'/nowhere/python3\.14t' is no program"):
        interpreters.free_threaded()


def test_without_the_variable_the_path_is_searched(monkeypatch, tmp_path):
    monkeypatch.delenv(interpreters.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LookupError, match="there is none here"):
        interpreters.free_threaded()
    path = python_that(tmp_path, told("3.99.2", True, []))
    os.rename(path, tmp_path / "python3.13t")
    interpreters.asked.cache_clear()
    assert interpreters.free_threaded().version == "3.99.2"


def test_this_python_is_asked_as_any_other():
    version, built, lacking = interpreters.asked(sys.executable)
    assert (version, built) == (netlab.machine().python, netlab.machine().free_threaded)
    assert lacking == []
