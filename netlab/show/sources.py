"""The source of a thing, as a page shows it: where it stands, and its text.

Facts. Colours that a page could write would be right in one theme only. JupyterLab
colours a fence of Markdown itself, by the theme, and so do other readers of notebooks.

Decision. Source is shown in a fence, under its file and lines. The plain text has a
number before each line instead. A row of a table is found in its module by the name
that it begins with, since an instance does not know where it was written.

Known limit: the text is read from the file as it is now. Whoever edits netlab while
it is imported sees lines that are not running.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from netlab.show.notes import Note, code

ROOT = Path(__file__).resolve().parents[2]
THIS_PAGE = "this page"
KINDS = "give a function, a class, a module, or a row of one of netlab's tables"


class Source(NamedTuple):
    """Lines of a file, the first of them with this number (from 1)."""

    place: str
    first: int
    lines: tuple[str, ...]

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self.first + len(self.lines) - 1

    def cut(self, first: int, last: int) -> Source:
        """Return some of the lines, counted from 1 within these.

        Raises ValueError if there are no such lines.
        """
        if not 1 <= first <= last <= len(self.lines):
            raise ValueError(
                f"lines={first, last}: there are 1 to {len(self.lines)} of it"
            )
        lines = self.lines[first - 1 : last]
        return Source(self.place, self.first + first - 1, lines)


def show(
    thing: Any, *, method: str | None = None, lines: tuple[int, int] | None = None
) -> Note:
    """Return the source of a thing with its file and lines, as a page shows it.

    thing: a function, class or module, or a row of a table such as a strategy.
    method: only this one of a class. lines: only these, counted from 1 within it.

    Raises ValueError if there is no such source.
    """
    source = source_of(thing if method is None else _method(thing, method))
    if lines is not None:
        source = source.cut(*lines)
    text = textwrap.dedent("".join(source.lines))
    span = f"lines {source.first} to {source.last}"
    numbered = [
        f"{number:>5}  {line}".rstrip()
        for number, line in enumerate(text.splitlines(), start=source.first)
    ]
    return Note(
        f"`{source.place}`, {span}\n\n{code(text)}",
        "\n".join([f"{source.place}, {span}", *numbered]),
    )


def source_of(thing: Any) -> Source:
    """Return where a thing stands, and its lines.

    Raises ValueError if it is no such thing, or its file cannot be read.
    """
    thing = _plain(thing)
    is_named = inspect.isroutine(thing) or inspect.isclass(thing)
    if not is_named and not inspect.ismodule(thing):
        return _row(thing)
    return _written(thing)


def _written(thing: Any) -> Source:
    try:
        lines, first = inspect.getsourcelines(thing)
        file = inspect.getsourcefile(inspect.unwrap(thing)) or ""
    except (OSError, TypeError) as error:
        raise ValueError(f"{thing!r} has no source to show: {KINDS}") from error
    return Source(_place(file), max(first, 1), tuple(lines))


def _plain(thing: Any) -> Any:
    """Return the function inside what was made of one: compiled, partial, property."""
    if isinstance(thing, (functools.partial, functools.cached_property)):
        return thing.func
    if isinstance(thing, property):
        return thing.fget
    return getattr(thing, "py_func", thing)  # Numba keeps the original


def _method(thing: Any, name: str) -> Any:
    found = (
        inspect.getattr_static(thing, name, None) if inspect.isclass(thing) else None
    )
    if found is None:
        raise ValueError(f"method={name!r}: {thing!r} has no such method")
    return getattr(found, "__func__", found)  # of a static or a class method


def _place(file: str) -> str:
    """Return the file as a reader knows it: relative to the repository."""
    path = Path(file)
    inside = path.relative_to(ROOT) if path.is_relative_to(ROOT) else None
    if inside is not None and not inside.parts[0].startswith("."):  # as .venv does
        return inside.as_posix()
    if "ipykernel_" in file or file.startswith("<"):
        return THIS_PAGE
    return "/".join(path.parts[-2:])


def _row(row: Any) -> Source:
    """Find the call that made the row, in the module whose table holds it."""
    named = isinstance(row, tuple) and row and isinstance(row[0], str)
    for module in _modules_that_hold(row) if named else ():
        text = inspect.getsource(module)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and _makes(node, row):
                last = node.end_lineno or node.lineno
                lines = text.splitlines(keepends=True)[node.lineno - 1 : last]
                return Source(_place(str(module.__file__)), node.lineno, tuple(lines))
    raise ValueError(f"{row!r} has no source to show: {KINDS}")


def _modules_that_hold(row: Any) -> list[ModuleType]:
    modules = [
        one for name, one in list(sys.modules.items()) if name.startswith("netlab.")
    ]
    return [
        module
        for module in modules
        if any(
            one is row
            for table in vars(module).values()
            if isinstance(table, (tuple, list))
            for one in table
        )
    ]


def _makes(call: ast.Call, row: Any) -> bool:
    """Whether the call is Kind("name", ...) of the row."""
    is_kind = isinstance(call.func, ast.Name) and call.func.id == type(row).__name__
    first = call.args[0] if call.args else None
    return is_kind and isinstance(first, ast.Constant) and first.value == row[0]
