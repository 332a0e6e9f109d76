"""Make the pages without their solutions, for a class: `make student`.

There is one source, the pages in `notebooks/`, and this file takes away from it: the
folded solutions of the exercises, the folded answers to the questions, and all outputs.
What else is folded, such as a hint, stays.

Where an answer could be copied from a neighbour or from the public page, each student
gets values of his or her own. A page marks such a value where it stands in the cell:

    registered = [3, 1, 0, 2]  # seeded: another order
    every = 2  # seeded: from 2 to 5
    clients = 300  # seeded: one of 240, 270, 300, 330

The prose and the check use the name, and the check computes the right answer from the
value, so that this line is all that differs.

Decision. A value depends on the student's name, the page and the value's name, and on
nothing else: a copy can be made again, alone, and a student who comes later changes
nobody's. It is never the committed one, whose solution is public.

Cost. Two students may draw the same values; how many versions of a page there are is
printed. The rule is no secret, and a student can edit a cell: `values.csv` says what
each was given.

Nothing is overwritten: if a file that would be written is here, none is written.
"""

import argparse
import ast
import csv
import hashlib
import itertools
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from tools.working_copy import without_outputs

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "student-notebooks"
VALUES = "values.csv"
FOLDED = re.compile(
    r"<details>\s*<summary>(Solution|Answers)\b.*?</details>", flags=re.DOTALL
)
LEFT = {
    "Solution": "*The solution is with your teacher.*",
    "Answers": "*The answers are with your teacher.*",
}
MARK = "# seeded:"
SEEDED = re.compile(rf"^(\w+) = (.+?)  {MARK} (.+)$", flags=re.MULTILINE)
SPAN = re.compile(r"from (-?\d+) to (-?\d+)")
CHOICE = re.compile(r"one of (.+)")


class Value(NamedTuple):
    """A value that a student was given, by its name on a page."""

    student: str
    page: str
    name: str
    value: Any


class Copy(NamedTuple):
    """A page to write: where, what, and the values that were drawn for it."""

    path: Path
    text: str
    values: list[Value]


def without_solutions(notebook: Any) -> Any:
    """The notebook itself, without outputs, solutions and answers.

    Raises ValueError for a fold that does not end, since a solution may be in it.
    """
    for cell in without_outputs(notebook).cells:
        if cell.cell_type == "markdown":
            cell.source = FOLDED.sub(lambda found: LEFT[found[1]], cell.source)
            if cell.source.count("<details>") != cell.source.count("</details>"):
                raise ValueError(
                    f"cell {cell.id}: a <details> and its </details> are not a pair; "
                    "end each fold before the next"
                )
    return notebook


def possible(value: Any, rule: str) -> list[Any]:
    """All values that a rule allows beside the committed one.

    Raises ValueError for a rule that is none, or that allows no other value.
    """
    if rule == "another order" and isinstance(value, list):
        allowed = [list(order) for order in itertools.permutations(value)]
    elif span := SPAN.fullmatch(rule):
        allowed = list(range(int(span[1]), int(span[2]) + 1))
    elif choice := CHOICE.fullmatch(rule):
        allowed = list(ast.literal_eval(f"[{choice[1]}]"))
    else:
        raise ValueError(
            f"{MARK} {rule}: say 'another order' (of a list), 'from 2 to 5', "
            "or 'one of 240, 270'"
        )
    others = [one for one in allowed if one != value]
    if value not in allowed or not others:
        raise ValueError(f"{MARK} {rule}: must allow {value!r} and at least one other")
    return others


def drawn(student: str, page: str, name: str, values: list[Any]) -> Any:
    """One of the values, always the same for this student, page and name."""
    digest = hashlib.sha256("\n".join((student, page, name)).encode()).digest()
    return values[int.from_bytes(digest, "big") % len(values)]


def seed(notebook: Any, page: str, student: str) -> list[Value]:
    """Give the notebook a student's own values, and return them.

    Raises ValueError for a marked line of another form.
    """
    given: list[Value] = []

    def draw(found: re.Match[str]) -> str:
        name, literal, rule = found.groups()
        value = drawn(student, page, name, possible(ast.literal_eval(literal), rule))
        given.append(Value(student, page, name, value))
        return f"{name} = {value!r}  # drawn for you"

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = SEEDED.sub(draw, cell.source)
            if MARK in cell.source:
                raise ValueError(
                    f"cell {cell.id}: '{MARK}' belongs after 'name = value' and two "
                    "spaces, on one line"
                )
    notebook.metadata["netlab_student"] = student
    return given


