"""Which netlab a page runs with: that of the checkout in which the page lies, or not.

A page and a module of different versions do not fit together, and the difference shows
as a strange error many cells later. So the first cell compares them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

REMEDY = "open the course with `make lab`"


class Checkout(NamedTuple):
    """A folder with netlab's sources, and the version that they say they are."""

    folder: Path
    version: str


def checkout_of(folder: Path) -> Checkout | None:
    """Return the checkout that a folder lies in, None if it lies in none."""
    for place in (folder, *folder.parents):
        project = _project(place / "pyproject.toml")
        if project.get("name") == "netlab":
            return Checkout(place, str(project.get("version")))
    return None


def _project(file: Path) -> dict[str, Any]:
    """Return what a file says of its project; nothing where there is none."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return {}


def told(version: str, package: Path, page: Path) -> str:
    """Say whether an imported netlab belongs to a page, and if not, what to do.

    version, package: of the netlab that was imported. page: the folder of the page.
    """
    checkout = checkout_of(page.resolve())
    if checkout is None:
        return f"netlab {version}; this page lies in NO CHECKOUT of it: {REMEDY}"
    if package.resolve().parent != checkout.folder:
        return f"netlab {version} from ELSEWHERE, {package.resolve().parent}: {REMEDY}"
    if version != checkout.version:
        return (
            f"netlab {version}, but this checkout is now {checkout.version}: "
            "RESTART the kernel"
        )
    return f"netlab {version} from this checkout"
