"""The course's central figures draw their tables, say them, and hold their forms.

The tables are made up, after the numbers that `docs/` and the pages tell: what is
tested is the drawing.
"""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from netlab.show import choice_tables, figures, herd_tables, labels, orders_tables
from netlab.show.choice import choice
from netlab.show.herd import herd, herd_cost, herd_under_load
from netlab.show.orders import orders
from netlab.show.palette import ROLES, SMALL_PT
from netlab.show.xray import SYMBOLS

TEAMS = (1, 2, 4, 8, 16, 32, 64)
ALL_RULES = ("to the tail", "stays", "to the head", "all wake", "hash")
NAMES = dict(
    zip(
        ALL_RULES,
        ("blocking", "exclusive", "one-epoll-edge", "level", "reuseport"),
        strict=True,
    )
)
SHARES = {  # family, top share, slow share
    "level": ("shared queue", 92, 20),
    "level-drain": ("shared queue", 91, 20.5),
    "edge": ("shared queue", 93, 19.5),
    "oneshot": ("shared queue", 90, 20),
    "one-epoll-edge": ("shared queue", 92, 19),
    "one-epoll-oneshot": ("shared queue", 92, 20),
    "exclusive": ("shared queue", 92, 20),
    "blocking": ("shared queue", 30, 21),
    "exclusive-rotate": ("shared queue", 42, 20),
    "uring-accept": ("shared queue", 33, 20),
    "uring-multishot": ("shared queue", 92, 20),
    "reuseport": ("hash", 37, 49),
    "reuseport-migrate": ("hash", 38, 49),
    "reuseport-cpu": ("hash", 50, 50),
    "handoff-round-robin": ("handed over", 25, 50),
    "handoff-least": ("handed over", 25, 19),
    "handoff-two-choices": ("handed over", 30, 24),
}


def herd_runs(teams=TEAMS, strategies=("level", "exclusive"), repeats=3):
    """Wake-ups as the kernel's N, half as many again under the GIL; the rest flat."""
    return pd.DataFrame(
        {
            "strategy": strategy,
            "engine": engine,
            "workers": workers,
            "repeat": repeat,
            "accepts": 400,
            "wakeups_per_accept": (workers if strategy == "level" else 1.05)
            * (1.5 if engine == "python" else 1.0)
            * (1 + repeat / 50),
            "turns_per_accept": min(workers, 1.5) + repeat / 10,
            "would_block_per_accept": (0 if workers == 1 else 0.3) * (1 + repeat),
            "cpu_us_per_accept": 15 + 3 * workers * (strategy == "level") + repeat,
        }
        for strategy in strategies
        for engine in ("compiled", "python")
        for workers in teams
        for repeat in range(repeats)
    )


def load_runs(workers=8, rates=(100, 1000, 10000)):
    return pd.DataFrame(
        {
            "strategy": strategy,
            "engine": engine,
            "workers": workers,
            "repeat": repeat,
            "rate_per_s": rate,
            "wakeups_per_accept": (workers if strategy == "level" else 1)
            * 1000
            / (1000 + rate)
            * (1.4 if engine == "python" else 1.0),
            "would_block_per_accept": 0.4 + repeat / 10,
        }
        for strategy in ("level", "exclusive")
        for engine in ("compiled", "python")
        for rate in rates
        for repeat in range(3)
    )


def accepts_of(workers=4, rules=ALL_RULES, count=400):
    random = np.random.default_rng(2)
    registered = [2, 0, 3, 1] if workers == 4 else list(range(workers))
    owners = {
        "to the tail": [registered[n % workers] for n in range(count)],
        "stays": [registered[0]] * count,
        "to the head": [workers - 1] * count,
        "all wake": random.integers(workers, size=count),
        "hash": random.integers(workers, size=count),
    }
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "strategy": NAMES[rule],
                    "rule": rule,
                    "registered": ", ".join(map(str, registered)),
                    "connection": range(1, count + 1),
                    "worker": owners[rule],
                }
            )
            for rule in rules
        ],
        ignore_index=True,
    )


