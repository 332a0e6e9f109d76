"""The live picture, drawn: numbers in, one SVG text out.

Facts. To redraw a Matplotlib figure takes a tenth of a second, of a kernel that has
other things to do. A text of a hundred marks is made in half a thousandth, needs no
script and no package, and every browser draws it.

Decision. What is drawn is a pure function of what was seen and of a few words, so it
can be tested without a server or a page. The card, its colours and its second cues are
those of every figure (`palette`): each bar has its number, each shade its percent, and
the state a mark and a word. Axes end at 1, 2 or 5 times a power of ten, so that they
rarely jump. A row is a worker in all three columns. With many workers, or many CPUs,
rows and cells become thin and lose their numbers: no picture is taller than a screen.

What may not be put here: anything that reads, waits or shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from netlab.show.palette import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    PURPLE,
    VERMILION,
    pale,
    text_on,
)
from netlab.show.svg_marks import (
    WIDTH_PX,
    Panel,
    axes,
    bold,
    box,
    curve,
    document,
    dotted,
    nice,
    number,
    on_lines,
    small,
    text,
)

if TYPE_CHECKING:
    from netlab.watch.lately import Lately

EDGE, TOP, GAP, LINES_TALL, FOOT = 20.0, 98.0, 66.0, 74.0, 54.0
ROW, LEAST_ROW, ALL_ROWS = 24.0, 3.0, 390.0  # a row's height; of all at most
CELL = 46.0  # a CPU's column at most
TEXT_ROW, TEXT_CELL = 13.0, 26.0  # with less there is no room for numbers
ACCEPTS, CPUS, WAKEUPS = (58.0, 180.0), (286.0, 180.0), (506.0, 124.0)  # left, width
CURVES = ((58.0, 262.0, BLUE, "connections per second"),
          (418.0, 262.0, PURPLE, "requests per second"))  # fmt: skip
MARKS = {"live": "●", "paused": "❚❚", "ended": "■", "failed": "✗"}
STATE_COLORS = {"live": GREEN, "failed": VERMILION}
GROUND = pale(FAINT, 0.4)
LATELY_GROUND = pale(FAINT, 0.55)


class Words(NamedTuple):
    """What the picture says besides numbers.

    state: a key of MARKS. told: what goes on, or went wrong. cost: of the picture
    itself. rates_s: how far back both lines go, in seconds.
    """

    state: str
    told: str
    cost: str
    rates_s: float


def svg(seen: Lately, words: Words) -> str:
    """Return the picture as a whole SVG document."""
    workers = len(seen.accepted)
    row = max(LEAST_ROW, min(ROW, ALL_ROWS / workers))
    below = TOP + row * workers
    height = below + GAP + LINES_TALL + FOOT
    parts = [
        *_head(words),
        *_names(workers, row),
        *_accepts(seen, row),
        *_cpus(seen, row),
        *_wakeups(seen, row),
        *_sums(seen, below + 19),
        *_curves(seen, words.rates_s, below + GAP),
        small(EDGE, height - 12, words.cost),
    ]
    return document(height, parts)


def _head(words: Words) -> list[str]:
    color = STATE_COLORS.get(words.state, INK)
    said = f"{MARKS[words.state]} {words.state}: {words.told}"
    return [
        bold(EDGE, 29, "Who accepts, and where it runs", more='font-size="15"'),
        bold(WIDTH_PX - EDGE, 29, said, "end", f'fill="{color}"'),
    ]


def _names(workers: int, row: float) -> list[str]:
    every = math.ceil(TEXT_ROW / row)
    return [
        small(46, TOP - 7, "worker", "end"),
        *(
            text(46, _middle(worker, row), str(worker), "end")
            for worker in range(0, workers, every)
        ),
    ]


def _accepts(seen: Lately, row: float) -> list[str]:
    """Draw a bar a worker, and a dotted line where an equal share would end."""
    most, made = nice(max(seen.accepted)), sum(seen.accepted)
    left, width = ACCEPTS
    at = left + width * made / len(seen.accepted) / most
    line = dotted(at, TOP - 3, TOP + row * len(seen.accepted)) if made else ""
    bars, numbers = _bars(ACCEPTS, seen.accepted, most, row, BLUE)
    said = f"in the last {seen.over_s:.0f} s; dotted: equal"
    return [*_heads(left, "connections accepted", said), *bars, line, *numbers]


def _wakeups(seen: Lately, row: float) -> list[str]:
    """Draw how often each worker was woken for each connection of the whole server."""
    each = wakeups_per_accept(seen)
    heads = _heads(WAKEUPS[0], "wake-ups per accept", "each worker's part of them")
    bars, numbers = _bars(WAKEUPS, each, nice(max(each)), row, VERMILION)
    return [*heads, *bars, *numbers]


def wakeups_per_accept(seen: Lately) -> list[float]:
    """Return each worker's wake-ups by the accepts of all; NaN where there are none."""
    made = sum(seen.accepted)
    return [count / made if made else math.nan for count in seen.wakeups]


