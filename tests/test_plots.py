"""Each plot draws the numbers of its table, and its alt text says them."""

import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from netlab.show import figures, tables
from netlab.show.plots import PLOTS


def workers_of(counts, cpus=2):
    numbers = range(len(counts))
    return pd.DataFrame(
        {"worker": numbers, "cpu": [n % cpus for n in numbers], "accepted": counts}
    )


def samples_of(workers=3, looks=21, cpus=2, seed=1):
    random = np.random.default_rng(seed)
    frames = [
        pd.DataFrame(
            {
                "time_s": np.arange(looks) / 20,
                "worker": worker,
                "psr": random.integers(cpus, size=looks),
                "cpu_ns": np.cumsum(random.integers(2, size=looks) * 1000),
            }
        )
        for worker in range(workers)
    ]
    return pd.concat(frames).sort_values(["time_s", "worker"], ignore_index=True)


def accepts_of(owners):
    return pd.DataFrame({"sequence": range(len(owners)), "owner": owners})


def requests_of(workers=3, each=200, seed=1):
    random = np.random.default_rng(seed)
    latency = random.lognormal(13, 1, workers * each).astype(int)
    return pd.DataFrame(
        {"worker": np.repeat(range(workers), each), "latency_ns": latency}
    )


DATA = {
    "accepts_per_worker": workers_of([10, 1234, 0]),
    "cpu_placement": samples_of(),
    "accept_timeline": accepts_of([0, 1, 2, 1] * 20),
    "latency_by_worker": requests_of(),
}
MANY = {
    "accepts_per_worker": workers_of(list(range(64)), cpus=64),
    "cpu_placement": samples_of(workers=64, cpus=64),
    "accept_timeline": accepts_of([n * 7 % 64 for n in range(64)]),
    "latency_by_worker": requests_of(workers=64, each=3),
}
ONE = {
    "accepts_per_worker": workers_of([0]),
    "cpu_placement": samples_of(workers=1, looks=2),
    "accept_timeline": accepts_of([0]),
    "latency_by_worker": requests_of(workers=1, each=1),
}


def texts(axes):
    return [text.get_text() for text in axes.texts]


def heights(container):
    return [bar.get_height() for bar in container]


def draw(name, *args, **options):
    return PLOTS[name].draw(*args, **options)


@pytest.mark.parametrize("data", [DATA, MANY, ONE], ids=["some", "many", "one"])
@pytest.mark.parametrize("name", DATA)
def test_every_plot_is_shown_with_its_words_and_table(name, data):
    row, given = PLOTS[name], data[name].copy()
    axes = row.draw(given)
    shown = figures.show(axes, stamp="s", alt=row.alt(given), table=row.table(given))
    assert shown.alt.endswith(".")
    assert len(shown.png) < 100_000
    pd.testing.assert_frame_equal(given, data[name])  # nothing was written into it


@pytest.mark.parametrize("name", DATA)
def test_every_plot_refuses_an_empty_table_and_says_what_to_do(name):
    empty = DATA[name].head(0)
    for make in (PLOTS[name].draw, PLOTS[name].alt, PLOTS[name].table):
        with pytest.raises(ValueError, match=r"there are no \w+: (give|sample)"):
            make(empty)


@pytest.mark.parametrize("name", DATA)
def test_a_missing_column_is_named(name):
    column = DATA[name].columns[-1]
    with pytest.raises(ValueError, match=f"lack the column {column}"):
        draw(name, DATA[name].drop(columns=column))


@pytest.mark.parametrize("name", DATA)
def test_every_plot_draws_on_given_axes_and_in_its_own_style(name):
    axes = Figure().add_subplot()
    with matplotlib.rc_context({"text.color": "red", "axes.labelcolor": "red"}):
        assert draw(name, DATA[name], axes=axes) is axes
        assert matplotlib.rcParams["text.color"] == "red"
    assert "red" not in {text.get_color() for text in axes.texts}


def test_bars_are_labelled_with_the_data_and_the_equal_share():
    axes = draw("accepts_per_worker", workers_of([10, 1234, 0, 4]))
    assert heights(axes.containers[0]) == [10, 0, 1234, 4]  # by CPU, then worker
    assert {"10", "1,234", "0", "4", "equal\nshare\n312"} <= set(texts(axes))
    assert [label.get_text() for label in axes.get_xticklabels()] == list("0213")
    assert axes.get_ylim()[0] == 0


def test_bars_of_one_cpu_stand_together():
    bars = draw("accepts_per_worker", workers_of([1] * 6)).containers[0]
    steps = np.diff([bar.get_x() for bar in bars])
    assert steps.argmax() == 2
    assert len(set(np.round(np.delete(steps, 2), 9))) == 1


def test_a_connection_counts_for_its_owner():
    frame = workers_of([10, 0]).assign(received=[0, 4], given=[4, 0])
    assert list(PLOTS["accepts_per_worker"].table(frame)["connections"]) == [6, 4]


def test_a_guess_is_a_ghost_beside_and_a_recording_an_outline_around():
    axes = draw(
        "accepts_per_worker",
        workers_of([5, 7]),
        predicted=[9, 3],
        recorded=workers_of([6, 6]),
    )
    measured, ghosts, outlines = axes.containers
    assert (heights(measured), heights(ghosts)) == ([5, 7], [9, 3])
    assert heights(outlines) == [6, 6]
    assert ghosts[0].get_hatch()
    assert ghosts[0].get_linestyle() == "--"
    assert ghosts[0].get_x() == pytest.approx(measured[0].get_x() + 0.4)
    assert outlines[0].get_x() == pytest.approx(measured[0].get_x())
    assert outlines[0].get_facecolor()[3] == 0
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == ["measured", "your prediction", "recorded run"]


