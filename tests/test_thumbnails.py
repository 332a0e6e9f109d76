"""The small pictures of the README are those of the pages as they stand."""

import nbformat
import pytest

from tests.test_pages import PAGES
from tools import thumbnails

ROOT = thumbnails.ROOT


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_s_thumbnail_is_its_central_figure_as_it_stands(path):
    kept = thumbnails.FOLDER / f"{path.stem[:2]}.png"
    again = thumbnails.thumbnail(thumbnails.central_figure(path))
    assert kept.read_bytes() == again, "make thumbnails"


def test_none_is_left_over():
    kept = {path.stem for path in thumbnails.FOLDER.glob("*.png")}
    assert kept == {path.stem[:2] for path in PAGES}


def test_the_readme_shows_each_and_leads_to_its_page():
    text = (ROOT / "README.md").read_text()
    for path in PAGES:
        assert f"](docs/thumbnails/{path.stem[:2]}.png)](notebooks/{path.name})" in text


@pytest.mark.parametrize(
    ("tags", "html", "said"),
    [
        ([[], []], "", "0 cells are tagged"),
        ([["central"], ["central"]], "", "2 cells are tagged"),
        ([["central"], []], "<p>words</p>", "shows no picture"),
    ],
)
def test_a_page_without_one_central_figure_is_refused(tmp_path, tags, html, said):
    shown = [nbformat.v4.new_output("display_data", data={"text/html": html})]
    cells = [
        nbformat.v4.new_code_cell("", outputs=shown, metadata={"tags": of_cell})
        for of_cell in tags
    ]
    page = tmp_path / "99-page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), page)
    with pytest.raises(ValueError, match=said):
        thumbnails.central_figure(page)
