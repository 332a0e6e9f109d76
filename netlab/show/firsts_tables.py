"""The numbers of the first two stages' figures, and the figures in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from netlab.show.figures import readable
from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import medians_of, require, rows

GROUP = ["server", "scene"]
TIMES = ("connected_ms", "answered_ms", "left_ms", "predicted_ms")
LISTENER = "listener"
REMEDY = "give the table of study 'head-of-line'"


def head_of_line_table(
    waits: pd.DataFrame,
    servers: Sequence[str] = (),
    scenes: Sequence[str] = (),
    predicted: Sequence[float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per server, scene and client: when it was answered, and by the rule.

    Times are medians of the repeats, in ms from the first connect; `least` and `most`
    are those of the answer. servers, scenes: the names of some, else all. predicted: a
    guess for each client, a further column. recorded: others' waits, whose rows follow.
    """

    def make(table: pd.DataFrame) -> pd.DataFrame:
        return _medians(_chosen(table, servers, scenes))

    ours = make(waits)
    if predicted is not None:
        if len(predicted) != ours["client"].nunique():
            raise ValueError(
                f"predicted has {len(predicted)} values: give one for each of "
                f"{ours['client'].nunique()} clients"
            )
        ours["guess"] = [predicted[client - 1] for client in ours["client"]]
    return of_both(ours, recorded, make, [*GROUP, "client"])


def _chosen(waits: pd.DataFrame, servers: Sequence[str], scenes: Sequence[str]) -> Any:
    require(waits, "waits", REMEDY, *GROUP, "client", "work_ms", "stay_ms", *TIMES)
    for name, wanted in (("server", servers), ("scene", scenes)):
        there = list(waits[name].unique())
        if unknown := [one for one in wanted if one not in there]:
            raise ValueError(f"{name} {unknown[0]!r}: there are {', '.join(there)}")
        if wanted:
            waits = waits.loc[waits[name].isin(wanted), :]
    return waits


def _medians(waits: Any) -> pd.DataFrame:
    by_client = waits.groupby([*GROUP, "client"], sort=False)
    table = by_client[["work_ms", "stay_ms", *TIMES]].median()
    answered = by_client["answered_ms"]
    return table.assign(
        least=answered.min(), most=answered.max(), repeats=answered.size()
    ).reset_index()


def head_of_line_alt(
    waits: pd.DataFrame,
    servers: Sequence[str] = (),
    scenes: Sequence[str] = (),
    predicted: Sequence[float] | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.head_of_line` shows, in words."""
    both = head_of_line_table(waits, servers, scenes, predicted, recorded)
    table, theirs = parted(both)
    groups = table.groupby(GROUP, sort=False)
    said = " ".join(
        f"{heading(group)}: connect returned for all within "
        f"{readable(group['connected_ms'].max())} ms; clients 1 to {len(group)} were "
        f"answered after {_listed(group['answered_ms'])} ms, by the rule after "
        f"{_listed(group['predicted_ms'])} ms."
        for _, group in groups
    )
    guess = ""
    if predicted is not None:
        guess = f" Guessed: {', '.join(map(readable, predicted))} ms."
    return (
        f"A lane a client, time to the right, {medians_of(table)}. {said}{guess}"
        + told(recorded, _last_in_words(theirs))
    )


def _last_in_words(theirs: pd.DataFrame) -> list[str]:
    last = theirs.groupby(GROUP, sort=False).tail(1)
    return [
        f"{row.server}, {row.scene}: client {row.client} after {row.answered_ms:.0f} ms"
        for row in rows(last)
    ]


def _listed(values: Any) -> str:
    return ", ".join(f"{value:.0f}" for value in values)


def heading(group: pd.DataFrame) -> str:
    """Return what one server does, and what its clients do."""
    server = str(group["server"].iloc[0])
    works, stays = (sorted(set(group[name])) for name in ("work_ms", "stay_ms"))
    if len(works) > 1 or len(stays) > 1:
        return f"{server} · clients with work and stays of their own"
    parts = [f"asks for {works[0]:g} ms of work"] if works[0] else ["asks"]
    parts += [f"then stays {stays[0]:g} ms"] if stays[0] else ["then leaves"]
    return f"{server} · each {', '.join(parts)}"


def turns_table(turns: pd.DataFrame) -> pd.DataFrame:
    """Return a row per turn, lane and thing done, of the first repeat.

    who: "listener" or a client's name. did: what was done at that turn.
    """
    remedy = "give the table of study 'turns'"
    require(turns, "turns", remedy, "repeat", "turn", "who", "did")
    is_first = turns["repeat"] == turns["repeat"].to_numpy().min()
    return turns.loc[is_first, ["turn", "who", "did"]].reset_index(drop=True)


def turns_alt(turns: pd.DataFrame) -> str:
    """Return what `plots.turns` shows, in words."""
    table = turns_table(turns)
    each = (
        f"turn {turn}: {', '.join(f'{row.who} {row.did}' for row in rows(group))}"
        for turn, group in table.groupby("turn")
    )
    return (
        f"{table['turn'].nunique()} turns of one loop, a lane for the listener and for "
        f"each of {table.query('who != @LISTENER')['who'].nunique()} clients. "
        f"{'; '.join(each)}."
    )
