"""Numbers in the prose are bound to data: to recordings, or to what others published.

A swap must be noticed: with any other recording in place every row of prose fails.
The other recordings are made here, of the project's own: every measured number three
times as large, the strategies' names exchanged, or only the first half of each table.
They are packages on the disk, described anew, and are opened as any other.
"""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from netlab.study import datapackage
from tests.prose import BOUND, STATED
from tests.prose.rows import KINDS, WORDS, Bound

ROOT = Path(__file__).resolve().parents[1]
PAGES = {path.stem[:2]: path for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
DOCUMENTS = {"published": ROOT / "data/published/README.md"}
PROSE = PAGES | DOCUMENTS

# What a reader answers or compares with is not stated: questions, exercises, solutions.
ASIDE = re.compile(
    r"<details>.*?</details>|^## Two questions.*?(?=^## To read|\Z)|```.*?```",
    flags=re.S | re.M,
)
QUOTED = re.compile(r"`[^`]*`|\]\([^)]*\)")  # code, and where a link leads
SPELLED = "|".join([*WORDS[1:], "ten", "eleven", "twelve", "half"])
UNITS = (
    r"%|percent\b|in a hundred\b|to 1\b|(?:[mµun]|milli|micro|nano)?s(?:econds?)?\b|"
    r"times\b|per\b|a second\b|wake-ups?\b|turns?\b|would-blocks?\b"
)
MEASURED = re.compile(
    rf"\d[\d,]*\.\d+|\b(?:\d[\d,]*|{SPELLED})\s?(?:{UNITS})", flags=re.I
)

# Columns that say which run, row or place it is; no other recording has other ones.
LABELS = {
    *("repeat", "repeats", "workers", "rate_per_s", "at_once", "every", "percentile"),
    *("connection", "worker", "slow_worker", "worker_cpu", "client_cpu", "cpu"),
    *("incoming_cpu", "threads", "threads_per_listener", "maxaccept", "processes"),
    "busiest",
}

row = pytest.mark.parametrize("bound", BOUND, ids=lambda one: f"{one.page} {one.words}")
page = pytest.mark.parametrize("page", PROSE)


def in_line(text):
    return " ".join(text.split())


def markdown_of(path):
    if path.suffix == ".md":
        return path.read_text()
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def prose_of(page):
    """What a page states, in one line."""
    return in_line(ASIDE.sub("", markdown_of(PROSE[page])))


def measured_in(text):
    """The places of all numbers that look measured, with what is around them."""
    visible = QUOTED.sub(lambda found: "·" * len(found[0]), text)
    for found in MEASURED.finditer(visible):
        yield found.span(), text[max(0, found.start() - 40) : found.end() + 20]


def places_of(words, text):
    return [found.span() for found in re.finditer(re.escape(in_line(words)), text)]


def within(place, places):
    return any(low <= place[0] and place[1] <= high for low, high in places)


def words_of(page):
    """All words of a page that tests/prose knows, filled in."""
    bound = [one.filled() for one in BOUND if one.page == page]
    return bound + [one.words for one in STATED if one.page == page]


@row
def test_a_measured_number_is_the_recording_s(bound):
    filled = in_line(bound.filled())
    assert filled in prose_of(bound.page), f"by the data, page {bound.page}: {filled}"


@page
def test_every_number_that_looks_measured_is_bound_or_no_measurement(page):
    text = prose_of(page)
    known = [place for words in words_of(page) for place in places_of(words, text)]
    loose = [around for place, around in measured_in(text) if not within(place, known)]
    assert not loose, "give each a row in tests/prose/"


@page
def test_no_row_is_left_over(page):
    text = prose_of(page)
    numbers = [place for place, _ in measured_in(text)]
    for stated in (one for one in STATED if one.page == page):
        assert stated.kind in KINDS
        (place,) = places_of(stated.words, text)
        assert any(within(number, [place]) for number in numbers), stated.words


def test_rows_are_about_pages_that_there_are():
    assert {one.page for one in [*BOUND, *STATED]} <= set(PROSE)


# --- another recording in place


def tripled(table):
    """Every measured number of a table three times as large."""
    numbers = table.select_dtypes("number").columns.difference(LABELS)
    return table.assign(**{name: table[name] * 3 for name in numbers})


def exchanged(table):
    """The strategies' names exchanged: the first for the last, and so on."""
    if "strategy" not in table:
        return table
    names = sorted(table["strategy"].unique())
    others = dict(zip(names, reversed(names), strict=True))
    return table.assign(strategy=table["strategy"].map(others))


def halved(table):
    """The first half of a table's rows."""
    return table.head((len(table) + 1) // 2)


SWAPS = (tripled, exchanged, halved)


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Packages like data/, with other numbers in all tables."""
    folders = []
    for change in SWAPS:
        folder = tmp_path_factory.mktemp(change.__name__)
        package = datapackage.opened(datapackage.DATA)
        resources = [swapped(one, change, folder) for one in package["resources"]]
        datapackage.save(folder, package | {"resources": resources})
        folders.append(folder)
    return folders


def swapped(resource, change, folder):
    """Write a changed table there; return its description."""
    table = change(datapackage.table(datapackage.DATA, resource))
    place = resource["path"].removesuffix(".gz")
    fields = resource["schema"]["fields"]
    new, data = datapackage.described(resource["name"], place, table, fields)
    path = folder / new["path"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return new | {key: resource[key] for key in ("netlab",) if key in resource}


@row
def test_with_another_recording_in_place_every_row_fails(bound, others, monkeypatch):
    def agrees_with(folder):
        monkeypatch.setattr(datapackage, "DATA", folder)
        return in_line(bound.filled()) in prose_of(bound.page)

    assert not all(map(agrees_with, others))


# --- numbers that a cell computes


def spoken_by(path):
    """The fixed parts of each f-string in a page's cells, a hole for each value."""
    cells = nbformat.read(path, as_version=4).cells
    for source in (cell.source for cell in cells if cell.cell_type == "code"):
        nodes = list(ast.walk(ast.parse(source)))
        formats = [getattr(node, "format_spec", None) for node in nodes]
        for node in nodes:
            if isinstance(node, ast.JoinedStr) and node not in formats:
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "{}"
                    for part in node.values
                )


@pytest.mark.parametrize("page", PAGES)
def test_a_cell_computes_the_numbers_that_it_tells(page):
    for told in spoken_by(PAGES[page]):
        assert not list(measured_in(told)), told


# --- the tests of the prose see what they are to see


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("It takes 3.5 of them", "3.5"),
        ("at 92 to 98 % of", "98 %"),
        ("costs 1,200 µs more", "1,200 µs"),
        ("is seven times slower", "seven times"),
        ("one wake-up per accept", "one wake-up"),
    ],
)
def test_a_measured_number_is_seen(text, seen):
    ((low, high), _), *_ = measured_in(text)
    assert text[low:high] == seen


@pytest.mark.parametrize(
    "text", ["with 16 workers", "see `y = 3.5`", "[it](2.5.md)", "in 2017, page 06"]
)
def test_what_is_no_measurement_is_not(text):
    assert not list(measured_in(text))


def test_a_row_that_does_not_look_at_the_data_would_be_found(others, monkeypatch):
    deaf = Bound("06", "The thundering {}", lambda: "herd")
    with pytest.raises(AssertionError):
        test_with_another_recording_in_place_every_row_fails(deaf, others, monkeypatch)
