"""The commands, as processes: what they print, where, and how they end."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from netlab import counters
from netlab.__main__ import COMMANDS, main
from netlab.commands.output import ENDS, told_to_end
from netlab.study.run import Run
from tests.bounded import (
    BOUND_S,
    ENVIRONMENT,
    ROOT,
    exchange,
    free_port,
    linux,
    until,
)

pytestmark = linux
COMMAND = [sys.executable, "-m", "netlab"]
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
READY = re.compile(
    r"listening on (?P<addresses>\S+(?: \S+)*) with (?P<workers>\d+) workers, "
    r"strategy (?P<strategy>\S+), loop (?P<loop>\S+), pid (?P<pid>\d+)\n"
)
NUMBER, MAYBE = (int, float), (int, float, type(None))
RUN = {  # the keys of docs/command-line.md
    "settings": dict,
    "machine": dict,
    "accepts": list,
    "accept_wakeups_per_accept": MAYBE,
    "accept_turns_per_accept": MAYBE,
    "accept_would_block_per_accept": MAYBE,
    "accept_cpu_us_per_accept": MAYBE,
    "wakeups_per_accept": NUMBER,
    "turns_per_accept": NUMBER,
    "would_block_per_accept": NUMBER,
    "order": str,
    "accept_order": str,
    "jain": NUMBER,
    "statuses": dict,
    "p50_us": MAYBE,
    "p90_us": MAYBE,
    "p99_us": MAYBE,
    "max_us": MAYBE,
    "requests_per_s": MAYBE,
    "load_cpu_us_per_request": MAYBE,
    "late_sends": (dict, type(None)),
    "on_time_percent": MAYBE,
    "schedule": (str, type(None)),
    "server_cpu_us_per_request": MAYBE,
    "conserved": bool,
    "settled": bool,
    "sampler_cost_percent": NUMBER,
    "throttling": dict,
    "listen_queue": dict,
    "repeats": list,
}
LOAD = {
    "settings": dict,
    "connections": int,
    "requests": int,
    "failures": dict,
    "unanswered": int,
    "answers": dict,
    "statuses": dict,
    "p50_us": MAYBE,
    "p90_us": MAYBE,
    "p99_us": MAYBE,
    "max_us": MAYBE,
    "requests_per_s": MAYBE,
    "load_cpu_us_per_request": MAYBE,
    "late_sends": (dict, type(None)),
    "on_time_percent": MAYBE,
    "schedule": (str, type(None)),
}


def netlab(*arguments, **settings):
    """Run one command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        timeout=2 * BOUND_S,
        check=False,
        **PIPES | settings,
    )


def as_json(*arguments, status=0):
    """What a command prints, which must be one JSON value on one line or more."""
    ended = netlab(*arguments)
    assert (ended.returncode, ended.stderr) == (status, "")
    return json.loads(ended.stdout)


@contextlib.contextmanager
def serving(*arguments):
    """Run `serve`; yields the process and what its first line says."""
    command = [*COMMAND, "serve", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, **PIPES) as process:
        try:
            yield process, READY.fullmatch(process.stdout.readline())
        finally:
            process.kill()


def ended(process):
    """The status, the lines and the messages of a server that was told to end."""
    out, err = process.communicate(timeout=BOUND_S)
    return process.returncode, out.splitlines(), err


