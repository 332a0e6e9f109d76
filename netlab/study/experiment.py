"""One run: start a server, fire a load at it, watch, stop, check, and only then tell.

The order matters. The server is started and its workers sleep; what is counted
begins there. The load fires from its own process while a sampler looks on. When
the load is over the workers go back to sleep, the counts are read, and the stop,
which wakes everybody once more, is in no count. A load that holds its
connections (plan `touch`) is read a first time while they are held: what was
counted until then is the cost of accepting alone.

`python -m netlab run` prints the figures made here under the same names:

    accepts                     per worker: connections it owned
    accept_wakeups_per_accept   plan touch: wake-ups until all were held, per accept
    wakeups_per_accept          wake-ups of all workers over the run, per accept
    turns_per_accept            the same for returns of the wait call
    would_block_per_accept      the same for accepts that found an empty queue
    order                       owners of the first 100 connections, see `write_order`
    jain                        Jain's index of `accepts`
    p50_us ... max_us           latencies as the client saw them
    requests_per_s              requests by the time from the first to the last
    server_cpu_us_per_request   CPU time of the workers per answer
    conserved                   True: a run that does not add up raises instead
"""

from __future__ import annotations

import contextlib
import string
from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from netlab import counters
from netlab.kernel import backlog, limits
from netlab.kernel.machine import machine
from netlab.load.generator import Generator, LoadError, LoadResult
from netlab.load.plans import LoadSettings
from netlab.server.server import Server
from netlab.server.settings import ACCEPT_LOG_LIMIT, ServerSettings
from netlab.study import conservation
from netlab.study.run import Run
from netlab.study.stats import jain, latency_figures
from netlab.watch.sampler import Sampler

if TYPE_CHECKING:
    import pandas as pd

SERVER_FIELDS = {field.name for field in fields(ServerSettings)}
LOAD_FIELDS = {field.name for field in fields(LoadSettings)}
ORDER_LENGTH = 100
DIGITS = string.digits + string.ascii_lowercase + string.ascii_uppercase
OWN_DESCRIPTORS = 256  # what a notebook's kernel and the server itself have open


