"""Closed and open loops: what the study measures holds by arithmetic, and its figures
draw and say the numbers of their tables. No time is asserted that a machine could miss.
"""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from netlab.server import engines
from netlab.show import figures, plots, truths_tables
from netlab.show.palette import CARD, ROLES
from netlab.show.rates import CLOSED, OPEN, growth, rate_curve
from netlab.show.tables import medians_of
from netlab.show.truths import STYLES, nines, two_truths
from netlab.study import catalogue, rates, truths
from netlab.study.stats import percentiles
from tests.bounded import linux

compiled = pytest.mark.skipif(
    engines.find("compiled").missing() is not None, reason="there is no Numba"
)
QUIET = {"progress": False}
SEED = 5  # of 1,200 requests it makes two that stall, the first after 22 ms
FIRED_S = 0.3
RATE = 3600  # above the capacity
ROUNDED_MS = 0.002  # two moments, each of whole microseconds


# -- the study ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rates, "LONG_S", 0.2)
        patch.setattr(rates, "SHORT_S", 0.1)
        return truths.two_truths(
            2, SEED, fired_s=FIRED_S, rates_per_s=(600, RATE), clients=(1, 4), **QUIET
        )


@linux
@compiled
def test_both_clocks_of_the_open_loop_and_one_of_the_closed_are_told(found):
    table = found.tables["truths"]
    runs = table.groupby(["plan", "counted_from", "repeat"])
    assert {of[:2] for of in runs.groups} == truths_tables.CURVES.keys()
    assert [*runs["percentile"].agg(tuple)] == [truths.PERCENTILES] * 6
    assert (runs["latency_ms"].diff().dropna() >= 0).all()


@linux
@compiled
def test_from_the_moment_due_no_latency_is_less_than_from_sending(found):
    requests = found.tables["requests"]
    assert (requests["due_ms"] <= requests["sent_ms"]).all()
    assert (requests["sent_ms"] < requests["answered_ms"]).all()
    opened = found.tables["truths"].query("plan == 'open'")
    wide = opened.pivot_table(
        "latency_ms", ["repeat", "percentile"], "counted_from", sort=False
    )
    assert (wide["due"] >= wide["sending"]).all()


@linux
@compiled
def test_a_reader_can_compute_p99_from_the_intended_times(found):
    requests = found.tables["requests"]
    due_ms = np.arange(len(requests)) * 1000 / truths.RATE_PER_S
    assert requests["due_ms"].to_numpy() == pytest.approx(due_ms, abs=ROUNDED_MS)
    first = found.tables["truths"].query("plan == 'open' and repeat == 0")
    for clock, since in (("due", "due_ms"), ("sending", "sent_ms")):
        own = requests["answered_ms"] - requests[since]
        told = first[first["counted_from"] == clock]
        assert told["latency_ms"].to_numpy() == pytest.approx(
            percentiles(own, truths.PERCENTILES), abs=ROUNDED_MS
        )


@linux
@compiled
def test_no_more_are_under_way_than_the_closed_loop_has_clients(found):
    requests = found.tables["requests"]
    sent, answered = np.sort(requests["sent_ms"]), np.sort(requests["answered_ms"])
    assert (sent[truths.CLIENTS :] >= answered[: -truths.CLIENTS] - ROUNDED_MS).all()


@linux
@compiled
def test_a_stall_takes_its_time_and_is_counted(found):
    requests = found.tables["requests"]
    took = (requests["answered_ms"] - requests["sent_ms"])[requests["stall"]]
    assert took.min() >= truths.STALL_MS - ROUNDED_MS
    runs = found.tables["runs"].set_index(["plan", "repeat"])
    assert len(took) == runs["stalls"]["open", 0] == 2
    assert (runs["requests"]["open"] == truths.RATE_PER_S * FIRED_S).all()
    late = runs.loc["closed", ["overdue_percent", "waited_percent"]]
    assert not late.to_numpy().any()
    assert runs["waited_percent"]["open", 0] > 0


