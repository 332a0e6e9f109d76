"""Recordings: what a study found, saved in data/ so that a page can be replayed.

Facts. A table without its machine, settings and command is no result, and a study's
tables belong together: the requests of one day beside the summary of another are wrong.

Decision. data/ is one package (`datapackage`). Every recorded table's description has
an object "netlab" that says how its numbers came about; it is the same for all tables
of a study, so that those of two recordings do not mix.

    data/datapackage.json            the description of all of them
    data/published/SOURCE.csv        numbers of others, kept by hand
    data/recorded/STUDY/TABLE.csv    ours; .csv.gz if it is long

A reader's own recordings are a package of the same shape in another folder; a figure
can then be drawn from either. A new recording takes the place of an earlier one.

What may not be put here: running a study, or deciding that it is replayed (`replay`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.study import columns, datapackage
from netlab.study.datapackage import PACKAGE_FILE, Resource, home_of, refused
from netlab.study.found import Found

if TYPE_CHECKING:
    import pandas as pd

RECORDED, PUBLISHED = "recorded", "published"
OF_A_READER: dict[str, Any] = {
    "name": "netlab-recordings",
    "title": "Recordings made with netlab",
    "licenses": [
        {
            "name": "CC-BY-4.0",
            "title": "Creative Commons Attribution 4.0 International",
            "path": "https://creativecommons.org/licenses/by/4.0/",
        }
    ],
    "contributors": [{"title": "A reader of netlab", "role": "author"}],
    "resources": [],
}
HOW = {  # what "netlab" of a recorded table says, and as what; there is more
    "study": str,
    "tables": list,
    "command": str,
    "settings": dict,
    "notes": list,
    "machine": dict,
    "date": str,
}


def record(found: Found, *, command: str, folder: str | Path | None = None) -> Path:
    """Save what a study found, in place of its earlier recording; return its folder.

    command: that measured it. folder: the package's, data/ if None; another is made if
    need be.

    Raises ValueError for a replayed study, or a table that cannot be saved as it is;
    OSError that names the file if one cannot be written: the earlier recording stays.
    """
    if found.mode != "live":
        raise ValueError(f"{found!r}: only what was measured can be recorded")
    home = home_of(folder)
    is_new = folder is not None and not (home / PACKAGE_FILE).exists()
    package = OF_A_READER if is_new else datapackage.opened(home)
    files = list(_files(found, command))
    place = home / RECORDED / found.name
    place.mkdir(parents=True, exist_ok=True)
    new = [resource for resource, _ in files]
    kept = [one for one in package["resources"] if not _is_of(one, found.name)]
    whole = package | {"resources": kept + new}
    datapackage.save(home, whole, {home / one["path"]: data for one, data in files})
    _remove_others(place, {Path(resource["path"]).name for resource in new})
    return place


def load(name: str, folder: str | Path | None = None) -> Found:
    """Return a recorded study as it was found, in mode "replayed".

    folder: the package's, data/ if None.

    Raises FileNotFoundError or ValueError that names the file and the remedy.
    """
    home, how = home_of(folder), about(name, folder)
    listed = {one["name"]: one for one in datapackage.opened(home)["resources"]}
    tables = {}
    for table in how["tables"]:
        resource = listed.get(f"{name}.{table}")
        if resource is None:
            raise refused(home, f"is damaged: of {name!r} it lacks table {table!r}")
        if resource.get("netlab") != how:
            raise refused(home, f"has tables of {name!r} that were recorded apart")
        tables[table] = datapackage.table(home, resource)
    notes, machine = tuple(how["notes"]), how["machine"]
    return Found(name, tables, how["settings"], notes, machine, mode="replayed")


def names(folder: str | Path | None = None) -> tuple[str, ...]:
    """Return the studies that are recorded, in alphabetical order."""
    resources = datapackage.opened(home_of(folder))["resources"]
    found = {one["netlab"].get("study") for one in resources if "netlab" in one}
    return tuple(sorted(map(str, found)))


def about(name: str, folder: str | Path | None = None) -> dict[str, Any]:
    """Return how a recording came about: command, settings, machine, date and more.

    Raises FileNotFoundError or ValueError that names the file and the remedy.
    """
    home = home_of(folder)
    own = [one for one in datapackage.opened(home)["resources"] if _is_of(one, name)]
    if not own:
        raise ValueError(
            f"{home / PACKAGE_FILE} has no recording of {name!r}, only of "
            f"{', '.join(names(folder)) or 'nothing'}: run python -m netlab record "
            f"{name} on a machine that can show it"
        )
    how = own[0]["netlab"]
    if lost := [key for key, kind in HOW.items() if not isinstance(how.get(key), kind)]:
        raise refused(home, f"is damaged: of {name!r} it lacks {', '.join(lost)}")
    if how["machine"].get("date") != how["date"]:
        raise refused(home, f"is damaged: of {name!r} it has two dates")
    return how


def published(name: str) -> pd.DataFrame:
    """Return numbers that others published; data/published/README.md tells of them.

    Raises FileNotFoundError or ValueError that names the file and the remedy.
    """
    home, kind = home_of(None), f"{PUBLISHED}."
    resources = datapackage.opened(home)["resources"]
    ours = {one["name"].removeprefix(kind): one for one in resources}
    ours = {key: one for key, one in ours.items() if one["name"] == kind + key}
    if name not in ours:
        raise ValueError(f"published numbers {name!r}: there are {', '.join(ours)}")
    return datapackage.table(home, ours[name])


def _files(found: Found, command: str) -> Iterator[tuple[Resource, bytes]]:
    """Yield the description of each table, and the bytes of its file."""
    how = {
        "study": found.name,
        "tables": list(found.tables),
        "command": command,
        "seed": found.settings.get("seed"),
        "settings": found.settings,
        "notes": found.notes,
        "machine": found.machine,
        "date": found.date,
    }
    how = json.loads(json.dumps(how))  # as it will be read
    for table, frame in found.tables.items():
        path = f"{RECORDED}/{found.name}/{table}.csv"
        fields = _fields(frame, table)
        try:
            resource, data = datapackage.described(
                f"{found.name}.{table}", path, frame, fields
            )
        except ValueError as error:
            raise ValueError(f"table {table!r} of {found.name!r}: {error}") from error
        yield resource | {"netlab": how}, data


def _fields(frame: pd.DataFrame, table: str) -> list[dict[str, str]]:
    return [
        {
            "name": name,
            "type": column.type,
            "unit": column.unit,
            "description": column.meaning,
            "dtype": str(frame[name].dtype),
        }
        for name, column in columns.described(frame.columns, table).items()
    ]


def _is_of(resource: Resource, name: str) -> bool:
    return resource.get("netlab", {}).get("study") == name


def _remove_others(place: Path, names: set[str]) -> None:
    """Remove what an earlier recording left."""
    for path in place.iterdir():
        if path.name not in names:
            path.unlink()
