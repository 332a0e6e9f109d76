"""A folder of described tables: a Frictionless Data Package, read with suspicion.

Facts. A file that was cut short, edited or renamed draws a plausible figure all the
same. Frictionless is a format that others read too: one JSON file describes all the
others, with their sizes, hashes and columns.

Decision. No table is read but through its description, and each promise of that is
checked before the table is given out: the file is there, is the one that was hashed,
has these columns, of these types. What does not hold is one error that names the file
and the remedy. The description is written last and in one step, so that a folder whose
writing was interrupted does not open.

Known limit: a hash finds accidents; who edits a file can edit its hash. Not in this
file: what the tables are about (`recordings`), and how one is written (`csv_tables`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netlab
from netlab.study.csv_tables import MISSING, READERS, Field, packed, unpacked
from netlab.study.files import write_all

if TYPE_CHECKING:
    import pandas as pd

DATA = Path(netlab.__file__).parents[1] / "data"
PACKAGE_FILE = "datapackage.json"
NEEDED = ("name", "path", "bytes", "hash", "schema")

Resource = dict[str, Any]


def home_of(folder: str | Path | None) -> Path:
    """Return the package's folder: the project's data/ if none is given."""
    return DATA if folder is None else Path(folder)


def opened(home: Path) -> dict[str, Any]:
    """Return what datapackage.json says.

    Raises FileNotFoundError or ValueError that says what is wrong, and the remedy.
    """
    path = home / PACKAGE_FILE
    try:
        package = json.loads(path.read_text(encoding="utf-8"))
        for resource in package["resources"]:
            _check(resource)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing: {_remedy(home)}") from error
    except KeyError as error:
        raise refused(home, f"is damaged: it lacks {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise refused(home, f"is damaged: {error}") from error
    return package


def _check(resource: Resource) -> None:
    """Raise KeyError, TypeError or ValueError for a description that is none."""
    for key in NEEDED:
        _ = resource[key]
    path = Path(resource["path"])
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{resource['path']!r} is not a path inside its folder")
    for field in resource["schema"]["fields"]:
        _ = field["name"], field["dtype"]
        if field["type"] not in READERS:
            raise ValueError(f"{field['name']!r} has the type {field['type']!r}")
    if not isinstance(resource.get("netlab", {}), dict):
        raise TypeError(f"'netlab' of {resource['name']!r} is no object")


def table(home: Path, resource: Resource) -> pd.DataFrame:
    """Return a described table, if its file is the one that was described.

    Raises FileNotFoundError or ValueError that names the file and the remedy.
    """
    path = home / resource["path"]
    try:
        data = path.read_bytes()
        if _hash(data) != resource["hash"]:
            raise ValueError(
                f"its hash is another than in {PACKAGE_FILE} "
                f"({len(data)} bytes, described are {resource['bytes']})"
            )
        return unpacked(data, resource["schema"]["fields"])
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing: {_remedy(home)}") from error
    except ValueError as error:
        told = f"{path} is damaged or was changed: {error}; {_remedy(home)}"
        raise ValueError(told) from error


def described(
    name: str, path: str, frame: pd.DataFrame, fields: Sequence[Field]
) -> tuple[Resource, bytes]:
    """Return a table's description, and the bytes of its file.

    path: where it is to be, relative to the folder; a long table's ends in .gz.
    Raises ValueError for a table that cannot be written.
    """
    data, is_packed = packed(frame, fields)
    resource = {
        "name": name,
        "path": f"{path}.gz" if is_packed else path,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        **({"compression": "gz"} if is_packed else {}),
        "bytes": len(data),
        "hash": _hash(data),
        "schema": {"fields": list(fields), "missingValues": [MISSING]},
    }
    return resource, data


def save(
    home: Path, package: dict[str, Any], files: Mapping[Path, bytes] | None = None
) -> None:
    """Write datapackage.json in one step, its resources by their paths.

    files: of tables that are described there, to be written with it or not at all.
    Raises OSError that names the file if it cannot be written, and then none is.
    """
    resources = sorted(package["resources"], key=lambda one: one["path"])
    whole = package | {"resources": resources}
    text = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
    last = {home / PACKAGE_FILE: text.encode("utf-8")}  # without it, none is opened
    write_all({**(files or {}), **last})


def refused(home: Path, what: str) -> ValueError:
    """Return the error for a description that does not hold."""
    return ValueError(f"{home / PACKAGE_FILE} {what}; {_remedy(home)}")


def _hash(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _remedy(home: Path) -> str:
    if home == DATA:
        return "git checkout -- data brings it back, in a checkout of netlab"
    return f"record again: python -m netlab record NAME --folder {home}"
