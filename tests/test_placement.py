"""The rules that place a connection: who is chosen, interpreted and compiled alike."""

import ctypes

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.kernel import callback, native
from netlab.server import engines, placement
from netlab.server.compiled_arrays import compiled_place
from netlab.server.placement import MEMORY_WORDS, RANGE, SEED
from netlab.study.stats import binomial_band

RULES = (placement.round_robin, placement.least, placement.two_choices)
DRAWS = 4000
COVERAGE = 0.9999
OPEN_NOW = st.lists(st.integers(0, 1000), min_size=1, max_size=40)
SEEDS = st.integers(0, RANGE - 1)
relaxed = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def called_at_its_address(rule):
    """The compiled rule, as the loop calls it: with addresses."""
    made = compiled_place(rule.__name__, rule)
    call = callback.call_at  # by number, where nothing is compiled
    if native.COMPILED:
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)
        call = lambda address, *given: kind(address)(*given)  # noqa: E731 - two ways

    def place(acceptor, open_now, memory, _keeps_alive=made):
        where = open_now.ctypes.data, len(open_now), memory.ctypes.data
        return call(made.address, acceptor, *where)

    return place


@pytest.fixture(scope="module", params=["interpreted", "compiled"])
def rules(request):
    """The rules by name, as either engine calls them."""
    if request.param == "interpreted":
        return {rule.__name__: rule for rule in RULES}
    if reason := engines.find("compiled").missing():
        pytest.skip(reason)
    return {rule.__name__: called_at_its_address(rule) for rule in RULES}


def memory_of(seed):
    memory = np.zeros(MEMORY_WORDS, "int64")
    memory[SEED] = seed
    return memory


def draws(rule, open_now, seed, count, acceptor=0):
    """Owners of `count` connections, and the memory that is left; nothing closes."""
    open_now, memory = np.array(open_now, "int64"), memory_of(seed)
    return [int(rule(acceptor, open_now, memory)) for _ in range(count)], memory


# --- each rule


def test_the_acceptor_keeps():
    open_now = np.array([9, 9, 9])
    assert [placement.keep(n, open_now, memory_of(1)) for n in range(3)] == [0, 1, 2]


@relaxed
@given(open_now=OPEN_NOW, seed=SEEDS, rounds=st.integers(1, 4))
def test_round_robin_covers_all_in_turn(open_now, seed, rounds, rules):
    workers = len(open_now)
    owners, _ = draws(rules["round_robin"], open_now, seed, rounds * workers)
    assert owners == list(range(workers)) * rounds


@relaxed
@given(open_now=OPEN_NOW, seed=SEEDS)
def test_least_is_the_first_of_the_fewest(open_now, seed, rules):
    owners, memory = draws(rules["least"], open_now, seed, 2)
    assert owners == [int(np.argmin(open_now))] * 2
    assert (memory == memory_of(seed)).all()


@relaxed
@given(open_now=OPEN_NOW, seed=SEEDS)
def test_two_choices_takes_the_emptier_of_two(open_now, seed, rules):
    (owner,), after = draws(rules["two_choices"], open_now, seed, 1)
    even = [0] * len(open_now)  # of equals it takes the first that it drew
    (one,), _ = draws(rules["two_choices"], even, seed, 1)
    assert open_now[owner] <= open_now[one]
    tilted = [0] * len(open_now)
    tilted[one] = 1  # now the other, if there is one
    (other,), _ = draws(rules["two_choices"], tilted, seed, 1)
    assert (other != one) or len(open_now) == 1
    assert owner == (other if open_now[other] < open_now[one] else one)
    assert 0 <= after[SEED] < RANGE


@relaxed
@given(seed=SEEDS, acceptor=st.integers(0, 3))
def test_one_worker_only_gets_all(seed, acceptor, rules):
    for rule in rules.values():
        assert draws(rule, [7], seed, 5, acceptor)[0] == [0] * 5


@relaxed
@given(open_now=OPEN_NOW, seed=SEEDS, acceptor=st.integers(0, 39))
def test_rules_only_look_at_what_is_open(open_now, seed, acceptor, rules):
    for rule in rules.values():
        given_to, memory = np.array(open_now, "int64"), memory_of(seed)
        owner = rule(acceptor, given_to, memory)
        assert 0 <= owner < len(open_now)
        assert given_to.tolist() == open_now


# --- chance


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_two_choices_draws_evenly(workers, rules):
    owners, _ = draws(rules["two_choices"], [0] * workers, 12345, DRAWS)
    low, high = binomial_band(DRAWS, 1 / workers, COVERAGE)
    counts = np.bincount(owners, minlength=workers)
    assert ((low <= counts) & (counts <= high)).all(), counts


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_second_choice_is_drawn_evenly_of_the_others(workers, rules):
    busy = [1, *[0] * (workers - 1)]  # 0 is taken only if both are busy: never
    owners, _ = draws(rules["two_choices"], busy, 12345, DRAWS)
    low, high = binomial_band(DRAWS, 1 / (workers - 1), COVERAGE)
    counts = np.bincount(owners, minlength=workers)
    assert counts[0] == 0
    assert ((low <= counts[1:]) & (counts[1:] <= high)).all(), counts


def test_fullest_worker_is_never_drawn_but_the_emptiest_often(rules):
    owners, _ = draws(rules["two_choices"], [3, 2, 1, 0], 99, DRAWS)
    share = np.bincount(owners, minlength=4) / DRAWS
    # Of the 6 pairs, 3, 2, 1 and 0 have the emptiest, ..., the fullest as the better.
    for worker, pairs in enumerate((0, 1, 2, 3)):
        low, high = binomial_band(DRAWS, pairs / 6, COVERAGE) if pairs else (0, 0)
        assert low <= share[worker] * DRAWS <= high, share


def test_other_seeds_draw_otherwise(rules):
    drawn = {
        tuple(draws(rules["two_choices"], [0] * 8, seed, 20)[0])
        for seed in placement.seeds(place_seed=1, workers=50)
    }
    assert len(drawn) == 50


def test_seeds_differ_by_acceptor_and_place_seed_and_come_again():
    first, second = placement.seeds(1, 64), placement.seeds(2, 64)
    assert len({*first.tolist(), *second.tolist()}) == 128
    assert (placement.seeds(1, 64) == first).all()
    assert ((first >= 0) & (first < RANGE)).all()


# --- what they are told


@given(
    placed=st.lists(
        st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=3, max_size=3
    ),
    closed=st.lists(st.integers(0, 50), min_size=3, max_size=3),
)
def test_open_is_what_all_gave_less_what_it_closed(placed, closed):
    found = placement.open_connections(np.array(placed), np.array(closed))
    for worker in range(3):
        given_to = sum(row[worker] for row in placed)
        assert found[worker] == given_to - closed[worker]


@relaxed
@given(open_now=OPEN_NOW, seed=SEEDS)
def test_both_engines_choose_alike(open_now, seed, rules):
    for rule in RULES:
        one = draws(rule, open_now, seed, 12)
        another = draws(rules[rule.__name__], open_now, seed, 12)
        assert one[0] == another[0]
        assert (one[1] == another[1]).all()
