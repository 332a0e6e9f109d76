"""Every row of the strategy table on its engines: it does what it says of itself."""

import contextlib
import json
import os
import re
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from netlab import counters
from netlab.kernel import doctor
from netlab.load.generator import Generator
from netlab.server import engines, placement, strategies
from netlab.server.loops import EXCLUSIVE, ONESHOT, READ, Watching
from netlab.server.server import Server
from netlab.server.settings import ServerSettings
from netlab.server.strategy import QUEUES
from netlab.server.ways import LOOPS
from netlab.study import orders
from netlab.study.experiment import run
from netlab.study.interleave import Measured
from tests.bounded import left_behind, linux
from tests.cases import get
from tests.conftest import possible, strategy_kinds

pytestmark = linux
KINDS = strategy_kinds()
TABLE = strategies.table()
TRIES = 3  # of a run on a machine that does much else
ORDERS = ("0, 1, 2, 3", "2, 0, 3, 1")
CONNECTIONS = 60
ENGINES = ("python", "compiled")
QUIET = {"sample_rate_per_s": None, "progress": False}
MIGRATION = Path("/proc/sys/net/ipv4/tcp_migrate_req")


def rows_of(names):
    return pytest.mark.parametrize("row", names, ids=lambda row: row.name)


@pytest.fixture(params=list(KINDS))
def kind(request):
    return possible(KINDS[request.param])


@pytest.fixture(params=ENGINES)
def engine(request):
    return possible({"engine": request.param})["engine"]


@pytest.fixture(scope="module")
def generator():
    with Generator() as generator:
        yield generator


@pytest.fixture
def small(generator):
    """Run a small load at a server."""
    return lambda **settings: run(generator=generator, **QUIET | settings)


@pytest.fixture
def own():
    """Add a row of one's own, made from another; it is gone after the test."""
    names = []

    def add(base="handoff-least", name="own", **changes):
        names.append(name)
        return strategies.add(strategies.find(base)._replace(name=name, **changes))

    yield add
    for name in names:
        strategies._own.pop(name, None)


def workers_for(kind, clients, otherwise):
    """As many as there are clients, where each worker has one client at a time."""
    return clients if kind["strategy"] == "blocking" else otherwise


def connect(address):
    return socket.create_connection(tuple(address)[:2], timeout=20)


def asked(client, path=b"/"):
    """Ask on an open connection; return the answer (of less than 4 KiB)."""
    client.sendall(get(path))
    return client.recv(4096)


def server_of(answer):
    return int(re.search(rb"X-Netlab-Worker: (\d+)", answer)[1])


# --- the table


def test_names_are_there_once():
    names = [row.name for row in TABLE]
    assert len(set(names)) == len(names)


@rows_of(TABLE)
def test_row_is_complete(row):
    words = row.summary, row.wakeups, *row.traps
    assert all(word == word.strip() and len(word) > 0 for word in words)
    assert row.traps
    assert re.fullmatch(r"\d+\.\d+", row.since)
    assert row.queue in QUEUES
    assert row.how.loop in LOOPS
    assert set(row.also) <= set(LOOPS)
    assert set(row.needs) <= {fact.what for fact in doctor.ROWS}
    assert set(row.workers_as) <= {"threads", "processes"}
    assert row.addresses in ("one", "several")
    for name in row.engines:
        assert row.how.loop in engines.find(name).loops


@rows_of(TABLE)
def test_description_is_json_safe_and_complete(row):
    described = row.described()
    assert json.loads(json.dumps(described)) == described
    assert described["order"] == QUEUES[row.queue]
    assert described["how"].startswith(row.how.loop)
    assert described["available"] == (described["missing"] is None)
    assert (described["name"], described["summary"]) == (row.name, row.summary)


# --- the order that is expected


RACING = "one-epoll-level compiled"  # who was woken as well is often the faster