def copy_of(page: Path, folder: Path, student: str | None) -> Copy:
    """A page for one student, or with the committed values for nobody in particular.

    Raises ValueError for a page that cannot be made, naming it.
    """
    try:
        notebook = without_solutions(nbformat.read(page, as_version=4))
        values = seed(notebook, page.stem, student) if student else []
    except ValueError as error:
        raise ValueError(f"{page.name}, {error}") from error
    return Copy(folder / page.name, nbformat.writes(notebook), values)


def names_in(path: Path) -> list[str]:
    """The students' names in a text file, one a line.

    Raises ValueError for none, for one that stands there twice, and for one that
    cannot be the name of a folder.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give one with a name a line")
    text = unicodedata.normalize("NFC", path.read_text(encoding="utf-8-sig"))
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise ValueError(f"{path}: is empty; write a name a line")
    seen: set[str] = set()
    for name in names:
        if re.search(r"[/\\]|^\.", name) or not name.isprintable():
            raise ValueError(
                f"{path}: {name!r} cannot be a folder's name; leave out slashes and a "
                "dot in front"
            )
        if name.casefold() in seen:
            raise ValueError(f"{path}: {name!r} is there twice; tell the two apart")
        seen.add(name.casefold())
    return names


def copies(pages: Path, out: Path, students: list[str]) -> Iterator[Copy]:
    """All pages for all students, in a folder each; for nobody, in `out` itself.

    Raises ValueError if there are no pages.
    """
    found = sorted(pages.glob("*.ipynb"))
    if not found:
        raise ValueError(f"{pages}: no pages there; name a folder of notebooks")
    for student in students or [None]:
        for page in found:
            yield copy_of(page, out / student if student else out, student)


def write(made: list[Copy], out: Path) -> None:
    """Write all copies and the list of their values, or nothing.

    Raises ValueError if a file is here already, or the folder above `out` is not.
    """
    values = [value for copy in made for value in copy.values]
    files = [copy.path for copy in made] + [out / VALUES] * bool(values)
    if here := [path for path in files if path.exists()]:
        raise ValueError(f"{here[0]}: is here already; move it, or give another folder")
    if not out.parent.is_dir():
        raise ValueError(f"{out}: there is no folder {out.parent}; make it first")
    for copy in made:
        copy.path.parent.mkdir(parents=True, exist_ok=True)
        with copy.path.open("x", encoding="utf-8") as file:
            file.write(copy.text)
    if values:
        with (out / VALUES).open("x", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([Value._fields, *values])


def told(made: list[Copy], out: Path) -> str:
    """What the teacher should know, in a few lines."""
    lines = [f"{len(made)} pages without solutions are in {out}/"]
    by_page: dict[str, list[str]] = {}
    for copy in made:
        if copy.values:
            own = repr([value[2:] for value in copy.values])
            by_page.setdefault(copy.path.stem, []).append(own)
    lines += [
        f"  {page}: {len(set(all_of))} versions for {len(all_of)} students"
        for page, all_of in by_page.items()
    ]
    if by_page:
        lines.append(f"{VALUES} says what each was given: keep it to yourself.")
    return "\n".join(lines)


def main() -> None:
    """Command line: `[--pages FOLDER] [--out FOLDER] [--students FILE]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pages", type=Path, default=ROOT / "notebooks")
    parser.add_argument("--out", type=Path, default=OUT, help="where to write them")
    parser.add_argument("--students", type=Path, help="a file with a name a line")
    arguments = parser.parse_args()
    try:
        students = names_in(arguments.students) if arguments.students else []
        made = list(copies(arguments.pages, arguments.out, students))
        write(made, arguments.out)
    except (OSError, ValueError) as error:
        sys.exit(f"FAILED: {error}")
    print(told(made, arguments.out))


if __name__ == "__main__":
    main()
