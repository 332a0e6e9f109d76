"""One thread's life: what the studies find, what is drawn of it, and what it is called.

The tables that are drawn here are made up; of measured ones only relations are
asserted, as the machine may be busy.
"""

import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from netlab.server import engines
from netlab.show import lives, lives_tables
from netlab.study import accounts
from netlab.study import lives as study
from netlab.study.accounts import CASES
from netlab.study.lives import ALONE, BESIDE, SPINNER, WORKER
from netlab.watch import tracefs
from tests.bounded import left_behind, linux

REASON = tracefs.available()
compiled = pytest.mark.skipif(
    engines.find("compiled").missing() is not None, reason="there is no Numba"
)
traced = pytest.mark.skipif(REASON is not None, reason=str(REASON))
MS = 1_000_000
COLUMNS = ["company", "thread", "what", "begin_ns", "end_ns", "cpu"]


def lane(company, thread, *stretches, start_ns=7_000_000_000):
    """The rows of a lane: states with their milliseconds, one after the other."""
    rows, at_ns = [], start_ns
    for what, long_ms in stretches:
        rows.append((company, thread, what, at_ns, at_ns + long_ms * MS, 1))
        at_ns += long_ms * MS
    return rows


TAKEN = (
    *(("asleep", 1), ("runnable", 2), ("running", 5), ("runnable", 4), ("running", 3)),
    ("asleep", 5),
)
LIFE = pd.DataFrame(
    [
        *lane(ALONE, WORKER, ("asleep", 2), ("running", 8), ("asleep", 10), start_ns=5),
        *lane(BESIDE, WORKER, *TAKEN),
        *lane(BESIDE, SPINNER, ("running", 3), ("runnable", 5), ("running", 12)),
    ],
    columns=COLUMNS,
)
RUNS = pd.DataFrame(
    [
        (case, repeat, 0, 20 * (case == "b"), 4 + repeat, 30 + repeat, 60, 120)
        for case in ("a, too", "b")
        for repeat in range(3)
    ],
    columns=[
        *("case", "repeat", "requests", "voluntary", "involuntary", "ran_ms"),
        *("waited_ms", "lasted_ms"),
    ],
)


def texts(axes):
    return [text.get_text() for text in axes.texts]


# --- what is drawn


def test_a_life_is_counted_where_its_stretches_meet():
    table = lives_tables.one_life_table(LIFE)
    assert table["woken"].tolist() == [1, 1, 0]
    assert table["voluntary"].tolist() == [1, 1, 0]
    assert table["involuntary"].tolist() == [0, 1, 1]
    assert table["ran_ms"].tolist() == [8, 8, 15]
    assert table["waited_ms"].tolist() == [0, 6, 5]
    assert table["asleep_ms"].tolist() == [12, 6, 0]


def test_each_scene_begins_at_its_first_waking():
    spans = lives_tables.stretches(LIFE)
    assert spans.groupby("worker")["from_us"].min().tolist() == [-2000, -1000, -1000]
    moments = lives_tables.moments(LIFE)
    assert moments.query("what == 'woken'")["at_us"].tolist() == [0, 0]
    assert moments.query("what == 'involuntary'")["at_us"].tolist() == [7000, 2000]


def test_every_stretch_is_drawn_in_its_lane_and_every_moment_marked():
    axes = lives.one_life(LIFE)
    forms = [one for one in axes.collections if isinstance(one, PolyCollection)]
    assert [len(one.get_paths()) for one in forms] == [4, 3, 5]
    marks = {line.get_marker(): len(line.get_xdata()) for line in axes.lines}
    assert marks == {"v": 2, "o": 2, "X": 2}
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["worker,\nalone", "worker,\nbeside a spinner", "the spinner"]
    assert texts(axes)[1:] == ["1 + 0", "1 + 1", "0 + 1"]


def test_a_life_has_room_for_another_one():
    longer = LIFE.copy()
    longer.loc[longer.index[-1], "end_ns"] += 50 * MS
    assert lives.one_life(LIFE).get_xlim()[1] < 25_000
    assert lives.one_life(LIFE, room=longer).get_xlim()[1] > 60_000


def test_the_words_of_a_life_have_its_numbers():
    alt = lives_tables.one_life_alt(LIFE)
    assert "The life of 3 threads" in alt
    assert "the worker, beside a spinner: ran 8.0 ms, waited 6.0 ms" in alt
    assert "1 voluntary and 1 involuntary switches" in alt


@pytest.mark.parametrize(
    "make", [lives.one_life, lives_tables.one_life_alt, lives_tables.one_life_table]
)
def test_what_is_no_life_is_refused_with_the_remedy(make):
    with pytest.raises(ValueError, match="there are no stretches: give the table"):
        make(LIFE.head(0))
    with pytest.raises(ValueError, match="lack the column cpu"):
        make(LIFE.drop(columns="cpu"))
    with pytest.raises(ValueError, match="a scene has nobody who was woken"):
        make(LIFE.assign(what="running"))


