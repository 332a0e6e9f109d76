"""The figures of the first two stages: who waits for whom, and a loop's turns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from netlab.show.firsts_tables import (
    GROUP,
    LISTENER,
    head_of_line_table,
    heading,
    turns_table,
)
from netlab.show.outlines import AROUND, HOLLOW, legend_mark, parted, with_room
from netlab.show.palette import (
    BLUE,
    CARD,
    FAINT,
    GREEN,
    INK,
    MUTED,
    PURPLE,
    ROLES,
    SKY,
    SMALL_PT,
    VERMILION,
    look,
    new_axes,
    pale,
)
from netlab.show.tables import rows

LANE_IN, HEAD_LANES, AROUND_IN = 0.25, 1.5, 1.55
LEGEND_PT = 34  # below the axes
MARK_PT = 6.0
BESIDE = 0.28  # turns from mark to mark, where one client has several
WAITS: dict[str, Any] = {
    "facecolor": CARD, "edgecolor": MUTED, "linewidth": 0.6, "hatch": "/////",
}  # fmt: skip
WORKS: dict[str, Any] = {"facecolor": BLUE, "edgecolor": BLUE, "linewidth": 0.6}
STAYS: dict[str, Any] = {
    "facecolor": pale(GREEN), "edgecolor": GREEN, "linewidth": 0.8, "hatch": "...",
}  # fmt: skip
RULE: dict[str, Any] = {
    "marker": "D", "linestyle": "none", "markerfacecolor": CARD, "markersize": 6.5,
    "markeredgecolor": INK, "markeredgewidth": 1, "clip_on": False,
}  # fmt: skip
ANSWERED: dict[str, Any] = {
    "marker": "o", "linestyle": "none", "color": SKY, "markersize": MARK_PT - 1,
    "markeredgecolor": INK, "markeredgewidth": 0.8, "clip_on": False, "zorder": 4,
}  # fmt: skip
GUESS: dict[str, Any] = {
    "marker": "s", "linestyle": "none", "markerfacecolor": "none", "markersize": 11,
    "markeredgecolor": ROLES["predicted"].color, "markeredgewidth": 1.5,
    "clip_on": False, "zorder": 5,
}  # fmt: skip


class Symbol(NamedTuple):
    """How a thing done looks, and what the legend says of it."""

    marker: str
    fill: str
    words: str


SYMBOLS = {
    "accepted": Symbol("o", GREEN, "took a connection"),
    "would-block": Symbol("X", VERMILION, "accept found nothing"),
    "part": Symbol("^", CARD, "read a part of a request"),
    "answered": Symbol("s", BLUE, "answered"),
    "nothing": Symbol("x", MUTED, "read nothing"),
    "closed": Symbol("D", PURPLE, "the client left: closed"),
}


@look()
def head_of_line(
    waits: pd.DataFrame,
    *,
    servers: Sequence[str] = (),
    scenes: Sequence[str] = (),
    predicted: Sequence[float] | None = None,
    recorded: pd.DataFrame | None = None,
    room: pd.DataFrame | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a lane a client: how long it waited, was worked for, and stayed.

    Each server and scene is a group of lanes. A diamond marks when the rule says that
    the client is answered. servers, scenes: the names of some, else all. predicted: a
    guess in ms for each client. recorded: others' waits, their answers outlined. room:
    waits for which the axis has room too.

    Raises ValueError for a name that there is not.
    """

    def make(table: pd.DataFrame) -> pd.DataFrame:
        return head_of_line_table(table, servers, scenes)

    both = head_of_line_table(waits, servers, scenes, predicted, recorded)
    table, theirs = parted(both)
    table = table.assign(lane=_lanes_of(table))
    lanes = table["lane"].to_numpy().max() + 1
    axes = axes or new_axes(AROUND_IN + LANE_IN * lanes)
    _bars(axes, table)
    _marks(axes, table, theirs)
    _name_lanes(axes, table)
    ends = with_room(both, make, room)[["left_ms", "predicted_ms", "most"]]
    last_ms = ends.to_numpy().max()
    axes.set_xlim(-0.015 * last_ms, 1.03 * last_ms)
    axes.set_xlabel("time since the first client's connect (ms): medians")
    axes.set_title("Who waits for whom")
    _legend(axes, _waiting_legend(table, theirs))
    return axes


def _lanes_of(table: pd.DataFrame) -> Any:
    """Return each row's place from above, with room for a heading over each group."""
    group = table.groupby(GROUP, sort=False).ngroup()
    return pd.Series(range(len(table)), table.index) + HEAD_LANES * (group + 1) - 1


