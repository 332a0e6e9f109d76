"""The commands that look at a process, netlab's or not."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from netlab.commands.output import end_quietly, print_table, records, say, told_to_end

if TYPE_CHECKING:
    import pandas as pd

    from netlab.watch.attach import Attached
    from netlab.watch.trace import Trace

TRACE_KB = 16384  # for each CPU: 16 times what a single x-ray takes


def ps(settings: dict[str, Any]) -> int:
    """Show a process's threads as the original's picture does."""
    from netlab.watch.ps import ps as table

    print(table(settings["pid"]).to_string(index=False))
    return 0


def watch(settings: dict[str, Any]) -> int:
    """Show what the threads of any server do, interval by interval."""
    over = told_to_end()
    from netlab.watch.attach import attach
    from netlab.watch.rates import intervals

    as_json, traced = settings.pop("json"), settings.pop("trace", False)
    tell = (lambda _: None) if as_json else print_table
    attached = attach(settings.pop("pid"))
    found = {"listeners": listeners_of(attached)}
    tell(found["listeners"])
    with attached.trace(buffer_kb=TRACE_KB) if traced else nullcontext() as trace:
        for rates in intervals(attached, over, **settings):
            tell(rates)
    end_quietly()
    found["threads"] = attached.table()
    tell(found["threads"].drop(columns="time_ns"))
    found["trace"] = None if trace is None else summary_of(trace)
    tell(found["trace"])
    if as_json:
        rows = {name: records(table) for name, table in found.items()}
        print(json.dumps({"pid": attached.pid} | rows))
    return 0


def listeners_of(attached: Attached) -> pd.DataFrame | None:
    """Return where a server listens; None, and the reason said, if it is not shown."""
    try:
        return attached.listeners()
    except OSError as error:
        say(str(error))
        return None


def summary_of(trace: Trace) -> pd.DataFrame:
    """Return a row per thread: how often it was woken, and what came of it."""
    from netlab.watch.trace_tables import summary

    return summary(trace.events())
