"""A page judges the reader's server where one can run, and says so elsewhere."""

import pytest

from netlab.show import page
from netlab.stages import s2
from tests.bounded import linux

ANSWERED, LONG = "a request is answered", "a long answer arrives whole"
NOTHING, TOO_MUCH = {}, {ANSWERED: "it does not know itself"}


class Boastful(s2.Stage):
    """Declares nothing."""

    fails = NOTHING


class Modest(s2.Stage):
    """Declares what it does not fail."""

    fails = TOO_MUCH


@pytest.fixture
def replayed(monkeypatch):
    monkeypatch.setenv("NETLAB_MODE", "replay")


@linux
def test_a_server_that_fails_as_it_declared_is_no_surprise():
    tried = page.judge(s2.Stage, [ANSWERED, LONG])
    assert tried.surprises == []
    assert tried.insist() == "2 pass, 1 fails as declared"
    markdown = tried.note().markdown
    assert f"| {ANSWERED} | ✓ pass |" in markdown
    assert f"| {LONG} | ○ fails as declared |" in markdown
    assert s2.FAILS[LONG] in markdown


@linux
def test_what_was_not_declared_is_a_surprise_and_what_was_and_passes_too():
    tried = page.judge(Boastful, [LONG])
    assert tried.surprises == [f"{LONG}: fails (no whole answer within 1 s)"]
    with pytest.raises(AssertionError, match="no whole answer within 1 s"):
        tried.insist()
    assert page.judge(Modest, [ANSWERED]).surprises == [
        f"{ANSWERED}: passes though declared"
    ]


def test_a_case_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="case 'is nice': there are a request is ans"):
        page.judge(s2.Stage, ["is nice"])


def test_where_all_is_replayed_no_server_runs_and_the_page_says_so(replayed):
    def never():
        raise AssertionError("it was called")

    assert not page.is_live()
    tried = page.judge(never)
    assert tried.surprises == []
    assert len(tried.rows) == 0
    assert tried.insist().startswith("not tried, it needs a live run")
    for note in (tried.note(), page.live(never)):
        assert "needs a live run. Here: NETLAB_MODE=replay" in note.text


@linux
def test_where_a_server_can_run_live_returns_what_it_returns(monkeypatch):
    monkeypatch.delenv("NETLAB_MODE", raising=False)
    if page.is_live():
        assert page.live(lambda: 3) == 3
