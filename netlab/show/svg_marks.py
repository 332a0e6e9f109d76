"""The marks of a picture that is drawn as SVG text: texts, boxes, lines, axes.

An SVG text needs no library, and a mark takes a few microseconds. All lengths are
pixels of a picture that is shown WIDTH_PX wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from typing import NamedTuple

from netlab.show.palette import CARD, INK, MUTED

WIDTH_PX = 700  # as any figure is shown
SMALL_PX = 11.0
DOT_PX = 3.2
FONT = (
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;"
    "font-variant-numeric:tabular-nums"  # else each new number moves its neighbours
)


class Panel(NamedTuple):
    """Where two axes are, and what they end at."""

    left: float
    top: float
    width: float
    height: float
    along: float
    up: float

    def place(self, x: float, y: float) -> str:
        """Return where a point is, as in the text of a path."""
        across = self.left + self.width * x / self.along
        return f"{across:.1f},{self.top + self.height * (1 - y / self.up):.1f}"


def document(height: float, parts: Iterable[str]) -> str:
    """Return a whole SVG document: a card of that height with these marks on it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" '
        f'height="{height:.0f}" viewBox="0 0 {WIDTH_PX} {height:.0f}" '
        f'style="{FONT}" font-size="12.5" fill="{INK}">'
        f'<rect width="{WIDTH_PX}" height="{height:.0f}" fill="{CARD}"/>'
        f"{''.join(parts)}</svg>"
    )


def text(x: float, y: float, said: str, anchor: str = "start", more: str = "") -> str:
    """Return a text with its foot at y; anchor: start, middle or end of it is at x."""
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {where} {more}>{escape(said)}</text>"


def bold(x: float, y: float, said: str, anchor: str = "start", more: str = "") -> str:
    """Return a text in bold letters."""
    return text(x, y, said, anchor, f'font-weight="600" {more}')


def small(x: float, y: float, said: str, anchor: str = "start") -> str:
    """Return a lesser text."""
    return text(x, y, said, anchor, f'font-size="{SMALL_PX}" fill="{MUTED}"')


def on_lines(x: float, y: float, said: str) -> str:
    """Return a text that stays readable where it stands on a line."""
    halo = f'stroke="{CARD}" stroke-width="5" paint-order="stroke"'
    return text(x, y, said, more=halo)


def box(x: float, y: float, width: float, height: float, color: str) -> str:
    """Return a filled box."""
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{color}"/>'


def dotted(x: float, top: float, foot: float) -> str:
    """Return an upright line of dots."""
    path = f"M{x:.1f} {top:.1f}V{foot:.1f}"
    return f'<path d="{path}" stroke="{INK}" stroke-dasharray="2 3"/>'


def curve(panel: Panel, points: Iterable[tuple[float, float]], color: str) -> str:
    """Return a line through the points, with a dot at the last of them."""
    places = [panel.place(x, y) for x, y in points]
    x, _, y = places[-1].partition(",")
    return (
        f'<polyline points="{" ".join(places)}" fill="none" stroke="{color}" '
        'stroke-width="2" stroke-linejoin="round"/>'
        f'<circle cx="{x}" cy="{y}" r="{DOT_PX}" fill="{color}"/>'
    )


def axes(panel: Panel, first: str, last: str) -> str:
    """Return two axes: the upright one from 0 to its end, the other between words."""
    left, foot = panel.left, panel.top + panel.height
    path = f"M{left} {panel.top:.1f}V{foot:.1f}H{left + panel.width}"
    return "".join(
        [
            f'<path d="{path}" fill="none" stroke="{MUTED}"/>',
            small(left - 6, panel.top + 9, number(panel.up), "end"),
            small(left - 6, foot, "0", "end"),
            small(left, foot + 15, first),
            small(left + panel.width, foot + 15, last, "end"),
        ]
    )


def nice(most: float) -> float:
    """Return where an axis ends that has room for `most`: 1, 2 or 5 times 10^n."""
    if not most > 0:  # not a number, too
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(
        (step * power for step in (1, 2, 5) if step * power >= most), 10 * power
    )


def number(value: float) -> str:
    """Return a number as a picture shows it: 1,234 or 0.12; a dash for none."""
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"
