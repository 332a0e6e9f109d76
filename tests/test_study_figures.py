"""The figures of the named studies draw the numbers of their tables, and their words
say them. All tables here are made up: round numbers of the size that the course
expects, measured by nobody.
"""

from itertools import combinations
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from netlab.show import (
    atlas,
    atlas_tables,
    figures,
    rotation,
    rotation_tables,
    sharded,
    sharded_tables,
    sharing,
    sharing_tables,
    steering,
)
from netlab.show.named_rows import digits
from netlab.show.palette import ROLES

STRATEGIES = (
    "blocking", "level", "level-drain", "edge", "oneshot", "one-epoll-level",
    "one-epoll-edge", "one-epoll-oneshot", "exclusive", "exclusive-rotate",
    "handoff-round-robin", "handoff-least", "handoff-two-choices", "reuseport",
    "reuseport-cpu", "reuseport-incoming-cpu", "uring-accept", "uring-multishot",
)  # fmt: skip


def accepts_of(workers=4, connections=400, everies=("1", "16", "never")):
    order = np.arange(connections)
    return pd.concat(
        pd.DataFrame(
            {
                "every": every,
                "connection": order + 1,
                "worker": 0 if every == "never" else order // int(every) % workers,
            }
        )
        for every in everies
    )


def slow_runs(strategies=STRATEGIES, workers=2, repeats=5, seed=1):
    random = np.random.default_rng(seed)
    ideal = 100 / (5 * (workers - 1) + 1)
    rows = []
    for strategy in strategies:
        hashed = strategy.startswith("reuseport")
        middle = 98 / workers if hashed else 1.15 * ideal
        for repeat in range(repeats):
            share = middle + random.normal(0, 0.02 * middle)
            rows.append(
                (strategy, repeat, workers, 1, 2000, round(20 * share), share,
                 (2.3 if hashed else 1.0) * random.uniform(1.6, 1.8))
            )  # fmt: skip
    columns = (
        "strategy", "repeat", "workers", "slow_worker", "accepts", "slow_accepts",
        "share_percent", "duration_s",
    )  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def burst_runs(strategies=STRATEGIES, workers=4, connections=12, repeats=5, seed=1):
    random = np.random.default_rng(seed)
    rows = []
    for strategy in strategies:
        middle = 0.38 if strategy.startswith("reuseport") else 0.92
        if strategy.startswith("handoff"):
            middle = 1 / workers
        for repeat in range(repeats):
            took = round(connections * min(1, middle + random.uniform(-0.05, 0.08)))
            took = max(took, -(-connections // workers))
            rows.append(
                (strategy, repeat, workers, connections, 100 * took / connections)
            )
    columns = ("strategy", "repeat", "workers", "connections", "top_share_percent")
    return pd.DataFrame(rows, columns=columns)


def tail_requests(strategies=("exclusive", "reuseport"), each=3000, seed=1):
    random = np.random.default_rng(seed)
    frames = []
    for at, strategy in enumerate(strategies):
        wide = 12 if at % 2 else 1.6
        latency = np.clip(random.normal(30 - 3 * (at % 2), wide, each), 1.5, None)
        frames.append(
            pd.DataFrame(
                {
                    "strategy": strategy,
                    "repeat": np.arange(each) % 5,
                    "latency_ms": latency,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


PUBLISHED = pd.DataFrame(  # Cloudflare 2017: the only numbers here that are not made up
    {
        "strategy": ["shared queue", "SO_REUSEPORT"],
        "min_ms": [3.61, 1.49],
        "avg_ms": [30.39, 31.37],
        "med_ms": [30.28, 24.67],
        "max_ms": [72.65, 144.55],
        "dev_ms": [1.58, 25.27],
    }
)


def death_runs(settings=(False, True), clients=200, lost=0):
    resets = {False: (54, 48, 60, 51, 55), True: (0, 0, 0, 0, 0)}
    return pd.DataFrame(
        [
            (migrate, repeat, clients, reset, clients - reset - lost)
            for migrate in settings
            for repeat, reset in enumerate(resets[migrate])
        ],
        columns=["migrate", "repeat", "clients", "reset", "answered"],
    )


STEERED = ("reuseport", "reuseport-cpu", "reuseport-incoming-cpu")


def steered(strategies=STEERED, cpus=2, workers=2, each=200):
    random = np.random.default_rng(1)
    rows = []
    for strategy in strategies:
        for client_cpu in range(cpus):
            own = [worker for worker in range(workers) if worker % cpus == client_cpu]
            counts = random.multinomial(each, [1 / workers] * workers)
            if strategy != "reuseport":
                counts = [each // len(own) if w in own else 0 for w in range(workers)]
            rows += [
                (strategy, client_cpu, worker, worker % cpus, counts[worker])
                for worker in range(workers)
            ]
    columns = ["strategy", "client_cpu", "worker", "worker_cpu", "connections"]
    return pd.DataFrame(rows, columns=columns)


MEASURES = (  # name, unit, the hashed ones', the handing ones', the others' value
    ("wake-ups per accept", "", 1.0, 2.1, 16.1),
    ("turns per accept", "", 1.0, 1.0, 1.6),
    ("would-blocks per accept", "", 0.0, 0.0, 0.4),
    ("CPU per accept", "us", 31, 45, 110),
    ("burst top share", "%", 38, 28, 90),
    ("slow worker's share", "%", 49, 17.1, 19.4),
    ("p99", "ms", 95, 41, 36),
)
ORDERS = {"blocking": "round robin", "exclusive": "fixed", "reuseport": "hash"}


def matrix_cells(strategies=STRATEGIES, engines=("compiled",), seed=1):
    random = np.random.default_rng(seed)
    rows = []
    for strategy in strategies:
        for engine in engines:
            order = ORDERS.get(strategy.split("-")[0], "race")
            rows.append((strategy, engine, "order", np.nan, "", order, None))
            kind = strategy.split("-")[0]
            at = {"reuseport": 2, "handoff": 3}.get(kind, 4)
            for measure in MEASURES:
                value = measure[at] * random.uniform(0.9, 1.1)
                gone = strategy == "uring-multishot"
                reason = "io_uring is disabled on this machine" if gone else None
                value = np.nan if gone else value
                rows.append(
                    (strategy, engine, *measure[:1], value, measure[1], "", reason)
                )
    columns = ["strategy", "engine", "measure", "value", "unit", "text", "reason"]
    return pd.DataFrame(rows, columns=columns)


class Row(NamedTuple):
    draw: object
    alt: object
    table: object


ROWS = {
    "rotate": Row(
        rotation.rotate, rotation_tables.rotate_alt, rotation_tables.rotate_table
    ),
    "slow_worker": Row(
        sharing.slow_worker,
        sharing_tables.slow_worker_alt,
        sharing_tables.slow_worker_table,
    ),
    "burst": Row(sharing.burst, sharing_tables.burst_alt, sharing_tables.burst_table),
    "latency_tail": Row(
        sharded.latency_tail,
        sharded_tables.latency_tail_alt,
        sharded_tables.latency_tail_table,
    ),
    "worker_death": Row(
        sharded.worker_death,
        sharded_tables.worker_death_alt,
        sharded_tables.worker_death_table,
    ),
    "steering": Row(
        steering.steering, sharded_tables.steering_alt, sharded_tables.steering_table
    ),
    "matrix": Row(atlas.matrix, atlas_tables.matrix_alt, atlas_tables.matrix_table),
}
PREDICTED = {"level": 25, "reuseport": 44, "handoff-least": 30}
IDEALS = {"burst top share": 25, "slow worker's share": 16.7}
DATA = {  # what a page shows, with all options of the figure
    "rotate": (accepts_of(), {"workers": 4, "first": 64}),
    "slow_worker": (slow_runs(), {"slower": 5, "predicted": PREDICTED}),
    "burst": (burst_runs(), {"predicted": PREDICTED}),
    "latency_tail": (tail_requests(), {"published": PUBLISHED}),
    "worker_death": (death_runs(), {}),
    "steering": (steered(), {}),
    "matrix": (matrix_cells(), {"ideals": IDEALS, "within_percent": 5}),
}
ONE = {
    "rotate": (accepts_of(1, 1, ("16",)), {}),
    "slow_worker": (slow_runs(["level"], workers=2, repeats=1), {}),
    "burst": (burst_runs(["level"], workers=2, repeats=1), {}),
    "latency_tail": (tail_requests(["level"], each=1), {}),
    "worker_death": (death_runs((True,), lost=3), {}),
    "steering": (steered(["reuseport"], cpus=1, workers=1), {}),
    "matrix": (matrix_cells(["level"]), {}),
}
MANY = {
    "rotate": (accepts_of(64, 6400), {}),
    "slow_worker": (slow_runs(STRATEGIES[:16], workers=16), {}),
    "burst": (burst_runs(STRATEGIES[:16], workers=16, connections=4096), {}),
    "latency_tail": (tail_requests(STRATEGIES[:16], each=200), {}),
    "worker_death": (death_runs(clients=20_000), {}),
    "steering": (steered(cpus=16, workers=64, each=10_000), {}),
    "matrix": (matrix_cells(STRATEGIES[8:16], ("python", "compiled")), {}),
}
SIZES = {"page": DATA, "one": ONE, "many": MANY}


def draw(name, given, **options):
    return ROWS[name].draw(given, **options)


def labels(axes):
    return [text.get_text() for text in axes.texts]


def marks(axes, **wanted):
    """The points of the lines that look as wanted."""
    return [
        (float(x), float(y))
        for line in axes.lines
        if all(
            getattr(line, f"get_{name}")() == value for name, value in wanted.items()
        )
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def within(box, card):
    inside = card.x0 <= box.x0 and box.x1 <= card.x1
    return inside and card.y0 <= box.y0 and box.y1 <= card.y1


def overlap(one, other):
    """Whether they share more than the pixel or two by which letters are rounded."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across > 2 and down > 2


def texts_drawn(axes):
    """Every text on the card; of the ticks' those that are in sight."""
    ticks, seen = set(), []
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        low, high = sorted(limits)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            ticks |= {tick.label1, tick.label2}
            seen += [tick.label1] if low <= tick.get_loc() <= high else []
    others = [text for text in axes.figure.findobj(Text) if text not in ticks]
    return [t for t in seen + others if t.get_visible() and t.get_text().strip()]


def clashes(axes):
    """The texts that run out of the card, and the pairs of those that overlap."""
    axes.figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts_drawn(axes)]
    out = [said for said, box in boxes if not within(box, axes.figure.bbox)]
    pairs = combinations(boxes, 2)
    return out + [(one, other) for (one, a), (other, b) in pairs if overlap(a, b)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", DATA)
def test_no_text_runs_out_of_the_card_or_into_another(name, size):
    given, options = SIZES[size][name]
    axes = draw(name, given, **options)
    axes.figure.draw_without_rendering()
    card = axes.figure.bbox
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts_drawn(axes)]
    assert [said for said, box in boxes if not within(box, card)] == []
    assert [
        (one, other) for (one, a), (other, b) in combinations(boxes, 2) if overlap(a, b)
    ] == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", DATA)
def test_every_figure_is_shown_with_its_words_and_table(name, size):
    given, options = SIZES[size][name]
    row, before = ROWS[name], given.copy()
    axes = row.draw(given, **options)
    alt, table = row.alt(given, **options), row.table(given, **options)
    shown = figures.show(axes, stamp="made up", alt=alt, table=table)
    assert shown.alt.endswith(".")
    assert "nan" not in shown.alt
    assert len(shown.png) < 130_000
    assert axes.figure.get_size_inches()[1] <= 9
    pd.testing.assert_frame_equal(given, before)  # nothing was written into it


@pytest.mark.parametrize("name", DATA)
def test_an_empty_table_is_refused_and_the_study_named(name):
    empty = DATA[name][0].head(0)
    for make in ROWS[name]:
        with pytest.raises(ValueError, match=rf"no \w+: give the table of .* {name}$"):
            make(empty)


NEEDED = {
    "rotate": ("every", "connection", "worker"),
    "slow_worker": ("strategy", "workers", "share_percent", "duration_s"),
    "burst": ("strategy", "workers", "connections", "top_share_percent"),
    "latency_tail": ("strategy", "latency_ms"),
    "worker_death": ("migrate", "clients", "reset", "answered"),
    "steering": ("strategy", "client_cpu", "worker", "worker_cpu", "connections"),
    "matrix": ("strategy", "engine", "measure", "value", "unit", "text"),
}


@pytest.mark.parametrize(
    ("name", "column"), [(name, column) for name in NEEDED for column in NEEDED[name]]
)
def test_a_missing_column_is_named(name, column):
    with pytest.raises(ValueError, match=f"lack the column {column}: give"):
        draw(name, DATA[name][0].drop(columns=column))


@pytest.mark.parametrize("name", DATA)
def test_figures_draw_on_given_axes_and_in_their_own_style(name):
    axes = Figure().add_subplot()
    with matplotlib.rc_context({"text.color": "red", "axes.labelcolor": "red"}):
        assert draw(name, DATA[name][0], axes=axes) is axes
    assert "red" not in {text.get_color() for text in axes.findobj(Text)}


def test_strips_mark_each_connection_at_its_worker_and_the_rarest_is_on_top():
    given = accepts_of(workers=4, connections=400)
    axes = draw("rotate", given.sample(frac=1, random_state=1), first=64)
    drawn, table = set(marks(axes)), rotation_tables.rotate_table(given)
    assert len(drawn) == 3 * 64
    tops = sorted({y for x, y in drawn if x == 1})
    lanes = dict(zip(axes.get_yticks(), axes.get_yticklabels(), strict=True))
    for top in tops:
        assert [lanes[top + n].get_text() for n in range(4)] == list("0123")
    for top, every in zip(tops, ("never", "16", "1"), strict=True):
        own = given[(given["every"] == every) & (given["connection"] <= 64)]
        wanted = zip(own["connection"], own["worker"] + top, strict=True)
        assert set(wanted) <= drawn
    assert list(dict.fromkeys(table["every"])) == ["never", "16", "1"]


def test_strips_tell_the_shares_of_all_and_the_longest_block():
    given = accepts_of(workers=4, connections=400)
    table = rotation_tables.rotate_table(given, first=64)
    assert table["connections"].tolist() == [400, 0, 0, 0, 112, 96, 96, 96, *[100] * 4]
    assert table["drawn"].tolist() == [64, 0, 0, 0, *[16] * 8]
    assert table["longest_block"].tolist() == [400, 0, 0, 0, *[16] * 4, *[1] * 4]
    assert table["share_percent"].tolist()[:5] == [100, 0, 0, 0, 28]
    said = labels(draw("rotate", given))
    assert [said.count(text) for text in ("400", "112", "96", "100")] == [1, 1, 3, 4]
    for longest in (400, 16, 1):
        assert f"longest block: {longest}" in said
    alt = rotation_tables.rotate_alt(given)
    assert "never re-added: 0×64; of 400 got worker 0 400, worker 1 0" in alt
    assert "every 16 accepts: 0×16 1×16 2×16 3×16; of 400 got worker 0 112" in alt
    assert "after every accept: 0 1 2 3 0 1 2 3" in alt


def test_strips_take_numbers_as_well_and_refuse_what_is_no_rule():
    given = accepts_of(everies=("16", "4"))
    as_number = given.assign(every=given["every"].astype(int))
    pd.testing.assert_frame_equal(
        rotation_tables.rotate_table(as_number), rotation_tables.rotate_table(given)
    )
    for every in ("0", "-1", "often"):
        with pytest.raises(ValueError, match=f"every='{every}'"):
            draw("rotate", given.assign(every=every))
    with pytest.raises(ValueError, match="first=0"):
        draw("rotate", given, first=0)


def test_workers_that_got_nothing_have_a_lane():
    table = rotation_tables.rotate_table(accepts_of(2, everies=("1",)), workers=4)
    assert table["connections"].tolist() == [200, 200, 0, 0]


def test_a_slow_worker_s_share_is_the_median_with_its_range():
    given = slow_runs(["level", "reuseport"])
    axes = draw("slow_worker", given)
    table = sharing_tables.slow_worker_table(given)
    assert table["strategy"].tolist() == ["level", "reuseport"]
    for at, strategy in enumerate(table["strategy"]):
        shares = given[given["strategy"] == strategy]["share_percent"]
        assert (shares.median(), at) in marks(axes, marker="o")
        ends = marks(axes, marker="|")[2 * at : 2 * at + 2]
        assert ends == [(shares.min(), at), (shares.max(), at)]
        assert f"{shares.median():.1f} %" in labels(axes)
        assert f"{strategy} {shares.median():.1f} (" in ROWS["slow_worker"].alt(given)
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "level", "reuseport",
    ]  # fmt: skip


def test_a_slow_worker_is_held_against_its_ideal_and_the_equal_share():
    axes = draw("slow_worker", slow_runs(["level"], workers=2))
    assert {"ideal\n16.7 %", "equal share\n50.0 %"} <= set(labels(axes))
    assert {100 / 6, 50} <= {x for x, _ in marks(axes, linestyle=":")}
    table = sharing_tables.slow_worker_table(slow_runs(["level"], workers=4), slower=2)
    assert table[["ideal", "equal"]].to_numpy().tolist() == [[100 / 7, 25]]


def test_the_run_s_time_is_told_in_shortest_ones():
    given = slow_runs(["level", "reuseport"], repeats=1)
    given["duration_s"] = [2.0, 4.6]
    assert {"1.0 ×", "2.3 ×"} <= set(labels(draw("slow_worker", given)))
    assert "the run 2.3 times the shortest" in ROWS["slow_worker"].alt(given)


def test_a_burst_is_held_against_the_ideal_and_counted():
    given = burst_runs(["level"], connections=12, repeats=1)
    given["top_share_percent"] = 100 * 11 / 12
    said = labels(draw("burst", given))
    assert {"91.7 %", "11 of 12", "ideal\n25.0 %"} <= set(said)
    alt = ROWS["burst"].alt(given)
    assert "a burst of 12 connections" in alt
    assert "level 91.7 (91.7 to 91.7), which is 11 of 12" in alt


@pytest.mark.parametrize("name", ["slow_worker", "burst"])
def test_guesses_are_ghosts_in_their_strategy_s_row(name):
    given, _ = DATA[name]
    axes = draw(name, given, predicted=PREDICTED)
    rows = [label.get_text() for label in axes.get_yticklabels()]
    wanted = {(float(guess), rows.index(name)) for name, guess in PREDICTED.items()}
    drawn = {point for point in marks(axes, marker="s") if not np.isnan(point[0])}
    assert drawn == wanted
    assert "your prediction" in axes.get_xlabel()
    assert ", predicted 44)" in ROWS[name].alt(given, predicted=PREDICTED)
    assert "predicted" not in ROWS[name].alt(given)
    with pytest.raises(ValueError, match="predicted for levle: the runs have"):
        draw(name, given, predicted={"levle": 1})


@pytest.mark.parametrize(
    ("name", "column"),
    [("slow_worker", "workers"), ("burst", "workers"), ("burst", "connections")],
)
def test_runs_of_two_settings_are_not_drawn_as_one(name, column):
    given = DATA[name][0].copy()
    given.loc[0, column] = 99
    with pytest.raises(ValueError, match=f"the runs have {column} .*99: draw those of"):
        draw(name, given)


@pytest.mark.parametrize("greatest", [0.5, 8, 33, 62, 77, 90, 100])
def test_a_number_has_room_and_no_tick_is_beyond_a_hundred_percent(greatest):
    given = burst_runs(["level"]).assign(top_share_percent=greatest)
    axes = draw("burst", given)
    assert axes.get_xlim() == (0, 1.3 * greatest)
    assert axes.get_xticks().min() == 0
    assert greatest * 0.7 < axes.get_xticks().max() <= min(100, 1.3 * greatest)


def test_latencies_are_drawn_as_the_share_of_requests_below():
    given = tail_requests()
    axes = draw("latency_tail", given)
    for at, strategy in enumerate(("exclusive", "reuseport")):
        own = np.sort(given[given["strategy"] == strategy]["latency_ms"])
        line = axes.lines[2 * at]
        x, y = line.get_xdata(), line.get_ydata()
        for percent in (10, 50, 99):
            below = y[np.searchsorted(x, np.percentile(own, percent), "right") - 1]
            assert below == pytest.approx(percent / 100, abs=0.01)
        assert marks(axes, marker="os"[at]) == [(np.median(own), 0.5)]
    assert axes.get_xscale() == "log"
    styles = {(line.get_color(), line.get_linestyle()) for line in axes.lines[::2]}
    assert len(styles) == 2


def test_latencies_are_told_in_the_five_figures_beside_the_published_ones():
    given = tail_requests()
    own = given[given["strategy"] == "reuseport"]["latency_ms"]
    table = ROWS["latency_tail"].table(given, published=PUBLISHED)
    assert table["source"].tolist() == ["measured"] * 2 + ["published"] * 2
    wanted = [own.min(), own.mean(), own.median(), own.max(), own.std(ddof=0)]
    figures_ms = table[list(sharded_tables.FIGURES)].to_numpy()
    assert figures_ms[1] == pytest.approx(wanted)
    assert figures_ms[3].tolist() == [1.49, 31.37, 24.67, 144.55, 25.27]
    axes = draw("latency_tail", given, published=PUBLISHED)
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named[1].startswith(f"reuseport: median {digits(own.median())} ms")
    assert named[2:] == [
        "published, shared queue: median 30.3 ms, standard deviation 1.58 ms",
        "published, SO_REUSEPORT: median 24.7 ms, standard deviation 25.3 ms",
    ]
    assert {(1.49, 0), (24.67, 0.5), (144.55, 1)} <= set(marks(axes))
    alt = ROWS["latency_tail"].alt(given, published=PUBLISHED)
    assert "SO_REUSEPORT (published): median 24.7, standard deviation 25.3" in alt


def test_latencies_of_a_logarithmic_axis_are_above_0():
    for wrong in (0, -1, np.nan):
        given = tail_requests(each=3)
        given.loc[1, "latency_ms"] = wrong
        with pytest.raises(ValueError, match="latency_ms must be above 0"):
            draw("latency_tail", given)
    with pytest.raises(ValueError, match="published lack the column dev_ms"):
        draw(
            "latency_tail",
            tail_requests(each=3),
            published=PUBLISHED.drop(columns="dev_ms"),
        )


def test_clients_are_stacked_to_all_of_them():
    axes = draw("worker_death", death_runs(lost=20))
    bars = {
        (container.get_label().lstrip("_"), bar.get_y() > 0.5): bar
        for container in axes.containers
        for bar in container
    }
    without = [bars[fate, False] for fate in ("answered", "reset", "neither")]
    assert [bar.get_width() for bar in without] == [126, 54, 20]
    assert [bar.get_x() for bar in without] == [0, 126, 180]
    assert [bars[fate, True].get_width() for fate in ("answered", "reset")] == [180, 0]
    assert {"126", "54", "20", "180"} <= set(labels(axes))
    assert {"54 (48 to 60)", "0 (0 to 0)"} <= set(labels(axes))
    assert marks(axes, marker="|")[:2] == [(120, 0), (132, 0)]
    assert len({(bar.get_facecolor(), bar.get_hatch()) for bar in without}) == 3


def test_where_every_client_was_answered_or_reset_nothing_else_is_named():
    axes = draw("worker_death", death_runs())
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == ["answered", "reset"]
    alt = ROWS["worker_death"].alt(death_runs())
    assert "without tcp_migrate_req, of 200 clients 146 (140 to 152) were" in alt
    assert "54 (48 to 60) reset" in alt
    with pytest.raises(ValueError, match=r"answered \+ reset exceed clients"):
        draw("worker_death", death_runs(lost=-1))


def test_a_map_has_a_cell_for_each_pair_in_the_shade_of_its_share():
    given = steered()
    axes = draw("steering", given)
    maps = [item for item in axes.collections if isinstance(item, PolyCollection)]
    assert [len(one.get_paths()) for one in maps] == [4, 4, 4]
    counts = [str(count) for count in given["connections"]]
    assert [text for text in labels(axes) if text.isdigit()] == counts
    table = ROWS["steering"].table(given)
    assert (
        table.groupby(["strategy", "client_cpu"])["share_percent"].sum() == 100
    ).all()
    darkness = -np.concatenate([one.get_facecolors()[:, 0] for one in maps])
    order = np.argsort(table["share_percent"].to_numpy(), kind="stable")
    assert (np.diff(darkness[order]) >= -0.01).all()


def test_a_frame_says_that_the_worker_is_on_the_client_s_cpu():
    axes = draw("steering", steered(["reuseport-cpu"], cpus=2, workers=4))
    frames = {(p.get_x() + 0.5, p.get_y() + 0.5) for p in axes.patches}
    assert frames == {(0, 0), (2, 0), (1, 1), (3, 1)}  # worker 2 is on CPU 0
    assert "100 % on the client's CPU" in labels(axes)
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "0\n0", "1\n1", "2\n0", "3\n1",
    ]  # fmt: skip


def test_maps_tell_what_stays_on_the_client_s_cpu():
    given = pd.DataFrame(
        [("reuseport", 0, 0, 0, 30), ("reuseport", 0, 1, 1, 70)],
        columns=["strategy", "client_cpu", "worker", "worker_cpu", "connections"],
    )
    assert "30 % on the client's CPU" in labels(draw("steering", given))
    alt = ROWS["steering"].alt(given)
    assert "reuseport: 30.0 % on the client's CPU (CPU 0 to worker 0 on CPU 0 30" in alt
    twice = ROWS["steering"].table(pd.concat([given, given]))
    assert twice["connections"].tolist() == [60, 140]  # repeats are summed


def cells_of(values, measure="p99", **more):
    names = [f"s{at}" for at in range(len(values))]
    return pd.DataFrame(
        {
            "strategy": names, "engine": "compiled", "measure": measure,
            "value": values, "unit": "ms", "text": "", **more,
        }
    )  # fmt: skip


def best_of(cells, **options):
    table = ROWS["matrix"].table(cells, **options)
    return [name for name, best in zip(table["strategy"], table["best_in"], strict=True)
            if best != "–"]  # fmt: skip


def test_the_best_is_the_least_or_the_nearest_to_its_ideal():
    assert best_of(cells_of([30, 9, 10, 20])) == ["s1"]
    assert best_of(cells_of([30, 9, 10, 20]), ideals={"p99": 19}) == ["s3"]
    assert best_of(cells_of([30, 9.6, 10, 9.5])) == ["s1", "s3"]
    assert best_of(cells_of([30, 9.6, 10, 9.5]), within_percent=0) == ["s3"]
    assert best_of(cells_of([0, 0.4, 0])) == ["s0", "s2"]
    with pytest.raises(ValueError, match="ideals for p95: there are p99"):
        best_of(cells_of([1]), ideals={"p95": 1})


def test_the_best_is_framed_and_bold_and_counted():
    axes = draw("matrix", cells_of([30, 9, 10, np.nan]))
    framed = [p.get_y() + 0.42 for p in axes.patches if not p.get_fill()]
    assert framed == [1]
    bold = [text.get_text() for text in axes.texts if text.get_weight() == "bold"]
    assert bold == ["9.00"]
    assert labels(axes) == [
        "p99\n(ms)", "30.0", "9.00", "10.0", "–", "best\nin", "–", "1", "–", "–",
    ]  # fmt: skip


def test_cells_are_the_darker_the_worse():
    axes = draw("matrix", cells_of([30, 9, 10, np.nan]))
    shades = [p.get_facecolor()[0] for p in axes.patches if p.get_fill()]
    assert shades[0] < shades[2] < shades[1] == shades[3] == 1


def test_the_matrix_s_table_keeps_numbers_words_and_reasons():
    table = ROWS["matrix"].table(matrix_cells())
    assert table["strategy"].tolist() == list(STRATEGIES)
    assert table["order"][0] == "round robin"
    gone = table[table["strategy"] == "uring-multishot"].iloc[0]
    assert np.isnan(gone["p99 (ms)"])
    assert gone["reason"] == "io_uring is disabled on this machine"
    assert set(table["reason"]) == {gone["reason"], "–"}
    assert "reason" not in ROWS["matrix"].table(matrix_cells().drop(columns="reason"))


def test_the_headline_says_whether_one_wins_everything():
    def title(cells):
        return draw("matrix", cells).get_title(loc="left")

    both = pd.concat([cells_of([1, 2, 3]), cells_of([5, 2, 9], "CPU")])
    assert title(both) == "No strategy is among the best in all 2 measures"
    assert title(cells_of([3, 1])) == "s1 is among the best in every measure"
    assert title(cells_of([3])) == "The strategies, measure by measure"
    assert "in all 2 measures" in ROWS["matrix"].alt(both)


def test_the_matrix_in_words_names_the_best_and_the_worst():
    alt = ROWS["matrix"].alt(matrix_cells(), ideals=IDEALS)
    assert "order: blocking round robin, level race" in alt
    assert "slow worker's share (%), ideal 16.7: best " in alt
    assert "p99 (ms): best " in alt


def test_a_cell_may_not_come_twice():
    cells = pd.concat([cells_of([1, 2]), cells_of([3])])
    with pytest.raises(ValueError, match="two values for s0, compiled, p99: give the"):
        draw("matrix", cells)


def test_two_engines_are_named():
    cells = pd.concat([cells_of([1]), cells_of([2]).assign(engine="python")])
    rows = [label.get_text() for label in draw("matrix", cells).get_yticklabels()]
    assert rows == ["s0 (compiled)", "s0 (python)"]


def test_letters_shrink_until_long_names_fit():
    cells = matrix_cells().assign(strategy=lambda all: all["strategy"] + "-" + "x" * 12)
    assert clashes(draw("matrix", cells)) == []


def test_numbers_have_three_digits():
    assert [digits(value) for value in (1.6, 15, 119.9, 1234.5, 0, 0.36, np.nan)] == [
        "1.60", "15.0", "120", "1,234", "0", "0.360", "–",
    ]  # fmt: skip


def half_of(given):
    """The same strategies or settings but the last, with other numbers."""
    kind = "migrate" if "migrate" in given else "strategy"
    kinds = list(dict.fromkeys(given[kind]))
    other = given[given[kind].isin(kinds[: max(1, len(kinds) - 1)])].copy()
    for name in ("share_percent", "top_share_percent", "latency_ms"):
        if name in other:
            other[name] *= 0.8
    return other


OUTLINED = ("slow_worker", "burst", "latency_tail", "worker_death", "steering")


@pytest.mark.parametrize("size", ["page", "one"])
@pytest.mark.parametrize("name", OUTLINED)
def test_an_outline_is_said_and_tabled_and_leaves_every_text_its_room(name, size):
    given, options = SIZES[size][name]
    recorded, before = half_of(given), given.copy()
    row = ROWS[name]
    assert clashes(row.draw(given, recorded=recorded, **options)) == []
    alt = row.alt(given, recorded=recorded, **options)
    assert alt.startswith(row.alt(given, **options))
    assert " Outlined, as recorded: " in alt
    table = row.table(given, recorded=recorded, **options)
    here = table[table["from"] == "here"].drop(columns="from")
    pd.testing.assert_frame_equal(
        here, row.table(given, **options), check_dtype=False, check_like=True
    )
    assert 0 < (table["from"] == "recorded").sum() <= len(here)
    pd.testing.assert_frame_equal(given, before)


@pytest.mark.parametrize("name", OUTLINED)
def test_a_recording_of_other_strategies_leaves_no_outline(name):
    given, options = DATA[name]
    other = given.assign(strategy="another")
    if name == "worker_death":
        given, other = death_runs((True,)), death_runs((False,))
    row = ROWS[name]
    assert row.alt(given, recorded=other, **options).endswith(
        "Outlined, as recorded: nothing that both have."
    )
    assert "recorded" not in set(row.table(given, recorded=other, **options)["from"])
    drawn = row.draw(given, recorded=other, **options)
    assert len(drawn.get_children()) == len(row.draw(given, **options).get_children())


@pytest.mark.parametrize("name", ["slow_worker", "burst"])
def test_a_ring_is_at_the_recorded_median_of_the_strategies_that_both_have(name):
    given, _ = DATA[name]
    recorded = half_of(given)
    axes = draw(name, given, recorded=recorded)
    rows = [label.get_text() for label in axes.get_yticklabels()]
    column = "share_percent" if name == "slow_worker" else "top_share_percent"
    medians = recorded.groupby("strategy")[column].median()
    rings = [
        (x, rows[int(y)])
        for x, y in marks(axes, marker="o", markerfacecolor="none")
        if not np.isnan(x)
    ]
    assert {strategy: x for x, strategy in rings} == medians.to_dict()
    assert len(rings) == len(rows) - 1
    assert "ring: recorded" in axes.get_xlabel()
    assert "ring" not in draw(name, given).get_xlabel()
    ghosts = draw(name, given, recorded=recorded, predicted=PREDICTED)
    assert clashes(ghosts) == []
    other = draw(name, given, recorded=recorded.assign(**{column: 7}))
    assert {x for x, _ in marks(other, marker="o", markerfacecolor="none")} > {7}


def test_a_recording_with_another_number_of_workers_has_another_ideal_and_no_ring():
    given, other = burst_runs(workers=4), burst_runs(workers=8, connections=24)
    assert "nothing that both have" in ROWS["burst"].alt(given, recorded=other)


def test_recorded_latencies_are_thin_lines_in_the_stroke_of_their_strategy():
    given = tail_requests()
    recorded = half_of(tail_requests(("reuseport", "exclusive", "level")))
    axes = draw("latency_tail", given, recorded=recorded, published=PUBLISHED)
    ink = [line for line in axes.lines if line.get_color() == ROLES["recorded"].color]
    assert len(ink) == 2
    own = {line.get_linestyle(): line for line in axes.lines[:4:2]}
    for line, strategy in zip(ink, ("reuseport", "exclusive"), strict=True):
        latency_ms = recorded.loc[recorded["strategy"] == strategy, "latency_ms"]
        assert np.ma.max(line.get_xdata()) == latency_ms.max()
        assert line.get_linewidth() < own[line.get_linestyle()].get_linewidth()
    assert {line.get_linestyle() for line in ink} == set(own)
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [name for name in named if "recorded" in name] == [
        "recorded, in the same strokes"
    ]


def test_the_recorded_share_of_answered_clients_frames_the_bar():
    given, recorded = death_runs(clients=200), death_runs(clients=400)
    axes = draw("worker_death", given, recorded=recorded)
    (without,), (with_it,) = axes.containers[-2:]
    assert without.get_width() == 200 * (400 - 54) / 400
    assert with_it.get_width() == 200
    assert not without.get_fill() or without.get_facecolor()[3] == 0
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == ["answered", "reset", "recorded"]


def test_a_square_has_the_shade_of_the_recorded_share():
    given = steered(["reuseport"])
    recorded = given.assign(connections=[100, 0, 0, 100])
    axes = draw("steering", given, recorded=recorded)
    squares = [patch for patch in axes.patches if patch.get_fill()]
    shades = [patch.get_facecolor()[0] for patch in squares]
    assert [round(shade, 2) for shade in shades] == [0, 1, 1, 0]
    alt = ROWS["steering"].alt(given, recorded=recorded)
    assert alt.endswith("Outlined, as recorded: reuseport 100.0 % on the client's CPU.")


@pytest.mark.parametrize("name", ["slow_worker", "burst", "latency_tail"])
def test_two_have_the_same_scale_if_each_has_room_for_the_other(name):
    given, _ = DATA[name]
    other = half_of(half_of(given))
    limits = [
        draw(name, one, room=room).get_xlim()
        for one, room in ((given, other), (other, given))
    ]
    assert limits[0] == limits[1] != draw(name, other).get_xlim()


def test_bars_and_shades_have_the_scale_of_both():
    few, many = death_runs(clients=200), death_runs(clients=400)
    assert draw("worker_death", few, room=many).get_xlim() == (0, 400)
    even = steered(["reuseport"]).assign(connections=50)
    one_sided = even.assign(connections=[100, 0, 0, 100])
    fills = [
        draw("steering", even, **room).collections[0].get_facecolors()[0, 0]
        for room in ({}, {"room": one_sided})
    ]
    assert fills[0] < fills[1]
