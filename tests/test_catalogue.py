"""The named studies: small ones, drawn by their plots, and the command that does it."""

import json
import re

import pytest

from netlab.__main__ import main
from netlab.show import figures, plots
from netlab.study import catalogue, herd, interleave, matrix, sharing
from netlab.study.interleave import Point, in_blocks, interleaved
from tests.bounded import linux

pytestmark = linux
QUIET = {"progress": False}


def drawn(name, found):
    """Every figure of a study, drawn from what was found."""
    stamp = figures.stamp(found.machine, engine="compiled")
    return [
        plots.show(one.plot, found.tables[one.table], stamp=stamp, **one.options(found))
        for one in catalogue.find(name).drawings
    ]


def test_the_catalogue_is_complete():
    names = [study.name for study in catalogue.STUDIES]
    assert len(set(names)) == len(names) >= 10
    for study in catalogue.STUDIES:
        assert study.question.endswith("?")
        assert study.drawings
        assert {drawing.plot for drawing in study.drawings} <= set(plots.PLOTS)
    with pytest.raises(ValueError, match=r"study 'fair': there are .*herd, order"):
        catalogue.find("fair")


# --- the order of runs


POINTS = [Point({"kind": kind}, {}) for kind in "abcd"]


def test_every_block_has_each_point_once_in_an_order_of_its_own():
    order = in_blocks(POINTS, 5, seed=1)
    kinds = [point.labels["kind"] for _, point in order]
    blocks = [kinds[at : at + 4] for at in range(0, 20, 4)]
    assert all(sorted(block) == list("abcd") for block in blocks)
    assert len(set(map(tuple, blocks))) > 1
    assert [repeat for repeat, _ in order] == [n for n in range(5) for _ in range(4)]
    assert order == in_blocks(POINTS, 5, seed=1) != in_blocks(POINTS, 5, seed=2)


@pytest.mark.parametrize("repeats", [0, True, 1.5])
def test_repeats_are_a_whole_number(repeats):
    with pytest.raises(ValueError, match=re.escape(f"repeats={repeats!r}")):
        list(interleaved(POINTS, repeats))


def test_what_a_strategy_draws_differs_from_repeat_to_repeat():
    point = sharing.burst_point("handoff-two-choices")
    found = list(interleaved([point], 2, seed=5, progress=False))
    seeds = [one.run.settings["actual"]["server"]["place_seed"] for one in found]
    assert sorted(seeds) == [5, 6]
    assert [one.labels["repeat"] for one in found] == [0, 1]


def test_the_first_run_of_a_process_is_not_reported(monkeypatch):
    seen = []
    whole = interleave.run

    def counting(**settings):
        seen.append(settings["connections"])
        return whole(**settings)

    monkeypatch.setattr(interleave, "run", counting)
    point = Point({}, {"workers": 1, "connections": 40})
    assert len(list(interleaved([point], 1, progress=False))) == 1
    assert seen == [32, 40]


# --- studies


def test_herd():
    found = herd.herd(1, workers=(1, 4), connections=40, rates_per_s=(500,), **QUIET)
    table = found.tables["herd"].set_index(["strategy", "engine", "workers"])
    assert len(table) == 8
    for engine in herd.ENGINES:
        woken = table["wakeups_per_accept"]
        assert woken["level", engine, 4] > 2 * woken["exclusive", "compiled", 4]
    assert (table["accepts"] == 40).all()
    assert len(found.tables["load"]) == 2
    assert all(len(one.alt) > 80 for one in drawn("herd", found))


def test_rotate():
    found = sharing.rotate(connections=96, **QUIET)
    table = found.tables["rotate"]
    got = {name: rows["worker"].value_counts() for name, rows in table.groupby("every")}
    assert len(got["1"]) == 4
    assert got["1"].max() <= 30
    assert got["never"].max() >= 85
    assert "never" in drawn("rotate", found)[0].alt


