"""A run: checked, told in tables and figures, saved and opened as it was."""

import builtins
import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pandas as pd
import pytest

import netlab
from netlab import Run, counters
from netlab.load.generator import Generator
from netlab.load.result import LoadError
from netlab.server import strategies
from netlab.server.worker import Worker
from netlab.study import experiment
from netlab.study.conservation import ConservationError
from netlab.study.repeats import repeated, summary
from netlab.study.run import RUN_FILE, TABLES
from netlab.study.stats import jain
from tests.bounded import (
    background,
    children,
    exchange,
    free_port,
    left_behind,
    linux,
    until,
    workers,
)

pytestmark = linux
FIGURES = {
    "accepts": list,
    "accept_wakeups_per_accept": type(None),
    "accept_turns_per_accept": type(None),
    "accept_would_block_per_accept": type(None),
    "accept_cpu_us_per_accept": type(None),
    "wakeups_per_accept": float,
    "turns_per_accept": float,
    "would_block_per_accept": float,
    "order": str,
    "accept_order": str,
    "jain": float,
    "statuses": dict,
    "p50_us": float,
    "p90_us": float,
    "p99_us": float,
    "max_us": float,
    "requests_per_s": float,
    "load_cpu_us_per_request": float,
    "late_sends": type(None),
    "on_time_percent": type(None),
    "schedule": type(None),
    "server_cpu_us_per_request": float,
    "conserved": bool,
    "settled": bool,
    "sampler_cost_percent": float,
    "throttling": dict,
    "listen_queue": dict,
}


@pytest.fixture(scope="module")
def generator():
    with Generator() as kept:
        yield kept


@pytest.fixture(scope="module")
def closed(generator):
    """An ordinary run."""
    return netlab.run(
        workers=3,
        connections=60,
        requests=2,
        sample_rate_per_s=100,
        generator=generator,
    )


@pytest.fixture(scope="module")
def touched(generator):
    """A run that measures the cost of accepting alone."""
    return netlab.run(
        workers=4, plan="touch", connections=30, pause_ms=20, generator=generator
    )


def tables(run):
    return {name: getattr(run, name) for name in TABLES}


# -- what a run tells -----------------------------------------------------------------


def test_tables_agree_with_one_another(closed):
    sizes = {name: len(table) for name, table in tables(closed).items()}
    samples, checks = sizes.pop("samples"), sizes.pop("checks")
    assert sizes == {"workers": 3, "accepts": 60, "requests": 120, "connections": 60}
    assert samples >= 2 * 3
    assert checks == 3 + 3 + 5
    assert closed.checks["holds"].all()
    assert closed.workers["accepted"].sum() == closed.workers["closed"].sum() == 60
    assert closed.workers["answers"].sum() == 120
    assert (closed.workers["open"] == 0).all()
    assert set(closed.workers["state"]) == {"ended"}


def test_client_and_server_saw_the_same_connections(closed):
    ours = closed.accepts.set_index("port")["owner"]
    theirs = closed.connections.set_index("connection")["port"]
    asked = closed.requests["connection"].map(theirs)
    assert closed.requests["worker"].tolist() == asked.map(ours).tolist()


def test_figures_are_those_of_the_tables(closed):
    figures = closed.figures
    assert {name: type(value) for name, value in figures.items()} == FIGURES
    accepted = closed.workers["accepted"].tolist()
    assert figures["accepts"] == accepted
    assert figures["order"] == "".join(map(str, closed.accepts["owner"]))
    assert figures["accept_order"] == figures["order"]
    assert figures["turns_per_accept"] == round(closed.workers["turns"].sum() / 60, 4)
    assert figures["wakeups_per_accept"] == round(
        closed.workers["wakeups"].sum() / 60, 4
    )
    assert figures["p50_us"] <= figures["p90_us"] <= figures["p99_us"]
    assert figures["max_us"] == round(closed.requests["latency_ns"].max() / 1000, 3)
    assert figures["conserved"] is True
    assert figures["settled"] is True


def test_order_shows_the_first_hundred(generator):
    got = netlab.run(workers=2, connections=130, generator=generator)
    assert len(got.figures["order"]) == 100
    assert sum(got.figures["accepts"]) == len(got.accepts) == 130


