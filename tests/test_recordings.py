"""Recordings: every study's tables come back as they were, and nothing else does."""

import errno
import functools
import gc
import gzip
import json
import os
import shutil
import warnings
from pathlib import Path

import frictionless
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from netlab.commands.recording import record as command
from netlab.server import engines
from netlab.study import catalogue, datapackage, latency, recordings, replay
from netlab.study.columns import COLUMNS
from netlab.study.csv_tables import MISSING, packed, unpacked
from netlab.study.found import Found
from tests.bounded import linux

compiled = pytest.mark.skipif(
    engines.find("compiled").missing() is not None, reason="there is no Numba"
)
COMMAND = "python -m netlab record made-up"
SMALL = {
    "head-of-line": {},
    "turns": {},
    "herd": {"workers": (1, 4), "connections": 40, "rates_per_s": (500,)},
    "order": {"names": ["exclusive", "level", "reuseport"], "connections": 40},
    "rotate": {"connections": 40},
    "slow-worker": {"names": ["level", "reuseport"], "connections": 60},
    "burst": {"names": ["level", "reuseport"]},
    "equilibrium": {"phase_s": 0.1},
    "handing-over": {"names": ["exclusive", "handoff-round-robin"]},
    "choice": {"names": ["level", "handoff-least"]},
    "latency-tail": {"names": ("exclusive", "reuseport"), "connections": 400},
    "worker-death": {"clients": 20},
    "steering": {"connections": 10},
    "matrix": {"names": ["level", "blocking"]},
    "xray": {},
    "attack": {"servers": ["stage 6"]},
    "idle-clients": {"idle": (10,), "busy": (10,), "turns": 3},
    "one-life": {},
    "switches": {},
    "pinning": {"fired_s": 0.2},
    "engines": {
        "ways": ["GIL threads"],
        "loads": ["work", "touch"],
        "workers": (2,),
        "fired_s": 0.1,
    },
    "two-truths": {"fired_s": 0.2, "rates_per_s": (600,), "clients": (4,)},
}
TYPES = {"integer": "int64", "number": "float64", "boolean": "bool", "string": "str"}


@functools.cache
def small(name):
    """A study of the catalogue, made as small as it can be."""
    return catalogue.find(name).run(repeats=1, progress=False, **SMALL[name])


def made_up(name="made-up", rows=3, **columns):
    """A study that nobody ran; its table holds what tables hold."""
    table = {"strategy": ["level"] * rows, "worker": range(rows), "repeat": 0}
    frame = pd.DataFrame(table | columns)
    return Found(name, {"first": frame, "second": frame.head(1)}, {"seed": 7})


def package_of(folder):
    return json.loads((folder / "datapackage.json").read_text())


def changed(folder, change):
    """Change a package's description by a function."""
    package = package_of(folder)
    change(package)
    (folder / "datapackage.json").write_text(json.dumps(package))


def judged(folder):
    """What Frictionless has against a package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves packed files open
        report = frictionless.validate(str(folder / "datapackage.json"))
        gc.collect()
    return report.flatten(["title", "message"])


@pytest.fixture
def recorded(tmp_path):
    recordings.record(made_up(), command=COMMAND, folder=tmp_path)
    return tmp_path


@pytest.fixture
def as_data(recorded, monkeypatch):
    """The made-up recording in place of the project's own."""
    monkeypatch.setattr(datapackage, "DATA", recorded)
    return recorded


# -- the studies ----------------------------------------------------------------------


@linux
@compiled
@pytest.mark.parametrize("name", [row.name for row in catalogue.STUDIES])
def test_every_table_of_a_study_comes_back_as_it_was(name, tmp_path):
    found = small(name)
    recordings.record(found, command=COMMAND, folder=tmp_path)
    again = recordings.load(name, tmp_path)
    assert list(again.tables) == list(found.tables)
    for table, frame in found.tables.items():
        assert set(frame.columns) <= COLUMNS.keys()
        pd.testing.assert_frame_equal(again.tables[table], frame, check_exact=True)
    assert (again.mode, again.date) == ("replayed", found.date)
    assert (again.notes, again.machine) == (found.notes, found.machine)
    assert again.settings == json.loads(json.dumps(found.settings))
    assert judged(tmp_path) == []