def _bars(
    place: tuple[float, float],
    values: Sequence[float],
    most: float,
    row: float,
    color: str,
) -> tuple[list[str], list[str]]:
    """Return a bar a worker, and the numbers to write behind them, if there is room."""
    left, width = place
    bars, numbers = [], []
    for worker, value in enumerate(values):
        long = 0.0 if math.isnan(value) else width * value / most
        bars.append(box(left, TOP + (worker + 0.14) * row, long, 0.72 * row, color))
        said = on_lines(left + long + 5, _middle(worker, row), number(value))
        numbers.append(said if row >= TEXT_ROW else "")
    return bars, numbers


def _cpus(seen: Lately, row: float) -> list[str]:
    """Draw a cell a worker and CPU: the more of that CPU's time, the darker."""
    left, width = CPUS
    cell = min(CELL, width / len(seen.cpus))
    roomy = cell >= TEXT_CELL and row >= TEXT_ROW
    named = {0, len(seen.cpus) - 1} if cell < TEXT_CELL else range(len(seen.cpus))
    parts = [
        *_heads(left, "CPU time of each worker", "percent of each CPU"),
        box(left, TOP, cell * len(seen.cpus), row * len(seen.accepted), GROUND),
        *(small(left + (at + 0.5) * cell, TOP - 7, str(seen.cpus[at]), "middle")
          for at in named),
    ]  # fmt: skip
    for worker, busy in enumerate(seen.busy):
        for at, cpu in enumerate(seen.cpus):
            if cpu in busy:
                x, y = left + at * cell, TOP + worker * row
                parts.append(_cell(x, y, cell, row, busy[cpu], roomy))
    return parts


def _cell(
    x: float, y: float, width: float, height: float, percent: float, roomy: bool
) -> str:
    shade, ink = _shade(min(100, math.ceil(percent)))
    if not roomy:
        return box(x, y, width, height, shade)
    said = f"{percent:.0f}" if percent >= 0.5 else "<1"
    number_in = text(x + width / 2, y + height / 2 + 4, said, "middle", f'fill="{ink}"')
    return box(x + 1, y + 1, width - 2, height - 2, shade) + number_in


@cache
def _shade(percent: int) -> tuple[str, str]:
    """Return a cell's colour, and the ink for the number in it."""
    shade = pale(BLUE, 0.12 + 0.88 * percent / 100)
    return shade, text_on(shade)


def _sums(seen: Lately, y: float) -> list[str]:
    """Write what the rows come to, under the columns."""
    busy = sum(sum(own.values()) for own in seen.busy)
    each = sum(wakeups_per_accept(seen))
    return [
        bold(46, y, "all", "end"),
        bold(ACCEPTS[0], y, number(sum(seen.accepted))),
        bold(CPUS[0], y, f"{busy:,.0f} % of one CPU"),
        bold(WAKEUPS[0], y, number(each)),
    ]


def _curves(seen: Lately, rates_s: float, top: float) -> list[str]:
    """Draw both rates through the last seconds; what the rows are of is shaded."""
    parts = []
    lately = min(1, seen.over_s / rates_s)
    for kind, (left, width, color, title) in enumerate(CURVES):
        points = [(rates_s - ago_s, rates[kind]) for ago_s, *rates in seen.rates]
        up = nice(max(rate for _, rate in points))
        panel = Panel(left, top, width, LINES_TALL, rates_s, up)
        shaded = left + width * (1 - lately)
        parts += [
            bold(left, top - 9, title),
            bold(left + width, top - 9, number(round(seen.per_s[kind])), "end"),
            box(shaded, top, width * lately, LINES_TALL, LATELY_GROUND),
            curve(panel, [point for point in points if point[0] >= 0], color),
            axes(panel, f"{rates_s:g} s ago", "now"),
        ]
    return parts


def _heads(left: float, title: str, more: str) -> list[str]:
    return [bold(left, TOP - 41, title), small(left, TOP - 25, more)]


def _middle(worker: int, row: float) -> float:
    """Return where a row's text has its foot."""
    return TOP + (worker + 0.5) * row + 4
