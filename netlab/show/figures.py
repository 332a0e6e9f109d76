"""How a netlab figure is shown: picture, stamp, words and table.

Facts. JupyterLab sanitizes the HTML of a notebook that is not trusted: it drops
<style>, scripts and unknown attributes, and keeps <figure>, <img> with a data:
source, <details>, <table> and a few inline styles. Text in an output has the
page's colours, and so have its tables' stripes.

Decision. Only what survives is written. The picture is a light card
(`palette`); the stamp and the table below it are text of the page, in its
colours, light or dark. There is no script and no style sheet. A figure that was
shown is closed, so that neither pyplot nor the page shows it a second time.

Not in this file: what is drawn (`plots`), and anything that measures.
"""

from __future__ import annotations

import base64
import html
import io
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from PIL import Image  # which Matplotlib needs for its own PNG files

from netlab.show.palette import CARD, DPI, WIDTH_IN, look

WIDTH_PX = 700  # as shown; 1 pt is then 1.4 px, and 9 pt text as tall as a page's
COLORS_KEPT, DITHER = 128, Image.Dither.NONE
ROWS_SHOWN = 64
PLAIN = frozenset({"pid", "tid", "port", "connection"})  # names, not amounts


@dataclass(frozen=True, eq=False)
class Shown:
    """A figure as a page shows it: picture, alt text, stamp and table."""

    png: bytes
    width_px: int
    stamp: str
    alt: str
    table: pd.DataFrame | None

    def __repr__(self) -> str:
        return self.alt

    def _repr_html_(self) -> str:
        png = base64.b64encode(self.png).decode("ascii")
        source = f"data:image/png;base64,{png}"
        return card(source, self.width_px, self.alt, self.stamp, self.table)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": self.alt}

    def save(self, path: str | Path) -> Path:
        """Write the picture, a PNG, and return its path."""
        path = Path(path)
        path.write_bytes(self.png)
        return path


def card(
    source: str, width_px: int, alt: str, stamp: str, table: pd.DataFrame | None
) -> str:
    """Return the HTML of a picture with its words, its stamp and its table.

    source: where the picture is from, a data: address.
    """
    return (
        '<figure style="margin:0.5em 0">\n'
        f'<img alt="{_escape(alt)}" width="{width_px}" '
        'style="max-width:100%;height:auto" '
        f'src="{source}">\n'
        f"<figcaption><small>{_escape(stamp)}</small></figcaption>\n"
        f"{_fold(table)}</figure>"
    )


def show(
    axes_or_figure: Axes | Figure,
    *,
    stamp: str,
    alt: str,
    table: pd.DataFrame | None = None,
) -> Shown:
    """Render a figure, close it, and return what a page shows of it.

    stamp: the line below it, see `stamp`.
    alt: the figure in words, with its numbers, for those who do not see it.
    table: the numbers that were drawn, one fold away.

    Raises ValueError if the alt text or the stamp is empty.
    """
    for name, text in (("alt", alt), ("stamp", stamp)):
        if not text.strip():
            raise ValueError(
                f"{name}={text!r}: say what the figure shows, and where from"
            )
    figure = figure_of(axes_or_figure)
    png = _png(figure)
    if "matplotlib.pyplot" in sys.modules:  # else it knows of no figure
        sys.modules["matplotlib.pyplot"].close(figure)
    width_px = round(figure.get_figwidth() * WIDTH_PX / WIDTH_IN)
    return Shown(png, width_px, stamp, alt, table)


def stamp(
    machine: Mapping[str, Any],
    *,
    engine: str,
    repeats: int = 1,
    mode: str = "live",
    extra: str = "",
) -> str:
    """Return the line under a figure: where its numbers are from.

    machine: the dict of a run's stamp.
    mode: "live", or "replayed" from a recording.

    Raises ValueError for another mode or a stamp in which something is missing.
    """
    if mode not in ("live", "replayed"):
        raise ValueError(f"mode={mode!r}: a figure is live or replayed")
    try:
        parts = [machine["line"], f"engine {engine}"]
        date = machine["date"][:10]
    except KeyError as error:
        raise ValueError(
            f"the machine's stamp lacks {error}: pass Run.machine"
        ) from error
    runs = "1 run" if repeats == 1 else f"{repeats} runs"
    when = f"live, {date}" if mode == "live" else f"replayed from {date}"
    return " · ".join([*parts, runs, when, *([extra] if extra else [])])


def figure_of(axes_or_figure: Axes | Figure) -> Figure:
    """Return the whole figure that these axes are in."""
    if isinstance(axes_or_figure, Figure):
        return axes_or_figure
    figure = axes_or_figure.figure
    while isinstance(figure, SubFigure):
        figure = figure.figure
    if figure is None:
        raise ValueError("these axes are in no figure: draw them again")
    return figure


def _png(figure: Figure) -> bytes:
    """Render with a palette of its own: a third of the bytes, and no less to see."""
    with look(), io.BytesIO() as full, io.BytesIO() as small:
        figure.savefig(full, format="png", dpi=DPI, facecolor=CARD)
        picture = Image.open(full).convert("RGB").quantize(COLORS_KEPT, dither=DITHER)
        picture.save(small, format="png", optimize=True)
        return small.getvalue()


def _fold(table: pd.DataFrame | None) -> str:
    """Return the table in a fold, its first rows if there are many."""
    if table is None:
        return ""
    head, count = table.head(ROWS_SHOWN), len(table)
    said = f"{count:,} rows" if count > 1 else "1 row"
    if count > len(head):
        said = f"the first {len(head)} of {said}"
    titles = "".join(f'<th scope="col">{_escape(name)}</th>' for name in head.columns)
    rows = "".join(f"<tr>{_cells(head, at)}</tr>\n" for at in range(len(head)))
    return (
        f"<details><summary>The table behind it ({said})</summary>\n<table>\n"
        f"<thead><tr>{titles}</tr></thead>\n<tbody>\n{rows}</tbody></table></details>\n"
    )


def _cells(table: pd.DataFrame, row: int) -> str:
    texts = (readable(table[name].iloc[row], str(name)) for name in table.columns)
    return "".join(f"<td>{_escape(text)}</td>" for text in texts)


def readable(value: Any, column: str = "") -> str:
    """Return a number as a reader wants it: 12,345 or 0.123; a dash for none."""
    if value is None or value is pd.NA or value != value:
        return "–"
    if (
        isinstance(value, (bool, str))
        or column in PLAIN
        or not hasattr(value, "__abs__")
    ):
        return str(value)
    if not math.isfinite(value) or value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _escape(value: object) -> str:
    return html.escape(str(value), quote=True)
