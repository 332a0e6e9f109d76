"""netlab: how a multi-core Linux server hands out its connections.

The rooms, in the order in which one run goes through them:

    kernel   what this machine is, its threads, limits and queues
    server   BUILD: strategies, listeners, loops, placement, workers
    stages   the same built step by step, six small servers and their suite
    load     FIRE: clients in a process of their own
    watch    WATCH: where the workers' threads are, from outside
    study    STUDY: a run: server, load and watching, checked before it is reported
    show     SHOW: figures from tables

`records`, `counters` and `protocol` lie below them all. The names here are
imported when they are first used: `import netlab` loads none of NumPy, pandas
or Matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Server": "netlab.server.server",
    "fire": "netlab.load.generator",
    "Generator": "netlab.load.generator",
    "attach": "netlab.watch.attach",
    "ps": "netlab.watch.ps",
    "Sampler": "netlab.watch.sampler",
    "Trace": "netlab.watch.trace",
    "run": "netlab.study.experiment",
    "Run": "netlab.study.run",
    "sweep": "netlab.study.sweep",
    "doctor": "netlab.kernel.doctor",
    "machine": "netlab.kernel.machine",
}
__all__ = [
    "Generator",
    "Run",
    "Sampler",
    "Server",
    "Trace",
    "attach",
    "doctor",
    "fire",
    "machine",
    "ps",
    "run",
    "sweep",
]

if TYPE_CHECKING:
    from netlab.kernel.doctor import doctor
    from netlab.kernel.machine import machine
    from netlab.load.generator import Generator, fire
    from netlab.server.server import Server
    from netlab.study.experiment import run
    from netlab.study.run import Run
    from netlab.study.sweep import sweep
    from netlab.watch.attach import attach
    from netlab.watch.ps import ps
    from netlab.watch.sampler import Sampler
    from netlab.watch.trace import Trace


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(
            f"netlab has no name {name!r}: it has {', '.join(__all__)}"
        )
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
