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
    jain,
    latency_figures,
    on_time_percent,
    schedule_verdict,
)

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
