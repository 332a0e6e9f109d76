"""Sweeps: all of a grid, in blocks, once each, however often they are interrupted."""

import functools
import gc
import itertools
import json
import os
import re
import signal
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.server.settings import ServerSettings
from netlab.study import interleave, journal
from netlab.study import sweep as swept
from netlab.study.experiment import LOAD_FIELDS, SERVER_FIELDS
from netlab.study.journal import DESCRIPTION, RUNS, Journal
from netlab.study.sweep import combinations, sweep
from tests.bounded import left_behind, linux, until
from tests.test_run import FIGURES

pytestmark = linux
GRID = {"strategy": ["level", "exclusive"], "workers": [1, 2]}
ASKED = {"repeats": 2, "seed": 5, "progress": False, "connections": 4}
# Where an interrupt matters: functions that write, or wait for what will be written.
DURABLE = {
    one.__code__
    for one in (
        *(sweep, interleave.in_order, Journal.append, journal.opened.__wrapped__),
        *(journal._refuse_what_is_not_ours, journal._lock, journal._describe),
        *(journal._sync_names, journal._read, journal._compare, journal._whole_rows),
    )
}


class Runs:
    """Stands for `run`: makes up figures of its settings, and remembers them all."""

    def __init__(self):
        self.made = []

    def __call__(self, *, generator, progress, **given):
        self.made.append(given)
        figures = {
            "accepts": [given.get("place_seed"), 4],
            "wakeups_per_accept": given["workers"] / 3,
            "p50_us": None,
            "late_sends": {"overdue": 0},
            "order": "0011",
            "conserved": True,
            "settled": True,
            "throttling": {"throttled": None},
        }
        return SimpleNamespace(figures=figures, machine={"line": "Linux 6.18"})

    def counted(self):
        """What was run to be reported: of which kind, and in which repeat."""
        return [
            (run["strategy"], run["workers"], run["place_seed"] - ASKED["seed"])
            for run in self.made
            if "place_seed" in run
        ]


@pytest.fixture
def runs(monkeypatch):
    made_up = Runs()
    monkeypatch.setattr(interleave, "run", made_up)
    return made_up


@pytest.fixture
def whole(runs):
    """The table of a sweep that nothing interrupted."""
    table = sweep(GRID, **ASKED)
    runs.made.clear()
    return table


EVERY = list(itertools.product(*GRID.values(), range(ASKED["repeats"])))


# --- what is run, and what is told


def test_all_of_the_grid_runs_in_blocks_after_a_warm_up(runs):
    table = sweep(GRID, **ASKED)
    assert "place_seed" not in runs.made[0]
    assert len(runs.made) == 1 + len(EVERY)
    counted = runs.counted()
    assert [repeat for *_, repeat in counted] == [0] * 4 + [1] * 4
    assert sorted(counted[:4]) != counted[:4] or sorted(counted[4:]) != counted[4:]
    assert sorted(counted) == sorted(EVERY)
    assert list(table[[*GRID, "repeat"]].itertuples(index=False, name=None)) == EVERY
    sweep(GRID, **ASKED)
    assert runs.counted()[8:] == counted
    sweep(GRID, **ASKED | {"seed": 6})
    assert runs.counted()[16:] != [(*run[:2], run[2] + 1) for run in counted]


def test_a_row_has_what_is_plain(whole):
    assert whole.to_dict("records")[1] == {
        "strategy": "level",
        "workers": 1,
        "repeat": 1,
        "accepts": "6, 4",
        "wakeups_per_accept": 1 / 3,
        "order": "0011",
        "throttled": False,
        "settled": True,
        "stamp": "Linux 6.18",
    }


def test_no_column_has_the_name_of_another():
    added = {"repeat", "throttled", "settled", "stamp"}
    assert not (SERVER_FIELDS | LOAD_FIELDS) & (added | set(FIGURES))
    assert added & set(FIGURES) == {"settled"}


def test_nothing_samples_unless_asked(runs):
    sweep(GRID, **ASKED)
    sweep(GRID, **ASKED, sample_rate_per_s=50)
    rates = [run["sample_rate_per_s"] for run in runs.made]
    assert rates == [None] * 9 + [50] * 9


