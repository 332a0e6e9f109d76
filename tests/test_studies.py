"""Four named studies: what they measure holds on a busy machine too, their figures take
their tables, and nothing is left behind. Times are never asserted, only relations.
"""

import itertools
import os
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure

from netlab.kernel import machine, threads
from netlab.server import engines, strategies
from netlab.server.strategy import Strategy
from netlab.show.plots import PLOTS
from netlab.study import datapackage, death, latency, recordings, steered, xrayed
from netlab.study.found import Found
from netlab.watch import tracefs
from netlab.watch.trace_tables import COUNTS
from tests.bounded import left_behind, linux, until

pytestmark = [
    linux,
    pytest.mark.skipif(
        engines.find("compiled").missing() is not None, reason="there is no Numba"
    ),
]
REASON = tracefs.available()
traced = pytest.mark.skipif(REASON is not None, reason=str(REASON))
MIGRATION = Path("/proc/sys/net/ipv4/tcp_migrate_req")
QUIET = {"progress": False}
CROWD = latency.CROWD_ROUNDS
UNMIGRATED = "no rights in this test"


def drawn(name, table, **options):
    """The figure's numbers, once it was drawn from a table and said in words."""
    row = PLOTS[name]
    with matplotlib.rc_context({"figure.max_open_warning": 0}):
        figure = row.draw(table, **options).get_figure()
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    assert row.alt(table, **options)
    return row.table(table, **options)


def needs(name):
    """Skip where a strategy cannot run."""
    if reason := strategies.find(name).missing():
        pytest.skip(reason)


@contextmanager
def tidy():
    """Demand that a study leaves nothing behind (a figure does: fonts stay open)."""
    before = left_behind()
    yield
    assert until(lambda: left_behind() == before)


@pytest.fixture
def without_migration(monkeypatch):
    whole = Strategy.missing

    def missing(row):
        return UNMIGRATED if row.name == "reuseport-migrate" else whole(row)

    monkeypatch.setattr(Strategy, "missing", missing)


# -- latency-tail ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def tail():
    needs("reuseport")
    names = ("exclusive", "reuseport")
    return latency.latency_tail(2, names=names, connections=1200, **QUIET)


def test_under_a_hash_many_find_a_short_queue_and_in_a_shared_one_nobody(tail):
    latency_ms = tail.tables["latency_tail"].groupby("strategy")["latency_ms"]
    quick = latency_ms.quantile(0.1) / latency_ms.median()  # noise makes none quicker
    assert quick["reuseport"] < 0.75 * quick["exclusive"]


def test_every_run_has_a_row_a_request_but_for_the_first_rounds(tail):
    runs = tail.tables["latency_tail"].groupby(["strategy", "repeat"]).size()
    assert runs.index.tolist() == [
        *(("exclusive", 0), ("exclusive", 1)),
        *(("reuseport", 0), ("reuseport", 1)),
    ]
    assert set(runs) == {1200 - CROWD * latency.AT_ONCE}
    assert tail.notes == ("of each run the first 240 requests are left out",)


def test_the_summary_tells_the_rows(tail):
    requests, summary = tail.tables["latency_tail"], tail.tables["summary"]
    assert summary.columns.tolist() == [
        *("strategy", "repeat"),
        *("min_ms", "avg_ms", "med_ms", "max_ms", "dev_ms"),
    ]
    first = summary.query("strategy == 'reuseport' and repeat == 0").iloc[0]
    own = requests.query("strategy == 'reuseport' and repeat == 0")["latency_ms"]
    assert first["min_ms"] == pytest.approx(own.min(), abs=1e-3)
    assert first["med_ms"] == pytest.approx(own.median(), abs=1e-3)
    assert first["dev_ms"] == pytest.approx(own.std(ddof=0), abs=1e-3)


def test_the_figure_has_the_published_numbers_beside_ours(tail):
    table = drawn(
        "latency_tail", tail.tables["latency_tail"], published=latency.published()
    )
    theirs = table.query("source == 'published'")
    assert theirs["strategy"].tolist() == ["exclusive", "reuseport"]
    assert theirs["dev_ms"].tolist() == [1.58, 25.27]


def test_missing_published_numbers_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(latency, "PUBLISHED", tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match=r"none\.csv is missing: .* checkout"):
        latency.published()


def test_the_first_rounds_alone_are_no_result():
    with pytest.raises(ValueError, match=r"connections=240: .* more than 240"):
        latency.latency_tail(connections=240, **QUIET)


def test_every_published_file_has_its_source():
    folder = latency.PUBLISHED.parent
    told = (folder / "README.md").read_text()
    for path in folder.glob("*.csv"):
        assert f"## {path.name}" in told


# -- worker-death ---------------------------------------------------------------------


