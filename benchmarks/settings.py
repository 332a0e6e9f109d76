"""How long, how often, which servers and which measures."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.checks import whole_number

ROUNDS_LIMIT, SECONDS_LIMIT = 1000, 600
CONNECTIONS = 64  # of the loads: enough that a server always has something to do
IDLE_LIMIT = 20_000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one benchmark.

    rounds: how often each measure is repeated.
    seconds: how long one load lasts, in whole seconds (wrk knows no others).
    only, measures: names of servers and measures; none: all of them.
    seed: of the shuffled order.
    quick: one round of one second and small numbers, to see that it works.

    Raises ValueError for a value that cannot be honoured.
    """

    rounds: int = 5
    seconds: int = 3
    only: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    seed: int = 1
    quick: bool = False

    def __post_init__(self) -> None:
        whole_number("rounds", self.rounds, 1, ROUNDS_LIMIT)
        whole_number("seconds", self.seconds, 1, SECONDS_LIMIT)
        whole_number("seed", self.seed, 0, 1 << 32)

    @property
    def traced_requests(self) -> int:
        """How many requests are traced; each is ten times as slow as others."""
        return 50 if self.quick else 500

    @property
    def idle_connections(self) -> int:
        """How many idle connections are held, if the limits allow."""
        return 500 if self.quick else IDLE_LIMIT


def chosen(kind: str, names: tuple[str, ...], known: list[str]) -> list[str]:
    """Return the names asked for in the table's order, all if none was."""
    for name in names:
        if name not in known:
            raise ValueError(f"{kind} {name!r}: there are {', '.join(known)}")
    return [name for name in known if not names or name in names]
