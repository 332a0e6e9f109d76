"""What a page of the course says beside its prose: `from netlab.show import page`.

    page.start("06-the-thundering-herd", "herd")     which netlab, live or replayed
    guess = page.predict("How many ...?", None)      the reader's guess, in the cell
    claim = page.claim("A herd wakes all.", at_least=7.5)       said before the run
    found = page.study("herd", workers=(8,))         measured here, or recorded
    page.figure(found, "herd", recorded=page.recorded("herd"))   its outline
    page.beside(page.recorded("herd", "mine"), page.recorded("herd"))
    page.reveal(guess, 8.1)                          beside what was measured
    claim.judge((7.9, 8.2))                          confirmed, contradicted, neither
    page.require(made == kept, "no connection is lost")         exact, or it raises
    page.show(Worker.turn)                           source, with file and lines
    page.diff(3, 4)                                  from one stage to the next
    page.judge(Stage)                                the reader's server, case by case
    page.live(ask_it)                                what it returns, where one can run
    page.exercise("Twelve winners", your_answer, check)
    page.ledger()                                    all predictions of the page

Decision. Nothing here needs a widget: what the reader commits stands in the cell as
plain Python, None where there is nothing yet, and the page runs from top to bottom all
the same. Each function returns one object that shows itself, as Markdown or as text,
and prints nothing. Checks have three values, because a noisy machine refutes no claim;
only what is exact raises.

Cost. The ledger of the page is the one thing that is kept here between two cells;
`start` begins another when another page starts.

What may not be put here: what is drawn (`plots`), what is measured (`study`), and when
a claim is confirmed (`study.verdicts`). This file and `live` alone join the rooms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import netlab
from netlab.show import checkout, stacked, stamped
from netlab.show.differences import Difference, difference
from netlab.show.exercises import Checked, exercise
from netlab.show.figures import Shown
from netlab.show.ledger import Ledger, Revealed
from netlab.show.notes import Note, Noted, literal
from netlab.show.questions import Prediction, Question
from netlab.show.sources import show
from netlab.show.tried import Tried, live_only
from netlab.stages import NUMBERS, stage
from netlab.stages import judge as judging
from netlab.stages.suite import CASES
from netlab.study import catalogue, replay, verdicts
from netlab.study.found import Found
from netlab.study.recordings import load as recorded
from netlab.study.replay import study
from netlab.study.run import Run
from netlab.study.verdicts import Verdict

__all__ = [
    "Checked",
    "Claim",
    "Prediction",
    "beside",
    "claim",
    "diff",
    "exercise",
    "figure",
    "is_live",
    "judge",
    "ledger",
    "live",
    "predict",
    "recorded",
    "require",
    "reveal",
    "show",
    "start",
    "study",
]

if TYPE_CHECKING:
    from netlab.stages.suite import Case

_ledgers = {"this page": Ledger()}
Result = TypeVar("Result")


def start(name: str, *studies: str) -> Note:
    """Begin a page, and say which netlab this is and what is live here, in one line.

    studies: those of the page that may be replayed each for a reason of its own.

    Raises ValueError if NETLAB_MODE asks for nonsense, or for what is impossible.
    """
    if ledger().page != name:
        _ledgers["this page"] = Ledger(name)
    home = Path(netlab.__file__).parent
    parts = [checkout.told(netlab.__version__, home, Path.cwd()), *_modes(studies)]
    return Note(literal(" · ".join(parts)), " · ".join(parts))


def predict(question: str, guess: Any = None, **rules: Any) -> Prediction:
    """Enter the reader's guess, None for none, in the page's ledger.

    rules: what it must be like: unit, labels, choices, count, low, high, total and
    each, see `questions.Question`.

    Raises ValueError, with the value and the remedy, for a guess that it forbids.
    """
    return ledger().predict(Question(question, **rules), guess)


def reveal(prediction: Prediction, measured: Any) -> Revealed:
    """Show a guess beside what was measured, and enter that in the ledger.

    measured: of the form of the guess, such as a Series by strategy.
    """
    return ledger().reveal(prediction, measured)


def ledger() -> Ledger:
    """Return the page's predictions, what was measured, and how far off they were."""
    return _ledgers["this page"]


def require(condition: bool, invariant: str) -> Note:
    """Insist on what is exact on any machine; raise AssertionError if it does not hold.

    Raises ValueError for a column of truth values, since an empty one is no proof.
    """
    if hasattr(condition, "__len__"):
        raise ValueError(f"{invariant}: give one truth value, such as (...).all()")
    if not condition:
        raise AssertionError(f"this must hold on any machine: {invariant}")
    return Note(f"✓ **holds**: {literal(invariant)}", f"✓ holds: {invariant}")


class Rule(NamedTuple):
    """A kind of threshold: who judges it, and its words."""

    judged: Callable[..., Verdict]
    words: str


RULES = {
    "at_least": Rule(verdicts.at_least, "at least"),
    "at_most": Rule(verdicts.at_most, "at most"),
    "within": Rule(verdicts.within, "from"),
    "kept": Rule(verdicts.kept, "at least"),
}