def test_lists_of_a_grid_are_text_in_the_table_and_lists_in_the_run(runs):
    grid = {"register_order": [(0, 1), [1, 0]], "loop": [None, "select"]}
    table = sweep(grid, **ASKED, workers=2, strategy="level")
    assert table["register_order"].tolist() == ["0, 1"] * 4 + ["1, 0"] * 4
    assert table["loop"].isna().tolist() == [True, True, False, False] * 2
    assert {str(run["register_order"]) for run in runs.made} == {"(0, 1)", "[1, 0]"}


def test_a_setting_that_no_value_has_keeps_its_column(runs):
    table = sweep({"loop": [None]}, **ASKED, workers=2, strategy="level")
    assert list(table)[:2] == ["loop", "repeat"]


def test_real_runs_are_conserved_rows(tmp_path):
    before = left_behind()
    grid = {"plan": ["touch", "closed"], "workers": [1, 3]}
    table = sweep(grid, repeats=1, folder=tmp_path / "new", connections=40)
    assert left_behind() == before
    assert table["plan"].tolist() == ["touch"] * 2 + ["closed"] * 2
    accepts = [list(map(int, text.split(", "))) for text in table["accepts"]]
    assert [len(each) for each in accepts] == [1, 3, 1, 3]
    assert {sum(each) for each in accepts} == {40}
    assert table["p50_us"].isna().tolist() == [True, True, False, False]
    assert table["throttled"].dtype == table["settled"].dtype == bool
    assert table["stamp"].str.startswith("Linux").all()
    assert not {"conserved", "statuses", "late_sends", "throttling"} & set(table)
    again = sweep(grid, repeats=1, folder=tmp_path / "new", connections=40)
    pd.testing.assert_frame_equal(again, table)


def test_a_warm_up_has_fewer_connections_than_are_open_at_once():
    table = sweep({"at_once": [64]}, repeats=1, workers=1, connections=80)
    assert table["accepts"].tolist() == ["80"]


@pytest.mark.parametrize(
    ("figures", "throttled"),
    [({"throttled": 0}, False), ({"throttled": 3}, True), ({"throttled": None}, False)],
)
def test_a_throttled_run_says_so(figures, throttled):
    run = SimpleNamespace(
        figures={"throttling": figures, "settled": False}, machine={"line": "here"}
    )
    row = swept.row_of(interleave.Measured({"workers": 1}, run))
    assert row == {
        "workers": 1,
        "throttled": throttled,
        "settled": False,
        "stamp": "here",
    }


# --- what is refused, before anything runs


def test_all_that_cannot_be_honoured_is_named_at_once(runs, tmp_path):
    grid = {"strategy": ["level", "select"], "workers": [2, 0]}
    with pytest.raises(ValueError, match="3 combinations cannot be honoured") as said:
        sweep(grid, **ASKED, engine="compiled", folder=tmp_path / "new")
    _, *lines = str(said.value).splitlines()
    assert [line.partition(": ")[0].strip() for line in lines] == [
        "strategy='level', workers=0",
        "strategy='select', workers=2",
        "strategy='select', workers=0",
    ]
    assert "workers=0: give a number from 1" in lines[0]
    assert "strategy 'select' has engine python" in lines[1]
    assert runs.made == []
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("grid", "given", "error", "told"),
    [
        ({"colour": ["red"]}, {}, TypeError, "unknown setting colour"),
        ({"workers": [1]}, {"colour": 1}, TypeError, "unknown setting colour"),
        ({"workers": [1]}, {"workers": 2}, ValueError, "workers is in the grid and"),
        ({"workers": []}, {}, ValueError, "grid['workers']=[]: give a list"),
        ({"workers": 4}, {}, ValueError, "grid['workers']=4: give a list"),
        ({"strategy": "level"}, {}, ValueError, "grid['strategy']='level': give a"),
        ({"workers": [1, 2, 1]}, {}, ValueError, "grid['workers'] has 1 twice"),
        ({"at_once": [0]}, {}, ValueError, "at_once=0: at_once=0: give a number"),
        ({"path": ["/", "x"]}, {}, ValueError, "path='x': path='x': begin with"),
        ({"workers": [1]}, {"sample_rate_per_s": 1e3}, ValueError, "at most 200"),
        ({"workers": [1]}, {"sample_rate_per_s": "x"}, ValueError, "give a number"),
        ({"at_once": [60_000]}, {"connections": 60_000}, ValueError, "descriptors"),
        ({"workers": [1]}, {"repeats": 0}, ValueError, "repeats=0"),
        ({"workers": [1]}, {"repeats": 1.5}, ValueError, "repeats=1.5"),
        ({"workers": [1]}, {"repeats": None}, ValueError, "repeats=None"),
        ({"workers": [1]}, {"seed": -1}, ValueError, "seed=-1"),
        ({"workers": [1]}, {"seed": None}, ValueError, "seed=None"),
    ],
)
def test_what_is_no_grid_is_refused(runs, grid, given, error, told):
    if "descriptors" in told and swept.limits.descriptor_limits()[1] > 60_000:
        pytest.skip("the hard limit of descriptors is above 60,000 here")
    with pytest.raises(error, match=re.escape(told)):
        sweep(grid, progress=False, **given)
    assert runs.made == []


