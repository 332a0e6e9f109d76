"""Compile the loops of server and load, so that nobody has to wait for it later.

python tools/warm_up.py

Does nothing that a server's or a load's first start would not do as well; a second
time it takes a second.
"""

from __future__ import annotations

from netlab.load.child import Child
from netlab.server import engines


def main() -> None:
    """Compile what has to be compiled."""
    Child().end()
    if engines.find("compiled").missing() is None:
        from netlab.server import compiled_worker

        compiled_worker.warm_up()


if __name__ == "__main__":
    main()