def _bars(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the three parts of a visit; one that was not asked for has no length."""
    answered, connected = table["answered_ms"], table["connected_ms"]
    begun = (answered - table["work_ms"]).clip(lower=connected)
    left = table["left_ms"].where(table["stay_ms"] > 0, answered)
    spans = (
        (connected, begun, 0.42, WAITS),
        (begun, answered, 0.78, WORKS),
        (answered, left, 0.42, STAYS),
    )
    for start, end, height, style in spans:
        own = table[end > start]
        axes.barh(
            own["lane"], (end - start)[own.index], height, left=start[own.index],
            **style,
        )  # fmt: skip


def _marks(axes: Axes, table: pd.DataFrame, theirs: pd.DataFrame) -> None:
    axes.plot(table["predicted_ms"], table["lane"], **RULE)
    axes.plot(table["answered_ms"], table["lane"], **ANSWERED)
    axes.plot(
        table["connected_ms"], table["lane"], marker="|", color=VERMILION,
        linestyle="none", markersize=12, markeredgewidth=2, zorder=6,
    )  # fmt: skip
    if "guess" in table:
        axes.plot(table["guess"], table["lane"], **GUESS)
    if len(theirs):
        found = theirs.merge(table[[*GROUP, "client", "lane"]], on=[*GROUP, "client"])
        axes.plot(
            found["answered_ms"], found["lane"], marker="o",
            markersize=MARK_PT + AROUND + 2, clip_on=False, zorder=5, **HOLLOW,
        )  # fmt: skip


def _name_lanes(axes: Axes, table: pd.DataFrame) -> None:
    """Name the clients at the left, write their answers at the right, and headings."""
    axes.set_yticks(table["lane"], [str(client) for client in table["client"]])
    axes.set_ylim(table["lane"].to_numpy().max() + 0.7, -0.4)
    axes.set_ylabel("client")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    how: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL_PT}
    for _, group in cast(Iterable[Any], table.groupby(GROUP, sort=False)):
        axes.annotate(
            heading(group), (0, group["lane"].iloc[0]), (0, 11), weight="bold",
            xycoords=("axes fraction", "data"), annotation_clip=False, **how,
        )  # fmt: skip
        axes.annotate(
            "answered", (1, group["lane"].iloc[0]), (4, 11), color=MUTED,
            xycoords=("axes fraction", "data"), annotation_clip=False, **how,
        )  # fmt: skip
    for row in rows(table):
        axes.annotate(
            f"{row.answered_ms:.0f} ms", (1, row.lane), (4, 0), va="center",
            xycoords=("axes fraction", "data"), annotation_clip=False, **how,
        )  # fmt: skip


def _waiting_legend(table: pd.DataFrame, theirs: pd.DataFrame) -> list[Any]:
    marks: list[Any] = [
        Line2D([], [], marker="|", color=VERMILION, linestyle="none", markersize=10,
               markeredgewidth=2, label="connect returned"),
        Patch(label="waits for its answer", **WAITS),
    ]  # fmt: skip
    if table["work_ms"].to_numpy().any():
        marks.append(Patch(label="its own work", **WORKS))
    marks.append(Line2D([], [], label="answered", **ANSWERED))
    if table["stay_ms"].to_numpy().any():
        marks.append(Patch(label="stays, and says nothing", **STAYS))
    marks.append(Line2D([], [], label="answered, by the rule", **RULE))
    if "guess" in table:
        marks.append(Line2D([], [], label="your prediction", **GUESS))
    return marks + ([legend_mark()] if len(theirs) else [])


def _legend(axes: Axes, marks: list[Any], columns: int = 3) -> None:
    inches = cast(Figure, axes.get_figure(root=True)).dpi_scale_trans
    below = ScaledTranslation(0, -LEGEND_PT / 72, inches)
    axes.legend(
        handles=marks, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=columns,
        bbox_transform=axes.transAxes + below, columnspacing=1.4,
    )  # fmt: skip


@look()
def turns(turns: pd.DataFrame, *, axes: Axes | None = None) -> Axes:
    """Draw what one loop did at each turn: a column a turn, a lane a client.

    Raises ValueError if there are no turns.
    """
    table = turns_table(turns)
    clients = sorted(set(table["who"]) - {LISTENER})
    lanes = {who: lane for lane, who in enumerate([LISTENER, *clients])}
    axes = axes or new_axes(AROUND_IN + 0.4 * len(lanes))
    last = int(table["turn"].to_numpy().max())
    for turn in range(1, last + 1, 2):
        axes.axvspan(turn - 0.5, turn + 0.5, color=pale(FAINT, 0.45), zorder=0)
    axes.hlines(list(lanes.values()), 0.5, last + 0.5, color=FAINT, linewidth=1)
    lane = [lanes[who] for who in table["who"]]
    _done(axes, table.assign(x=_side_by_side(table), lane=lane))
    axes.set_yticks(range(len(lanes)), [_named(who) for who in lanes])
    axes.set_ylim(len(lanes) - 0.5, -0.5)
    axes.set_xlim(0.5, last + 0.5)
    axes.set_xticks(range(1, last + 1))
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("turn of the loop: one return of its wait")
    axes.set_title("What one loop did at each turn")
    _legend(axes, axes.get_legend_handles_labels()[0])
    return axes


def _side_by_side(table: pd.DataFrame) -> Any:
    """Return where each mark stands: those of one client and turn beside each other."""
    same = table.groupby(["turn", "who"])["did"]
    middle: Any = (same.transform("size") - 1) / 2  # pyright: ignore
    return table["turn"] + BESIDE * (same.cumcount() - middle)


def _done(axes: Axes, table: pd.DataFrame) -> None:
    for did in (name for name in SYMBOLS if name in set(table["did"])):
        own, symbol = table[table["did"] == did], SYMBOLS[did]
        axes.plot(
            own["x"], own["lane"], marker=symbol.marker, color=symbol.fill,
            linestyle="none", markersize=9, label=symbol.words,
            markeredgecolor=INK, markeredgewidth=0.9,
        )  # fmt: skip


def _named(who: str) -> str:
    return who if who == LISTENER else f"client {who}"
