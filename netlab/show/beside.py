"""The original's picture with an answer to its question: `ps -L`, and beside each
thread the connections it took.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from netlab.show import tables
from netlab.show.figures import readable
from netlab.show.palette import CARD, HALO, INK, MUTED, ROLES, SMALL_PT, look, new_axes

ROW_IN = 0.27  # inches a thread
COLUMNS = {"pid": 7, "tid": 8, "psr": 5, "pcpu": 6}  # characters, right-aligned
NAME = 14  # characters of comm, left-aligned
PS_LETTERS: dict[str, Any] = {
    "family": "monospace", "fontsize": SMALL_PT, "color": INK,
}  # fmt: skip


@look()
def accepts_beside_ps(
    workers: pd.DataFrame,
    *,
    threads: pd.DataFrame,
    predicted: Sequence[float] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a row per thread: the columns of `ps`, and a bar of its connections.

    threads: the table of `netlab.ps`; threads that are no workers have no bar.
    predicted: a guess for each worker, drawn as a ghost beside its bar.

    Raises ValueError if there are no workers, or none of them is in `threads`.
    """
    table = tables.accepts_beside_ps_table(workers, threads, predicted)
    axes = axes or new_axes(1.1 + ROW_IN * (len(table) + 1))
    bars = table.dropna(subset="connections")
    height = 0.72 if predicted is None else 0.4
    middle = bars.index if predicted is None else bars.index - height / 2
    axes.barh(
        middle, bars["connections"], height, color=ROLES["measured"].color,
        label="measured",
    )  # fmt: skip
    if predicted is not None:
        _ghosts(axes, bars, height)
    for at, count in zip(middle, bars["connections"], strict=True):
        axes.annotate(
            f"{count:,.0f}", (count, at), (3, 0), textcoords="offset points",
            va="center", fontsize=SMALL_PT, path_effects=HALO, zorder=5,
        )  # fmt: skip
    share = float(bars["connections"].to_numpy().mean())
    _equal_share(axes, share, len(table))
    _write_ps(axes, table)
    axes.set_xlim(0, 1.1 * bars[["connections", *_guesses(bars)]].max().max() or 1)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("connections that this thread accepted and served")
    return axes


def _guesses(bars: pd.DataFrame) -> list[str]:
    return [name for name in bars.columns if name == "predicted"]


def _ghosts(axes: Axes, bars: pd.DataFrame, height: float) -> None:
    style = ROLES["predicted"]
    axes.barh(
        bars.index + height / 2, bars["predicted"], height, facecolor=CARD,
        edgecolor=style.color, hatch=style.hatch, linestyle=style.linestyle,
        linewidth=1.2, label="your prediction",
    )  # fmt: skip
    above = 1 + 0.18 / (ROW_IN * (len(bars) + 1))  # the equal share's words
    axes.legend(loc="lower right", bbox_to_anchor=(1, above), ncols=2, borderpad=0)


def _equal_share(axes: Axes, share: float, rows: int) -> None:
    axes.axvline(share, color=MUTED, linewidth=1, linestyle=ROLES["ideal"].linestyle)
    axes.annotate(
        f"equal share {readable(share)}", (share, -0.55), (0, 3), color=MUTED,
        ha="center", textcoords="offset points", fontsize=SMALL_PT,
    )  # fmt: skip
    axes.set_ylim(rows - 0.4, -0.6)


def _write_ps(axes: Axes, table: pd.DataFrame) -> None:
    """Write the list where the names of the rows would stand, as `ps` does."""
    axes.set_yticks(table.index, ps_lines(table), **PS_LETTERS)
    axes.tick_params(axis="y", length=0)
    ps_head(axes, -0.55)


def ps_lines(table: pd.DataFrame) -> list[str]:
    """Return a thread's line in the list, for each row of the table of `netlab.ps`."""
    return [
        "".join(f"{row[name]:>{width}}" for name, width in COLUMNS.items())
        + f"  {row['comm']:<{NAME}}"
        for row in table.to_dict("records")
    ]


def ps_head(axes: Axes, at: float) -> None:
    """Write the list's head above the ticks' lines, at that height."""
    head = "".join(f"{name.upper():>{width}}" for name, width in COLUMNS.items())
    head = head.replace("PCPU", "%CPU") + f"  {'COMMAND':<{NAME}}"
    axes.annotate(
        head, (0, at), (-3.5, 3), xycoords=("axes fraction", "data"), ha="right",
        textcoords="offset points", family="monospace", fontsize=SMALL_PT, color=MUTED,
    )  # fmt: skip
