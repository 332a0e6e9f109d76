"""Exhibits: small servers that each have one thing wrong, to find it by its symptom.

    broken = exhibits.find("forgotten-drain")
    broken.symptom                what a user of it sees
    page.show(broken.part)        the part that is wrong; all else is of `broken.origin`
    judge(broken.make(), [broken.case, *CASES])     how it fails
    judge(broken.make(Mended))    the same with the reader's part in its place
    page.exercise("...", Mended, broken.is_mended)

Decision. An exhibit is a stage of which one part is exchanged (`assembled`), so that
what is wrong is all there is to read. Each names the case that it fails (its own, or
one of the suite) and what is said then; a test demands that it still fails it so, and
that the healthy part passes. Symptoms do not tell causes; the mended part is on pages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from netlab.exhibits import broken, cases, patient
from netlab.exhibits.assembled import assembled
from netlab.kernel.machine import require_linux
from netlab.stages import s2, s3, s4, s5, suite
from netlab.stages.judge import FAIL, judgements
from netlab.stages.suite import Case

EASY = suite.CASES[:1]  # what a mended server must pass besides


class Exhibit(NamedTuple):
    """One server with one thing wrong.

    part: what is wrong, `replaces` that name in the file of the stage. others: parts
    that are exchanged too, and right. settings: of the stage's class. case: what it
    fails; said: words of the failure. page: where it is shown.
    """

    name: str
    symptom: str
    page: str
    stage: ModuleType
    part: Any
    replaces: str
    case: Case
    said: str
    others: Mapping[str, Any] = {}
    settings: Mapping[str, Any] = {}

    @property
    def origin(self) -> Any:
        """The healthy part that the wrong one took the place of."""
        return self.others.get(self.replaces, getattr(self.stage, self.replaces))

    def make(self, part: Any = None) -> Callable[[], Any]:
        """Return what makes the server; part: takes the place of the wrong one."""
        parts = {**self.others, self.replaces: part or self.part}
        return partial(assembled(self.stage, parts).Stage, **self.settings)

    def is_mended(self, part: Any) -> str:
        """Check a reader's part, and say what was passed, or why it was not tried.

        Raises AssertionError with what is wrong.
        """
        try:
            require_linux()
        except OSError as error:
            return f"not tried, it needs a live run: {error}"
        for row in judgements(self.make(part), (self.case, *EASY)):
            assert row.outcome != FAIL, f"{row.case}: {row.said}"
        return f"it passes: {self.case.name}"


def _of_suite(name: str) -> Case:
    return next(case for case in suite.CASES if case.name == name)


EXHIBITS = (
    Exhibit(
        "blocking-listener",
        "Four workers share a listener. For a while all clients are answered. Then "
        "some of them hear nothing more, until somebody else connects.",
        "02",
        s4,
        broken.open_shared_listener,
        "open_listener",
        cases.RACE,
        "no whole answer",
        settings={"workers": 4},
    ),
    Exhibit(
        "blocking-client",
        "All is well with any number of clients, until one asks for much and reads "
        "none of it. From then on nobody is answered.",
        "02",
        s2,
        broken.TakesAndWatches,
        "Worker",
        _of_suite("a slow reader holds up nobody"),
        "no whole answer",
    ),
    Exhibit(
        "forgotten-drain",
        "Clients that come one by one are served at once. Of several that come while "
        "it is busy, one is served now, and one more whenever somebody else comes.",
        "03",
        s3,
        broken.IsToldOnce,
        "Worker",
        cases.AT_ONCE,
        "no whole answer",
        settings={"loop": "edge"},
    ),
    Exhibit(
        "wrong-pinning",
        "Every answer is right. There are two CPUs, two workers, and work for both; "
        "yet all answers name the same CPU, and no worker is seen on the other.",
        "05",
        s5,
        broken.HasACPU,
        "Worker",
        cases.SPREAD,
        "workers are on CPUs",
        settings={"workers": 2},
    ),
    Exhibit(
        "lost-rest",
        "Short answers arrive. Of a long one the first megabytes arrive, as fast as "
        "you please, and then nothing more.",
        "14",
        s5,
        broken.KeepsTheRest,
        "Worker",
        _of_suite("a long answer arrives whole"),
        "no whole answer",
        others=patient.PARTS,
    ),
    Exhibit(
        "reads-on",
        "Every answer arrives whole, however late it is read. At night the machine "
        "runs out of memory, with very few clients connected.",
        "14",
        s5,
        broken.HearsAll,
        "Worker",
        cases.COSTS_LITTLE,
        "MB are kept for one client",
        others=patient.PARTS,
    ),
    Exhibit(
        "never-sleeps",
        "Every answer is right and prompt. As soon as one client is connected, a CPU "
        "is busy all the time, even if that client says nothing.",
        "14",
        s5,
        broken.WishesMuch,
        "Worker",
        cases.SLEEPS,
        "busy for",
        others=patient.PARTS,
    ),
    Exhibit(
        "spin-at-the-limit",
        "All is well, until one day there are more clients than descriptors. Then the "
        "CPUs are busy, though nobody new is served.",
        "14",
        s5,
        broken.Rests,
        "Worker",
        _of_suite("out of descriptors, it rests"),
        "busy for",
        others=patient.PARTS,
    ),
    Exhibit(
        "someone-else-s-client",
        "Once in a while a new client, before it is answered, gets a piece of what "
        "somebody else had asked for.",
        "14",
        s5,
        broken.Closes,
        "Worker",
        cases.OWN_ANSWER,
        "its answer begins with",
        others=patient.PARTS,
        settings={"workers": 1},
    ),
    Exhibit(
        "deaf-after-error",
        "It runs for days. Then all clients lose their connection at once, and of the "
        "new ones, which can still connect, none is ever answered.",
        "14",
        s3,
        broken.GoesOn,
        "Worker",
        _of_suite("who vanishes hurts nobody"),
        "no whole answer",
    ),
    Exhibit(
        "forgotten-nodelay",
        "One question is answered in a fraction of a millisecond. Two that are asked "
        "together take 40 of them, on an idle machine.",
        "14",
        s3,
        broken.open_plain_listener,
        "open_listener",
        cases.NO_PAUSE,
        "two answers took",
    ),
)


def find(name: str) -> Exhibit:
    """Return the exhibit called `name`; raises ValueError that lists the names."""
    for exhibit in EXHIBITS:
        if exhibit.name == name:
            return exhibit
    names = ", ".join(exhibit.name for exhibit in EXHIBITS)
    raise ValueError(f"exhibit {name!r}: there are {names}")
