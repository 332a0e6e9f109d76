"""The table behind the figure of an attack, and the figure in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from netlab.show.figures import readable
from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import medians_of, require, rows

REMEDY = "give the table of that name of the study attack"
SERVERS = {  # and what each does with answers that the kernel does not take
    "stage 5": "forgets",
    "reads on": "keeps all",
    "stage 6": "stops reading",
}
LOOKED_AT = ["held", "memory_mb", "cpu_percent", "latency_ms"]
LINES = ["held", "added_mb", "cpu_percent", "latency_ms"]
Spans = Sequence[tuple[str, int, int]]


class Worst(NamedTuple):
    """What a server came to in one span; latency_ms: the median of what was answered.

    waited_ms: the longest of them.
    """

    held: float
    added_mb: float
    cpu_percent: float
    latency_ms: float
    waited_ms: float


def attack_table(
    attack: pd.DataFrame,
    spans: Spans = (),
    servers: Sequence[str] | None = None,
    predicted: float | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per server and step: the medians of the repeats.

    Columns: server, at_ms, held (connections), added_mb (resident memory beyond that
    of the first step), cpu_percent, latency_ms, repeats. spans: not used; they are
    shaded. servers: only these. predicted: a guess of added_mb, not used; a line.
    recorded: others' table, whose rows follow, see `outlines.of_both`.

    Raises ValueError for a server that is not one of SERVERS, or is not in the table.
    """
    if servers is not None:
        attack = attack.query("server in @servers")
    return of_both(_steps(attack), recorded, _steps, ["server", "at_ms"])


def _steps(attack: pd.DataFrame) -> pd.DataFrame:
    require(attack, "attack", REMEDY, "server", "repeat", "at_ms", *LOOKED_AT)
    if unknown := sorted(set(attack["server"]) - SERVERS.keys()):
        raise ValueError(f"server {unknown[0]!r}: there are {', '.join(SERVERS)}")
    first = attack.groupby(["server", "repeat"])["memory_mb"].transform("first")
    attack = attack.assign(added_mb=attack["memory_mb"] - first)
    steps = attack.groupby(["server", "at_ms"])
    table = steps[LINES].median().assign(repeats=steps.size()).reset_index()
    each = [table.query("server == @name") for name in SERVERS]
    return pd.concat([own for own in each if len(own)], ignore_index=True)


def worst(table: pd.DataFrame, server: str, begin_ms: int, end_ms: int) -> Worst:
    """Return what a server came to from one moment to another.

    table: that of `attack_table`, of one machine.
    """
    own = table.query("server == @server and @begin_ms <= at_ms <= @end_ms")
    held, added, percent, latency = (own[name].to_numpy(float) for name in LINES)
    latency = latency[~np.isnan(latency)]
    return Worst(
        float(held.max()),
        float(added.max()),
        float(percent.mean()),
        float(np.median(latency)) if len(latency) else float("nan"),
        float(latency.max()) if len(latency) else float("nan"),
    )


def peaks(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return each server's row at which a column is highest."""
    highest = table.groupby("server", sort=False)[column].idxmax()
    return table.loc[highest.dropna()]


def attack_alt(
    attack: pd.DataFrame,
    spans: Spans = (),
    servers: Sequence[str] | None = None,
    predicted: float | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.attack` shows, in words."""
    both = attack_table(attack, spans, servers, predicted, recorded)
    table, theirs = parted(both)
    end_ms = table["at_ms"].to_numpy().max()
    over = spans or [("all of it", 0, end_ms)]
    guess = "" if predicted is None else f" Predicted were {predicted:g} MB more."
    return (
        f"Four panels over {end_ms / 1000:.2g} seconds, {medians_of(table)}: "
        "connections held, memory added, CPU time and the latency of a client that "
        f"behaves. {' '.join(_span_in_words(table, *span) for span in over)}"
        f"{guess}{told(recorded, _peaks_in_words(theirs))}"
    )


def _span_in_words(table: pd.DataFrame, name: str, begin: int, end: int) -> str:
    each = "; ".join(
        f"{server}: {_in_words(worst(table, server, begin, end))}"
        for server in table["server"].unique()
    )
    return f"{name.capitalize()}, from {begin / 1000:g} to {end / 1000:g} s: {each}."


def _in_words(found: Worst) -> str:
    return (
        f"up to {found.held:g} held and {found.added_mb:.0f} MB more, "
        f"{found.cpu_percent:.0f} % of a CPU, latency {readable(found.latency_ms)} ms, "
        f"at most {readable(found.waited_ms)}"
    )


def _peaks_in_words(theirs: pd.DataFrame) -> Iterator[str]:
    row: Any
    for row in rows(peaks(theirs, "added_mb")):
        yield f"{row.server}: at most {row.added_mb:.0f} MB more"
