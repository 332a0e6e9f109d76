"""Study `handing-over`, and its figure: what it gains, and what it costs."""

import pandas as pd
import pytest
from matplotlib.text import Text

from netlab.server import placement, strategies
from netlab.show import handing_over as figure
from netlab.show import handing_over_tables as tables
from netlab.show.palette import ROLES
from netlab.study.handing_over import LOADS, MEASURES
from netlab.study.handing_over import handing_over as study
from tests.bounded import linux

QUIET = {"progress": False}
TWO = ["exclusive", "handoff-least"]


@linux
def test_a_stall_of_the_only_acceptor_holds_up_others():
    found = study(2, names=TWO, loads=["stalls"], **QUIET)
    up = found.tables["handing_over"].groupby("strategy")["value"].median()
    assert up["handoff-least"] > 2 * up["exclusive"] + 1


@linux
def test_each_load_gives_its_measures_and_a_row_of_ones_own_runs(monkeypatch):
    monkeypatch.setattr(strategies, "_own", {})
    row = strategies.find("exclusive")._replace(name="anywhere", place=placement.least)
    strategies.add(row)
    found = study(1, names=["anywhere"], loads=["burst", "lone"], **QUIET)
    table = found.tables["handing_over"].set_index("measure")
    assert set(table.index) == {"top share", "lone latency", "CPU time"}
    assert table.loc["top share", "value"] == 25
    assert table.loc["top share", "unit"] == "%"


@pytest.mark.parametrize("loads", [[], ["burst", "flood"]])
def test_loads_are_those_that_there_are(loads):
    with pytest.raises(ValueError, match="give some of burst, lone, stalls"):
        study(1, loads=loads, **QUIET)


def test_the_figure_knows_every_measure_of_the_study():
    assert [measure.name for measure in MEASURES] == list(tables.MEASURES)
    assert {measure.load for measure in MEASURES} == set(LOADS)


# --- the figure, of a made-up table

VALUES = {  # measure: exclusive, mine, reuseport
    "top share": (90, 25, 40),
    "lone latency": (12, 24, 20),
    "CPU time": (30, 40, 32),
    "held up": (0, 12, 3),
}


def runs(names=("exclusive", "mine", "reuseport"), more=0):
    return pd.DataFrame(
        [
            (name, repeat, measure, value + repeat + more)
            for measure, values in VALUES.items()
            for name, value in zip(names, values, strict=True)
            for repeat in range(3)
        ],
        columns=["strategy", "repeat", "measure", "value"],
    )


def column_of(axes, measure):
    return axes.child_axes[list(VALUES).index(measure)]


def marks_of(column, **look):
    """Where the single marks of a column are, of those that look so."""
    return {
        (float(line.get_xdata()[0]), int(line.get_ydata()[0]))
        for line in column.lines
        if len(line.get_xdata()) == 1
        and all(getattr(line, f"get_{name}")() == value for name, value in look.items())
    }


def test_a_row_a_strategy_and_a_column_a_measure():
    axes = figure.handing_over(runs())
    named = [label.get_text() for label in axes.get_yticklabels()]
    assert named == ["exclusive", "reuseport", "mine"]
    assert len(axes.child_axes) == len(VALUES)
    for measure, (shared, mine, hashed) in VALUES.items():
        wanted = {(shared + 1, 0), (hashed + 1, 1), (mine + 1, 2)}
        assert marks_of(column_of(axes, measure)) == wanted


def test_some_of_the_measures_may_be_missing():
    axes = figure.handing_over(runs().query("measure == 'held up'"))
    assert len(axes.child_axes) == 1


def test_the_words_and_the_table_say_the_medians():
    table = tables.handing_over_table(runs()).set_index(["measure", "strategy"])
    row = table.loc[("held up", "mine")]
    assert (row["median"], row["low"], row["high"], row["repeats"]) == (13, 12, 14, 3)
    alt = tables.handing_over_alt(runs(), {"mine": 5})
    assert (
        "held up by another's stall, in percent: exclusive 1, reuseport 4, mine 13"
        in alt
    )
    assert "Predicted for mine: 5 %" in alt


def test_a_guess_and_a_recording_are_drawn_beside_what_was_measured():
    axes = figure.handing_over(runs(), predicted={"mine": 5}, recorded=runs(more=2))
    column = column_of(axes, "held up")
    ghosts = marks_of(column, markeredgecolor=ROLES["predicted"].color)
    assert ghosts == {(5, 2)}
    rings = marks_of(column, markerfacecolor="none") - ghosts
    assert rings == {(3, 0), (6, 1), (15, 2)}
    said = " ".join(text.get_text() for text in axes.figure.findobj(Text))
    assert "your prediction" in said
    assert "recorded" in said


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({"measure": "beauty"}, {}, "measure beauty: there are top share"),
        (
            {},
            {"predicted": {"level": 5}},
            "predicted for level: the runs have exclusive",
        ),
    ],
)
def test_what_is_not_known_is_refused(change, options, said):
    with pytest.raises(ValueError, match=said):
        figure.handing_over(runs().assign(**change), **options)
