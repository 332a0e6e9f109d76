"""The documents beside the pages: their links, and what they say of the pages."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]
PAGES = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
GUIDE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
TIME = re.compile(r"\*\*Time\.\*\* (\d+) minutes to read and run.*?, (\d+) for the ex")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_guide_gives_the_minutes_that_the_page_gives(path):
    said = TIME.search(nbformat.read(path, as_version=4).cells[0].source)
    assert said
    row = f"(../notebooks/{path.name}) | {said[1]} min | {said[2]} min |"
    assert row in GUIDE


def test_make_knows_every_command_that_the_guide_gives():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.M)
    asked = set(re.findall(r"make (student|lab)\b", GUIDE))
    assert asked == {"student", "lab"}
    assert asked <= set(targets)