def test_requested_and_actual_differ_where_they_should(closed):
    requested, actual = closed.settings["requested"], closed.settings["actual"]
    assert requested["server"]["loop"] is None
    assert actual["server"]["loop"] == "epoll"
    assert requested["server"]["listen"] == ["127.0.0.1:0"]
    assert int(actual["server"]["listen"][0].rpartition(":")[2]) > 0
    assert requested["server"]["register_order"] is None
    assert actual["server"]["register_order"] == [0, 1, 2]
    load = requested["load"]
    assert (load["connections"], load["requests"], load["at_once"]) == (60, 2, None)
    assert requested["server"]["accept_log"] != actual["server"]["accept_log"] == 60
    assert (actual["load"]["at_once"], actual["load"]["path"]) == (8, "/")
    assert actual["sample_rate_per_s"] == 100


def test_everything_but_the_tables_is_json(closed):
    told = closed.summary()
    assert json.loads(json.dumps(told)) == told
    assert told["machine"]["cpus_owned"] >= 1
    assert told["accepts"] == closed.figures["accepts"]


def test_run_says_what_it_is(closed):
    assert repr(closed).startswith("<netlab.Run: 'level' on 3 workers, accepts [")


def test_register_order_is_recorded(generator):
    got = netlab.run(
        workers=3, register_order=[2, 0, 1], connections=5, generator=generator
    )
    for side in ("requested", "actual"):
        assert got.settings[side]["server"]["register_order"] == [2, 0, 1]


@pytest.mark.parametrize("loop", ["epoll", "select"])
def test_loop_that_was_asked_for_is_used(generator, loop):
    got = netlab.run(workers=2, loop=loop, connections=20, generator=generator)
    assert got.settings["actual"]["server"]["loop"] == loop


def test_touch_wakes_all_workers_for_each_connection(touched):
    assert touched.figures["accept_wakeups_per_accept"] >= 0.9 * 4
    assert len(touched.requests) == 0
    assert touched.figures["p50_us"] is touched.figures["requests_per_s"] is None
    assert touched.figures["server_cpu_us_per_request"] is None
    assert sum(touched.figures["accepts"]) == 30


def test_wakeups_of_accepting_are_part_of_all_wakeups(touched):
    figures = touched.figures
    assert figures["accept_wakeups_per_accept"] <= figures["wakeups_per_accept"]


def test_only_touch_tells_the_wakeups_of_accepting(closed):
    assert closed.figures["accept_wakeups_per_accept"] is None


def test_by_duration(generator):
    got = netlab.run(workers=2, duration_s=0.2, generator=generator)
    assert len(got.requests) == got.workers["answers"].sum() > 8
    assert got.connections["outcome"].unique().tolist() == ["closed"]


def test_without_samples(generator):
    got = netlab.run(
        workers=2, connections=5, sample_rate_per_s=None, generator=generator
    )
    assert len(got.samples) == 0
    assert got.figures["sampler_cost_percent"] is None
    assert got.settings["actual"]["sample_rate_per_s"] is None


# -- what stops a run -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "told"),
    [
        ({"colour": "red"}, TypeError, "unknown setting colour"),
        ({"workers": 0}, ValueError, "workers=0"),
        ({"at_once": 0}, ValueError, "at_once=0"),
        ({"sample_rate_per_s": 1000}, ValueError, "rate_per_s=1000"),
        ({"listen": ["0.0.0.0:0"]}, ValueError, "other machines"),
        ({"timeout_s": 0.05, "path": "/spin/90000"}, LoadError, "not finished in time"),
    ],
    ids=str,
)
def test_run_that_cannot_be(settings, error, told):
    before = left_behind()
    with pytest.raises(error, match=told):
        netlab.run(**settings)
    assert left_behind() == before


def test_another_client_spoils_the_run():
    port = free_port()

    def disturb():
        def asked():
            try:
                return exchange(("127.0.0.1", port))
            except OSError:
                return None

        return until(asked)

    with (
        background(disturb) as answer,
        pytest.raises(ConservationError, match="connections: ") as caught,
    ):
        netlab.run(workers=2, duration_s=1, listen=[f"127.0.0.1:{port}"])
    assert answer.result().startswith(b"HTTP/1.1 200")
    broken = {check.what for check in caught.value.checks if not check.holds}
    assert "connections" in broken
    assert any(what.endswith("answers") for what in broken)
    until(lambda: workers() == [])


def test_counter_that_is_false_spoils_the_run(generator, monkeypatch):
    class Doctored(netlab.Server):
        def snapshot(self):
            rows = super().snapshot()
            rows["accepted"][0] += not self.running
            return rows

    monkeypatch.setattr(experiment, "Server", Doctored)
    with pytest.raises(ConservationError, match="worker 0, in and out: "):
        netlab.run(workers=2, connections=5, generator=generator)


