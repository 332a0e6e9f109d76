import math
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.study.report import load_figures, write_order
from netlab.study.stats import LATENCIES, jain, latency_figures

quick = settings(max_examples=200, deadline=None, derandomize=True)
shares = st.lists(st.integers(0, 10**6), min_size=1, max_size=64).filter(any)
latencies = st.lists(st.integers(0, 10**10), min_size=1, max_size=300)


@pytest.mark.parametrize(
    ("counts", "index"),
    [
        ([5], 1),
        ([7, 7, 7, 7], 1),
        ([100, 0, 0, 0], 1 / 4),
        ([50, 50, 0, 0], 1 / 2),
        ([20, 80], 0.735),
        ([49, 51], 0.9996),
    ],
    ids=str,
)
def test_jain(counts, index):
    assert jain(counts) == pytest.approx(index, abs=1e-3)


def test_jain_of_nothing_is_no_number():
    assert math.isnan(jain([0, 0]))
    assert math.isnan(jain([]))


@quick
@given(shares, st.integers(1, 1000))
def test_jain_has_its_bounds_and_no_unit_and_no_order(counts, factor):
    index = jain(counts)
    assert 1 / len(counts) - 1e-9 <= index <= 1 + 1e-9
    assert jain([count * factor for count in counts]) == pytest.approx(index)
    assert jain(sorted(counts)) == pytest.approx(index)


def test_percentiles_of_a_hundred():
    nanoseconds = np.arange(1, 101) * 1000
    found = latency_figures(np.random.default_rng(1).permutation(nanoseconds))
    assert found == {"p50_us": 50, "p90_us": 90, "p99_us": 99, "max_us": 100}


@quick
@given(latencies)
def test_percentiles_were_observed_and_rise(values):
    found = list(latency_figures(np.array(values)).values())
    assert found == sorted(found)
    assert found[-1] == round(max(values) / 1000, 3)
    assert set(found) <= {round(value / 1000, 3) for value in values}


def test_percentiles_of_nothing():
    found = latency_figures(np.array([], dtype="int64"))
    assert found == dict.fromkeys(LATENCIES)


def test_order_is_one_character_a_worker():
    assert write_order([]) == ""
    assert write_order([0, 9, 10, 35, 36, 61]) == "09azAZ"
    alphabet = string.digits + string.ascii_lowercase + string.ascii_uppercase
    assert write_order(list(range(62))) == alphabet


def test_order_with_more_workers_is_numbers():
    assert write_order([3, 62, 0]) == "3 62 0"


def test_rate_counts_from_the_first_start_to_the_last_answer():
    from netlab.load.plans import CONNECTION, REQUEST, LoadSettings
    from netlab.load.result import LoadResult

    asked = np.zeros(4, REQUEST)
    asked["start_ns"] = [7e9, 7.5e9, 8e9, 8.5e9]
    asked["latency_ns"] = [2e9, 1e6, 1e6, 5e8]
    made = np.zeros(2, CONNECTION)
    found = load_figures(LoadResult(LoadSettings(), LoadSettings(), made, asked, 0))
    assert found["requests_per_s"] == 2.0
    assert type(found["requests_per_s"]) is float
    assert found["failures"] == {"open": 2}
    assert found["statuses"] == {"0": 4}
