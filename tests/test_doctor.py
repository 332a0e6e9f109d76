import pytest

from netlab.kernel import doctor as module
from netlab.kernel.doctor import ROWS, Fact, Row, as_text, doctor, facts

MODES = {"live", "caution", "missing", "unknown"}


def row(look, **changes):
    return Row("thing", look, "missing", "It works.", "Mend it: so.")._replace(
        **changes
    )


def test_every_row_has_a_finding_a_mode_and_one_sentence_of_reason():
    found = facts()
    assert [fact.what for fact in found] == [entry.what for entry in ROWS]
    assert {fact.mode for fact in found} <= MODES
    for fact in found:
        assert fact.here
        assert fact.why[0].isupper()
        assert fact.why.endswith(".")


def test_every_row_has_both_sentences_and_its_own_name():
    assert len({entry.what for entry in ROWS}) == len(ROWS)
    for entry in ROWS:
        assert entry.good.endswith(".")
        assert entry.remedy.endswith(".")


def test_probe_that_raises_becomes_a_row():
    def broken():
        raise ZeroDivisionError("of all things")

    (fact,) = facts([row(broken, linux_only=False)])
    assert fact.mode == "unknown"
    assert "ZeroDivisionError (of all things)" in fact.why


@pytest.mark.parametrize(
    ("enough", "mode", "why"),
    [(True, "live", "It works."), (False, "missing", "Mend it: so.")],
)
def test_reason_follows_the_finding(enough, mode, why):
    found = facts([row(lambda: ("3", enough), linux_only=False)])
    assert found == [Fact("thing", "3", mode, why)]


def test_rows_of_linux_are_not_even_tried_elsewhere(monkeypatch):
    monkeypatch.setattr(module.platform, "system", lambda: "Darwin")
    (fact,) = facts([row(lambda: pytest.fail("tried"))])
    assert fact == Fact("thing", "Darwin", "missing", module.NEEDS_LINUX)


def test_doctor_is_the_facts_as_a_table():
    pytest.importorskip("pandas")
    table = doctor()
    assert list(table.columns) == ["what", "here", "mode", "why"]
    assert len(table) == len(ROWS)


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_text_keeps_to_the_width_and_loses_no_word(width):
    found = facts()
    text = as_text(found, width)
    assert max(map(len, text.splitlines())) <= width
    for fact in found:
        for word in " ".join(fact).split():
            assert word in text


def test_text_is_aligned():
    found = [
        Fact("a", "b", "live", "Short."),
        Fact("longer", "x" * 9, "missing", "Because " * 20),
    ]
    first, second, *more = as_text(found, 100).splitlines()
    column = second.index("Because")
    assert first.index("Short.") == column
    assert {len(line) - len(line.lstrip()) for line in more} == {column}


def test_narrow_text_puts_the_reason_beneath():
    assert as_text([Fact("a", "b", "live", "Short.")], 30) == "a  b  live\n    Short."


def test_text_of_nothing_is_nothing():
    assert as_text([]) == ""
