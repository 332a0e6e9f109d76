"""The server's life: started, shared, watched, out of descriptors, stopped."""

import gc
import json
import os
import resource
import signal
import socket
import threading
import time
from pathlib import Path

import psutil
import pytest

from netlab import counters
from netlab.kernel import machine, threads
from netlab.server import crew, serving
from netlab.server.loops import EpollLoop
from netlab.server.server import Server
from netlab.server.ways import LOOPS
from netlab.server.worker import Worker

BOTH = ["127.0.0.1:0", "[::1]:0"]


def connect(address):
    return socket.create_connection(tuple(address)[:2], timeout=20)


def question(path="/"):
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()


def get(client, path="/"):
    """Ask on an open connection, and wait for the answer (of less than 4 KiB)."""
    client.sendall(question(path))
    return client.recv(4096)


def total(server):
    return counters.total(server.snapshot())


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


# --- addresses


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here (::1)")
def test_several_listeners_are_served_by_the_same_workers(kind, ask, becomes):
    listen = [*BOTH, "127.0.0.1:0"]
    with Server(workers=3, **kind, listen=listen) as server:
        assert [address.host for address in server.addresses] == [
            "127.0.0.1",
            "::1",
            "127.0.0.1",
        ]
        assert len({address.port for address in server.addresses}) == 3
        assert server.address == server.addresses[0]
        for _ in range(4):
            for address in server.addresses:
                assert ask(address).startswith(b"HTTP/1.1 200 OK\r\n")
        assert becomes(lambda: total(server)["closed"] == 12)
    accepts = server.accepts()
    assert accepts["listener"].value_counts().to_dict() == {0: 4, 1: 4, 2: 4}
    assert accepts["listener"].tolist() == [0, 1, 2] * 4


def test_a_port_that_was_given_back_can_be_had_at_once(kind, ask):
    with Server(workers=2, **kind) as server:
        ask(server.address)
        same = [str(server.address)]
    for _ in range(3):
        with Server(workers=2, **kind, listen=same) as server:
            assert ask(server.address).startswith(b"HTTP/1.1 200 OK\r\n")


# --- workers


def test_workers_are_named_and_bound_to_their_cpus(kind):
    allowed = sorted(os.sched_getaffinity(0))
    count = len(allowed) + 1
    with Server(workers=count, **kind) as server:
        cpus = server.actual()["cpus"]
        assert cpus == [allowed[i % len(allowed)] for i in range(count)]
        for number, tid in enumerate(server.tids):
            assert psutil.Process(tid).cpu_affinity() == [cpus[number]]
            comm = Path(f"/proc/{tid}/comm")
            assert comm.read_text() == f"netlab-w{number}\n"
        assert server.snapshot()["worker"].tolist() == list(range(count))
    assert sorted(os.sched_getaffinity(0)) == allowed


def test_the_longest_name_fits():
    assert len(f"netlab-w{1023}") <= threads.NAME_LIMIT


def test_workers_may_be_left_to_move():
    with Server(workers=2, pin=False) as server:
        for tid in server.tids:
            assert os.sched_getaffinity(tid) == os.sched_getaffinity(0)
        assert server.actual()["cpus"] is None


def test_there_is_one_worker_per_cpu_that_we_own():
    with Server() as server:
        assert len(server.tids) == machine.cpus_owned() == server.actual()["workers"]
        assert len(set(server.tids)) == len(server.tids)


def test_workers_register_in_the_order_that_was_asked_for(monkeypatch):
    made = []

    class Seen(EpollLoop):
        def __init__(self, how, common):
            super().__init__(how, common)
            made.append(self)

        def wait(self, timeout_s=None):
            self.tid = threading.get_native_id()
            return super().wait(timeout_s)

    monkeypatch.setitem(LOOPS, "epoll", Seen)
    with Server(workers=4, register_order=[2, 0, 3, 1]) as server:
        assert [server.tids.index(seen.tid) for seen in made] == [2, 0, 3, 1]
        assert server.actual()["register_order"] == [2, 0, 3, 1]
    with Server(workers=3) as server:
        assert server.actual()["register_order"] == [0, 1, 2]