@linux
@compiled
def test_every_column_that_is_described_is_some_study_s():
    tables = [table for name in SMALL for table in small(name).tables.values()]
    used = {column for table in tables for column in table.columns}
    assert COLUMNS.keys() - used == set()
    assert SMALL.keys() == {row.name for row in catalogue.STUDIES}


def test_every_column_is_described():
    for name, column in COLUMNS.items():
        assert column.type in TYPES
        assert column.meaning
        number = column.type == "number" or name.endswith(("_ns", "_us", "_ms"))
        assert not number or column.unit


# -- types ----------------------------------------------------------------------------


def test_a_text_stays_a_text_a_count_a_count_and_nothing_nothing(tmp_path):
    found = made_up(
        every=["1", "16", "never"],
        text=["", "0", None],
        reason=["a, b", 'he said "no"', "é\n—"],
        repeats=[1, None, 3],
        ran=pd.Series([None, None, None], dtype=object),
        connections=pd.array([1, 2, 3], dtype="int32"),
        value=[0.1 + 0.2, float("nan"), 1e-300],
        migrate=[True, False, True],
    )
    recordings.record(found, command=COMMAND, folder=tmp_path)
    table = recordings.load("made-up", tmp_path).tables["first"]
    pd.testing.assert_frame_equal(table, found.tables["first"], check_exact=True)
    assert table["every"].tolist() == ["1", "16", "never"]
    assert table["text"].tolist()[:2] == ["", "0"]
    assert judged(tmp_path) == []


