"""A full disk while a run, a study or a recording is saved.

The disk is a small file system in memory, filled but for a few pages, so that each try
ends in another file. Where it cannot be mounted (who is not root) no file may grow
beyond a few pages instead.
"""

from __future__ import annotations

import contextlib
import dataclasses
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import netlab
from netlab.study import recordings
from netlab.study.found import Found
from reliability.trial import Trial

PAGE = 4096
DISK_BYTES = 4 << 20
STUDY, FEW = "herd", 3  # a recorded study, and how many rows of it are there before
Save = Callable[[Path], object]


def full_disk(trial: Trial) -> str:
    """Save what does not fit; what was there stays whole, and the error says why."""
    found = dataclasses.replace(recordings.load(STUDY), mode="live")
    run = netlab.run(workers=1, connections=200, requests=20, progress=False)
    saves: dict[str, Save] = {
        "a recording": lambda home: record(found, home),
        "a run": lambda home: run.save(home / "run"),
        "a study": lambda home: found.save(home / "study"),
    }
    trial.tries = trial.times * len(saves)
    for number in range(trial.times):
        with disk() as (home, filled):
            record(few(found), home)
            before = files_in(home)
            with filled(number % FEW + 1):
                for what, save in saves.items():
                    require_refusal(trial, what, save, home)
                    trial.require(files_in(home) == before, f"{what} changed a file")
            rows = [len(one) for one in recordings.load(STUDY, home).tables.values()]
            trial.require(max(rows) <= FEW, "the earlier recording is gone")
            for save in saves.values():
                save(home)  # there is room now
    return "OSError names the file and the remedy; what was there before is there whole"


def record(found: Found, home: Path) -> None:
    """Save a recording."""
    recordings.record(found, command="python -m netlab record", folder=home)


def few(found: Found) -> Found:
    """Return the same study with a few rows of each table."""
    tables = {name: frame.head(FEW) for name, frame in found.tables.items()}
    return dataclasses.replace(found, tables=tables)


def files_in(home: Path) -> dict[str, bytes]:
    """Return all files of a folder, those that fill the disk aside."""
    paths = [path for path in home.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in paths if path.name != "filler"}


def require_refusal(trial: Trial, what: str, save: Save, home: Path) -> None:
    """Require that something cannot be saved, and that the error says so."""
    try:
        save(home)
    except OSError as error:
        named = error.filename or ""
        trial.require(str(home) in named, f"{what}: which file? {error}")
        trial.require("make room" in str(error), f"{what}: no remedy in {error}")
    else:
        trial.require(False, f"{what} was saved on a full disk")


Filled = Callable[[int], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def disk() -> Iterator[tuple[Path, Filled]]:
    """Give a folder, and what fills it but for so many pages within a block."""
    with tempfile.TemporaryDirectory() as folder:
        size = f"size={DISK_BYTES}"
        mount = ["mount", "-t", "tmpfs", "-o", size, "netlab-disk", folder]
        is_own = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        home = Path(folder)
        try:
            yield home, (lambda pages: filled(home, pages)) if is_own else no_growth
        finally:
            if is_own:
                subprocess.run(["umount", folder], check=True)


@contextlib.contextmanager
def filled(home: Path, pages: int) -> Iterator[None]:
    """Fill a small disk, but for so many pages."""
    filler = home / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(PAGE)):
            pass
    with filler.open("rb+") as file:
        file.truncate(filler.stat().st_size - pages * PAGE)
    yield
    filler.unlink()


@contextlib.contextmanager
def no_growth(pages: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many pages."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (pages * PAGE, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
