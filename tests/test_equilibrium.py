"""Study `equilibrium`, and its figures: who gets the connections of a worker that is
slow for a while, and what became of an idle burst.
"""

import contextlib
import threading

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from netlab.server.server import Server
from netlab.show import afterwards as afterwards_figure
from netlab.show import equilibrium, equilibrium_tables
from netlab.show.palette import ROLES
from netlab.study import afterwards
from netlab.study.equilibrium import PHASES, SLOW, Penalty
from netlab.study.equilibrium import equilibrium as study
from netlab.study.experiment import run
from tests.bounded import linux

QUIET = {"progress": False}


@linux
def test_a_slow_worker_takes_less_from_a_shared_queue_and_as_much_by_hash():
    found = study(5, burst_names=(), phase_s=0.15, **QUIET)
    phases = found.tables["phases"].pivot(
        index=["strategy", "repeat"], columns="phase", values="for_each_other"
    )
    kept = (phases["slow"] / phases["before"]).groupby("strategy").median()
    assert kept["level"] < 0.8 * kept["reuseport"]
    assert found.tables.keys() == {"equilibrium", "phases"}


@linux
def test_the_bins_are_those_of_the_run_in_order_and_add_up_to_its_phases():
    found = study(1, names=["level"], burst_names=(), phase_s=0.2, **QUIET)
    bins, phases = found.tables["equilibrium"], found.tables["phases"]
    assert (np.diff(bins["time_ms"]) == 50).all()
    assert bins["phase"].tolist() == sorted(bins["phase"], key=PHASES.index)
    assert set(bins["phase"]) == set(PHASES) == set(phases["phase"])
    assert bins["time_ms"][bins["phase"] == "slow"].min() == 0
    assert (bins["slow_accepts"] <= bins["accepts"]).all()
    assert 0 <= phases["accepts"].sum() - bins["accepts"].sum() < 1000
    assert bins["accepts"].sum() > 0.6 * phases["accepts"].sum()


@linux
def test_an_idle_burst_is_answered_when_its_top_worker_has_done_its_work():
    found = study(1, names=(), burst_names=["exclusive", "handoff-least"], **QUIET)
    table = found.tables["afterwards"]
    assert found.tables.keys() == {"afterwards"}
    least = table.query("strategy == 'handoff-least'")
    assert (least["top_share_percent"] == 50).all()
    work_s = table["top_share_percent"] / 100 * 12 * afterwards.WORK_MS / 1e3
    assert (table["duration_s"] > 0.98 * work_s).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"names": (), "burst_names": ()}, "names and burst_names are empty"),
        ({"phase_s": 0.05}, "phase_s=0.05"),
    ],
)
def test_what_is_asked_for_must_be_possible(settings, said):
    with pytest.raises(ValueError, match=said):
        study(1, **QUIET, **settings)


@linux
def test_a_penalty_leaves_no_thread_and_a_short_load_is_refused():
    penalty = Penalty(30.0)
    with Server(workers=2) as server, penalty(server):
        assert "penalty" in [thread.name for thread in threading.enumerate()]
    assert "penalty" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(RuntimeError, match="give a longer phase_s"):
        penalty.moments_ms(None)  # pyright: ignore[reportArgumentType]


@linux
def test_whatever_happens_meanwhile_is_entered_before_the_load_and_left_after_it():
    seen = []

    @contextlib.contextmanager
    def meanwhile(server):
        server.slow_down(SLOW, 2)
        seen.append(len(server.accepts()))
        yield
        seen.append(len(server.accepts()))

    run(workers=2, connections=20, meanwhile=meanwhile, **QUIET)
    assert seen == [0, 20]


# --- figures, of made-up tables


def through_time(factor=1):
    """Bins of 50 ms: `level` takes 50 %, then 10 of 100; `reuseport` always 50 %."""
    rows = []
    for strategy in ("level", "reuseport"):
        for repeat in range(3):
            for time_ms in range(-150, 300, 50):
                phase = PHASES[(time_ms >= 0) + (time_ms >= 150)]
                took = 50 + repeat
                if phase == "slow" and strategy == "level":
                    took = 10 * factor + repeat
                rows.append((strategy, repeat, time_ms, phase, 100, took))
    columns = ["strategy", "repeat", "time_ms", "phase", "accepts", "slow_accepts"]
    return pd.DataFrame(rows, columns=columns)