@dataclass(frozen=True, repr=False)
class Claim(Noted):
    """A claim and its threshold, which are shown before the run.

    rule: a key of RULES. limits: its threshold, two of `within`.
    """

    text: str
    rule: str
    limits: tuple[float, ...]
    unit: str = ""

    def judge(self, measured: Any, **doubts: bool) -> Verdict:
        """Return the verdict: confirmed, contradicted, or inconclusive.

        measured: an interval, (low, high); of a claim that is `kept`, the percent.
        doubts: `throttled` and `settled` of its runs, where it depends on time.
        """
        unit = {} if self.rule == "kept" else {"unit": self.unit}
        judged = RULES[self.rule].judged
        return judged(self.text, measured, *self.limits, **unit, **doubts)

    def note(self) -> Note:
        """Return what a page shows of it."""
        words = " to ".join(f"{limit:g}" for limit in self.limits)
        asked = f"{RULES[self.rule].words} {words} {self.unit}".rstrip()
        rest = (
            f"confirmed if all of the interval is {asked}, contradicted if none of it, "
            "else inconclusive"
        )
        return Note(
            f"**Claim:** {self.text} ({literal(rest)})", f"Claim: {self.text} ({rest})"
        )


def claim(text: str, *, unit: str = "", **threshold: Any) -> Claim:
    """Return a claim with its threshold: show it before the run, judge it after.

    threshold: one of at_least=, at_most=, within=(low, high), and kept= percent.

    Raises ValueError for no threshold, or several.
    """
    if len(threshold) != 1 or set(threshold) - set(RULES):
        raise ValueError(
            f"claim with {', '.join(threshold) or 'no threshold'}: give one of "
            f"{', '.join(RULES)}"
        )
    ((rule, limits),) = threshold.items()
    limits = tuple(limits) if isinstance(limits, Sequence) else (limits,)
    if len(limits) != (2 if rule == "within" else 1):
        raise ValueError(f"{rule}={limits}: within takes (low, high), others a number")
    return Claim(text, rule, limits, "%" if rule == "kept" else unit)


def figure(
    source: Found | Run,
    plot: str | None = None,
    *,
    recorded: Found | Run | None = None,
    **options: Any,
) -> Shown:
    """Draw what a study found, or a plot of a run, with stamp, words and table.

    plot: its name; None for a study's first. recorded: the same from another day or
    machine, as an outline and told; left out where `source` is itself replayed.
    options: those of the plot, such as predicted, which takes a Prediction too.

    Raises ValueError for a plot that is not of this study, or not of a run.
    """
    here = _material(source, plot)
    if recorded is None or here.mode != "live":
        return stamped.draw(here, None, options)
    return stamped.draw(here, _material(recorded, here.row.name), options)


def beside(
    first: Found,
    second: Found,
    plot: str | None = None,
    *,
    titles: tuple[str, str] = ("here", "recorded"),
    **options: Any,
) -> Shown:
    """Draw what one study found twice on one card, to the same scale, with both stamps.

    Such as two recordings (`recorded(name, folder)` loads a reader's own), or what was
    measured here and a recording. plot, options: see `figure`. titles: their names.

    Raises ValueError for two studies, and what `figure` raises.
    """
    if first.name != second.name:
        raise ValueError(
            f"{first.name!r} and {second.name!r}: give two of the same study"
        )
    two = _material(first, plot), _material(second, plot)
    return stacked.draw(two, titles, options)


def diff(before: int, after: int) -> Difference:
    """Return what changed from one stage of the server to another, by their numbers.

    Raises ValueError for the last stage, which is no text of its own.
    """
    last = NUMBERS[-1]
    if last in (before, after):
        raise ValueError(
            f"stage {last} is netlab's server itself: show what REMEDIES of "
            f"netlab.stages.s{last} names, such as page.show(Connection.send)"
        )
    return difference(stage(before), stage(after))


def is_live() -> bool:
    """Return whether a server of the reader's own can run here, and is to."""
    return replay.mode().value == "live"


def live(run: Callable[[], Result]) -> Result | Note:
    """Return what `run` returns, where the reader's server can run.

    Elsewhere, and where all is replayed, `run` is not called: a note says so.
    """
    return run() if is_live() else live_only(replay.mode().reason)


def judge(make_server: Callable[[], Any], cases: Sequence[str | Case] = ()) -> Tried:
    """Put a server to the suite, case by case, where it can run; show what became.

    make_server: a class of a stage's face. cases: names of some of the suite, or cases
    of one's own; default: all of the suite.
    What its `fails` names with the reason is declared, and no surprise.

    Raises ValueError for a case that there is not.
    """
    import pandas as pd

    chosen = [_case(name) for name in cases] or CASES
    mode = replay.mode()
    rows = judging.judgements(make_server, chosen) if is_live() else []
    missing = "" if is_live() else mode.reason
    return Tried(pd.DataFrame(rows, columns=list(judging.Judged._fields)), missing)


def _case(name: str | Case) -> Case:
    for case in CASES:
        if name in (case, case.name):
            return case
    if not isinstance(name, str):
        return name
    raise ValueError(f"case {name!r}: there are {', '.join(c.name for c in CASES)}")


def _material(source: Found | Run, plot: str | None) -> stamped.Material:
    if isinstance(source, Run):
        return stamped.of_run(source, plot)
    return stamped.of_study(source, catalogue.find(source.name).drawings, plot)


def _modes(studies: Sequence[str]) -> list[str]:
    """Say what is live and what replayed, the studies of one reason together."""
    together: dict[replay.Mode, list[str]] = {}
    for name in studies:
        catalogue.find(name)  # or say which there are
        together.setdefault(replay.mode(name), []).append(name)
    together = together or {replay.mode(): []}
    return [
        f"{', '.join(names)} {mode.value}: {mode.reason}".lstrip()
        for mode, names in together.items()
    ]
