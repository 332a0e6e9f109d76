"""How far the farthest worker is from an equal share, as connections come: the figure.

All tables are made up: dealing in turn, lots, and one who takes all.
"""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from netlab.show import plots, settling_tables
from netlab.show.settling import settling
from netlab.show.settling_tables import marked, settling_table
from netlab.study import catalogue, recordings
from netlab.study.orders import COVERAGE, chance
from netlab.study.stats import binomial_band

RULES = {"blocking": "to the tail", "reuseport": "hash", "exclusive": "stays"}


def accepts_of(names=tuple(RULES), connections=400, workers=4, seed=1):
    """Whom each strategy gave the connections: in turn, by lot, all to the first."""
    turn = np.arange(connections)
    won = {
        "blocking": turn % workers,
        "reuseport": np.random.default_rng(seed).integers(workers, size=connections),
        "exclusive": 0 * turn,
    }
    registered = ", ".join(map(str, range(workers)))
    return pd.concat(
        pd.DataFrame(
            {
                "strategy": name,
                "rule": RULES[name],
                "registered": registered,
                "connection": turn + 1,
                "worker": won[name],
            }
        )
        for name in names
    )


def line_of(table, strategy):
    own = table.query("strategy == @strategy")
    return own.set_index("connections")["off_points"]


def labels(axes):
    return [text.get_text() for text in axes.findobj(Text)]


def test_in_turn_falls_as_one_over_the_connections_and_a_favourite_stays():
    table = settling_table(accepts_of())
    turn, favourite = line_of(table, "blocking"), line_of(table, "exclusive")
    np.testing.assert_allclose(turn * turn.index, 50)
    np.testing.assert_allclose(favourite, 75)


def test_the_farthest_worker_is_named_with_its_share():
    won = [0, 1, 2, 3, 3, 3, 0, 1, 2, 3]
    accepts = accepts_of(["reuseport"], 10).assign(worker=won)
    (row,) = settling_table(accepts).to_dict("records")
    assert (row["connections"], row["worker"], row["share_percent"]) == (10, 3, 40)
    assert row["off_points"] == 15


def test_a_worker_that_got_too_little_may_be_the_farthest():
    accepts = accepts_of(["reuseport"], 10).assign(
        worker=[1, 2, 3, 1, 2, 3, 1, 2, 3, 1]
    )
    (row,) = settling_table(accepts).to_dict("records")
    assert (row["worker"], row["share_percent"], row["off_points"]) == (0, 0, 25)


@pytest.mark.parametrize("workers", [2, 3, 4, 7])
def test_marks_lie_between_whole_rounds_and_reach_the_last(workers):
    marks = marked(workers, 1000)
    assert marks == sorted(set(marks))
    assert all(mark % workers for mark in marks)
    assert 1000 - workers < marks[-1] <= 1000


@pytest.mark.parametrize(
    ("accepts", "words"),
    [
        (accepts_of(workers=1), "one worker has all"),
        (accepts_of(connections=8), "8 connections; give more than two rounds"),
        (accepts_of().head(0), "no accepts of orders"),
        (accepts_of().drop(columns="strategy"), "lack the column strategy"),
    ],
)
def test_what_has_no_shares_is_refused(accepts, words):
    with pytest.raises(ValueError, match=words):
        settling_table(accepts)


def test_chance_allows_what_the_binomial_band_does():
    band = chance(400)
    assert band["connections"].is_monotonic_increasing
    assert band["connections"].iloc[0] == 8
    assert band["connections"].iloc[-1] > 400 * 1.1
    count = int(band["connections"].iloc[-1])
    low, high = binomial_band(count, 1 / 4, COVERAGE)
    reach = 100 * max(high / count - 1 / 4, 1 / 4 - low / count)
    assert band["off_points"].iloc[-1] == pytest.approx(reach)


def test_a_title_says_what_the_numbers_bear_out():
    told = "Noise shrinks as connections come, unfairness stays"
    shaded = {"chance": chance(400)}
    assert settling(accepts_of(), **shaded).get_title("left") == told
    fair = accepts_of(["blocking", "reuseport"])
    assert settling(fair, **shaded).get_title("left") != told
    assert settling(accepts_of()).get_title("left") != told


def test_each_line_has_a_form_of_its_own_and_its_end_is_named():
    axes = settling(accepts_of(), chance=chance(400))
    drawn = [line for line in axes.lines if line.get_marker() not in ("None", "")]
    assert len({line.get_marker() for line in drawn}) == 3
    assert {"blocking: 0.13", "exclusive: 75"} < set(labels(axes))
    assert any("what chance allows" in text for text in labels(axes))
    assert not any("chance" in text for text in labels(settling(accepts_of())))


def test_a_recording_is_a_hollow_mark_at_the_end_of_its_line():
    own, other = accepts_of(seed=1), accepts_of(["reuseport", "blocking"], seed=2)
    axes = settling(own, recorded=other)
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    ends = {tuple(map(float, line.get_xydata()[0])) for line in hollow}
    theirs = settling_table(other)
    wanted = {(398.0, line_of(theirs, name)[398]) for name in ("reuseport", "blocking")}
    assert ends == wanted
    alt = settling_tables.settling_alt(own, recorded=other)
    assert f"reuseport {line_of(theirs, 'reuseport')[398]:.2g} after 398" in alt
    assert set(settling_table(own, recorded=other)["from"]) == {"here", "recorded"}


def test_two_have_the_same_scale_if_each_has_room_for_the_other():
    few, many = accepts_of(connections=60), accepts_of(connections=400)
    alone = settling(few).get_xlim(), settling(few).get_ylim()
    both = [settling(one, room=two) for one, two in ((few, many), (many, few))]
    limits = [(axes.get_xlim(), axes.get_ylim()) for axes in both]
    assert limits[0] == limits[1] != alone


def test_the_recording_is_drawn_with_its_words_and_table():
    found = recordings.load("order")
    drawing = catalogue.find("order").drawings[1]
    table, options = found.tables[drawing.table], drawing.options(found)
    shown = plots.show(drawing.plot, table, stamp="recorded", **options)
    assert "blocking 5 after 10, 0.13 after 398" in shown.alt
    assert "Shaded is what chance allows: 8.7 points after 398." in shown.alt
    assert set(shown.table["strategy"]) > {"reuseport", "chance"}
