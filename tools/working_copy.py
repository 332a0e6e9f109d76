"""Make the reader's working copy of the course: notebooks without their outputs.

The pages in `notebooks/` are committed with outputs, so an answer stands right
below its question. `make lab` therefore opens a copy: every page is copied once,
without outputs, to `my-notebooks/`. A page that is there already is never touched.
The copy remembers a digest of the text it was made from (in its metadata, which
JupyterLab keeps), so a later run can tell that the original has changed since;
dates would not do, since a checkout gives every file a new one.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

ROOT = Path(__file__).resolve().parents[1]
DIGEST_KEY = "netlab_copied_from"


class Copied(NamedTuple):
    """What became of each page, by file name."""

    new: list[str]
    kept: list[str]
    outdated: list[str]
    unreadable: list[str]


def without_outputs(notebook: Any) -> Any:
    """The notebook itself, its outputs and execution counts removed."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
    notebook.metadata.pop("widgets", None)
    return notebook


def digest(notebook: Any) -> str:
    """Stands for the text of the cells; outputs and metadata do not count."""
    text = json.dumps([[cell.cell_type, cell.source] for cell in notebook.cells])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def copied_from(path: Path) -> str | None:
    """The digest of the page that a copy was made from, None if it is not known.

    Raises ValueError if the file is no notebook.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no notebook")
    return content.get("metadata", {}).get(DIGEST_KEY)


def make_copies(originals: Path, copies: Path) -> Copied:
    """Copy the pages that are not in `copies` yet; compare those that are."""
    result = Copied([], [], [], [])
    copies.mkdir(exist_ok=True)
    for page in sorted(originals.glob("*.ipynb")):
        notebook = nbformat.read(page, as_version=4)
        copy = copies / page.name
        if copy.exists():
            compare(notebook, copy, result)
        else:
            notebook.metadata[DIGEST_KEY] = digest(notebook)
            nbformat.write(without_outputs(notebook), copy)
            result.new.append(page.name)
    return result


def compare(notebook: Any, copy: Path, result: Copied) -> None:
    """Note what the copy is worth beside its original."""
    result.kept.append(copy.name)
    try:
        known = copied_from(copy)
    except ValueError:
        result.unreadable.append(copy.name)
        return
    if known is not None and known != digest(notebook):
        result.outdated.append(copy.name)


def report(result: Copied, folder: str) -> str:
    """What the reader should know, in a few lines."""
    lines = [
        f"Your copy of the course is in {folder}/ "
        f"(pages copied now: {len(result.new)}, kept as you left them: "
        f"{len(result.kept)})."
    ]
    lines += [
        f"  {name}: the original has changed since your copy was made"
        for name in result.outdated
    ]
    lines += [f"  {name}: not readable as a notebook" for name in result.unreadable]
    lines.append("For a fresh copy of a page, rename or delete yours and come again.")
    return "\n".join(lines)


def main() -> None:
    """Command line: `working_copy.py [originals [copies]]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "originals", nargs="?", type=Path, default=ROOT / "notebooks", help="the pages"
    )
    parser.add_argument(
        "copies",
        nargs="?",
        type=Path,
        default=ROOT / "my-notebooks",
        help="where the reader works",
    )
    arguments = parser.parse_args()
    result = make_copies(arguments.originals, arguments.copies)
    print(report(result, arguments.copies.name))


if __name__ == "__main__":
    main()
