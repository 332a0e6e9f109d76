"""The live picture on the page: moving, held still, ended or failed.

Decision. While it moves it is the picture alone; when it stands still it has its table,
as every figure has (a table that is written anew five times a second would fold itself
away under the reader's hand). It is an <img>, since JupyterLab drops drawings that
stand in the page itself from pages that it does not trust, and keeps pictures.

Two threads draw: the one that looks, and the reader's, who pauses; so it takes a lock.

What may not be put here: anything that reads a server, and what a picture consists of.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from netlab.show.figures import card
from netlab.show.live_svg import Words, svg
from netlab.show.live_tables import live_alt, live_table
from netlab.show.screen import Button, Place
from netlab.show.svg_marks import WIDTH_PX

if TYPE_CHECKING:
    from netlab.watch.lately import Lately, Looks

FIRST_S = 2.0  # to wait for the first picture, beside busy workers
TOLD_LETTERS = 44  # have room in the picture's head
NOTHING = "Nothing was seen."
CLASS = "netlab-live"  # by which a page's moving pictures are found


class LivePage:
    """What is shown of some looks; `cost` says what the showing costs.

    rates_s: how far back the rates are drawn. stamp: the line below the picture.
    """

    def __init__(
        self, looks: Looks, rates_s: float, stamp: str, cost: Callable[[], str]
    ) -> None:
        self._looks, self._cost = looks, cost
        self._rates_s, self._stamp = rates_s, stamp
        self._place, self._button = Place(), Button(self._toggle)
        self._lock = threading.RLock()
        self._first = threading.Event()
        self._over, self._error = False, ""
        self._held: dict[str, str] | None = None  # what is shown while it is paused

    def show(self) -> None:
        """Put the picture, and while it moves its button, under the running cell."""
        self._first.wait(FIRST_S)
        with self._lock:
            if not self._over:
                self._button.show("Pause")
            self._place.show(self.bundle())

    def draw(self) -> None:
        """Write the picture anew, unless it is held still."""
        self._first.set()
        with self._lock:
            if self._held is not None:
                return
            self._place.update(self.bundle())
            if self._over:
                self._button.remove()

    def pause(self) -> None:
        """Hold it still; what has ended stands still anyway."""
        with self._lock:
            if self._over or self._held is not None:
                return
            self._held = self._bundle("paused")
            self._button.say("Resume")
            self._place.update(self._held)

    def resume(self) -> None:
        """Let it move again, or show how it ended."""
        with self._lock:
            self._held = None
            self._button.say("Pause")
            self.draw()

    def end(self, error: Exception | None) -> None:
        """Draw it a last time, and say in it what went wrong."""
        self._over, self._error = True, str(error or "")
        self.draw()

    def _toggle(self) -> None:
        (self.pause if self._held is None else self.resume)()

    def words(self) -> str:
        """Return the picture in words."""
        return self.bundle()["text/plain"]

    def bundle(self) -> dict[str, str]:
        """Return what the page shows, by the name of its form."""
        state = "failed" if self._error else "ended" if self._over else "live"
        return self._held or self._bundle(state)

    def _bundle(self, state: str) -> dict[str, str]:
        seen = self._looks.now()
        if seen is None:
            return {"text/html": f"<em>{NOTHING}</em>", "text/plain": NOTHING}
        said = Words(state, self._told(seen), self._cost(), self._rates_s)
        drawn = base64.b64encode(svg(seen, said).encode()).decode("ascii")
        words = live_alt(seen, said)
        table = None if state == "live" else live_table(seen)
        source = f"data:image/svg+xml;base64,{drawn}"
        html = card(source, WIDTH_PX, words, self._stamp, table)
        return {"text/html": f'<div class="{CLASS}">{html}</div>', "text/plain": words}

    def _told(self, seen: Lately) -> str:
        made, _ = seen.in_all
        told = self._error or f"{seen.age_s:.1f} s, {made:,} connections"
        return told[:TOLD_LETTERS]
