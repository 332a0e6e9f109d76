"""The index of reproduced studies: a page to look through, in Markdown.

It is made of what lies in the folders, so it tells all of them, whichever command left
them there. The words of a figure stand below it for everybody; the picture's own
alternative text only names it, or a screen reader would read them twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.commands import folders
from netlab.study.verdicts import MARKS, Verdict

if TYPE_CHECKING:
    from netlab.commands.folders import Saved
    from netlab.study.catalogue import Study

FILE, TITLE = "README.md", "# What the studies of netlab found"


def refuse_other(out: Path) -> None:
    """Raise ValueError if the folder has a page of that name which is no index."""
    path = out / FILE
    if path.exists() and not path.read_text(encoding="utf-8").startswith(TITLE):
        raise ValueError(f"{path} is no index of studies: give another --out")


def write(out: Path) -> Path:
    """Write the index of all studies whose folders are there, and return its path."""
    from netlab.study.catalogue import STUDIES

    rows = [study for study in STUDIES if (out / study.name).exists()]
    saved = {study: folders.opened(out / study.name) for study in rows}
    parts = [TITLE, _contents(saved), *(_part(*one) for one in saved.items())]
    path = out / FILE
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def told(verdicts: Sequence[Verdict]) -> str:
    """Return how many claims were confirmed, contradicted and neither, in words."""
    values = [verdict.value for verdict in verdicts]
    counts = {value: values.count(value) for value in MARKS}
    return ", ".join(f"{count} {value}" for value, count in counts.items() if count)


def _contents(saved: dict[Study, Saved]) -> str:
    lines = ["| study | question | how | claims |", "|---|---|---|---|"]
    for study, one in saved.items():
        name, mode = study.name, one.about["mode"]
        lines.append(
            f"| [{name}](#{name}) | {study.question} | {mode} | {told(one.verdicts)} |"
        )
    return "\n".join(lines)


def _part(study: Study, saved: Saved) -> str:
    """Return what the page says of one study."""
    tables = ", ".join(f"[{name}]({study.name}/{name})" for name in saved.tables)
    return "\n\n".join(
        [
            f"## {study.name}",
            f"**{study.question}**",
            *(f"{note}." for note in saved.about["notes"]),
            *(
                f"![{figure.file.removesuffix('.png')}, described below]"
                f"({study.name}/{figure.file})\n\n{figure.alt}\n\n*{figure.stamp}*"
                for figure in saved.figures
            ),
            "\n".join(map(_line, saved.verdicts)),
            f"Tables: {tables}",
        ]
    )


def _line(verdict: Verdict) -> str:
    step = f" Next: {verdict.next_step}." if verdict.next_step else ""
    return (
        f"- {MARKS[verdict.value]} **{verdict.value}**: {verdict.claim} Measured "
        f"{verdict.measured}, claimed {verdict.threshold}.{step}"
    )
