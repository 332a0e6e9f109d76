"""Files that belong together: all of them written, or none.

Facts. A disk may be full in the middle of a file, and what was there before is cut to
nothing when a file is opened to be written. The error of a `write` does not say which
file it was.

Decision. Files are written beside their places, with the ending UNFINISHED, and take
their places when all of them are on the disk; to be renamed needs no room. If one
cannot be written, the unfinished ones are removed and the error names it, and the
remedy: what was there before is there still.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".unfinished"
REMEDY = "nothing that was there has changed; make room, or give another folder"


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write these files, the last one last, in place of what is there.

    Raises OSError that names the first file that could not be written, and the remedy.
    """
    beside = {path: path.with_name(path.name + UNFINISHED) for path in files}
    try:
        for path, data in files.items():
            with named(path), open(beside[path], "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path, unfinished in beside.items():
            unfinished.replace(path)
    finally:
        for unfinished in beside.values():
            unfinished.unlink(missing_ok=True)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Let an OSError within the block say which file it is about, and the remedy."""
    try:
        yield
    except OSError as error:
        said = f"could not be written ({error.strerror}): {REMEDY}"
        raise OSError(error.errno, said, str(path)) from error
