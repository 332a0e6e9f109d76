"""The results as Markdown: a table for the README, and all of them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks import summary
from benchmarks.client import LOADS
from benchmarks.settings import CONNECTIONS
from benchmarks.summary import BASE, Spread

NONE = "–"
READ_AS = (
    f"Medians of the rounds (least–most). × C: the ratio to `{BASE}`, the same design "
    "in C, within each round."
)
REASON_LENGTH = 60  # in the one table; it is told in full below


class Column(NamedTuple):
    """A column: its heading, the number it shows, how, and compared with C or not."""

    heading: str
    name: str
    form: str = ".1f"
    find: Callable[..., Spread | None] = summary.spread


class Section(NamedTuple):
    """A table of one measure, a row per subject, and what a reader must know."""

    title: str
    measure: str
    subject: str
    columns: tuple[Column, ...]
    note: str


CPU = Column("CPU µs", "cpu_us")
TIMES_C = Column("× C", "cpu_us", ".2f", summary.relative)
COST = (
    Column("user µs", "user_us"),
    Column("system µs", "system_us"),
    CPU,
    TIMES_C,
    Column("requests/s", "requests_per_s", ",.0f"),
)
SECTIONS = (
    Section(
        "CPU time per request on connections that stay open",
        "keep-alive",
        "server",
        COST,
        f"One worker on one CPU, {CONNECTIONS} connections of wrk on the others. The "
        "total is the kernel's account in nanoseconds; its division into user and "
        "system is an estimate from clock ticks.",
    ),
    Section(
        "CPU time per request with a new connection each",
        "new connection",
        "server",
        COST,
        "The same, with `Connection: close`.",
    ),
    Section(
        "Memory per idle connection",
        "idle",
        "server",
        (
            Column("connections", "connections", ",.0f"),
            Column("bytes each", "bytes_each", ",.0f"),
        ),
        "The server's own memory (USS); the kernel's for the sockets is not in it, nor "
        "what a server lays out at its start, as nginx does.",
    ),
    Section(
        "The load generators' own CPU time per request",
        "generator",
        "generator",
        (Column("CPU µs", "cpu_us", ".2f"),),
        f"{CONNECTIONS} keep-alive connections at one server; without the start.",
    ),
    Section(
        "Sends on time in an open loop",
        "open loop",
        "load",
        (Column("% within 1 ms", "within_1_ms", ".2f"),),
        "Of the requests due, those sent at most 1 ms late.",
    ),
    Section(
        "Two workers against one, 200 µs of work a request",
        "scaling",
        "workers",
        (
            Column("one, requests/s", "one_per_s", ",.0f"),
            Column("two, requests/s", "two_per_s", ",.0f"),
            Column("ratio", "ratio", ".2f"),
        ),
        "2 is twice as much, 1 is nothing gained.",
    ),
    Section(
        "From `Server(...)` to the first answer",
        "first answer",
        "engine",
        (
            Column("cold, ms", "cold_ms", ",.0f"),
            Column("warm, ms", "warm_ms", ",.0f"),
        ),
        "Fresh processes; cold: Numba has stored nothing yet.",
    ),
    Section(
        "The sampler at 20 looks a second, 8 workers",
        "sampler",
        "workers",
        (Column("% of one CPU", "cost_percent", ".2f"),),
        "Its own thread's time.",
    ),
)


def full(results: dict[str, Any]) -> str:
    """Return all results."""
    parts = ["# netlab and its peers, side by side", stamp(results)]
    parts += ["![" + alt(results) + "](figure.png)", head(results), READ_AS]
    for section in SECTIONS:
        if summary.of(results["rows"], section.measure):
            parts += [f"## {section.title}", _section(results, section), section.note]
    parts += [*_calls(results), *_missing(results), _versions(results)]
    return "\n\n".join(parts)


def stamp(results: dict[str, Any]) -> str:
    """Return where and when the numbers were measured, and how often."""
    settings, machine = results["settings"], results["machine"]
    rounds = "1 round" if settings["rounds"] == 1 else f"{settings['rounds']} rounds"
    how = f"{rounds} of {settings['seconds']} s, interleaved"
    date = results["date"][:10]
    return f"{machine['cpu_model']} · {machine['line']} · {how} · {date}"


def alt(results: dict[str, Any]) -> str:
    """Return the figure in words, with its numbers."""
    said = [
        f"{load}: "
        + ", ".join(
            f"{name} {middle.median:.1f}"
            for name in results["servers"]
            if (middle := summary.spread(results["rows"], load, name, "cpu_us"))
        )
        for load in LOADS
    ]
    return "CPU microseconds per request by server; " + "; ".join(said)


def head(results: dict[str, Any]) -> str:
    """Return the one table for the README: a row per server."""
    headings = ["server"]
    for load in LOADS:
        headings += [f"{load}: CPU µs per request", "× C"]
    headings += ["system calls (keep-alive, new)", "bytes per idle connection"]
    rows = [[name, *_head_row(results, name)] for name in results["servers"]]
    return markdown(headings, rows)


def _head_row(results: dict[str, Any], name: str) -> list[str]:
    reason = lacking(results, name)
    if reason:
        return [textwrap.shorten(reason, REASON_LENGTH), *[NONE] * (2 * len(LOADS) + 1)]
    rows = results["rows"]
    costs = [_cell(rows, load, name, one) for load in LOADS for one in (CPU, TIMES_C)]
    calls = [_cell(rows, f"calls, {load}", name, Column("", "calls")) for load in LOADS]
    idle = _cell(rows, "idle", name, Column("", "bytes_each", ",.0f"))
    return [*costs, ", ".join(calls), idle]


def lacking(results: dict[str, Any], name: str) -> str | None:
    """Return why a server is not here, None if it is."""
    found = (one for one in results["missing"] if one["measure"] == "server")
    return next((one["reason"] for one in found if one["subject"] == name), None)


def _section(results: dict[str, Any], section: Section) -> str:
    rows = results["rows"]
    subjects = list(summary.of(rows, section.measure))
    known = [name for name in results["servers"] if name in subjects]
    ordered = known + [name for name in subjects if name not in known]
    headings = [section.subject, *(column.heading for column in section.columns)]
    cells = [
        [name, *(_cell(rows, section.measure, name, one) for one in section.columns)]
        for name in ordered
    ]
    return markdown(headings, cells)


def _cell(rows: summary.Rows, measure: str, subject: str, column: Column) -> str:
    found = column.find(rows, measure, subject, column.name)
    return found.text(column.form) if found else NONE


def _calls(results: dict[str, Any]) -> list[str]:
    """Return the system calls by kind."""
    lines = [
        [row["subject"], load, f"{row['calls']:.1f}", _kinds(row["kinds"])]
        for load in LOADS
        for name in results["servers"]
        for row in summary.of(results["rows"], f"calls, {load}").get(name, [])
    ]
    if not lines:
        return []
    note = (
        "One client that asks one thing after the other. What is called less than once "
        "in 20 requests is left out; what goes to the kernel through io_uring (uvloop "
        "does that) counts as the one call that hands it over."
    )
    table = markdown(["server", "load", "calls", "of these"], lines)
    return ["## System calls per request", table, note]


def _kinds(kinds: dict[str, float]) -> str:
    return ", ".join(f"{name} {count:g}" for name, count in sorted(kinds.items()))


def _missing(results: dict[str, Any]) -> list[str]:
    if not results["missing"]:
        return []
    names = ("measure", "subject", "reason")
    lines = [[one[name] for name in names] for one in results["missing"]]
    unique = [list(line) for line in dict.fromkeys(map(tuple, lines))]
    return ["## What is not here", markdown(list(names), unique)]


def _versions(results: dict[str, Any]) -> str:
    lines = [list(pair) for pair in results["versions"].items()]
    return f"## Versions\n\n{markdown(['program', 'version'], lines)}\n"


def markdown(headings: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, its columns filled up so that it can be read as text."""
    safe = [[cell.replace("|", "\\|") for cell in row] for row in [headings, *rows]]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in safe
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def for_readme(results: dict[str, Any]) -> str:
    """Return what stands in the README: table and stamp."""
    return f"{head(results)}\n\n{READ_AS} {stamp(results)}."