def test_what_took_effect_can_be_saved(kind):
    with Server(workers=2, **kind, backlog=7) as server:
        actual = json.loads(json.dumps(server.actual()))
    assert (actual["backlog"], actual["workers"]) == (7, 2)
    assert actual | kind == actual
    assert actual["listen"] == [str(server.address)]


# --- wake-ups


def test_a_new_connection_wakes_every_worker(kind, start_fresh):
    program = """
        import socket, sys
        held, port = [], int(sys.argv[1])
        for _ in sys.stdin:
            held.append(socket.create_connection(("127.0.0.1", port)))
            print(len(held), flush=True)
        for client in held:
            client.close()
    """
    connections = 20
    with (
        Server(workers=8, **kind) as server,
        start_fresh(program, server.address.port) as toucher,
    ):
        assert server.settle()
        assert total(server)["turns"] == 0
        before = server.snapshot()
        for number in range(1, connections + 1):
            print("touch", file=toucher.stdin, flush=True)
            assert toucher.stdout.readline() == f"{number}\n"
            assert server.settle()
        after = server.snapshot()
        toucher.communicate()
    assert (before["accepted"] == 0).all()
    assert after["accepted"].sum() == connections
    woken = (after["wakeups"] - before["wakeups"]) / connections
    assert (woken >= 0.9).all(), woken


def test_an_idle_server_sleeps(kind):
    with Server(workers=4, **kind) as server:
        assert server.settle()
        first = server.snapshot()
        time.sleep(0.1)  # nothing to wait for: it is to stay as it is
        assert (server.snapshot() == first).all()


# --- counters and the accept log


def test_the_accept_log_is_in_the_order_of_the_connections(kind, becomes):
    with Server(workers=3, **kind) as server:
        ports = []
        for number in range(30):
            with connect(server.address) as client:
                ports.append(client.getsockname()[1])
                get(client)
            assert becomes(lambda n=number: total(server)["accepted"] == n + 1)
        accepts, rows = server.accepts(), server.snapshot()
    assert accepts["port"].tolist() == ports
    assert accepts["sequence"].tolist() == list(range(30))
    assert accepts["time_ns"].is_monotonic_increasing
    assert (accepts["owner"] == accepts["acceptor"]).all()
    counted = accepts["owner"].value_counts().reindex(range(3), fill_value=0)
    assert counted.tolist() == rows["accepted"].tolist()
    assert accepts["cpu"].isin(server.actual()["cpus"]).all()
    assert server.accepts_dropped() == 0


@pytest.mark.parametrize("room", [0, 5])
def test_a_full_accept_log_drops_and_counts(room, kind, ask):
    with Server(workers=1, accept_log=room, **kind) as server:
        for _ in range(12):
            ask(server.address)
    assert (len(server.accepts()), server.accepts_dropped()) == (room, 12 - room)
    assert total(server)["accepted"] == 12


def test_counts_add_up_and_stand_still_after_the_stop(kind, becomes):
    with Server(workers=2, **kind) as server:
        held = [connect(server.address) for _ in range(6)]
        for client in held:
            assert b" 200 OK" in get(client)
        for client in held[:2]:
            client.close()
        assert becomes(lambda: total(server)["closed"] == 2)
        assert server.settle()
        before = server.snapshot()
    after = server.snapshot()
    for name in set(counters.SUMMED) - {"left_open"}:
        assert (after[name] == before[name]).all(), name
    assert counters.open_connections(after).sum() == after["left_open"].sum() == 4
    assert (total(server)["answers"], total(server)["requests"]) == (6, 6)
    assert total(server)["bytes_in"] == 6 * len(question())
    assert (server.snapshot() == after).all()
    for client in held[2:]:
        with client:
            assert client.recv(1) == b""
    assert (server.snapshot() == after).all()
    frame = server.counters()
    assert frame["state"].tolist() == ["ended", "ended"]
    assert frame["open"].sum() == 4