@pytest.mark.parametrize("registered", ORDERS)
@pytest.mark.parametrize("name", [name for name in KINDS if name != RACING])
def test_order_is_the_one_that_the_queue_explains(name, registered, small):
    kind = possible(KINDS[name])
    row, found = strategies.find(kind["strategy"]), []
    labels = {"rule": row.queue, "registered": registered}
    settings = orders.one_at_a_time(row, CONNECTIONS) | orders.CHOSEN.get(row.name, {})
    for _ in range(TRIES):
        done = small(
            workers=4,
            register_order=[int(number) for number in registered.split(", ")],
            incoming_cpu=True,
            **kind,
            **settings,
        )
        assert len(done.accepts) == CONNECTIONS
        found.append(orders.class_of(Measured(labels, done)))
        if found[-1]["as_expected"]:
            return
    pytest.fail(f"{row.queue}: {found}")


def test_level_in_one_epoll_wakes_few_of_those_that_slept_last(small):
    """Without a GIL two race for each connection, and hardly a third takes part."""
    kind, best = possible(KINDS[RACING]), 0
    for _ in range(TRIES):
        done = small(
            workers=4, plan="touch", connections=CONNECTIONS, pause_ms=3, **kind
        )
        *_, second, first = sorted(done.workers["accepted"])
        best = max(best, first + second)
    assert best >= 0.75 * CONNECTIONS


@pytest.mark.parametrize("name", ["least", "round-robin", "two-choices"])
def test_acceptor_gives_as_its_rule_says(name, engine, small):
    done = small(
        strategy=f"handoff-{name}",
        engine=engine,
        workers=4,
        plan="touch",
        connections=80,
        pause_ms=1,
    )
    owners = done.accepts["owner"].tolist()
    held = np.bincount(owners, minlength=4)
    if name == "two-choices":
        assert held.max() - held.min() <= 10, held  # held, none of them closes
    else:
        assert owners == [0, 1, 2, 3] * 20
    assert done.workers["given"].tolist() == [80 - held[0], 0, 0, 0]
    assert done.workers["received"].tolist() == [0, *held[1:]]


# --- nothing is lost


@pytest.mark.parametrize(
    "load",
    [
        {"plan": "closed", "connections": 40, "at_once": 8, "requests": 3},
        {"plan": "burst", "connections": 40, "requests": 3},
    ],
    ids=lambda load: load["plan"],
)
def test_run_is_conserved(kind, load, small):
    done = small(workers=workers_for(kind, 40, 4), **kind, **load)
    assert done.checks["holds"].all()
    assert done.figures["conserved"]
    assert (done.requests["status"] == 200).all()
    assert len(done.requests) == done.workers["answers"].sum() == 40 * 3
    assert len(done.accepts) == done.workers["accepted"].sum() == 40
    assert done.workers["closed"].sum() == 40


# --- a row of one's own


def to_the_last(acceptor, open_now, memory):
    return len(open_now) - 1


@pytest.mark.parametrize("base", ["level", "exclusive", "handoff-least", "reuseport"])
def test_own_place_decides(base, engine, own, small):
    own(base, place=to_the_last)
    done = small(strategy="own", engine=engine, workers=3, connections=30, requests=2)
    assert done.accepts["owner"].tolist() == [2] * 30
    assert set(done.requests["worker"]) == {2}
    assert done.workers["answers"].tolist() == [0, 0, 60]


def test_own_place_may_remember_and_look(engine, own, small):
    def where_the_last_was_not(acceptor, open_now, memory):
        memory[0] = (memory[0] + 2) % len(open_now)
        return memory[0] if open_now.sum() >= 0 else 99

    own(place=where_the_last_was_not)
    done = small(strategy="own", engine=engine, workers=5, plan="touch", connections=10)
    assert done.accepts["owner"].tolist() == [2, 4, 1, 3, 0] * 2


def test_own_row_is_replaced_by_the_next_of_its_name(own):
    own(summary="one")
    assert own(summary="two").workers_as == ("threads",)
    assert [row.summary for row in strategies.table() if row.name == "own"] == ["two"]


@pytest.mark.parametrize("wrong", [3, -1, 1 << 40])
def test_place_that_returns_nonsense_ends_the_run(wrong, engine, own, small):
    def place(acceptor, open_now, memory):
        return wrong

    own(place=place)
    before = left_behind()
    told = rf"worker 0 died.*place returned {wrong}: return a worker's.*0 to 2"
    with pytest.raises(RuntimeError, match=told) as died:
        small(
            strategy="own",
            engine=engine,
            workers=3,
            plan="touch",
            connections=3,
            pause_ms=3,
        )
    assert isinstance(died.value.__cause__, ValueError)
    del died
    assert left_behind() == before


