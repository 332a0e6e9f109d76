"""What a server is asked to be: settings, checked when they are made.

A setting that cannot be honoured raises here, before a socket is open, and the
message names the value and the remedy. What was asked for is kept as it was
asked for; what the server made of it is in `Server.actual()`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from netlab.checks import finite, whole_number
from netlab.kernel import machine
from netlab.kernel.addresses import Address, is_local, parse
from netlab.server import engines, strategies
from netlab.server.bounds import Bounds, descriptors_in_use, descriptors_left
from netlab.server.loops import Watching

WORKERS_LIMIT = 1024
ROTATION_LIMIT = 1 << 20
SLOWNESS_LIMIT = 100  # of a spin of at most 0.1 s
SHORTEST_TIMEOUT_S, LONGEST_TIMEOUT_S = 0.1, 86_400.0
CONNECTIONS_LIMIT = 1 << 20
LOG_LIMIT, SEED_LIMIT = 1 << 24, (1 << 63) - 1
LIMITS = {"accept_log": LOG_LIMIT, "turn_log": LOG_LIMIT, "place_seed": SEED_LIMIT}
SOMAXCONN = "/proc/sys/net/core/somaxconn"
BACKLOG = 4096  # the kernel's own default limit since Linux 5.4
REMOTE_MEANS = (
    "other machines can reach this server, and whoever does can make this machine "
    "work: nobody is asked who they are, and nothing is encrypted"
)


class RemoteAccess(UserWarning):
    """A server can be reached from other machines, which was asked for."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """The settings of one server.

    workers: how many, each with its own loop; default: one per CPU we own.
    strategy: a name from the strategy table.
    engine: what runs the workers' loops: "python" (interpreted) or "compiled".
    workers_as: "threads" of this process, or "processes" forked from a host of
        their own, as nginx and gunicorn do.
    loop: "epoll", or "select" as the original also had; default: the strategy's.
    rotate_every: strategy exclusive-rotate: accepts after which a worker registers
        anew, 0 for never; default: 16, as nginx.
    listen: addresses, "HOST:PORT" or "[HOST]:PORT", shared by all workers.
    backlog: connections that may wait to be accepted; default: as many as the
        kernel allows, at most 4096.
    pin: bind worker i to the i-th CPU we may use (modulo their number).
    register_order: the order in which workers begin to watch the listeners. Under
        `level` the kernel wakes the one that registered last first.
    accept_log: how many accepts each worker's log has room for.
    incoming_cpu: note each accept's SO_INCOMING_CPU too, for one system call more.
    turn_log: how many turns each worker's log of them has room for; 0: none is kept.
    slow: (worker, factor): what one worker spins for a request takes it so many times
        longer, as if its CPU were slower.
    place_seed: of what a strategy draws that hands over (handoff-two-choices).
    client_timeout_s: how long a client may take to end a request that it has begun, to
        read more of its answer, or to leave after a refusal; then it is closed. Who
        has asked for nothing may stay.
    max_connections: open at once (of worker processes: in each); at most one more a
        worker. Further ones wait in the backlog. Default: as many as there are
        descriptors for, less some for this process itself.
    allow_remote: permit an address that other machines can reach: all who reach it can
        make this machine work, as nobody is asked who they are.

    Raises ValueError for a value that cannot be honoured.
    """

    workers: int | None = None
    strategy: str = "level"
    engine: str = "python"
    workers_as: str = "threads"
    loop: str | None = None
    rotate_every: int | None = None
    listen: tuple[str, ...] = ("127.0.0.1:0",)
    backlog: int | None = None
    pin: bool = True
    register_order: tuple[int, ...] | None = None
    accept_log: int = 1 << 16
    incoming_cpu: bool = False
    turn_log: int = 0
    slow: tuple[int, int] | None = None
    place_seed: int = 1
    client_timeout_s: float = 10.0
    max_connections: int | None = None
    allow_remote: bool = False

    def __post_init__(self) -> None:
        machine.require_linux()
        row = strategies.find(self.strategy)
        self._check_listen()
        engine = engines.find(self.engine)
        row.refuse_unless_possible(
            engine=self.engine,
            workers_as=self.workers_as,
            loop=self.loop,
            addresses=len(self.listen),
        )
        engine.refuse_unless_possible(self.how().loop)
        whole_number("workers", self.workers, 1, WORKERS_LIMIT)
        for name, limit in LIMITS.items():
            value = getattr(self, name)
            whole_number(name, value, 0, limit)
            if value is None:
                raise ValueError(f"{name}=None: give a whole number, such as 0")
        self._check_bounds()
        self._check_rotation(row)
        self._check_slow()
        self._check_flags()
        self._check_order()
        self._check_backlog()
        for address in self.addresses():
            self._check_reach(address)

    def addresses(self) -> list[Address]:
        """Return what `listen` names, parsed."""
        return [parse(text) for text in self.listen]

    def worker_count(self) -> int:
        """Return how many workers to start: as asked, or one per CPU we own."""
        return self.workers or machine.cpus_owned()

    def order(self) -> tuple[int, ...]:
        """Return the workers' numbers in the order in which they register."""
        if self.register_order is None:
            return tuple(range(self.worker_count()))
        return self.register_order

    def how(self) -> Watching:
        """Return how the workers wait: the strategy's way, with what was asked for."""
        how = strategies.find(self.strategy).how
        if self.loop is not None:
            how = how._replace(loop=self.loop)
        if self.rotate_every is not None:
            how = how._replace(rotate_every=self.rotate_every)
        return how

    def bounds(self) -> Bounds:
        """Return what a client may cost."""
        return Bounds(
            client_timeout_s=float(self.client_timeout_s),
            max_connections=self.max_connections or 0,
            in_use=descriptors_in_use(),
            apart=self.workers_as == "processes",
        )

    def warn_if_remote(self) -> None:
        """Say what it means if other machines can reach the server."""
        reached = [str(one) for one in self.addresses() if not is_local(one)]
        if reached:
            said = f"{', '.join(reached)}: {REMOTE_MEANS}"
            warnings.warn(said, RemoteAccess, stacklevel=3)

    def _check_bounds(self) -> None:
        finite("client_timeout_s", self.client_timeout_s, SHORTEST_TIMEOUT_S)
        if self.client_timeout_s is None or self.client_timeout_s > LONGEST_TIMEOUT_S:
            raise ValueError(
                f"client_timeout_s={self.client_timeout_s}: give a number of seconds "
                f"from {SHORTEST_TIMEOUT_S} to {LONGEST_TIMEOUT_S:.0f}"
            )
        whole_number("max_connections", self.max_connections, 1, CONNECTIONS_LIMIT)
        left = descriptors_left(descriptors_in_use())
        if self.max_connections and self.max_connections > left:
            raise ValueError(
                f"max_connections={self.max_connections}: this process has descriptors "
                f"for {left}; raise its limit first (ulimit -n, or "
                "netlab.kernel.limits.raised_descriptor_limit)"
            )

    def _check_rotation(self, row: strategies.Strategy) -> None:
        whole_number("rotate_every", self.rotate_every, 0, ROTATION_LIMIT)
        if self.rotate_every is not None and not row.how.rotate_every:
            raise ValueError(
                f"rotate_every={self.rotate_every}: strategy {row.name!r} does not "
                "register anew; use strategy='exclusive-rotate'"
            )

    def _check_slow(self) -> None:
        if self.slow is None:
            return
        last, slow = self.worker_count() - 1, self.slow
        listed = isinstance(slow, (tuple, list)) and len(slow) == 2
        if not listed or not all(type(number) is int for number in slow):
            raise ValueError(f"slow={slow!r}: give (worker, factor), such as (0, 5)")
        whole_number("slow: the worker", slow[0], 0, last)
        whole_number("slow: the factor", slow[1], 1, SLOWNESS_LIMIT)

    def _check_flags(self) -> None:
        for name in ("pin", "allow_remote", "incoming_cpu"):  # "no" would count as yes
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ValueError(f"{name}={value!r}: give True or False")

    def _check_order(self) -> None:
        count, order = self.worker_count(), self.order()
        listed = isinstance(order, (tuple, list))
        if not listed or not all(type(number) is int for number in order):
            raise ValueError(
                f"register_order={order!r}: give a list of whole numbers, such as "
                f"{list(range(count))}"
            )
        if sorted(order) != list(range(count)):
            raise ValueError(
                f"register_order={order}: name each of the {count} workers "
                f"0 to {count - 1} once"
            )

    def _check_backlog(self) -> None:
        limit, value = somaxconn(), self.backlog
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (whole and 1 <= value <= limit):
            raise ValueError(
                f"backlog={value!r}: this kernel allows 1 to {limit}; "
                "raise the sysctl net.core.somaxconn for more"
            )

    def _check_listen(self) -> None:
        texts = self.listen if isinstance(self.listen, (tuple, list)) else ()
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError(
                f'listen={self.listen!r}: give a list, such as ["127.0.0.1:0"]'
            )

    def _check_reach(self, address: Address) -> None:
        if not self.allow_remote and not is_local(address):
            raise ValueError(
                f"{address} can be reached from other machines, and netlab's server "
                "lets anybody make it work: use 127.0.0.1 or ::1, or pass "
                "allow_remote=True if that is what you want"
            )


def somaxconn() -> int:
    """Return the kernel's limit for a backlog (net.core.somaxconn)."""
    try:
        with open(SOMAXCONN) as file:
            return int(file.read())
    except OSError:
        return BACKLOG
