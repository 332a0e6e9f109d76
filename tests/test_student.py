"""`make student`: no solution is left, values differ, and nothing is overwritten."""

import ast
import csv
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import student

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PAGES = sorted(NOTEBOOKS.glob("*.ipynb"))
ADA, BOB = "Ada Lovelace", "Bob Ünal"

SEEDED_CELL = """registered = [3, 1, 0, 2]  # seeded: another order
every = 2  # seeded: from 2 to 5
clients = 300  # seeded: one of 240, 270, 300
your_answer = None"""
SOLUTION = """<details><summary>Solution</summary>

```python
your_answer = registered[:every]
```

Because.

</details>

### Next"""
HINT = "<details><summary>Hint</summary>\n\nDraw it.\n\n</details>"

every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def save(path, *cells):
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


@pytest.fixture
def pages(tmp_path):
    shown = new_code_cell(SEEDED_CELL, outputs=[new_output("stream", text="[3, 1]\n")])
    cells = [new_markdown_cell(HINT), shown, new_markdown_cell(SOLUTION)]
    return save(tmp_path / "pages" / "07-order.ipynb", *cells).parent


def built(pages, out, *students):
    made = list(student.copies(pages, out, list(students)))
    student.write(made, out)
    return made


def text_of(path):
    return "\n".join(cell.source for cell in nbformat.read(path, 4).cells)


def values_of(copies, name):
    found = [value for copy in copies for value in copy.values]
    return [value[2:] for value in found if value.student == name]


# What is taken away.


def test_solutions_and_outputs_go_and_hints_stay(pages, tmp_path):
    built(pages, tmp_path / "out")
    hint, code, rest = nbformat.read(tmp_path / "out" / "07-order.ipynb", 4).cells
    assert hint.source == HINT
    assert (code.source, code.outputs) == (SEEDED_CELL, [])
    assert rest.source == "*The solution is with your teacher.*\n\n### Next"


@pytest.mark.parametrize("folded", [SOLUTION[:60], SOLUTION + HINT[:9]])
def test_fold_without_an_end_makes_no_page(pages, tmp_path, folded):
    save(pages / "08-more.ipynb", new_markdown_cell(folded, id="open"))
    with pytest.raises(ValueError, match=r"08-more.ipynb, cell open: .* not a pair"):
        built(pages, tmp_path / "out")


def folds_of(path):
    return re.findall(r"<details>.*?</details>", text_of(path), flags=re.S)


def said_in_the_open(path):
    """What stands outside the folds, where a line of a solution may stand as well."""
    return re.sub(r"<details>.*?</details>", "", text_of(path), flags=re.S)


@every_page
def test_no_solution_of_the_course_is_left(path):
    made = student.copy_of(path, Path(), None).text
    folds = folds_of(path)
    said = said_in_the_open(path)
    assert len(folds) >= 3, "two exercises and the questions"
    for fold in folds:
        lines = [line.strip() for line in fold.splitlines() if len(line) > 30]
        code = re.findall(r"your_answer = .*", fold)
        hidden = [line for line in lines + code if line not in said]
        assert hidden
        for line in hidden:
            assert line not in made, line
    notebook = nbformat.reads(made, 4)
    assert not [cell for cell in notebook.cells if cell.get("outputs")]


@every_page
def test_blanks_of_the_course_are_blank(path):
    notebook = nbformat.reads(student.copy_of(path, Path(), ADA).text, 4)
    code = "\n".join(cell.source for cell in notebook.cells if "code" in cell.cell_type)
    answers = re.findall(r"^your_answer = (\S+)", code, flags=re.M)
    assert len(answers) >= 2
    assert set(answers) == {"None"}
    assert "solution=" not in code


# Values of one's own.


def test_everybody_gets_values_that_are_not_the_committed_ones(pages, tmp_path):
    made = built(pages, tmp_path / "out", *map(str, range(20)))
    registered, every, clients = zip(*(copy.values for copy in made), strict=True)
    for own in registered:
        assert sorted(own.value) == [0, 1, 2, 3]
        assert own.value != [3, 1, 0, 2]
    assert {own.value for own in every} == {3, 4, 5}
    assert {own.value for own in clients} == {240, 270}
    assert len({str(own.value) for own in registered}) > 5


def test_values_stand_in_the_cell_and_nothing_else_differs(pages, tmp_path):
    (made,) = built(pages, tmp_path / "out", ADA)
    lines = text_of(tmp_path / "out" / ADA / "07-order.ipynb").splitlines()
    before = text_of(built(pages, tmp_path / "plain")[0].path).splitlines()
    changed = [new for old, new in zip(before, lines, strict=True) if old != new]
    assert changed == [f"{v.name} = {v.value}  # drawn for you" for v in made.values]


def test_a_student_gets_the_same_again_whoever_else_is_there(pages, tmp_path):
    first = built(pages, tmp_path / "one", ADA, BOB)
    again = built(pages, tmp_path / "two", "Eve", ADA)
    assert values_of(first, ADA) == values_of(again, ADA)
    assert values_of(first, ADA) != values_of(first, BOB)


def test_values_of_today_are_those_of_next_year():
    every = student.drawn(ADA, "07-order", "every", [3, 4, 5])
    order = student.drawn(ADA, "07-order", "registered", list(range(23)))
    assert (every, order) == (5, 21)