def choice_runs(names=tuple(SHARES), repeats=3):
    return pd.DataFrame(
        {
            "strategy": name,
            "repeat": repeat,
            "family": SHARES[name][0],
            "top_share_percent": SHARES[name][1] + 2 * repeat,
            "slow_share_percent": SHARES[name][2] + repeat,
        }
        for name in names
        for repeat in range(repeats)
    )


def xray_of(workers=4):
    """One connection: all are woken, one after the other, and one gets it."""
    rows = []
    for worker in range(workers):
        times = np.array([0, 10 + worker, 20 + 5 * worker, 30 + 5 * worker, 90]) * 1000
        states = ("asleep", "runnable", "running", "asleep")
        for state, begin, end in zip(states, times, times[1:], strict=False):
            rows.append(("span", worker, state, begin, end, worker % 2))
        what = "never returned" if worker else "accept"
        rows.append(("mark", worker, what, times[3], times[3], worker % 2))
    columns = ["kind", "worker", "what", "begin_ns", "end_ns", "cpu"]
    return pd.DataFrame(rows, columns=columns)


PLOTS = {
    "herd": (herd, herd_tables.herd_alt, herd_tables.herd_table),
    "herd_cost": (
        herd_cost,
        herd_tables.herd_cost_alt,
        herd_tables.herd_cost_table,
    ),
    "herd_under_load": (
        herd_under_load,
        herd_tables.herd_under_load_alt,
        herd_tables.herd_under_load_table,
    ),
    "orders": (orders, orders_tables.orders_alt, orders_tables.orders_table),
    "choice": (choice, choice_tables.choice_alt, choice_tables.choice_table),
}
CASES = {
    "herd": ("herd", herd_runs(), {}),
    "herd, x-ray": ("herd", herd_runs(), {"xray": xray_of()}),
    "herd, 64 in the x-ray": ("herd", herd_runs(), {"xray": xray_of(64)}),
    "herd, 2 workers": ("herd", herd_runs(teams=(1, 2)), {}),
    "herd, 1 run": ("herd", herd_runs((1,), ("exclusive",), 1), {}),
    "herd, 8 workers": ("herd", herd_runs(teams=(2, 8)), {}),
    "herd_cost": ("herd_cost", herd_runs(), {}),
    "herd_cost, 1 run": ("herd_cost", herd_runs((2,), ("level",), 1), {}),
    "herd_under_load": ("herd_under_load", load_runs(), {}),
    "herd_under_load, 64": ("herd_under_load", load_runs(64), {}),
    "herd_under_load, 16 rates": (
        "herd_under_load",
        load_runs(4, [round(100 * 1.4**n) for n in range(16)]),
        {},
    ),
    "herd_under_load, 1 rate": ("herd_under_load", load_runs(2, (500,)), {}),
    "orders": ("orders", accepts_of(), {"band": (66, 135)}),
    "orders, 64 workers": ("orders", accepts_of(64), {}),
    "orders, 2 workers": ("orders", accepts_of(2), {"band": (160, 240)}),
    "orders, 1 strategy": ("orders", accepts_of(rules=("stays",)), {}),
    "orders, 1 connection": ("orders", accepts_of(1, ("hash",), 1), {}),
    "choice": ("choice", choice_runs(), {}),
    "choice, 1 strategy": ("choice", choice_runs(("level",), 1), {}),
    "choice, guesses": (
        "choice",
        choice_runs(("level", "exclusive", "reuseport", "handoff-least")),
        {"predicted": {"handoff-least": (60, 30), "exclusive-rotate": (90, 20)}},
    ),
}
EACH_PLOT = {name: CASES[name] for name in PLOTS}


def texts(axes):
    return [text.get_text() for text in axes.texts]


def drawn_texts(figure):
    """The texts on a card that is drawn, with the box of each."""
    figure.draw_without_rendering()
    ticks = {}
    for axes in figure.findobj(lambda found: hasattr(found, "xaxis")):
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                seen = axes.axison and low <= tick.get_loc() <= high
                ticks[tick.label1] = seen
                ticks[tick.label2] = False
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and ticks.get(text, True):
            yield text, Bbox(Text.get_window_extent(text))


