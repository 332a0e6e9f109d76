import json
import math
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.study.report import load_figures, write_order
from netlab.study.stats import (
    LATENCIES,
    binomial_band,
    bootstrap_interval,
    jain,
    latency_figures,
    on_time_percent,
    percentiles,
    ratio_interval,
    schedule_verdict,
)

quick = settings(max_examples=200, deadline=None, derandomize=True)
shares = st.lists(st.integers(0, 10**6), min_size=1, max_size=64).filter(any)
latencies = st.lists(st.integers(0, 10**10), min_size=1, max_size=300)
few = settings(max_examples=40, deadline=None, derandomize=True)  # each draws 9,999
repeats = st.lists(st.integers(1, 10**6), min_size=1, max_size=12)


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


def test_jain_by_capacity_calls_the_right_split_fair_and_equal_shares_unfair():
    assert jain([20, 80], capacity=[1, 4]) == pytest.approx(1)
    assert jain([49, 51], capacity=[1, 4]) < 0.75 < jain([49, 51])


@quick
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=64), st.integers(1, 1000))
def test_jain_is_one_where_shares_are_as_the_capacities(capacity, factor):
    assert jain([one * factor for one in capacity], capacity) == pytest.approx(1)
    assert jain(capacity, [factor] * len(capacity)) == pytest.approx(jain(capacity))


@pytest.mark.parametrize("capacity", [[1], [1, 2, 3], [1, 0], [1, -1], [1, math.nan]])
def test_jain_refuses_a_capacity_that_is_none(capacity):
    with pytest.raises(ValueError, match=r"capacity=\[1.*each of 2 shares"):
        jain([20, 80], capacity)


def test_percentiles_are_those_asked_for_and_observed():
    assert percentiles([40, 10, 30, 20], [100, 25, 26, 0]) == [40, 10, 20, 10]
    assert all(map(math.isnan, percentiles([], [50, 99])))


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


@pytest.mark.parametrize(
    ("sent", "overdue", "waited", "percent", "told"),
    [
        (1000, 0, 0, 100.0, ["kept"]),
        (1000, 6, 4, 99.0, ["kept"]),
        (1000, 11, 0, 98.9, ["not kept", "11 were noticed late", "the machine"]),
        (1000, 0, 900, 10.0, ["not kept", "900 waited", "the server"]),
        (1000, 20, 30, 95.0, ["20 were noticed late", "30 waited"]),
        (1000, 6, 6, 98.8, ["6 were noticed late", "6 waited"]),
        (0, 0, 0, None, ["nothing was sent"]),
    ],
)
def test_a_schedule_that_was_not_kept_says_who_did_not(
    sent, overdue, waited, percent, told
):
    late = {"overdue": overdue, "waited": waited}
    assert on_time_percent(sent, late) == percent
    verdict = schedule_verdict(sent, late)
    assert all(word in verdict for word in told)
    assert (verdict == "kept") == (percent is not None and percent >= 99)


def test_percentiles_of_nothing():
    found = latency_figures(np.array([], dtype="int64"))
    assert found == dict.fromkeys(LATENCIES)


def test_band_holds_what_chance_does_and_no_more():
    low, high = binomial_band(400, 1 / 4, 0.9999)
    assert low < 100 - 3 * 8.66 < 100 + 3 * 8.66 < high
    assert binomial_band(400, 1 / 4, 0.5) == (94, 106)


# --- intervals


def test_interval_of_many_is_near_what_theory_says():
    values = np.random.default_rng(3).normal(50, 10, 400)
    low, high = bootstrap_interval(values, "mean")
    middle, half = values.mean(), 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=0.1)
    wide = bootstrap_interval(values, "mean", confidence=0.999)
    assert wide[0] < low < high < wide[1]


def test_interval_holds_the_median_about_as_often_as_it_says():
    draw = np.random.default_rng(5)
    ends = [bootstrap_interval(draw.lognormal(size=10)) for _ in range(200)]
    assert 0.88 <= np.mean([low <= 1 <= high for low, high in ends]) <= 0.99


