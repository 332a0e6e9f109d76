"""A figure with its stamp: what it is made of, from a run or from a study.

A recording beside what was measured here is told in three places: in the stamp, by its
date and machine; in the words; and in the table, whose rows then say which they are
from. A plot that takes `recorded`, another's table of the same form, draws it as an
outline besides (`outlines`), and says and tables it itself.

Four kinds of figures have no outline, because theirs would say nothing: an x-ray, or a
life, is one trace, and the microseconds of another are not nearer or farther from it;
strips of winners (`rotate`, `accept_timeline`, `cpu_placement`) are one sequence each;
a matrix is a table of numbers, and its shades are ranks; and what is beside a process
list is of these threads. There the other is told and tabled.

Known limit: `latency_by_worker` could have an outline, and has none.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from netlab.show import figures
from netlab.show.figures import Shown
from netlab.show.outlines import HERE, RECORDED, together
from netlab.show.plots import PLOTS, STUDY, Plot
from netlab.show.questions import Prediction

if TYPE_CHECKING:
    from netlab.study.catalogue import Drawing
    from netlab.study.found import Found
    from netlab.study.run import Run

LONGEST = 700  # letters; a longer text is not listened to twice


class Material(NamedTuple):
    """What one figure is made of, and where it is from."""

    row: Plot
    table: pd.DataFrame
    options: dict[str, Any]
    machine: Mapping[str, Any]
    engine: str
    repeats: int
    mode: str

    def stamp(self, extra: str = "") -> str:
        """Return the line under the figure."""
        return figures.stamp(
            self.machine,
            engine=self.engine,
            repeats=self.repeats,
            mode=self.mode,
            extra=extra,
        )


def of_run(run: Run, plot: str | None) -> Material:
    """Return what that plot draws of a run; raises ValueError for another plot."""
    of_runs = [name for name, row in PLOTS.items() if row.takes != STUDY]
    if plot not in of_runs:
        raise ValueError(f"plot={plot!r}: of a run there are {', '.join(of_runs)}")
    row = PLOTS[plot]
    engine = run.settings["actual"]["server"]["engine"]
    return Material(row, getattr(run, row.takes), {}, run.machine, engine, 1, "live")


def of_study(found: Found, drawings: Sequence[Drawing], plot: str | None) -> Material:
    """Return what a plot draws of what a study found: its first plot if None.

    Raises ValueError for a plot that is not the study's, or a table that it lacks.
    """
    by_plot = {drawing.plot: drawing for drawing in reversed(drawings)}  # the first
    drawing = by_plot.get(drawings[0].plot if plot is None else plot)
    if drawing is None:
        raise ValueError(
            f"plot={plot!r}: study {found.name!r} has {', '.join(by_plot)}"
        )
    return of_drawing(found, drawing)


def of_drawing(found: Found, drawing: Drawing) -> Material:
    """Return what one drawing of a study is made of; ValueError without its table."""
    if drawing.table not in found.tables:
        raise ValueError(
            f"plot={drawing.plot!r} draws the table {drawing.table!r}, which this "
            f"{found.name!r} lacks: ask the study for it"
        )
    return Material(
        PLOTS[drawing.plot],
        found.tables[drawing.table],
        drawing.options(found),
        found.machine,
        engine_of(found),
        int(found.settings.get("repeats", 1)),
        found.mode,
    )


def engine_of(found: Found) -> str:
    """Return the engines that a study's runs had."""
    named = [table["engine"] for table in found.tables.values() if "engine" in table]
    engines = dict.fromkeys(name for column in named for name in column.unique())
    return " and ".join(engines) or "compiled"


def draw(here: Material, other: Material | None, options: Mapping[str, Any]) -> Shown:
    """Draw it, with another's numbers in stamp, words and table, and as its outline.

    options: those of the plot; a Prediction among them is drawn as its ghost.
    """
    given = here.options | plain(options)
    if other is None:
        return _shown(here, given, here.stamp())
    date, line = other.machine["date"][:10], other.machine["line"]
    stamp = here.stamp(extra=f"recorded {date} on {line}")
    if "recorded" in inspect.signature(here.row.draw).parameters:
        return _shown(here, given | {"recorded": other.table}, stamp)
    shown = _shown(here, given, stamp)
    theirs = other.row.table(other.table, **other.options)
    ours = here.row.table(here.table, **given)
    table = together({HERE: ours, RECORDED: theirs})
    return replace(shown, alt=f"{shown.alt} {_told(other, date)}", table=table)


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plot's options with the guess of each Prediction among them."""
    return {
        name: value.value if isinstance(value, Prediction) else value
        for name, value in options.items()
    }


def _shown(here: Material, options: dict[str, Any], stamp: str) -> Shown:
    return figures.show(
        here.row.draw(here.table, **options),
        stamp=stamp,
        alt=here.row.alt(here.table, **options),
        table=here.row.table(here.table, **options),
    )


def _told(other: Material, date: str) -> str:
    """Return the words of what is not drawn; the table has the numbers of long ones."""
    words = other.row.alt(other.table, **other.options)
    if len(words) > LONGEST:
        return f"The table has what was recorded on {date} too."
    return f"Recorded on {date}: {words}"