@pytest.mark.parametrize("case", CASES)
def test_no_text_runs_out_of_the_card_or_over_another(case):
    name, table, options = CASES[case]
    figure = PLOTS[name][0](table, **options).figure
    found = list(drawn_texts(figure))
    for text, box in found:
        assert text.get_fontsize() >= SMALL_PT, text
        assert figure.bbox.fully_contains(box.x0, box.y0), text
        assert figure.bbox.fully_contains(box.x1, box.y1), text
    for (one, box), (other, beside) in combinations(found, 2):
        assert not box.padded(-1).overlaps(beside.padded(-1)), (one, other)


@pytest.mark.parametrize("case", CASES)
def test_every_figure_is_said_and_tabled(case):
    name, table, options = CASES[case]
    _, alt, numbers = PLOTS[name]
    assert alt(table, **options).endswith(".")
    assert "nan" not in alt(table, **options)
    assert len(numbers(table, **options))


@pytest.mark.parametrize("name", EACH_PLOT)
def test_every_figure_is_shown(name):
    _, table, options = EACH_PLOT[name]
    draw, alt, _ = PLOTS[name]
    given = table.copy()
    shown = figures.show(draw(given, **options), stamp="s", alt=alt(given, **options))
    assert len(shown.png) < 100_000
    pd.testing.assert_frame_equal(given, table)  # nothing was written into it


@pytest.mark.parametrize("name", EACH_PLOT)
def test_every_figure_refuses_an_empty_table_and_says_what_to_do(name):
    _, table, _ = EACH_PLOT[name]
    for make in PLOTS[name]:
        with pytest.raises(ValueError, match=r"there are no .*: give the table"):
            make(table.head(0))


@pytest.mark.parametrize("name", EACH_PLOT)
def test_a_missing_column_is_named(name):
    _, table, _ = EACH_PLOT[name]
    column = "workers" if "workers" in table else table.columns[-1]
    with pytest.raises(ValueError, match=f"lack the column {column}"):
        PLOTS[name][0](table.drop(columns=column))


@pytest.mark.parametrize("name", EACH_PLOT)
def test_every_figure_draws_on_given_axes(name):
    _, table, options = EACH_PLOT[name]
    axes = Figure(figsize=(7, 6)).add_subplot()
    assert PLOTS[name][0](table, axes=axes, **options) is axes


def lines_of(axes):
    """The drawn marks of each line with markers."""
    return [
        list(zip(line.get_xdata(), line.get_ydata(), strict=True))
        for line in axes.lines
        if line.get_marker() not in ("None", None, "")
    ]


@pytest.mark.parametrize(
    ("name", "along"),
    [("herd", "workers"), ("herd_cost", "workers"), ("herd_under_load", "rate_per_s")],
)
def test_the_herd_s_lines_are_the_medians_and_their_bars_the_ranges(name, along):
    _, runs, _ = EACH_PLOT[name]
    table = PLOTS[name][2](runs)
    axes = PLOTS[name][0](runs)
    kinds = table.groupby(["strategy", "engine", "events"], sort=False)
    groups = [own for _, own in kinds]
    assert lines_of(axes) == [
        list(zip(own[along], own["median"], strict=True)) for own in groups
    ]
    for own, (_, _, (bars,)) in zip(groups, axes.containers, strict=True):
        ends = [(low[1], high[1]) for low, high in bars.get_segments()]
        np.testing.assert_allclose(ends, own[["low", "high"]])


def test_medians_and_ranges_are_those_of_the_repeats():
    table = herd_tables.herd_table(herd_runs())
    row = table.query("engine == 'compiled' and events == 'wake-ups' and workers == 64")
    row = row.query("strategy == 'level'").iloc[0]
    assert (row["low"], row["median"]) == (64, pytest.approx(64 * 1.02))
    assert (row["high"], row["repeats"]) == (pytest.approx(64 * 1.04), 3)