@few
@given(repeats, st.sampled_from(["median", "mean"]))
def test_interval_lies_among_the_values_and_knows_no_unit(values, statistic):
    low, high = bootstrap_interval(values, statistic)
    assert min(values) <= low <= high <= max(values)
    doubled = bootstrap_interval([2 * value for value in values], statistic)
    assert doubled == (2 * low, 2 * high)
    assert bootstrap_interval(values, statistic) == (low, high)


@pytest.mark.parametrize(
    ("values", "interval"),
    [([7], (7, 7)), ([9, 4], (4, 9)), ([5, 5, 5, 5], (5, 5)), ([0.1] * 3, (0.1, 0.1))],
)
def test_interval_of_what_cannot_be_drawn(values, interval):
    assert bootstrap_interval(values) == interval
    assert bootstrap_interval(values, "mean") == interval


def test_interval_of_a_median_is_not_moved_by_one_bad_run():
    quiet = [10, 11, 10, 12, 11, 10, 11, 12, 10, 11]
    assert bootstrap_interval([*quiet, 900])[1] <= 12
    assert bootstrap_interval([*quiet, 900], "mean")[1] > 100


def test_ratio_is_of_the_medians():
    above, below = [20, 21, 22, 19, 20, 300], [10, 10, 10, 10, 10, 10]
    low, high = ratio_interval(above, below)
    assert 1.9 <= low <= 2.05 <= high
    assert ratio_interval(below, below) == (1, 1)
    assert ratio_interval([3, 3, 3], [2, 2, 2]) == (1.5, 1.5)


@few
@given(repeats, repeats)
def test_ratio_lies_among_the_ratios(above, below):
    low, high = ratio_interval(above, below)
    assert min(above) / max(below) <= low <= high <= max(above) / min(below)


def test_ratio_of_few_is_their_range():
    assert ratio_interval([10, 30], [2, 5, 4, 4]) == (2, 15)
    assert ratio_interval([10, 30, 20, 20], [2, 5]) == (2, 15)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"values": []}, "values="),
        ({"values": [[1, 2], [3, 4]]}, "values="),
        ({"values": [1, math.nan, 2]}, "values has nan"),
        ({"values": [1, math.inf]}, "values has inf"),
        ({"values": [1, 2], "statistic": "mode"}, "'mode': there are median, mean"),
        ({"values": [1, 2], "confidence": 95}, "confidence=95: give a share"),
    ],
    ids=str,
)
def test_interval_refuses_what_is_no_sample(given, told):
    with pytest.raises(ValueError, match=told):
        bootstrap_interval(**given)


@pytest.mark.parametrize("below", [[1, 0, 2], [4, -1, 4]])
def test_ratio_refuses_to_divide_by_nothing(below):
    with pytest.raises(ValueError, match=r"below has .* above 0"):
        ratio_interval([1, 2, 3], below)


# --- what the report makes of them


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
    assert found["load_cpu_us_per_request"] is found["late_sends"] is None
    json.dumps(found)


def test_late_sends_are_told_apart_by_who_was_late():
    from netlab.load.plans import CONNECTION, LATE_NS, REQUEST, LoadSettings
    from netlab.load.result import LoadResult

    settings = LoadSettings(plan="open", rate_per_s=1, duration_s=4)
    asked = np.zeros(4, REQUEST)
    asked["late_ns"] = [0, LATE_NS, LATE_NS + 1, 9 * LATE_NS]
    asked["latency_ns"] = 10 * LATE_NS
    asked["overdue_ns"] = [0, LATE_NS, LATE_NS + 1, LATE_NS]
    made = np.zeros(0, CONNECTION)
    got = LoadResult(settings, settings.resolved(), made, asked, 0, 8_000, True)
    assert got.late() == {"overdue": 1, "waited": 1}
    found = load_figures(got)
    assert found["on_time_percent"] == 50.0
    assert found["load_cpu_us_per_request"] == 2.0
    assert found["settings"]["compiled"] is True
    json.dumps(found)
