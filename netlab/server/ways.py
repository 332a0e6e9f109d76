"""The ways to wait, by name: what a row of the strategy table may ask for."""

from __future__ import annotations

from typing import Any

from netlab.server.blocking import BlockingLoop
from netlab.server.loops import EpollLoop, SelectLoop
from netlab.server.shared_loops import MutexLoop, NestedLoop, OneEpollLoop
from netlab.server.uring import MultishotLoop, UringLoop

LOOPS: dict[str, type[Any]] = {
    "epoll": EpollLoop,
    "select": SelectLoop,
    "one epoll": OneEpollLoop,
    "nested epoll": NestedLoop,
    "epoll and mutex": MutexLoop,
    "accept": BlockingLoop,
    "io_uring": UringLoop,
    "io_uring multishot": MultishotLoop,
}
