"""The command that records named studies, so that their pages can be replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.commands.output import refuse_impossible, say

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = "python -m netlab record"
NEVER = "not recorded"


def record(settings: dict[str, Any]) -> int:
    """Measure named studies and record them; without names, list the recordings."""
    folder, wanted = settings.pop("folder", None), settings.pop("names", [])
    if not wanted:
        _list(folder)
        return 0
    refuse_impossible(wanted, "recorded")
    for name in wanted:
        _record(name, settings, folder)
    return 0


def _record(name: str, settings: dict[str, Any], folder: str | None) -> None:
    from netlab.study import catalogue, recordings

    found = catalogue.find(name).run(**settings)
    for note in found.notes:
        say(note)
    options = [f"--{option} {value}" for option, value in settings.items()]
    command = " ".join([COMMAND, name, *options])
    place = recordings.record(found, command=command, folder=folder)
    files = sorted(place.iterdir())
    size = sum(path.stat().st_size for path in files)
    say(f"{name} recorded: {len(files)} tables, {size:,} bytes in {place}")


def _list(folder: str | Path | None) -> None:
    """Print each study, and what its recording is of, if there is one."""
    from netlab.study import recordings
    from netlab.study.catalogue import STUDIES

    recorded = recordings.names(folder)
    for study in STUDIES:
        told = NEVER
        if study.name in recorded:
            how = recordings.about(study.name, folder)
            told = f"{how['date'][:10]}, {how['machine'].get('line', 'unknown')}"
        print(f"{study.name:<14}{told}")
