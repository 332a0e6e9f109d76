"""Every page of the course: as committed, and executed again from nothing."""

import os
import re
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
OPENING = ("Question", "Objective", "You need", "Time", "Machine")
CLOSING = (
    "What we found",
    "Where this stops",
    "Two questions",
    "Exercises",
    "To read",
)
# Live in each test, since a reader builds a server there; the others, too, and all in
# a browser and on systems that are not Linux, if NETLAB_PROVE is set.
SOME = ("00", "01", "02", "03", "04", "05", "14")
ALL = "NETLAB_PROVE" in os.environ
LIVE = [path for path in PAGES if ALL or path.stem.startswith(SOME)]
LINK = re.compile(r"\]\((?!https?:|#|attachment:)([^)#]+)")

VERDICT = re.compile(r"^\S (?:confirmed|contradicted|inconclusive|holds): ", flags=re.M)
BLANK = re.compile(r"^your_answer = None.*$", flags=re.M)

page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_of(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def is_replayable(path):
    """Whether a page is shown from recordings where it cannot be live."""
    return any("page.study(" in cell.source for cell in code_of(path))


REPLAYABLE = [path for path in PAGES if is_replayable(path)]


def prose_of(path):
    cells = read(path).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def words_of(output):
    return output.get("text") or output.get("data", {}).get("text/plain", "")


def outputs_of(path):
    return [output for cell in code_of(path) for output in cell.outputs]


def test_there_is_a_page():
    assert PAGES


@page
def test_is_a_valid_notebook_executed_top_to_bottom(path):
    nbformat.validate(read(path))
    counts = [cell.execution_count for cell in code_of(path)]
    assert counts == list(range(1, len(counts) + 1))
    assert not [out for out in outputs_of(path) if out.output_type == "error"]


@page
def test_nothing_was_written_to_standard_error(path):
    streams = [out for out in outputs_of(path) if out.output_type == "stream"]
    assert not [out for out in streams if out.name == "stderr"]


@page
def test_only_what_a_cell_prints_is_printed(path):
    for cell in code_of(path):
        printed = [out for out in cell.outputs if out.output_type == "stream"]
        assert not printed or "print(" in cell.source, cell.source


@page
def test_leads_to_the_page_before_and_to_the_one_after(path):
    last = read(path).cells[-1].source
    before, after = last[last.index("**Previous:**") :].split("**Next:**")
    place = PAGES.index(path)
    for words, other in ((before, place - 1), (after, place + 1)):
        if 0 <= other < len(PAGES):
            assert f"]({PAGES[other].name})" in words
        else:
            assert "none" in words


@page
def test_opens_and_closes_with_its_parts(path):
    cells = read(path).cells
    assert cells[0].source.startswith("# ")
    for part in OPENING:
        assert f"**{part}" in cells[0].source
    prose = prose_of(path)
    places = [prose.find(f"## {part}") for part in CLOSING]
    assert min(places) > 0, dict(zip(CLOSING, places, strict=True))
    assert places == sorted(places)


@page
def test_cells_are_short_and_the_page_is_not_long(path):
    lengths = [len(cell.source.splitlines()) for cell in code_of(path)]
    assert 15 <= len(lengths) <= 30
    assert statistics.median(lengths) <= 5
    assert max(lengths) <= 20
    prose = re.sub(r"<details>.*?</details>", "", prose_of(path), flags=re.S)
    assert 1200 <= len(prose.split()) <= 2500


@page
def test_links_lead_somewhere(path):
    for target in LINK.findall(prose_of(path)):
        assert (path.parent / target).exists(), target


@page
def test_prose_is_plain_markdown(path):
    assert not re.search(r"^(:::|```\{)", prose_of(path), flags=re.M)


@page
def test_every_figure_says_what_it_shows(path):
    images = re.findall(r"<img [^>]*>", "".join(html_of(path)))
    assert images
    for image in images:
        alt = re.search(r'alt="([^"]*)"', image)
        assert alt
        assert len(alt[1]) > 40


def html_of(path):
    bundles = [out.get("data", {}) for out in outputs_of(path)]
    return [bundle["text/html"] for bundle in bundles if "text/html" in bundle]


@page
def test_every_exercise_has_a_folded_solution(path):
    prose = prose_of(path)
    exercises = re.findall(r"^### Exercise", prose, flags=re.M)
    assert len(exercises) >= 2
    solutions = re.findall(r"<summary>Solution", prose)
    assert len(solutions) == len(exercises)


def pictures_in(path):
    """How many figures there are, but for live pictures, which only a live run has."""
    shown = "".join(html_of(path))
    return shown.count("<img ") - shown.count('class="netlab-live"')


def verdicts_in(path):
    """How many claims a page judges, and how many exact statements it insists on."""
    told = "\n".join(words_of(output) for output in outputs_of(path))
    return len(VERDICT.findall(told))


def excuses_in(path):
    """How often a page says that only a live run could show something."""
    told = [
        words_of(out) + out.get("data", {}).get("text/markdown", "")
        for out in outputs_of(path)
    ]
    return len([text for text in told if "needs a live run" in text])


def solutions_of(path):
    folded = re.findall(r"<details>.*?</details>", prose_of(path), flags=re.S)
    code = [re.search(r"```python\n(.*?)```", text, flags=re.S) for text in folded]
    return [found[1] for found in code if found]


def solved(path):
    """The page with each blank answered by the solution that stands below it."""
    notebook, solutions = read(path), iter(solutions_of(path))
    for cell in notebook.cells:
        if cell.cell_type == "code" and BLANK.search(cell.source):
            cell.source = BLANK.sub(lambda _: next(solutions), cell.source)
    assert next(solutions, None) is None, "a solution without a check"
    return notebook


def execute(path, mode, out):
    """Execute a page into a folder; CalledProcessError if a cell fails."""
    environment = os.environ | {"NETLAB_MODE": mode}
    command = [sys.executable, "tools/execute.py", "--out", str(out), str(path)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=300)
    return out / path.name


def execute_solved(path, mode, folder):
    nbformat.write(solved(path), folder / path.name)
    return execute(folder / path.name, mode, folder / "executed")


def shows_the_same(again, path):
    assert not [out for out in outputs_of(again) if out.output_type == "error"]
    assert pictures_in(again) == pictures_in(path)
    assert verdicts_in(again) + excuses_in(again) >= verdicts_in(path)


def is_solved(again):
    answers = [words_of(out) for out in outputs_of(again)]
    assert not [text for text in answers if "not answered yet" in text]
    assert not [text for text in answers if "✗ not yet" in text]


@page
def test_the_blanks_of_the_exercises_do_not_pass(path):
    blank = [cell for cell in code_of(path) if BLANK.search(cell.source)]
    assert blank, "a page has at least one exercise with a check"
    for cell in blank:
        assert any("not answered yet" in words_of(out) for out in cell.outputs)


@pytest.mark.parametrize("path", LIVE, ids=lambda path: path.stem)
@pytest.mark.timeout(330)
def test_executes_again_live_and_its_solutions_pass(path, tmp_path):
    again = execute_solved(path, "auto", tmp_path)
    shows_the_same(again, path)
    is_solved(again)


@pytest.fixture(scope="session")
def replays(request, tmp_path_factory):
    """Pages executed from recordings, two at a time, since nothing is measured.

    Those whose test was asked for, as they stand if they are executed live too, else
    with their exercises solved.
    """
    folder = tmp_path_factory.mktemp("replay")
    name = test_executes_again_from_recordings.__name__
    asked = [one for one in request.session.items if one.originalname == name]
    with ThreadPoolExecutor(2) as pool:
        yield {
            path: pool.submit(execute, path, "replay", folder)
            if path in LIVE
            else pool.submit(execute_solved, path, "replay", folder)
            for path in (one.callspec.params["path"] for one in asked)
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("path", REPLAYABLE, ids=lambda path: path.stem)
@pytest.mark.timeout(660)
def test_executes_again_from_recordings(path, replays):
    again = replays[path].result()
    shows_the_same(again, path)
    assert "".join(html_of(again)).count("replayed from") >= pictures_in(again)
    if path not in LIVE:
        is_solved(again)