@linux
@compiled
def test_above_the_capacity_no_schedule_is_kept_and_no_more_is_answered(found):
    table = found.tables["rates"]
    assert (table["requests_per_s"] <= rates.CAPACITY_PER_S).all()
    above = table.query("rate_per_s > @rates.CAPACITY_PER_S")
    assert set(above["schedule"]) == {"not kept"}
    assert sorted(set(above["fired_s"])) == [0.1, 0.2]
    assert set(table.query("rate_per_s == 600")["fired_s"]) == {0.2}
    closed = table.query("plan == 'closed'")
    assert closed["rate_per_s"].isna().all()
    assert set(closed["schedule"]) == {"none"}
    assert (table["p50_ms"] >= rates.SPIN_US / 1000).all()


@linux
@compiled
def test_every_figure_is_drawn_of_what_was_found(found):
    stamp = figures.stamp(found.machine, engine="compiled")
    shown = [
        plots.show(one.plot, found.tables[one.table], stamp=stamp, **one.options(found))
        for one in catalogue.find("two-truths").drawings
    ]
    assert "medians of 2 runs" in shown[0].alt
    assert "the capacity, 2,500 a second" in shown[1].alt


@linux
@compiled
def test_a_half_can_be_left_out_and_not_both():
    none = {"rates_per_s": (), "clients": ()}
    first = truths.two_truths(1, plans=["closed"], fired_s=0.05, **none, **QUIET)
    assert list(first.tables) == ["truths", "runs"]
    assert set(first.tables["truths"]["plan"]) == {"closed"}
    with pytest.raises(ValueError, match="plans, rates_per_s and clients are empty"):
        truths.two_truths(plans=(), **none, **QUIET)


def test_what_a_run_draws_differs_from_repeat_to_repeat(monkeypatch):
    def only_told(order, *_):
        return [(repeat, point.settings) for repeat, point in order]

    monkeypatch.setattr(rates, "in_order", only_told)
    points = [truths._point("open", 1.0), rates._open(600, 1.0), rates._closed(4)]
    order = rates.drawn_anew(points, 2, seed=7, progress=False)
    seeds = [(repeat, settings.get("seed")) for repeat, settings in order]
    assert sorted(seeds, key=str) == [(0, 7)] * 2 + [
        (0, None),
        (1, 8),
        (1, 8),
        (1, None),
    ]


# -- the figures ----------------------------------------------------------------------


def truths_of(repeats=3, closed_ms=0.1, due_ms=40.0, curves=truths_tables.CURVES):
    """Latencies that begin and end alike, and have p99 of their own."""
    judged = {
        ("closed", "sending"): closed_ms,
        ("open", "sending"): 1.5 * closed_ms,
        ("open", "due"): due_ms,
    }
    return pd.DataFrame(
        {
            "plan": plan,
            "counted_from": clock,
            "repeat": repeat,
            "percentile": percent,
            "latency_ms": (1 + repeat / 10)
            * {50: 0.05, 99: judged[plan, clock], 99.9: 50}[percent],
        }
        for plan, clock in curves
        for repeat in range(repeats)
        for percent in (50, 99, 99.9)
    )


def rates_of(kept="kept", twice=2.0, closed=(1, 4, 64)):
    opened = [
        ("open", 64, rate, fired_s, rate, p99 * (fired_s if rate > 2500 else 1), kept)
        for rate, p99 in ((600, 1.5), (1800, 4.0), (3000, 200.0))
        for fired_s in (1.0, 1 / twice)
        if rate > 2500 or fired_s == 1.0
    ]
    closed = [("closed", n, np.nan, 0.5, 2400.0, 0.4 * n, "none") for n in closed]
    columns = [
        *("plan", "at_once", "rate_per_s", "fired_s"),
        *("requests_per_s", "p99_ms", "schedule"),
    ]
    runs = pd.DataFrame(opened + closed, columns=columns)
    frames = [
        runs.assign(repeat=n, p99_ms=runs["p99_ms"] * (1 + n / 10)) for n in range(3)
    ]
    table = pd.concat(frames, ignore_index=True)
    return table.assign(p50_ms=table["p99_ms"] / 2)


