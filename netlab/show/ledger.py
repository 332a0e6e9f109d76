"""The ledger of a page: what the reader predicted, what was measured, how far off.

A prediction is entered under a key when its cell runs, and again in its place when the
cell is run again. One that changes after the measurement was shown is kept, and marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from netlab.show.notes import Note, Noted, literal, table
from netlab.show.questions import Prediction, Question, said

TITLES = ("you said", "measured", "difference")
LATE = "changed afterwards"
FROM_0 = {"worker", "CPU"}  # these have numbers for names; others are counted
ENTRY_TITLES = ("question", "you said", "measured", "how far off")


class Row(NamedTuple):
    """One value beside another. off: a difference, or whether it is another word."""

    what: str
    guess: Any
    measured: Any
    off: float | bool | None


@dataclass(frozen=True, eq=False, repr=False)
class Revealed(Noted):
    """A guess beside what was measured, value by value."""

    prediction: Prediction
    measured: Any
    rows: tuple[Row, ...]

    @property
    def summary(self) -> str:
        """How far off the guess was, in words."""
        known = [row.off for row in self.rows if row.off is not None]
        if self.prediction.value is None:
            return "no prediction"
        if not known:
            return "not measured"
        if self.prediction.question.choices:
            hits = known.count(False)
            some = f"{hits} of {len(known)} right" if len(known) > 1 else "not right"
            return "right" if hits == len(known) else some
        far = max(known, key=abs)
        if far == 0:
            return "right"
        most = "at most " if len(known) > 1 else ""
        unit = self.prediction.question.unit
        return f"off by {most}{said(abs(far), 'points' if unit == '%' else unit)}"

    def note(self) -> Note:
        """Return what a page shows of it."""
        told = self.summary[:1].upper() + self.summary[1:]
        told += f", {LATE}" if self.prediction.late else ""
        if len(self.rows) == 1:
            return self._sentence(f"{told}.")
        unit = self.prediction.question.unit
        titles = (f"in {unit}" if unit else "", *TITLES)
        lines = [
            [row.what, said(row.guess), said(row.measured), _off(row.off)]
            for row in self.rows
        ]
        shown = table(titles, [[literal(text) for text in line] for line in lines])
        plain = table(titles, lines).text
        return Note(f"{shown.markdown}\n\n**{literal(told)}.**", f"{plain}\n{told}.")

    def _sentence(self, told: str) -> Note:
        row, unit = self.rows[0], self.prediction.question.unit
        text = f"Measured {said(row.measured, unit)}."
        if row.guess is not None:
            text = f"You said {said(row.guess, unit)}, m{text[1:]}"
        return Note(f"{literal(text)} **{literal(told)}**", f"{text} {told}")


class Entry(NamedTuple):
    """A prediction, and how it came out. seen: the measurement was shown once."""

    prediction: Prediction
    revealed: Revealed | None = None
    seen: bool = False


class Ledger(Noted):
    """The predictions of one page, in the order in which they were first made."""

    def __init__(self, page: str = "") -> None:
        self.page = page
        self._entries: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def predict(self, question: Question, guess: Any) -> Prediction:
        """Enter a guess; raises ValueError for one that the question forbids."""
        new = Prediction(question, question.checked(guess))
        old = self._entries.get(question.text)
        if old is not None and old.seen:
            changed = old.prediction.late or old.prediction.value != new.value
            new = replace(new, late=new.value is not None and changed)
        self._entries[question.text] = Entry(new, seen=old is not None and old.seen)
        return new

    def reveal(self, prediction: Prediction, measured: Any) -> Revealed:
        """Enter what was measured; it has the form of the guess.

        Raises ValueError if it has another one.
        """
        measured = _of_the_form(prediction.question, measured)
        revealed = Revealed(prediction, measured, tuple(_rows(prediction, measured)))
        entry = Entry(prediction, revealed, seen=True)
        self._entries[prediction.question.text] = entry
        return revealed

    def note(self) -> Note:
        """Return what a page shows of it."""
        if not self._entries:
            return Note(*["No prediction was made on this page."] * 2)
        lines = [_line(entry) for entry in self._entries.values()]
        shown = [[question, *map(literal, rest)] for question, *rest in lines]
        return Note(
            table(ENTRY_TITLES, shown).markdown, table(ENTRY_TITLES, lines).text
        )


def _line(entry: Entry) -> list[str]:
    prediction, revealed = entry.prediction, entry.revealed
    question = prediction.question
    measured, off = "–", "not measured yet"
    if revealed is not None:
        measured, off = said(revealed.measured, question.unit), revealed.summary
    off += f", {LATE}" if prediction.late else ""
    text = " ".join(question.text.split())
    return [text, said(prediction.value, question.unit), measured, off]


def _of_the_form(question: Question, measured: Any) -> Any:
    """Return what was measured as plain values: a dict, a list, or one value."""
    if question.labels:
        if not hasattr(measured, "keys"):
            raise ValueError(f"measured={measured!r}: give a value for each label")
        given = dict(measured)  # of a mapping or a Series
        if missing := [label for label in question.labels if label not in given]:
            raise ValueError(f"measured lacks {missing[0]!r}: give a value, or None")
        parts = {label: given[label] for label in question.labels}
        return {label: _part(question, part) for label, part in parts.items()}
    return _part(question, measured)


def _part(question: Question, measured: Any) -> Any:
    if measured is None or question.count is None:
        return measured
    values = list(measured)
    if len(values) != question.count:
        raise ValueError(
            f"measured has {len(values)} values: the guess has {question.count}"
        )
    return values


def _rows(prediction: Prediction, measured: Any) -> Iterator[Row]:
    """Yield every single value of the guess beside what was measured."""
    question, guess = prediction.question, prediction.value
    if not question.labels:
        yield from _part_rows(question, "", guess, measured)
        return
    for label in question.labels:
        own = guess.get(label) if isinstance(guess, Mapping) else None
        yield from _part_rows(question, label, own, measured[label])


def _part_rows(
    question: Question, label: str, guess: Any, measured: Any
) -> Iterator[Row]:
    if question.count is None:
        yield Row(label, guess, measured, _difference(question, guess, measured))
        return
    nothing = [None] * question.count
    pairs = zip(guess or nothing, measured or nothing, strict=True)
    for at, (one, other) in enumerate(pairs, 0 if question.each in FROM_0 else 1):
        what = f"{label} {question.each} {at}".strip()
        yield Row(what, one, other, _difference(question, one, other))


def _difference(question: Question, guess: Any, measured: Any) -> float | bool | None:
    if guess is None or measured is None or measured != measured:
        return None
    return bool(guess != measured) if question.choices else float(guess - measured)


def _off(off: float | bool | None) -> str:
    if off is None:
        return "–"
    if isinstance(off, bool):
        return "another" if off else "right"
    return said(off) if off <= 0 else f"+{said(off)}"