def test_bars_are_shares_of_the_time_and_medians_of_the_repeats():
    table = lives_tables.switches_table(RUNS)
    assert table["ran_percent"].round(1).tolist() == [25.8, 25.8]
    assert table["waited_percent"].tolist() == [50, 50]
    assert table["asleep_percent"].round(1).tolist() == [24.2, 24.2]
    assert table[["voluntary", "involuntary"]].to_numpy().tolist() == [[0, 5], [20, 5]]
    axes = lives.switches(RUNS)
    bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
    assert [round(bar.get_width(), 1) for bar in bars] == [25.8, 50.0, 24.2] * 2
    assert texts(axes)[1:] == ["0 + 5", "20 + 5"]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["a,\ntoo", "b"]


def test_a_state_that_took_no_time_is_not_drawn():
    idle = RUNS.assign(ran_ms=0, waited_ms=0)
    assert len(lives.switches(idle).patches) == 2


def test_a_recording_is_outlined_told_and_tabled_where_both_have_the_case():
    other = RUNS.query("case == 'b'").assign(ran_ms=90, waited_ms=0)
    axes = lives.switches(RUNS, recorded=other)
    hollow = [bar for bar in axes.patches if not bar.get_fill()]
    hollow = hollow or [bar for bar in axes.patches if bar.get_facecolor()[3] == 0]
    assert [(bar.get_width(), bar.get_x()) for bar in hollow] == [(75, 0)]
    told = lives_tables.switches_alt(RUNS, other)
    assert told.endswith("Outlined, as recorded: b: ran 75 %, waited 0 %.")
    assert lives_tables.switches_table(RUNS, other)["from"].tolist() == [
        *("here", "here", "recorded"),
    ]


def test_no_runs_are_refused():
    with pytest.raises(ValueError, match="there are no runs: give the table of a"):
        lives.switches(RUNS.head(0))


def test_both_draw_on_given_axes():
    for draw, table in ((lives.one_life, LIFE), (lives.switches, RUNS)):
        axes = Figure().add_subplot()
        assert draw(table, axes=axes) is axes


# --- what is measured


def test_the_clearest_has_the_fewest_switches():
    shots = [
        study.Shot({"voluntary": slept, "involuntary": taken}, LIFE)
        for slept, taken in ((4, 0), (3, 5), (3, 2), (3, 2))
    ]
    assert study.clearest(shots) is shots[2]
    with pytest.raises(RuntimeError, match="no trace is complete: the machine is too"):
        study.clearest([])


@pytest.mark.parametrize("run", [study.one_life, accounts.switches])
@pytest.mark.parametrize("repeats", [0, True, 1.5])
def test_repeats_are_a_whole_number(run, repeats):
    with pytest.raises(ValueError, match=f"repeats={repeats!r}"):
        run(repeats=repeats)


@linux
@compiled
def test_an_account_is_read_in_each_case():
    before = left_behind()
    found = accounts.switches(repeats=1, progress=False)
    assert left_behind() == before
    table = found.tables["switches"].set_index("case")
    assert tuple(table.index) == CASES
    asleep, asked, apart, together = (table.loc[case] for case in CASES)
    assert asleep["ran_ms"] < 0.1 * asleep["lasted_ms"]
    assert 15 <= asked["voluntary"] <= 30
    for busy in (apart, together):
        awake_ms = busy["ran_ms"] + busy["waited_ms"]
        assert awake_ms > 0.8 * busy["lasted_ms"]
        assert busy["voluntary"] <= 2
    assert together["waited_ms"] > 0.2 * together["lasted_ms"]


@linux
@compiled
@traced
def test_a_life_is_traced_alone_and_beside_a_spinner():
    before = left_behind()
    found = study.one_life(repeats=2, progress=False)
    assert left_behind() == before
    table = lives_tables.one_life_table(found.tables["life"])
    assert table["company"].tolist() == [ALONE, BESIDE, BESIDE]
    assert table["thread"].tolist() == [WORKER, WORKER, SPINNER]
    assert (table["woken"][:2] >= study.REQUESTS).all()
    assert table["waited_ms"][2] > 0
    traces = found.tables["traces"]
    assert set(traces["company"]) == {ALONE, BESIDE}
    assert (traces["voluntary"] >= study.REQUESTS).all()
    assert lives.one_life(found.tables["life"])


@linux
@compiled
def test_with_one_cpu_there_is_no_other_to_spin_on(monkeypatch):
    monkeypatch.setattr(accounts, "cpus_allowed", lambda: ())
    with pytest.raises(ValueError, match="this process may use CPU"):
        accounts.switches(repeats=1, progress=False)
