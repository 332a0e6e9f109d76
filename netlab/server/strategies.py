"""The strategy table: by which rule does a new connection find its worker?

The table is the documentation, the menu of the command line and the plan of the tests
at once. A strategy of one's own is one more row (`add`), often another's with a `place`
of its own. What a row consists of, and the rule that explains the orders, are told in
`strategy`.

`level`, the original's rule, in these terms. Each worker has an epoll of its own, and
each epoll puts an entry into the listener's wait queue. The entries are not exclusive,
so a new connection wakes all sleeping workers: N wake-ups for one connection (more for
interpreted threads, which then wait for the GIL). Then they race. One `accept` returns
the connection; the others' return EAGAIN, or never happen, because epoll looks at the
listener again inside the kernel before it returns to the program, and goes back to
sleep if the queue is empty by then.
"""

from __future__ import annotations

from netlab.kernel import sysctl
from netlab.server import listeners, placement
from netlab.server.loops import EDGE, EXCLUSIVE, ONESHOT, READ, Watching
from netlab.server.strategy import QUEUES, Strategy

PYTHON = ("python",)
THREADS = ("threads",)
MIGRATION = "net.ipv4.tcp_migrate_req"


# One strategy is one paragraph; a line for each argument would double the table.
# fmt: off
_BUILT_IN = (
    Strategy("blocking", "every worker sleeps in accept, serves a client to its end",
        listeners.blocking, Watching("accept"), placement.keep, "to the tail",
        "1: the kernel wakes one sleeper", engines=PYTHON, addresses="one",
        traps=("a worker with a quiet client takes nobody else: as many clients as "
               "workers, and the others wait",)),
    Strategy("level", "every worker watches every listener in its own loop; they race",
        listeners.shared_by_all, Watching(), placement.keep, "all wake",
        "N: all sleeping workers, for each connection", also=("select",),
        traps=("would-blocks do not count the herd: most of the woken workers sleep "
               "again inside the kernel",
               "interpreted threads also wait for the GIL, and those waits are counted "
               "as wake-ups too")),
    Strategy("level-drain", "as level, but who is awake accepts until there is none",
        listeners.shared_by_all, Watching(drain=True), placement.keep, "all wake",
        "N, and one more would-block a turn",
        traps=("each drain ends with an accept in vain: asyncio and most libraries "
               "count one would-block a turn, herd or not",)),
    Strategy("edge", "as level, but epoll tells of an arrival once: drain or lose it",
        listeners.shared_by_all, Watching(events=READ | EDGE, drain=True),
        placement.keep, "all wake", "N",
        traps=("who accepts once a turn leaves some behind until the next arrives",
               "while connections keep coming the drain does not end, and the clients "
               "of that worker wait")),
    Strategy("oneshot", "as level, but each epoll tells once and is armed again",
        listeners.shared_by_all, Watching(events=READ | ONESHOT), placement.keep,
        "all wake", "N, and a system call more for each",
        traps=("one-shot holds within one epoll: on separate ones it does not help",)),
    Strategy("one-epoll-level", "all workers wait in one epoll, level-triggered",
        listeners.shared_by_all, Watching("one epoll"), placement.keep, "head, twice",
        "2: a level-triggered epoll wakes the next waiter as well, mostly in vain",
        workers_as=THREADS, addresses="one",
        traps=("a client's next request may be served by another worker",)),
    Strategy("one-epoll-edge", "all workers wait in one epoll, edge-triggered",
        listeners.shared_by_all, Watching("one epoll", READ | EDGE, drain=True),
        placement.keep, "to the head", "1", workers_as=THREADS, addresses="one",
        traps=("a wait with a time limit queues its waiter elsewhere, and hides the "
               "order",)),
    Strategy("one-epoll-oneshot", "all workers wait in one epoll, one-shot",
        listeners.shared_by_all, Watching("one epoll", READ | ONESHOT), placement.keep,
        "to the head", "1, and a system call to arm it again", workers_as=THREADS,
        addresses="one",
        traps=("who forgets to arm the listener again hears of no connection",)),
    Strategy("exclusive", "every worker watches every listener, one is woken",
        listeners.shared_by_all, Watching(events=READ | EXCLUSIVE), placement.keep,
        "stays", "1, while the first registered sleeps", since="4.5",
        needs=("EPOLLEXCLUSIVE",),
        traps=("often called LIFO: it is the first registered that takes all, as long "
               "as it sleeps when a connection comes",
               "EPOLL_CTL_MOD, EPOLLONESHOT and EPOLLRDHUP with it are EINVAL")),
    Strategy("exclusive-rotate", "as exclusive, registered anew every so many accepts",
        listeners.shared_by_all, Watching(events=READ | EXCLUSIVE, rotate_every=16),
        placement.keep, "to the tail", "1, and two system calls a rotation",
        since="4.5", needs=("EPOLLEXCLUSIVE",),
        traps=("it evens out many accepts, not few: nginx rotates every 16",)),
    Strategy("handoff-round-robin", "one worker accepts and gives to each in turn",
        listeners.for_the_first, Watching(), placement.round_robin, "one acceptor",
        "1, and 1 of the owner at the client's first bytes", workers_as=THREADS,
        traps=("equal shares, whatever each of them costs",)),
    Strategy("handoff-least", "one worker accepts and gives to the least loaded",
        listeners.for_the_first, Watching(), placement.least, "one acceptor",
        "1, and 1 of the owner at the client's first bytes", workers_as=THREADS,
        traps=("fewest connections is not least work",
               "many acceptors that see the same numbers run to the same worker")),
    Strategy("handoff-two-choices", "one worker accepts, draws two, and gives to one",
        listeners.for_the_first, Watching(), placement.two_choices, "one acceptor",
        "1, and 1 of the owner at the client's first bytes", workers_as=THREADS,
        traps=("near the least loaded, not exactly it",)),
    Strategy("reuseport", "every worker has a listener of its own on the same port",
        listeners.one_each, Watching(), placement.keep, "hash", "1", since="3.9",
        needs=("SO_REUSEPORT",),
        traps=("the hash knows nothing of load: a slow worker gets its full share",
               "a listener that closes resets what waits in its queue")),
    Strategy("select", "as level, waiting with select",
        listeners.shared_by_all, Watching("select"), placement.keep, "all wake", "N",
        engines=PYTHON,
        traps=("a turn costs as much as there are clients",
               "no descriptor above 1,023")),
    Strategy("nested", "a common epoll for the listeners inside each worker's own",
        listeners.shared_by_all, Watching("nested epoll"), placement.keep, "all wake",
        "N, but hardly a would-block", engines=PYTHON, workers_as=THREADS,
        traps=("no would-blocks, and the whole herd",)),
    Strategy("accept-mutex", "who has the lock watches the listener; the others wait",
        listeners.shared_by_all, Watching("epoll and mutex"), placement.keep, "a lock",
        "1, and two a second of each worker without the lock", engines=PYTHON,
        workers_as=THREADS, addresses="one",
        traps=("the same worker gets the lock again and again while it is quick",)),
    Strategy("reuseport-migrate", "as reuseport; a closed listener's queue moves on",
        listeners.one_each, Watching(), placement.keep, "hash", "1",
        since="5.14", needs=("SO_REUSEPORT", "tcp_migrate_req"),
        around=lambda: sysctl.changed(MIGRATION, 1),
        traps=("a setting of the whole network namespace, not of the server",)),
    Strategy("reuseport-cpu", "as reuseport, a program chooses by the CPU",
        listeners.one_each_by_program, Watching(), placement.keep, "steered", "1",
        since="4.5", needs=("SO_REUSEPORT", "steering by program"),
        traps=("on loopback the CPU is the client's",
               "the program counts listeners: worker i must run on CPU i")),
    Strategy("reuseport-incoming-cpu", "as reuseport, each listener asks for its CPU",
        listeners.one_each_by_option, Watching(), placement.keep, "steered", "1",
        since="6.2", needs=("SO_REUSEPORT", "steering by option"),
        traps=("on loopback the CPU is the client's",
               "of several listeners that ask for one CPU one takes all")),
    Strategy("uring-accept", "every worker keeps one accept in an io_uring of its own",
        listeners.shared_by_all, Watching("io_uring"), placement.keep, "to the tail",
        "1", engines=PYTHON, since="5.5", needs=("io_uring accept",), addresses="one",
        traps=("a worker that is busy still holds its place in the queue, and the "
               "connection that it is given waits for it",)),
    Strategy("uring-multishot", "every worker keeps one accept for all connections",
        listeners.shared_by_all, Watching("io_uring multishot"), placement.keep,
        "stays", "1", engines=PYTHON, since="5.19", needs=("io_uring multishot",),
        addresses="one",
        traps=("the first registered takes all, asleep or not",)),
)
# fmt: on
_own: dict[str, Strategy] = {}