@pytest.mark.parametrize("wrong", [1.5, None, "two"], ids=repr)
def test_place_that_returns_no_whole_number_is_told_so(wrong, own, small):
    own(place=lambda acceptor, open_now, memory: wrong)
    with pytest.raises(RuntimeError, match=f"place returned {wrong}: return a"):
        small(strategy="own", workers=3, plan="touch", connections=3, pause_ms=3)


def test_connection_that_was_misplaced_is_closed_and_counted(engine, own, becomes):
    def place(acceptor, open_now, memory):
        return 7

    own(place=place)
    with (
        Server(workers=2, strategy="own", engine=engine) as server,
        connect(server.address) as client,
    ):
        assert becomes(lambda: server.failures)
        assert client.recv(1) == b""
    sums = counters.total(server.snapshot())
    counted = sums["accepted"], sums["closed"], sums["accept_errors"]
    assert (counted, sums["given"]) == ((1, 1, 1), 0)


def changes_a_table(acceptor, open_now, memory):
    found = {"first": [1]}
    found["second"] = [2.0]
    return found["first"][0]


def prints_with_options(acceptor, open_now, memory):
    print(end="")
    return 1


def formats(acceptor, open_now, memory):
    return len(f"{acceptor:1}")


def uses_a_method(acceptor, open_now, memory):
    return len("{}".format(7))  # noqa: UP032 - a method of a string


@pytest.mark.parametrize(
    "place", [changes_a_table, prints_with_options, formats, uses_a_method]
)
def test_place_that_cannot_be_compiled_runs_interpreted_only(place, own, small):
    possible({"engine": "compiled"})
    own(place=place)
    load = {"strategy": "own", "workers": 2, "plan": "touch", "connections": 3}
    before = left_behind()
    with pytest.raises(ValueError, match=r"'compiled'.*cannot be compiled") as refused:
        small(engine="compiled", **load)
    for word in ("place of strategy 'own'", "use engine='python'"):
        assert word in str(refused.value)
    del refused
    assert left_behind() == before
    assert small(**load).accepts["owner"].tolist() == [1] * 3


def test_reason_why_a_place_cannot_be_compiled_names_the_thing(own):
    possible({"engine": "compiled"})
    own(place=uses_a_method)
    with pytest.raises(ValueError, match="format"):
        Server(workers=2, strategy="own", engine="compiled")


@pytest.mark.parametrize("loop", ["select", "accept", "one epoll"])
def test_place_is_refused_where_nobody_can_be_given_a_client(loop, own):
    """Who sleeps there hears of no new descriptor, or anybody may hear of it."""
    how = strategies.find("level").how._replace(loop=loop)
    with pytest.raises(ValueError, match=f"place.*{loop}"):
        own("level", place=placement.round_robin, engines=("python",), how=how)


def test_place_is_refused_with_a_loop_that_is_asked_for(own):
    own("level", place=placement.round_robin)
    with pytest.raises(ValueError, match=r"place.*select"):
        ServerSettings(strategy="own", loop="select")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "level"}, "strategy 'level' is netlab's own: choose another name"),
        ({"queue": "fifo"}, "queue='fifo': give one of to the tail, stays"),
        ({"how": Watching(events=READ | EXCLUSIVE | ONESHOT)}, "exclusive and one-sh"),
    ],
    ids=["name", "queue", "events"],
)
def test_row_that_cannot_be_is_not_added(changes, told):
    row = strategies.find("level")._replace(**{"name": "own"} | changes)
    before = strategies.table()
    with pytest.raises(ValueError, match=told):
        strategies.add(row)
    assert strategies.table() == before


# --- what a row cannot do


def refused(*words, **settings):
    with pytest.raises(ValueError, match=re.escape(words[0])) as told:
        ServerSettings(workers=2, **settings)
    assert all(word in str(told.value) for word in words), told.value


