"""What a strategy is: one row of the table (`strategies`), and what it cannot do.

A strategy is a composition, not a branch in a loop:

    open    which listeners exist, and which of them each worker watches
    how     how a worker waits for a new connection: data, for either engine
    place   which worker keeps a connection that was just accepted

and a row also says where it can honestly run, what it needs, and what is expected of
it. What a row cannot do is refused with the reason.

One rule explains every order. A worker that waits leaves an entry in the listener's
wait queue, and the kernel wakes exclusive entries from its head, one a connection:

    queue          what happens to the entry          the next connection goes to
    to the tail    it is made anew at each wait       each in turn (round robin)
    stays          it stays where it is               the first registered, always
    to the head    it goes back to the head           the last that went to sleep
    head, twice    so does it, but two are woken      one of the last two, mostly
    all wake       it is not exclusive                who wins the race
    hash           nobody waits: a hash chooses       chance, equal in the long run
    steered        nobody waits: the CPU chooses      the worker of the packets' CPU
    one acceptor   only one worker waits              whom the acceptor chooses
    a lock         its holder waits, the others not   the holder, who gets it again
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from netlab.kernel import doctor
from netlab.server import listeners, placement
from netlab.server.loops import Watching

QUEUES = {
    "to the tail": "the one that waits longest (round robin)",
    "stays": "the first registered",
    "to the head": "the last to fall asleep",
    "head, twice": "one of the last two to fall asleep, mostly",
    "all wake": "the race's winner",
    "hash": "the hash's choice",
    "steered": "the worker of its packets' CPU",
    "one acceptor": "the acceptor's choice",
    "a lock": "the holder of the lock",
}


# Where a new connection cannot be given to a chosen worker: who sleeps there does not
# hear of what is added meanwhile, or whoever is woken for it takes it.
NOT_GIVEN = ("accept", "select", "one epoll")


class Strategy(NamedTuple):
    """One row of the table.

    queue: what happens to a waiter's entry, a key of QUEUES. wakeups: what a connection
    costs. needs: facts of `doctor` that must be live. also: other ways to wait that
    `loop` may ask for. addresses: how many it can listen on, "one" or "several".
    around: what must be in place while the server runs.
    """

    name: str
    summary: str
    open: Callable[[listeners.Plan], listeners.Watched]
    how: Watching
    place: placement.Place
    queue: str
    wakeups: str
    engines: tuple[str, ...] = ("python", "compiled")
    workers_as: tuple[str, ...] = ("threads", "processes")
    since: str = "2.6"
    needs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    addresses: str = "several"
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    traps: tuple[str, ...] = ()

    @property
    def order(self) -> str:
        """Whom the next connection goes to."""
        return QUEUES[self.queue]

    def described(self) -> dict[str, Any]:
        """Return the row's words, without its functions, JSON-safe."""
        words = {
            name: list(value) if type(value) is tuple else value
            for name, value in self._asdict().items()
            if value != ()
        }
        for name, function in (("open", self.open), ("place", self.place)):
            words[name] = getattr(function, "__name__", "").replace("_", " ")
        del words["around"]
        missing = self.missing()
        found = {"order": self.order, "available": missing is None, "missing": missing}
        return words | {"how": self.how.described()} | found

    def missing(self) -> str | None:
        """Return why this machine cannot run it, None if it can."""
        for fact in doctor.facts(
            [row for row in doctor.ROWS if row.what in self.needs]
        ):
            if fact.mode != "live":
                return f"{fact.what}: {fact.here}. {fact.why}"
        return None

    def refuse_unless_possible(
        self, *, engine: str, workers_as: str, loop: str | None, addresses: int = 1
    ) -> None:
        """Raise ValueError with the reason if this row cannot run like that."""
        one_of(self.name, "engine", engine, self.engines)
        one_of(self.name, "workers_as", workers_as, self.workers_as)
        if loop is not None:
            one_of(self.name, "loop", loop, (self.how.loop, *self.also))
            self.refuse_unless_given(loop)
        if addresses > 1 and self.addresses == "one":
            raise ValueError(
                f"{addresses} addresses: strategy {self.name!r} listens on one; give "
                "one, or use strategy='level'"
            )
        if reason := self.missing():
            raise ValueError(f"strategy={self.name!r} cannot run here: {reason}")

    def refuse_unless_given(self, loop: str) -> None:
        """Raise ValueError if `place` chooses where nobody can be given a client."""
        if self.place is not placement.keep and loop in NOT_GIVEN:
            raise ValueError(
                f"a place of one's own with loop={loop!r}: a worker that waits there "
                "cannot be given a connection; wait with epoll, or use placement.keep"
            )


def one_of(strategy: str, what: str, value: str, possible: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is one of what the strategy can run with."""
    if value not in possible:
        raise ValueError(
            f"{what}={value!r}: strategy {strategy!r} has {what} "
            f"{' or '.join(possible)}"
        )
