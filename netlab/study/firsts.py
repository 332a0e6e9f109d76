"""Study `head-of-line`: who waits for whom, served one at a time and by one loop.

Facts. CLIENTS clients connect at once, and the kernel completes all of their
connections. A server that serves one at a time keeps the others waiting for all that
the one before does: for the work that it asks for, and for the time that it then stays
and says nothing. A loop waits for all of them together, so a client that is silent
costs the others nothing; but it has one thread, and work is done one after the other
there, too.

Decision. Two scenes, so that both can be seen apart: in `work` each client asks for
EACH_MS of work and leaves with the answer; in `stay` each is answered at once and stays
for EACH_MS. What each server must show is then arithmetic (RULES):

    one at a time   a client begins to be served when all before it have left
    one loop        when all before it have had their work done

60 ms are far above what a busy machine adds: some ms, of which most are waits of the
server's thread for the GIL. The clients are another process (`visitors`).

The servers are any classes with the face of `netlab.stages`, the reader's own among
them. A server that has the rule's name and does otherwise is seen beside its rule.

What may not be put here: how a visit is made (`visitors`), and drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netlab.checks import known
from netlab.load.progress import bar
from netlab.stages import s1, s2
from netlab.study.found import Found
from netlab.study.interleave import Point, in_blocks
from netlab.study.visitors import Visit, visited

if TYPE_CHECKING:
    import pandas as pd

CLIENTS, EACH_MS = 6, 60
ONE_AT_A_TIME, ONE_LOOP = "one at a time", "one loop"
SERVERS = {ONE_AT_A_TIME: s1.Stage, ONE_LOOP: s2.Stage}
SCENES = {
    "work": (Visit(work_ms=EACH_MS),) * CLIENTS,
    "stay": (Visit(stay_ms=EACH_MS),) * CLIENTS,
}


def answered_one_at_a_time(visits: Sequence[Visit]) -> list[float]:
    """Return when each client is answered, in ms, if each waits for all before it."""
    begin_ms, found = 0.0, []
    for visit in visits:
        found.append(begin_ms + visit.work_ms)
        begin_ms += visit.work_ms + visit.stay_ms
    return found


def answered_by_one_loop(visits: Sequence[Visit]) -> list[float]:
    """Return when each client is answered, in ms, if nobody waits for a stay."""
    return answered_one_at_a_time([one._replace(stay_ms=0) for one in visits])


RULES = {ONE_AT_A_TIME: answered_one_at_a_time, ONE_LOOP: answered_by_one_loop}


def head_of_line(
    repeats: int = 5,
    seed: int = 1,
    progress: bool = True,
    servers: Mapping[str, Callable[[], Any]] = SERVERS,
    scenes: Mapping[str, Sequence[Visit]] = SCENES,
) -> Found:
    """Send several clients to each server at once, and note when each is answered.

    servers: what makes a server of a stage's face, by the name of its rule (RULES).
    scenes: the visits, in the order of connecting, by a name.

    Table: `waits`, a row per server, scene, repeat and client, in ms from the first
    client's connect.

    Raises TypeError for a server without a rule, ValueError for no server or scene.
    """
    import pandas as pd

    known(servers, RULES)
    if not servers or not all(scenes.values()):
        raise ValueError("servers and scenes: give one server, and visits, at least")
    points = [
        Point({"server": server, "scene": scene}, {})
        for server in servers
        for scene in scenes
    ]
    order = in_blocks(points, repeats, seed)
    rows: dict[tuple[int, int], list[dict[str, Any]]] = {}
    with bar(len(order), "runs", progress) as told:
        for repeat, point in order:
            labels: dict[str, Any] = point.labels | {"repeat": repeat}
            rows[points.index(point), repeat] = _rows(labels, servers, scenes)
            told.update()
    table = pd.DataFrame([row for key in sorted(rows) for row in rows[key]])
    told_scenes = {name: [list(one) for one in scenes[name]] for name in scenes}
    settings = {"repeats": repeats, "seed": seed, "scenes": told_scenes}
    return Found("head-of-line", {"waits": table}, settings)


def _rows(
    labels: dict[str, Any],
    servers: Mapping[str, Callable[[], Any]],
    scenes: Mapping[str, Sequence[Visit]],
) -> list[dict[str, Any]]:
    """Run once; return a row per client."""
    visits = scenes[labels["scene"]]
    with servers[labels["server"]]() as server:
        found = visited(server.address, visits)
    rule = RULES[labels["server"]](visits)
    together = zip(visits, found, rule, strict=True)
    return [
        labels
        | {"client": number}
        | visit._asdict()
        | times._asdict()
        | {"predicted_ms": predicted_ms, "engine": "python"}
        for number, (visit, times, predicted_ms) in enumerate(together, start=1)
    ]


def of(found: Found, server: str, scene: str) -> pd.DataFrame:
    """Return the medians of one server and scene, a row per client."""
    waits = found.tables["waits"].set_index(["server", "scene"]).sort_index()
    return waits.loc[(server, scene)].groupby("client").median(numeric_only=True)


def last_answered(found: Found, scene: str) -> tuple[list[float], list[float]]:
    """Return when the last client was answered, a value a repeat, in ms.

    First in one loop, then one at a time; empty for a server that was not there.
    """
    waits = found.tables["waits"].query("scene == @scene")
    last = waits[waits["client"] == waits["client"].max()].set_index("server")
    answers = last["answered_ms"]
    return tuple(
        answers[answers.index == server].tolist()
        for server in (ONE_LOOP, ONE_AT_A_TIME)
    )  # pyright: ignore[reportReturnType]
