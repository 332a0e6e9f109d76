"""The engines: what runs the workers' loops.

    python    `worker`, interpreted: the text that the course reads. Its threads take
              turns under the GIL, and their waits for it are counted as wake-ups; in
              processes, or in a Python without a GIL, they are not.
    compiled  `compiled`, the same loop on flat arrays in machine code, which needs no
              GIL: it shows the kernel itself, and leaves the interpreter to others.

The difference between the two is the GIL, and is a subject of the course. What an
engine cannot do on this machine is refused with the reason.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.kernel import machine
from netlab.server.ways import LOOPS
from netlab.server.worker import Worker

if TYPE_CHECKING:
    from netlab.server.outfit import Outfit, Working


class Engine(NamedTuple):
    """One row: `prepare` once for a server in each process, then `make` a worker.

    `is_interpreted` tells whether it runs in the interpreter after all.
    """

    name: str
    summary: str
    loops: tuple[str, ...]
    prepare: Callable[[Outfit], Any]
    make: Callable[[Outfit, int, Any], Working]
    missing: Callable[[], str | None]
    is_interpreted: Callable[[], bool]

    def refuse_unless_possible(self, loop: str) -> None:
        """Raise ValueError with the reason if this engine cannot run like that."""
        if loop not in self.loops:
            raise ValueError(
                f"loop={loop!r}: engine {self.name!r} waits with "
                f"{' or '.join(self.loops)}"
            )
        if reason := self.missing():
            raise ValueError(f"engine={self.name!r}: {reason}; use engine='python'")


def _nothing() -> None:
    return None


def _common(outfit: Outfit) -> Any:
    return LOOPS[outfit.how.loop].common()


def _interpreted(outfit: Outfit, number: int, common: Any) -> Working:
    return Worker(number, outfit, LOOPS[outfit.how.loop](outfit.how, common))


def _compiler_missing() -> str | None:
    if machine.free_threaded_build():
        return "Numba does not run on a free-threaded Python"
    if importlib.util.find_spec("numba") is None:
        return "it needs Numba, which is not installed here (pip install numba)"
    return None


def _not_compiled() -> bool:
    from netlab.kernel import native

    return not native.COMPILED


def _load_compiled(outfit: Outfit) -> Any:
    from netlab.server import compiled_worker

    return compiled_worker.prepare(outfit)


def _compiled(outfit: Outfit, number: int, common: Any) -> Working:
    from netlab.server.compiled_worker import CompiledWorker

    return CompiledWorker(number, outfit, common)


ENGINES = (
    Engine(
        name="python",
        summary="interpreted; threads take turns under the GIL, if there is one",
        loops=tuple(LOOPS),
        prepare=_common,
        make=_interpreted,
        missing=_nothing,
        is_interpreted=lambda: True,
    ),
    Engine(
        name="compiled",
        summary="machine code by Numba, without the GIL",
        loops=("epoll", "one epoll"),
        prepare=_load_compiled,
        make=_compiled,
        missing=_compiler_missing,
        is_interpreted=_not_compiled,
    ),
)


def find(name: str) -> Engine:
    """Return the engine called `name`; raises ValueError that lists the names."""
    for engine in ENGINES:
        if engine.name == name:
            return engine
    known = " and ".join(engine.name for engine in ENGINES)
    raise ValueError(f"engine={name!r}: there are {known}")