def address_of(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def table_of(lines):
    """The table of counters: a line for each, a number or a word for each worker."""
    table = {name: values for name, *values in map(str.split, lines)}
    assert set(table) == {*counters.NAMES, "open"}
    return table


# -- serve ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_answers_until_a_signal_and_then_tells_its_counters(number):
    with serving("--workers", "2", "--port", "0") as (process, ready):
        assert ready["workers"] == "2"
        assert (ready["strategy"], ready["loop"]) == ("level", "epoll")
        assert int(ready["pid"]) == process.pid
        for _ in range(3):
            answer = exchange(address_of(ready["addresses"]))
            assert answer.startswith(b"HTTP/1.1 200")
        process.send_signal(number)
        status, lines, messages = ended(process)
    assert (status, messages) == (0, "")
    table = table_of(lines)
    assert sum(map(int, table["accepted"])) == sum(map(int, table["answers"])) == 3
    assert table["state"] == ["ended", "ended"]


def test_serve_stops_while_clients_are_connected():
    with serving("--workers", "2") as (process, ready):
        address = address_of(ready["addresses"])
        with socket.create_connection(address, BOUND_S) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /")
            assert client.recv(100)
            process.send_signal(signal.SIGTERM)
            status, lines, messages = ended(process)
    assert (status, messages) == (0, "")
    assert sum(map(int, table_of(lines)["left_open"])) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_well_however_often_it_is_told(number):
    with serving("--workers", "2") as (process, ready):
        assert ready
        process.send_signal(number)
        while process.poll() is None:  # to the very end of Python's own end
            process.send_signal(number)
            time.sleep(0.0005)
        status, lines, messages = ended(process)
    assert (status, messages) == (0, "")
    assert table_of(lines)


def hears(process):
    """Whether the process has said what SIGTERM means to it."""
    with open(f"/proc/{process.pid}/status") as file:
        caught = next(line for line in file if line.startswith("SigCgt"))
    return int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 2])
def test_serve_that_is_told_before_it_is_ready(number, times):
    with subprocess.Popen(
        [*COMMAND, "serve", "--workers", "2"], cwd=ROOT, env=ENVIRONMENT, **PIPES
    ) as process:
        until(lambda: hears(process))
        for _ in range(times):
            process.send_signal(number)
        status, lines, messages = ended(process)
    assert (status, messages) == (0, "")
    assert READY.fullmatch(lines[0] + "\n")
    assert table_of(lines[1:])


def test_serve_for_some_seconds():
    with serving("--workers", "1", "--seconds", "0.3") as (process, ready):
        assert ready
        status, lines, messages = ended(process)
    assert (status, messages) == (0, "")
    assert table_of(lines)


def test_serve_on_several_addresses():
    listen = ["127.0.0.1:0", "127.0.0.1:0"]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        listen.append("[::1]:0")
    given = [word for address in listen for word in ("--listen", address)]
    port = free_port()
    with serving("--workers", "2", "--port", str(port), *given) as (process, ready):
        addresses = ready["addresses"].split()
        for address in addresses:
            assert exchange(address_of(address)).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGTERM)
        status, _, _ = ended(process)
    assert status == 0
    assert addresses[0] == f"127.0.0.1:{port}"
    assert [text.rpartition(":")[0] for text in addresses[1:]] == [
        text.rpartition(":")[0] for text in listen
    ]


def test_serve_with_every_option():
    with serving(
        *("--workers", "3", "--strategy", "level", "--engine", "python"),
        *("--loop", "select", "--backlog", "16", "--register-order", "2,0,1"),
        "--no-pin",
    ) as (process, ready):
        assert (ready["workers"], ready["loop"]) == ("3", "select")
        assert exchange(address_of(ready["addresses"]))
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 0


def test_serve_answers_clients_that_are_not_ours():
    with serving("--workers", "2") as (process, ready):
        url = f"http://{ready['addresses']}/bytes/100000"
        for command in (
            ["curl", "-sS", "-o", os.devnull, "-w", "%{http_code} %{size_download}"],
            ["ab", "-q", "-n", "50", "-c", "5", "-k"],
            ["wrk", "-d", "1s", "-t", "1", "-c", "4"],
        ):
            told = subprocess.run(
                [*command, url], capture_output=True, check=True, text=True, timeout=60
            ).stdout
            assert "Non-2xx" not in told
            assert "Socket errors" not in told
            if command[0] == "curl":
                assert told == "200 100000"
        process.send_signal(signal.SIGTERM)
        status, lines, messages = ended(process)
    assert (status, messages) == (0, "")
    assert sum(map(int, table_of(lines)["faults"])) == 0


FAULTY = """
import sys
from netlab.__main__ import COMMANDS, main
from netlab.server.worker import Worker
turn = Worker.turn
def faulty(self):
    if self.tally.turns:
        raise ZeroDivisionError("this worker is faulty")
    return turn(self)
Worker.turn = faulty
sys.exit(main(["serve", "--workers", "1"]))
"""


