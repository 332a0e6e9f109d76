"""One cell, one server: what happens when a notebook's cell is run again.

Facts. A cell that says `server = netlab.Server(...)` and is run a second time
makes the new server before the name lets the old one go; and if the cell showed
the server, the notebook's `Out` keeps the old one for ever. With a fixed port
the second run would fail, without one it would leave threads behind.

Decision. A server remembers which cell made it (JupyterLab sends the cell's id
with the code) and in which run of the cell. A new server first stops those of
an earlier run of its own cell. Servers of other cells, several servers made in
one run, and servers outside notebooks are left alone.
"""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from netlab.server.server import Server


class Origin(NamedTuple):
    """The cell that made a server, and the message that ran it."""

    cell: str
    run: str


_made: weakref.WeakKeyDictionary[Server, Origin] = weakref.WeakKeyDictionary()


def stop_predecessors(server: Server) -> None:
    """Stop the servers that an earlier run of the current cell left running."""
    origin = current_origin()
    if origin is None:
        return
    for other, made in list(_made.items()):
        if made.cell == origin.cell and made.run != origin.run:
            other.stop()
    _made[server] = origin


def current_origin() -> Origin | None:
    """Return the notebook cell that is running now; None outside a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "get_parent"):  # a terminal has no cells
        return None
    parent = shell.get_parent()
    cell = parent.get("metadata", {}).get("cellId")
    return Origin(cell, parent["header"]["msg_id"]) if cell else None