def marks(axes, style, **how):
    """The points of all lines with that marker and colour."""
    return [
        point
        for line in axes.lines
        if line.get_marker() == style.marker
        and line.get_markeredgecolor() == how.get("edge", style.color)
        and line.get_markerfacecolor() == how.get("face", style.color)
        for point in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def said(axes):
    return [text.get_text() for text in axes.texts]


def test_each_curve_has_its_medians_a_band_and_its_p99():
    axes = two_truths(truths_of())
    for curve, p99 in zip(STYLES, (0.11, 0.165, 44.0), strict=True):
        drawn = marks(axes, STYLES[curve])
        assert [x for x, _ in drawn] == pytest.approx(nines([50, 99, 99.9]))
        assert [y for _, y in drawn] == pytest.approx([0.055, p99, 55])
        name = truths_tables.CURVES[curve]
        assert sum(" ".join(text.split()).startswith(name) for text in said(axes)) == 1
    bands = [one for one in axes.collections if isinstance(one, PolyCollection)]
    assert len(bands) == 3
    highest = max(band.get_paths()[0].vertices[:, 1].max() for band in bands)
    assert highest == pytest.approx(60)
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        *("50 %", "90 %", "99 %", "99.9 %"),
    ]


def test_the_gap_is_that_of_the_medians_and_the_title_needs_one():
    axes = two_truths(truths_of())
    assert "p99 × 400" in said(axes)
    assert axes.get_title("left").endswith("its p99 is 0.11 ms, or 44 ms")
    small = two_truths(truths_of(closed_ms=30))
    assert small.get_title("left") == "Latencies of one server"
    alone = truths_of(curves=[("closed", "sending")])
    assert not [text for text in said(two_truths(alone)) if "×" in text]
    assert "times" not in truths_tables.two_truths_alt(alone)


@pytest.mark.parametrize("guess", [0.01, 0.12, 2, 40, 400])
def test_a_guess_is_a_ghost_at_p99_that_hides_no_number(guess):
    axes = two_truths(truths_of(), predicted=guess)
    ghost = ROLES["predicted"]
    drawn = marks(axes, ghost, edge=ghost.color, face=CARD)
    assert drawn == [(pytest.approx(float(nines(99))), guess)]
    low, high = axes.get_ylim()
    assert low < guess < high
    (factor,) = [text for text in axes.texts if "×" in text.get_text()]
    (name,) = [text for text in axes.texts if "prediction" in text.get_text()]
    assert not factor.get_window_extent().overlaps(name.get_window_extent())
    table = truths_tables.two_truths_table(truths_of(), predicted=guess)
    assert table["predicted"].dropna().tolist() == [guess]
    assert f"Predicted were {guess:g} ms" in truths_tables.two_truths_alt(
        truths_of(), predicted=guess
    )


def test_a_recording_is_outlined_at_p99_and_told():
    given, other = truths_of(), truths_of(due_ms=80, curves=[*truths_tables.CURVES][1:])
    axes = two_truths(given, recorded=other)
    ink = ROLES["recorded"].color
    outlined = [marks(axes, style, edge=ink, face="none") for style in STYLES.values()]
    at = pytest.approx(float(nines(99)))
    assert outlined == [[], [(at, pytest.approx(0.165))], [(at, pytest.approx(88))]]
    alt = truths_tables.two_truths_alt(given, recorded=other)
    assert alt.endswith("open loop, from the moment due: 88 ms at 99 %.")
    table = truths_tables.two_truths_table(given, recorded=other)
    assert table["from"].value_counts().to_dict() == {"here": 9, "recorded": 6}


