"""What a load draws before it begins: the same from the same seed."""

import numpy as np
import pytest

from netlab.load.plans import LoadSettings
from netlab.load.schedule import pattern, schedule


def test_constant_arrivals_are_evenly_apart():
    due = schedule(1000.0, 2.0, "constant", 1)
    assert due.dtype == np.int64
    assert len(due) == 2000
    assert due[0] == 0
    assert set(np.diff(due).tolist()) == {1_000_000}


def test_constant_arrivals_do_not_drift():
    due = schedule(3000.0, 10.0, "constant", 1)
    assert len(due) == 30_000
    assert abs(due[-1] - 29_999 * 1e9 / 3000) < 2


def test_poisson_arrivals_are_those_of_independent_users():
    due = schedule(2000.0, 10.0, "poisson", 5)
    gaps = np.diff(due)
    assert (gaps >= 0).all()
    assert 0 <= due[0] < due[-1] < 10e9
    assert abs(len(due) - 20_000) < 6 * 20_000**0.5
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)  # exponential
    assert (gaps > gaps.mean()).mean() == pytest.approx(np.exp(-1), abs=0.02)


def test_same_seed_same_schedule_and_another_seed_another():
    settings = {"plan": "open", "arrivals": "poisson", "rate_per_s": 500}
    first, again, other = (
        LoadSettings(**settings, seed=seed).schedule() for seed in (7, 7, 8)
    )
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert LoadSettings(**settings).schedule().tolist() == (
        LoadSettings(**settings, seed=1).schedule().tolist()
    )


def test_a_schedule_has_room_for_all_its_rows():
    settings = LoadSettings(plan="open", arrivals="poisson", seed=3, at_once=10)
    due = settings.schedule()
    assert settings.rows() == (len(due) + 10, len(due))


def test_a_slow_rate_may_have_nothing_due():
    assert len(schedule(0.001, 1.0, "poisson", 1)) == 0
    assert len(schedule(0.001, 1.0, "constant", 1)) == 1


def test_pattern_has_its_share_and_its_seed():
    first, again, other = (pattern(10_000, 0.25, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert abs(int(first.sum()) - 2500) < 6 * (10_000 * 0.25 * 0.75) ** 0.5


@pytest.mark.parametrize(("share", "found"), [(None, {0}), (0, {0}), (1, {1})])
def test_pattern_of_none_and_of_all(share, found):
    assert set(pattern(50, share, 1).tolist()) == found


def test_pattern_of_a_load_covers_its_requests():
    spin = {"spin_us": 5, "spin_share": 0.5, "seed": 4}
    assert len(LoadSettings(connections=7, requests=3, **spin).pattern()) == 21
    assert len(LoadSettings(plan="open", duration_s=1, **spin).pattern()) == 1000
    assert LoadSettings(plan="hold").pattern().tolist() == [0]
