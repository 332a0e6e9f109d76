"""What `reproduce` is asked for: which studies, each measured or replayed.

A study that is named is measured, or refused with the reason before the first run. If
all are asked for, what cannot be measured here is replayed from its recording, and the
reason is said. `--replay`, or NETLAB_MODE=replay, replays whatever is asked for.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.commands.output import refuse_impossible

if TYPE_CHECKING:
    from netlab.study.catalogue import Study
    from netlab.study.found import Found
    from netlab.study.replay import Mode

REMEDY = " Or replay its recording: --replay"


class Task(NamedTuple):
    """A study, and whether it is measured or replayed, and why it is not measured."""

    study: Study
    mode: Mode

    def found(self, settings: dict[str, Any]) -> Found:
        """Return what the study finds now, with these settings, or found once."""
        if self.mode.value == "live":
            return self.study.run(**settings)
        from netlab.study import recordings

        found = recordings.load(self.study.name)
        if not self.mode.reason:
            return found
        return replace(found, notes=(*found.notes, f"replayed: {self.mode.reason}"))


def asked(names: list[str], is_replay: bool, settings: dict[str, Any]) -> list[Task]:
    """Return what is to be done; without names all studies.

    Raises ValueError for what cannot be honoured.
    """
    from netlab.study import catalogue, replay

    studies = [catalogue.find(name) for name in names] or list(catalogue.STUDIES)
    if is_replay or os.environ.get(replay.VARIABLE) == "replay":
        _refuse_settings(settings)
        return [Task(study, replay.Mode("replayed", "")) for study in studies]
    refuse_impossible(names, "measured", REMEDY)
    return [Task(study, replay.mode(study.name)) for study in studies]


def _refuse_settings(settings: dict[str, Any]) -> None:
    if settings:
        options = " and ".join(f"--{name}" for name in settings)
        raise ValueError(
            f"{options}: a recording has its own; leave that out, or do not replay"
        )
