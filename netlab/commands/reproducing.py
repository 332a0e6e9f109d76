"""The command that measures a named study again, and draws it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.commands.output import print_table, say

if TYPE_CHECKING:
    from netlab.study.catalogue import Drawing, Study
    from netlab.study.found import Found

ROWS = 40  # printed of a table; --json and --out have all


def reproduce(settings: dict[str, Any]) -> int:
    """Measure named studies again: tables, and with --out figures."""
    from netlab.study.catalogue import STUDIES, find

    as_json, out = settings.pop("json"), settings.pop("out", None)
    studies = [find(name) for name in settings.pop("names", [])]
    if not studies:
        for study in STUDIES:
            print(f"{study.name:<14}{study.question}")
        return 0
    found = [study.run(**settings) for study in studies]
    for study, one in zip(studies, found, strict=True):
        if not as_json:
            _tell(one)
        if out:
            _save(study, one, Path(out) / study.name)
    if as_json:
        told = [one.as_dict() for one in found]
        print(json.dumps(told[0] if len(told) == 1 else told))
    return 0


def _tell(found: Found) -> None:
    """Print the tables, of long ones the beginning."""
    for name, table in found.tables.items():
        more = f", the first {ROWS} of {len(table)} rows" if len(table) > ROWS else ""
        print(f"{found.name}: {name}{more}")
        print_table(table.head(ROWS))
    for note in found.notes:
        say(note)


def _save(study: Study, found: Found, folder: Path) -> None:
    """Write the tables, and a PNG a figure with its words."""
    from netlab.show import figures, plots
    from netlab.show.stamped import engine_of

    found.save(folder)
    stamp = figures.stamp(
        found.machine,
        engine=engine_of(found),
        repeats=int(found.settings.get("repeats", 1)),
        mode=found.mode,
    )
    for drawing in study.drawings:
        shown = plots.show(
            drawing.plot,
            found.tables[drawing.table],
            stamp=stamp,
            **drawing.options(found),
        )
        path = shown.save(folder / f"{_file_name(study, drawing)}.png")
        path.with_suffix(".txt").write_text(f"{shown.alt}\n{shown.stamp}\n")
        say(f"{path} drawn")


def _file_name(study: Study, drawing: Drawing) -> str:
    """Return the plot's name, and the table's if the plot draws several."""
    alike = [one for one in study.drawings if one.plot == drawing.plot]
    return drawing.plot if len(alike) == 1 else drawing.table
