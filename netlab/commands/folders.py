"""The folder of a reproduced study: written whole or not at all, and read back.

    OUT/README.md               the index of what is there (`index`)
    OUT/STUDY/study.json        settings, notes, mode and machine
    OUT/STUDY/TABLE.csv         a table
    OUT/STUDY/verdicts.csv      what became of the study's claims
    OUT/STUDY/FIGURE.png .txt   a figure, and its words above its stamp

A study's folder is made beside its place and takes it when it is complete, so that one
that is there is whole, whatever interrupted the command. It is never written to again:
tables of two runs do not mix.
"""

from __future__ import annotations

import csv
import inspect
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.study.verdicts import Verdict

if TYPE_CHECKING:
    from netlab.study.catalogue import Drawing, Study
    from netlab.study.found import Found
    from netlab.study.replay import Mode

ABOUT, VERDICTS = "study.json", "verdicts.csv"


class Figure(NamedTuple):
    """A saved figure: its file's name, its words, and where its numbers are from."""

    file: str
    alt: str
    stamp: str


class Saved(NamedTuple):
    """What a study's folder holds. about: study.json. tables: their files' names."""

    about: dict[str, Any]
    verdicts: list[Verdict]
    figures: list[Figure]
    tables: list[str]


def save(study: Study, found: Found, verdicts: list[Verdict], out: Path) -> Path:
    """Write a study's folder and return it; OSError if there is one already."""
    out.mkdir(parents=True, exist_ok=True)
    place = out / study.name
    with tempfile.TemporaryDirectory(prefix=f".{study.name}-", dir=out) as unfinished:
        folder = found.save(Path(unfinished) / study.name)
        with open(folder / VERDICTS, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerows([Verdict._fields, *verdicts])
        for drawing in study.drawings:
            _draw(found, drawing, folder / f"{_file_name(study, drawing)}.png")
        folder.rename(place)
    return place


def _draw(found: Found, drawing: Drawing, path: Path) -> None:
    from netlab.show import stamped

    shown = stamped.draw(stamped.of_drawing(found, drawing), None, {})
    shown.save(path)
    words = f"{shown.alt}\n{shown.stamp}\n"
    path.with_suffix(".txt").write_text(words, encoding="utf-8")


def _file_name(study: Study, drawing: Drawing) -> str:
    """Return the plot's name, and the table's if the plot draws several."""
    alike = [one for one in study.drawings if one.plot == drawing.plot]
    return drawing.plot if len(alike) == 1 else drawing.table


def opened(folder: Path) -> Saved:
    """Return what a study's folder holds.

    Raises ValueError, with the remedy, for a folder that is none.
    """
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        with open(folder / VERDICTS, newline="", encoding="utf-8") as file:
            verdicts = [Verdict._make(row) for row in list(csv.reader(file))[1:]]
        figures = [_figure(path) for path in sorted(folder.glob("*.txt"))]
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"{folder} is no study's folder ({error}): remove it, or give another --out"
        ) from error
    tables = [path.name for path in sorted(folder.glob("*.csv"))]
    tables.remove(VERDICTS)
    return Saved(about, verdicts, figures, tables)


def _figure(path: Path) -> Figure:
    alt, stamp = path.read_text(encoding="utf-8").rstrip("\n").rsplit("\n", 1)
    return Figure(path.with_suffix(".png").name, alt, stamp)


def is_there(study: Study, mode: Mode, settings: dict[str, Any], out: Path) -> bool:
    """Return whether a study was saved already, as it is asked for now.

    Raises ValueError that names the difference if it was saved otherwise.
    """
    folder = out / study.name
    if not folder.exists():
        return False
    about = opened(folder).about
    saved = about["settings"] | {"mode": about["mode"], "date": about["date"]}
    for name, value in _asked(study, mode, settings).items():
        if saved.get(name) != value:
            raise ValueError(
                f"{folder} is there already, with {name} {saved.get(name)}, and asked "
                f"for is {value}: remove it, or give another --out"
            )
    return True


def _asked(study: Study, mode: Mode, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a folder says that was saved by the same command."""
    if mode.value == "replayed":
        from netlab.study import recordings

        return {"mode": "replayed", "date": recordings.about(study.name)["date"]}
    of_run = inspect.signature(study.run).parameters
    usual = {name: of_run[name].default for name in ("repeats", "seed")}
    return {"mode": "live"} | usual | settings
