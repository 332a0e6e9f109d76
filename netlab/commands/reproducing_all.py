"""All studies of the catalogue, one after the other, into one folder.

Facts. It takes some ten minutes on two CPUs, of which half are the herd's. In that time
a machine may be needed for something else, or one study of many may fail.

Decision. Each study is saved as soon as it has ended. One that fails is told, and the
others go on. The same command, given again, leaves alone what is there: the studies
are whole, and of the same settings, or the command is refused before the first run.

The bar counts expected seconds, the catalogue's `about_s`, since a bar of studies would
stand still for minutes; below it a study has its own bar of runs. How much is left is
said at the pace so far.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from netlab.commands import folders, index
from netlab.commands.output import FAILED, print_table, say
from netlab.commands.tasks import Task
from netlab.study.verdicts import Verdict

THERE, LOST = "there already", "failed"
REPLAY_S = 2  # that a study takes which is only drawn
LINE = "{desc} {percentage:3.0f}% |{bar:20}| {elapsed}"


class Outcome(NamedTuple):
    """What became of one study: `how` is live, replayed, THERE or LOST; and why."""

    study: str
    how: str
    reason: str = ""
    seconds: float | None = None
    figures: int = 0
    verdicts: Sequence[Verdict] = ()

    def row(self) -> dict[str, Any]:
        """Return its row of the summary."""
        row = self._asdict()
        return row | {"verdicts": [verdict._asdict() for verdict in self.verdicts]}


def reproduce_all(
    tasks: list[Task], settings: dict[str, Any], out: Path, as_json: bool
) -> int:
    """Reproduce what is not in the folder yet, and sum up.

    Raises ValueError, before the first run, for a folder of other settings.
    """
    there = [folders.is_there(*task, settings, out) for task in tasks]
    out.mkdir(parents=True, exist_ok=True)
    try:
        outcomes = _outcomes(tasks, there, settings, out)
    except KeyboardInterrupt:
        say(f"what is done is in {out}: the same command goes on from there")
        raise
    if as_json:
        print(json.dumps([outcome.row() for outcome in outcomes]))
    else:
        _sum_up(outcomes, out)
    return FAILED if any(one.how == LOST for one in outcomes) else 0


def _outcomes(
    tasks: list[Task], there: list[bool], settings: dict[str, Any], out: Path
) -> list[Outcome]:
    from netlab.load.progress import bar

    expected_s = [
        0 if is_there else _expected_s(task)
        for task, is_there in zip(tasks, there, strict=True)
    ]
    outcomes = []
    with bar(sum(expected_s), "s", True) as told:
        told.bar_format = LINE
        began_s = time.monotonic()
        for number, task in enumerate(tasks):
            gone_s = time.monotonic() - began_s
            left_s = _left_s(expected_s, number, gone_s)
            told.set_description_str(
                f"study {number + 1} of {len(tasks)}, {task.study.name}, "
                f"about {_minutes(left_s)} left"
            )
            outcome = _there(task, out) if there[number] else _done(task, settings, out)
            outcomes.append(outcome)
            told.update(expected_s[number])
            with told.external_write_mode():
                say(_line(outcome))
    return outcomes


def _expected_s(task: Task) -> int:
    return task.study.about_s if task.mode.value == "live" else REPLAY_S


def _left_s(expected_s: list[int], number: int, gone_s: float) -> float:
    """Return how long the rest takes, at the pace of those that are done."""
    done_s = sum(expected_s[:number])
    pace = gone_s / done_s if done_s else 1
    return pace * sum(expected_s[number:])


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _there(task: Task, out: Path) -> Outcome:
    name = task.study.name
    saved = folders.opened(out / name)
    reason = f"remove {out / name} to have it again"
    return Outcome(name, THERE, reason, None, len(saved.figures), saved.verdicts)


def _done(task: Task, settings: dict[str, Any], out: Path) -> Outcome:
    """Reproduce one study and save it; whatever is wrong with it is its own."""
    name, began_s = task.study.name, time.monotonic()
    try:
        found = task.found(settings)
        verdicts = task.study.verdicts(found)
        folders.save(task.study, found, verdicts, out)
        index.write(out)
    except Exception as error:
        told = "".join(traceback.format_exception_only(error)).strip()
        return Outcome(name, LOST, told, round(time.monotonic() - began_s, 1))
    reason = task.mode.reason if found.mode == "replayed" else ""
    seconds, figures = time.monotonic() - began_s, len(task.study.drawings)
    return Outcome(name, found.mode, reason, round(seconds, 1), figures, verdicts)


def _line(outcome: Outcome) -> str:
    after = "" if outcome.seconds is None else f" in {outcome.seconds:.0f} s"
    claims = index.told(outcome.verdicts)
    judged = f", claims {claims}" if claims else ""
    why = f": {outcome.reason}" if outcome.reason else ""
    return f"{outcome.study} {outcome.how}{after}{judged}{why}"


def _sum_up(outcomes: list[Outcome], out: Path) -> None:
    """Print the summary, the claims that were not confirmed, and where the page is."""
    import pandas as pd

    print_table(
        pd.DataFrame(
            {
                "study": one.study,
                "how": one.how,
                "seconds": "-" if one.seconds is None else f"{one.seconds:.0f}",
                "figures": one.figures,
                "claims": index.told(one.verdicts),
            }
            for one in outcomes
        )
    )
    for one in outcomes:
        for verdict in one.verdicts:
            if verdict.value != "confirmed":
                print(f"{one.study}: {verdict}")
    print(f"all figures, tables and verdicts: {out / index.FILE}")
