"""What a queue's rule says of an order: predictions that can fail."""

import random

import numpy as np
import pytest

from netlab.server.strategy import QUEUES
from netlab.study.orders import (
    PREDICTORS,
    as_expected,
    kept_percent,
    looks_like,
    order,
)
from netlab.study.stats import binomial_band
from tests.bounded import linux

FOUR = [2, 0, 3, 1]
ROUND = [2, 0, 3, 1] * 25
FIRST = [2] * 100
LAST = [3] * 100
IN_TURN = [0, 2] * 50
SIXTEEN = [worker for worker in FOUR * 2 for _ in range(16)]
RANDOM = random.Random(7).choices(range(4), k=400)


@pytest.mark.parametrize(
    ("rule", "winners", "every"),
    [
        ("to the tail", ROUND, 0),
        ("to the tail", SIXTEEN, 16),
        ("stays", FIRST, 0),
        ("to the head", LAST, 0),
        ("to the head", FIRST, 0),
        ("head, twice", IN_TURN, 0),
        ("a lock", LAST, 0),
        ("one acceptor", [0] * 100, 0),
    ],
)
def test_an_order_that_keeps_its_rule(rule, winners, every):
    kept = kept_percent(rule, winners, FOUR, every)
    assert kept == 100
    assert as_expected(rule, kept, winners, FOUR)


@pytest.mark.parametrize(
    ("rule", "winners"),
    [
        ("to the tail", FIRST),
        ("to the tail", RANDOM),
        ("stays", LAST),
        ("stays", ROUND),
        ("stays", RANDOM),
        ("to the head", ROUND),
        ("to the head", RANDOM),
        ("head, twice", ROUND),
        ("one acceptor", FIRST),
        ("a lock", ROUND),
    ],
)
def test_an_order_that_breaks_it(rule, winners):
    kept = kept_percent(rule, winners, FOUR)
    assert kept < 60
    if rule != "head, twice":  # a mere share is asked of that
        assert not as_expected(rule, kept, winners, FOUR)


def test_two_workers_have_most_of_what_two_are_woken_for():
    assert as_expected("head, twice", 50, [0, 2, 2] * 30 + [1] * 10, FOUR)
    assert not as_expected("head, twice", 0, ROUND, FOUR)


def test_a_single_slip_costs_its_accepts_alone():
    winners = ROUND.copy()
    winners[50], winners[51] = winners[51], winners[50]
    assert 95 <= kept_percent("to the tail", winners, FOUR) < 100


def test_a_race_and_a_hash_predict_nothing():
    assert kept_percent("all wake", RANDOM, FOUR) is None
    assert kept_percent("hash", RANDOM, FOUR) is None
    assert as_expected("all wake", None, RANDOM, FOUR)
    assert as_expected("hash", None, RANDOM, FOUR)


def test_a_race_without_a_race_is_told():
    assert not as_expected("all wake", None, FIRST, FOUR)
    assert not as_expected("all wake", None, ROUND, FOUR)


def test_a_hash_beyond_chance_is_told():
    assert not as_expected("hash", None, [0] * 160 + RANDOM[:240], FOUR)


def test_the_band_is_the_binomials():
    low, high = binomial_band(400, 0.25, 0.9999)
    assert (low, high) == (68, 135)
    draws = np.random.default_rng(1).binomial(400, 0.25, 100_000)
    outside = ((draws < low) | (draws > high)).mean()
    assert 0 < outside < 2e-4


def test_looks():
    assert looks_like(ROUND, FOUR) == "round robin"
    assert looks_like(LAST, FOUR) == "one takes all"
    assert looks_like(RANDOM, FOUR) == "no order"


def test_every_queue_is_predicted_or_has_no_order():
    assert set(QUEUES) == {*PREDICTORS, "all wake", "hash", "steered"}


@linux
def test_the_study_tells_the_order_of_each_registration():
    for _ in range(3):  # a machine may be busy: three tries
        found = order(names=["exclusive", "level"], connections=60, progress=False)
        classes = found.tables["classes"].set_index(["strategy", "registered"])
        if classes["as_expected"].all():
            break
    assert classes["as_expected"].all()
    assert classes["kept_percent"].loc["exclusive"].min() >= 95
    for registered, text in classes["shares"].loc["exclusive"].items():
        shares = list(map(int, text.split("/")))
        assert shares.index(max(shares)) == int(registered[0])
    drawn = found.tables["orders"]
    assert set(drawn["registered"][drawn["strategy"] == "exclusive"]) == {"2, 0, 3, 1"}
    assert len(found.tables["accepts"]) == 240
