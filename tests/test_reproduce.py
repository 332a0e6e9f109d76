"""`reproduce`: all studies or some, live or replayed, into folders that are whole."""

import csv
import json
from dataclasses import replace

import pytest

from netlab.__main__ import main
from netlab.commands import index, tasks
from netlab.study import catalogue, recordings, replay
from netlab.study.verdicts import Verdict

NAMES = ("burst", "rotate", "xray")
REASON = "tracing: it takes root"


@pytest.fixture
def asked(monkeypatch):
    """Three studies that give their recording as if it were live; the third cannot."""
    calls = []

    def live(name):
        def run(repeats=2, seed=1):
            calls.append(name)
            found = recordings.load(name)
            settings = found.settings | {"repeats": repeats, "seed": seed}
            return replace(found, mode="live", settings=settings)

        return run

    rows = tuple(catalogue.find(name)._replace(run=live(name)) for name in NAMES)
    monkeypatch.setattr(catalogue, "STUDIES", rows)
    monkeypatch.delenv("NETLAB_MODE", raising=False)
    monkeypatch.setattr(
        replay, "impossible", lambda name=None: REASON if name == "xray" else None
    )
    return calls


def run_all(tmp_path, *options):
    return main(["reproduce", "--all", "--out", str(tmp_path / "out"), *options])


def broken(monkeypatch, name, error):
    """Make a study fail when it runs."""

    def run(repeats=2, seed=1):
        raise error

    rows = [
        row._replace(run=run) if row.name == name else row for row in catalogue.STUDIES
    ]
    monkeypatch.setattr(catalogue, "STUDIES", tuple(rows))


def test_all_is_measured_where_it_can_and_else_replayed_with_the_reason(
    asked, tmp_path, capsys
):
    assert run_all(tmp_path) == 0
    assert asked == ["burst", "rotate"]
    printed = capsys.readouterr()
    for name, how in (("burst", "live"), ("rotate", "live"), ("xray", "replayed")):
        about = json.loads((tmp_path / "out" / name / "study.json").read_text())
        assert about["mode"] == how
        assert any(line.split()[:2] == [name, how] for line in printed.out.splitlines())
    assert REASON in printed.err
    assert f"replayed: {REASON}" in about["notes"]


def test_each_study_leaves_figures_words_tables_and_verdicts(asked, tmp_path):
    assert run_all(tmp_path) == 0
    folder = tmp_path / "out" / "xray"
    assert {path.name for path in folder.iterdir()} == {
        *("xray.png", "xray.txt", "xray_exclusive.png", "xray_exclusive.txt"),
        *("xray.csv", "xray_exclusive.csv", "traces.csv"),
        *("verdicts.csv", "study.json"),
    }
    with open(folder / "verdicts.csv", newline="", encoding="utf-8") as file:
        saved = [Verdict(**row) for row in csv.DictReader(file)]
    assert saved == catalogue.find("xray").verdicts(recordings.load("xray"))
    assert not [path for path in (tmp_path / "out").iterdir() if path.name[0] == "."]


def test_the_index_leads_to_all_of_them(asked, tmp_path):
    assert run_all(tmp_path) == 0
    out = tmp_path / "out"
    page = (out / index.FILE).read_text()
    for study in catalogue.STUDIES:
        assert page.count(study.question) == 2
        for path in (out / study.name).glob("*.txt"):
            words, stamp = path.read_text().rstrip("\n").rsplit("\n", 1)
            assert words in page
            assert stamp in page
            assert f"]({study.name}/{path.stem}.png)" in page
    links = [part.partition(")")[0] for part in page.split("](")[1:]]
    assert links
    assert all(link[0] == "#" or (out / link).is_file() for link in links)


def test_a_study_that_fails_loses_itself_alone(asked, tmp_path, monkeypatch, capsys):
    broken(monkeypatch, "burst", RuntimeError("the workers died"))
    assert run_all(tmp_path) == 1
    assert "burst failed in 0 s: RuntimeError: the workers died" in (
        capsys.readouterr().err
    )
    out = tmp_path / "out"
    assert not (out / "burst").exists()
    assert (out / "rotate" / "study.json").exists()
    assert "## burst" not in (out / index.FILE).read_text()


def test_after_an_interrupt_it_goes_on_from_there(asked, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as meanwhile:
        broken(meanwhile, "rotate", KeyboardInterrupt())
        assert run_all(tmp_path) == 130
    assert "goes on from there" in capsys.readouterr().err
    saved = (tmp_path / "out" / "burst" / "study.json").stat()
    assert run_all(tmp_path) == 0
    assert asked == ["burst", "rotate"]
    assert "burst there already" in capsys.readouterr().err
    assert (tmp_path / "out" / "burst" / "study.json").stat() == saved


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        (
            ["--repeats", "3"],
            "with repeats 2, and asked for is 3",
        ),
        (["--seed", "9"], "burst is there already, with seed 1, and asked for is 9"),
        (["--replay"], "with mode live, and asked for is replayed"),
    ],
)
def test_what_was_saved_otherwise_is_refused_before_the_first_run(
    asked, tmp_path, capsys, options, difference
):
    assert run_all(tmp_path) == 0
    asked.clear()
    assert run_all(tmp_path, *options) == 2
    assert difference in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize("way", ["option", "variable"])
def test_replay_measures_nothing(asked, tmp_path, monkeypatch, way):
    options = ["--replay"]
    if way == "variable":
        options = []
        monkeypatch.setenv("NETLAB_MODE", "replay")
    assert run_all(tmp_path, *options) == 0
    assert asked == []
    for name in NAMES:
        about = json.loads((tmp_path / "out" / name / "study.json").read_text())
        assert (about["mode"], about["date"]) == (
            "replayed",
            recordings.about(name)["date"],
        )


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["--all"], "give a folder, --out FOLDER"),
        (["burst", "--all", "--out", "x"], "--all and burst: give one of both"),
        (["burst", "burst"], "burst is named twice"),
        (["burst", "--replay", "--repeats", "2"], "--repeats: a recording has its own"),
        (["burst", "--replay", "--seed", "2"], "--seed: a recording has its own"),
        (["xray"], f"xray cannot be measured here. {REASON}{tasks.REMEDY}"),
    ],
)
def test_what_cannot_be_honoured_is_refused(asked, capsys, command, told):
    assert main(["reproduce", *command]) == 2
    assert told in capsys.readouterr().err
    assert asked == []


def test_a_page_that_is_no_index_is_left_alone(asked, tmp_path, capsys):
    (tmp_path / index.FILE).write_text("# Mine\n")
    assert main(["reproduce", "burst", "--replay", "--out", str(tmp_path)]) == 2
    assert "is no index of studies" in capsys.readouterr().err
    assert (tmp_path / index.FILE).read_text() == "# Mine\n"


def test_a_named_study_is_not_written_over(asked, tmp_path, capsys):
    command = ["reproduce", "burst", "--replay", "--out", str(tmp_path)]
    assert main(command) == 0
    assert "✓ confirmed: A hash spreads an idle burst." in capsys.readouterr().out
    assert main(command) == 2
    assert "is there already: remove it" in capsys.readouterr().err


def test_all_as_json_is_a_row_a_study(asked, tmp_path, capsys):
    assert run_all(tmp_path, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["study"] for row in rows] == list(NAMES)
    assert [row["figures"] for row in rows] == [1, 1, 2]
    assert {one["value"] for row in rows for one in row["verdicts"]} == {"confirmed"}
