"""The table behind the figure of orders, and the figure in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from netlab.show.outlines import of_both, parted, told
from netlab.show.tables import require, rows

REMEDY = "give the table of the study 'orders'"
FIRST = 48  # so many connections are drawn one by one


class Rule(NamedTuple):
    """What becomes of a waiter that was woken, and the order that follows."""

    name: str
    head: str
    order: str


RULES = {
    rule.name: rule
    for rule in (
        Rule("to the tail", "goes back to the tail", "round robin"),
        Rule("stays", "stays where it is", "first registered: worker {first}"),
        Rule("to the head", "goes back to the head", "last in, first out"),
        Rule("all wake", "all wake", "they race, the scheduler decides"),
        Rule("hash", "nobody waits", "a hash chose the socket"),
    )
}


class Strip(NamedTuple):
    """One strategy's part of the figure."""

    rule: Rule
    strategy: str
    registered: list[int]
    owners: list[int]  # the worker of each connection, in their order

    @property
    def order(self) -> str:
        """The order in words."""
        return self.rule.order.format(first=self.registered[0])

    def share(self, worker: int) -> int:
        """The connections that the worker got."""
        return self.owners.count(worker)


def orders_table(
    accepts: pd.DataFrame,
    strategies: Sequence[str] | None = None,
    band: tuple[int, int] | None = None,
    recorded: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a row per strategy and worker: its connections, and which of the first.

    Columns: strategy, rule, registered, workers (how many), worker, connections, of,
    served (numbers of connections among the first 48), and with a band low and high,
    for a hash.
    recorded: others' accepts, further rows that a column `from` tells apart, see
    `outlines.of_both`.
    """
    table = pd.DataFrame(
        {
            "strategy": strip.strategy,
            "rule": strip.rule.name,
            "registered": ", ".join(map(str, strip.registered)),
            "workers": len(strip.registered),
            "worker": worker,
            "connections": strip.share(worker),
            "of": len(strip.owners),
            "served": ", ".join(map(str, served(strip, worker))) or "none",
        }
        for strip in strips(accepts, strategies, band)
        for worker in sorted({*strip.registered, *strip.owners})
    )
    if band is not None:
        hashed = table["rule"] == "hash"
        table["low"], table["high"] = (np.where(hashed, end, np.nan) for end in band)
    return of_both(table, recorded, _every_strip, ["strategy", "workers", "worker"])


def _every_strip(accepts: pd.DataFrame) -> pd.DataFrame:
    return orders_table(accepts, list(dict.fromkeys(accepts["strategy"])))


def orders_alt(
    accepts: pd.DataFrame,
    strategies: Sequence[str] | None = None,
    band: tuple[int, int] | None = None,
    recorded: pd.DataFrame | None = None,
) -> str:
    """Return what `plots.orders` shows, in words."""
    drawn = strips(accepts, strategies, band)
    text = (
        f"{_for_each(len(drawn))}, with a mark at the worker that served each of the "
        f"first {FIRST} connections, and the shares of all: "
    )
    text += "; ".join(_in_words(strip) for strip in drawn) + "."
    if band is not None:
        text += f" The band of chance for the hash is {band[0]} to {band[1]}."
    _, theirs = parted(orders_table(accepts, strategies, band, recorded))
    return text + told(recorded, _shares_in_words(theirs))


def _for_each(rules: int) -> str:
    return f"One strip for each of {rules} rules" if rules > 1 else "One strip"


def _shares_in_words(recorded: pd.DataFrame) -> Iterator[str]:
    for strategy, own in recorded.groupby("strategy", sort=False):
        got = ", ".join(f"{row.connections:,}" for row in rows(own))
        yield f"{strategy} {got} of {own['of'].iloc[0]:,}"


def strips(
    accepts: pd.DataFrame,
    strategies: Sequence[str] | None = None,
    band: tuple[int, int] | None = None,
) -> list[Strip]:
    """Return the strips: those strategies, or the first of each rule.

    Raises ValueError for what is not in the table, and for a band without a hash.
    """
    require(
        accepts, "accepts of orders", REMEDY, "strategy", "rule", "registered",
        "connection", "worker",
    )  # fmt: skip
    if unknown := set(accepts["rule"]) - set(RULES):
        raise ValueError(f"rule {min(unknown)!r}: there are {', '.join(RULES)}")
    chosen = _first_of_each_rule(accepts) if strategies is None else strategies
    drawn = [_strip(accepts, name) for name in chosen]
    if not drawn:
        raise ValueError(f"strategies={strategies!r}: name at least one")
    if band is not None:
        _check_band(band, drawn)
    return drawn


def _check_band(band: tuple[int, int], drawn: list[Strip]) -> None:
    if len(band) != 2 or not 0 <= band[0] <= band[1]:
        raise ValueError(f"band={band!r}: give the fewest and the most connections")
    if "hash" not in {strip.rule.name for strip in drawn}:
        raise ValueError(f"band={band}: no strategy that is drawn has the rule 'hash'")


def _first_of_each_rule(accepts: pd.DataFrame) -> list[str]:
    each = accepts.drop_duplicates("rule")
    firsts = dict(zip(each["rule"], each["strategy"], strict=True))
    return [firsts[rule] for rule in RULES if rule in firsts]


def served(strip: Strip, worker: int) -> list[int]:
    """Return which of the first connections the worker served, from 1."""
    first = enumerate(strip.owners[:FIRST], start=1)
    return [number for number, owner in first if owner == worker]


def _strip(accepts: pd.DataFrame, strategy: str) -> Strip:
    own = accepts.query("strategy == @strategy").sort_values("connection")
    if own.empty:
        known = ", ".join(dict.fromkeys(accepts["strategy"]))
        raise ValueError(f"strategy {strategy!r}: the table has {known}")
    first = next(iter(rows(own)))
    registered = _registered(first.registered)
    return Strip(RULES[first.rule], strategy, registered, own["worker"].tolist())


def _registered(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except (AttributeError, ValueError) as error:
        raise ValueError(
            f"registered={text!r}: give the workers' order as text, like '2, 0, 3, 1'"
        ) from error


def _in_words(strip: Strip) -> str:
    got = ", ".join(
        f"worker {worker} {strip.share(worker)}"
        for worker in sorted({*strip.registered, *strip.owners})
    )
    begins = " ".join(map(str, strip.owners[:12]))
    return (
        f"{strip.strategy} ({strip.rule.head}: {strip.order}) begins {begins}, and of "
        f"{len(strip.owners)} {got}"
    )
