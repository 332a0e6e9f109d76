"""An exercise: the reader's answer, a check of it, and a solution folded away.

A check is a function of the answer. It returns None or True if the answer is right, or
a text that says more; it raises AssertionError (or returns False) to say why not yet.
Whatever else it raises, the answer was of a kind that it did not expect; that is said,
too, and the page runs on. An answer of None, or a function that still raises
NotImplementedError, is not answered yet.

Known limit: a solution that is written into the cell can be read there. Give an object
of netlab, whose source is then shown, or fold it away in the page's own text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from netlab.show.notes import Note, Noted, code, fold, literal
from netlab.show.sources import show

State = Literal["right", "not yet", "not answered yet"]
MARKS = {"right": "✓", "not yet": "✗", "not answered yet": "–"}


@dataclass(frozen=True, repr=False)
class Checked(Noted):
    """What became of an answer.

    said: why not yet, or what more there is to say. solution: Markdown.
    """

    name: str
    state: State
    said: str = ""
    hint: str = ""
    solution: str = ""

    @property
    def right(self) -> bool:
        """Whether the answer was given and is right."""
        return self.state == "right"

    def note(self) -> Note:
        """Return what a page shows of it."""
        more = f": {self.said}" if self.said else ""
        head = f"{MARKS[self.state]} {self.state}"
        parts = [f"**{literal(self.name)}: {head}**{literal(more)}"]
        text = f"{self.name}: {head}{more}"
        if self.hint and not self.right:
            parts.append(fold("Hint", self.hint))
        if self.solution:
            parts.append(fold("Solution", self.solution))
        return Note("\n\n".join(parts), text)


def exercise(
    name: str,
    answer: Any,
    check: Callable[[Any], Any],
    *,
    hint: str = "",
    solution: Any = "",
) -> Checked:
    """Check an answer, and return what a page shows of it.

    solution: Python text, or an object whose source it is.
    """
    if not callable(check):
        raise ValueError(f"check={check!r}: give a function of the answer")
    state, told = _state(answer, check)
    return Checked(name, state, told, hint, _solution(solution))


def _state(answer: Any, check: Callable[[Any], Any]) -> tuple[State, str]:
    if answer is None or answer is Ellipsis:
        return "not answered yet", ""
    try:
        found = check(answer)
    except NotImplementedError:
        return "not answered yet", ""
    except AssertionError as error:
        return "not yet", str(error) or "the check does not hold"
    except Exception as error:
        kind = f"{type(error).__name__}: {error}".removesuffix(": ")
        return "not yet", f"your answer cannot be checked, it led to {kind}"
    if isinstance(found, str):
        return "right", found
    is_right = found is None or bool(found)
    return ("right", "") if is_right else ("not yet", "the check does not hold")


def _solution(solution: Any) -> str:
    if isinstance(solution, str):
        return code(solution) if solution.strip() else ""
    return show(solution).markdown
