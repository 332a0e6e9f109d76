"""Figures with a bar per worker: drawn from a table, on axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from netlab.show import tables
from netlab.show.palette import CARD, HALO, MUTED, ROLES, SMALL_PT, look, new_axes

LABELLED = 16  # so many bars have room for a number each
FEW = 8  # so many have room for two, or for one inside
TICKS_HELD = 32  # so many two-digit labels fit along the width, and are read


@look()
def accepts_per_worker(
    workers: pd.DataFrame,
    *,
    predicted: Sequence[float] | None = None,
    recorded: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a bar per worker, grouped by its CPU: the connections that it owned.

    predicted: a guess for each worker, drawn as a ghost beside its bar.
    recorded: another run's workers, as many, drawn as outlines around their bars.

    Raises ValueError if there are no workers.
    """
    table = tables.accepts_per_worker_table(workers, predicted, recorded)
    axes = axes if axes is not None else new_axes(3.1)
    at = _grouped(table["cpu"].to_numpy())
    width = 0.8 if predicted is None else 0.4
    middle = at if predicted is None else at - width / 2
    counts = table["connections"].to_numpy()
    amounts = table.columns.difference(["worker", "cpu"])
    axes.set_ylim(0, 1.14 * table[amounts].to_numpy().max() or 1)
    axes.bar(middle, counts, width, color=ROLES["measured"].color, label="measured")
    inside = recorded is not None and (predicted is None or len(counts) <= FEW)
    _label_bars(axes, middle, counts, inside)
    if predicted is not None:
        _ghosts(axes, at + width / 2, table["predicted"].to_numpy(), width)
    if recorded is not None:
        _outlines(axes, middle, table["recorded"].to_numpy(), width)
    _equal_share(axes, counts.mean())
    _name_bars(axes, table, at)
    _head(axes, "Connections per worker", legend=len(amounts) > 1)
    return axes


def _head(axes: Axes, title: str, legend: bool) -> None:
    axes.set_title(title)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    if legend:
        axes.legend(
            loc="lower right", bbox_to_anchor=(1.08, 1.02), ncols=3, borderpad=0,
            handlelength=1.5, columnspacing=1.2, borderaxespad=0,
        )  # fmt: skip


def _grouped(cpus: np.ndarray) -> np.ndarray:
    """Return the bars' places: one apart, and more where another CPU begins."""
    changes = np.flatnonzero(np.diff(cpus)) + 1
    gap = 0.9 if len(changes) < len(cpus) - 1 else 0.0
    return np.arange(len(cpus)) + gap * np.searchsorted(
        changes, np.arange(len(cpus)), "right"
    )


def _ghosts(axes: Axes, at: np.ndarray, values: np.ndarray, width: float) -> None:
    style = ROLES["predicted"]
    axes.bar(
        at, values, width, facecolor=CARD, edgecolor=style.color, hatch=style.hatch,
        linestyle=style.linestyle, linewidth=1.2, label="your prediction",
    )  # fmt: skip
    for x, value in zip(at, values, strict=True) if len(at) <= FEW else ():
        _number(axes, x, value, f"{value:,.4g}", color=MUTED)


def _outlines(axes: Axes, at: np.ndarray, values: np.ndarray, width: float) -> None:
    axes.bar(
        at, values, width, facecolor="none", edgecolor=ROLES["recorded"].color,
        linewidth=1.6, label="recorded run",
    )  # fmt: skip


def _label_bars(axes: Axes, at: np.ndarray, counts: np.ndarray, inside: bool) -> None:
    """Write each bar's number, or where there are many, the least and the most.

    inside: at the foot of a bar that is high enough, clear of the outlines.
    """
    several = range(len(counts))
    if len(counts) > LABELLED:
        several = sorted({int(counts.argmin()), int(counts.argmax())})
    for bar in several:
        fits = inside and counts[bar] > 0.12 * axes.get_ylim()[1]
        how = {"color": CARD, "path_effects": []} if fits else {}
        _number(axes, at[bar], 0 if fits else counts[bar], f"{counts[bar]:,}", **how)


def _number(axes: Axes, x: float, y: float, text: str, **how: Any) -> None:
    axes.annotate(
        text, (x, y), (0, 2), textcoords="offset points", ha="center", va="bottom",
        **{"fontsize": SMALL_PT, "path_effects": HALO, "zorder": 5, **how},
    )  # fmt: skip


def _equal_share(axes: Axes, share: float) -> None:
    line = ROLES["ideal"].linestyle
    axes.axhline(share, color=MUTED, linewidth=1.2, linestyle=line, zorder=3)
    axes.annotate(
        f"equal\nshare\n{round(share, 1):,g}", (1, share), (4, 0), color=MUTED,
        xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
        fontsize=SMALL_PT,
    )  # fmt: skip


def _name_bars(axes: Axes, table: pd.DataFrame, at: np.ndarray) -> None:
    """Write two rows under the bars: the workers, and the CPUs they are bound to."""
    groups = list(table.groupby("cpu", sort=True).indices.items())
    groups = groups[:: -(-len(groups) // TICKS_HELD)]
    every = -(-sum(len(rows) for _, rows in groups) // TICKS_HELD)
    named = np.concatenate([rows[::every] for _, rows in groups])
    axes.set_xticks(at[named], table["worker"].iloc[named].astype(str))
    axes.tick_params(axis="x", length=0, pad=6)
    around = max(0.6, 2 - (at[-1] - at[0]) / 2)  # few bars are not made broad
    axes.set_xlim(at[0] - around, at[-1] + around)
    for cpu, rows in groups:
        _below(axes, at[rows].mean(), 25, str(cpu), ha="center")
        if len(rows) > 1:
            axes.plot(
                [at[rows[0]] - 0.4, at[rows[-1]] + 0.4], [-0.12] * 2, color=MUTED,
                transform=axes.get_xaxis_transform(), clip_on=False, linewidth=0.8,
            )  # fmt: skip
    for points, name in ((6, "worker"), (25, "CPU")):
        _below(axes, axes.get_xlim()[0], points, f"{name}  ", ha="right", color=MUTED)


def _below(axes: Axes, x: float, points: float, text: str, **how: Any) -> None:
    axes.annotate(
        text, (x, 0), (0, -points), xycoords=("data", "axes fraction"),
        textcoords="offset points", va="top", fontsize=SMALL_PT, **how,
    )  # fmt: skip
