"""Compile the loops of server, load and studies, so that nobody waits for it later.

python tools/warm_up.py

Does nothing that a server's or a load's first start would not do as well; a second
time it takes a second.
"""

from __future__ import annotations

from netlab.load.child import Child
from netlab.server import engines
from netlab.study.idle import idle_clients


def main() -> None:
    """Compile what has to be compiled."""
    Child().end()
    if engines.find("compiled").missing() is None:
        from netlab.server import compiled_worker

        compiled_worker.warm_up()
        idle_clients(1, progress=False, idle=(1,), busy=(), turns=1)


if __name__ == "__main__":
    main()