def test_an_error_in_a_request_ends_its_connection_only(loop, monkeypatch, becomes):
    def answer(*arguments, healthy=serving.answer, **options):
        if arguments[0].argument == 13:
            raise ZeroDivisionError
        return healthy(*arguments, **options)

    monkeypatch.setattr(serving, "answer", answer)
    with Server(workers=1, loop=loop) as server:
        with connect(server.address) as good, connect(server.address) as bad:
            assert b" 200 OK" in get(good)
            assert get(bad, "/spin/13") == b""
            assert b" 200 OK" in get(good)
        assert becomes(lambda: total(server)["closed"] == 2)
        assert (total(server)["faults"], server.failures) == (1, {})


def test_a_worker_that_dies_leaves_its_reason_and_the_others(monkeypatch, ask, becomes):
    turns = []

    def turn(self, healthy=Worker.turn):
        ongoing = healthy(self)
        turns.append(self.number)
        if len(turns) == 1:  # whoever it is
            raise MemoryError("the first turn")
        return ongoing

    monkeypatch.setattr(Worker, "turn", turn)
    with Server(workers=2) as server:
        with connect(server.address):
            assert becomes(lambda: server.failures)
        dead, alive = turns[0], 1 - turns[0]
        assert {n: str(why) for n, why in server.failures.items()} == {
            dead: "the first turn"
        }
        assert "2 workers (1 died)" in repr(server)
        states = server.counters()["state"]
        assert (states[dead], states[alive]) == ("failed", "ready")
        for _ in range(3):
            assert b'"worker": %d' % alive in ask(server.address)
        assert becomes(lambda: counters.open_connections(server.snapshot())[alive] == 0)
    states = server.counters()["state"]
    assert (states[dead], states[alive]) == ("failed", "ended")


# --- start


@pytest.fixture
def belongings():
    """Count this process's threads, descriptors and shared mappings."""

    def count():
        gc.collect()
        maps = Path("/proc/self/maps").read_text().count("/dev/zero")
        kinds = "task", "fd"
        return [len(os.listdir(f"/proc/self/{kind}")) for kind in kinds], maps

    return count


def test_a_worker_that_cannot_start_takes_the_server_back(
    monkeypatch, belongings, becomes
):
    def refuse(name, tid):
        if name == "netlab-w2":
            raise ValueError("no such name")

    before = belongings()
    monkeypatch.setattr(crew.threads, "set_name", refuse)
    with pytest.raises(RuntimeError, match="did not start: no such name") as failed:
        Server(workers=4)
    assert isinstance(failed.value.__cause__, ValueError)
    del failed
    assert becomes(lambda: belongings() == before)


@pytest.mark.parametrize("possible", [0, 1, 3])
def test_a_thread_that_cannot_be_had_takes_the_server_back(
    possible, monkeypatch, belongings, becomes
):
    def start(self, healthy=threading.Thread.start):
        nonlocal possible
        possible -= 1
        if possible < 0:
            raise RuntimeError("can't start new thread")
        healthy(self)

    before = belongings()
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        Server(workers=4)
    monkeypatch.undo()
    assert becomes(lambda: belongings() == before)


