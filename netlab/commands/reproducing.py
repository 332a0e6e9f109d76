"""The command that measures named studies again, or replays them, and draws them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.commands import folders, index, tasks
from netlab.commands.output import print_table, say
from netlab.commands.reproducing_all import reproduce_all

if TYPE_CHECKING:
    from netlab.commands.tasks import Task
    from netlab.study.catalogue import Study
    from netlab.study.found import Found
    from netlab.study.verdicts import Verdict

ROWS = 40  # printed of a table; --json and --out have all


def reproduce(settings: dict[str, Any]) -> int:
    """Measure named studies again, or all: tables, verdicts, and with --out figures."""
    as_json, out = settings.pop("json"), settings.pop("out", None)
    names, everything = settings.pop("names", []), settings.pop("all", False)
    is_replay = settings.pop("replay", False)
    if not names and not everything:
        return _list()
    _refuse(names, everything, out)
    to_do = tasks.asked(names, is_replay, settings)
    folder = None if out is None else Path(out)
    if folder:
        index.refuse_other(folder)
    if everything and folder:
        return reproduce_all(to_do, settings, folder, as_json)
    return _reproduce_named(to_do, settings, folder, as_json)


def _list() -> int:
    from netlab.study.catalogue import STUDIES

    for study in STUDIES:
        print(f"{study.name:<14}{_about(study.about_s):<7}{study.question}")
    return 0


def _about(seconds: int) -> str:
    return f"{seconds} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _refuse(names: list[str], everything: bool, out: str | None) -> None:
    if everything and names:
        raise ValueError(f"--all and {', '.join(names)}: give one of both")
    if everything and out is None:
        raise ValueError(
            "--all finds more than a screen can hold: give a folder, --out FOLDER"
        )
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{', '.join(twice)} is named twice: once is enough")


def _reproduce_named(
    to_do: list[Task], settings: dict[str, Any], out: Path | None, as_json: bool
) -> int:
    """Measure one study after the other, and tell and save each at once."""
    for study, _ in to_do:
        if out and (out / study.name).exists():
            raise ValueError(
                f"{out / study.name} is there already: remove it, or give another --out"
            )
    told = []
    for task in to_do:
        found = task.found(settings)
        verdicts = task.study.verdicts(found)
        told.append(found.as_dict() | {"verdicts": [one._asdict() for one in verdicts]})
        if not as_json:
            _tell(found, verdicts)
        if out:
            _save(task.study, found, verdicts, out)
    if as_json:
        print(json.dumps(told[0] if len(told) == 1 else told))
    return 0


def _tell(found: Found, verdicts: list[Verdict]) -> None:
    """Print the tables, of long ones the beginning, and the verdicts."""
    for name, table in found.tables.items():
        more = f", the first {ROWS} of {len(table)} rows" if len(table) > ROWS else ""
        print(f"{found.name}: {name}{more}")
        print_table(table.head(ROWS))
    for verdict in verdicts:
        print(verdict)
    for note in found.notes:
        say(note)


def _save(study: Study, found: Found, verdicts: list[Verdict], out: Path) -> None:
    place = folders.save(study, found, verdicts, out)
    for figure in folders.opened(place).figures:
        say(f"{place / figure.file} drawn")
    index.write(out)
