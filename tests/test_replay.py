"""A study is live where the machine can show it, and else replayed, and says why."""

import pytest

from netlab.kernel import doctor, machine
from netlab.study import catalogue, datapackage, recordings, replay
from netlab.study.found import Found
from tests.test_recordings import made_up

ROWS = doctor.ROWS
SHOWN = "this machine has what it takes"


@pytest.fixture(autouse=True)
def able(monkeypatch):
    """A machine that can show everything, whatever this one can, and no wish."""
    monkeypatch.delenv("NETLAB_MODE", raising=False)
    monkeypatch.setattr(replay.trace, "available", lambda: None)
    rows = [row._replace(look=lambda: ("here", True)) for row in doctor.ROWS]
    monkeypatch.setattr(doctor, "ROWS", rows)
    monkeypatch.setattr(doctor.platform, "system", lambda: "Linux")


@pytest.fixture
def lacks(monkeypatch):
    """Take something from the machine."""

    def lacks(what):
        rows = [
            row._replace(look=lambda: ("none", False)) if row.what == what else row
            for row in doctor.ROWS
        ]
        monkeypatch.setattr(doctor, "ROWS", rows)
        return next(row.remedy for row in rows if row.what == what)

    return lacks


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Have studies of two names that are counted instead of run, one recorded."""
    calls = []

    def run(**settings):
        calls.append(settings)
        return made_up("burst")

    row = catalogue.find("burst")._replace(run=run)
    traced = catalogue.find("xray")._replace(run=run)
    monkeypatch.setattr(catalogue, "STUDIES", (row, traced))
    monkeypatch.setattr(datapackage, "DATA", tmp_path)
    recordings.record(made_up("burst", rows=9), command="made up", folder=tmp_path)
    return calls


def test_where_it_can_a_study_is_live(asked):
    found = replay.study("burst", repeats=2, progress=False)
    assert asked == [{"repeats": 2, "progress": False}]
    assert found.mode == "live"
    assert found.notes == (f"live: {SHOWN}",)


@pytest.mark.parametrize(
    "what",
    ["Linux", "kernel of its own", "CPUs owned", "epoll, eventfd, select", "Numba"],
)
def test_where_it_cannot_it_is_replayed_and_says_why(asked, lacks, what):
    remedy = lacks(what)
    found = replay.study("burst", repeats=2, connections=5, progress=False)
    assert asked == []
    assert found.mode == "replayed"
    assert len(found.tables["first"]) == 9
    reason = f"{what}: none. {remedy}"
    ignored = "; ignored, for a live run only: repeats, connections"
    assert found.notes == (f"replayed: {reason}{ignored}",)
    assert replay.mode() == ("replayed", reason)
    assert replay.study("burst", progress=False).notes == (f"replayed: {reason}",)


def test_what_no_study_needs_does_not_matter(lacks):
    for what in ("Python without GIL", "IPv6 loopback", "tracefs"):
        lacks(what)
    assert replay.mode() == ("live", SHOWN)


@pytest.mark.parametrize(
    ("where", "name", "value", "reason"),
    [
        (
            doctor.platform,
            "system",
            "Darwin",
            "Linux: Darwin. Servers need Linux's epoll",
        ),
        (machine, "hints", ("gVisor",), "kernel of its own: gVisor. An imitation of"),
        (machine, "cpus_owned", 1, "CPUs owned: 1 of "),
    ],
)
def test_the_machine_itself_is_looked_at(monkeypatch, where, name, value, reason):
    monkeypatch.setattr(doctor, "ROWS", ROWS)
    monkeypatch.setattr(machine, "hints", lambda: ())
    monkeypatch.setattr(where, name, lambda: value)
    found = replay.mode()
    assert found.value == "replayed"
    assert found.reason.startswith(reason)


def test_rights_matter_to_the_x_ray_only(asked, monkeypatch):
    monkeypatch.setattr(replay.trace, "available", lambda: "it takes root")
    assert replay.mode("xray") == ("replayed", "it takes root")
    assert replay.mode("burst") == replay.mode() == ("live", SHOWN)
    assert replay.study("burst").mode == "live"


def test_a_study_that_was_not_recorded_says_why_it_would_be_replayed(asked, lacks):
    lacks("CPUs owned")
    with pytest.raises(ValueError, match="no recording of 'xray'") as raised:
        replay.study("xray")
    assert raised.value.__notes__[0].startswith(
        "xray is replayed here: CPUs owned: none."
    )


def test_replay_can_be_asked_for(asked, monkeypatch):
    monkeypatch.setenv("NETLAB_MODE", "replay")
    found = replay.study("burst")
    assert asked == []
    assert found.notes == ("replayed: NETLAB_MODE=replay asks for the recording",)


@pytest.mark.parametrize("wish", ["live", "auto", ""])
def test_what_is_possible_can_be_asked_for(asked, monkeypatch, wish):
    monkeypatch.setenv("NETLAB_MODE", wish)
    assert replay.study("burst").mode == "live"
    assert len(asked) == 1


def test_what_is_impossible_raises_with_the_reason(asked, lacks, monkeypatch):
    monkeypatch.setenv("NETLAB_MODE", "live")
    lacks("CPUs owned")
    with pytest.raises(
        ValueError, match=r"NETLAB_MODE=live is impossible here\. CPUs owned: none\."
    ):
        replay.study("burst")
    assert asked == []


@pytest.mark.parametrize("wish", ["Live", "replayed", "0", " "])
def test_another_wish_is_an_error(monkeypatch, wish):
    monkeypatch.setenv("NETLAB_MODE", wish)
    with pytest.raises(ValueError, match=f"NETLAB_MODE='{wish}': set it to auto, live"):
        replay.mode()


def test_an_unknown_study_is_named_whatever_the_mode(lacks):
    lacks("Linux")
    with pytest.raises(ValueError, match="study 'fair': there are head-of-line"):
        replay.study("fair")


def test_what_is_needed_is_what_doctor_looks_at():
    assert set(replay.NEEDED) <= {row.what for row in doctor.ROWS}
    assert set(replay.TRACED) <= {row.name for row in catalogue.STUDIES}


def test_what_is_found_is_live_or_replayed():
    with pytest.raises(ValueError, match="mode='recorded': a study is live or replay"):
        Found("burst", {}, {}, mode="recorded")
    found = made_up("burst")
    assert found.as_dict()["mode"] == "live"
    assert found.as_dict()["date"] == found.date == found.machine["date"]
    assert f"live of {found.date[:10]}" in repr(found)
