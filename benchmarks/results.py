"""What is kept of a benchmark: every round's raw numbers, and what is made of them.

Table and figure come from results.json and from nothing else, so they can be made
again; and the README's table stands between two markers and is never typed.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import netlab
from benchmarks import figure, peers, table
from benchmarks.bench import Bench
from benchmarks.settings import chosen

FORMAT = 1
FILE, TABLE, FIGURE = "results.json", "table.md", "figure.png"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def collect(bench: Bench, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all that is to be kept, JSON-safe."""
    names = chosen("server", bench.settings.only, peers.NAMES)
    versions = {name: peers.find(name).version() for name in bench.servers}
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": asdict(bench.settings),
        "machine": netlab.machine().as_dict(),
        "versions": versions | {"wrk": peers.said_by("wrk", "-v")},
        "servers": names,
        "missing": bench.missing,
        "rows": rows,
    }


def save(results: dict[str, Any], folder: Path) -> None:
    """Write the raw numbers, the table and the figure."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(results, indent=1) + "\n")
    (folder / TABLE).write_text(table.full(results))
    figure.draw(results).save(folder / FIGURE)


def read(folder: Path) -> dict[str, Any]:
    """Return what was saved in a folder; ValueError that says what to do."""
    path = folder / FILE
    if not path.exists():
        raise ValueError(f"{path} is missing: make bench makes it")
    results = json.loads(path.read_text())
    if results.get("format") != FORMAT:
        raise ValueError(f"{path} is of another version: run make bench again")
    return results


def write_readme(readme: Path, results: dict[str, Any]) -> None:
    """Put the table between the two markers; ValueError unless each is there once."""
    text = readme.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{readme} needs one line {BEGIN} and one {END}")
    before, rest = text.split(BEGIN)
    if END not in rest:
        raise ValueError(f"{readme}: {BEGIN} has to come before {END}")
    after = rest.split(END)[1]
    made = f"{BEGIN}\n{table.for_readme(results)}\n{END}"
    readme.write_text(f"{before}{made}{after}")
