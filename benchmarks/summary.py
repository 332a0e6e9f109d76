"""Medians and ranges over the rounds; ratios are of one and the same round."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

Rows = Sequence[dict[str, Any]]
BASE = "c"  # what others are compared with


class Spread(NamedTuple):
    """The median of the rounds, and the least and the most of them."""

    median: float
    least: float
    most: float
    rounds: int

    def text(self, form: str) -> str:
        """Write it, as in `17.5 (16.9-18.3)`; one round has no range."""
        middle, least, most = (format(value, form) for value in self[:3])
        return middle if self.rounds == 1 else f"{middle} ({least}–{most})"


def of(rows: Rows, measure: str) -> dict[str, list[dict[str, Any]]]:
    """Return a measure's rows by subject, in the order of their first appearance."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["measure"] == measure:
            found.setdefault(row["subject"], []).append(row)
    return found


def spread(rows: Rows, measure: str, subject: str, column: str) -> Spread | None:
    """Return a column's spread over the rounds; None if there was no round."""
    return _spread([row[column] for row in of(rows, measure).get(subject, [])])


def relative(rows: Rows, measure: str, subject: str, column: str) -> Spread | None:
    """Return the same as a multiple of what BASE had in the same round."""
    found = of(rows, measure)
    base = {row["round"]: row[column] for row in found.get(BASE, [])}
    both = [row for row in found.get(subject, []) if base.get(row["round"])]
    return _spread([row[column] / base[row["round"]] for row in both])


def _spread(values: list[float]) -> Spread | None:
    if not values:
        return None
    return Spread(median(values), min(values), max(values), len(values))
