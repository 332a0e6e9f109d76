"""Make the picture at the head of the README: `make picture`.

Six workers, as in the original post's process list, and 200 connections.
"""

from __future__ import annotations

from pathlib import Path

import netlab
from netlab.show import figures
from netlab.show.plots import PLOTS

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "picture.png"


def main() -> None:
    """Run, draw, save, and say in words what the picture shows."""
    with netlab.Server(workers=6) as server:
        netlab.fire(server, connections=50)  # the first of a process does not count
        before = server.counters()
        netlab.fire(server, connections=200, requests=5)
        server.settle()
        after, threads = server.counters(), netlab.ps(server)
    took = after.assign(accepted=after["accepted"] - before["accepted"])
    row = PLOTS["accepts_beside_ps"]
    axes = row.draw(took, threads=threads)
    stamp = figures.stamp(netlab.machine().as_dict(), engine="python")
    figures.figure_of(axes).supxlabel(stamp, fontsize="x-small")
    shown = figures.show(axes, stamp=stamp, alt=row.alt(took, threads=threads))
    shown.save(PICTURE)
    print(shown.alt)
    print(stamp)


if __name__ == "__main__":
    main()
