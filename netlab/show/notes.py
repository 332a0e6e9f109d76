"""A note: a few lines of Markdown under a cell, and the same as plain text.

Facts. JupyterLab renders Markdown in an output as in a page: in the page's colours,
light or dark, with code in a fence coloured by the editor's theme, and it keeps
<details>. Its sanitizer drops <style>, scripts and unknown attributes.

Decision. Notes are Markdown, so they need no style of their own. The plain text is
made beside it and not from it, since it may say less: what is folded away on a page
stays hidden where nothing can be folded.

Not in this file: pictures, which are HTML (`figures`), and what a note says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|$~#&])")


class Note(NamedTuple):
    """What is shown on a page, and what is read where there is none."""

    markdown: str
    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/markdown": self.markdown, "text/plain": self.text}


class Noted:
    """What shows itself on a page by a note."""

    def note(self) -> Note:
        """Return what a page shows of it."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.note().text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return self.note()._repr_mimebundle_()


def literal(value: object) -> str:
    """Return the text so that Markdown shows it as it is, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def code(text: str, language: str = "python") -> str:
    """Return a fenced block, with a fence that the text does not contain."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def fold(summary: str, markdown: str) -> str:
    """Return Markdown that is folded away until the reader opens it."""
    return f"<details><summary>{summary}</summary>\n\n{markdown}\n\n</details>"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Note:
    """Return a table of texts, which may hold Markdown but for line breaks and bars."""
    lines = [titles, ["---"] * len(titles), *rows]
    markdown = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    plain = [
        "  ".join(map(str.ljust, line, widths)).rstrip() for line in (titles, *rows)
    ]
    return Note(markdown, "\n".join(plain))