def test_the_words_have_the_numbers_of_each_curve():
    alt = truths_tables.two_truths_alt(truths_of(1))
    assert "of one run each" in alt
    assert "closed loop: 0.05, 0.1, 50 ms at 50, 99, 99.9 %" in alt
    assert "open loop, from the moment due: 0.05, 40, 50 ms" in alt
    assert "At 99 % the open loop from due has 400 times the latency" in alt


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"plan": "burst"}, r"\('burst', 'due'\) is none of"),
        ({"latency_ms": 0.0}, "latency_ms must be above 0"),
    ],
)
def test_what_the_axes_cannot_hold_is_refused(change, told):
    with pytest.raises(ValueError, match=told):
        two_truths(truths_of().assign(**change))
    with pytest.raises(ValueError, match="predicted=0: give milliseconds"):
        two_truths(truths_of(), predicted=0)
    with pytest.raises(ValueError, match="p99_ms must be above 0"):
        rate_curve(rates_of().assign(p99_ms=0.0))


def test_marks_are_hollow_where_the_schedule_was_not_kept():
    table = rates_of()
    table.loc[table["rate_per_s"] > 2500, "schedule"] = "not kept"
    axes = rate_curve(table, capacity_per_s=2500)
    hollow = {x for x, _ in marks(axes, OPEN, face=CARD) if x is not None}
    assert hollow == {3000}
    assert {x for x, _ in marks(axes, OPEN)} == {600, 1800}
    points = truths_tables.rate_curve_table(table)
    kept = points.query("plan == 'open'").set_index("rate_per_s")["kept"]
    assert kept.to_dict() == {600: 3, 1800: 3, 3000: 0}
    assert "220 (schedule not kept) at 600, 1,800, 3,000" in (
        truths_tables.rate_curve_alt(table, 2500)
    )


def test_the_closed_loop_stands_at_the_rate_that_it_reached():
    axes = rate_curve(rates_of(), capacity_per_s=2500)
    assert marks(axes, CLOSED) == [
        (2400, pytest.approx(1.1 * 0.4 * clients)) for clients in (1, 4, 64)
    ]
    assert {"1 client", "4 clients", "64 clients"} <= set(said(axes))
    assert "capacity\n2,500 a second" in said(axes)
    assert [2500, 2500] in [list(line.get_xdata()) for line in axes.lines]
    assert "with 1, 4, 64 clients, who reach 2,400" in truths_tables.rate_curve_alt(
        rates_of()
    )


def test_only_where_p99_grew_with_the_load_the_title_says_so():
    grew, same = rates_of(), rates_of(twice=1.1)
    assert growth(truths_tables.rate_curve_table(grew)) == pytest.approx(2)
    assert "grows as long as" in rate_curve(grew).get_title("left")
    assert rate_curve(same).get_title("left") == "p99 against the rate"
    closed = grew.query("plan == 'closed'")
    assert growth(truths_tables.rate_curve_table(closed)) == 0
    assert marks(rate_curve(closed), OPEN) == []


def test_names_of_two_lines_at_two_ends_do_not_overlap():
    axes = rate_curve(rates_of(twice=1.05))
    ends = [text for text in axes.texts if text.get_text().startswith("open loop for")]
    first, second = (text.get_window_extent() for text in ends)
    assert not first.overlaps(second)


def test_recorded_rates_are_outlined_where_both_have_them():
    axes = rate_curve(rates_of(), recorded=rates_of(closed=(4, 16)))
    ink = ROLES["recorded"].color
    assert marks(axes, CLOSED, edge=ink, face="none") == [(2400, pytest.approx(1.76))]
    assert len(marks(axes, OPEN, edge=ink, face="none")) == 4
    table = truths_tables.rate_curve_table(
        rates_of(), recorded=rates_of(closed=(4, 16))
    )
    assert len(table.query("`from` == 'recorded'")) == 5


def test_both_have_room_for_what_is_drawn_elsewhere():
    wide = truths_of(due_ms=4000)
    assert two_truths(truths_of(), room=wide).get_ylim()[1] > 4000
    assert rate_curve(rates_of().query("rate_per_s < 900"), room=rates_of()).get_xlim()[
        1
    ] == pytest.approx(3150)


def test_repeats_are_told_as_a_number_or_a_range():
    assert medians_of(pd.DataFrame({"repeats": [1, 1]})) == "of one run each"
    assert medians_of(pd.DataFrame({"repeats": [5, 3, 4]})) == "medians of 3 to 5 runs"