def test_checking_changes_neither_the_grid_nor_the_settings():
    given = {"connections": 4, "pin": False}
    points = combinations(GRID, given)
    assert given == {"connections": 4, "pin": False}
    assert [point.settings["workers"] for point in points] == [1, 2, 1, 2]
    assert all(point.settings["connections"] == 4 for point in points)
    assert ServerSettings(workers=1).workers == 1


# --- interrupted, and called again


def resumed(folder, runs, whole):
    """Call again; the table must be the whole one. Return how many runs it took."""
    runs.made.clear()
    table = sweep(GRID, **ASKED, folder=folder)
    pd.testing.assert_frame_equal(table, whole)
    written = [json.loads(line) for line in (folder / RUNS).read_text().splitlines()]
    names = sorted((row["strategy"], row["workers"], row["repeat"]) for row in written)
    assert names == sorted(EVERY)
    return len(runs.counted())


def test_with_a_folder_the_table_is_the_same_and_nothing_runs_twice(
    runs, whole, tmp_path
):
    assert resumed(tmp_path / "deep" / "new", runs, whole) == len(EVERY)
    assert resumed(tmp_path / "deep" / "new", runs, whole) == 0
    assert runs.made == []  # no warm-up either
    kept = sorted(path.name for path in (tmp_path / "deep" / "new").iterdir())
    assert kept == [RUNS, DESCRIPTION]


def test_the_remaining_runs_keep_their_order(runs, tmp_path):
    sweep(GRID, **ASKED, folder=tmp_path)
    planned = runs.counted()
    lines = (tmp_path / RUNS).read_bytes().splitlines(keepends=True)
    (tmp_path / RUNS).write_bytes(b"".join(lines[:2] + lines[4:5]))
    runs.made.clear()
    sweep(GRID, **ASKED, folder=tmp_path)
    assert runs.counted() == planned[2:4] + planned[5:]


