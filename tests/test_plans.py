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
    short,
)
from netlab.protocol import SPIN_LIMIT_US
from netlab.records import packer

TOUCH = {"plan": "touch"}
OPEN = {"plan": "open"}
BURST = {"plan": "burst"}
SPIN = {"spin_us": 20, "spin_share": 0.5}
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
    (OPEN | {"connections": 5}, ["connections=5", "open", "leave it out"]),
    (OPEN | {"pause_ms": 5}, ["pause_ms=5", "open", "leave it out"]),
    (OPEN | {"rate_per_s": 0}, ["rate_per_s=0", "at least 0.001"]),
    (OPEN | {"rate_per_s": math.inf}, ["rate_per_s=inf", "finite"]),
    (OPEN | {"arrivals": "bursty"}, ["'bursty'", "constant", "poisson"]),
    (OPEN | {"seed": 4}, ["seed=4", "poisson", "spin_share", "leave it out"]),
    (OPEN | {"arrivals": "poisson", "seed": -1}, ["seed=-1", "0 to"]),
    (OPEN | {"duration_s": 70}, ["duration_s=70", "raise timeout_s"]),
    (OPEN | {"timeout_s": 5}, ["duration_s=5.0", "timeout_s=5", "raise"]),
    (OPEN | {"rate_per_s": 2e6}, ["2000000.0 a second", "lower rate_per_s"]),
    (
        OPEN | {"rate_per_s": 3e5, "requests": 1},
        ["300000.0 a second", "lower rate_per_s or duration_s"],
    ),
    ({"rate_per_s": 10.0}, ["rate_per_s=10.0", "closed", "leave it out"]),
    ({"arrivals": "poisson"}, ["'poisson'", "closed", "leave it out"]),
    ({"spin_us": 5}, ["spin_us=5", "spin_share=None", "both"]),
    ({"spin_share": 0.5}, ["spin_us=None", "spin_share=0.5", "both"]),
    (SPIN | {"spin_share": 1.5}, ["spin_share=1.5", "0 to 1"]),
    (SPIN | {"spin_share": -0.1}, ["spin_share=-0.1", "at least 0"]),
    (SPIN | {"spin_us": 0}, ["spin_us=0", f"1 to {SPIN_LIMIT_US}"]),
    (SPIN | {"spin_us": SPIN_LIMIT_US + 1}, [f"1 to {SPIN_LIMIT_US}"]),
    (SPIN | {"spin_us": 1.5}, ["spin_us=1.5", "whole number"]),
    (TOUCH | SPIN, ["spin_us=20", "touch", "leave it out"]),
    (BURST | SPIN, ["spin_us=20", "burst", "leave it out"]),
    (BURST | {"path": "/"}, ["path='/'", "without requests", "leave it out"]),
    (BURST | {"at_once": 4}, ["at_once=4", "burst", "leave it out"]),
    (BURST | {"duration_s": 1}, ["duration_s=1", "burst", "leave it out"]),
    (BURST | {"connections": 1 << 20, "requests": 9}, ["9 requests each", "fewer"]),
    ({"plan": "hold", "requests": 1}, ["requests=1", "hold", "leave it out"]),
    ({"plan": "hold", "pause_ms": 1}, ["pause_ms=1", "hold", "leave it out"]),
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
        (OPEN, {"rate_per_s": 1000.0, "arrivals": "constant", "seed": None}),
        (OPEN, {"duration_s": 5.0, "at_once": 64, "requests": REQUESTS_LIMIT}),
        (OPEN | {"arrivals": "poisson"}, {"seed": 1}),
        (SPIN, {"seed": 1, "spin_us": 20, "spin_share": 0.5}),
        (BURST, {"connections": 100, "hold_ms": 0.0, "requests": None, "path": None}),
        (BURST | {"requests": 2}, {"requests": 2, "path": "/", "seed": None}),
        ({"plan": "hold"}, {"connections": 1000, "hold_ms": 0.0, "path": None}),
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
        (OPEN | {"rate_per_s": 10, "duration_s": 2, "at_once": 3}, (23, 20), 3),
        (BURST | {"connections": 9}, (9, 0), 9),
        (BURST | {"connections": 9, "requests": 2}, (9, 18), 9),
        ({"plan": "hold", "connections": 9}, (9, 0), 9),
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


@pytest.mark.parametrize(
    ("asked", "shorter"),
    [
        ({}, {"connections": 32}),
        ({"connections": 5}, {"connections": 5}),
        ({"connections": 500}, {"connections": 32}),
        ({"duration_s": 3.0}, {"duration_s": 0.2}),
        (OPEN, {"duration_s": 0.2}),
        (OPEN | {"duration_s": 0.1}, {"duration_s": 0.1}),
        ({"plan": "hold"}, {"connections": 32}),
    ],
    ids=str,
)
def test_a_short_load_is_of_the_same_kind(asked, shorter):
    assert short(asked, 32, 0.2) == shorter
    assert LoadSettings(**asked | shorter)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_plans_that_hold_take_a_time_to_hold(plan):
    assert LoadSettings(plan=plan.name).holds == ("hold_ms" in plan.defaults)


def test_every_outcome_has_its_meaning():
    assert list(MEANINGS) == list(Outcome)
    assert len(set(MEANINGS.values())) == len(Outcome)


def test_rows_can_be_written_as_records():
    for dtype in (REQUEST, CONNECTION):
        assert packer(dtype).size <= dtype.itemsize
