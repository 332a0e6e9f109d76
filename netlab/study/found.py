"""What a study found: tidy tables, and where their numbers are from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.kernel.machine import machine
from netlab.study.files import write_all

if TYPE_CHECKING:
    import pandas as pd

MODES = ("live", "replayed")


@dataclass(frozen=True, eq=False)
class Found:
    """The tables of one study, and the machine they were measured on.

    tables: by name. settings: what was asked for, JSON-safe.
    notes: what a reader must know of them, such as what could not be had here.
    mode: "live", or "replayed" from a recording.

    Raises ValueError for another mode.
    """

    name: str
    tables: dict[str, pd.DataFrame]
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()
    machine: dict[str, Any] = field(default_factory=lambda: machine().as_dict())
    mode: str = "live"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode={self.mode!r}: a study is {' or '.join(MODES)}")

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(frame)}" for name, frame in self.tables.items())
        when = f"{self.mode} of {self.date[:10]}"
        return f"<netlab study {self.name!r}, {when}: rows of {sizes}>"

    @property
    def date(self) -> str:
        """When it was measured, as in 2026-01-31T12:00:00+00:00."""
        return self.machine["date"]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, JSON-safe; a table is a list of rows."""
        tables = {
            name: json.loads(str(frame.to_json(orient="records")))
            for name, frame in self.tables.items()
        }
        return self._about() | {"tables": tables}

    def _about(self) -> dict[str, Any]:
        return {
            "study": self.name,
            "settings": self.settings,
            "notes": list(self.notes),
            "mode": self.mode,
            "date": self.date,
            "machine": self.machine,
        }

    def save(self, folder: str | Path) -> Path:
        """Write a CSV a table and a JSON of the rest to a folder; return its path.

        Raises OSError that names the file if it cannot be written, and then none is.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        files = {
            folder / f"{name}.csv": frame.to_csv(index=False).encode()
            for name, frame in self.tables.items()
        }
        text = json.dumps(self._about(), indent=1)
        write_all(files | {folder / "study.json": (text + "\n").encode()})
        return folder
