"""A server put to the suite: what it passes, what it fails, and what it said it would.

Decision. Each case gets a server of its own, since one that fails may be stuck. It runs
in a thread that is waited for no longer than CASE_S, so that a server which never
starts or stops costs a row of the table and not the reader's notebook. At the end, the
threads and sockets that are new since the beginning are told as one more row.

A failure may be declared: a server's `fails` names cases, each with the reason. One
that passes though declared is as much a surprise as one that fails undeclared.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.stages.suite import CASES, Case, NotHereError

if TYPE_CHECKING:
    import pandas as pd

CASE_S = 8.0  # many times what any case takes
NOTHING_LEFT = "nothing is left behind"
PASS, FAIL = "pass", "fails"
AS_DECLARED = "fails as declared"
UNEXPECTED = "passes though declared"
NOT_HERE = "cannot be told here"
GOOD = (PASS, AS_DECLARED, NOT_HERE)


class Judged(NamedTuple):
    """What became of one case; said: why it failed; declared: why it was meant to."""

    case: str
    outcome: str
    said: str = ""
    declared: str = ""


def judge(
    make_server: Callable[[], Any], cases: Iterable[Case] = CASES
) -> pd.DataFrame:
    """Return a row per case: case, outcome, said, declared.

    make_server: returns a new server of a stage's face, such as the class `Stage`.
    """
    import pandas as pd

    return pd.DataFrame(judgements(make_server, cases), columns=list(Judged._fields))


def judgements(
    make_server: Callable[[], Any], cases: Iterable[Case] = CASES
) -> list[Judged]:
    """Return the rows of `judge`."""
    before = belongings()
    rows = [judge_one(make_server, case) for case in cases]
    left = left_since(before)
    return [*rows, Judged(NOTHING_LEFT, FAIL if left else PASS, ", ".join(left))]


def surprises(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `judge` that are not as they should be; none is good."""
    return rows.loc[~rows["outcome"].isin(GOOD), :]


def judge_one(make_server: Callable[[], Any], case: Case) -> Judged:
    """Put one case to a server of its own, for CASE_S at most."""
    found = [f"it did not come to an end within {CASE_S:g} s", {}, False]
    thread = threading.Thread(target=_put, args=(make_server, case, found), daemon=True)
    thread.start()
    thread.join(CASE_S)
    said, declared, not_here = found
    return _judged(case.name, said, declared, not_here)


def _put(make_server: Callable[[], Any], case: Case, found: list[Any]) -> None:
    """Run the case; leave what went wrong, and what the server declares."""
    try:
        with make_server() as server:
            found[1] = getattr(server, "fails", {})
            case.check(server)
        found[0] = ""
    except NotHereError as error:
        found[0], found[2] = str(error), True
    except Exception as error:
        told = str(error)
        plain = isinstance(error, AssertionError) and told
        found[0] = told if plain else f"{type(error).__name__}: {told}"


def _judged(name: str, said: str, fails: Mapping[str, str], not_here: bool) -> Judged:
    declared = fails.get(name, "")
    if not_here:
        return Judged(name, NOT_HERE, said, declared)
    if said:
        return Judged(name, AS_DECLARED if declared else FAIL, said, declared)
    return Judged(name, UNEXPECTED if declared else PASS, "", declared)


def belongings() -> set[str]:
    """Return the threads of this process, and its sockets, epolls and eventfds."""
    found = {f"thread {one.name} ({one.ident})" for one in threading.enumerate()}
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:  # the one that listed the folder
            continue
        if target.startswith(("socket:", "anon_inode:[event")):
            found.add(f"descriptor {descriptor} ({target})")
    return found


def left_since(before: set[str], patience_s: float = 1.0) -> list[str]:
    """Return what is there now and was not before, once it stays."""
    deadline = time.monotonic() + patience_s
    while (left := belongings() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    return sorted(left)
