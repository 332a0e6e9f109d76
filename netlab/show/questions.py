"""What a prediction is asked for: the rules for a guess, and the guess itself.

A guess is plain Python that stands in the reader's cell, and None is no guess. One
question asks for one of these:

    a number                        low, high, unit
    one of several words            choices
    a list of either                count; of numbers, perhaps with a total
    any of these for each label     labels: a dict, in which a label may be None

That is the form in which plots take `predicted`, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from netlab.show.figures import readable
from netlab.show.notes import Note, Noted, literal

NO_GUESS = "or None for no guess"


@dataclass(frozen=True)
class Question:
    """A question, and what a guess must be like.

    count: so many values in a list. total: what its numbers add up to (without a
    list: those of all labels). each: what a value of the list belongs to, a word.

    Raises ValueError for rules that contradict each other.
    """

    text: str
    unit: str = ""
    labels: tuple[str, ...] = ()
    choices: tuple[Any, ...] = ()
    count: int | None = None
    low: float = 0
    high: float = math.inf
    total: float | None = None
    each: str = "number"

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError(f"text={self.text!r}: ask something")
        for name in ("labels", "choices"):
            given = getattr(self, name)
            if isinstance(given, str) or len(set(given)) != len(given):
                raise ValueError(f"{name}={given!r}: give several that differ")
            object.__setattr__(self, name, tuple(given))
        if self.count is not None and self.count < 1:
            raise ValueError(f"count={self.count}: ask for at least one value")
        if self.total is not None and (self.choices or not (self.count or self.labels)):
            raise ValueError(f"total={self.total}: only several numbers have one")

    def asked(self) -> str:
        """Return what a guess must be like, in words."""
        if not self.labels:
            return self._asked_part()
        return f"{self._asked_part()} for each of {', '.join(self.labels)}"

    def checked(self, guess: Any) -> Any:
        """Return the guess as plain values, without labels that have none.

        None if there is none. Raises ValueError with the value and the remedy.
        """
        if guess is None:
            return None
        if not self.labels:
            return self._part(guess, "your guess")
        found = {
            label: self._part(value, f"your guess for {label!r}")
            for label, value in self._labelled(guess).items()
            if value is not None
        }
        if self.count is None and len(found) == len(self.labels):
            self._add_up(list(found.values()), "your guess")
        return {label: one for label, one in found.items() if one is not None} or None

    def _labelled(self, guess: Any) -> Mapping[str, Any]:
        if not isinstance(guess, Mapping):
            raise self._refused("your guess", guess, "a dict with ")
        if unknown := [label for label in guess if label not in self.labels]:
            raise ValueError(
                f"your guess has {unknown[0]!r}: its labels are "
                f"{', '.join(self.labels)}"
            )
        return guess

    def _part(self, value: Any, what: str) -> Any:
        if self.count is None:
            return self._one(value, what)
        if isinstance(value, (str, Mapping)) or not hasattr(value, "__len__"):
            raise self._refused(what, value, "a list of ")
        values = list(value)
        if values and all(one is None for one in values):
            return None
        if len(values) != self.count:
            raise self._refused(what, values)
        numbers = [
            self._one(one, f"value {at} of {what}")
            for at, one in enumerate(values, start=1)
        ]
        self._add_up(numbers, what)
        return numbers

    def _one(self, value: Any, what: str) -> Any:
        if self.choices:
            if value not in self.choices:
                raise self._refused(what, value)
            return value
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        number = float(value) if is_number else math.nan
        if not self.low <= number <= self.high or math.isinf(number):  # nor if NaN
            raise self._refused(what, value)
        return int(number) if number.is_integer() else number

    def _add_up(self, numbers: list[Any], what: str) -> None:
        if self.total is None or math.isclose(sum(numbers), self.total, abs_tol=1e-6):
            return
        raise ValueError(
            f"{what} is {numbers}, which add up to {sum(numbers):g}: they must add up "
            f"to {self.total:g}"
        )

    def _refused(self, what: str, value: Any, form: str = "") -> ValueError:
        return ValueError(f"{what} is {value!r}: give {form}{self.asked()}, {NO_GUESS}")

    def _asked_part(self) -> str:
        if self.choices:
            words = ", ".join(map(repr, self.choices))
            one_of = f"one of {words}"
            return f"{self.count} values, each {one_of}" if self.count else one_of
        many = f"{self.count} numbers" if self.count else "a number"
        span = f"of at least {self.low:g}"
        if math.isfinite(self.high):
            span = f"from {self.low:g} to {self.high:g}"
        sums = f", {self.total:g} in all" if self.total is not None else ""
        return f"{many} {span}{sums}"


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(Noted):
    """A guess that was made, or not: value None. Plots take it as `predicted`.

    late: it was made, or changed, after the measurement had been shown.
    """

    question: Question
    value: Any
    late: bool = False

    def note(self) -> Note:
        """Return what a page shows of it."""
        question = self.question
        if self.value is None:
            head, rest = "No prediction yet.", f"Give {question.asked()}, or run on."
        else:
            head, rest = "Your prediction:", said(self.value, question.unit)
            rest += ", changed after the measurement was shown" if self.late else ""
        return Note(
            f"{question.text}\n\n**{head}** {literal(rest)}",
            f"{question.text}\n{head} {rest}",
        )


def said(value: Any, unit: str = "") -> str:
    """Return a guess, or what was measured, as a reader wants it; a dash for none."""
    if isinstance(value, Mapping):
        return ", ".join(f"{label} {said(one, unit)}" for label, one in value.items())
    if isinstance(value, (list, tuple)):
        return f"{', '.join(map(readable, value))} {unit}".rstrip()
    text = readable(value)
    return text if isinstance(value, str) or text == "–" else f"{text} {unit}".rstrip()