def test_teacher_gets_a_list_of_the_values(pages, tmp_path):
    made = built(pages, tmp_path / "out", ADA, BOB)
    with (tmp_path / "out" / "values.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    given = [[*value[:3], str(value.value)] for copy in made for value in copy.values]
    assert rows == [["student", "page", "name", "value"], *given]
    assert len(rows) == 1 + 2 * 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("n = 3  # seeded: at random", "say 'another order'"),
        ("n = 3  # seeded: another order", "say 'another order'"),
        ("n = 3  # seeded: from 4 to 9", "must allow 3"),
        ("n = 3  # seeded: from 3 to 3", "at least one other"),
        ("n = 3  # seeded: one of 3, 3", "at least one other"),
        ("n = 3 # seeded: from 2 to 4", "two spaces, on one line"),
        ("f(n=3)  # seeded: from 2 to 4", "'name = value'"),
        ("n = 1 + m  # seeded: from 2 to 4", "malformed"),
    ],
)
def test_mark_that_says_nothing_makes_no_page(pages, tmp_path, line, reason):
    save(pages / "08-more.ipynb", new_code_cell(line))
    with pytest.raises(ValueError, match=rf"08-more.ipynb, .*{reason}"):
        built(pages, tmp_path / "out", ADA)
    assert not (tmp_path / "out").exists()


# The seeded exercises of the course.


SEEDED = [
    pytest.param(path, at, id=f"{path.stem}-{cell.id}")
    for path in PAGES
    for at, cell in enumerate(nbformat.read(path, 4).cells)
    if cell.cell_type == "code" and student.MARK in cell.source
]
BLANK = re.compile(r"^your_answer = None.*$", flags=re.M)

seeded_exercise = pytest.mark.parametrize(("path", "at"), SEEDED)


@pytest.fixture(autouse=True)
def replayed(monkeypatch):
    monkeypatch.setenv("NETLAB_MODE", "replay")


def run(source, names):
    """Run a cell, and return the value that a notebook would show."""
    *body, last = ast.parse(source).body
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def checked(path, at, name, answer):
    """Answer the exercise in a copy, and run it after the page's first cell only.

    Returns what the check says, and the answer.
    """
    copy = nbformat.reads(student.copy_of(path, Path(), name).text, 4).cells
    names = {}
    run(next(cell for cell in copy if cell.cell_type == "code").source, names)
    state = run(BLANK.sub(lambda _: answer, copy[at].source), names).state
    return state, names["your_answer"]


def solution_of(path, at):
    fold = nbformat.read(path, 4).cells[at + 1].source
    return re.search(r"```python\n(.*?)```", fold, flags=re.S)[1]


def test_there_is_a_seeded_exercise():
    assert SEEDED


@seeded_exercise
@pytest.mark.parametrize("name", [ADA, BOB, None])
def test_the_solution_passes_with_the_values_of_each_student(path, at, name):
    assert checked(path, at, name, solution_of(path, at))[0] == "right"
    assert checked(path, at, name, "your_answer = None")[0] == "not answered yet"


def another(path, at):
    """Return the first of some students whose values differ from Ada's here."""
    own = cell_of(path, at, ADA)
    return next(name for name in map(str, range(99)) if cell_of(path, at, name) != own)


def cell_of(path, at, name):
    return nbformat.reads(student.copy_of(path, Path(), name).text, 4).cells[at].source


@seeded_exercise
def test_an_answer_from_elsewhere_does_not_pass(path, at):
    for other in (None, another(path, at)):
        _, theirs = checked(path, at, other, solution_of(path, at))
        assert checked(path, at, ADA, f"your_answer = {theirs!r}")[0] == "not yet"


# The class, and the folders.


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("Ada\nBob/../Eve\n", "'Bob/../Eve' cannot be a folder's name"),
        ("back\\slash\n", "cannot be a folder's name"),
        ("..\n", "'..' cannot be a folder's name"),
        ("A\tB\n", "cannot be a folder's name"),
        ("Ada\nBob\nada\n", "'ada' is there twice"),
    ],
)
def test_names_that_cannot_be_used_are_refused(tmp_path, text, reason):
    names = tmp_path / "names.txt"
    names.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(reason)):
        student.names_in(names)


def test_names_are_read_as_other_programs_write_them(tmp_path):
    names = tmp_path / "names.txt"
    names.write_bytes("\ufeffAda Lovelace\r\n\r\n  Bob U\u0308nal \r\n".encode())
    assert student.names_in(names) == [ADA, BOB]


def test_nothing_is_overwritten_and_then_nothing_is_written(pages, tmp_path):
    out = tmp_path / "out"
    built(pages, out, BOB)
    kept = out / BOB / "07-order.ipynb"
    kept.write_text("the work of a week")
    (out / "values.csv").unlink()
    with pytest.raises(ValueError, match="is here already"):
        built(pages, out, ADA, BOB)
    assert kept.read_text() == "the work of a week"
    assert sorted(path.name for path in out.iterdir()) == [BOB]


def make_student(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tools.student", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--pages", "no-such-folder"], "no-such-folder: no pages there"),
        (["--out", "no/such/folder"], "no/such/folder: there is no folder no/such"),
        (["--students", "no-such-file"], "no-such-file: no such file"),
    ],
)
def test_what_is_not_there_ends_it_with_a_reason(arguments, reason):
    done = make_student(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"FAILED: {reason}")
    assert done.stdout == ""


def test_command_says_what_it_made(pages, tmp_path):
    (tmp_path / "names.txt").write_text(f"{ADA}\n{BOB}\n", encoding="utf-8")
    out, names = tmp_path / "out", tmp_path / "names.txt"
    done = make_student("--pages", pages, "--out", out, "--students", names)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"2 pages without solutions are in {out}/",
        "  07-order: 2 versions for 2 students",
        "values.csv says what each was given: keep it to yourself.",
    ]
    assert nbformat.read(out / BOB / "07-order.ipynb", 4).metadata == {
        "netlab_student": BOB
    }