def test_the_other_engine_is_lighter_hollow_and_named():
    axes = herd(herd_runs())
    marked = [line for line in axes.lines if line.get_marker() == "o"]
    measured, lighter = marked
    assert measured.get_color() == measured.get_markerfacecolor()
    assert lighter.get_color() != measured.get_color()
    assert lighter.get_markerfacecolor() == "#ffffff"
    assert "wake-ups, level, python: 97.9" in texts(axes)
    assert "wake-ups, exclusive: 1.1" in texts(axes)


def test_what_slept_again_is_shaded_from_the_turns_to_the_wakeups():
    runs = herd_runs()
    again = herd_tables.slept_again(herd_tables.herd_table(runs))
    (shade,) = herd(runs).collections[:1]
    corners = {tuple(corner) for path in shade.get_paths() for corner in path.vertices}
    for workers, wakeups, turns in again.to_numpy():
        assert {(workers, wakeups), (workers, turns)} <= corners
    assert "slept again\ninside the kernel" in texts(herd(runs))
    assert "63.7 per accept with 64 workers" in herd_tables.herd_alt(runs)


def test_no_herd_is_claimed_where_there_is_none():
    without = herd(herd_runs(strategies=("exclusive",)))
    assert "slept again\ninside the kernel" not in texts(without)
    assert "hides" not in without.get_title(loc="left")
    assert "hides" in herd(herd_runs()).get_title(loc="left")


def test_the_dashed_line_is_one_wakeup_for_each_worker():
    axes = herd(herd_runs())
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    (line,) = (line for line in dashed if line.get_marker() in ("None", None, ""))
    assert list(line.get_xdata()) == list(line.get_ydata())


def test_the_x_ray_is_an_inset_above_the_lines_with_its_words():
    axes = herd(herd_runs(), xray=xray_of())
    (inset,) = axes.child_axes
    axes.figure.draw_without_rendering()
    foot = inset.get_tightbbox().y0
    tops = axes.transData.transform([(64, 99.9), (64, 64)])[:, 1]
    assert foot > tops.max()
    legend = [text.get_text() for text in inset.get_legend().get_texts()]
    assert SYMBOLS["accept"].words in legend
    assert SYMBOLS["EAGAIN"].words not in legend  # there was none
    assert "woke 4 of 4 workers, 3 in vain" in herd_tables.herd_alt(
        herd_runs(), xray=xray_of()
    )


def test_the_herd_s_words_have_its_numbers():
    alt = herd_tables.herd_alt(herd_runs())
    assert "medians of 3 runs" in alt
    assert (
        "wake-ups of level, compiled: 1.02, 2.04, 4.08, 8.16, 16.3, 32.6, 65.3 "
        "at 1, 2, 4, 8, 16, 32, 64 workers" in alt
    )
    assert "CPU time of exclusive, python: 16" in herd_tables.herd_cost_alt(herd_runs())
    load = herd_tables.herd_under_load_alt(load_runs())
    assert "wake-ups of level, compiled: 7.27, 4, 0.727 at 100, 1000, 10000" in load


def test_other_strategies_alone_are_no_herd():
    with pytest.raises(ValueError, match=r"drawn of level and exclusive.* has edge"):
        herd(herd_runs().assign(strategy="edge"))


def test_a_load_is_drawn_of_one_number_of_workers():
    both = pd.concat([load_runs(8), load_runs(16)])
    with pytest.raises(ValueError, match="8, 16 workers: draw those of one number"):
        herd_under_load(both)


def strip_marks(axes, lanes=4):
    """The marks of a figure of orders: a set of (connection, lane) for each strip."""
    marks = [
        (int(x), float(y))
        for line in axes.lines
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]
    tops = sorted(set(_tops(axes, lanes)))
    return [
        {(x, round(y - top)) for x, y in marks if top - 0.5 < y < top + lanes - 0.5}
        for top in tops
    ]