def test_without_migration_some_are_reset_and_with_it_none():
    needs("reuseport-migrate")
    before = MIGRATION.read_text()
    with tidy():
        found = death.worker_death(2, clients=60, **QUIET)
    table = found.tables["worker_death"]
    assert MIGRATION.read_text() == before
    assert (table["reset"] + table["answered"] == 60).all()
    assert (table.loc[~table["migrate"], "reset"] > 0).all()
    assert (table.loc[~table["migrate"], "answered"] > 0).all()
    assert (table.loc[table["migrate"], "reset"] == 0).all()
    assert table["migrate"].tolist() == [False, False, True, True]
    assert found.notes == ()
    assert drawn("worker_death", table)["neither"].tolist() == [0, 0]


def test_where_the_sysctl_cannot_be_changed_a_note_says_so(without_migration):
    needs("reuseport")
    with tidy():
        found = death.worker_death(1, clients=30, **QUIET)
    table = found.tables["worker_death"]
    assert table["migrate"].tolist() == [False]
    assert found.notes == (f"reuseport-migrate cannot run here: {UNMIGRATED}",)
    assert drawn("worker_death", table)["clients"].tolist() == [30]


def test_clients_that_do_not_all_wait_give_no_number(monkeypatch, without_migration):
    needs("reuseport")
    waiting = death.Server.waiting
    monkeypatch.setattr(death.Server, "waiting", lambda own: waiting(own) - 1)
    with tidy(), pytest.raises(RuntimeError, match=r"9 of 10 clients wait .* idle"):
        death.worker_death(1, clients=10, **QUIET)


@pytest.mark.parametrize(
    ("settings", "told"), [({"clients": 0}, "clients=0"), ({"repeats": 0}, "repeats=0")]
)
def test_a_death_without_clients_or_runs_is_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        death.worker_death(**QUIET | settings)


# -- steering -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def steering():
    for name in steered.NAMES:
        needs(name)
    return steered.steering(connections=20, **QUIET)


def test_every_pair_of_cpu_and_worker_has_a_row(steering):
    cpus = machine.cpus_allowed()[: steered.CPUS]
    table = steering.tables["steering"]
    pairs = table[["strategy", "client_cpu", "worker", "worker_cpu"]]
    workers = tuple(enumerate(cpus))
    assert list(pairs.itertuples(index=False, name=None)) == [
        (name, cpu, *worker)
        for name, cpu, worker in itertools.product(steered.NAMES, cpus, workers)
    ]
    assert (table.groupby(["strategy", "client_cpu"])["connections"].sum() == 20).all()
    assert len(drawn("steering", table)) == len(table)


def test_program_and_option_keep_connections_on_the_clients_cpu(steering):
    own = steering.tables["steering"].query("client_cpu == worker_cpu")
    option = own.query("strategy == 'reuseport-incoming-cpu'")["connections"]
    program = own.query("strategy == 'reuseport-cpu'")["connections"]
    cpus = len(machine.cpus_allowed()[: steered.CPUS])
    assert option.tolist() == [20] * cpus
    assert program.tolist() == [20] * cpus or any(
        note.startswith("the workers run on CPUs") for note in steering.notes
    )


def test_packets_come_from_the_cpu_that_the_client_is_bound_to(steering):
    accepts = steering.tables["accepts"]
    assert (accepts["incoming_cpu"] == accepts["client_cpu"]).all()
    assert accepts.groupby(["strategy", "client_cpu"]).size().unique() == [20]


def test_steering_leaves_neither_a_process_nor_a_binding():
    needs("reuseport")
    allowed = os.sched_getaffinity(0)
    with tidy():
        steered.steering(names=("reuseport",), connections=5, **QUIET)
    assert os.sched_getaffinity(0) == allowed


@pytest.mark.skipif(len(machine.cpus_allowed()) < 2, reason="there is one CPU here")
def test_on_one_cpu_steering_says_that_it_shows_nothing():
    needs("reuseport")
    allowed = os.sched_getaffinity(0)
    last = max(allowed)
    try:
        threads.pin([last])
        found = steered.steering(names=("reuseport",), connections=5, **QUIET)
    finally:
        threads.pin(allowed)
    assert found.tables["steering"]["worker_cpu"].tolist() == [last]
    assert found.notes[0] == (
        "there is one CPU here: every worker is on the client's CPU"
    )
    drawn("steering", found.tables["steering"])


@pytest.mark.parametrize("study", [steered.steering, xrayed.xray])
def test_no_repeats_are_refused(study):
    with pytest.raises(ValueError, match="repeats=0: give a number from 1"):
        study(0, **QUIET)


@pytest.mark.parametrize(
    ("cpus", "notes"),
    [((0, 1), 0), ((2, 3), 0), ((1, 2), 1), ((0, 2, 4), 1), ((0,), 1), ((3,), 1)],
)
def test_doubts_are_about_cpus_where_the_program_misses(cpus, notes):
    assert len(steered._doubts(cpus)) == notes


# -- xray -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shots():
    with tidy():
        return xrayed.xray(3, **QUIET)


def least_woken(traces):
    return traces.groupby("strategy")["woken"].min().to_dict()


