"""How figures look and are shown: contrast, cues, the card, the HTML, the stamp."""

from html.parser import HTMLParser
from itertools import pairwise

import matplotlib
import matplotlib.pyplot
import pandas as pd
import pytest
from matplotlib.figure import Figure

from netlab.show import figures, palette

MACHINE = {
    "line": "Linux 6.18 (gVisor) · 2 of 16 CPUs · quota 2 · Python 3.13.1, GIL off",
    "date": "2026-01-02T03:04:05+00:00",
}


class Page(HTMLParser):
    """The tags of a page with their attributes, and whether all were closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def count(self, name):
        return sum(tag == name for tag, _ in self.tags)


def a_figure(width_in=palette.WIDTH_IN):
    figure = Figure(figsize=(width_in, 2))
    figure.add_subplot().plot([1, 2])
    return figure


def shown(**changes):
    given = {"stamp": "here, now", "alt": "a line that rises", "table": None}
    return figures.show(a_figure(), **{**given, **changes})


def test_text_can_be_read_on_the_card():
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    for ink in (palette.INK, palette.MUTED):
        assert palette.contrast(ink, palette.CARD) >= 4.5


@pytest.mark.parametrize("cpus", [1, 2, 16, 64])
def test_a_number_can_be_read_on_each_cpu_s_colour(cpus):
    for position in range(cpus):
        color = palette.cpu_color(position, cpus)
        for ground in (color, palette.pale(color)):
            assert palette.contrast(palette.text_on(ground), ground) >= 4.5


@pytest.mark.parametrize("cpus", [2, 4, 16])
def test_cpus_differ_in_lightness_not_only_in_hue(cpus):
    light = [palette.luminance(palette.cpu_color(at, cpus)) for at in range(cpus)]
    assert all(low < high for low, high in pairwise(light))


def test_sixteen_workers_differ_in_colour_and_a_second_cue():
    styles = [palette.worker_style(number) for number in range(16)]
    assert len({style.marker for style in styles}) == 16
    for cue in ("marker", "hatch", "linestyle"):
        assert len({(style.color, getattr(style, cue)) for style in styles}) == 16
    assert all(one.color != other.color for one, other in pairwise(styles))


def test_a_style_is_defined_for_any_number():
    assert palette.worker_style(10_007) in map(palette.worker_style, range(112))


def test_roles_differ_without_their_colour():
    cues = {
        (role.hatch, role.linestyle, role.marker) for role in palette.ROLES.values()
    }
    assert len(cues) == len(palette.ROLES)


def test_what_is_shown_has_picture_words_stamp_and_table():
    table = pd.DataFrame({"worker": [0, 1], "accepts": [1234567, 3]})
    page = Page(shown(table=table)._repr_html_())
    image = next(attributes for tag, attributes in page.tags if tag == "img")
    assert image["alt"] == "a line that rises"
    assert image["src"].startswith("data:image/png;base64,")
    assert "\n" not in image["src"]
    assert page.open == []
    for tag in ("figure", "figcaption", "details", "summary", "table"):
        assert page.count(tag) == 1
    assert page.count("script") == page.count("style") == 0
    assert {"here, now", "accepts", "1,234,567"} <= set(page.words)


def test_what_is_shown_is_plain_text_where_there_is_no_html():
    bundle = shown()._repr_mimebundle_(include=None, exclude=None)
    assert bundle["text/plain"] == repr(shown()) == "a line that rises"
    assert "<details>" not in bundle["text/html"]


def test_words_and_table_are_escaped():
    evil = '"><script>&'
    page = Page(
        shown(alt=evil, stamp=evil, table=pd.DataFrame({evil: [evil]}))._repr_html_()
    )
    assert page.count("script") == 0
    assert page.words.count(evil) == 3
    assert dict(page.tags)["img"]["alt"] == evil


def test_a_long_table_is_cut_and_says_so():
    page = Page(shown(table=pd.DataFrame({"n": range(5000)}))._repr_html_())
    assert page.count("tr") == figures.ROWS_SHOWN + 1
    assert f"the first {figures.ROWS_SHOWN} of 5,000 rows" in " ".join(page.words)


def test_the_picture_is_an_opaque_card_of_a_page_s_width(tmp_path):
    path = shown().save(tmp_path / "figure.png")
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[1] == palette.WIDTH_IN * palette.DPI
    assert (pixels[0, 0, :3] == 1).all()
    assert pixels.shape[2] == 3 or pixels[..., 3].min() == 1
    assert shown().width_px == figures.WIDTH_PX


def test_a_reader_s_own_figure_is_closed_and_their_backend_kept():
    backend = matplotlib.get_backend()
    figure, axes = matplotlib.pyplot.subplots()
    figures.show(axes, stamp="s", alt="a", table=None)
    assert not matplotlib.pyplot.fignum_exists(figure.number)
    assert matplotlib.get_backend() == backend


def test_axes_in_a_subfigure_are_shown_with_the_whole():
    part = Figure().subfigures(1, 2)[0].add_subplot()
    assert figures.show(part, stamp="s", alt="a", table=None).png.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["alt", "stamp"])
def test_a_figure_without_words_is_refused(name):
    with pytest.raises(ValueError, match=name):
        shown(**{name: " "})


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (1234567, "accepts", "1,234,567"),
        (12345, "tid", "12345"),
        (12345.6, "rate_per_s", "12,346"),
        (0.123456, "p50_ms", "0.123"),
        (7.0, "share", "7"),
        (float("nan"), "share", "–"),
        (float("inf"), "share", "inf"),
        (None, "share", "–"),
        (True, "ran", "True"),
        ("level", "strategy", "level"),
    ],
)
def test_numbers_in_a_table_are_readable(value, column, text):
    assert figures.readable(value, column) == text


def test_the_stamp_says_where_and_when():
    line = figures.stamp(MACHINE, engine="python", repeats=5, extra="quiet")
    where = ("Linux 6.18 (gVisor)", "2 of 16 CPUs", "quota 2", "engine python")
    for word in (*where, "Python 3.13.1, GIL off", "5 runs", "live, 2026-", "quiet"):
        assert word in line
    assert "\n" not in line
    replayed = figures.stamp(MACHINE, engine="python", mode="replayed")
    assert "replayed from 2026-01-02" in replayed
    assert "1 run " in replayed


def test_a_stamp_that_cannot_be_true_is_refused():
    with pytest.raises(ValueError, match="live or replayed"):
        figures.stamp(MACHINE, engine="python", mode="dead")
    with pytest.raises(ValueError, match="pass Run"):
        figures.stamp({}, engine="python")