def test_slow_worker():
    names = ["level", "reuseport"]
    found = sharing.slow_worker(3, names=names, connections=150, **QUIET)
    share = found.tables["slow_worker"].groupby("strategy")["share_percent"].median()
    assert share["level"] < 30 < 40 <= share["reuseport"] <= 60
    assert "level" in drawn("slow-worker", found)[0].alt


def test_burst():
    found = sharing.burst(4, names=["exclusive", "handoff-least"], **QUIET)
    top = found.tables["burst"].groupby("strategy")["top_share_percent"].median()
    assert top["handoff-least"] == 25
    assert top["exclusive"] > 50
    assert (found.tables["burst"]["connections"] == 12).all()
    assert drawn("burst", found)


def test_choice_is_a_row_a_strategy_and_repeat():
    found = sharing.choice(2, names=["reuseport", "handoff-least"], **QUIET)
    table = found.tables["choice"]
    assert len(table) == 4
    assert set(table["family"]) == {"hash", "handed over"}
    assert len(found.tables["burst"]) == 2 * 2 * sharing.BURSTS
    bursts = found.tables["burst"]
    for row in table.to_dict("records"):
        mine = bursts["strategy"].eq(row["strategy"])
        part = bursts["repeat"] // sharing.BURSTS == row["repeat"]
        mean = bursts[mine & part]["top_share_percent"].mean()
        assert row["top_share_percent"] == pytest.approx(mean, abs=0.01)
    assert drawn("choice", found)


def test_matrix():
    found = matrix.matrix(1, names=["level", "blocking", "reuseport"], **QUIET)
    table = found.tables["matrix"].set_index(["strategy", "measure"])
    assert len(table) == 3 * len(matrix.MEASURES)
    woken = table["value"].xs("wake-ups", level="measure")
    assert woken["level"] > 2 > woken["reuseport"]
    assert table["text"]["blocking", "order"] in ("round robin", "no order")
    assert drawn("matrix", found)


def test_a_strategy_that_cannot_run_here_keeps_its_row_and_its_reason(monkeypatch):
    from netlab.kernel import doctor

    missing = {"SO_REUSEPORT": lambda: ("none", False)}
    rows = [row._replace(look=missing.get(row.what, row.look)) for row in doctor.ROWS]
    monkeypatch.setattr(doctor, "ROWS", rows)
    found = matrix.matrix(1, names=["level", "reuseport"], **QUIET)
    table = found.tables["matrix"]
    reasons = table[table["strategy"] == "reuseport"]["reason"]
    assert len(reasons) == len(matrix.MEASURES)
    assert all("SO_REUSEPORT: none" in reason for reason in reasons)
    assert "reuseport cannot run here" in found.notes[0]
    assert drawn("matrix", found)


# --- the command


def test_reproduce_lists_the_studies(capsys):
    assert main(["reproduce"]) == 0
    listed = capsys.readouterr().out
    assert all(study.name in listed for study in catalogue.STUDIES)


def test_reproduce_refuses_an_unknown_study(capsys):
    assert main(["reproduce", "fair"]) == 2
    assert "study 'fair'" in capsys.readouterr().err


def test_reproduce_prints_and_saves(tmp_path, capsys):
    command = ["reproduce", "burst", "--repeats", "1", "--seed", "3"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "top_share_percent" in printed.out
    assert "? inconclusive: A hash spreads an idle burst." in printed.out
    folder = tmp_path / "burst"
    assert {path.name for path in folder.iterdir()} == {
        *("burst.csv", "burst.png", "burst.txt", "study.json", "verdicts.csv"),
    }
    saved = json.loads((folder / "study.json").read_text())
    assert saved["settings"]["seed"] == 3
    assert saved["machine"]["line"] in (folder / "burst.txt").read_text()


def test_reproduce_as_json(capsys):
    assert main(["reproduce", "burst", "--repeats", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["study"] == "burst"
    assert len(found["tables"]["burst"]) == len(sharing.NAMES)
    assert {one["value"] for one in found["verdicts"]} == {"inconclusive"}
