"""What a study found: tidy tables, and where their numbers are from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.kernel.machine import machine

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Found:
    """The tables of one study, and the machine they were measured on.

    tables: by name. settings: what was asked for, JSON-safe.
    notes: what a reader must know of them, such as what could not be had here.
    """

    name: str
    tables: dict[str, pd.DataFrame]
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()
    machine: dict[str, Any] = field(default_factory=lambda: machine().as_dict())

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(frame)}" for name, frame in self.tables.items())
        return f"<netlab study {self.name!r}: rows of {sizes}>"

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, JSON-safe; a table is a list of rows."""
        tables = {
            name: json.loads(str(frame.to_json(orient="records")))
            for name, frame in self.tables.items()
        }
        return {
            "study": self.name,
            "settings": self.settings,
            "notes": list(self.notes),
            "tables": tables,
            "machine": self.machine,
        }

    def save(self, folder: str | Path) -> Path:
        """Write a CSV a table and a JSON of the rest to a folder; return its path."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in self.tables.items():
            frame.to_csv(folder / f"{name}.csv", index=False)
        rest = {key: self.as_dict()[key] for key in ("study", "settings", "notes")}
        text = json.dumps(rest | {"machine": self.machine}, indent=1)
        (folder / "study.json").write_text(text + "\n")
        return folder
