"""Study `turns`: what one loop does at each of its turns, with several clients at once.

Facts. A loop sleeps in one place. Each time the wait returns, it deals with everything
that is ready by then, and sleeps again: a turn. Between two turns a client may have
sent half a request, a whole one, or nothing.

Decision. Four clients follow a script, a step after the other, with a pause in which
the loop falls asleep. In the last step but three, one asks for WORK_MS of work and the
others ask while it is being done, so that several are ready in one turn; the seed says
in which order. What was done is read off the worker from outside: `Recorder` puts a
wrapper around four methods of the running worker, by the names that all stages from 2
to 3 have, and looks at what changed. So any class of that face can be watched, the
reader's own among them, and none has a line for it.

Cost. The clients are in the server's process; here no time is told, only order.

Known limit: the turn that is under way when the recorder comes is the first.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.checks import whole_number
from netlab.load.progress import bar
from netlab.stages import s2
from netlab.study.found import Found

if TYPE_CHECKING:
    import pandas as pd

WORK_MS = 60
PAUSE_S = 0.03  # for the loop to deal with a step and sleep again
PATIENCE_S = 5.0
LISTENER = "listener"
ACCEPTED, WOULD_BLOCK = "accepted", "would-block"
PART, ANSWERED, CLOSED, NOTHING = "part", "answered", "closed", "nothing"
SAYS = {
    "says half": b"GET / HT",
    "says the rest": b"TP/1.1\r\nHost: h\r\n\r\n",
    "asks": b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "wants work": b"GET /spin/%d HTTP/1.1\r\nHost: h\r\n\r\n" % (1000 * WORK_MS),
}
Step = tuple[tuple[str, str], ...]  # who does what, without a pause
BEFORE: tuple[Step, ...] = (
    (("A", "connects"), ("B", "connects")),
    (("A", "says half"),),
    (("B", "asks"),),
    (("C", "connects"),),
    (("C", "asks"),),
    (("A", "says the rest"),),
    (("A", "wants work"),),
)
MEANWHILE: Step = (("B", "asks"), ("C", "asks"), ("D", "connects"))
AFTER: tuple[Step, ...] = (
    (("D", "asks"),),
    (("B", "leaves"), ("C", "leaves")),
    (("A", "leaves"), ("D", "leaves")),
)


class Done(NamedTuple):
    """What a worker did at one of its turns, for whom."""

    turn: int
    who: str
    did: str


class Recorder:
    """Writes down what a running worker does, from outside.

    names: of the clients, in the order of their connections.

    Raises ValueError for a worker without one of the methods.
    """

    def __init__(self, worker: Any, names: Iterable[str]) -> None:
        for method in ("turn", "accept", "serve", "reply"):
            if not hasattr(worker, method):
                raise ValueError(f"{worker!r} has no {method}: give a worker of a loop")
        self.rows: list[Done] = []
        self.turn = 1
        self._worker, self._left = worker, iter(names)
        self._names: dict[int, tuple[str, Any]] = {}  # by the client's id; it is kept
        self._has_answered = False
        self._wrap("turn", self._turn)
        self._wrap("accept", self._accept)
        self._wrap("serve", self._serve)
        self._wrap("reply", self._reply)

    def _wrap(self, name: str, around: Callable[..., Any]) -> None:
        method = getattr(self._worker, name)
        setattr(self._worker, name, lambda *given: around(method, *given))

    def _turn(self, method: Callable[..., Any]) -> Any:
        self.turn += 1
        return method()

    def _accept(self, method: Callable[..., Any], *listener: Any) -> Any:
        before = set(map(id, self._worker.clients.values()))
        result = method(*listener)
        new = [c for c in self._worker.clients.values() if id(c) not in before]
        for client in new:
            self._names[id(client)] = next(self._left, "another"), client
        self._note(LISTENER, ACCEPTED if new else WOULD_BLOCK)
        return result

    def _serve(self, method: Callable[..., Any], client: Any) -> Any:
        length, self._has_answered = len(client.inbox), False
        result = method(client)
        who, _ = self._names.get(id(client), ("another", None))
        if self._has_answered:
            self._note(who, ANSWERED)
        if client.socket.fileno() < 0:
            self._note(who, CLOSED)
        elif not self._has_answered:
            self._note(who, PART if len(client.inbox) > length else NOTHING)
        return result

    def _reply(self, method: Callable[..., Any], client: Any) -> Any:
        length = len(client.inbox)
        result = method(client)
        self._has_answered = len(client.inbox) < length
        return result

    def _note(self, who: str, did: str) -> None:
        self.rows.append(Done(self.turn, who, did))


def turns(
    repeats: int = 3,
    seed: int = 1,
    progress: bool = True,
    server: Callable[[], Any] = s2.Stage,
) -> Found:
    """Write down what one loop does at each turn, while four clients follow a script.

    server: makes a server of stage 2's face.

    Table: `turns`, a row per repeat, turn and thing done.

    Raises ValueError for a server whose worker has no turns.
    """
    import pandas as pd

    whole_number("repeats", repeats, 1, 1000)
    rows = []
    with bar(repeats, "runs", progress) as told:
        for repeat in range(repeats):
            script = script_of(seed + repeat)
            rows += [
                {"repeat": repeat} | one._asdict() | {"engine": "python"}
                for one in recorded(server, script)
            ]
            told.update()
    settings = {"repeats": repeats, "seed": seed, "work_ms": WORK_MS}
    return Found("turns", {"turns": pd.DataFrame(rows)}, settings)


def script_of(seed: int) -> list[Step]:
    """Return the steps, those that come while the worker is busy in a drawn order."""
    meanwhile = list(MEANWHILE)
    random.Random(seed).shuffle(meanwhile)
    busy, last = BEFORE[:-1], BEFORE[-1]
    return [*busy, (*last, ("", "pauses"), *meanwhile), *AFTER]


def recorded(make_server: Callable[[], Any], script: Sequence[Step]) -> list[Done]:
    """Play a script to a new server; return what its worker did, in order."""
    names = dict.fromkeys(who for step in script for who, what in step if who)
    with make_server() as server, ExitStack() as stack:
        recorder = Recorder(server.worker, sorted(names))
        clients: dict[str, socket.socket] = {}
        for step in script:
            for who, what in step:
                _act(server.address, clients, who, what, stack)
            time.sleep(PAUSE_S + WORK_MS / 1000 * (len(step) > 2))
        return list(recorder.rows)


def _act(
    address: Any, clients: dict[str, socket.socket], who: str, what: str,
    stack: ExitStack,
) -> None:  # fmt: skip
    """Have one client do one thing."""
    if what == "pauses":
        time.sleep(WORK_MS / 6000)  # the worker has begun
    elif what == "connects":
        client = socket.create_connection(tuple(address)[:2], PATIENCE_S)
        clients[who] = stack.enter_context(client)
    elif what == "leaves":
        clients[who].close()
    else:
        clients[who].sendall(SAYS[what])


def others_answered(rows: pd.DataFrame, who: str = "A") -> int:
    """Return how often others were answered while half a request of `who` was here."""
    own = rows[rows["who"] == who].reset_index()
    begun = own.loc[own["did"] == PART, "index"]
    ended = own.loc[own["did"] == ANSWERED, "index"]
    if begun.empty or ended.empty:
        return 0
    between = rows.loc[begun.min() : ended.min()]
    return int(((between["did"] == ANSWERED) & (between["who"] != who)).sum())


def most_at_once(rows: pd.DataFrame) -> int:
    """Return for how many the worker did something in its fullest turn."""
    return max(rows.groupby("turn")["who"].nunique())


def per_repeat(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Give the rows of each repeat."""
    for _, rows in table.groupby("repeat"):
        yield rows.reset_index(drop=True)
