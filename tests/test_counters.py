"""The list of counters and what is made of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.counters import (
    COUNTERS,
    DTYPE,
    NAMES,
    SUMMED,
    USAGE,
    State,
    Tally,
    new_rows,
    open_connections,
    table,
    total,
)

WAYS = ("accepted", "received", "given", "closed")


def test_the_list_makes_the_dtype_and_the_sums():
    assert DTYPE.names == NAMES == tuple(counter.name for counter in COUNTERS)
    assert {DTYPE[name] for name in NAMES} == {np.dtype("int64")}
    assert set(NAMES) - set(SUMMED) == {"worker", "state", "tid", "cpu"}
    assert USAGE == ("wakeups", "preemptions", "cpu_ns")


def test_every_counter_is_explained_once():
    assert {counter.kind for counter in COUNTERS} == {"identity", "count", "usage"}
    for words in zip(*COUNTERS, strict=True):
        assert all(words)
    assert len(set(NAMES)) == len(COUNTERS)
    assert all(counter.meaning for counter in COUNTERS)


def test_a_tally_counts_for_itself_until_it_publishes():
    rows = new_rows(2)
    tally = Tally(rows, 1)
    tally.accepted += 3
    tally.turns += 5
    assert rows.copy()["worker"].tolist() == [0, 1]
    assert rows.copy()["accepted"].tolist() == [0, 0]
    tally.publish()
    assert rows.copy()["accepted"].tolist() == [0, 3]
    assert rows.copy()["turns"].tolist() == [0, 5]
    assert repr(tally) == "Tally(worker 1: 3 accepts, 5 turns)"


def test_every_counter_reaches_its_own_column():
    rows = new_rows(1)
    tally = Tally(rows, 0)
    for value, name in enumerate(NAMES):
        setattr(tally, name, value)
    tally.publish()
    assert rows.copy()[0].tolist() == tuple(range(len(NAMES)))


def test_a_counter_that_is_not_in_the_list_cannot_be_counted():
    tally = Tally(new_rows(1), 0)
    with pytest.raises(AttributeError):
        tally.acceptd = 1


@settings(deadline=None)  # the first one imports pandas
@given(st.lists(st.tuples(*[st.integers(0, 1 << 40)] * 4), min_size=1, max_size=5))
def test_what_came_in_went_out_or_is_open(ways):
    rows = np.zeros(len(ways), DTYPE)
    for name, values in zip(WAYS, zip(*ways, strict=True), strict=True):
        rows[name] = values
    came = rows["accepted"] + rows["received"]
    assert (came == rows["given"] + rows["closed"] + open_connections(rows)).all()
    assert (table(rows)["open"] == open_connections(rows)).all()


def test_total_sums_what_can_be_summed():
    rows = np.zeros(3, DTYPE)
    rows["accepted"], rows["tid"], rows["wakeups"] = (1, 2, 3), 77, 4
    sums = total(rows)
    assert tuple(sums) == SUMMED
    assert (sums["accepted"], sums["wakeups"], sums["closed"]) == (6, 12, 0)
    assert {type(value) for value in sums.values()} == {int}


def test_the_table_has_a_row_per_worker_and_names_the_states():
    rows = np.zeros(4, DTYPE)
    rows["state"] = list(State)
    frame = table(rows)
    assert frame["state"].tolist() == ["starting", "ready", "ended", "failed"]
    assert set(frame.columns) == {*NAMES, "open"}
    assert len(frame) == 4


def test_counting_needs_no_pandas(fresh):
    program = """
        import sys
        from netlab.counters import Tally, new_rows, total
        rows = new_rows(2)
        Tally(rows, 0).publish()
        print(total(rows.copy())["accepted"], "pandas" in sys.modules)
    """
    assert fresh(program) == ["0", "False"]
