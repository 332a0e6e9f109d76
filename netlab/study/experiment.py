"""One run: start a server, fire a load at it, watch, stop, check, and only then tell.

The order matters. The server is started and its workers sleep; what is counted
begins there. The load fires from its own process while a sampler looks on. When
the load is over the workers go back to sleep, the counts are read, and the stop,
which wakes everybody once more, is in no count. A load that holds its
connections (plan `touch`) is read a first time while they are held: what was
counted until then is the cost of accepting alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from netlab import counters
from netlab.checks import known
from netlab.kernel import backlog, limits
from netlab.kernel.interpreters import Interpreter
from netlab.kernel.machine import machine
from netlab.load.generator import Generator
from netlab.load.plans import LoadSettings
from netlab.load.result import LoadError, LoadResult
from netlab.server.elsewhere import ServerElsewhere
from netlab.server.server import Server
from netlab.server.settings import LOG_LIMIT, ServerSettings
from netlab.study import conservation, report
from netlab.study.run import Run
from netlab.watch.sampler import Sampler

if TYPE_CHECKING:
    import pandas as pd

SERVER_FIELDS = {one.name for one in fields(ServerSettings)}
LOAD_FIELDS = {one.name for one in fields(LoadSettings)}
AnyServer = Server | ServerElsewhere
Meanwhile = Callable[[Any], contextlib.AbstractContextManager[Any]]  # of AnyServer
OWN_DESCRIPTORS = 512  # of this process, and what a server leaves to it (server.bounds)


def run(
    *,
    sample_rate_per_s: float | None = 20.0,
    generator: Generator | None = None,
    progress: bool = True,
    interpreter: Interpreter | None = None,
    meanwhile: Meanwhile = contextlib.nullcontext,
    **settings: Any,
) -> Run:
    """Run one server under one load and return its checked tables and figures.

    sample_rate_per_s: how often the sampler looks; None: it does not.
    generator: the load's process, if several runs share one.
    interpreter: another Python, in which the server runs; None: this one.
    meanwhile: called with the server, gives what is entered while the load fires and
        left after it; it may change the server, and must wait in a thread of its own.
    settings: the fields of ServerSettings and of LoadSettings.

    Raises TypeError for an unknown setting, ValueError for one that cannot be
    honoured, RuntimeError if a worker died, LoadError if the load failed,
    ConservationError if the two sides do not agree.
    """
    for_server, for_load = _split(settings)
    load_settings = LoadSettings(**for_load)
    requested = {
        "server": asdict(ServerSettings(**for_server), dict_factory=_json_safe),
        "load": asdict(load_settings),
    }
    for_server.setdefault("accept_log", _log_capacity(load_settings))
    with contextlib.ExitStack() as stack:
        _raise_limit(stack, load_settings)
        fire = generator or stack.enter_context(Generator())
        server = stack.enter_context(_opened(interpreter, for_server))
        with meanwhile(server):
            observed = _observe(server, fire, for_load, sample_rate_per_s, progress)
    _raise_if_the_server_failed(server)
    return _report(requested, server, observed)


def _opened(interpreter: Interpreter | None, settings: dict[str, Any]) -> AnyServer:
    """Return a running server, in this interpreter or in another."""
    if interpreter is None:
        return Server(**settings)
    return ServerElsewhere(interpreter, **settings)


@dataclass
class _Observed:
    """What one run saw, before it is checked."""

    load: LoadResult = field(init=False)
    held: np.ndarray | None = None
    sampler: Sampler | None = None
    settled: bool = True
    throttling: dict[str, Any] = field(default_factory=dict)
    drops: dict[str, int] | None = None


def _observe(
    server: AnyServer,
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
            _raise_if_the_server_failed(server)
            raise
        seen.settled &= server.settle()
    return seen


def _raise_if_the_server_failed(server: AnyServer) -> None:
    for number, reason in server.failures.items():
        raise RuntimeError(f"worker {number} died in this run: {reason!r}") from reason
    for number, reason in server.faults.items():
        raise RuntimeError(
            f"an error in worker {number} ended a connection in this run: {reason!r}"
        ) from reason


@contextlib.contextmanager
def _surroundings(seen: _Observed) -> Iterator[None]:
    """Note what the machine did meanwhile: throttling, connections dropped."""
    throttled, dropped = limits.throttling(), _listen_drops()
    yield
    seen.throttling = limits.throttling().since(throttled)._asdict()
    dropped_since = _listen_drops()
    if dropped is not None and dropped_since is not None:
        seen.drops = dropped_since.since(dropped)._asdict()


def _listen_drops() -> backlog.Drops | None:
    """Return the counts of full accept queues, None where the kernel has none."""
    try:
        return backlog.listen_drops()
    except OSError:
        return None


def _report(requested: dict[str, Any], server: AnyServer, seen: _Observed) -> Run:
    """Check, and make the tables and figures of a stopped server's run."""
    rows, accepts = server.snapshot(), server.accepts()
    dropped, waiting = server.accepts_dropped(), server.waiting()
    found = conservation.checks(rows, len(accepts), dropped, waiting, seen.load)
    conservation.require(found)
    actual = {
        "server": server.actual(),
        "load": seen.load.recorded(),
        "sample_rate_per_s": seen.sampler.rate_per_s if seen.sampler else None,
    }
    return Run(
        settings={"requested": requested, "actual": actual},
        machine=machine().as_dict(),
        figures={
            **report.run_figures(rows, accepts, seen.held, seen.load),
            "conserved": True,
            "settled": seen.settled,
            "sampler_cost_percent": _cost(seen.sampler),
            "throttling": seen.throttling,
            "listen_queue": seen.drops,
        },
        workers=counters.table(rows),
        accepts=accepts,
        samples=_samples(seen.sampler),
        requests=seen.load.requests,
        connections=seen.load.connections,
        checks=conservation.table(found),
    )


def _cost(sampler: Sampler | None) -> float | None:
    return None if sampler is None else round(sampler.cost_percent(), 2)


def _samples(sampler: Sampler | None) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame() if sampler is None else sampler.samples()


def _split(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the server's settings and the load's."""
    known(settings, SERVER_FIELDS | LOAD_FIELDS)
    for_server = {key: settings[key] for key in settings if key in SERVER_FIELDS}
    return for_server, {key: settings[key] for key in settings if key in LOAD_FIELDS}


def _json_safe(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return settings as JSON would give them back: lists, not tuples."""
    return {name: list(x) if isinstance(x, tuple) else x for name, x in items}


def _log_capacity(settings: LoadSettings) -> int:
    """Return room for every accept of the load, if they can be known."""
    return min(settings.rows()[0], LOG_LIMIT)


def _raise_limit(stack: contextlib.ExitStack, settings: LoadSettings) -> None:
    """Allow as many descriptors as the load holds open at once."""
    wanted = settings.descriptors() + OWN_DESCRIPTORS
    stack.enter_context(limits.raised_descriptor_limit(wanted))