def bursts(top=(11, 12), strategy="exclusive"):
    rows = [
        (name, 0, 2, 12, 100 * took / 12, took * 0.008 + 0.001)
        for name, tops in ((strategy, top), ("reuseport", (6, 7, 7)))
        for took in tops
    ]
    columns = ["strategy", "repeat", "workers", "connections", "top_share_percent",
               "duration_s"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def texts_of(axes):
    return " ".join(text.get_text() for text in axes.figure.findobj(Text))


def test_the_table_has_the_share_and_the_ideal_of_each_phase():
    table = equilibrium_tables.equilibrium_table(through_time())
    level = table.query("strategy == 'level'").set_index("time_ms")
    assert level["median"].to_dict()[0] == 11
    assert (level.loc[0, "low"], level.loc[0, "high"]) == (10, 12)
    assert level.loc[0, "ideal"] == pytest.approx(100 / 6)
    assert level.loc[-50, "ideal"] == level.loc[150, "ideal"] == 50
    assert equilibrium_tables.penalty_ms(table) == (0, 150)


def test_the_figure_draws_each_line_and_marks_the_penalty():
    axes = equilibrium.equilibrium(through_time())
    table = equilibrium_tables.equilibrium_table(through_time())
    drawn = [list(line.get_ydata()) for line in axes.lines]
    for _, own in table.groupby("strategy"):
        assert own["median"].tolist() in drawn
    ends = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
    assert {0.0, 150.0} <= set(ends)
    assert "5 times slower" in texts_of(axes)
    assert "11 % while slow" in texts_of(axes)


def test_the_words_say_the_phases_and_the_outline_of_another():
    alt = equilibrium_tables.equilibrium_alt(through_time(), recorded=through_time())
    assert "level 51.0, 11.0, 51.0" in alt
    assert "Outlined, as recorded: level 51.0, 11.0, 51.0" in alt
    other = equilibrium_tables.equilibrium_alt(
        through_time(), recorded=through_time(factor=2)
    )
    assert "Outlined, as recorded: level 51.0, 21.0, 51.0" in other


def test_a_guess_is_drawn_over_the_penalty_and_one_for_nobody_is_refused():
    axes = equilibrium.equilibrium(through_time(), predicted={"level": 33})
    color = ROLES["predicted"].color
    (ghost,) = [line for line in axes.lines if line.get_color() == color]
    assert list(ghost.get_xdata()) == [0, 150]
    assert list(ghost.get_ydata()) == [33, 33]
    with pytest.raises(ValueError, match="predicted for select: the runs have level"):
        equilibrium.equilibrium(through_time(), predicted={"select": 33})


def test_runs_without_an_end_of_the_penalty_are_refused():
    whole = through_time()
    with pytest.raises(ValueError, match="give whole runs"):
        equilibrium.equilibrium(whole[whole["phase"] != "after"])


def test_a_burst_lies_where_its_top_worker_is():
    table = equilibrium_tables.afterwards_table(bursts())
    points = set(zip(table["took"], table["duration_ms"].round(6), strict=True))
    assert points == {(11, 89), (12, 97), (6, 49), (7, 57)}
    assert table.set_index(["strategy", "took"]).loc[("reuseport", 7), "repeats"] == 2
    axes = afterwards_figure.afterwards(bursts(), work_ms=8, recorded=bursts((12,)))
    marks = {
        (round(float(line.get_xdata()[0])), round(float(line.get_ydata()[0]), 6))
        for line in axes.lines
        if len(line.get_xdata()) == 1
    }
    assert marks == points
    assert "recorded" in texts_of(axes)
    alt = equilibrium_tables.afterwards_alt(bursts(), 8, bursts((12,)))
    assert "exclusive 11: 89 ms, 12: 97 ms" in alt
    assert "8 ms for each" in alt
