"""The figure: CPU time per request of each server, user and system stacked."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks import summary, table
from benchmarks.client import LOADS
from benchmarks.settings import CONNECTIONS
from benchmarks.summary import Spread
from netlab.show import figures
from netlab.show.palette import (
    BLUE,
    DPI,
    INK,
    MUTED,
    ORANGE,
    SMALL_PT,
    WIDTH_IN,
    look,
)

TITLES = {
    "keep-alive": "Connections stay open",
    "new connection": "A new connection each",
}
PARTS = (("user_us", "user", BLUE, ""), ("system_us", "system", ORANGE, "///"))
OWN = "netlab"  # the servers that stand out
ROOM = 1.75  # to the right of the longest bar, for its number


@look()
def draw(results: dict[str, Any]) -> figures.Shown:
    """Return the figure of the results, with its stamp and words."""
    names = [n for n in results["servers"] if not table.lacking(results, n)]
    size = (WIDTH_IN, 1.5 + 0.42 * len(names))
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # pyright: ignore
    FigureCanvasAgg(figure)
    both = figure.subplots(1, 2, sharey=True)
    for axes, load in zip(both, LOADS, strict=True):
        _panel(axes, results["rows"], load, names)
    _name_servers(both[0], names)
    stamp = table.stamp(results)
    _frame(figure, both[0], _footer(stamp, results["settings"]["rounds"]))
    return figures.show(figure, stamp=stamp, alt=table.alt(results))


def _name_servers(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=SMALL_PT + 1)
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text().startswith(OWN) else "normal")
    axes.invert_yaxis()


def _frame(figure: Figure, axes: Axes, footer: str) -> None:
    """Write what is around both panels: title, legend and footer."""
    left = {"x": 0.02, "ha": "left"}
    title = "What a request costs the server"
    figure.suptitle(title, weight="bold", fontsize=12, **left)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=2, borderpad=0.6)
    figure.supxlabel(footer, fontsize=7.5, color=MUTED, **left)


def _footer(stamp: str, rounds: int) -> str:
    how = f"One worker on one CPU, {CONNECTIONS} connections of wrk."
    if rounds == 1:
        return f"{how} One round: no range.\n{stamp}"
    return (
        f"{how} Medians; whiskers: least and most of all rounds.\n"
        f"× C: the median of the ratios to c within each round.\n{stamp}"
    )


def _panel(axes: Axes, rows: summary.Rows, load: str, names: list[str]) -> None:
    axes.set_title(TITLES[load], fontsize=10, weight="normal")
    axes.set_xlabel("CPU µs per request")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    highest = 0.0
    for at, name in enumerate(names):
        total = summary.spread(rows, load, name, "cpu_us")
        if total is not None:
            _bar(axes, at, rows, load, name, total)
            highest = max(highest, total.most)
    axes.set_xlim(0, ROOM * highest or 1)


def _bar(
    axes: Axes, at: int, rows: summary.Rows, load: str, name: str, total: Spread
) -> None:
    """Draw one server: the parts are scaled to the median of their sum."""
    medians = [summary.spread(rows, load, name, part) for part, *_ in PARTS]
    parts = [found.median if found else 0.0 for found in medians]
    left, scale = 0.0, total.median / (sum(parts) or 1)
    for value, (_, label, color, hatch) in zip(parts, PARTS, strict=True):
        axes.barh(
            at, scale * value, 0.62, left, color=color, hatch=hatch, edgecolor="white",
            linewidth=0, label=label if at == 0 else None,
        )  # fmt: skip
        left += scale * value
    if total.rounds > 1:
        axes.plot([total.least, total.most], [at, at], color=INK, linewidth=1.4)
        axes.plot([total.least, total.most], [at, at], "|", color=INK, markersize=7)
    ratio = summary.relative(rows, load, name, "cpu_us")
    times = f" ({ratio.median:.2f} × C)" if ratio and name != summary.BASE else ""
    axes.annotate(
        f"{total.median:.1f}{times}", (total.most, at), (5, 0), va="center",
        textcoords="offset points", fontsize=SMALL_PT,
    )  # fmt: skip
