"""The helpers behind make, on tiny notebooks in a folder of the test's own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import check_skips, execute, working_copy

ROOT = Path(__file__).resolve().parents[1]


def save(path, *sources):
    cells = [new_code_cell(source, id=f"c{n}") for n, source in enumerate(sources)]
    for cell in cells:
        cell.outputs = [new_output("stream", text="the answer\n")]
        cell.execution_count = 7
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell("Text."), *cells]), path)
    return path


def code_cells(path):
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text_in(path):
    return "".join(o.get("text", "") for c in code_cells(path) for o in c.outputs)


# --- working_copy


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "notebooks", tmp_path / "my-notebooks"


def test_copy_has_the_text_and_no_outputs(folders):
    originals, copies = folders
    save(originals / "00-a.ipynb", "1 + 1")
    assert working_copy.make_copies(originals, copies).new == ["00-a.ipynb"]
    (cell,) = code_cells(copies / "00-a.ipynb")
    assert (cell.source, cell.outputs, cell.execution_count) == ("1 + 1", [], None)


def test_copy_is_never_overwritten(folders):
    originals, copies = folders
    page = save(originals / "00-a.ipynb", "1 + 1")
    mine = save(copies / page.name, "my own work").read_bytes()
    result = working_copy.make_copies(originals, copies)
    assert (result.new, result.kept, result.outdated) == ([], [page.name], [])
    assert (copies / page.name).read_bytes() == mine


def test_changed_original_is_told(folders):
    originals, copies = folders
    page = save(originals / "00-a.ipynb", "1 + 1")
    working_copy.make_copies(originals, copies)
    save(page, "1 + 2")
    result = working_copy.make_copies(originals, copies)
    assert result.outdated == [page.name]
    assert "00-a.ipynb: the original has changed" in working_copy.report(result, "my")


def test_new_outputs_do_not_make_a_copy_old(folders):
    originals, copies = folders
    page = save(originals / "00-a.ipynb", "1 + 1")
    working_copy.make_copies(originals, copies)
    notebook = nbformat.read(page, as_version=4)
    nbformat.write(working_copy.without_outputs(notebook), page)
    assert working_copy.make_copies(originals, copies).outdated == []


def test_broken_copy_is_told_and_left(folders):
    originals, copies = folders
    page = save(originals / "00-a.ipynb", "1 + 1")
    copies.mkdir()
    (copies / page.name).write_text("{ half a note")
    result = working_copy.make_copies(originals, copies)
    assert result.unreadable == [page.name]
    assert (copies / page.name).read_text() == "{ half a note"


# --- execute


def test_page_is_executed_in_place(tmp_path, capsys):
    page = save(tmp_path / "p.ipynb", "x = 6", "", "print(x * 7)")
    execute.execute([page], None, 60)
    assert capsys.readouterr().out.startswith("p.ipynb ")
    cells = code_cells(page)
    assert [cell.execution_count for cell in cells] == [1, None, 2]
    assert [cell.id for cell in cells] == ["c0", "c1", "c2"]
    assert text_in(page) == "42\n"
    assert list(tmp_path.iterdir()) == [page]


def test_a_page_s_time_is_told_and_its_slowest_cell(tmp_path, capsys):
    page = save(tmp_path / "p.ipynb", "1", "import time; time.sleep(0.6)", "2")
    execute.execute([page], None, 60)
    pattern = r"p\.ipynb +\d+\.\d s, slowest cell 3 of 4: (\d\.\d) s\n"
    told = re.fullmatch(pattern, capsys.readouterr().out)
    assert told
    assert float(told[1]) >= 0.6


def test_a_page_without_code_has_no_slowest_cell(tmp_path, capsys):
    page = save(tmp_path / "p.ipynb")
    execute.execute([page], None, 60)
    assert "slowest" not in capsys.readouterr().out


def test_the_mode_that_is_asked_for_reaches_the_page(tmp_path, monkeypatch):
    page = save(tmp_path / "p.ipynb", "import os; print(os.environ['NETLAB_MODE'])")
    monkeypatch.setenv("NETLAB_MODE", "replay")
    execute.execute([page], None, 60)
    assert text_in(page) == "replay\n"


def test_second_execution_changes_no_byte(tmp_path):
    page = save(tmp_path / "p.ipynb", "import tqdm.auto", "list(tqdm.auto.tqdm([1]))")
    execute.execute([page], None, 60)
    first = page.read_text()
    execute.execute([page], None, 60)
    assert page.read_text() == first
    metadata = json.loads(first)["metadata"]
    assert set(metadata) == {"kernelspec", "language_info"}
    assert metadata["kernelspec"]["display_name"] == "Python 3 (ipykernel)"
    assert "version" not in metadata["language_info"]


def test_page_runs_on_this_python_in_its_own_folder(tmp_path):
    program = "import os, shutil, sys; print(sys.executable, os.listdir())"
    page = save(tmp_path / "p.ipynb", program, "print(shutil.which('python'))")
    execute.execute([page], None, 60)
    python = execute.anonymous(sys.executable)
    assert text_in(page) == f"{python} ['p.ipynb']\n{python}\n"


def test_user_s_settings_are_not_looked_at(tmp_path, monkeypatch):
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("mine = 1")
    page = save(tmp_path / "pages" / "p.ipynb", "'mine' in globals()")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    execute.execute([page], None, 60)
    (cell,) = code_cells(page)
    assert cell.outputs[0].data["text/plain"] == "False"


def test_other_folder_leaves_the_page_alone(tmp_path):
    page = save(tmp_path / "p.ipynb", "print(1)")
    before = page.read_bytes()
    execute.execute([page], tmp_path / "out", 60)
    assert page.read_bytes() == before
    assert text_in(tmp_path / "out" / "p.ipynb") == "1\n"


def test_first_error_ends_it(tmp_path):
    first = save(tmp_path / "a.ipynb", "ok = 1", "ok / 0  # the culprit")
    second = save(tmp_path / "b.ipynb", "print(1)")
    before = first.read_bytes(), second.read_bytes()
    done = subprocess.run(
        [sys.executable, execute.__file__, first, second],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "cell 3 of 3" in done.stderr
    assert "ok / 0  # the culprit" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert (first.read_bytes(), second.read_bytes()) == before
    assert "b.ipynb" not in done.stdout


@pytest.mark.parametrize(
    ("source", "timeout_s", "word"),
    [
        ("import time; time.sleep(60)", 2, "timed out"),
        ("import os; os._exit(1)", 60, "died"),
    ],
)
def test_hanging_or_dying_page_ends_it(tmp_path, source, timeout_s, word):
    page = save(tmp_path / "p.ipynb", source)
    with pytest.raises(execute.PageError, match=word) as error:
        execute.execute([page], None, timeout_s)
    assert source in str(error.value)


def test_expected_error_is_an_output(tmp_path):
    page = save(tmp_path / "p.ipynb", "1 / 0")
    notebook = nbformat.read(page, as_version=4)
    notebook.cells[1].metadata.tags = ["raises-exception"]
    nbformat.write(notebook, page)
    execute.execute([page], None, 60)
    assert code_cells(page)[0].outputs[0].ename == "ZeroDivisionError"


def test_paths_of_the_machine_are_not_saved(tmp_path):
    program = f"print({str(ROOT / 'netlab' / 'x.py')!r}, {str(ROOT)!r})"
    warning = "import warnings; warnings.warn('careful')"
    page = save(tmp_path / "p.ipynb", program, warning)
    execute.execute([page], None, 60)
    outputs = [cell.outputs for cell in code_cells(page)]
    assert outputs[0][0].text == "./netlab/x.py .\n"
    assert outputs[1][0].text.startswith("<cell>:1: UserWarning: careful")


def test_widget_state_is_kept_only_where_shown(tmp_path):
    shown = save(tmp_path / "a.ipynb", "import ipywidgets; ipywidgets.IntSlider()")
    hidden = save(tmp_path / "b.ipynb", "import ipywidgets; s = ipywidgets.IntSlider()")
    execute.execute([shown, hidden], None, 60)
    assert "widgets" in nbformat.read(shown, as_version=4).metadata
    assert "widgets" not in nbformat.read(hidden, as_version=4).metadata


def test_missing_cell_ids_become_stable_ones(tmp_path):
    page = save(tmp_path / "p.ipynb", "1")
    content = json.loads(page.read_text())
    for cell in content["cells"]:
        del cell["id"]
    page.write_text(json.dumps(content | {"nbformat_minor": 4}))
    assert [cell.id for cell in execute.read(page).cells] == ["cell-1", "cell-2"]


# --- check_skips

REPORT = """<testsuites><testsuite>
<testcase classname="tests.test_a" name="test_fine"/>
<testcase classname="tests.test_a" name="test_x">
  <skipped type="pytest.xfail" message="known"/></testcase>