@given(
    some.lists(
        some.tuples(
            some.text(some.characters(exclude_categories=["Cc", "Cs"])),
            some.integers(-(2**53), 2**53),
            some.floats(allow_infinity=False),
        )
    )
)
def test_any_values_come_back(rows):
    rows = [row for row in rows if row[0] != MISSING]
    frame = pd.DataFrame(rows, columns=["text", "worker", "value"])
    frame = frame.astype({"text": "str", "worker": "int64", "value": "float64"})
    fields = [
        {"name": name, "type": COLUMNS[name].type, "dtype": str(frame[name].dtype)}
        for name in frame
    ]
    data, _ = packed(frame, fields)
    pd.testing.assert_frame_equal(unpacked(data, fields), frame, check_exact=True)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"fairness": 1}, "'first' has columns that nobody described: fairness"),
        ({"accepts": 1.5}, "'accepts' has 1.5, and holds type integer"),
        ({"accepts": "many"}, "'accepts' has 'many', and holds type integer"),
        ({"text": MISSING}, f"'text' has '{MISSING}', and holds type string"),
        ({"text": 1}, "'text' has 1, and holds type string"),
        ({"migrate": 1}, "'migrate' has 1, and holds type boolean"),
        (
            {"family": pd.Categorical(["a"] * 3, ["a", "b"])},
            "'first' .* not come back as it is, of types .*, family category",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_lost(recorded, columns, told):
    before = {path: path.read_bytes() for path in recorded.rglob("*.*")}
    with pytest.raises(ValueError, match=told):
        recordings.record(made_up(**columns), command=COMMAND, folder=recorded)
    assert {path: path.read_bytes() for path in recorded.rglob("*.*")} == before


# -- files ----------------------------------------------------------------------------


def test_a_long_table_is_packed_the_same_way_each_time(tmp_path):
    files = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        long = made_up(rows=20_000)
        place = recordings.record(long, command=COMMAND, folder=folder)
        files.append((place / "first.csv.gz").read_bytes())
        assert (place / "second.csv").exists()
        again = recordings.load("made-up", folder)
        pd.testing.assert_frame_equal(again.tables["first"], long.tables["first"])
        assert judged(folder) == []
    assert files[0] == files[1]
    assert files[0][4:8] == bytes(4)  # no time in gzip's header
    assert len(files[0]) < len(gzip.decompress(files[0])) / 2


def test_a_recording_says_where_it_is_from(recorded):
    first, _ = package_of(recorded)["resources"]
    assert first["name"] == "made-up.first"
    assert first["path"] == "recorded/made-up/first.csv"
    assert first["schema"]["fields"][1] == {
        "name": "worker",
        "type": "integer",
        "unit": "",
        "description": COLUMNS["worker"].meaning,
        "dtype": "int64",
    }
    how = recordings.about("made-up", recorded)
    assert how == first["netlab"]
    assert (how["command"], how["seed"]) == (COMMAND, 7)
    assert how["machine"]["date"] == how["date"]


def test_a_new_recording_takes_the_place_of_the_old_and_of_no_other(recorded):
    recordings.record(made_up("another"), command=COMMAND, folder=recorded)
    long = made_up(rows=20_000)
    only = Found("made-up", {"first": long.tables["first"]}, {})
    recordings.record(only, command=COMMAND, folder=recorded)
    recordings.record(made_up("another"), command=COMMAND, folder=recorded)
    assert recordings.names(recorded) == ("another", "made-up")
    assert [path.name for path in (recorded / "recorded/made-up").iterdir()] == [
        "first.csv.gz"
    ]
    paths = [one["path"] for one in package_of(recorded)["resources"]]
    assert paths == sorted(paths)
    assert len(paths) == 3
    assert len(recordings.load("another", recorded).tables) == 2


def test_two_recordings_can_be_held_side_by_side(recorded, tmp_path):
    mine = tmp_path / "mine"
    recordings.record(made_up(rows=5), command=COMMAND, folder=mine)
    ours = recordings.load("made-up", recorded).tables["first"]
    assert len(recordings.load("made-up", mine).tables["first"]) == 5 != len(ours)


def test_what_was_replayed_is_not_recorded(recorded):
    again = recordings.load("made-up", recorded)
    with pytest.raises(ValueError, match=r"replayed of .*: only what was measured"):
        recordings.record(again, command=COMMAND, folder=recorded)


@pytest.mark.parametrize("renamed", range(3))
def test_a_recording_that_was_interrupted_is_the_old_one_or_does_not_open(
    renamed, recorded, monkeypatch
):
    healthy, left = Path.replace, iter(range(renamed))

    def replace(path, place):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return healthy(path, place)

    before = len(recordings.load("made-up", recorded).tables["first"])
    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        recordings.record(made_up(rows=before + 1), command=COMMAND, folder=recorded)
    assert not list(recorded.rglob("*.unfinished"))
    if renamed == 0:
        assert len(recordings.load("made-up", recorded).tables["first"]) == before
    else:
        with pytest.raises(ValueError, match=r"first\.csv is damaged or was changed"):
            recordings.load("made-up", recorded)


def test_a_full_disk_leaves_the_old_recording_and_names_the_file(recorded, monkeypatch):
    is_full = iter([False, True])

    def fsync(descriptor):
        if next(is_full):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    files = {path: path.read_bytes() for path in recorded.rglob("*") if path.is_file()}
    monkeypatch.setattr(os, "fsync", fsync)
    told = r"No space left.*make room, or give another folder: '.*second\.csv'"
    with pytest.raises(OSError, match=told):
        recordings.record(made_up(rows=9), command=COMMAND, folder=recorded)
    after = {path: path.read_bytes() for path in recorded.rglob("*") if path.is_file()}
    assert after == files


# -- damage ---------------------------------------------------------------------------


def edit(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new))


def hashed(folder, data):
    """Put other bytes in the first table's file, and their hash in the package."""
    (folder / "recorded/made-up/first.csv").write_bytes(data)

    def describe(package):
        package["resources"][0] |= {"bytes": len(data), "hash": datapackage._hash(data)}

    changed(folder, describe)


def field(number, **values):
    """A change of one field of the first table's schema."""
    return lambda folder: changed(
        folder,
        lambda package: package["resources"][0]["schema"]["fields"][number].update(
            values
        ),
    )


def first(**values):
    """A change of the first table's description."""
    return lambda folder: changed(
        folder, lambda package: package["resources"][0].update(values)
    )


def lacking(*keys):
    """A description of the first table from which something is gone."""

    def remove(package):
        found = package
        for key in keys[:-1]:
            found = found[key]
        del found[keys[-1]]

    return lambda folder: changed(folder, remove)


def written(text):
    return lambda folder: (folder / "datapackage.json").write_text(text)