@rows_of(TABLE)
def test_what_a_row_cannot_do_is_refused_with_value_and_remedy(row):
    possible({"strategy": row.name})
    name = f"strategy {row.name!r} has"
    for engine in {*ENGINES} - {*row.engines}:
        words = f"engine={engine!r}:", f"{name} engine python"
        refused(*words, strategy=row.name, engine=engine)
    for workers_as in {"threads", "processes"} - {*row.workers_as}:
        words = f"workers_as={workers_as!r}:", f"{name} workers_as threads"
        refused(*words, strategy=row.name, workers_as=workers_as)
    for loop in {*LOOPS} - {row.how.loop, *row.also}:
        words = f"loop={loop!r}:", f"{name} loop {row.how.loop}"
        refused(*words, strategy=row.name, loop=loop)
    if row.addresses == "one":
        listen = ("127.0.0.1:0", "127.0.0.2:0")
        refused("2 addresses:", "give one", strategy=row.name, listen=listen)
    if not row.how.rotate_every:
        words = "rotate_every=5:", "use strategy='exclusive-rotate'"
        refused(*words, strategy=row.name, rotate_every=5)


@rows_of([row for row in TABLE if row.needs])
def test_row_whose_need_is_missing_is_refused_with_the_reason(row, monkeypatch):
    def look():
        return "taken away", False

    without = [
        fact._replace(look=look) if fact.what == row.needs[-1] else fact
        for fact in doctor.ROWS
    ]
    monkeypatch.setattr(doctor, "ROWS", tuple(without))
    remedy = next(fact.remedy for fact in without if fact.look is look)
    described = row.described()
    assert not described["available"]
    assert described["missing"] == f"{row.needs[-1]}: taken away. {remedy}"
    words = f"strategy={row.name!r} cannot run here:", described["missing"]
    refused(*words, strategy=row.name)


# --- a listener for each worker


@pytest.mark.parametrize("name", ["reuseport", "reuseport-cpu"])
def test_second_server_on_the_port_is_refused(name, engine):
    possible({"strategy": name})
    with Server(workers=3, strategy=name, engine=engine) as server:
        before = left_behind()
        listen = [str(server.address)]
        for second in (name, "level"):
            with pytest.raises(OSError, match=r"cannot listen.*in use") as no:
                Server(workers=3, strategy=second, engine=engine, listen=listen)
            del no
            assert left_behind() == before
    with Server(workers=3, strategy=name, engine=engine, listen=listen) as again:
        assert again.address == server.address
    socket.create_server(server.address).close()  # all listeners are closed


def test_each_worker_has_a_listener_at_every_address(engine):
    listen = ["127.0.0.1:0", "127.0.0.2:0"]
    with Server(workers=3, strategy="reuseport", engine=engine, listen=listen) as one:
        assert [address.host for address in one.addresses] == ["127.0.0.1", "127.0.0.2"]
        for _ in range(40):
            for address in one.addresses:
                with connect(address) as client:
                    assert b" 200 OK" in asked(client)
        assert one.settle()
    accepts = one.accepts()
    assert set(zip(accepts["owner"], accepts["listener"], strict=True)) == {
        (worker, 2 * worker + address) for worker in range(3) for address in range(2)
    }


def test_retired_worker_serves_its_clients_and_gets_no_more(engine):
    with Server(workers=3, strategy="reuseport", engine=engine) as server:
        held = []
        while not held or server_of(asked(held[-1])) != 1:
            held.append(connect(server.address))
        server.retire(1)
        server.retire(1)  # more calls do nothing
        for _ in range(60):
            with connect(server.address) as client:
                assert server_of(asked(client)) != 1
        assert server_of(asked(held[-1])) == 1
        assert (server.waiting(), server.failures) == (0, {})
        for client in held:
            client.close()
        assert server.settle()
    conserved(server)
    socket.create_server(server.address).close()


@pytest.mark.parametrize("moment", range(8))
def test_worker_may_be_retired_under_load(engine, moment):
    def ask_again_and_again():
        while not over.is_set():
            try:
                with connect(server.address) as client:
                    asked(client)
                made.append(1)
            except ConnectionError:
                pass  # it waited at the listener that was closed

    over, made = threading.Event(), []
    askers = [threading.Thread(target=ask_again_and_again) for _ in range(3)]
    with Server(workers=2, strategy="reuseport", engine=engine) as server:
        for asker in askers:
            asker.start()
        while len(made) < 20 + moment:
            pass
        server.retire(1)
        while len(made) < 60 + moment:
            pass
        over.set()
        for asker in askers:
            asker.join(20)
        assert server.failures == {}
    conserved(server)


