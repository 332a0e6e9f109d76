"""A notebook's cell that runs again replaces its own servers and no others."""

import contextlib
import itertools
import sys
from types import SimpleNamespace

import pytest

from netlab.server import server as module
from netlab.server.cells import Origin, current_origin
from netlab.server.server import Server


class Shell:
    """The part of IPython's shell that says which cell runs."""

    def __init__(self):
        self.parent = {}
        self.runs = itertools.count()

    def get_parent(self):
        return self.parent

    def run(self, cell):
        run = f"message-{next(self.runs)}"
        self.parent = {"header": {"msg_id": run}, "metadata": {"cellId": cell}}


@pytest.fixture
def shell(monkeypatch):
    shell = Shell()
    ipython = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    return shell


@pytest.fixture
def serve():
    """Make servers that are held, as a notebook's Out holds them."""
    with contextlib.ExitStack() as held:
        yield lambda **settings: held.enter_context(Server(workers=1, **settings))


def test_a_cell_that_runs_again_stops_its_earlier_server(shell, serve):
    shell.run("a")
    first = serve()
    shell.run("a")
    second = serve(listen=[str(first.address)])  # the port is free again
    assert (first.running, second.running) == (False, True)
    shell.run("a")
    third = serve()
    assert (second.running, third.running) == (False, True)


def test_servers_of_one_run_stay_and_the_next_run_stops_both(shell, serve):
    shell.run("a")
    pair = serve(), serve()
    assert [server.running for server in pair] == [True, True]
    shell.run("a")
    serve()
    assert [server.running for server in pair] == [False, False]


def test_other_cells_servers_stay(shell, serve):
    shell.run("a")
    first = serve()
    shell.run("b")
    second = serve()
    shell.run("b")
    third = serve()
    assert [server.running for server in (first, second, third)] == [True, False, True]


def test_a_setting_that_is_refused_leaves_the_earlier_server(shell, serve):
    shell.run("a")
    first = serve()
    shell.run("a")
    with pytest.raises(ValueError, match="workers=0"):
        Server(workers=0)
    assert first.running


def test_servers_outside_cells_are_left_alone(shell, serve):
    shell.run("a")
    first = serve()
    shell.parent = {"header": {"msg_id": "from a console"}, "metadata": {}}
    second = serve()
    shell.parent = {}
    third = serve()
    shell.run("a")
    serve()
    assert [server.running for server in (first, second, third)] == [False, True, True]


@pytest.mark.parametrize("step", ["start", "__init__"])
def test_a_server_that_failed_does_not_fail_its_cell_for_ever(
    step, shell, serve, monkeypatch
):
    def fail(*_):
        raise MemoryError

    shell.run("a")
    with monkeypatch.context() as broken:
        broken.setattr(module.Crew, step, fail)
        with pytest.raises(MemoryError) as kept:
            Server(workers=1)
    shell.run("a")
    assert serve().running
    assert kept.traceback  # as a notebook keeps it, with the server that failed


def test_a_server_that_nobody_holds_is_not_remembered(shell, serve):
    shell.run("a")
    server = Server(workers=1)
    del server
    shell.run("a")
    assert serve().running


def test_where_we_are(shell, monkeypatch):
    assert current_origin() is None
    shell.run("a")
    assert current_origin() == Origin("a", "message-0")
    for absent in (None, object()):
        ipython = SimpleNamespace(get_ipython=lambda absent=absent: absent)
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        assert current_origin() is None
    monkeypatch.delitem(sys.modules, "IPython")
    assert current_origin() is None