FIRST = r"made-up/first\.csv"
TABLE = FIRST + " is damaged or was changed: "
PACKAGE = r"datapackage\.json is damaged: "
DAMAGES = {
    "missing": (lambda f: (f / "recorded/made-up/first.csv").unlink(), FIRST + " is m"),
    "renamed": (
        lambda f: (f / "recorded/made-up").rename(f / "recorded/mine"),
        FIRST + " is missing",
    ),
    "changed": (
        lambda f: edit(f / "recorded/made-up/first.csv", b"level", b"lever"),
        TABLE + r"its hash is another .*\(53 bytes, described are 53\)",
    ),
    "cut short": (
        lambda f: edit(f / "recorded/made-up/first.csv", b"level,2,0\n", b""),
        TABLE + "its hash is another",
    ),
    "empty": (lambda f: hashed(f, b""), TABLE + "it is empty"),
    "packed and cut short": (
        lambda f: hashed(f, gzip.compress(b"strategy,worker,repeat\n" * 9)[:-9]),
        TABLE + "it cannot be unpacked",
    ),
    "packed and garbled": (
        lambda f: hashed(f, b"\x1f\x8bnothing"),
        TABLE + "it cannot be unpacked",
    ),
    "no text": (lambda f: hashed(f, b"\xff\xfe\xfd"), TABLE),
    "no CSV": (lambda f: hashed(f, b'strategy,"worker'), TABLE + "it is no CSV"),
    "a cell short": (
        lambda f: hashed(f, b"strategy,worker,repeat\nlevel,1\n"),
        TABLE + "a row of it has more or fewer cells",
    ),
    "other columns": (
        lambda f: hashed(f, b"strategy,repeat,worker\n"),
        TABLE + "its columns are strategy, repeat, worker, not strategy, worker, rep",
    ),
    "another name": (field(1, name="client"), TABLE + "its columns are"),
    "another type": (
        field(0, type="integer"),
        TABLE + "its column 'strategy' has 'level', and holds type integer",
    ),
    "another dtype": (field(0, dtype="int64"), TABLE + "its column 'strategy' is not"),
    "an unknown dtype": (field(0, dtype="int63"), TABLE + "its column 'strategy' is"),
    "a missing count": (
        lambda f: hashed(f, b"strategy,worker,repeat\nlevel,NA,0\n"),
        TABLE + "its column 'worker' is not of type int64",
    ),
    "an unknown type": (field(0, type="date"), PACKAGE + "'strategy' has the type"),
    "no hash": (lacking("resources", 0, "hash"), PACKAGE + "it lacks 'hash'"),
    "no fields": (lacking("resources", 0, "schema", "fields"), PACKAGE + "it lacks"),
    "no resources": (lacking("resources"), PACKAGE + "it lacks 'resources'"),
    "no table": (lacking("resources", 0), PACKAGE + "of 'made-up' it lacks table"),
    "no machine": (
        lacking("resources", 0, "netlab", "machine"),
        PACKAGE + "of 'made-up' it lacks machine",
    ),
    "no origin": (first(netlab=[]), PACKAGE + "'netlab' of 'made-up.first'"),
    "two dates": (
        lambda f: changed(
            f, lambda p: p["resources"][0]["netlab"].update(date="2011-01-23")
        ),
        PACKAGE + "of 'made-up' it has two dates",
    ),
    "two recordings": (
        lambda f: changed(f, lambda p: p["resources"][1]["netlab"].update(seed=8)),
        r"datapackage\.json has tables of 'made-up' that were recorded apart",
    ),
    "outside": (first(path="../first.csv"), PACKAGE + r"'\.\./first\.csv' is not"),
    "a bare list": (written("[]"), PACKAGE),
    "a bare number": (written("7"), PACKAGE),
    "no JSON": (written('{"resources": ['), PACKAGE),
    "nothing": (written(""), PACKAGE),
    "no package": (
        lambda f: (f / "datapackage.json").unlink(),
        r"datapackage\.json is missing",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_one_error_that_names_the_file_and_the_remedy(as_data, damage):
    harm, told = DAMAGES[damage]
    assert recordings.load("made-up").mode == "replayed"
    harm(as_data)
    with pytest.raises((FileNotFoundError, ValueError), match=told) as raised:
        recordings.load("made-up")
    assert "git checkout -- data" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_reader_s_own_recording_is_not_brought_back_by_git(recorded):
    (recorded / "recorded/made-up/first.csv").unlink()
    with pytest.raises(FileNotFoundError) as raised:
        recordings.load("made-up", recorded)
    assert f"python -m netlab record NAME --folder {recorded}" in str(raised.value)


def test_a_study_that_is_not_recorded_is_named_with_the_remedy(as_data):
    with pytest.raises(
        ValueError,
        match=r"no recording of 'herd', only of made-up: .* netlab record herd on a",
    ):
        recordings.load("herd")


# -- the project's own data -----------------------------------------------------------


def test_the_project_s_package_is_valid_and_complete():
    assert judged(datapackage.DATA) == []
    package = package_of(datapackage.DATA)
    assert package["licenses"][0]["name"] == "CC-BY-4.0"
    described = {one["path"] for one in package["resources"]}
    there = {
        path.relative_to(datapackage.DATA).as_posix()
        for path in datapackage.DATA.rglob("*.csv*")
    }
    assert described == there
    assert all(one["hash"].startswith("sha256:") for one in package["resources"])


def test_everything_in_the_project_s_package_opens():
    for name in recordings.names():
        assert recordings.load(name).mode == "replayed"
        catalogue.find(name)
    for resource in package_of(datapackage.DATA)["resources"]:
        kind, _, name = resource["name"].partition(".")
        if kind == "published":
            table = recordings.published(name)
            assert len(table)
            for one in resource["schema"]["fields"]:
                assert str(table[one["name"]].dtype) == TYPES[one["type"]]
                assert one["description"]
            (source,) = resource["sources"]
            assert source["title"]
            assert source["path"].startswith("https://")


def test_the_data_stay_small():
    sizes = {path: path.stat().st_size for path in datapackage.DATA.rglob("*.csv*")}
    assert max(sizes.values()) <= 200_000
    assert sum(sizes.values()) <= 5_000_000


def test_published_numbers_are_those_of_their_source():
    pd.testing.assert_frame_equal(
        recordings.published("cloudflare-2017"), latency.published()
    )
    assert recordings.published("mattermost-2024")["connections"].sum() == 101_163
    with pytest.raises(ValueError, match="published numbers 'mine': there are baron"):
        recordings.published("mine")


def test_the_readme_tells_of_every_published_file():
    told = (datapackage.DATA / "published/README.md").read_text()
    for path in (datapackage.DATA / "published").glob("*.csv"):
        assert f"## {path.name}\n" in told


# -- the command ----------------------------------------------------------------------


def test_without_names_the_command_lists_what_is_recorded(recorded, capsys):
    found = made_up("burst")
    recordings.record(found, command=COMMAND, folder=recorded)
    assert command({"folder": str(recorded)}) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == len(catalogue.STUDIES)
    line = next(line for line in listed if line.startswith("burst "))
    assert line.split(None, 1)[1] == f"{found.date[:10]}, {found.machine['line']}"
    assert sum(line.endswith("not recorded") for line in listed) == len(listed) - 1


@linux
@compiled
def test_the_command_records_with_its_own_words(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(replay, "impossible", lambda _: None)
    settings = {"names": ["burst"], "repeats": 1, "seed": 3, "folder": str(tmp_path)}
    assert command(settings) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "burst recorded: 1 tables" in told.err
    how = recordings.about("burst", tmp_path)
    assert how["command"] == "python -m netlab record burst --repeats 1 --seed 3"
    assert how["settings"]["seed"] == how["seed"] == 3
    assert recordings.load("burst", tmp_path).tables["burst"]["repeat"].tolist()


def test_the_command_refuses_before_the_first_run(tmp_path, monkeypatch):
    def reason(name):
        return "it takes root" if name == "xray" else None

    monkeypatch.setattr(replay, "impossible", reason)
    with pytest.raises(ValueError, match="xray cannot be recorded here"):
        command({"names": ["burst", "xray"], "folder": str(tmp_path)})
    with pytest.raises(ValueError, match="study 'fair': there are head-of-line"):
        command({"names": ["burst", "fair"], "folder": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_the_project_is_described_in_a_copy_as_well(tmp_path):
    copy = Path(shutil.copytree(datapackage.DATA, tmp_path / "data"))
    recordings.record(made_up(), command=COMMAND, folder=copy)
    assert set(recordings.names(copy)) == {*recordings.names(), "made-up"}
    assert judged(copy) == []
    before = package_of(datapackage.DATA)
    assert package_of(copy)["title"] == before["title"]