def _tops(axes, lanes):
    for collection in axes.collections:
        heights = [path.vertices[0, 1] for path in collection.get_paths()]
        if len(heights) == lanes:
            yield min(heights)


def test_each_connection_is_marked_in_its_worker_s_lane():
    accepts = accepts_of()
    drawn = strip_marks(orders(accepts))
    for rule, marks in zip(ALL_RULES, drawn, strict=True):
        owners = accepts[accepts["rule"] == rule]["worker"].head(48)
        assert marks == set(enumerate(owners, start=1))


def test_workers_differ_by_colour_and_shape():
    lines = [line for line in orders(accepts_of()).lines if len(line.get_xdata())]
    styles = {(line.get_color(), line.get_marker()) for line in lines}
    assert len(styles) == len({color for color, _ in styles}) == 4


def test_the_shares_of_all_connections_are_drawn_and_written():
    accepts = accepts_of()
    table = orders_tables.orders_table(accepts)
    counts = [
        int(((accepts["rule"] == rule) & (accepts["worker"] == worker)).sum())
        for rule in ALL_RULES
        for worker in range(4)
    ]
    assert table["connections"].tolist() == counts
    axes = orders(accepts)
    bars = [bar.get_width() for bar in axes.child_axes[0].patches]
    assert bars == table["connections"].tolist()
    written = [text for text in texts(axes) if text.isdigit() and len(text) == 3]
    assert written == [str(n) for n in table["connections"] if n >= 100]
    assert "of 400" in texts(axes)
    assert table["of"].unique().tolist() == [400]
    served = table.query("rule == 'to the tail' and worker == 2")["served"].item()
    assert served.startswith("1, 5, 9, 13")


def test_the_exclusive_strip_says_who_registered_first_and_shows_the_queue():
    axes = orders(accepts_of(rules=("stays",)))
    assert "first registered: worker 2" in texts(axes)
    drawing = axes.child_axes[1]
    boxes = {
        text.get_position()[0]: text.get_text()
        for text in drawing.texts
        if text.get_text().isdigit()
    }
    assert [boxes[x] for x in sorted(boxes)] == ["1", "3", "0", "2"]  # the head last


def test_every_rule_has_a_drawing_of_its_own():
    axes = orders(accepts_of())
    _, *drawings = axes.child_axes
    forms = {
        tuple(
            (type(form).__name__, *np.round(form.get_path().get_extents().bounds, 2))
            for form in drawing.patches
        )
        for drawing in drawings
    }
    assert len(forms) == 5


def test_the_band_of_chance_is_in_the_strip_of_the_hash_alone():
    axes = orders(accepts_of(), band=(66, 135))
    beside = axes.child_axes[0]
    band, edges = beside.collections
    assert [path.vertices[0, 0] for path in edges.get_paths()] == [66, 135]
    extents = band.get_paths()[0].get_extents()
    assert (extents.x0, extents.x1, extents.height) == (66, 135, 4)
    assert extents.y0 + 0.5 == pytest.approx(max(_tops(axes, 4)))
    assert "grey: binomial 99.99 % band, 66 to 135" in texts(axes)
    assert "66 to 135" in orders_tables.orders_alt(accepts_of(), band=(66, 135))
    table = orders_tables.orders_table(accepts_of(), band=(66, 135))
    assert table["low"].count() == 4


def test_the_first_strategy_of_a_rule_is_drawn_or_those_that_are_named():
    more = accepts_of(rules=("stays",)).assign(strategy="uring-multishot")
    both = pd.concat([accepts_of(), more])
    table = orders_tables.orders_table
    assert list(dict.fromkeys(table(both)["strategy"])) == list(NAMES.values())
    named = ["uring-multishot", "blocking"]
    assert list(dict.fromkeys(table(both, strategies=named)["strategy"])) == named
    axes = orders(both, strategies=named)
    assert set(named) <= set(texts(axes))
    assert "one connection at a time, workers wait without a time limit" in texts(axes)


