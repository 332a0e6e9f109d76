"""What is kept of a measurement: its rows, its command and its machine; and the tables.

The document's tables come from the kept files and from nothing else, between two
markers each, and are never typed.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import netlab

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "reliability" / "results"
DOCUMENT = ROOT / "docs" / "reliability.md"
Rows = list[dict[str, Any]]


class Broken(Exception):
    """A promise of the server that did not hold; the text says which, and where."""


def keep(name: str, rows: Rows, command: str, folder: Path = KEPT) -> Path:
    """Write one measurement's rows with its command and machine; return the file."""
    kept = {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": netlab.machine().as_dict(),
        "rows": rows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(kept, indent=1) + "\n")
    return path


def read(name: str, folder: Path = KEPT) -> dict[str, Any]:
    """Return what was kept; ValueError that says how to measure it."""
    path = folder / f"{name}.json"
    if not path.exists():
        raise ValueError(f"{path.name} is missing: python -m reliability {name} --keep")
    return json.loads(path.read_text())


def table(kept: dict[str, Any], shown_names: tuple[str, ...] = ()) -> str:
    """Return the rows as a Markdown table, under a line that says whence they are.

    shown_names: the columns that a reader needs; none: all of them.
    """
    rows, machine = kept["rows"], kept["machine"]
    names = list(shown_names or rows[0])
    lines = [
        f"`{kept['command']}`, {kept['date'][:10]}, Linux {machine['kernel']}, "
        f"{machine['cpus_owned']} CPUs, Python {machine['python']}:",
        "",
        "| " + " | ".join(names) + " |",
        "|" + " --- |" * len(names),
    ]
    lines += [
        "| " + " | ".join(shown(row[name]) for name in names) + " |" for row in rows
    ]
    return "\n".join(lines)


def shown(value: Any) -> str:
    """Return a cell's text: numbers with separators, nothing for what is unknown."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("|", "\\|")


def write_tables(
    text: str, tables: dict[str, tuple[str, ...]], folder: Path = KEPT
) -> str:
    """Return the document with each table between its markers; ValueError if none.

    tables: the columns to show, by the measurement's name.
    """
    for name, columns in tables.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"the document needs one {begin} and one {end}")
        before, rest = text.split(begin)
        after = rest.split(end)[1]
        text = f"{before}{begin}\n{table(read(name, folder), columns)}\n{end}{after}"
    return text