class Interrupt:
    """Raises KeyboardInterrupt at the n-th line that runs of the functions above."""

    def __init__(self, at):
        self.left = at

    def __call__(self, frame, event, argument):
        if frame.f_code not in DURABLE:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self

    def during(self, function):
        """Whether the function was interrupted."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            function()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False


# An interrupt may come when a file is just being closed: then dropping it closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_at_any_line_loses_nothing_that_was_written(
    runs, whole, tmp_path, monkeypatch
):
    """Between write and flush, flush and fsync, row and row: at each line there is."""
    monkeypatch.setattr(
        os, "fsync", lambda number: None
    )  # the disk is not the question
    for at in itertools.count(1):
        runs.made.clear()
        folder = tmp_path / str(at)
        if not Interrupt(at).during(
            functools.partial(sweep, GRID, folder=folder, **ASKED)
        ):
            break
        gc.collect(0)  # a file that was on its way to be closed
        path = folder / RUNS
        lines = path.read_bytes() if path.exists() else b""
        assert lines == b"" or lines.endswith(b"\n")
        first = runs.counted()
        assert len(first) == len(set(first))
        assert 0 <= len(first) - lines.count(b"\n") <= 1  # one that was not yet written
        assert resumed(folder, runs, whole) == len(EVERY) - lines.count(b"\n")
    assert at > 100


def test_a_process_may_end_at_any_byte_of_a_write(tmp_path):
    rows = [{"n": 1, "text": "a·b"}, {"n": 2, "text": "\n"}, {"n": 30, "text": None}]
    with journal.opened(tmp_path, {}) as kept:
        for row in rows:
            kept.append(row)
    written = (tmp_path / RUNS).read_bytes()
    for end in range(len(written) + 1):
        (tmp_path / RUNS).write_bytes(written[:end])
        whole_lines = written[:end].count(b"\n")
        with journal.opened(tmp_path, {}) as kept:
            assert kept.rows == rows[:whole_lines]
            for row in rows[whole_lines:]:
                kept.append(row)
        assert (tmp_path / RUNS).read_bytes() == written


texts = st.text(max_size=8) | st.none() | st.integers() | st.floats(allow_nan=False)
rows_of_any = st.lists(st.dictionaries(st.text(max_size=4), texts), max_size=5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(rows_of_any, st.binary(max_size=20).filter(lambda torn: b"\n" not in torn))
def test_whatever_is_torn_is_cut_off(tmp_path_factory, rows, torn):
    folder = tmp_path_factory.mktemp("journal")
    with journal.opened(folder, {"grid": {}}) as kept:
        for row in rows:
            kept.append(row)
    with open(folder / RUNS, "ab") as file:
        file.write(torn)
    with journal.opened(folder, {"grid": {}}) as kept:
        assert kept.rows == rows
        kept.append({"last": 1})
    with journal.opened(folder, {"grid": {}}) as kept:
        assert kept.rows == [*rows, {"last": 1}]


def test_an_interrupt_between_two_runs_ends_the_loads_process(monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = left_behind()
    monkeypatch.setattr(Journal, "append", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        sweep({"workers": [1]}, **ASKED, folder=tmp_path)
    assert left_behind() == before
    assert caught.tb is not None  # which a notebook keeps, and all that it refers to


def test_a_run_that_fails_leaves_those_before(runs, whole, tmp_path, monkeypatch):
    def failing(**given):
        if len(runs.counted()) == 5:
            raise RuntimeError("worker 1 died in this run")
        return runs(**given)

    monkeypatch.setattr(interleave, "run", failing)
    with pytest.raises(RuntimeError, match="worker 1 died"):
        sweep(GRID, **ASKED, folder=tmp_path)
    monkeypatch.setattr(interleave, "run", runs)
    assert resumed(tmp_path, runs, whole) == 3


def test_a_full_disk_is_told_and_its_half_line_is_cut_off(
    runs, whole, tmp_path, monkeypatch
):
    def full(number):
        with open(tmp_path / RUNS, "ab") as half:
            half.write(b'{"strategy": "le')
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(interleave, "run", None)
    with pytest.raises(TypeError):
        sweep(GRID, **ASKED, folder=tmp_path)
    monkeypatch.setattr(interleave, "run", runs)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            sweep(GRID, **ASKED, folder=tmp_path)
    kept = (tmp_path / RUNS).read_bytes()
    assert (kept.count(b"\n"), kept.endswith(b"\n")) == (1, False)
    assert resumed(tmp_path, runs, whole) == len(EVERY) - 1


PROGRAM = """
    import json, sys
    from netlab.study.sweep import sweep
    given = json.loads(sys.argv[1])
    sweep(given.pop("grid"), **given)
    print("whole")
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_stopped_goes_on_in_another(start_fresh, tmp_path, how):
    grid = {"workers": [1, 2], "plan": ["touch"]}
    given = {"repeats": 4, "connections": 40, "pause_ms": 5.0, "progress": False}
    asked = json.dumps({"grid": grid, "folder": str(tmp_path)} | given)
    with start_fresh(PROGRAM, asked) as process:
        try:
            until(lambda: (tmp_path / RUNS).exists() and (tmp_path / RUNS).read_bytes())
            process.send_signal(how)
            printed, complaints = process.communicate(timeout=30)
        finally:
            process.kill()
    assert printed == ""
    assert ("KeyboardInterrupt" in complaints) == (how == signal.SIGINT)
    begun = (tmp_path / RUNS).read_bytes().splitlines(keepends=True)
    table = sweep(grid, **given, folder=tmp_path)
    assert table["workers"].tolist() == [1] * 4 + [2] * 4
    assert table["repeat"].tolist() == [0, 1, 2, 3] * 2
    rows = (tmp_path / RUNS).read_bytes().splitlines(keepends=True)
    assert rows[: len(begun)] == begun
    assert len(rows) == 8 > len(begun) >= 1


# --- the wrong folder


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"repeats": 3}, "repeats is 2 there and 3 now"),
        ({"seed": 6}, "seed is 5 there and 6 now"),
        ({"connections": 5}, "settings.connections is 4 there and 5 now"),
        ({"pin": False}, "settings.pin is not set there and false now"),
        (
            {"grid": GRID | {"workers": [1, 4]}},
            "grid.workers is [1, 2] there and [1, 4] now",
        ),
        ({"grid": {"workers": [1, 2]}}, 'grid.strategy is ["level", "exclusive"]'),
    ],
    ids=str,
)
def test_other_arguments_than_it_was_begun_with(runs, tmp_path, change, told):
    sweep(GRID, **ASKED, folder=tmp_path)
    runs.made.clear()
    given = ASKED | change
    with pytest.raises(ValueError, match=re.escape(told)) as said:
        sweep(given.pop("grid", GRID), **given, folder=tmp_path)
    assert "give another folder" in str(said.value)
    assert runs.made == []


