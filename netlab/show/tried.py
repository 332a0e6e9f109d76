"""What became of a server that was put to the suite, as a page shows it.

A page runs from top to bottom where no server can run, too. So the same object stands
for a server that was not tried, and says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netlab.show.notes import Note, Noted, literal, table
from netlab.show.tables import rows

if TYPE_CHECKING:
    import pandas as pd

MARKS = {
    "pass": "✓",
    "fails": "✗",
    "fails as declared": "○",
    "passes though declared": "✗",
    "cannot be told here": "–",
}
TITLES = ("case", "outcome", "what was seen", "declared because")


def live_only(reason: str) -> Note:
    """Return what a page shows in place of what only a server shows, and why."""
    told = f"needs a live run. Here: {reason}"
    return Note(f"*{literal(told)}*", told)


@dataclass(frozen=True, eq=False, repr=False)
class Tried(Noted):
    """A server's cases, a row each as `stages.judge` has them; none: why not tried."""

    rows: pd.DataFrame
    missing: str = ""

    @property
    def surprises(self) -> list[str]:
        """What is not as it was declared, a text each; of none tried, nothing."""
        return [
            f"{row.case}: {row.outcome}" + (f" ({row.said})" if row.said else "")
            for row in rows(self.rows)
            if MARKS[row.outcome] == "✗"
        ]

    def insist(self) -> str:
        """Return what to say of it; raise AssertionError if something surprises.

        For the check of an exercise.
        """
        if self.missing:
            return f"not tried, it {live_only(self.missing).text}"
        assert not self.surprises, "; ".join(self.surprises)
        return self._summary()

    def _summary(self) -> str:
        counts = self.rows["outcome"].value_counts(sort=False)
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())

    def note(self) -> Note:
        """Return what a page shows of it."""
        if self.missing:
            return live_only(self.missing)
        cells = [
            (row.case, f"{MARKS[row.outcome]} {row.outcome}", row.said, row.declared)
            for row in rows(self.rows)
        ]
        marked = table(TITLES, [tuple(map(literal, row)) for row in cells])
        return Note(
            f"{marked.markdown}\n\n{self._summary()}",
            f"{table(TITLES, cells).text}\n{self._summary()}",
        )
