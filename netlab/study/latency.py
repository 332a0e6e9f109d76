"""Study `latency-tail`: what a shared queue and a sharded port do to the latencies.

Facts. Cloudflare measured it in 2017 with 12 workers: under SO_REUSEPORT the median was
lower than with one shared queue and the standard deviation 16 times as large, at about
the same average. The hash knows nothing of load: some workers get more than they can
do while others have nothing, so many requests find a short queue and some a very long
one. A queue that all workers share is as long for everybody.

Decision. The clients are few enough to be always waiting, each asks once on a
connection of its own and then comes anew, and each request costs its worker SPIN_US of
CPU time. The settings and their reasons (Linux 6.18, 2 CPUs, idle, three runs each):

    4 workers     With 2, a short queue is as likely as a long one, and the hash's
                  median is that of the shared queue (25 to 26 ms both); with 4 it was
                  20 to 23 ms against 24. More workers than CPUs take turns on them,
                  which spreads the shared queue's latencies too: with 2, 4 and 6
                  workers their deviation was 0.9, 2.5 and 4 ms
    1000 us       Much more than it costs to accept, answer and close
    48 at once    12 for each worker, so that a queue can be long. The more there are,
                  the more requests it takes until the hash's noise has added up
    3000 in all   1.5 s a run

All come at the same moment at first. A worker then accepts several before the first of
them asks, and serves them in one go: the study `burst` is about that. It evens out
within a few rounds, and those are left out, of all strategies alike (CROWD_ROUNDS).

Known limit: the load's process needs a CPU too, 0.15 s of CPU time a run. What may not
be put here: drawing, or judging whether a tail is long.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netlab
from netlab.study.found import Found
from netlab.study.interleave import Measured, Point, interleaved
from netlab.study.orders import possible

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("exclusive", "level", "reuseport")
WORKERS, SPIN_US, AT_ONCE, CONNECTIONS = 4, 1000, 48, 3000
CROWD_ROUNDS = 5
PUBLISHED = Path(netlab.__file__).parents[1] / "data/published/cloudflare-2017.csv"


def latency_tail(
    repeats: int = 5,
    seed: int = 1,
    progress: bool = True,
    names: Sequence[str] = NAMES,
    connections: int = CONNECTIONS,
    at_once: int = AT_ONCE,
) -> Found:
    """Measure each request's latency under a shared queue and under a hash.

    Tables: `latency_tail`, a row a request, and `summary`, a row a run.

    Raises ValueError if so few connections leave none to report.
    """
    import pandas as pd

    crowd = CROWD_ROUNDS * at_once
    if connections <= crowd:
        raise ValueError(
            f"connections={connections}: the first {CROWD_ROUNDS} of each of "
            f"{at_once} clients are not reported; ask for more than {crowd}"
        )
    rows, notes = possible(names)
    points = [_point(row.name, connections, at_once) for row in rows]
    found = interleaved(points, repeats, seed, progress)
    frames = [_latencies(measured, crowd) for measured in found]
    frames.sort(key=lambda frame: names.index(frame["strategy"].iat[0]))
    table = pd.concat(frames, ignore_index=True)
    return Found(
        "latency-tail",
        {"latency_tail": table, "summary": summary(table)},
        {"repeats": repeats, "seed": seed, "connections": connections}
        | {"at_once": at_once, "workers": WORKERS, "spin_us": SPIN_US},
        (*notes, f"of each run the first {crowd} requests are left out"),
    )


def summary(requests: pd.DataFrame) -> pd.DataFrame:
    """Return a row per strategy and repeat: its latencies as Cloudflare tells them.

    Columns: strategy, repeat, min_ms, avg_ms, med_ms, max_ms, and dev_ms, the
    standard deviation.
    """
    import pandas as pd

    latency = requests.groupby(["strategy", "repeat"], sort=False)["latency_ms"]
    columns = {
        "min_ms": latency.min(),
        "avg_ms": latency.mean(),
        "med_ms": latency.median(),
        "max_ms": latency.max(),
        "dev_ms": latency.std(ddof=0),
    }
    return pd.DataFrame(columns).round(3).reset_index()


def published() -> pd.DataFrame:
    """Return Cloudflare's figures of 2017, under our names of the strategies.

    Columns: strategy, min_ms, avg_ms, med_ms, max_ms, dev_ms.

    Raises FileNotFoundError where netlab was installed without its repository.
    """
    import pandas as pd

    try:
        return pd.read_csv(PUBLISHED)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{PUBLISHED} is missing: it is part of the repository; use netlab from a "
            "checkout"
        ) from error


def _point(name: str, connections: int, at_once: int) -> Point:
    settings: dict[str, Any] = {
        "strategy": name,
        "engine": "compiled",
        "workers": WORKERS,
        "plan": "closed",
        "connections": connections,
        "at_once": at_once,
        "path": f"/spin/{SPIN_US}",
        "sample_rate_per_s": None,
    }
    return Point({"strategy": name}, settings)


def _latencies(measured: Measured, crowd: int) -> pd.DataFrame:
    """Return a row per request but the first: the run's labels, latency_ms."""
    import pandas as pd

    requests = measured.run.requests.sort_values("start_ns", ignore_index=True)
    latency_ms = (requests["latency_ns"][crowd:] / 1e6).round(4)
    return pd.DataFrame(measured.labels | {"latency_ms": latency_ms})
