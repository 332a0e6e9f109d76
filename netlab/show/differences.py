"""What was changed between two texts, such as two stages of the server.

Decision. A difference is shown a definition at a time: under the name of the function
or class stand its lines, those that went with a minus and those that came with a plus.
What did not change is not shown, but for a few lines around a change. The essay at a
module's head is left out: the page says in its prose what the step is about. Colours
are the reader's editor's, by the fence (`notes`); the signs tell without them.

Not in this file: what is compared (`page`).
"""

from __future__ import annotations

import ast
import difflib
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from netlab.show.notes import Note, Noted, code
from netlab.show.sources import source_of

AROUND = 2  # unchanged lines before and after a change
TOP = "the top of the file"
Lines = tuple[str, ...]
Step = tuple[str, int, int, int, int]  # what, from and to in the first and the second


@dataclass(frozen=True, repr=False)
class Difference(Noted):
    """Two texts, by the places where they stand, and what is between them.

    hunks: groups of lines, each line with its sign.
    same: definitions that both have, and that are equal.
    """

    before: str
    after: str
    hunks: tuple[Lines, ...]
    same: tuple[str, ...]

    @property
    def went(self) -> int:
        """How many lines are in the first text only."""
        return self._count("-")

    @property
    def came(self) -> int:
        """How many lines are in the second text only."""
        return self._count("+")

    def _count(self, sign: str) -> int:
        return sum(line.startswith(sign) for hunk in self.hunks for line in hunk)

    def note(self) -> Note:
        """Return what a page shows of it."""
        text = "\n".join(line for hunk in self.hunks for line in hunk)
        same = ", ".join(self.same) or "nothing"
        head = f"{self.before} → {self.after}"
        lines = f"{self.went} lines went, {self.came} came"
        marked = ", ".join(f"`{name}`" for name in self.same) or "nothing"
        return Note(
            f"`{self.before}` → `{self.after}`: {lines}\n\n{code(text, 'diff')}\n\n"
            f"Unchanged: {marked}",
            f"{head}: {lines}\n{text}\nUnchanged: {same}",
        )


def difference(before: Any, after: Any) -> Difference:
    """Return what changed from one module, class or function to another.

    Raises ValueError for what has no source.
    """
    old, new = source_of(before), source_of(after)
    old_text, new_text = _text(old.lines), _text(new.lines)
    return Difference(
        old.place,
        new.place,
        tuple(_hunks(old_text, new_text)),
        _same_definitions(old_text, new_text),
    )


def _text(lines: Lines) -> Lines:
    """Return the lines from the margin on, without a module's essay."""
    text = textwrap.dedent("".join(lines))
    tree = ast.parse(text)
    essay = tree.body[0].end_lineno if ast.get_docstring(tree) else 0
    return tuple(text.splitlines(keepends=True)[essay:])


def _hunks(old: Lines, new: Lines) -> Iterator[Lines]:
    """Give each group of changes, under the name of the definition it begins in."""
    names = _names_by_line(old), _names_by_line(new)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for group in matcher.get_grouped_opcodes(AROUND):
        lines = [f"@@ {_heading(group, (old, new), names)} @@"]
        for kind, first, last, new_first, new_last in group:
            if kind == "equal":
                lines += [f" {line.rstrip()}" for line in old[first:last]]
            else:
                lines += [f"-{line.rstrip()}" for line in old[first:last]]
                lines += [f"+{line.rstrip()}" for line in new[new_first:new_last]]
        yield tuple(lines)


def _heading(
    group: list[Step], texts: tuple[Lines, Lines], names: tuple[list[str], list[str]]
) -> str:
    """Return the definition of the first line that changed and is not blank."""
    for kind, *ends in group:
        for text, name, span in zip(texts, names, (ends[:2], ends[2:]), strict=True):
            changed = [] if kind == "equal" else range(*span)
            if found := next((n for n in changed if text[n].strip()), None):
                return name[found]
    return TOP


def _names_by_line(lines: Lines) -> list[str]:
    """Return for each line the innermost definition that it is in."""
    names = [TOP] * len(lines)
    for name, node in _definitions(lines):
        for line in range(node.lineno - 1, node.end_lineno or node.lineno):
            names[line] = name
    return names


def _same_definitions(old: Lines, new: Lines) -> tuple[str, ...]:
    """Return the functions that both have, with the same text."""
    texts = [
        {
            name: "".join(lines[node.lineno - 1 : node.end_lineno])
            for name, node in _definitions(lines)
            if not isinstance(node, ast.ClassDef)
        }
        for lines in (old, new)
    ]
    return tuple(name for name, text in texts[0].items() if texts[1].get(name) == text)


Definition = ast.FunctionDef | ast.ClassDef


def _definitions(lines: Lines) -> list[tuple[str, Definition]]:
    """Return classes, their methods and functions, in the order of their lines."""
    found: list[tuple[str, Definition]] = []
    for node in ast.parse("".join(lines)).body:
        if isinstance(node, Definition):
            found.append((node.name, node))
        if isinstance(node, ast.ClassDef):
            inner = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            found += [(f"{node.name}.{one.name}", one) for one in inner]
    return found