def test_serve_ends_with_status_1_when_a_worker_dies():
    with subprocess.Popen(
        [sys.executable, "-c", FAULTY], env=ENVIRONMENT, **PIPES
    ) as process:
        ready = READY.fullmatch(process.stdout.readline())
        with contextlib.suppress(OSError):
            exchange(address_of(ready["addresses"]))
        status, lines, messages = ended(process)
    assert status == 1
    assert messages == (
        "netlab: worker 0 died: ZeroDivisionError('this worker is faulty')\n"
    )
    assert table_of(lines)["state"] == ["failed"]


# -- run ------------------------------------------------------------------------------


def fits(found, schema):
    """Whether a JSON object has exactly these keys, with values of these types."""
    assert found.keys() == schema.keys()
    wrong = {
        name: found[name]
        for name, kinds in schema.items()
        if not isinstance(found[name], kinds)
    }
    assert wrong == {}
    return True


def test_run_prints_one_object_with_the_documented_keys(tmp_path):
    found = as_json(
        *("run", "--workers", "3", "--connections", "30", "--requests", "2"),
        *("--repeats", "3", "--register-order", "2,0,1", "--json"),
        *("--save", str(tmp_path / "kept")),
    )
    assert fits(found, RUN)
    figures = {
        name: kinds for name, kinds in RUN.items() if name in found["repeats"][0]
    }
    assert RUN.keys() - figures.keys() == {"settings", "machine", "repeats"}
    assert all(fits(figure, figures) for figure in found["repeats"])
    for side in ("requested", "actual"):
        assert found["settings"][side]["server"]["register_order"] == [2, 0, 1]
    assert found["settings"]["actual"]["server"]["loop"] == "epoll"
    assert len(found["repeats"]) == 3
    assert sum(found["accepts"]) == len(found["order"]) == 30
    assert set(found["order"]) <= set("012")
    assert found["conserved"] is True
    assert found["accept_wakeups_per_accept"] is None
    assert found["p50_us"] == sorted(run["p50_us"] for run in found["repeats"])[1]
    assert Run.open(tmp_path / "kept").figures == found["repeats"][-1]


def test_run_of_touch_tells_the_wakeups_of_accepting():
    found = as_json(
        *("run", "--plan", "touch", "--workers", "4", "--connections", "25"),
        *("--pause-ms", "20", "--json"),
    )
    assert fits(found, RUN)
    assert found["accept_wakeups_per_accept"] >= 0.9 * 4
    assert found["accept_turns_per_accept"] >= 1
    assert found["accept_would_block_per_accept"] >= 0
    assert found["accept_cpu_us_per_accept"] > 0
    for name in ("p50_us", "p99_us", "requests_per_s", "server_cpu_us_per_request"):
        assert found[name] is None


def test_run_without_json_is_a_table_and_a_line_a_figure():
    done = netlab("run", "--workers", "2", "--duration", "0.2")
    assert (done.returncode, done.stderr) == (0, "")
    table, figures = done.stdout.split("\n\n")
    assert table_of(table.splitlines())
    names = [line.split()[0] for line in figures.splitlines()]
    assert names == [
        name for name in RUN if name not in ("settings", "machine", "repeats")
    ]


