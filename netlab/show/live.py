"""A live picture of a server's workers, while load runs: who accepts, and where.

    with live.watch(server):                     moves while the block runs
        netlab.fire(server, connections=5000)

    picture = live.fire(server, duration_s=6)    fires in the background, and
    picture                                      the cell returns: others can run
    picture.pause()                              in the next cell, or by the button
    picture.resume()
    load = picture.wait()                        the load's rows, or what went wrong

Facts. A thread beside the workers shares their CPUs, and the interpreter's lock with
interpreted ones. What it reads wakes no worker (`watch.lately` says what that is).
What it takes is CPU time, and meanwhile the GIL: an interpreted worker that wants it
then sleeps, and that sleep is one of the wake-ups in the picture.

Measured with four interpreted workers under a closed load of 16 clients, 2 CPUs that
had other work too, 8 runs of each kind in turn (`python -m benchmarks.picture`): 1.7 ms
a picture, 0.9 % of one CPU. Medians without and with it: 20.1 and 19.1 wake-ups per
accept, 15,184 and 15,227 requests a second, p50 894 and 886 us, p99 3.2 and 3.5 ms. The
runs of one kind were farther apart than that: no effect was seen, and a small one may
be hidden.

Decision. A thread looks and draws at a steady rate (5 a second), and sends the picture
as one text (`live_svg`, `screen`). It says in the picture what it costs, measured as it
runs. It knows the server only weakly, and knows nothing of the `Picture` that a reader
holds. So it ends with whichever comes first: the load, the server, `close`, the `with`
block, an interrupt of `wait`, the picture's last name, its cell run again, LONGEST_S,
the process. Then it looks a last time, and what is drawn last stays in the saved page,
with its table. What goes wrong in a thread is told in the picture, and raised by
`wait`.

Known limits. What JupyterLab and the browser need to show it is theirs, and in no
number here. An interrupt while no cell runs reaches nobody: say `close`. A server that
publishes no counters (`attach`) accepts nothing in this picture.

What may not be put here: what is drawn (`live_svg`, `live_tables`), and what is read
(`watch.lately`).
"""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections.abc import Callable
from typing import Any

from netlab.checks import finite
from netlab.kernel import machine
from netlab.load import background
from netlab.load.background import Background
from netlab.load.generator import Generator
from netlab.load.result import LoadResult
from netlab.server import cells
from netlab.show import figures
from netlab.show.live_page import LivePage
from netlab.watch.lately import Looks
from netlab.watch.regularly import Regularly
from netlab.watch.watched import Watched

RATE_PER_S = 5.0
LOWEST_PER_S, HIGHEST_PER_S = 0.5, 20.0  # faster, nobody sees more, and it disturbs
LATELY_S, RATES_S = 3.0, 10.0
LONGEST_S = 3600.0  # one that was forgotten ends, too


class Picture:
    """What a reader holds: a picture that moves until all is over, and then stays.

    As a context manager it shows itself, and moves until the block's end.
    """

    def __init__(self, server: Watched, rate_per_s: float) -> None:
        _check_rate(rate_per_s)
        self._watching = _Watching(server, rate_per_s)
        self._load: Background | None = None
        self._server = weakref.ref(server)
        _close_predecessors(self)
        self._finalizer = weakref.finalize(self, _end, self._watching.regularly, [])
        self._watching.regularly.start()

    def __enter__(self) -> Picture:
        self._ipython_display_()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return self._watching.page.words()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return self._watching.page.bundle()

    def _ipython_display_(self) -> None:
        self._watching.page.show()

    @property
    def server(self) -> Any:
        """The server that is watched; None if it is gone."""
        return self._server()

    @property
    def running(self) -> bool:
        """Whether it still looks."""
        return self._watching.regularly.running

    def cost(self) -> tuple[float, float]:
        """Return what it took: ms of CPU time a picture, and percent of one CPU."""
        return self._watching.regularly.cost()

    def fire(
        self, generator: Generator, owned: contextlib.ExitStack, load: dict[str, Any]
    ) -> None:
        """Fire a load in the background; the picture ends with it."""
        regularly = self._watching.regularly
        ended = self._watching.load_ended
        self._load = Background(self.server, generator, owned, ended, **load)
        self._finalizer.detach()
        self._finalizer = weakref.finalize(self, _end, regularly, [self._load])

    def pause(self) -> None:
        """Hold the picture still, with its table; load and looks go on."""
        self._watching.page.pause()

    def resume(self) -> None:
        """Let it move again; if all is over, show how it ended."""
        self._watching.page.resume()

    def wait(self) -> LoadResult | None:
        """Wait until all is over and show the last picture; return the load's rows.

        Without a load it waits for the server's stop, and returns None. Raises what
        went wrong with the load, or with the picture. An interrupt closes it.
        """
        try:
            result = self._load.wait() if self._load else None
            self._watching.regularly.wait()
        except KeyboardInterrupt:
            self.close()
            raise
        finally:
            self._watching.page.resume()
        if (error := self._watching.regularly.error) is not None:
            raise error
        return result

    def close(self) -> None:
        """End it, and its load if one runs; the last picture stays. May be repeated."""
        self._finalizer()
        self._watching.page.resume()