@pytest.mark.parametrize("workers_as", ["threads", "processes"])
def test_an_interrupt_at_any_moment_leaves_nothing(workers_as, fresh):
    # But two things for which Python has no remedy, once in a thousand times: an
    # eventfd, when the interrupt falls between the making of a bare number and its
    # keeping; and a thread that never began (and has no name of ours), when it falls
    # between the taking of the lock in Thread.start and its giving back.
    program = """
        import gc, os, psutil, signal, socket, sys, time, warnings
        from netlab.server.server import Server
        sys.unraisablehook = lambda _: None  # an interrupt in a callback of Python's
        warnings.simplefilter("ignore", ResourceWarning)  # closed by the collector

        signal.signal(signal.SIGINT, signal.default_int_handler)  # not if in a &

        def ring(*_):
            signal.raise_signal(signal.SIGINT)

        def life():
            listen = [f"127.0.0.1:{port}"]
            with Server(workers=4, listen=listen, workers_as=sys.argv[1]) as server:
                with socket.create_connection(server.address) as client:
                    client.sendall(b"GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n")
                    client.recv(4096)

        def belongings():
            gc.collect()
            links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
            kinds = [os.readlink(link) for link in links if os.path.lexists(link)]
            bare = kinds.count("anon_inode:[eventfd]")
            alive = len(psutil.Process().children(recursive=True))
            return len(kinds) - bare, names().count("netlab"), alive

        def names():
            found = []
            for tid in os.listdir("/proc/self/task"):
                try:
                    with open(f"/proc/self/task/{tid}/comm") as comm:
                        found.append(comm.read(6))
                except OSError:
                    pass  # it ended
            return found

        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        life()
        before, began = belongings(), time.monotonic()
        life()
        length = time.monotonic() - began
        signal.signal(signal.SIGALRM, ring)
        interrupts = 0
        for step in range(60):
            try:
                signal.setitimer(signal.ITIMER_REAL, length * (step + 1) / 60)
                life()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupts += 1
            except RuntimeError as error:  # Python's own, in threading.Condition
                assert str(error) == "release unlocked lock", error
                interrupts += 1
            for _ in range(5000):
                if belongings() == before:
                    break
                time.sleep(0.001)  # a thread that was not joined is still ending
            else:
                raise SystemExit(f"step {step}: {before} became {belongings()}")
        life()
        print(interrupts)
    """
    (interrupts,) = fresh(program, workers_as, timeout_s=100)
    assert int(interrupts) >= 20


# --- the end


def test_stop_may_be_called_again_and_from_anywhere(kind, ask):
    server = Server(workers=3, **kind)
    assert server.running
    assert f"on {server.address}" in repr(server)
    ask(server.address)
    stoppers = [threading.Thread(target=server.stop) for _ in range(4)]
    for stopper in stoppers:
        stopper.start()
    for stopper in stoppers:
        stopper.join(20)
    assert not server.running
    server.stop()
    assert "stopped" in repr(server)
    assert server.waiting() == 0
    with pytest.raises(ConnectionRefusedError):
        connect(server.address)


def test_the_end_of_a_with_block_is_a_stop():
    with pytest.raises(ZeroDivisionError), Server(workers=2) as server:
        raise ZeroDivisionError
    assert not server.running


def test_a_server_that_nobody_holds_stops(kind, belongings, becomes):
    before = belongings()
    server = Server(workers=2, **kind)
    address = server.address
    connect(address).close()
    del server
    with pytest.raises(ConnectionRefusedError):
        connect(address)
    assert becomes(lambda: belongings() == before)


def test_a_server_may_be_collected_by_its_own_worker(monkeypatch, belongings, becomes):
    before = belongings()
    monkeypatch.setattr(serving, "spin", lambda _: gc.collect())
    gc.disable()  # only the worker collects
    try:
        circle = [Server(workers=2)]
        circle.append(circle)
        with connect(circle[0].address) as client:
            del circle
            assert b" 200 OK" in get(client, "/spin/0")
            assert client.recv(1) == b""  # it ended
    finally:
        gc.enable()
    assert becomes(lambda: belongings() == before)


def test_a_forked_childs_end_is_not_the_servers(fresh):
    program = """
        import os, socket, warnings
        from netlab.server.server import Server
        warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads
        with Server(workers=2) as server:
            child = os.fork()
            if child == 0:
                server.stop()
                raise SystemExit
            print(os.waitpid(child, 0)[1])
            with socket.create_connection(server.address, timeout=20) as client:
                client.sendall(b"GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n")
                print(client.recv(12).split()[1].decode(), server.running)
    """
    assert fresh(program) == ["0", "200", "True"]


