"""The commands that tell what there is: on this machine, and in the strategy table."""

from __future__ import annotations

import json
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

from netlab.commands.output import show

if TYPE_CHECKING:
    from netlab.kernel.doctor import Fact
    from netlab.server.strategy import Strategy


def doctor(settings: dict[str, Any]) -> int:
    """Tell what this machine can show."""
    from netlab.kernel.doctor import as_text, facts

    found = [*facts(), _strategies_here()]
    if settings["json"]:
        print(json.dumps([fact._asdict() for fact in found], indent=1))
    else:
        print(as_text(found))
    return 0


def _strategies_here() -> Fact:
    """Return how many of the strategies this machine can run, and which not."""
    from netlab.kernel.doctor import Fact
    from netlab.server.strategies import table

    rows = table()
    missing = [row.name for row in rows if row.missing()]
    here = f"{len(rows) - len(missing)} of {len(rows)}"
    if not missing:
        return Fact("strategies", here, "live", "Every accept strategy can run.")
    why = f"Not {', '.join(missing)}: python -m netlab strategies tells why."
    return Fact("strategies", here, "missing", why)


def strategies(settings: dict[str, Any]) -> int:
    """Print the strategy table, or all that it says of one strategy."""
    from netlab.server.strategies import find, table

    name = settings.get("name")
    rows = [find(name)] if name else table()
    described = [row.described() for row in rows]
    if settings["json"]:
        print(json.dumps(described, indent=1))
    elif name:
        _tell_all(described[0])
    else:
        print(_table(list(rows)))
    return 0


def _tell_all(words: dict[str, Any]) -> None:
    print(f"{words.pop('name')}: {words.pop('summary')}")
    traps = words.pop("traps", [])
    lists = {name: value for name, value in words.items() if isinstance(value, list)}
    show(words | {name: ", ".join(value) for name, value in lists.items()}, False)
    for trap in traps:
        print(textwrap.fill(f"trap: {trap}", 76, initial_indent="  "))


def _table(rows: list[Strategy]) -> str:
    """Return the table for people: strategies by the rule that explains their order."""
    from netlab.server.strategy import QUEUES

    lines = []
    for queue, order in QUEUES.items():
        lines += [f"{queue.upper()}: the next connection goes to {order}", ""]
        for row in rows:
            if row.queue == queue:
                lines += [*_lines(row), ""]
    return "\n".join([*lines, "python -m netlab strategies NAME tells its traps."])


def _lines(row: Strategy) -> list[str]:
    """Return a strategy's few lines: what it is, what it wakes, where it runs."""
    width = shutil.get_terminal_size().columns - 4
    runs = f"{' and '.join(row.engines)}; workers as {' or '.join(row.workers_as)}"
    paragraphs = [
        f"wakes {row.wakeups}",
        f"engines {runs}; since Linux {row.since}",
    ]
    if reason := row.missing():
        paragraphs.append(f"not here: {reason}")
    told = [f"  {row.name}: {row.summary}"]
    for text in paragraphs:
        told += ["    " + line for line in textwrap.wrap(text, max(40, width))]
    return told