@pytest.mark.parametrize("name", ["level", "exclusive", "handoff-least"])
def test_worker_without_a_listener_of_its_own_is_not_retired(name, engine):
    with Server(workers=2, strategy=name, engine=engine) as server:
        with pytest.raises(ValueError, match=r"worker 1 has no listener.*'reuseport'"):
            server.retire(1)
        with pytest.raises(ValueError, match="worker=2: give a number from 0 to 1"):
            server.retire(2)
        with connect(server.address) as client:
            assert b" 200 OK" in asked(client)


def test_process_is_not_retired():
    with Server(workers=2, strategy="reuseport", workers_as="processes") as server:
        with pytest.raises(ValueError, match=r"'processes'.*use workers_as='threads'"):
            server.retire(1)
        with connect(server.address) as client:
            assert b" 200 OK" in asked(client)


def test_what_waits_at_a_retired_listener_is_reset_or_moved(engine):
    possible({"strategy": "reuseport-migrate"})
    assert sum(lost_at_retirement("reuseport-migrate", engine)) == 0
    assert sum(lost_at_retirement("reuseport", engine)) > 0


def lost_at_retirement(name, engine):
    """Whether each of 20 clients was reset that came while worker 1 was busy."""
    with Server(workers=2, strategy=name, engine=engine) as server:
        client = connect(server.address)
        while server_of(asked(client)) != 1:
            client.close()
            client = connect(server.address)
        client.sendall(get(b"/spin/100000") * 10)
        waiting = [connect(server.address) for _ in range(20)]
        for one in waiting:
            one.sendall(get(b"/"))
        server.retire(1)
        lost = [is_reset(one) for one in waiting]
        client.close()
    return lost


def is_reset(client):
    with client:
        try:
            return client.recv(4096) == b""
        except ConnectionResetError:
            return True


def test_migration_is_the_machines_again_afterwards(engine):
    possible({"strategy": "reuseport-migrate"})
    before = MIGRATION.read_text()
    with Server(workers=2, strategy="reuseport-migrate", engine=engine):
        assert MIGRATION.read_text() == "1\n"
    assert MIGRATION.read_text() == before
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = ["{}:{}".format(*other.getsockname())]
        with pytest.raises(OSError, match="cannot listen"):
            Server(workers=2, strategy="reuseport-migrate", listen=listen)
    assert MIGRATION.read_text() == before


# --- logs


@pytest.mark.parametrize("workers_as", ["threads", "processes"])
def test_turns_agree_with_the_counters(engine, workers_as):
    kind = {"engine": engine, "workers_as": workers_as}
    with Server(workers=3, turn_log=1000, **kind) as server:
        ask_one_by_one(server, 20)
    turns, rows = server.turns(), server.snapshot()
    assert server.turns_dropped() == 0
    assert turns["woke_ns"].is_monotonic_increasing
    assert (turns["slept_ns"] >= turns["woke_ns"]).all()
    for number, row in enumerate(rows):
        own = turns[turns["worker"] == number]
        assert len(own) == row["turns"] + 1  # the stop's own turn is in no count
        for name in ("accepted", "would_block"):
            assert own[name].sum() == row[name]
        assert (own["cpu"] == server.actual()["cpus"][number]).all()
        assert (own["events"] >= 1).all()


def test_full_log_of_turns_drops_and_counts(engine):
    with Server(workers=1, turn_log=5, engine=engine) as server:
        ask_one_by_one(server, 12)
    turns = server.snapshot()["turns"].sum() + 1
    assert (len(server.turns()), server.turns_dropped()) == (5, turns - 5)


def test_turns_are_kept_if_asked_for(engine):
    with Server(workers=2, engine=engine) as server:
        ask_one_by_one(server, 3)
        assert len(server.turns()) == 0
    assert (len(server.turns()), server.turns_dropped()) == (0, 0)


def test_incoming_cpu_is_noted_if_asked_for(kind):
    for asked_for in (True, False):
        with Server(workers=2, incoming_cpu=asked_for, **kind) as server:
            ask_one_by_one(server, 3)
        noted = server.accepts()["incoming_cpu"]
        assert len(noted) == 3
        assert (
            noted.between(0, os.cpu_count() - 1).all()
            if asked_for
            else all(noted == -1)
        )


