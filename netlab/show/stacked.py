"""Two of the same study on one card, to the same scale: a reader's own and ours.

Each keeps the form and the width that it has alone, with all its words, so they stand
one above the other: half the width has no room for the names of the strategies. Axes
of numbers have room for both (`room`), so that equal lengths are equal amounts; what is
in lanes or cells has the scale of its own lanes.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from netlab.show import figures
from netlab.show.figures import Shown
from netlab.show.outlines import together
from netlab.show.palette import MUTED, look, new_figure
from netlab.show.stamped import Material, plain

TITLE_IN = 0.3  # above each of the two


def draw(
    two: tuple[Material, Material], titles: Sequence[str], options: Mapping[str, Any]
) -> Shown:
    """Draw both, with their stamps, their words, and one table that says whose row.

    titles: what each is called, above it and in the table's column `from`.
    options: those of the plot, for both.

    Raises ValueError unless there are two titles that differ.
    """
    if len(titles) != 2 or titles[0] == titles[1] or not all(titles):
        raise ValueError(f"titles={titles!r}: give two that differ")
    parts = dict(zip(titles, two, strict=True))
    given = {title: one.options | plain(options) for title, one in parts.items()}
    axes = draw_axes(parts, given)
    words = " ".join(
        f"{title}: {one.row.alt(one.table, **given[title])}"
        for title, one in parts.items()
    )
    tables = {
        title: one.row.table(one.table, **given[title]) for title, one in parts.items()
    }
    return figures.show(
        axes[0],
        stamp=" — ".join(f"{title}: {one.stamp()}" for title, one in parts.items()),
        alt=f"Two figures, one above the other. {words}",
        table=together(tables),
    )


def draw_axes(
    parts: Mapping[str, Material], given: Mapping[str, dict[str, Any]]
) -> list[Axes]:
    """Draw each on a half of a new card, under its title; return their axes.

    given: the options of each.
    """
    heights_in = [_height_in(one, given[title]) for title, one in parts.items()]
    with look():
        card = new_figure(sum(heights_in))
        halves: Any = card.subfigures(2, 1, height_ratios=heights_in)
        axes = [_half(*each) for each in zip(halves, parts, strict=True)]
    others = reversed([*parts.values()])
    for (title, one), other, own in zip(parts.items(), others, axes, strict=True):
        room = {"room": other.table} if _takes_room(one) else {}
        one.row.draw(one.table, axes=own, **room, **given[title])
    return axes


def _height_in(one: Material, options: dict[str, Any]) -> float:
    """Return the height that it has alone, and that of a title."""
    alone = figures.figure_of(one.row.draw(one.table, **options))
    return TITLE_IN + alone.get_figheight()


def _half(half: SubFigure, title: str) -> Axes:
    half.suptitle(
        title, x=0.012, ha="left", color=MUTED, fontsize=11, weight="bold"
    )  # fmt: skip
    return half.add_subplot()


def _takes_room(one: Material) -> bool:
    return "room" in inspect.signature(one.row.draw).parameters
