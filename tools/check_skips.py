"""Fail if pytest skipped a test for a reason that is not on the list.

A test may skip itself where the machine lacks something. On the machine that runs
everything, a new skip is a test that quietly stopped testing; so CI compares the
reasons in pytest's XML report with a short list. Nothing is printed when all is
well: the last summary on the screen stays pytest's.
"""

import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree


class Skip(NamedTuple):
    """One skipped test and the reason it gave."""

    test: str
    reason: str


def skips_in(report: Path) -> list[Skip]:
    """The skipped tests of a JUnit XML report; expected failures are no skips."""
    return [
        Skip(f"{case.get('classname')}::{case.get('name')}", reason_of(skip))
        for case in ElementTree.parse(report).iter("testcase")
        for skip in case.iter("skipped")
        if skip.get("type") != "pytest.xfail"
    ]


def reason_of(skip: ElementTree.Element) -> str:
    """The reason as the test gave it.

    For a module that skips itself as a whole, pytest keeps the reason in the text:
    a tuple of file, line and "Skipped: reason".
    """
    message = skip.get("message", "")
    if message != "collection skipped":
        return message
    return ast.literal_eval(skip.text or "")[2].removeprefix("Skipped: ")


def allowed_in(listing: Path) -> list[str]:
    """The reasons allowed, one a line; `*` stands for anything, `#` for a remark."""
    lines = (line.strip() for line in listing.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def unexpected(skips: list[Skip], allowed: list[str]) -> list[Skip]:
    """The skips whose reason no line allows."""
    patterns = [".*".join(map(re.escape, line.split("*"))) for line in allowed]
    return [
        skip
        for skip in skips
        if not any(re.fullmatch(pattern, skip.reason, re.S) for pattern in patterns)
    ]


def main() -> None:
    """Command line: `check_skips.py REPORT LISTING`."""
    report, listing = map(Path, sys.argv[1:])
    bad = unexpected(skips_in(report), allowed_in(listing))
    if bad:
        lines = [f"  {skip.test}: {skip.reason}" for skip in bad]
        sys.exit("\n".join([f"Skipped for reasons not listed in {listing}:", *lines]))


if __name__ == "__main__":
    main()
