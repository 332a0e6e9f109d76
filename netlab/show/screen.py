"""A place in a notebook's page that is written anew: what is shown there, and a button.

Facts. A kernel can send an output under a name and send it again later; JupyterLab then
draws the new one in the old one's place, whichever cell runs by then, and saves the
last one with the page. It needs no script and no package. What is printed from a thread
lands under whichever cell runs, so nothing here prints. A click on a widget is handled
when no cell runs: beside a cell that waits, a button is dead.

Decision. Outside of a notebook's kernel nothing is sent. The button is an extra:
without ipywidgets there is none, and what it does can be said in a cell. When all is
over its place is emptied, because a saved page without a kernel cannot draw a widget.

What may not be put here: what is shown.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from typing import Any

NOTHING = {"text/html": "", "text/plain": ""}


def publisher() -> Any | None:
    """Return what sends outputs to the page; None outside of a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "display_pub", None) if hasattr(shell, "kernel") else None


class Place:
    """One named output: in no cell before `show`, in several after several."""

    def __init__(self) -> None:
        self._named = {"display_id": f"netlab-{uuid.uuid4().hex}"}
        self._shown = False

    def show(self, bundle: dict[str, str]) -> None:
        """Put it under the running cell, too."""
        if (page := publisher()) is not None:
            page.publish(bundle, {}, transient=self._named)
            self._shown = True

    def update(self, bundle: dict[str, str]) -> None:
        """Write it anew wherever it is."""
        if self._shown and (page := publisher()) is not None:
            page.publish(bundle, {}, transient=self._named, update=True)


class Button:
    """A button that calls `clicked`, if this notebook has widgets."""

    def __init__(self, clicked: Callable[[], None]) -> None:
        self._place, self._clicked = Place(), clicked
        self._widget: Any = None

    def show(self, words: str) -> None:
        """Put it under the running cell; once, since one is enough."""
        if self._widget is not None or publisher() is None:
            return
        try:
            from ipywidgets import Button
        except ImportError:
            return
        self._widget = Button(description=words)
        self._widget.on_click(lambda _: self._clicked())
        self._place.show(self._widget._repr_mimebundle_())

    def say(self, words: str) -> None:
        """Change what is written on it."""
        if self._widget is not None:
            self._widget.description = words

    def remove(self) -> None:
        """Take it off the page; more calls do nothing."""
        if self._widget is not None:
            self._place.update(NOTHING)
            self._widget.close()
            self._widget = None
