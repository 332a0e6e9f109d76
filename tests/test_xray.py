"""The x-ray draws each worker's life, and says it in words and numbers."""

import matplotlib
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from netlab.show import figures
from netlab.show.xray import SYMBOLS, xray
from netlab.show.xray_table import first_waking_ns, headline, xray_alt, xray_table

START_NS = 5_000_000_000
WHOLE_US = 90


def life(worker, woken_us, run_us, sleep_us, mark=None, at_us=None):
    """The rows of a worker that was woken, ran, and slept again."""
    edges = [-10, woken_us, run_us, sleep_us, WHOLE_US]
    rows = [
        ("span", worker, state, ns(begin), ns(end), worker % 2)
        for state, begin, end in zip(
            ("asleep", "runnable", "running", "asleep"), edges, edges[1:], strict=False
        )
    ]
    moment = ns(sleep_us if at_us is None else at_us)
    marked = [("mark", worker, mark, moment, moment, -1)]
    return rows + (marked if mark else [])


def ns(microseconds):
    return START_NS + 1000 * microseconds


def left_alone(worker):
    return [("span", worker, "asleep", ns(-10), ns(WHOLE_US), 0)]


def table_of(*lives):
    columns = ["kind", "worker", "what", "begin_ns", "end_ns", "cpu"]
    rows = sorted(
        (row for own in lives for row in own), key=lambda row: row[0] != "span"
    )
    return pd.DataFrame(rows, columns=columns)


HERD = table_of(
    life(0, 20, 40, 60, "accept", 50),
    life(1, 10, 30, 45, "EAGAIN", 35),
    life(2, 0, 70, 74, "never returned"),
    left_alone(3),
)
MANY = table_of(
    *(life(n, n, n + 10, n + 13, "never returned") for n in range(1, 64)),
    life(0, 0, 5, 9, "accept"),
)
ONE = table_of(life(0, 0, 5, 9, "accept"))
TWO_CONNECTIONS = table_of(
    life(0, 0, 5, 9, "accept", 6),
    [("mark", 0, "accept", ns(8), ns(8), -1), ("mark", 0, "EAGAIN", ns(9), ns(9), -1)],
)
NOBODY = table_of(left_alone(0), left_alone(1))


def texts(axes):
    return [text.get_text() for text in axes.texts]


def legends(axes):
    found = [child for child in axes.get_children() if isinstance(child, Legend)]
    return [[text.get_text() for text in legend.get_texts()] for legend in found]


def forms(axes):
    """What is drawn for each state: (lane, from, to), in microseconds."""
    drawn = [child for child in axes.collections if isinstance(child, PolyCollection)]
    boxes = [[path.get_extents() for path in one.get_paths()] for one in drawn]
    return [
        [(round((box.y0 + box.y1) / 2), round(box.x0), round(box.x1)) for box in own]
        for own in boxes
    ]


def symbols(axes):
    """The marks that are drawn: their symbol, time and lane."""
    return {
        (line.get_marker(), round(x), y)
        for line in axes.lines
        if isinstance(line, Line2D)
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }


@pytest.mark.parametrize("table", [HERD, MANY, ONE], ids=["some", "many", "one"])
def test_it_is_shown_with_its_words_and_table(table):
    given = table.copy()
    shown = figures.show(
        xray(given), stamp="s", alt=xray_alt(given), table=xray_table(given)
    )
    assert shown.alt.endswith(".")
    assert len(shown.png) < 150_000
    pd.testing.assert_frame_equal(given, table)  # nothing was written into it


@pytest.mark.parametrize("make", [xray, xray_alt, xray_table])
def test_what_cannot_be_drawn_is_refused_with_the_remedy(make):
    with pytest.raises(ValueError, match="there are no spans: give the figure's table"):
        make(HERD.head(0))
    with pytest.raises(ValueError, match="lack the column cpu"):
        make(HERD.drop(columns="cpu"))
    with pytest.raises(ValueError, match="no worker was woken: give"):
        make(NOBODY)
    with pytest.raises(ValueError, match="the state dreaming"):
        make(HERD.replace("asleep", "dreaming"))


def test_it_draws_on_given_axes_and_in_its_own_style():
    axes = Figure().add_subplot()
    with matplotlib.rc_context({"text.color": "red"}):
        assert xray(HERD, axes=axes) is axes
        assert matplotlib.rcParams["text.color"] == "red"
    assert "red" not in {text.get_color() for text in axes.texts}


def test_every_stretch_is_drawn_in_its_lane_at_its_time():
    asleep, runnable, running = forms(xray(HERD))
    assert set(runnable) == {(0, 20, 40), (1, 10, 30), (2, 0, 70)}
    assert set(running) == {(0, 40, 60), (1, 30, 45), (2, 70, 74)}
    assert len(asleep) == 7
    assert (3, -10, 90) in asleep