@pytest.mark.parametrize(
    "end", ["", "raise SystemExit", "del server", "server.stop()", "sys.exit(main())"]
)
def test_a_process_may_end_with_its_server_running(fresh, kind, end):
    program = f"""
        import socket, sys
        from netlab.server.server import Server
        server = Server(workers=4, **{kind!r})
        held = [socket.create_connection(server.address) for _ in range(3)]
        held[0].sendall(b"GET /spin/1000 HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n" * 5)
        def main(): pass
        for client in held[1:]:
            client.close()
        print("held", flush=True)
        held[0].recv(10)
        held[0].close()
        {end}
    """
    assert fresh(program, timeout_s=30) == ["held"]


def test_an_interrupted_process_ends(start_fresh):
    program = """
        import os, threading, time
        from netlab.server.server import Server
        try:
            with Server(workers=4) as server:
                print(server.address.port, flush=True)
                threading.Event().wait()
        except KeyboardInterrupt:
            for _ in range(5000):  # a thread that was joined is still ending
                if len(os.listdir("/proc/self/task")) == 1:
                    break
                time.sleep(0.001)
            print(len(os.listdir("/proc/self/task")), server.running)
    """
    with start_fresh(program) as process:
        port = int(process.stdout.readline())
        with connect(("127.0.0.1", port)) as client:
            assert b" 200 OK" in get(client)
            process.send_signal(signal.SIGINT)
            assert client.recv(1) == b""
        assert process.communicate(timeout=30) == ("1 False\n", "")
        assert process.returncode == 0


def test_a_late_worker_is_told_of_and_stop_works_later(
    monkeypatch, belongings, becomes
):
    release = threading.Event()
    before = belongings()
    monkeypatch.setattr(crew, "STOP_TIMEOUT_S", 0.2)
    monkeypatch.setattr(serving, "spin", lambda _: release.wait(20))
    server = Server(workers=2)
    try:
        with connect(server.address) as client:
            client.sendall(question("/spin/5"))
            one = lambda: total(server)["accepted"] == 1  # noqa: E731, F821 - del below
            assert becomes(one)
            assert server.settle()
            with pytest.raises(RuntimeError, match=r"1 workers did not stop.*again"):
                server.stop()
            assert server.running
    finally:
        release.set()
        server.stop()
    assert not server.running
    rows = server.snapshot()
    assert (counters.open_connections(rows) == rows["left_open"]).all()
    for name in counters.USAGE:
        assert (rows[name] >= 0).all(), name
    del server
    assert becomes(lambda: belongings() == before)


# --- out of descriptors

EXHAUSTED = """
    import json, os, resource, sys
    from netlab import counters
    from netlab.server.server import Server

    def limit(number):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))

    server = Server(workers=2, **json.loads(sys.argv[1]))
    used, before = max(map(int, os.listdir("/proc/self/fd"))), 1024
    limit(used + 4)
    print(server.address.port, flush=True)
    for line in sys.stdin:
        if line == "raise\\n":
            limit(before)
        elif line == "stop\\n":
            server.stop()
        rows = server.snapshot() if not server.running else server._crew.rows.copy()
        counts = counters.total(rows) | {"waiting": server.waiting()}
        counts["dead"] = len(server.failures)
        print(json.dumps(counts), flush=True)
"""