def ask_one_by_one(server, count):
    for _ in range(count):
        with connect(server.address) as client:
            assert b" 200 OK" in asked(client)
    assert server.settle()


# --- a slow worker


@pytest.mark.parametrize("workers_as", ["threads", "processes"])
def test_slow_worker_spins_longer(engine, workers_as):
    """It counts its own CPU time, which no neighbour can take away."""
    kind = {"engine": engine, "workers_as": workers_as}
    with Server(workers=2, strategy="reuseport", slow=(1, 5), **kind) as server:
        clients = one_client_each(server)
        cpu_ns = {}
        for number, client in clients.items():
            before = server.snapshot()["cpu_ns"][number]
            for _ in range(10):
                assert b" 200 OK" in asked(client, b"/spin/4000")
            assert server.settle()
            cpu_ns[number] = server.snapshot()["cpu_ns"][number] - before
            client.close()
    assert 2.5 < cpu_ns[1] / cpu_ns[0] < 7, cpu_ns


def test_worker_is_slow_for_as_long_as_it_is_told(engine):
    with Server(workers=2, strategy="reuseport", engine=engine) as server:
        clients, cpu_ns = one_client_each(server), []
        for factor in (1, 5, 1):
            server.slow_down(1, factor)
            before = server.snapshot()["cpu_ns"][1]
            for _ in range(10):
                assert b" 200 OK" in asked(clients[1], b"/spin/4000")
            assert server.settle()
            cpu_ns.append(server.snapshot()["cpu_ns"][1] - before)
        for client in clients.values():
            client.close()
    assert all(2.5 < cpu_ns[1] / fast < 7 for fast in (cpu_ns[0], cpu_ns[2])), cpu_ns


@pytest.mark.parametrize(
    ("worker", "factor", "said"),
    [(2, 5, "worker=2"), (None, 5, "worker=None"), (0, 0, "factor=0"), (0, 2.5, "2.5")],
)
def test_nobody_is_slowed_down_who_is_not_there_nor_by_nonsense(worker, factor, said):
    with (
        Server(workers=2) as server,
        pytest.raises(ValueError, match=re.escape(said)),
    ):
        server.slow_down(worker, factor)


def test_process_or_stopped_server_is_not_slowed_down():
    with (
        Server(workers=1, workers_as="processes") as server,
        pytest.raises(ValueError, match="use workers_as='threads'"),
    ):
        server.slow_down(0, 5)
    with pytest.raises(ValueError, match="has stopped"):
        server.slow_down(0, 5)


def one_client_each(server):
    """An open connection to each worker, by number."""
    clients = {}
    while len(clients) < len(server.tids):
        client = connect(server.address)
        number = server_of(asked(client))
        if number in clients:
            client.close()
        else:
            clients[number] = client
    return clients


# --- out of descriptors

EXHAUSTED = """
    import json, os, resource, sys
    from netlab import counters
    from netlab.server.server import Server

    def limit(number):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))

    settings, asks_in_advance = json.loads(sys.argv[1])
    with Server(**settings | {"workers": 2}):
        enough = max(map(int, os.listdir("/proc/self/fd"))) + 4
    if asks_in_advance:  # then it has the descriptor too, or heeds the limit of then
        limit(enough)
    server = Server(**settings)
    limit(enough)
    print(server.address.port, flush=True)
    for line in sys.stdin:
        limit(enough if line == "look\\n" else 1024)
        if line == "stop\\n":
            server.stop()
        counts = counters.total(server._crew.rows.copy())
        counts["dead"], counts["waiting"] = len(server.failures), server.waiting()
        print(json.dumps(counts), flush=True)
"""


@contextlib.contextmanager
def exhausted(settings, start_fresh):
    """A server in a process that has few descriptors: its port, and what it counts."""
    loop = strategies.find(settings["strategy"]).how.loop
    in_advance = loop in ("io_uring", "io_uring multishot")

    def say(word):
        print(word, file=process.stdin, flush=True)
        return json.loads(process.stdout.readline())

    with start_fresh(EXHAUSTED, json.dumps([settings, in_advance])) as process:
        yield ("127.0.0.1", int(process.stdout.readline())), say
        said, complaints = process.communicate(timeout=30)
        assert (process.returncode, said, complaints) == (0, "", "")