def table() -> tuple[Strategy, ...]:
    """Return all rows: netlab's, then those that were added."""
    return (*_BUILT_IN, *_own.values())


def add(row: Strategy) -> Strategy:
    """Add a row of your own, or put it in the place of an earlier one of its name.

    Its workers are threads: the host of processes would not know it.

    Raises ValueError for a name of netlab's, a queue that is not in QUEUES, events
    that the kernel refuses, or a `place` where nobody can be given a connection.
    """
    if any(row.name == known.name for known in _BUILT_IN):
        raise ValueError(f"strategy {row.name!r} is netlab's own: choose another name")
    if row.queue not in QUEUES:
        raise ValueError(f"queue={row.queue!r}: give one of {', '.join(QUEUES)}")
    if row.how.events & EXCLUSIVE and row.how.events & ONESHOT:
        raise ValueError("exclusive and one-shot: the kernel refuses the two together")
    row.refuse_unless_given(row.how.loop)
    _own[row.name] = row._replace(workers_as=THREADS)
    return _own[row.name]


def find(name: str) -> Strategy:
    """Return the row called `name`; raises ValueError that lists the names."""
    for row in table():
        if row.name == name:
            return row
    known = ", ".join(row.name for row in table())
    raise ValueError(f"strategy={name!r}: the table has {known}")