def test_guesses_are_in_the_order_of_the_workers_whatever_the_cpus():
    table = tables.accepts_per_worker_table(workers_of([1, 2, 3]), predicted=[1, 2, 3])
    assert (table["predicted"] == table["connections"]).all()
    with pytest.raises(ValueError, match="predicted has 2 values"):
        tables.accepts_per_worker_table(workers_of([1, 2, 3]), predicted=[1, 2])


def test_of_many_bars_the_least_and_the_most_are_labelled():
    counts = [*range(100, 163), 7]
    axes = draw("accepts_per_worker", workers_of(counts))
    assert {"7", "162"} <= set(texts(axes))
    assert "120" not in texts(axes)
    assert len(axes.get_xticklabels()) <= 32
    alt = PLOTS["accepts_per_worker"].alt(workers_of(counts))
    assert "fewest are 7 on worker 63" in alt
    assert "most 162 on worker 62" in alt


def test_the_words_of_the_bars_name_every_count():
    alt = PLOTS["accepts_per_worker"].alt(
        workers_of([10, 1234, 0]), predicted=[1, 2, 3]
    )
    assert "1,244 connections on 3 workers" in alt
    assert "worker 1 on CPU 1: 1,234 (predicted 2)" in alt


def test_stretches_cover_the_time_and_change_where_the_samples_do():
    samples = samples_of(workers=4, looks=50)
    table = PLOTS["cpu_placement"].table(samples)
    for worker, rows in table.groupby("worker"):
        looks = samples[samples["worker"] == worker]
        assert (rows["from_s"].to_numpy()[1:] == rows["to_s"].to_numpy()[:-1]).all()
        assert rows["from_s"].min() == 0
        assert rows["to_s"].max() == looks["time_s"].max()
        state = rows[["cpu", "ran"]].to_numpy(int)
        assert (np.diff(state, axis=0) != 0).any(axis=1).all()


def test_a_thread_that_used_no_cpu_time_did_not_run():
    samples = pd.DataFrame(
        {
            "time_s": [0, 1, 2, 3],
            "worker": 0,
            "psr": [0, 0, 0, 1],
            "cpu_ns": [0, 5, 5, 9],
        }
    )
    table = PLOTS["cpu_placement"].table(samples)
    assert table["ran"].tolist() == [True, False, True]
    assert table["cpu"].tolist() == [0, 0, 1]
    alt = PLOTS["cpu_placement"].alt(samples)
    assert "1 of them changed CPU" in alt
    assert "worker 0: CPU 0, 1, ran in 67 %" in alt


def test_placement_has_a_form_per_stretch_high_where_the_thread_ran():
    samples = samples_of(workers=5)
    table = PLOTS["cpu_placement"].table(samples)
    axes = draw("cpu_placement", samples)
    (drawn,) = (c for c in axes.collections if isinstance(c, PolyCollection))
    forms = [path.get_extents() for path in drawn.get_paths()]
    assert [form.x0 for form in forms] == table["from_s"].tolist()
    assert [form.x1 for form in forms] == table["to_s"].tolist()
    assert [form.height > 0.5 for form in forms] == table["ran"].tolist()
    fills = {tuple(color) for color in drawn.get_facecolors()}
    assert len(fills) == table.groupby(["cpu", "ran"]).ngroups
    assert set(texts(axes)) <= {"0", "1"}
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["CPU", "0", "1"]


def test_a_single_look_is_refused():
    with pytest.raises(ValueError, match="single look: sample the run"):
        draw("cpu_placement", samples_of(looks=1))


def test_the_timeline_marks_each_connection_at_its_worker():
    owners = [0, 2, 1, 2] * 20
    axes = draw("accept_timeline", accepts_of(owners), first=10, workers=4)
    marks = {
        (int(x), int(y))
        for line in axes.lines
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }
    assert marks == {(n + 1, owner) for n, owner in enumerate(owners[:10])}
    assert len({str(line.get_marker()) for line in axes.lines}) == 3
    assert texts(axes) == ["got", "3", "2", "5", "0"]
    alt = PLOTS["accept_timeline"].alt(accepts_of(owners), first=10, workers=4)
    assert "0 2 1 2 0 2 1 2 0 2" in alt
    assert "worker 2 5" in alt
    with pytest.raises(ValueError, match="first=0"):
        draw("accept_timeline", accepts_of(owners), first=0)


def test_latencies_are_quantiles_in_milliseconds():
    requests = requests_of()
    table = PLOTS["latency_by_worker"].table(requests)
    own = requests[requests["worker"] == 1]["latency_ns"]
    assert table["p50_ms"][1] == pytest.approx(own.median() / 1e6)
    assert table["requests"].tolist() == [200, 200, 200]
    axes = draw("latency_by_worker", requests)
    assert axes.get_xscale() == "log"
    assert f"{table['p50_ms'][1]:.3g} ms" in texts(axes)
    assert f"median {table['p50_ms'][1]:.3g}" in PLOTS["latency_by_worker"].alt(
        requests
    )


def test_answers_of_other_servers_have_no_worker():
    with pytest.raises(ValueError, match="no requests with a worker"):
        draw("latency_by_worker", requests_of().assign(worker=-1))


@pytest.mark.parametrize("module", ["netlab", "netlab.show"])
def test_importing_netlab_loads_no_plotting(module):
    code = f"import {module}, sys; print({{'matplotlib', 'pandas'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_drawing_needs_no_pyplot():
    code = "import netlab.show.plots, sys; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