@pytest.mark.parametrize("plan", ["closed", "touch"])
def test_worker_that_dies_is_named(generator, monkeypatch, plan):
    turn = Worker.turn

    def faulty(self):
        if self.number == 1 and self.tally.turns == 3:
            raise ZeroDivisionError("this worker is faulty")
        return turn(self)

    monkeypatch.setattr(Worker, "turn", faulty)
    with pytest.raises(RuntimeError, match=r"worker 1 died .*this worker is faulty"):
        netlab.run(workers=2, plan=plan, connections=50, generator=generator)
    until(lambda: workers() == [])


def test_runs_leave_nothing():
    netlab.run(workers=2, connections=5)
    before = left_behind()
    netlab.run(workers=2, connections=5)
    netlab.run(workers=2, plan="touch", connections=5)
    assert left_behind() == before


def test_two_runs_at_the_same_time():
    settings = {"workers": 2, "connections": 200, "requests": 2}
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(netlab.run, **settings) for _ in range(2)]
        figures = [run.result().figures for run in runs]
    for figure in figures:
        assert figure["conserved"]
        assert sum(figure["accepts"]) == 200
    until(lambda: workers() == [])


# -- repeats --------------------------------------------------------------------------


def test_repeats_are_runs_with_one_process():
    before = children()
    runs = repeated(3, workers=2, connections=20)
    assert children() == before
    assert [sum(run.figures["accepts"]) for run in runs] == [20, 20, 20]
    assert len({run.settings["actual"]["server"]["listen"][0] for run in runs}) == 3


def test_summary_has_medians_and_every_run():
    runs = repeated(3, workers=2, connections=20)
    told = summary(runs)
    assert told["repeats"] == [run.figures for run in runs]
    for name in ("p50_us", "wakeups_per_accept", "requests_per_s"):
        assert told[name] == statistics.median(run.figures[name] for run in runs)
    for name in ("accepts", "order", "jain", "throttling"):
        assert told[name] == runs[-1].figures[name]
    assert json.loads(json.dumps(told)) == told


def test_truths_of_a_summary_hold_for_all(closed):
    unsettled = replace(closed, figures=closed.figures | {"settled": False})
    assert summary([unsettled, closed])["settled"] is False
    assert summary([closed, closed])["settled"] is True


@pytest.mark.parametrize("repeats", [0, -1, 1.5, True, "3"])
def test_repeats_that_are_refused(repeats):
    with pytest.raises(ValueError, match=f"repeats='?{repeats}"):
        repeated(repeats, workers=1)


@pytest.mark.parametrize(
    "settings",
    [
        {"duration_s": 0.1},
        {"plan": "touch", "connections": 3, "pause_ms": 0},
        {"connections": 2, "at_once": 2},
    ],
    ids=str,
)
def test_repeats_of_any_load(settings):
    (got,) = repeated(1, workers=2, **settings)
    assert got.figures["conserved"]


# -- saved and opened -----------------------------------------------------------------


@pytest.fixture(scope="module", params=["closed", "touch", "no samples", "no log"])
def kept(request, generator):
    if request.param in ("closed", "touch"):
        name = {"closed": "closed", "touch": "touched"}[request.param]
        return request.getfixturevalue(name)
    more = {"no samples": {"sample_rate_per_s": None}, "no log": {"accept_log": 0}}
    return netlab.run(
        workers=2, connections=9, generator=generator, **more[request.param]
    )


def test_saved_run_opens_as_it_was(kept, tmp_path):
    opened = Run.open(kept.save(tmp_path / "new" / "run"))
    for name, table in tables(kept).items():
        pd.testing.assert_frame_equal(getattr(opened, name), table, check_exact=True)
    assert opened.settings == kept.settings
    assert opened.machine == kept.machine
    assert opened.figures == kept.figures
    assert repr(opened) == repr(kept)


