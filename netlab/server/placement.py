"""Who keeps a new connection: the rule between accept and the first read.

A rule takes the worker that accepted and returns the worker that shall own the
connection from now on, one of `acceptor.peers`. The original has the simplest: the
winner keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.server.worker import Worker


def keep(acceptor: Worker) -> Worker:
    """Let the worker that accepted serve the connection."""
    return acceptor