def test_run_that_fails_says_so_in_one_line():
    done = netlab("run", "--path", "/spin/90000", "--timeout", "0.2", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "not finished in time" in done.stderr


def test_run_does_not_begin_when_it_could_not_be_saved(tmp_path):
    (tmp_path / "mine").write_text("mine")
    began = time.monotonic()
    done = netlab("run", "--duration", "50", "--save", str(tmp_path))
    assert time.monotonic() - began < 50
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"netlab: {tmp_path} exists: save the run to a new folder\n"


def test_interrupted_run_is_quiet_and_leaves_no_process():
    with subprocess.Popen(
        [*COMMAND, "run", "--duration", "50", "--workers", "2"],
        cwd=ROOT,
        env=ENVIRONMENT,
        start_new_session=True,
        **PIPES,
    ) as process:
        group = os.getpgid(process.pid)
        until(lambda: b"load.process" in commands(group))
        until(lambda: names(process.pid) >= {"netlab-w0", "netlab-w1"})
        until(lambda: "netlab-sampler" in names(process.pid))
        os.killpg(group, signal.SIGINT)  # as the terminal does
        status, lines, messages = ended(process)
    assert (status, lines, messages) == (130, [], "")
    until(lambda: commands(group) == b"")


def names(pid):
    with os.scandir(f"/proc/{pid}/task") as tasks:
        return {open_text(f"{task.path}/comm").decode().strip() for task in tasks}


def commands(session):
    """The command lines of all processes of a session."""
    found = b""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(int(pid)) == session:
                found += open_text(f"/proc/{pid}/cmdline")
    return found


def open_text(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


# -- the others -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    from netlab import Server

    with Server(workers=2) as running:
        yield running


def test_load_prints_one_object(server):
    found = as_json(
        *("load", str(server.address), "--connections", "20", "--requests", "2"),
        "--json",
    )
    assert fits(found, LOAD)
    assert (found["connections"], found["requests"]) == (20, 40)
    assert found["failures"] == {}
    assert found["statuses"] == {"200": 40}
    assert sum(found["answers"].values()) == 40


def test_load_that_fails_counts_its_failures():
    address = f"127.0.0.1:{free_port()}"
    found = as_json("load", address, "--connections", "7", "--json", status=1)
    assert fits(found, LOAD)
    assert found["failures"] == {"refused": 7}


def test_load_that_ran_out_of_time_between_two_connections_failed(server):
    asked = ["--connections", "100000", "--at-once", "1", "--timeout", "0.2"]
    done = netlab("load", str(server.address), *asked)
    assert (done.returncode, done.stderr) == (1, "")
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == list(LOAD)


def test_ps_is_the_originals_table(server):
    done = netlab("ps", str(os.getpid()))
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = map(str.split, done.stdout.splitlines())
    assert head == ["pid", "tid", "psr", "pcpu", "comm"]
    assert {row[0] for row in rows} == {str(os.getpid())}
    assert {"netlab-w0", "netlab-w1"} <= {row[4] for row in rows}


def test_strategies_are_the_table():
    from netlab.server import strategies

    found = as_json("strategies", "--json")
    assert found == [row.described() for row in strategies.table()]
    text = netlab("strategies").stdout
    assert all(f"{row.name}: {row.summary}" in text for row in strategies.table())


def test_doctor_tells_every_fact():
    found = as_json("doctor", "--json")
    assert all(fact.keys() == {"what", "here", "mode", "why"} for fact in found)
    text = netlab("doctor").stdout
    assert all(fact["what"] in text for fact in found)


def test_help_is_for_every_command():
    text = netlab("--help").stdout
    for command in COMMANDS:
        assert command in text


REFUSALS = [
    ([], "command"),
    (["dance"], "dance"),
    (["serve", "--workers", "0"], "workers=0"),
    (["serve", "--workers", "many"], "many"),
    (["serve", "--strategy", "fair"], "'fair'"),
    (["serve", "--engine", "steam"], "'steam'"),
    (["serve", "--loop", "poll"], "poll"),
    (["serve", "--port", "70000"], "70000"),
    (["serve", "--listen", "here"], "'here'"),
    (["serve", "--listen", "0.0.0.0:0"], "other machines"),
    (["serve", "--backlog", "0"], "backlog=0"),
    (["serve", "--register-order", "0,0", "--workers", "2"], "register_order"),
    (["serve", "--register-order", "a,b"], "a,b"),
    (["serve", "--seconds", "0"], "--seconds 0"),
    (["serve", "--seconds", "nan"], "--seconds nan"),
    (["serve", "--colour", "red"], "--colour"),
    (["run", "--repeats", "0"], "repeats=0"),
    (["run", "--plan", "torrent"], "'torrent'"),
    (["run", "--plan", "touch", "--requests", "2"], "requests=2"),
    (["run", "--at-once", "0"], "at_once=0"),
    (["run", "--duration", "nan"], "duration_s=nan"),
    (["run", "--duration", "9", "--timeout", "8"], "raise timeout_s"),
    (["run", "--path", "spin"], "'spin'"),
    (["load"], "ADDR:PORT"),
    (["load", "nowhere"], "'nowhere'"),
    (["load", "192.0.2.1:80"], "not this machine"),
    (["load", "127.0.0.1:1", "--pause-ms", "-1", "--plan", "touch"], "pause_ms=-1"),
    (["ps", "0"], "process 0"),
    (["ps", "-1"], "-1"),
    (["ps", "me"], "me"),
    (["doctor", "--verbose"], "--verbose"),
]


def called(arguments, capsys):
    """The same as `netlab`, in this process: much faster."""
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return subprocess.CompletedProcess(arguments, status, out, err)


@pytest.mark.parametrize(("arguments", "told"), REFUSALS, ids=lambda x: str(x)[:60])
def test_refusal_is_one_line_and_status_2(arguments, told, capsys):
    own_process = not arguments or arguments[0] == "serve"  # it takes the signals
    done = netlab(*arguments) if own_process else called(arguments, capsys)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("netlab: ")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


def test_port_that_is_taken_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = netlab("serve", "--port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in (
        done.stderr
    )
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor"],
        ["strategies", "--json"],
        ["run", "--connections", "5", "--json"],
        ["serve", "--seconds", "50"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_reader_that_is_gone_is_no_error(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = netlab(*arguments, stdout=writing)
    os.close(writing)
    assert done.stderr == ""


def test_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m netlab doctor | head -1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=ENVIRONMENT, check=True, **PIPES
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


# -- watch ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched():
    with serving("--workers", "2") as (_, said):
        yield said


def test_watch_shows_intervals_and_then_what_was_counted(watched):
    ended = netlab("watch", watched["pid"], "--seconds", "0.3", "--interval", "0.1")
    assert (ended.returncode, ended.stderr) == (0, "")
    listeners, *rates, threads = ended.stdout.strip().split("\n\n")
    assert watched["addresses"] in listeners
    assert 1 <= len(rates) <= 4
    for table in rates:
        assert table.split("\n")[0].split() == [
            *("pid", "tid", "psr", "pcpu"),
            *("wakeups_per_s", "preemptions_per_s", "comm"),
        ]
        assert "netlab-w1" in table
    assert {"netlab-w0", "netlab-w1"} <= set(threads.split())


def test_watch_as_json(watched):
    found = as_json("watch", watched["pid"], "--seconds", "0.2", "--json")
    assert list(found) == ["pid", "listeners", "threads", "trace"]
    assert found["pid"] == int(watched["pid"])
    (listener,) = found["listeners"]
    assert listener["address"] == watched["addresses"]
    assert listener["pids"] == [found["pid"]]
    names = [row["comm"] for row in found["threads"]]
    assert names[-2:] == ["netlab-w0", "netlab-w1"]
    assert found["trace"] is None


def test_watch_with_its_trace(watched):
    ended = netlab("watch", watched["pid"], "--seconds", "0.2", "--json", "--trace")
    if ended.returncode == 2:
        pytest.skip(ended.stderr)
    found = json.loads(ended.stdout)
    assert [row["tid"] for row in found["trace"]] == [
        row["tid"] for row in found["threads"]
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_may_come_at_the_very_moment_of_waiting(number):
    kept = {one: signal.getsignal(one) for one in ENDS}
    try:
        over = told_to_end()
        with over._cond:  # as in the middle of over.wait()
            signal.raise_signal(number)
        assert over.wait(BOUND_S)
    finally:
        for one, handler in kept.items():
            signal.signal(one, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_ends_when_told(watched, number):
    command = [*COMMAND, "watch", watched["pid"], "--interval", "0.1"]
    with subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, **PIPES) as process:
        while "pcpu" not in process.stdout.readline():
            pass
        process.send_signal(number)
        out, err = process.communicate(timeout=BOUND_S)
    assert (process.returncode, err) == (0, "")
    assert "ended" in out


def test_watch_ends_with_the_process():
    with serving("--workers", "1", "--seconds", "1") as (_, said):
        ended = netlab("watch", said["pid"], "--interval", "0.1")
    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("0",), "pid=0: give a number from 1"),
        (("4194304",), "process 4194304: there is no such process"),
        (("1", "--interval", "0", "--seconds", "1"), "interval_s=0.0: give a finite"),
        (("1", "--seconds", "nan"), "seconds=nan: give a finite"),
    ],
    ids=lambda found: str(found)[:20],
)
def test_watch_refuses(arguments, said):
    ended = netlab("watch", *arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
