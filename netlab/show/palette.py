"""How a netlab figure looks: the colours, the second cues and the light card.

Facts. A PNG in a notebook does not know whether the page around it is dark.
About one man in twelve confuses red and green. A figure is shown some 700
pixels wide, whatever its size in the file.

Decision. The picture is an opaque light card with margins of its own, which is
read alike on any page; a transparent one would need colours that are poor on
both. Colours are those of Okabe and Ito (2008, https://jfly.uni-koeln.de/color/)
in the values of Wong (2011, Nature Methods 8:441), without their yellow, whose
contrast on white is 1.3; a marker, a hatch or a line style goes with each. CPUs
are an ordered row, not kinds: they have steps of cividis (Nunez, Anderton and
Renslow 2018, PLoS ONE 13:e0199239), which differ in lightness too.

Cost. The card is bright on a dark page.

Not in this file: what is drawn (`plots`) and how it is shown (`figures`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

CARD = "#ffffff"
WHITE = np.array(to_rgb(CARD))
INK = "#1b1b1b"  # text: 17 to 1 on the card
MUTED = "#595959"  # lesser text and thin lines: 7 to 1
FAINT = "#d9d9d9"  # lanes and grids, which nobody has to read
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = COLORS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
)  # fmt: skip
# 7, 16, 8 and 4 of them: no pair repeats within 16 workers, nor any marker alone.
MARKERS = (
    "o", "s", "^", "D", "v", "P", "X", "*",
    "<", ">", "p", "d", (4, 1, 0), "h", (8, 1, 0), (3, 1, 0),
)  # fmt: skip
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "---", "ooo", "|||")
LINE_STYLES = ("-", "--", ":", "-.")
HALO = [withStroke(linewidth=3, foreground=CARD)]  # text stays readable on lines

WIDTH_IN = 7.0
DPI = 200  # two pixels of the file for one as shown: sharp on any screen
TEXT_PT, SMALL_PT = 10.0, 9.0
RC = {
    "font.size": TEXT_PT,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL_PT,
    "ytick.labelsize": SMALL_PT,
    "legend.fontsize": SMALL_PT,
    "legend.frameon": False,
    "figure.facecolor": CARD,
    "axes.facecolor": CARD,
    "savefig.facecolor": CARD,
    "hatch.linewidth": 0.8,
}


class Style(NamedTuple):
    """A colour, and the cues that go with it: for points, areas and lines."""

    color: str
    marker: Any
    hatch: str
    linestyle: str


ROLES = {
    "measured": Style(BLUE, "o", "", "-"),
    "predicted": Style(VERMILION, "s", "////", "--"),
    "recorded": Style(INK, "D", "", "-"),
    "ideal": Style(MUTED, "", "", ":"),
}


def worker_style(number: int) -> Style:
    """Return the worker's style: unlike any other's among 16, defined for all."""
    return Style(
        COLORS[number % len(COLORS)],
        MARKERS[number % len(MARKERS)],
        HATCHES[number % len(HATCHES)],
        LINE_STYLES[number % len(LINE_STYLES)],
    )


def cpu_color(position: int, cpus: int) -> str:
    """Return the colour of a CPU by its position among so many, dark to light."""
    share = 0.5 if cpus < 2 else position / (cpus - 1)
    return to_hex(matplotlib.colormaps["cividis"](0.12 + 0.78 * share))


def pale(color: str, strength: float = 0.22) -> str:
    """Return the colour thinned by the card's."""
    red, green, blue = strength * np.array(to_rgb(color)) + (1 - strength) * WHITE
    return to_hex((red, green, blue))


def luminance(color: str) -> float:
    """Return the relative luminance of "#rrggbb", from 0 to 1 (WCAG 2.2)."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21; text needs 4.5 (WCAG 2.2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def text_on(color: str) -> str:
    """Return black or white, whichever is read better: 4.58 to 1 at the worst."""
    return max((BLACK, CARD), key=lambda ink: contrast(ink, color))


@contextmanager
def look() -> Iterator[None]:
    """Draw as netlab does inside, whatever was set; also a decorator of a plot."""
    with matplotlib.style.context(["default", RC]):
        yield


def new_axes(height_in: float) -> Axes:
    """Return the axes of a new card of that height, unknown to pyplot."""
    return new_figure(height_in).add_subplot()


def new_figure(height_in: float) -> Figure:
    """Return a new card of that height, unknown to pyplot."""
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # pyright: ignore
    FigureCanvasAgg(figure)
    return figure