@traced
def test_one_connection_wakes_all_under_level_and_one_under_exclusive(shots):
    traces = shots.tables["traces"]
    assert least_woken(traces) == {"level": 4, "exclusive": 1}
    assert (traces["accepted"] == 1).all()
    assert (traces["returned"] == traces["accepted"] + traces["would_block"]).all()
    assert (traces["duration_us"] > 0).all()
    assert traces["ran"].notna().all()
    assert shots.notes == (xrayed.CHOICE,)


@traced
def test_the_shown_traces_are_drawn_with_all_workers(shots):
    level = drawn("xray", shots.tables["xray"])
    assert (level["woken"] >= 1).all()
    assert len(level) == 4
    exclusive = drawn("xray", shots.tables["xray_exclusive"])
    assert sorted(exclusive["outcome"])[:1] == ["accepted"]
    assert len(exclusive) == 4


def shot(strategy, would_block, duration_us):
    row = {"strategy": strategy, "would_block": would_block}
    return xrayed.Shot(row | {"duration_us": duration_us}, pd.DataFrame())


def test_the_shortest_is_shown_and_of_level_the_shortest_with_an_eagain():
    level = [shot("level", 0, 10), shot("level", 1, 30), shot("level", 2, 20)]
    assert xrayed.clearest(level) is level[2]
    assert xrayed.clearest(level[:1]) is level[0]
    exclusive = [shot("exclusive", 1, 30), shot("exclusive", 0, 20)]
    assert xrayed.clearest(exclusive) is exclusive[1]
    with pytest.raises(RuntimeError, match=r"no trace is complete: .* more repeats"):
        xrayed.clearest([])


@pytest.fixture
def untraced(monkeypatch, tmp_path):
    monkeypatch.setattr(xrayed.trace, "available", lambda: "it takes root")
    monkeypatch.setattr(datapackage, "DATA", tmp_path)
    return tmp_path


def test_without_rights_the_log_of_turns_is_drawn_and_a_note_says_so(untraced):
    with tidy():
        found = xrayed.xray(3, **QUIET)
    assert list(found.tables) == ["xray", "xray_exclusive", "traces"]
    assert found.notes[0].startswith("not traced: it takes root. ")
    traces = found.tables["traces"]
    assert traces.columns.tolist() == ["strategy", "repeat", *COUNTS, "duration_us"]
    assert traces["ran"].isna().all()
    assert (traces["slept_again"] == traces["woken"] - traces["returned"]).all()
    assert least_woken(traces) == {"level": 4, "exclusive": 1}
    for name in ("xray", "xray_exclusive"):
        assert set(found.tables[name]["what"]) <= {
            *("asleep", "running", "accept", "EAGAIN"),
        }
        lanes = drawn("xray", found.tables[name])
        assert len(lanes) == 4
        assert lanes["outcome"].str.startswith("accepted").sum() == 1
        assert (lanes["waited_us"] == 0).all()


def test_turns_become_spans_without_gaps():
    turn = pd.DataFrame(
        [(0, 100, 200, 1, 0), (2, 150, 400, 0, 1), (0, 300, 350, 0, 1)],
        columns=["worker", "woke_ns", "slept_ns", "accepted", "would_block"],
    )
    table = xrayed._timeline(list(turn.itertuples()), cpus=[0, 1, 0])
    spans = table.query("kind == 'span'")
    for worker, own in spans.groupby("worker"):
        assert own["begin_ns"].iat[0] == 82
        assert own["end_ns"].iat[-1] == 418
        assert own["end_ns"].tolist()[:-1] == own["begin_ns"].tolist()[1:]
        assert set(own["cpu"]) == {worker % 2}
    running = spans.query("what == 'running'")
    assert running["begin_ns"].tolist() == [100, 300, 150]
    assert running["end_ns"].tolist() == [200, 350, 400]
    marks = table.query("kind == 'mark'")[["worker", "what", "begin_ns"]]
    assert marks.to_numpy().tolist() == [
        *([0, "accept", 200], [2, "EAGAIN", 400], [0, "EAGAIN", 350]),
    ]


def test_without_rights_a_recorded_trace_is_given_beside_it(untraced):
    recorded = pd.DataFrame(
        [("span", 0, "asleep", 0, 5, 1)],
        columns=["kind", "worker", "what", "begin_ns", "end_ns", "cpu"],
    )
    earlier = Found("xray", {"xray": recorded}, {"seed": 1})
    recordings.record(earlier, command="made up", folder=untraced)
    found = xrayed.xray(1, **QUIET)
    pd.testing.assert_frame_equal(found.tables["recorded"], recorded, check_dtype=False)


# -- all ------------------------------------------------------------------------------


def test_what_was_found_is_saved(tail, shots, steering, tmp_path):
    for found in (tail, shots, steering):
        folder = found.save(tmp_path / found.name)
        for name, table in found.tables.items():
            again = pd.read_csv(folder / f"{name}.csv")
            assert again.columns.tolist() == table.columns.tolist()
            assert len(again) == len(table)
        assert found.as_dict()["study"] == found.name