def test_the_remedy_that_is_told_reads_the_rows(runs, tmp_path):
    sweep(GRID, **ASKED, folder=tmp_path)
    with pytest.raises(ValueError, match="read_json") as said:
        sweep(GRID, **ASKED | {"seed": 6}, folder=tmp_path)
    command = str(said.value).partition("read with pandas.")[2]
    table = eval(f"pd.{command}", {"pd": pd})
    assert len(table) == len(EVERY)
    assert table["order"].tolist() == ["0011"] * len(EVERY)


def test_another_machine_than_it_was_begun_on(runs, whole, tmp_path):
    sweep(GRID, **ASKED, folder=tmp_path)
    path = tmp_path / DESCRIPTION
    described = json.loads(path.read_text())
    path.write_text(json.dumps(described | _on(described, kernel="5.15.0")))
    with pytest.raises(ValueError, match=r'machine.kernel is "5.15.0" there and "'):
        sweep(GRID, **ASKED, folder=tmp_path)
    sysctls = described["machine"]["sysctls"] | {"net.ipv4.tcp_migrate_req": "7"}
    same = _on(described, date="2001", line="old", descriptors_soft=1, sysctls=sysctls)
    path.write_text(json.dumps(described | same))
    assert resumed(tmp_path, runs, whole) == 0


def _on(described, **changes):
    return {"machine": described["machine"] | changes}


def test_the_order_of_the_grids_names_does_not_matter(runs, whole, tmp_path):
    sweep(GRID, **ASKED, folder=tmp_path)
    runs.made.clear()
    table = sweep(dict(reversed(GRID.items())), **ASKED, folder=tmp_path)
    assert runs.made == []
    assert list(table)[:2] == ["workers", "strategy"]
    by = [*GRID, "repeat"]
    pd.testing.assert_frame_equal(
        table.sort_values(by, ascending=[False, True, True], ignore_index=True)[
            list(whole)
        ],
        whole,
    )


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"thesis.txt": "x"}, "is no sweep's"),
        ({RUNS: "{}\n"}, "is no sweep's"),
        ({DESCRIPTION: "{"}, "sweep.json is damaged"),
        ({DESCRIPTION: "[]"}, "sweep.json is damaged"),
        ({DESCRIPTION: '{"format": 7}'}, "format is 7 there and 1 now"),
    ],
    ids=str,
)
def test_a_folder_of_something_else_stays_as_it_is(runs, tmp_path, files, told):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises((ValueError, FileExistsError), match=told):
        sweep(GRID, **ASKED, folder=tmp_path)
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {RUNS: ""} | files or kept == files
    assert runs.made == []


def test_a_file_is_no_folder(runs, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileExistsError, match="give a new folder"):
        sweep(GRID, **ASKED, folder=tmp_path / "file")


def test_a_damaged_line_in_the_middle_is_named(runs, whole, tmp_path):
    sweep(GRID, **ASKED, folder=tmp_path)
    lines = (tmp_path / RUNS).read_bytes().splitlines(keepends=True)
    (tmp_path / RUNS).write_bytes(b"".join([*lines[:2], b'{"x\n', *lines[3:]]))
    with pytest.raises(ValueError, match=r"line 3 of .*runs.jsonl is damaged"):
        sweep(GRID, **ASKED, folder=tmp_path)
    (tmp_path / RUNS).write_bytes(b"".join([*lines[:2], *lines[3:]]))
    assert resumed(tmp_path, runs, whole) == 1


def test_two_sweeps_do_not_share_a_folder(runs, whole, tmp_path, monkeypatch):
    def at_work(**given):
        with pytest.raises(RuntimeError, match="another sweep is at work in"):
            sweep(GRID, **ASKED, folder=tmp_path)
        return runs(**given)

    monkeypatch.setattr(interleave, "run", at_work)
    sweep(GRID, **ASKED, folder=tmp_path)
    monkeypatch.setattr(interleave, "run", runs)
    assert resumed(tmp_path, runs, whole) == 0