def test_the_words_of_the_orders_have_their_numbers():
    alt = orders_tables.orders_alt(accepts_of())
    assert "round robin) begins 2 0 3 1 2 0 3 1" in alt
    assert "of 400 worker 0 0, worker 1 0, worker 2 400, worker 3 0" in alt


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({"strategies": ["nonsense"]}, {}, "'nonsense': the table has blocking"),
        ({"strategies": []}, {}, "name at least one"),
        ({"strategies": ["level"], "band": (1, 2)}, {}, "no strategy .* 'hash'"),
        ({"band": (9, 2)}, {}, r"band=\(9, 2\): give the fewest and the most"),
        ({}, {"rule": "magic"}, "rule 'magic': there are to the tail"),
        ({}, {"registered": "2 0"}, "registered='2 0': give the workers' order"),
    ],
)
def test_bad_orders_are_refused(options, change, message):
    with pytest.raises(ValueError, match=message):
        orders(accepts_of().assign(**change), **options)


def family_marks(axes):
    return {
        line.get_label(): set(zip(line.get_xdata(), line.get_ydata(), strict=True))
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def test_strategies_are_marked_at_their_medians_by_family():
    runs = choice_runs()
    table = choice_tables.choice_table(runs)
    axes = choice(runs)
    for family, marks in family_marks(axes).items():
        own = table[table["family"] == family]
        assert marks == set(zip(own["top_percent"], own["slow_percent"], strict=True))
    row = table.set_index("strategy").loc["reuseport"]
    assert row[["top_low", "top_percent", "top_high"]].tolist() == [37, 39, 41]
    assert row[["slow_low", "slow_percent", "slow_high"]].tolist() == [49, 50, 51]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["shared queue", "hash", "handed over"]
    lines = [line for line in axes.lines if line.get_label() in legend]
    assert len({line.get_color() for line in lines}) == 3
    assert len({line.get_marker() for line in lines}) == 3


def test_intervals_are_the_ranges_of_the_repeats():
    axes = choice(choice_runs(("level",)))
    across, up = axes.collections
    assert across.get_segments()[0].tolist() == [[92, 21], [96, 21]]
    assert up.get_segments()[0].tolist() == [[94, 20], [94, 22]]


def test_every_strategy_has_its_name_once_and_the_ideal_too():
    names = "\n".join(texts(choice(choice_runs()))).split("\n")
    assert {*SHARES, "the ideal", "ideal 25 %", "ideal", "16.7 %"} <= set(names)
    assert len(names) == len(set(names))


def test_a_name_is_nearer_to_its_own_point_than_to_any_other_s():
    chosen = ("reuseport", "reuseport-cpu", "exclusive-rotate", "level", "blocking")
    axes = choice(choice_runs(chosen))
    axes.figure.draw_without_rendering()
    table = choice_tables.choice_table(choice_runs(chosen)).set_index("strategy")
    points = axes.transData.transform(table[["top_percent", "slow_percent"]])
    for name in axes.texts:
        if name.get_text() in chosen:
            box = Bbox(Text.get_window_extent(name))
            far = np.maximum(np.maximum(box.min - points, points - box.max), 0)
            nearest = np.hypot(*far.T).argmin()
            assert table.index[nearest] == name.get_text()


def test_a_guess_is_a_ghost_joined_with_what_was_measured():
    runs = choice_runs(("level", "handoff-least"))
    guesses = {"handoff-least": (60, 30), "reuseport": (40, 50)}
    axes = choice(runs, predicted=guesses)
    assert family_marks(axes)["your prediction"] == {(60, 30), (40, 50)}
    (joined,) = (
        line
        for line in axes.lines
        if line.get_color() == ROLES["predicted"].color and line.get_linestyle() == "--"
    )
    assert list(joined.get_xdata()) == [60, 27]
    assert list(joined.get_ydata()) == [30, 20]
    assert {"handoff-least, predicted", "reuseport, predicted"} <= set(texts(axes))
    alt = choice_tables.choice_alt(runs, predicted=guesses)
    assert "2 strategies" in alt
    assert "Predicted for reuseport: 40 % and 50 %." in alt
    table = choice_tables.choice_table(runs, predicted=guesses)
    assert table["strategy"].tolist() == ["level", "handoff-least", "reuseport"]


def test_the_words_of_the_choice_have_its_numbers():
    alt = choice_tables.choice_alt(choice_runs())
    assert "reuseport (hash) 39 % (37 to 41) and 50 % (49 to 51)" in alt
    assert "ideal 16.7 %" in alt


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({"predicted": {"level": (1, 101)}}, {}, "give two shares in percent"),
        ({"predicted": {"level": (1,)}}, {}, "give two shares in percent"),
        ({}, {"family": "royal"}, "family 'royal': there are shared queue"),
        ({}, {"slow_share_percent": np.nan}, "has no slow_share_percent"),
    ],
)
def test_bad_choices_are_refused(options, change, message):
    with pytest.raises(ValueError, match=message):
        choice(choice_runs().assign(**change), **options)