def test_saved_again_it_is_the_same(kept, tmp_path):
    Run.open(kept.save(tmp_path / "one")).save(tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_run_with_an_empty_accept_log_adds_up(generator):
    got = netlab.run(workers=2, connections=9, accept_log=0, generator=generator)
    assert len(got.accepts) == 0
    assert got.figures["order"] == ""
    assert sum(got.figures["accepts"]) == 9


@pytest.mark.parametrize("name", [RUN_FILE, *(f"{name}.csv" for name in TABLES)])
def test_file_that_is_missing_is_named(closed, tmp_path, name):
    folder = closed.save(tmp_path / "run")
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        Run.open(folder)


def cut(text):
    return text[: len(text) // 2]


def without_a_line(text):
    return text.replace(text.splitlines(keepends=True)[1], "", 1)


def with_another_column(text):
    return text.replace(",", ",other,", 1)


def with_a_word(text):
    head, row, *rest = text.splitlines()
    return "\n".join([head, "many" + row[row.index(",") :], *rest])


def emptied(text):
    return ""


def edited(**changes):
    def edit(text):
        record = json.loads(text)
        kept = {
            name: x for name, x in record.items() if changes.get(name, 1) is not None
        }
        return json.dumps(kept | {name: x for name, x in changes.items() if x})

    return edit


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *((f"{name}.csv", cut) for name in ("workers", "accepts", "requests")),
        ("connections.csv", emptied),
        ("connections.csv", without_a_line),
        ("samples.csv", with_another_column),
        ("workers.csv", with_a_word),
        (RUN_FILE, cut),
        (RUN_FILE, emptied),
        (RUN_FILE, lambda text: "[]"),
        (RUN_FILE, lambda text: "{}"),
        (RUN_FILE, edited(format=99)),
        (RUN_FILE, edited(figures=None)),
        (RUN_FILE, edited(columns=None)),
        (RUN_FILE, edited(rows={"workers": 1})),
        (RUN_FILE, edited(columns={"workers": {}})),
        (RUN_FILE, edited(columns=["workers"])),
    ],
)
def test_file_that_is_damaged_is_named(closed, tmp_path, name, change):
    folder = closed.save(tmp_path / "run")
    (folder / name).write_text(change((folder / name).read_text()))
    with pytest.raises(ValueError, match=name):
        Run.open(folder)


def test_file_that_is_not_text_is_named(closed, tmp_path):
    folder = closed.save(tmp_path / "run")
    for name in (RUN_FILE, "workers.csv"):
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes(b"\xff\xfe" + kept)
        with pytest.raises(ValueError, match=name):
            Run.open(folder)
        (folder / name).write_bytes(kept)
    assert Run.open(folder)


def test_nothing_that_exists_is_overwritten(closed, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name in ("file", "full"):
        with pytest.raises(FileExistsError, match=f"{name} exists"):
            closed.save(tmp_path / name)
    folder = closed.save(str(tmp_path / "empty"))
    with pytest.raises(FileExistsError, match="new folder"):
        closed.save(folder)
    assert (tmp_path / "full" / "file").read_text() == "mine"


def test_counters_have_one_list(closed):
    columns = closed.workers.columns.tolist()
    assert [name for name in columns if name != "open"] == list(counters.NAMES)


def test_jain_belongs_to_the_accepts_it_stands_beside():
    told = summary(repeated(3, workers=2, connections=30))
    assert told["jain"] == round(jain(told["accepts"]), 4)
    assert told["jain"] == told["repeats"][-1]["jain"]


def test_an_error_in_the_servers_code_is_told(monkeypatch):
    def broken(*_, **__):
        raise NameError("a typing mistake")

    monkeypatch.setattr("netlab.server.serving.answer", broken)
    with pytest.raises(RuntimeError, match=r"ended a connection.*a typing mistake"):
        netlab.run(workers=2, connections=5)


def test_a_strategy_that_hands_over_is_conserved(monkeypatch):
    def to_the_next(acceptor, open_now, memory):
        return (acceptor + 1) % len(open_now)

    monkeypatch.setattr(strategies, "_own", {})
    row = strategies.find("level")._replace(name="next", place=to_the_next)
    strategies.add(row)
    done = netlab.run(strategy="next", workers=3, connections=90, requests=3)
    workers = done.workers
    assert workers["given"].sum() == workers["received"].sum() == 90
    assert (workers["accepted"] == workers["given"]).all()
    assert (done.accepts["owner"] == (done.accepts["acceptor"] + 1) % 3).all()
    assert done.figures["accepts"] == workers["received"].tolist()
    held = netlab.run(strategy="next", workers=3, connections=9, plan="touch")
    assert held.workers["received"].sum() == 9  # also those that never said a word


def test_a_run_needs_no_schedstat(monkeypatch):
    whole = builtins.open

    def without_schedstat(path, *args, **kwargs):
        if str(path).endswith("/schedstat"):
            raise FileNotFoundError(path)
        return whole(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", without_schedstat)
    done = netlab.run(workers=2, connections=20, plan="touch", sample_rate_per_s=None)
    assert done.figures["accept_wakeups_per_accept"] >= 1
