"""A Run: what was asked for, what took effect, where, and the tables it left.

A run is saved as a folder, `run.json` and a CSV file a table, because both can
be read in ten years and with anything. It opens again as it was: the same
values, columns and types. `run.json` is written last and says how many rows each
table has, so a folder that was cut short in writing or copying does not open.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.study.files import write_all

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("workers", "accepts", "samples", "requests", "connections", "checks")
RECORD = ("settings", "machine", "figures", "columns", "rows")
RUN_FILE = "run.json"
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Run:
    """One server under one load, observed, checked and stamped.

    settings: {"requested": ..., "actual": ...}, each with "server" and "load".
    machine: the stamp (`netlab.machine()`), as a dict.
    figures: the numbers of `python -m netlab run --json`.
    workers: a row per worker, its counters over the run.
    accepts: a row per accepted connection, in the order of time.
    samples: a row per look of the sampler and worker; empty if not sampled.
    requests: a row per request, as the client saw it.
    connections: a row per connection, as the client saw it.
    checks: a row per conservation check, all of which hold.
    """

    settings: dict[str, Any]
    machine: dict[str, Any]
    figures: dict[str, Any]
    workers: pd.DataFrame
    accepts: pd.DataFrame
    samples: pd.DataFrame
    requests: pd.DataFrame
    connections: pd.DataFrame
    checks: pd.DataFrame

    def __repr__(self) -> str:
        server = self.settings["actual"]["server"]
        return (
            f"<netlab.Run: {server['strategy']!r} on {server['workers']} workers, "
            f"accepts {self.figures['accepts']}, {len(self.requests)} requests>"
        )

    def summary(self) -> dict[str, Any]:
        """Return settings, machine and figures as one flat JSON-safe dict."""
        return {"settings": self.settings, "machine": self.machine, **self.figures}

    def save(self, folder: str | Path) -> Path:
        """Write the run to a new folder and return its path.

        Raises FileExistsError if there is something already: nothing is lost; OSError
        that names the file if it cannot be written, and then none is.
        """
        folder = new_folder(folder)
        types, files = {}, {}
        for name in TABLES:
            frame: pd.DataFrame = getattr(self, name)
            types[name] = {column: str(kind) for column, kind in frame.dtypes.items()}
            files[folder / f"{name}.csv"] = frame.to_csv(index=False).encode()
        rows = {name: len(getattr(self, name)) for name in TABLES}
        record = {"format": FORMAT, "columns": types, "rows": rows, **self._record()}
        files[folder / RUN_FILE] = (json.dumps(record, indent=1) + "\n").encode()
        write_all(files)
        return folder

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Read a saved run.

        Raises FileNotFoundError or ValueError that names the file and the remedy.
        """
        folder = Path(folder)
        record = _read_record(folder / RUN_FILE)
        tables = {
            name: _read_table(
                folder / f"{name}.csv", record["columns"][name], record["rows"][name]
            )
            for name in TABLES
        }
        return cls(
            settings=record["settings"],
            machine=record["machine"],
            figures=record["figures"],
            **tables,
        )

    def _record(self) -> dict[str, Any]:
        return {
            "settings": self.settings,
            "machine": self.machine,
            "figures": self.figures,
        }


def new_folder(folder: str | Path) -> Path:
    """Return the folder, made if it was not there; FileExistsError unless empty."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists: save the run to a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing: is its folder a run?") from error
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): save the run again") from error
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise ValueError(
            f"{path} has format {found!r}, this netlab reads {FORMAT}: "
            "open it with the netlab that saved it"
        )
    lost = [name for name in RECORD if not isinstance(record.get(name), dict)]
    if not lost:
        described = record["columns"].keys() & record["rows"].keys()
        lost = [name for name in TABLES if name not in described]
    if lost:
        raise ValueError(f"{path} is damaged: it has no {', '.join(lost)}")
    return record


def _read_table(path: Path, columns: dict[str, str], rows: int) -> pd.DataFrame:
    import pandas as pd

    try:
        frame = pd.DataFrame()  # pandas writes one without columns, but reads none
        if columns or path.stat().st_size > 1:
            exact = {name: float for name in columns if columns[name] == "float64"}
            frame = pd.read_csv(path, keep_default_na=False, converters=exact)
        if list(frame.columns) != list(columns):
            raise ValueError(f"its columns are {', '.join(frame.columns)}")
        if len(frame) != rows:
            raise ValueError(f"it has {len(frame)} rows, not {rows}")
        return frame.astype(columns)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing: save the run again") from error
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; save the run again") from error