<testcase classname="tests.test_a" name="test_s">
  <skipped type="pytest.skip" message="needs 64 CPUs [here: 2]"/></testcase>
</testsuite></testsuites>"""


def run_check(tmp_path, listing):
    (tmp_path / "report.xml").write_text(REPORT)
    (tmp_path / "allowed.txt").write_text(listing)
    return subprocess.run(
        [sys.executable, check_skips.__file__, "report.xml", "allowed.txt"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "listing", ["needs 64 CPUs [here: 2]\n", "# few CPUs\n\nneeds * CPUs [here: *]\n"]
)
def test_listed_skip_passes_in_silence(tmp_path, listing):
    done = run_check(tmp_path, listing)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_reasons_are_read_from_pytest_s_own_report(tmp_path):
    one = "import pytest\n\ndef test_it():\n    pytest.skip('few')\n"
    (tmp_path / "test_one.py").write_text(one)
    (tmp_path / "test_two.py").write_text("import pytest\npytest.importorskip('no_1')")
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}"]
    subprocess.run(command, cwd=tmp_path, capture_output=True)
    reasons = {skip.reason for skip in check_skips.skips_in(report)}
    assert reasons == {"few", "could not import 'no_1': No module named 'no_1'"}


@pytest.mark.parametrize("listing", ["", "needs\n", "# needs 64 CPUs [here: 2]\n"])
def test_unlisted_skip_fails_with_its_reason(tmp_path, listing):
    done = run_check(tmp_path, listing)
    assert done.returncode == 1
    assert "tests.test_a::test_s: needs 64 CPUs [here: 2]" in done.stderr
    assert "test_x" not in done.stderr
