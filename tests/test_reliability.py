"""What is kept of the reliability's measurements, and the document made of it."""

import json

import pytest

from reliability import __main__ as command
from reliability import results

ROWS = [
    {"fault": "EMFILE", "times": 12_000, "lost": 0, "ms": 0.1234, "left behind": None},
    {"fault": "a | b", "times": 1, "lost": 0, "ms": 1234.5, "left behind": "nothing"},
]


@pytest.mark.parametrize("name", command.MEASUREMENTS)
def test_each_measurement_is_kept_with_its_command_and_machine(name):
    kept = results.read(name)
    assert kept["command"].startswith(f"python -m reliability {name}")
    assert kept["command"].endswith("--keep")
    assert kept["machine"]["kernel"]
    assert len({tuple(row) for row in kept["rows"]}) == 1
    assert all(row.get("lost", 0) == row.get("mixed", 0) == 0 for row in kept["rows"])


def test_the_document_s_tables_are_those_of_what_is_kept():
    text = results.DOCUMENT.read_text()
    assert results.write_tables(text, command.columns()) == text


def test_a_table_has_a_line_a_row_and_the_columns_asked_for(tmp_path):
    results.keep("trial", ROWS, "python -m reliability trial", tmp_path)
    kept = results.read("trial", tmp_path)
    _, _, head, _, first, second = results.table(kept).splitlines()
    assert head == "| fault | times | lost | ms | left behind |"
    assert first == "| EMFILE | 12,000 | 0 | 0.123 |  |"
    assert second == "| a \\| b | 1 | 0 | 1,234 | nothing |"
    assert results.table(kept, ("lost", "ms")).splitlines()[-1] == "| 0 | 1,234 |"


def test_what_is_missing_says_how_to_make_it(tmp_path):
    with pytest.raises(ValueError, match="python -m reliability trial --keep"):
        results.read("trial", tmp_path)
    results.keep("trial", ROWS, "", tmp_path)
    with pytest.raises(ValueError, match="<!-- trial:begin -->"):
        results.write_tables("no markers", {"trial": ()}, tmp_path)


def test_a_broken_promise_is_status_1_and_keeps_nothing(monkeypatch, capsys):
    def broken(_):
        raise results.Broken("1 of 2 answers lost")

    monkeypatch.setattr("reliability.clients.measure", broken)
    monkeypatch.setattr(results, "keep", lambda *_: pytest.fail("kept"))
    monkeypatch.setattr("sys.argv", ["reliability", "clients", "--keep"])
    assert command.main() == command.BROKEN
    assert capsys.readouterr().err == "broken: 1 of 2 answers lost\n"


def test_what_cannot_be_honoured_is_status_2(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["reliability", "attacks", "--attack", "slow"])
    assert command.main() == command.REFUSED
    assert "slow headers" in capsys.readouterr().err


def test_what_is_kept_can_be_read_again(tmp_path):
    path = results.keep("trial", ROWS, "a command", tmp_path)
    assert json.loads(path.read_text())["rows"] == ROWS