@contextlib.contextmanager
def asking(address, count):
    """Clients that have asked, and have not read the answer."""
    with contextlib.ExitStack() as opened:
        clients = [opened.enter_context(connect(address)) for _ in range(count)]
        for client in clients:
            client.sendall(get(b"/"))
        yield clients


def read_and_leave(clients):
    for client in clients:
        assert b" 200 OK" in client.recv(4096)
        client.close()


@pytest.mark.parametrize("name", [name for name in KINDS if name != "blocking"])
def test_out_of_descriptors_it_rests_and_serves_all_later(name, start_fresh, becomes):
    settings = possible(KINDS[name]) | {"workers": 2}
    with (
        exhausted(settings, start_fresh) as (address, say),
        asking(address, 10) as clients,
    ):
        assert becomes(lambda: say("look")["rests"] >= 2)
        short = say("look")
        assert 0 < short["accepted"] < 10
        # A rest costs two turns, and more where the others are woken for it.
        most = 4 * (short["rests"] + short["accepted"] + short["would_block"])
        assert short["turns"] <= most, short
        say("raise")
        read_and_leave(clients)
        assert becomes(lambda: say("count")["closed"] == 10)
        after = say("stop")
    assert after["accepted"] == after["closed"] == after["answers"] == 10
    assert (after["waiting"], after["dead"], after["left_open"]) == (0, 0, 0)
    assert after["given"] == after["received"]


def test_out_of_descriptors_who_sleeps_in_accept_rests_too(start_fresh, becomes):
    """It has its descriptor before there is a client, and wants one more after it."""
    settings = {"strategy": "blocking", "workers": 8}
    with exhausted(settings, start_fresh) as (address, say):
        with asking(address, 8) as clients:
            read_and_leave(clients)
            assert becomes(lambda: say("look")["rests"] >= 2)
        say("raise")
        with asking(address, 8) as clients:  # all workers are here again
            read_and_leave(clients)
        assert becomes(lambda: say("count")["closed"] == 16)
        after = say("stop")
    assert after["accepted"] == after["answers"] == 16
    assert after["dead"] == 0


# --- stopped in the middle


def conserved(server):
    """The rows of a stopped server add up, worker by worker; return their sums."""
    rows = server.snapshot()
    left = rows["given"] + rows["closed"] + rows["left_open"]
    assert (rows["accepted"] + rows["received"] == left).all(), server.counters()
    assert rows["given"].sum() == rows["received"].sum()
    assert rows["accepted"].sum() == len(server.accepts()) + server.accepts_dropped()
    return counters.total(rows)


def open_answer(server):
    """A client that asked for more than the kernel holds, and does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    client.settimeout(20)
    client.connect(tuple(server.address)[:2])
    client.sendall(get(b"/bytes/8000000"))
    return client


def test_stop_in_the_middle_leaves_nothing(kind, becomes):
    before = left_behind()
    stop_in_the_middle(kind, becomes)
    assert left_behind() == before


def stop_in_the_middle(kind, becomes):
    """Stop with clients that are idle, in a request, served, and in an answer."""
    server = Server(workers=workers_for(kind, 8, 3), **kind)
    clients = [connect(server.address) for _ in range(6)]
    for client in clients[2:4]:
        client.sendall(b"GET / HT")
    for client in clients[4:]:
        assert b" 200 OK" in asked(client)
    clients += [open_answer(server), open_answer(server)]
    assert becomes(lambda: server.snapshot()["partial_writes"].sum() == 2)
    assert becomes(lambda: server.snapshot()["accepted"].sum() == 8)
    assert server.settle()
    server.stop()
    sums = conserved(server)
    assert (sums["accepted"], sums["left_open"], sums["closed"]) == (8, 8, 0)
    assert (server.waiting(), server.failures, server.faults) == (0, {}, {})
    for client in clients:
        client.close()


def test_stop_while_connections_come_loses_count_of_none(kind):
    for pause in range(4):
        server = Server(workers=workers_for(kind, 8, 3), **kind)
        clients = [connect(server.address) for _ in range(20)]
        for client in clients[: 5 * pause]:
            client.sendall(get(b"/spin/200"))
        server.stop()
        sums = conserved(server)
        assert sums["accepted"] + server.waiting() == 20
        assert server.failures == {}
        for client in clients:
            client.close()
