import math
from dataclasses import FrozenInstanceError, asdict

import pytest

from netlab.load.plans import (
    CONNECTION,
    CONNECTIONS_LIMIT,
    ENDLESS,
    MEANINGS,
    PLANS,
    REQUEST,
    REQUESTS_LIMIT,
    TIMEOUT_LIMIT_S,
    LoadSettings,
    Outcome,
    find,
)
from netlab.records import packer

TOUCH = {"plan": "touch"}
BAD = [
    ({"plan": "torrent"}, ["'torrent'", "closed", "touch"]),
    ({"plan": None}, ["None", "closed", "touch"]),
    (TOUCH | {"requests": 2}, ["requests=2", "touch", "leave it out"]),
    (TOUCH | {"at_once": 4}, ["at_once=4", "touch", "leave it out"]),
    (TOUCH | {"path": "/"}, ["path='/'", "touch", "leave it out"]),
    (TOUCH | {"duration_s": 1.0}, ["duration_s=1.0", "touch", "leave it out"]),
    ({"pause_ms": 1.0}, ["pause_ms=1.0", "closed", "leave it out"]),
    ({"hold_ms": 1.0}, ["hold_ms=1.0", "closed", "leave it out"]),
    ({"connections": 0}, ["connections=0", f"1 to {CONNECTIONS_LIMIT}"]),
    ({"connections": CONNECTIONS_LIMIT + 1}, [f"1 to {CONNECTIONS_LIMIT}"]),
    ({"connections": 2.0}, ["connections=2.0", "whole number"]),
    ({"connections": True}, ["connections=True", "whole number"]),
    ({"at_once": 0}, ["at_once=0", "1 to 65536"]),
    ({"at_once": -3}, ["at_once=-3", "1 to 65536"]),
    ({"at_once": "8"}, ["at_once='8'", "whole number"]),
    ({"requests": 0}, ["requests=0", f"1 to {REQUESTS_LIMIT}"]),
    (TOUCH | {"pause_ms": -1}, ["pause_ms=-1", "at least 0"]),
    (TOUCH | {"pause_ms": math.nan}, ["pause_ms=nan", "finite"]),
    (TOUCH | {"hold_ms": math.inf}, ["hold_ms=inf", "finite"]),
    (TOUCH | {"hold_ms": "long"}, ["hold_ms='long'", "number"]),
    ({"duration_s": 0}, ["duration_s=0", "at least 0.001"]),
    ({"duration_s": math.nan}, ["duration_s=nan", "finite"]),
    ({"duration_s": 60.0}, ["duration_s=60.0", "timeout_s=60.0", "raise timeout_s"]),
    ({"duration_s": 9, "timeout_s": 8}, ["duration_s=9", "timeout_s=8", "raise"]),
    ({"timeout_s": 0}, ["timeout_s=0", "at least 0.001"]),
    ({"timeout_s": math.inf}, ["timeout_s=inf", "finite"]),
    ({"timeout_s": None}, ["timeout_s=None", f"at most {TIMEOUT_LIMIT_S}"]),
    ({"timeout_s": TIMEOUT_LIMIT_S + 1}, [f"at most {TIMEOUT_LIMIT_S}"]),
    ({"path": "spin/20"}, ["'spin/20'", "slash"]),
    ({"path": ""}, ["path=''", "slash"]),
    ({"path": 20}, ["path=20", "slash"]),
    ({"path": "/a b"}, ["'/a b'", "visible ASCII"]),
    ({"path": "/#top"}, ["'/#top'", "visible ASCII"]),
    ({"path": "/\r\nHost: me"}, ["visible ASCII"]),
    ({"path": "/grün"}, ["'/grün'", "visible ASCII"]),
    (
        {"connections": 2, "requests": REQUESTS_LIMIT},
        ["2 connections", f"{REQUESTS_LIMIT} requests", "fewer"],
    ),
    ({"requests": REQUESTS_LIMIT}, ["100 connections", "fewer"]),
]


@pytest.mark.parametrize(("settings", "told"), BAD, ids=lambda x: str(x)[:60])
def test_bad_setting_is_refused_with_its_value_and_the_remedy(settings, told):
    with pytest.raises(ValueError, match=r".") as caught:
        LoadSettings(**settings)
    for word in told:
        assert word in str(caught.value)


def test_unknown_setting_is_no_setting():
    with pytest.raises(TypeError, match="colour"):
        LoadSettings(colour="red")


def test_what_was_asked_for_stays_as_it_was_asked():
    settings = LoadSettings()
    assert {name for name, value in asdict(settings).items() if value is not None} == {
        "plan",
        "timeout_s",
    }
    with pytest.raises(FrozenInstanceError):
        settings.plan = "touch"


@pytest.mark.parametrize(
    ("asked", "resolved"),
    [
        ({}, {"connections": 100, "at_once": 8, "requests": 1, "path": "/"}),
        ({"connections": 3}, {"connections": 3, "at_once": 3, "requests": 1}),
        ({"connections": 3, "at_once": 5}, {"connections": 3, "at_once": 5}),
        (
            {"duration_s": 1.5},
            {"connections": CONNECTIONS_LIMIT, "requests": REQUESTS_LIMIT},
        ),
        ({"duration_s": 1.5, "requests": 2}, {"requests": 2, "duration_s": 1.5}),
        (TOUCH, {"connections": 100, "pause_ms": 5.0, "hold_ms": 0.0, "path": None}),
        (TOUCH | {"pause_ms": 0}, {"pause_ms": 0, "requests": None, "at_once": None}),
    ],
    ids=str,
)
def test_defaults_are_the_plans(asked, resolved):
    full = asdict(LoadSettings(**asked).resolved())
    assert {name: full[name] for name in resolved} == resolved
    assert LoadSettings(**full) == LoadSettings(**full).resolved()


@pytest.mark.parametrize(
    ("asked", "rows", "open_at_once"),
    [
        ({"connections": 7, "requests": 3}, (7, 21), 7),
        ({"connections": 50, "at_once": 2}, (50, 50), 2),
        ({"duration_s": 1}, (CONNECTIONS_LIMIT, REQUESTS_LIMIT), 8),
        (TOUCH | {"connections": 9}, (9, 0), 9),
    ],
    ids=str,
)
def test_rows_and_descriptors_are_known_before_the_load(asked, rows, open_at_once):
    settings = LoadSettings(**asked)
    assert settings.rows() == rows
    assert settings.descriptors() == open_at_once


def test_every_default_is_a_setting_and_every_plan_is_found():
    for plan in PLANS:
        assert plan.defaults.keys() <= asdict(LoadSettings()).keys()
        assert find(plan.name) is plan
        assert LoadSettings(plan=plan.name, **plan.defaults)
    assert ENDLESS in asdict(LoadSettings())


def test_every_outcome_has_its_meaning():
    assert list(MEANINGS) == list(Outcome)
    assert len(set(MEANINGS.values())) == len(Outcome)


def test_rows_can_be_written_as_records():
    for dtype in (REQUEST, CONNECTION):
        assert packer(dtype).size <= dtype.itemsize