def test_states_differ_in_height_and_hatch_and_runs_in_colour_by_cpu():
    axes = xray(HERD)
    asleep, runnable, running = axes.collections
    heights = [one.get_paths()[0].get_extents().height for one in axes.collections]
    assert heights == sorted(heights)
    assert runnable.get_hatch()
    assert not running.get_hatch()
    assert not asleep.get_hatch()
    colors = [tuple(color) for color in running.get_facecolors()]  # CPUs 0, 1, 0
    assert colors[0] == colors[2] != colors[1]


def test_marks_are_drawn_where_they_happened():
    accept, again, never = (
        SYMBOLS[mark].marker for mark in ("accept", "EAGAIN", "never returned")
    )
    assert symbols(xray(HERD)) == {(accept, 50, 0), (again, 35, 1), (never, 74, 2)}
    assert len({symbol.marker for symbol in SYMBOLS.values()}) == len(SYMBOLS)


def test_worker_0_is_on_top_and_time_begins_at_the_first_waking():
    axes = xray(HERD)
    assert axes.yaxis_inverted()
    assert [label.get_text() for label in axes.get_yticklabels()] == list("0123")
    assert axes.get_xlim() == (-10, 90)
    assert first_waking_ns(HERD) == START_NS
    assert axes.get_xlabel() == "time since the first waking (µs)"


def test_two_have_the_same_time_if_each_has_room_for_the_other():
    late = table_of(life(0, 30, 45, 60, "accept"))  # it slept 40 us before
    assert xray(late).get_xlim() == (-40, 60)
    limits = {xray(late, room=HERD).get_xlim(), xray(HERD, room=late).get_xlim()}
    assert limits == {(-40, 90)}


def test_outcomes_are_written_at_the_right():
    axes = xray(HERD)
    assert texts(axes) == [
        "outcome", "accepted", "EAGAIN", "never returned", "not woken",
    ]  # fmt: skip
    assert axes.get_title(loc="left") == "1 connection woke 3 of 4 workers, 2 in vain"


def test_of_very_many_the_winner_is_named():
    axes = xray(MANY)
    assert texts(axes) == ["outcome", "accepted"]
    assert len(axes.get_yticklabels()) <= 32
    assert "63 never returned, 1 accepted" in xray_alt(MANY)


def test_legends_name_what_is_drawn():
    states, marks = legends(xray(HERD))
    assert states == [
        "asleep", "runnable: woken, waits for a CPU", "running on CPU 0", "1",
    ]  # fmt: skip
    assert [text.split(":")[0] for text in marks] == [
        "accept", "EAGAIN", "never returned",
    ]  # fmt: skip
    states, marks = legends(xray(ONE))
    assert states[2:] == ["running on CPU 0"]
    assert len(marks) == 1


def test_legends_lie_within_the_picture():
    for table in (HERD, MANY):
        axes = xray(table)
        figure = axes.figure
        figure.canvas.draw()
        for child in axes.get_children():
            if isinstance(child, Legend):
                box = child.get_window_extent()
                assert box.x1 < figure.bbox.x1
                assert box.y0 > figure.bbox.y0


def test_a_compact_one_is_without_words():
    axes = Figure().add_subplot().inset_axes([0.1, 0.5, 0.4, 0.4])
    assert xray(HERD, axes=axes, compact=True) is axes
    assert texts(axes) == legends(axes) == []
    assert axes.get_title(loc="left") == ""
    assert axes.get_yticklabels() == []
    assert forms(axes) == forms(xray(HERD))
    assert symbols(axes) == symbols(xray(HERD))


def test_the_table_has_the_numbers_of_each_lane():
    table = xray_table(HERD).set_index("worker")
    assert table["woken"].tolist() == [1, 1, 1, 0]
    assert table["woken_us"].tolist()[:3] == [20, 10, 0]
    assert table["waited_us"].tolist() == [20, 20, 70, 0]
    assert table["ran_us"].tolist() == [20, 15, 4, 0]
    assert table["woken_us"].isna().tolist() == [False, False, False, True]


def test_several_outcomes_of_one_worker_are_counted():
    assert xray_table(TWO_CONNECTIONS)["outcome"].tolist() == ["accepted ×2, EAGAIN"]
    assert headline(TWO_CONNECTIONS) == "2 connections woke 1 of 1 workers"
    quiet = table_of(life(0, 0, 5, 9))
    assert xray_table(quiet)["outcome"].tolist() == ["nothing to do"]
    assert headline(quiet) == "0 connections woke 1 of 1 workers, 1 in vain"


def test_the_words_tell_each_workers_numbers():
    alt = xray_alt(HERD)
    assert "of 4 workers" in alt
    assert "through 100 microseconds" in alt
    assert (
        "worker 0: woken at 20 µs, waited 20 µs for a CPU, ran 20.0 µs, accepted" in alt
    )
    assert "worker 3: not woken." in alt
