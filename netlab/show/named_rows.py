"""What figures with a row per strategy share: names at the left, the first on top,
dots with their range, numbers at the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from netlab.show.figures import readable
from netlab.show.outlines import AROUND, HOLLOW, parted
from netlab.show.palette import CARD, FAINT, HALO, MUTED, ROLES, SMALL_PT
from netlab.show.tables import rows

ROW_IN = 0.27  # a row's height
NUMBER = 0.2  # share of the greatest value that a row's number needs
DOT_PT = 7.0
LEAST_IN = 1.9  # the least height of a card: one row has room for its axis and head


def height_in(count: int, around_in: float) -> float:
    """Return a card's height in inches for so many rows and what is around them."""
    return max(LEAST_IN, around_in + ROW_IN * count)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write the rows' names at the left, the first on top, each on a faint line."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def dots(axes: Axes, table: pd.DataFrame, unit: str, recorded: pd.DataFrame) -> None:
    """Draw a row's `median` as a dot, its `low` to `high` as a line, and its number.

    The number stands right of both. A column `predicted` holds guesses: they are
    ghosts. recorded: others' medians of the same strategies, or of some: rings.
    """
    style = ROLES["measured"]
    for at, row in enumerate(rows(table)):
        axes.plot(
            [row.low, row.high], [at, at], color=style.color, linewidth=1.8,
            marker="|", markersize=8, markeredgewidth=1.8, zorder=3,
        )  # fmt: skip
        axes.plot(
            row.median, at, marker=style.marker, color=style.color, markersize=DOT_PT,
            markeredgecolor=CARD, markeredgewidth=0.8, zorder=4,
        )  # fmt: skip
    rings = _rings(axes, table, recorded)
    free = _free(table, rings)
    for at, (value, x) in enumerate(zip(table["median"], free, strict=True)):
        axes.annotate(
            f"{value:.1f} {unit}", (x, at), (9, 0), textcoords="offset points",
            va="center", fontsize=SMALL_PT, path_effects=HALO, zorder=5,
        )  # fmt: skip
    if _guesses(table):
        _ghosts(axes, table["predicted"].to_numpy())


def _rings(axes: Axes, table: pd.DataFrame, recorded: pd.DataFrame) -> np.ndarray:
    """Draw others' medians, each in its strategy's row; return them, nan for none."""
    medians = recorded.set_index("strategy")["median"]
    values = medians.reindex(table["strategy"]).to_numpy(float)
    if len(recorded):
        axes.plot(
            values, range(len(values)), marker="o", markersize=DOT_PT + AROUND,
            zorder=4.5, **HOLLOW,
        )  # fmt: skip
    return values


def _free(table: pd.DataFrame, rings: np.ndarray) -> np.ndarray:
    """Return where the rows' numbers begin: right of the line, and of what is there."""
    free = table["high"].to_numpy(float)
    guesses = [table[name].to_numpy(float) for name in _guesses(table)]
    width = NUMBER * np.nanmax([free, rings, *guesses])
    for values in np.sort([rings, *guesses], axis=0):  # the nearer one first
        near = (values > free) & (values < free + width)
        free = np.where(near, values, free)
    return free


def _guesses(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if name == "predicted"]


def _ghosts(axes: Axes, guesses: np.ndarray) -> None:
    style = ROLES["predicted"]
    axes.plot(
        guesses, range(len(guesses)), marker=style.marker, linestyle="none",
        markersize=10, markerfacecolor="none", markeredgecolor=style.color,
        markeredgewidth=1.4, zorder=4.5, label="your prediction",
    )  # fmt: skip


def percent_axis(
    axes: Axes, table: pd.DataFrame, all_of: pd.DataFrame, least: float = 0
) -> None:
    """Give the axis room right of the greatest value for its number, and a name.

    all_of: the table, and what else must have room.
    """
    values = all_of[["high", *_guesses(table)]].to_numpy()
    end = 1.3 * max(least, np.nanmax(values)) or 1
    ticks = np.array(MaxNLocator(6).tick_values(0, min(100, end)))
    axes.set_xticks(ticks[ticks <= min(100, end)])
    axes.set_xlim(0, end)
    counts = table["runs"].to_numpy()
    runs = " to ".join(map(str, sorted({counts.min(), counts.max()})))
    also = "   square: your prediction" if _guesses(table) else ""
    also += "   ring: recorded" if len(parted(all_of)[1]) else ""
    axes.set_xlabel(
        "share of the connections (%)\n"
        f"dot: median   line: lowest to highest, runs: {runs}{also}"
    )


def upright(axes: Axes, x: float, text: str, side: str) -> None:
    """Draw a line that values are held against; its name stands above, on that side."""
    axes.axvline(x, color=MUTED, linewidth=1.2, linestyle=ROLES["ideal"].linestyle)
    axes.annotate(
        text, (x, 1), (0, 4), xycoords=("data", "axes fraction"), color=MUTED,
        textcoords="offset points", ha=side, fontsize=SMALL_PT,
    )  # fmt: skip


def write_right(axes: Axes, head: str, texts: Sequence[str]) -> None:
    """Write a column of texts at the rows' right ends."""
    axes.annotate(
        head, (1, 1), (8, 4), xycoords="axes fraction", color=MUTED,
        textcoords="offset points", fontsize=SMALL_PT,
    )  # fmt: skip
    for row, text in enumerate(texts):
        beside(axes, 1, row, text)


def beside(
    axes: Axes, side: int, row: float, text: str, points: float = 8, **how: Any
) -> None:
    """Write a text at a row, from the left end (side 0) or the right one (1)."""
    axes.annotate(
        text, (side, row), (points, 0), xycoords=("axes fraction", "data"), va="center",
        textcoords="offset points", annotation_clip=False, fontsize=SMALL_PT, **how,
    )  # fmt: skip


def digits(value: float) -> str:
    """Return a number in three digits, as a column wants it: 1.60, 15.0, 1,234."""
    if value == 0 or not abs(value) < 1000:
        return readable(value)
    return f"{value:#.3g}".rstrip(".")
