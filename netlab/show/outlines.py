"""Another's numbers in the same figure: those of a recording, drawn as an outline.

Facts. A figure's numbers are one machine's, and a reader wants to know whether another
one says the same. Two full drawings over each other are read by nobody.

Decision. What is measured here is drawn in full, of the other the middle values alone:
hollow and thin, in one ink, and in the form of what they belong to (a mark around a
mark, a bar around a bar). Where both agree the outline frames the mark, and where they
do not it stands apart. A guess looks otherwise: broader, coloured, square or hatched.
Only what both have is outlined, so that a short run is not squeezed by a long one.

The table behind such a figure has the rows of both, and says in `from` whose they are;
drawing and words are made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D

from netlab.show.palette import ROLES

FROM, HERE, RECORDED = "from", "here", "recorded"
THIN = 0.8  # an outline's stroke around a mark, in points
AROUND = 3.0  # by how much it is larger than the mark
HOLLOW: dict[str, Any] = {
    "linestyle": "none", "markerfacecolor": "none", "markeredgewidth": THIN,
    "markeredgecolor": ROLES["recorded"].color,
}  # fmt: skip
BAR: dict[str, Any] = {
    "facecolor": "none", "edgecolor": ROLES["recorded"].color, "linewidth": 1.0,
}  # fmt: skip


def of_both(
    ours: pd.DataFrame,
    recorded: pd.DataFrame | None,
    make: Callable[[pd.DataFrame], pd.DataFrame],
    kinds: Sequence[str],
) -> pd.DataFrame:
    """Return a figure's table with that of a recording below it, and a column `from`.

    recorded: of the form that `make` takes; without it the table is as it was.
    kinds: the columns that name a row. Rows that are not in both are left out of the
    recorded ones.
    """
    if recorded is None:
        return ours
    theirs = make(recorded) if len(recorded) else ours.head(0)
    own = ours.filter(items=kinds).drop_duplicates()
    return together({HERE: ours, RECORDED: theirs.merge(own, on=list(kinds))})


def together(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return tables below each other, with a first column `from` that has their keys.

    A column that one of them lacks is missing in its rows.
    """
    named = [table.assign(**{FROM: name}) for name, table in tables.items()]
    both = pd.concat([table for table in named if len(table)], ignore_index=True)
    both.insert(0, FROM, both.pop(FROM))
    return both


def parted(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows measured here and those recorded, none without a recording."""
    if FROM not in table.columns:
        return table, table.head(0)
    return tuple(
        table[table[FROM] == name].drop(columns=FROM).reset_index(drop=True)
        for name in (HERE, RECORDED)
    )  # pyright: ignore[reportReturnType]


def with_room(
    table: pd.DataFrame,
    make: Callable[[pd.DataFrame], pd.DataFrame],
    room: pd.DataFrame | None,
) -> pd.DataFrame:
    """Return all rows for which the axes must have room.

    room: of the form that `make` takes; drawn elsewhere, to the same scale.
    """
    return table if room is None else pd.concat([table, make(room)])


def told(recorded: pd.DataFrame | None, each: Iterable[str]) -> str:
    """Return the sentence on the outlines that follows a figure's words."""
    if recorded is None:
        return ""
    return f" Outlined, as recorded: {'; '.join(each) or 'nothing that both have'}."


def legend_mark() -> Line2D:
    """Return what a legend shows of outlines around marks."""
    return Line2D([], [], marker="o", markersize=6 + AROUND, label=RECORDED, **HOLLOW)
