"""What the herd's figures share: their axes, and lines with a name at their ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullLocator

from netlab.show.labels import Named, name_ends
from netlab.show.outlines import AROUND, HOLLOW, THIN, legend_mark
from netlab.show.palette import (
    BLUE,
    CARD,
    FAINT,
    GREEN,
    HALO,
    MUTED,
    PURPLE,
    SMALL_PT,
    VERMILION,
    Style,
    pale,
)
from netlab.show.tables import rows

STYLES = {
    ("level", "wake-ups"): Style(BLUE, "o", "", "-"),
    ("level", "turns"): Style(GREEN, "s", "", "-."),
    ("level", "would-blocks"): Style(VERMILION, "^", "", ":"),
    ("exclusive", "wake-ups"): Style(PURPLE, "D", "", "--"),
    ("level", "CPU time"): Style(BLUE, "o", "", "-"),
    ("exclusive", "CPU time"): Style(PURPLE, "D", "", "--"),
}
MARK_PT = 6.0
MOST_TICKS = 12
LEAST_STEP = 0.13  # of the axis, from one rate that is written to the next
FOOT = -0.12  # where the y axis of events begins, for marks at 0
DASHES = (0, (5, 3))


def scale_workers(axes: Axes, table: pd.DataFrame) -> None:
    """Make the x axis that of the numbers of workers: 1, 2, 4, ..."""
    most = max(2, int(table["workers"].to_numpy().max()))
    axes.set_xscale("log", base=2)
    axes.set_xlim(0.84, most * 1.2)
    tick(axes, "x", _powers(most))
    axes.set_xlabel("workers (logarithmic)")


def scale_rates(axes: Axes, rates: list[float]) -> None:
    """Make the x axis that of the offered rates, and write those that have room."""
    axes.set_xscale("log")
    axes.set_xlim(rates[0] / 1.2, rates[-1] * 1.2)
    step = (rates[-1] / rates[0]) ** LEAST_STEP
    named = rates[-1:]
    for rate in reversed(rates[:-1]):
        named += [rate] if rate * step <= named[-1] else []
    tick(axes, "x", named[::-1])
    axes.set_xlabel("offered connections per second (logarithmic)")


def scale_events(axes: Axes, most: float, band: float = 0) -> None:
    """Make the y axis reach from 0 to above `most`: 0, 1, 2, 4, ...

    band: the share of the axes' height that is left empty above it.
    """
    top = 1.35 * most
    axes.set_yscale("symlog", base=2, linthresh=1)
    axes.set_ylim(FOOT, top)
    tick(axes, "y", [0, *_powers(top)])
    axes.spines["left"].set_bounds(FOOT, top)
    scale = axes.yaxis.get_transform()
    foot, head = scale.transform(np.array([FOOT, top]))
    above = scale.inverted().transform(np.array([foot + (head - foot) / (1 - band)]))
    axes.set_ylim(FOOT, float(above[0]))
    axes.add_patch(
        Rectangle((0, 1 - band), 1, band, facecolor=CARD, transform=axes.transAxes)
    )  # fmt: skip


def scale_cost(axes: Axes, low: float, high: float) -> None:
    """Make the y axis logarithmic: 1, 2, 5, 10, ... around these ends."""
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(low / 1.3 if low > 2 else 0, max(2, 1.3 * high))
    steps = [step * 10**power for power in range(9) for step in (1, 2, 5)]
    tick(axes, "y", [0, *steps])


def tick(axes: Axes, which: str, places: list[Any]) -> None:
    """Set ticks with grid lines at those places that are in view."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    axis.set_ticks([place for place in places if low <= place <= high])
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_locator(NullLocator())
    axis.grid(color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)


def _powers(most: float) -> list[int]:
    """Return 1, 2, 4, ... up to that number, every second one if there are many."""
    steps = [2**step for step in range(64) if 2**step <= most]
    return steps[:: -(-len(steps) // MOST_TICKS) or 1]


def draw_lines(axes: Axes, table: pd.DataFrame, along: str) -> None:
    """Draw a line per strategy, engine and kind of events, and name its end.

    table: strategy, engine, events, `along`, median, low, high; a row per mark. The
    lines of engines after the first are lighter. Set the axes' limits before.
    """
    ends, colors, first = [], [], table["engine"].iloc[0]
    for of, line in table.groupby(["strategy", "engine", "events"], sort=False):
        strategy, engine, events = of  # pyright: ignore[reportGeneralTypeIssues]
        style = STYLES[strategy, events]
        color = style.color if engine == first else pale(style.color, 0.5)
        whiskers = [line["median"] - line["low"], line["high"] - line["median"]]
        axes.errorbar(
            line[along], line["median"], whiskers, color=color, marker=style.marker,
            linestyle=style.linestyle if engine == first else "-", linewidth=1.6,
            markersize=MARK_PT, markerfacecolor=color if engine == first else CARD,
            elinewidth=1.4, zorder=3 if engine == first else 2.5,
        )  # fmt: skip
        last = list(rows(line))[-1]
        of = [strategy] if events == "CPU time" else [events, strategy]
        text = ", ".join(of if engine == first else [*of, engine])
        text += f": {last.median:.{2 if last.median < 10 else 3}g}"
        ends.append(Named(getattr(last, along), last.median, text))
        colors.append(color)
    name_ends(axes, ends, colors)


def outline_lines(axes: Axes, recorded: pd.DataFrame, along: str) -> None:
    """Draw hollow marks at others' medians, in the form of their line, on a thin one.

    recorded: as for `draw_lines`; without a row nothing is drawn.
    """
    if recorded.empty:
        return
    for of, line in recorded.groupby(["strategy", "engine", "events"], sort=False):
        strategy, _, events = of  # pyright: ignore[reportGeneralTypeIssues]
        marker = STYLES[strategy, events].marker
        there = (line[along], line["median"])
        axes.plot(*there, color=MUTED, linewidth=THIN, zorder=2)  # under all others
        axes.plot(
            *there, marker=marker, markersize=MARK_PT + AROUND, zorder=5, **HOLLOW
        )
    axes.legend(
        handles=[legend_mark()], loc="upper left", bbox_to_anchor=(1.05, 0),
        borderpad=0, borderaxespad=0, handletextpad=0.5, handlelength=1,
    )  # fmt: skip


def note(
    axes: Axes, place: tuple[float, float], offset: tuple[float, float], text: str,
    **how: Any,
) -> None:  # fmt: skip
    """Write beside a place, at an offset in points."""
    axes.annotate(
        text, place, offset, textcoords="offset points", path_effects=HALO, zorder=6,
        **{"va": "center", "fontsize": SMALL_PT, "color": MUTED, **how},
    )  # fmt: skip
