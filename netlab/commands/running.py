"""The commands that fire: at a server that is there, or at one of their own."""

from __future__ import annotations

from typing import Any

from netlab.commands.output import FAILED, listen_of, say, show


def load(settings: dict[str, Any]) -> int:
    """Fire one load at an address."""
    from netlab.load.generator import fire
    from netlab.study.report import load_figures

    as_json = settings.pop("json")
    result = fire(settings.pop("target"), on_error="record", **settings)
    found = load_figures(result)
    show(found, as_json)
    if found["schedule"] not in (None, "kept"):
        say(f"the schedule was {found['schedule']}")
    incomplete = result.failures() or result.missing or result.unanswered
    return FAILED if incomplete else 0


def run(settings: dict[str, Any]) -> int:
    """Run one server under one load and print the figures."""
    from netlab.study.repeats import repeated, summary
    from netlab.study.run import new_folder

    as_json, save = settings.pop("json"), settings.pop("save", None)
    if save:
        new_folder(save)  # refused now, not after the runs
    runs = repeated(settings.pop("repeats", 1), **listen_of(settings))
    if save:
        runs[-1].save(save)
    found = summary(runs)
    if not as_json:
        for name in ("settings", "machine", "repeats"):
            del found[name]
        print(runs[-1].workers.T.to_string(header=False), end="\n\n")
    show(found, as_json)
    return 0