def watch(server: Watched, rate_per_s: float = RATE_PER_S) -> Picture:
    """Return a live picture of a running server, until it stops.

    rate_per_s: pictures a second.

    Raises ValueError for a rate that there is not, RuntimeError for a stopped server.
    """
    if not server.running:
        raise RuntimeError(f"{server!r} does not run: there is nothing to watch")
    return Picture(server, rate_per_s)


def fire(
    server: Watched | Callable[[], Any], rate_per_s: float = RATE_PER_S, **load: Any
) -> Picture:
    """Fire a load in the background, and return a live picture of it.

    server: a running one; or a function that makes one for this load alone, a context
    manager that is left when the load is over.
    load: the settings of `LoadSettings`.

    Raises TypeError or ValueError for settings that cannot be honoured. What comes
    later, `Picture.wait` raises.
    """
    background.check(load)
    _check_rate(rate_per_s)
    with contextlib.ExitStack() as opened:
        if callable(server):
            server = opened.enter_context(server())
        generator = opened.enter_context(Generator())
        generator.start()
        picture = watch(server, rate_per_s)
        picture.fire(generator, opened.pop_all(), load)
    return picture


class _Watching:
    """The thread's half: it looks at a server, and tells the page to draw."""

    def __init__(self, server: Watched, rate_per_s: float) -> None:
        self._server = weakref.ref(server)
        self._looks = Looks(LATELY_S, RATES_S, 0.5 / rate_per_s)
        self._looks.look(server)
        self._ends_s = time.monotonic() + LONGEST_S
        self._error: Exception | None = None
        self.regularly = Regularly(
            "netlab-picture", rate_per_s, self._act, self._finish
        )
        stamp = figures.stamp(machine.machine().as_dict(), engine=_engine(server))
        self.page = LivePage(self._looks, RATES_S, stamp, self._cost)

    def _act(self) -> bool:
        """Look and draw; False if there is nothing more to see."""
        if time.monotonic() > self._ends_s or not self._look():
            return False
        self.page.draw()
        return True

    def _look(self) -> bool:
        server = self._server()
        if server is None or not server.running:
            return False
        try:
            self._looks.look(server)
        except (LookupError, OSError):
            pass  # one of its threads is going, or no descriptor is left: next time
        return True

    def _finish(self) -> None:
        self._look()
        self.page.end(self._error or self.regularly.error)

    def load_ended(self, error: Exception | None) -> None:
        """End with the load, and tell what became of it."""
        self._error = error
        self.regularly.end()

    def _cost(self) -> str:
        ms, percent = self.regularly.cost()
        return (
            f"This picture: {self.regularly.rate_per_s:g} a second, {ms:.1f} ms of CPU "
            f"time each, {percent:.1f} % of one CPU. What it reads wakes no worker."
        )


_made: weakref.WeakKeyDictionary[Picture, cells.Origin] = weakref.WeakKeyDictionary()


def _close_predecessors(picture: Picture) -> None:
    """Close the pictures that an earlier run of the current cell left moving."""
    origin = cells.current_origin()
    if origin is None:
        return
    for other, made in list(_made.items()):
        if made.cell == origin.cell and made.run != origin.run:
            other.close()
    _made[picture] = origin


def _end(regularly: Regularly, loads: list[Background]) -> None:
    for load in loads:
        load.cancel()
    regularly.end()


def _check_rate(rate_per_s: float) -> None:
    finite("rate_per_s", rate_per_s, LOWEST_PER_S)
    if rate_per_s is None or rate_per_s > HIGHEST_PER_S:
        raise ValueError(
            f"rate_per_s={rate_per_s}: at most {HIGHEST_PER_S:g}; nobody would see "
            "more, and the picture would disturb what it shows"
        )


def _engine(server: Any) -> str:
    """Return what runs the workers' loops, as the line below a figure says it."""
    own = "python" if server.pid == os.getpid() else "of another program"
    return getattr(getattr(server, "settings", None), "engine", own)
