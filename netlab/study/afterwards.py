"""An idle burst that begins to ask: what its placement costs afterwards.

Facts. Who owns the connections of an idle burst is decided in a millisecond, and stays
so. As long as they are idle, nothing is wrong: a worker with twelve sleeping clients
works as little as one with none. The bill comes with their first requests.

Decision. Plan `burst` connects all sockets in one go, and only then do they ask, each
REQUESTS times for SPIN_US of work, one after the other. Each client is bound to its
connection, and that to its owner, so all is over when the worker with the most
connections has done its work: 8 ms for each of them. Two workers, so that on two CPUs
or more no two of them share one; spread evenly, 12 connections take 48 ms, and on one
worker 96.

A load at a rate of its own (plan `open`) would not do: its requests take whichever
connection is free, and so flee from a worker that is behind.

What may not be put here: the burst alone (`sharing`), and drawing.
"""

from __future__ import annotations

from typing import Any

from netlab.server import strategies
from netlab.study.interleave import Measured, Point
from netlab.study.sharing import BURST_CONNECTIONS, top_share

WORKERS, REQUESTS, SPIN_US = 2, 20, 400
WORK_MS = REQUESTS * SPIN_US / 1e3  # of each connection


def afterwards_point(name: str) -> Point:
    """Return a run in which idle connections come at once, and then all ask."""
    settings = {
        "strategy": name,
        "engine": strategies.find(name).engines[-1],
        "workers": WORKERS,
        "plan": "burst",
        "connections": BURST_CONNECTIONS,
        "requests": REQUESTS,
        "path": f"/spin/{SPIN_US}",
        "sample_rate_per_s": None,
    }
    return Point({"strategy": name}, settings)


def afterwards_row(measured: Measured) -> dict[str, Any]:
    """Return the top worker's share, and how long it took until all were answered."""
    asked = measured.run.requests
    began = asked["start_ns"].to_numpy()
    ended = began + asked["latency_ns"].to_numpy()
    return measured.labels | {
        "workers": WORKERS,
        "connections": len(measured.run.accepts),
        "top_share_percent": top_share(measured),
        "duration_s": round(float(ended.max() - began.min()) / 1e9, 5),
    }