def fewer(name, table):
    """Another's table: other numbers, and not all kinds."""
    if name == "orders":
        return table[table["rule"] != "hash"].assign(
            worker=lambda all: (all["worker"] + 1) % 4
        )
    if name == "choice":
        other = table[table["strategy"] != "reuseport"].copy()
        other["top_share_percent"] *= 0.9
        return other
    other = table[table["engine"] == "compiled"].copy()
    for column in other.filter(like="_per_accept"):
        other[column] *= 1.3
    return other


@pytest.mark.parametrize("case", ["herd, x-ray", *PLOTS])
def test_an_outline_is_said_and_tabled_and_leaves_every_text_its_room(case):
    name, table, options = CASES[case]
    draw, alt, numbers = PLOTS[name]
    recorded, before = fewer(name, table), table.copy()
    found = list(drawn_texts(draw(table, recorded=recorded, **options).figure))
    for (one, box), (other, beside) in combinations(found, 2):
        assert not box.padded(-1).overlaps(beside.padded(-1)), (one, other)
    assert " Outlined, as recorded: " in alt(table, recorded=recorded, **options)
    both = numbers(table, recorded=recorded, **options)
    here = both[both["from"] == "here"].drop(columns="from")
    alone = numbers(table, **options)
    pd.testing.assert_frame_equal(here, alone, check_dtype=False)
    assert 0 < (both["from"] == "recorded").sum() < len(alone)
    pd.testing.assert_frame_equal(table, before)


def outlines(axes):
    """The points of the hollow marks in the recording's ink."""
    return {
        (float(x), float(y))
        for line in axes.lines
        if line.get_markerfacecolor() == "none"
        and line.get_markeredgecolor() == ROLES["recorded"].color
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }


@pytest.mark.parametrize(
    ("name", "along"),
    [("herd", "workers"), ("herd_cost", "workers"), ("herd_under_load", "rate_per_s")],
)
def test_the_herd_s_outlines_are_the_recorded_medians_that_both_have(name, along):
    _, runs, _ = EACH_PLOT[name]
    draw, _, numbers = PLOTS[name]
    recorded = fewer(name, runs)
    wanted = numbers(recorded)
    expected = set(zip(wanted[along], wanted["median"], strict=True))
    assert outlines(draw(runs, recorded=recorded)) == expected
    assert outlines(draw(runs)) == set()
    few = runs[runs[along] == runs[along].min()]
    drawn = outlines(draw(few, recorded=recorded))
    assert drawn == {place for place in expected if place[0] == few[along].iloc[0]}
    legend = draw(runs, recorded=recorded).get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["recorded"]
    assert draw(runs).get_legend() is None


def test_outlines_of_lines_have_the_form_of_their_line():
    axes = herd(herd_runs(), recorded=fewer("herd", herd_runs()))
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert [line.get_marker() for line in hollow] == ["o", "s", "^", "D"]


def test_a_load_with_another_number_of_workers_is_not_outlined():
    assert outlines(herd_under_load(load_runs(8), recorded=load_runs(16))) == set()


