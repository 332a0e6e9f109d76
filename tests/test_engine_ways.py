"""Ways to run workers: the study, its claims, and the figures of both harms."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from netlab.kernel import interpreters
from netlab.show import engines_tables
from netlab.show.engine_lines import engine_lines
from netlab.show.engines import STYLES
from netlab.show.engines import engines as draw
from netlab.study import catalogue, engines, recordings
from netlab.study.claims_engines import speed_up
from netlab.study.found import Found
from tests.bounded import linux

HERE = ("GIL threads", "processes", "compiled threads")
UNDER = ("GIL threads", "free threads, GIL on")
WORKERS = (1, 4, 32)


def run_of(name, load, workers, repeat, gain=1.0, woken=1.0):
    way = next(way for way in engines.WAYS if way.name == name)
    noise = 1 + 0.01 * repeat
    quiet = load in ("touch", "arriving")
    wakeups = workers * (1 if workers == 1 else woken) * noise if quiet else 0.1
    return {
        "run_by": name, "engine": way.engine, "workers_as": way.workers_as,
        "python": "3.11.7" if way.gil is None else "3.13.5",
        "gil": way.gil is not False,
        "load": load, "workers": workers, "repeat": repeat, "accepts": 80,
        "requests_per_s": 1000 * (gain if workers == 2 else 1) * noise,
        "wakeups_per_accept": wakeups, "turns_per_accept": 1.5,
        "would_block_per_accept": 0.5 * woken,
    }  # fmt: skip


def runs(names=engines.NAMES, repeats=3, gil_gain=0.9, gil_woken=2.0):
    """Made up: GIL threads gain nothing and wake twice, all others as the kernel."""
    rows = []
    for name in names:
        how = (gil_gain, gil_woken) if name in UNDER else (1.9, 1.0)
        for load, one in engines.LOADS.items():
            for count in one.team or WORKERS:
                rows += [
                    run_of(name, load, count, repeat, *how) for repeat in range(repeats)
                ]
    return pd.DataFrame(rows)


def found_of(table, mode="live"):
    return Found("engines", {"engines": table}, {"repeats": 3}, mode=mode)


# --- the study


@linux
def test_each_way_is_measured_and_stamped():
    found = engines.engines(
        1, ways=HERE, loads=("work", "touch"), workers=(2,), fired_s=0.1, progress=False
    )
    table = found.tables["engines"]
    assert list(dict.fromkeys(table["run_by"])) == list(HERE)
    assert len(table) == 3 * 3
    stamps = table.drop_duplicates("run_by").set_index("run_by")
    assert stamps.loc["processes", "workers_as"] == "processes"
    assert stamps.loc["compiled threads", "engine"] == "compiled"
    assert (table["python"] == found.machine["python"]).all()
    assert (table["gil"] == found.machine["gil"]).all()
    touched = table.query("load == 'touch'")
    assert (touched["accepts"] == 20).all()
    assert touched["requests_per_s"].isna().all()
    assert (table.query("load == 'work'")["requests_per_s"] > 100).all()
    assert not found.notes


@linux
def test_another_interpreter_says_itself_what_it_is(monkeypatch):
    other = interpreters.Interpreter(sys.executable, "0.0", gil=False)
    monkeypatch.setattr(interpreters, "free_threaded", lambda: other)
    found = engines.engines(
        1, ways=("free threads",), loads=("touch",), workers=(2,), fired_s=0.05,
        progress=False,
    )  # fmt: skip
    (row,) = found.tables["engines"].to_dict("records")
    assert (row["python"], row["gil"]) == (found.machine["python"], True)
    assert row["accepts"] == 10


@linux
def test_without_a_free_threaded_python_a_note_says_why(monkeypatch):
    def none():
        raise LookupError("there is none here")

    monkeypatch.setattr(interpreters, "free_threaded", none)
    found = engines.engines(
        1, ways=("processes", "free threads"), loads=("touch",), workers=(1,),
        fired_s=0.05, progress=False,
    )  # fmt: skip
    assert set(found.tables["engines"]["run_by"]) == {"processes"}
    (note,) = found.notes
    assert "there is none here" in note


@pytest.mark.parametrize("wrong", [{"ways": ["threads"]}, {"loads": ["quiet"]}])
def test_an_unknown_name_is_refused(wrong):
    with pytest.raises(TypeError, match=next(iter(wrong.values()))[0]):
        engines.engines(1, progress=False, **wrong)


def test_what_is_missing_is_taken_from_the_recording_and_marked():
    live = found_of(runs(HERE).query("workers != 4"))
    joined = engines.with_recorded(live, found_of(runs(), "replayed"))
    table = joined.tables["engines"]
    assert set(table.query("replayed")["run_by"]) == set(engines.NAMES) - set(HERE)
    assert set(table.query("not replayed")["run_by"]) == set(HERE)
    assert 4 not in set(table["workers"])
    assert "free threads, free threads, GIL on" in joined.notes[-1]
    whole = found_of(runs())
    assert engines.with_recorded(whole, whole) is whole


# --- the claims


def values_of(table):
    verdicts = catalogue.find("engines").verdicts(found_of(table))
    return [verdict.value for verdict in verdicts]


def test_the_claims_hold_of_what_they_claim():
    assert values_of(runs()) == ["confirmed"] * 4


@pytest.mark.parametrize(
    ("change", "fails"),
    [({"gil_gain": 1.9}, 0), ({"gil_woken": 1.0}, 3)],
)
def test_another_measurement_contradicts_them(change, fails):
    values = values_of(runs(**change))
    assert values[fails] == "contradicted"
    assert values.count("confirmed") == 3


@pytest.mark.parametrize(("column", "fails"), [("gain", 1), ("woken", 2)])
def test_one_way_that_shares_a_lock_after_all_contradicts_them(column, fails):
    table = runs()
    own = table["run_by"] == "processes"
    if column == "gain":
        table.loc[own & (table["workers"] == 2), "requests_per_s"] = 1000
    else:
        table.loc[own & (table["load"] == "touch"), "wakeups_per_accept"] *= 2
    assert values_of(table)[fails] == "contradicted"


def test_the_speed_up_is_that_of_the_same_repeat():
    times = speed_up(runs(("processes",)))["times"]
    assert np.allclose(times, 1.9)


# --- the figures


def test_a_point_is_where_its_numbers_are():
    table = engines_tables.engines_table(runs()).set_index("run_by")
    assert table["speed_up"]["GIL threads"] == pytest.approx(0.9)
    assert table["wakeups"]["GIL threads"] == pytest.approx(64.64)
    assert (table["workers"] == 32).all()
    axes = draw(runs())
    points = {line.get_marker(): line.get_xydata() for line in axes.lines}
    for name, row in table.iterrows():
        (point,) = points[STYLES[name].marker]
        assert tuple(point) == pytest.approx((row["speed_up"], row["wakeups"]))
    assert "Without the GIL" in axes.get_title("left")


def test_the_gap_and_the_title_are_told_only_where_there_is_one():
    equal = draw(runs(gil_gain=1.9, gil_woken=1.0))
    assert equal.get_title("left") == "Speed-up and wake-ups by way of running"
    assert not [text for text in said(equal) if "waits for the GIL" in text]
    assert "waits for the GIL:\n33 per accept" in said(draw(runs()))


def said(axes):
    return [text.get_text() for text in axes.texts]


def test_the_words_and_the_table_say_what_is_replayed():
    table = runs().assign(replayed=lambda own: own["run_by"].str.startswith("free"))
    alt = engines_tables.engines_alt(table)
    assert "free threads (3.13.5, recorded) 1.90 times" in alt
    assert "GIL threads (3.11.7) 0.90 times" in alt
    legend = [text.get_text() for text in draw(table).get_legend().get_texts()]
    assert "free threads\n(Python 3.13.5, recorded)" in legend
    assert "processes\n(Python 3.11.7)" in legend


def test_a_recording_is_outlined_of_what_was_measured_here():
    table = runs().assign(replayed=lambda own: own["run_by"].str.startswith("free"))
    other = runs(gil_woken=3.0)
    both = engines_tables.engines_table(table, recorded=other)
    theirs = both[both["from"] == "recorded"].set_index("run_by")
    assert set(theirs.index) == set(HERE)
    assert theirs["wakeups"]["GIL threads"] == pytest.approx(96.96)
    assert "Outlined, as recorded: GIL threads 0.90 times and 97" in (
        engines_tables.engines_alt(table, recorded=other)
    )
    hollow = [line for line in draw(table, recorded=other).lines if is_hollow(line)]
    assert len(hollow) == len(HERE)


def is_hollow(line):
    return line.get_markerfacecolor() == "none"


def test_a_guess_is_a_ghost():
    guess = {"GIL threads": (2, 30)}
    axes = draw(runs(), predicted=guess)
    assert [(2.0, 30.0)] in [
        [tuple(at) for at in line.get_xydata()] for line in axes.lines
    ]
    assert "Predicted for GIL threads: 2 times and 30" in engines_tables.engines_alt(
        runs(), predicted=guess
    )
    for wrong in ({"GIL threads": (0, 30)}, {"GIL threads": (1,)}, {"threads": (1, 1)}):
        with pytest.raises(ValueError, match="predicted"):
            draw(runs(), predicted=wrong)


def test_a_way_without_one_of_its_numbers_is_refused():
    with pytest.raises(ValueError, match="'GIL threads' has no speed-up"):
        draw(runs().query("load != 'work'"))


def test_lines_have_the_numbers_of_each_team():
    table = engines_tables.engine_lines_table(runs(), "wake-ups", "arriving")
    own = table.query("run_by == 'free threads'")
    assert own["workers"].tolist() == list(WORKERS)
    assert own["median"].tolist() == pytest.approx([1.01, 4.04, 32.32])
    axes = engine_lines(runs(), load="arriving")
    assert "y = N" in said(axes)
    assert "200 connections a second" in axes.get_title("left")
    blocked = engine_lines(runs(), events="would-blocks")
    assert "y = N" not in said(blocked)
    assert blocked.get_ylabel().startswith("would-blocks")


def test_lines_outline_a_recording_where_both_have_it():
    few = runs(HERE, repeats=1).query("workers != 4")
    alt = engines_tables.engine_lines_alt(few, recorded=runs(gil_woken=3.0))
    assert "with 1, 32 workers" in alt
    assert "Outlined, as recorded: GIL threads (3.11.7) 1.01, 97" in alt
    axes = engine_lines(few, recorded=runs(gil_woken=3.0))
    assert sum(map(is_hollow, axes.lines)) == len(HERE)
    assert engine_lines(few, room=runs(gil_woken=9.0)).get_ylim()[1] > 288


@pytest.mark.parametrize("wrong", [{"events": "sleeps"}, {"load": "work"}])
def test_other_events_or_loads_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong.values()))):
        engine_lines(runs(), **wrong)
    with pytest.raises(ValueError, match="'arriving' was not measured"):
        engine_lines(runs().query("load == 'touch'"), load="arriving")


def test_the_recording_has_every_way_with_its_python():
    recorded = recordings.load("engines")
    table = recorded.tables["engines"]
    assert set(table["run_by"]) == set(engines.NAMES)
    free = table[table["run_by"].str.startswith("free")]
    assert free.groupby("run_by")["gil"].unique().map(list).to_dict() == {
        "free threads": [False], "free threads, GIL on": [True],
    }  # fmt: skip
    assert free["python"].nunique() == 1
    assert set(free["python"]) != {recorded.machine["python"]}
    assert replace(recorded, mode="live").tables["engines"].equals(table)