class Exhausted:
    """A server in a process that has few descriptors, and what it counts."""

    def __init__(self, process):
        self.process = process
        self.port = int(process.stdout.readline())

    def say(self, word="look"):
        print(word, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def look(self, name):
        return self.say()[name]


@pytest.fixture
def exhausted(kind_in_threads, start_fresh):
    with start_fresh(EXHAUSTED, json.dumps(kind_in_threads)) as process:
        yield Exhausted(process)
        _, complaints = process.communicate(timeout=30)
        assert (process.returncode, complaints) == (0, "")


@pytest.fixture
def clients():
    held = []
    yield held
    for client in held:
        client.close()


def open_all(exhausted, clients, count):
    for _ in range(count):
        clients.append(connect(("127.0.0.1", exhausted.port)))
        clients[-1].sendall(question())


def test_out_of_descriptors_a_worker_rests_and_recovers(exhausted, clients, becomes):
    open_all(exhausted, clients, 10)
    assert becomes(lambda: exhausted.look("rests") >= 6)
    counts = exhausted.say()
    assert 0 < counts["accepted"] < 10
    assert counts["accept_errors"] == counts["rests"]
    assert counts["accepted"] + counts["waiting"] == 10
    # A rest is a turn for the accept that failed and one for its end, per worker.
    assert counts["turns"] <= 4 * counts["rests"] + 4 * counts["accepted"]
    exhausted.say("raise")
    for client in clients:
        assert b" 200 OK" in client.recv(4096)
    assert becomes(lambda: exhausted.look("accepted") == 10)
    assert (exhausted.look("waiting"), exhausted.look("dead")) == (0, 0)


def test_one_client_that_leaves_makes_room_for_one(exhausted, clients, becomes):
    open_all(exhausted, clients, 8)
    assert becomes(lambda: exhausted.look("rests") >= 2)
    for served in range(8):  # the queue is in order, so they are answered in order
        assert b" 200 OK" in clients[served].recv(4096)
        clients[served].close()
    assert becomes(lambda: exhausted.look("closed") == 8)
    assert exhausted.look("dead") == 0


def test_out_of_descriptors_a_server_can_be_stopped(exhausted, clients, becomes):
    open_all(exhausted, clients, 10)
    assert becomes(lambda: exhausted.look("rests") >= 2)
    waiting = exhausted.look("waiting")
    counts = exhausted.say("stop")
    assert counts["waiting"] == waiting == 10 - counts["accepted"]
    assert counts["left_open"] == counts["accepted"] > 0
    assert counts["wakeups"] > 0


# --- select's end

many = pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2048,
    reason="the hard limit of descriptors is below 2048 here (ulimit -Hn)",
)
BEYOND = """
        import os, resource
        from netlab import counters
        from netlab.server.server import Server
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))

        def fill():
            while os.dup(0) < 1040:
                pass
"""


@many
def test_select_says_why_it_cannot_watch_beyond_1023(fresh):
    program = """
        fill()
        before = os.listdir("/proc/self/fd"), os.listdir("/proc/self/task")
        try:
            Server(workers=2, loop="select")
        except ValueError as error:
            assert "sets end at 1023" in str(error), error
            assert "use loop='epoll'" in str(error), error
        after = os.listdir("/proc/self/fd"), os.listdir("/proc/self/task")
        print(before == after)
        with Server(workers=2, loop="epoll") as server:
            print(server.running)
    """
    assert fresh(BEYOND + program) == ["True", "True"]


@many
def test_a_client_beyond_1023_is_turned_away_and_the_others_stay(start_fresh, becomes):
    program = """
        import sys
        with Server(workers=2, loop="select") as server:
            print(server.address.port, flush=True)
            sys.stdin.readline()
            fill()
            for _ in iter(sys.stdin.readline, "end\\n"):
                sums = counters.total(server.snapshot())
                names = "accepted", "accept_errors", "closed", "answers"
                print(*[sums[name] for name in names], flush=True)
            print(server.failures)
    """
    with start_fresh(BEYOND + program) as process:
        address = "127.0.0.1", int(process.stdout.readline())

        def look(word="look"):
            print(word, file=process.stdin, flush=True)
            return process.stdout.readline().split()

        with connect(address) as early:
            assert b" 200 OK" in get(early)
            assert look("fill\nlook") == ["1", "0", "0", "1"]
            with connect(address) as late:
                assert late.recv(1) == b""
            assert becomes(lambda: look() == ["2", "1", "1", "1"])
            assert b" 200 OK" in get(early)
        assert look("end") == ["{}"]
        assert process.communicate(timeout=30) == ("", "")


def test_a_stopped_server_has_no_thread_that_ps_would_list():
    for _ in range(30):
        with Server(workers=8) as server:
            tids = server.tids
        assert not [tid for tid in tids if os.path.exists(f"/proc/self/task/{tid}")]