def share_outlines(axes):
    """Where the outlines of shares are, and how long."""
    return {
        (round(bar.get_y() + bar.get_height() / 2, 3), bar.get_width())
        for bar in axes.child_axes[0].patches
        if bar.get_facecolor()[3] == 0
    }


def test_shares_are_outlined_in_proportion_where_both_have_the_strategy():
    accepts, recorded = accepts_of(count=400), accepts_of(count=200)
    recorded = recorded[recorded["rule"].isin(["stays", "to the tail"])]
    axes = orders(accepts, recorded=recorded)
    drawn = share_outlines(axes)
    top, next_top, *_ = sorted(_tops(axes, 4))
    assert drawn == {
        *((round(top + lane, 3), 100.0) for lane in range(4)),
        (round(next_top + 2, 3), 400.0),
    }
    assert "□ recorded" in texts(axes)
    assert "□ recorded" not in texts(orders(accepts))
    alt = orders_tables.orders_alt(accepts, recorded=recorded)
    assert "blocking 50, 50, 50, 50 of 200; exclusive 0, 0, 200, 0 of 200." in alt


def test_shares_of_another_number_of_workers_are_not_outlined():
    axes = orders(accepts_of(4), recorded=accepts_of(8))
    assert share_outlines(axes) == set()


def test_one_strip_is_not_called_each_of_one_rule():
    one = orders_tables.orders_alt(accepts_of(rules=("stays",)))
    assert one.startswith("One strip, with a mark")
    assert orders_tables.orders_alt(accepts_of()).startswith(
        "One strip for each of 5 rules, with a mark"
    )


def test_recorded_shares_are_hollow_marks_joined_with_what_was_measured():
    runs = choice_runs(("level", "exclusive-rotate", "reuseport"))
    recorded = fewer("choice", choice_runs(("level", "reuseport", "handoff-least")))
    axes = choice(runs, recorded=recorded)
    ((top, slow),) = outlines(axes)
    assert (top, slow) == (pytest.approx(94 * 0.9), 21)
    (joined,) = (line for line in axes.lines if line.get_linewidth() < 0.5)
    assert list(joined.get_xdata()) == [pytest.approx(94 * 0.9), 94]
    assert list(joined.get_ydata()) == [21, 21]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["shared queue", "hash", "recorded"]


@pytest.mark.parametrize("name", ["herd", "herd_cost", "herd_under_load", "choice"])
def test_two_have_the_same_scale_if_each_has_room_for_the_other(name):
    _, table, _ = EACH_PLOT[name]
    draw, other = PLOTS[name][0], fewer(name, table)
    if name == "herd":
        other = other[other["workers"] <= 8]
    if name == "choice":
        other["top_share_percent"] -= 15
    one, two = draw(table, room=other), draw(other, room=table)
    assert (one.get_xlim(), one.get_ylim()) == (two.get_xlim(), two.get_ylim())
    alone = draw(other)
    assert (alone.get_xlim(), alone.get_ylim()) != (two.get_xlim(), two.get_ylim())


def test_the_dashed_line_s_name_is_clear_of_others_where_there_is_more_room():
    figure = herd(herd_runs(teams=(1, 2, 4, 8, 16)), room=herd_runs()).figure
    for (one, box), (other, beside) in combinations(drawn_texts(figure), 2):
        assert not box.padded(-1).overlaps(beside.padded(-1)), (one, other)


def test_places_are_spread_by_as_little_as_needed():
    assert labels.spread([1, 5, 9], 2) == [1, 5, 9]
    assert labels.spread([5, 4, 4], 1) == pytest.approx([16 / 3, 10 / 3, 13 / 3])
    assert labels.spread([], 1) == []
    random = np.random.default_rng(1).random(40)
    apart = np.array(labels.spread(random, 0.5))
    assert (np.argsort(apart) == np.argsort(random)).all()
    assert np.diff(np.sort(apart)).min() >= 0.5 - 1e-9
    assert apart.mean() == pytest.approx(random.mean())