def run(
    *,
    sample_rate_per_s: float | None = 20.0,
    generator: Generator | None = None,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Run one server under one load and return its checked tables and figures.

    sample_rate_per_s: how often the sampler looks; None: it does not.
    generator: the load's process, if several runs share one.
    settings: the fields of ServerSettings and of LoadSettings.

    Raises TypeError for an unknown setting, ValueError for one that cannot be
    honoured, RuntimeError if a worker died, LoadError if the load failed,
    ConservationError if the two sides do not agree.
    """
    for_server, for_load = _split(settings)
    load_settings = LoadSettings(**for_load)
    for_server.setdefault("accept_log", _log_capacity(load_settings))
    requested = {
        "server": asdict(ServerSettings(**for_server), dict_factory=_json_safe),
        "load": for_load,
    }
    with contextlib.ExitStack() as stack:
        _raise_limit(stack, load_settings)
        fire = generator or stack.enter_context(Generator())
        server = stack.enter_context(Server(**for_server))
        observed = _observe(server, fire, for_load, sample_rate_per_s, progress)
    _raise_if_workers_died(server)
    return _report(requested, server, observed)


class _Observed:
    """What one run saw, before it is checked."""

    load: LoadResult
    held: np.ndarray | None = None
    sampler: Sampler | None = None
    settled = True
    throttling: dict[str, Any]
    drops: dict[str, int]


def _observe(
    server: Server,
    generator: Generator,
    for_load: dict[str, Any],
    rate_per_s: float | None,
    progress: bool,
) -> _Observed:
    """Fire and watch, until the workers sleep again."""
    seen = _Observed()

    def on_held() -> None:
        seen.settled &= server.settle()
        seen.held = server.snapshot()

    with _surroundings(seen), contextlib.ExitStack() as stack:
        if rate_per_s is not None:
            seen.sampler = stack.enter_context(Sampler(server, rate_per_s))
        try:
            seen.load = generator.fire(
                server, on_held=on_held, progress=progress, **for_load
            )
        except LoadError:
            server.stop()  # so that all that its workers died of is known
            _raise_if_workers_died(server)
            raise
        seen.settled &= server.settle()
    return seen


def _raise_if_workers_died(server: Server) -> None:
    for number, reason in server.failures.items():
        raise RuntimeError(f"worker {number} died in this run: {reason!r}") from reason


@contextlib.contextmanager
def _surroundings(seen: _Observed) -> Iterator[None]:
    """Note what the machine did meanwhile: throttling, connections dropped."""
    throttled, dropped = limits.throttling(), backlog.listen_drops()
    yield
    seen.throttling = limits.throttling().since(throttled)._asdict()
    seen.drops = backlog.listen_drops().since(dropped)._asdict()


def _report(requested: dict[str, Any], server: Server, seen: _Observed) -> Run:
    """Check, and make the tables and figures of a stopped server's run."""
    rows, accepts = server.snapshot(), server.accepts()
    dropped, waiting = server.accepts_dropped(), server.waiting()
    found = conservation.checks(rows, len(accepts), dropped, waiting, seen.load)
    conservation.require(found)
    actual = {
        "server": server.actual(),
        "load": asdict(seen.load.actual),
        "sample_rate_per_s": seen.sampler.rate_per_s if seen.sampler else None,
    }
    return Run(
        settings={"requested": requested, "actual": actual},
        machine=machine().as_dict(),
        figures=_figures(rows, accepts, seen),
        workers=counters.table(rows),
        accepts=accepts,
        samples=_samples(seen.sampler),
        requests=seen.load.requests,
        connections=seen.load.connections,
        checks=conservation.table(found),
    )


def _figures(
    rows: np.ndarray, accepts: pd.DataFrame, seen: _Observed
) -> dict[str, Any]:
    total = counters.total(rows)
    owners = (rows["accepted"] + rows["received"] - rows["given"]).tolist()
    cpu_us = total["cpu_ns"] / 1000
    return {
        "accepts": owners,
        "accept_wakeups_per_accept": _held_wakeups(seen.held),
        "wakeups_per_accept": _ratio(total["wakeups"], total["accepted"]),
        "turns_per_accept": _ratio(total["turns"], total["accepted"]),
        "would_block_per_accept": _ratio(total["would_block"], total["accepted"]),
        "order": write_order(accepts["owner"].tolist()[:ORDER_LENGTH]),
        "accept_order": write_order(accepts["acceptor"].tolist()[:ORDER_LENGTH]),
        "jain": round(jain(owners), 4) if sum(owners) else None,
        **latency_figures(seen.load.request_rows["latency_ns"]),
        "requests_per_s": _rate(seen.load.request_rows),
        "server_cpu_us_per_request": _ratio(cpu_us, total["answers"]),
        "conserved": True,
        "settled": seen.settled,
        "sampler_cost_percent": _cost(seen.sampler),
        "throttling": seen.throttling,
        "listen_queue": seen.drops,
    }


def load_figures(load: LoadResult) -> dict[str, Any]:
    """Return the figures of a load alone, fired at any server, JSON-safe."""
    workers, answers = np.unique(load.request_rows["worker"], return_counts=True)
    statuses, seen = np.unique(load.request_rows["status"], return_counts=True)
    return {
        "settings": asdict(load.actual),
        "connections": len(load.connection_rows),
        "requests": len(load.request_rows),
        "failures": {kind.name.lower(): n for kind, n in load.failures().items()},
        "statuses": dict(zip(map(str, statuses), seen.tolist(), strict=True)),
        "answers": dict(zip(map(str, workers), answers.tolist(), strict=True)),
        **latency_figures(load.request_rows["latency_ns"]),
        "requests_per_s": _rate(load.request_rows),
    }


def write_order(workers: list[int]) -> str:
    """Write worker numbers as one character each: 0-9, a-z, A-Z.

    With a number above 61 in it, as decimal numbers with spaces between.
    """
    if max(workers, default=0) < len(DIGITS):
        return "".join(DIGITS[number] for number in workers)
    return " ".join(map(str, workers))


def _held_wakeups(held: np.ndarray | None) -> float | None:
    if held is None:
        return None
    return _ratio(int(held["wakeups"].sum()), int(held["accepted"].sum()))


def _ratio(count: float, by: int) -> float | None:
    return round(count / by, 4) if by else None


def _rate(requests: np.ndarray) -> float | None:
    """Return requests per second, from the first start to the last answer."""
    if not len(requests):
        return None
    ends = requests["start_ns"] + requests["latency_ns"]
    seconds = float(ends.max() - requests["start_ns"].min()) / 1e9
    return round(len(requests) / seconds, 1)


def _cost(sampler: Sampler | None) -> float | None:
    return None if sampler is None else round(sampler.cost_percent(), 2)


def _samples(sampler: Sampler | None) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame() if sampler is None else sampler.samples()


def _split(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the server's settings and the load's."""
    unknown = set(settings) - SERVER_FIELDS - LOAD_FIELDS
    if unknown:
        raise TypeError(
            f"unknown setting {', '.join(sorted(unknown))}: there are "
            f"{', '.join(sorted(SERVER_FIELDS | LOAD_FIELDS))}"
        )
    for_server = {key: settings[key] for key in settings if key in SERVER_FIELDS}
    return for_server, {key: settings[key] for key in settings if key in LOAD_FIELDS}


def _json_safe(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return settings as JSON would give them back: lists, not tuples."""
    return {name: list(x) if isinstance(x, tuple) else x for name, x in items}


def _log_capacity(settings: LoadSettings) -> int:
    """Return room for every accept of the load, if they can be known."""
    return min(settings.rows()[0], ACCEPT_LOG_LIMIT)


def _raise_limit(stack: contextlib.ExitStack, settings: LoadSettings) -> None:
    """Allow as many descriptors as the load holds open at once."""
    wanted = settings.descriptors() + OWN_DESCRIPTORS
    if wanted > limits.descriptor_limits()[0]:
        stack.enter_context(limits.raised_descriptor_limit(wanted))
