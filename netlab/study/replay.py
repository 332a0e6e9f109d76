"""A study, live where the machine can show it, else from its recording.

Facts. Most of what the studies show needs Linux itself, two CPUs and the compiled
engine, and the x-ray needs rights. Elsewhere a study would fail, or worse: it would
show what an imitation of Linux does.

Decision. `study(name)` is the one call for both. What is needed is what `doctor` finds
out, so the reason and the remedy are its sentences. NETLAB_MODE overrules: "live"
raises where that is impossible, "replay" takes the recording anyway, "auto" (or
nothing) is live if possible. What came of it stands in the result: its mode, and a note
with the reason. What was asked of a live run (repeats, connections) has no meaning for
a recording, and the note says so.

Known limit: a machine that is merely busy or throttled counts as able. What may not be
put here: how a recording is kept (`recordings`), and what is drawn of it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, NamedTuple

from netlab.kernel import doctor
from netlab.study import catalogue, recordings
from netlab.study.found import Found
from netlab.watch import trace

VARIABLE = "NETLAB_MODE"
WISHES = ("auto", "live", "replay")
NEEDED = ("Linux", "kernel of its own", "CPUs owned", "epoll, eventfd, select", "Numba")
TRACED = ("xray", "one-life")  # the studies that need rights


class Mode(NamedTuple):
    """Whether a study is "live" or "replayed" here, and why."""

    value: str
    reason: str


def study(name: str, **settings: Any) -> Found:
    """Return what a study of the catalogue finds: measured now, or recorded.

    settings: of a live run, such as repeats, seed and progress.

    Raises ValueError for an unknown name, and what `mode`, the study and
    `recordings.load` raise.
    """
    row, chosen = catalogue.find(name), mode(name)
    if chosen.value == "live":
        found, ignored = row.run(**settings), ""
    else:
        found, ignored = _recorded(name, chosen.reason), _ignored(settings)
    note = f"{chosen.value}: {chosen.reason}{ignored}"
    return replace(found, notes=(*found.notes, note))


def mode(name: str | None = None) -> Mode:
    """Return whether a study (without a name: most of them) is live here, and why.

    Raises ValueError if NETLAB_MODE asks for what is impossible, or for nonsense.
    """
    wish = os.environ.get(VARIABLE) or "auto"
    if wish not in WISHES:
        raise ValueError(f"{VARIABLE}={wish!r}: set it to {', '.join(WISHES)}")
    if wish == "replay":
        return Mode("replayed", f"{VARIABLE}=replay asks for the recording")
    reason = impossible(name)
    if wish == "live" and reason:
        raise ValueError(f"{VARIABLE}=live is impossible here. {reason}")
    if reason:
        return Mode("replayed", reason)
    return Mode("live", "this machine has what it takes")


def impossible(name: str | None = None) -> str | None:
    """Return why a study cannot be live here, with the remedy; None if it can."""
    rows = [row for row in doctor.ROWS if row.what in NEEDED]
    for fact in doctor.facts(rows):
        if fact.mode != "live":
            return f"{fact.what}: {fact.here}. {fact.why}"
    return trace.available() if name in TRACED else None


def _recorded(name: str, reason: str) -> Found:
    try:
        return recordings.load(name)
    except (FileNotFoundError, ValueError) as error:
        error.add_note(f"{name} is replayed here: {reason}")
        raise


def _ignored(settings: dict[str, Any]) -> str:
    """Return what a note says of settings that a recording cannot follow."""
    asked = [name for name in settings if name != "progress"]
    return f"; ignored, for a live run only: {', '.join(asked)}" if asked else ""
