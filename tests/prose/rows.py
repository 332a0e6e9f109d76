"""What a row is: words of a page with a number, and what the number is bound to."""

from collections.abc import Callable
from typing import Any, NamedTuple

from netlab.study import recordings

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KINDS = {
    "setting": "what a run was told to do",
    "threshold": "said before the run, of a claim or an allowance",
    "chance": "computed, not measured: odds, or ideals",
    "meaning": "explains what a number stands for, and claims no value",
    "version": "of a program",
}


class Bound(NamedTuple):
    """Words of a page, and the function that fills them in from the data."""

    page: str
    words: str
    figures: Callable[[], Any]

    def filled(self) -> str:
        """Return the words as they must stand in the page."""
        figures = self.figures()
        return self.words.format(*figures if isinstance(figures, tuple) else (figures,))


class Stated(NamedTuple):
    """Words of a page with a number that only looks measured, and its kind."""

    page: str
    words: str
    kind: str


def table(study, name):
    """Return one table of a recording."""
    return recordings.load(study).tables[name]


def word(number):
    """Return a number as a page writes it: a small whole one as a word."""
    small = number == int(number) and number < len(WORDS)
    return WORDS[int(number)] if small else f"{number:g}"
