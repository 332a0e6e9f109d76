"""The benchmarks: the peers answer as netlab does, and what is counted is right."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys

import pytest
from bounded import BOUND_S, ROOT, children, exchange, lives

from benchmarks import __main__ as command
from benchmarks import (
    calls,
    client,
    figure,
    first_answer,
    generators,
    idle,
    nginx,
    peers,
    requests,
    results,
    rounds,
    scaling,
    summary,
    table,
)
from benchmarks.bench import Case, opened
from benchmarks.nginx import KEEP, LAST
from benchmarks.peer_asyncio import LOOPS
from benchmarks.running import Missing
from benchmarks.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="they need Linux")
QUICK = Settings(rounds=1, seconds=1, quick=True)


def needs(program, package):
    missing = shutil.which(program) is None
    return pytest.mark.skipif(missing, reason=f"{program} is missing ({package})")


gcc, wrk = needs("gcc", "apt install gcc libc6-dev"), needs("wrk", "apt install wrk")
strace = needs("strace", "apt install strace")
with_nginx = needs("nginx", "apt install nginx-light")
SERVERS = [
    pytest.param("c", marks=gcc),
    "netlab python",
    "uvloop",
    "asyncio",
    pytest.param("nginx", marks=with_nginx),
]


@pytest.fixture
def bench():
    with opened(QUICK) as bench:
        yield bench


@pytest.fixture(scope="module")
def c():
    """The C peer, one for all tests that do not count."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing (apt install gcc libc6-dev)")
    with opened(QUICK) as bench, bench.fresh("c") as server:
        yield server.address


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    before = children()
    yield
    assert children() <= before


def body_of(answer):
    return answer.partition(b"\r\n\r\n")[2]


def statuses(stream):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", stream)]


# --- the C peer behaves as netlab does


def test_c_answers_and_closes_when_asked(c):
    answer = exchange(c, LAST)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert set(json.loads(body_of(answer))) == {"worker", "tid", "cpu", "accepts"}


def test_c_keeps_a_connection_and_counts(c):
    with socket.create_connection(c, BOUND_S) as one:
        for _ in range(3):
            one.sendall(KEEP)
            assert client.read_answer(one) == nginx.length(KEEP)


def test_c_answers_what_is_pipelined_in_order(c):
    paths = [b"/", b"/bytes/3", b"/nowhere", b"/spin/10"] * 40
    asked = b"".join(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path for path in paths)
    answers = exchange(c, asked + LAST)
    assert statuses(answers) == [200, 200, 404, 200] * 40 + [200]


def test_c_waits_for_the_rest_of_a_request(c):
    with socket.create_connection(c, BOUND_S) as one:
        for at in range(0, len(KEEP), 5):
            one.sendall(KEEP[at : at + 5])
            client.length(c, last=True)  # it goes on with others meanwhile
        assert client.read_answer(one) == nginx.length(KEEP)


def test_c_gives_a_long_body_to_a_client_that_does_not_read_at_first(c):
    asked = b"GET /bytes/65536 HTTP/1.1\r\nHost: h\r\n\r\n" * 200
    with socket.create_connection(c, BOUND_S) as one:
        one.sendall(asked + LAST)
        client.length(c, last=True)  # it is not held up by a client that does not read
        stream = b"".join(iter(lambda: one.recv(1 << 16), b""))
    assert stream.count(bytes(range(0x21, 0x61)) * 1024) == 200
    assert statuses(stream) == [200] * 201


@pytest.mark.parametrize(
    ("asked", "status", "closes"),
    [
        (b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", 200, False),
        (b"GET /?x=1 HTTP/1.1\r\nHost: h\r\n\r\n", 200, False),
        (b"GET / HTTP/1.0\r\n\r\n", 200, True),
        (b"GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n", 200, False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nCONNECTION: x, Close\r\n\r\n", 200, True),
        (b"GET /spin/x HTTP/1.1\r\nHost: h\r\n\r\n", 404, False),
        (b"GET /bytes/65537 HTTP/1.1\r\nHost: h\r\n\r\n", 400, True),
        (b"POST / HTTP/1.1\r\nHost: h\r\n\r\n", 400, True),
        (b"GET / HTTP/1.1\r\n\r\n", 400, True),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 400, True),
        (b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400, True),
        (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400, True),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", 400, True),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0, 5\r\n\r\n", 400, True),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"a" * 9000, 431, True),
    ],
)
def test_c_reads_requests_as_http_says(c, asked, status, closes):
    with socket.create_connection(c, BOUND_S) as one:
        one.sendall(asked)
        found = one.recv(1 << 16)
        assert statuses(found) == [status]
        if closes:
            with contextlib.suppress(ConnectionResetError):  # it had unread bytes
                assert one.recv(1) == b""
        else:
            one.sendall(LAST)
            more = b"".join(iter(lambda: one.recv(1 << 16), b""))
            assert statuses(more) == [200]


@gcc
def test_c_reports_and_ends_when_told(tmp_path):
    program = peers.build(tmp_path)
    with subprocess.Popen([program, "2"], stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            port = re.fullmatch(
                rf"listening on 127.0.0.1:(\d+) pid {process.pid}\n", line
            )
            client.LOADS["new connection"](("127.0.0.1", int(port[1])), 7)
        finally:
            process.terminate()
        report = process.communicate(timeout=BOUND_S)[0]
    assert process.returncode == 0
    for counter in ("accepted", "requests", "closed"):
        assert sum(map(int, re.findall(rf"{counter} (\d+)", report))) == 7


@gcc
@pytest.mark.parametrize("arguments", [["0"], ["1", "65536"]])
def test_c_refuses_what_it_cannot_be(tmp_path, arguments):
    done = subprocess.run([peers.build(tmp_path), *arguments], capture_output=True)
    assert done.returncode == 2
    assert done.stderr.startswith(b"usage")


# --- the servers


@pytest.mark.parametrize("name", SERVERS)
def test_answers_are_as_long_as_netlab_s(bench, name):
    with bench.fresh(name) as server:
        assert client.length(server.address, last=False) == nginx.length(KEEP)
        assert client.length(server.address, last=True) == nginx.length(LAST)
    assert not lives(server.pid)


@pytest.mark.parametrize("name", LOOPS)
def test_event_loops_answer_what_is_pipelined_and_what_is_long(bench, name):
    asked = b"GET /bytes/100000 HTTP/1.1\r\nHost: h\r\n\r\n" + KEEP * 5
    with bench.fresh(name) as server:
        answers = exchange(server.address, asked + LAST)
    assert statuses(answers) == [200] * 7
    assert len(answers) > 100_000 + 6 * 71


def test_a_server_that_ends_at_its_start_tells_why(bench):
    program = [sys.executable, "-c", "raise SystemExit('no such luck')"]
    with (
        pytest.raises(Missing, match="odd did not start: no such luck"),
        bench.run("odd", program, bench.server_cpus),
    ):
        pass


def test_a_server_that_is_not_here_is_a_row_with_the_remedy(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with opened(Settings(only=("nginx",))) as bench:
        bench.start_all()
    assert bench.missing == [
        {
            "measure": "server",
            "subject": "nginx",
            "reason": "not here: apt install nginx-light",
        }
    ]


def test_servers_with_unequal_answers_are_not_compared(bench):
    with bench.fresh("asyncio") as one:
        bench.servers = {"one": one}
        bench.require_equal_answers()
        bench.servers["other"] = one._replace(address=one.address)
        lengths = iter([179, 180])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client, "length", lambda *_, **__: next(lengths))
            with pytest.raises(ValueError, match="'one': 179, 'other': 180"):
                bench.require_equal_answers()


# --- what is measured


@gcc
@strace
def test_system_calls_of_a_known_server_are_counted_exactly(bench):
    expected = {
        "keep-alive": {"epoll_wait": 1, "recvfrom": 1, "sendto": 1},
        "new connection": {
            "accept4": 1,
            "close": 1,
            "epoll_ctl": 1,
            "epoll_wait": 2,
            "recvfrom": 1,
            "sendto": 1,
        },
    }
    with bench.fresh("c") as server:
        for load, kinds in expected.items():
            found = calls.per_request(server, load, 20, bench.new_folder())
            assert found == {"calls": sum(kinds.values()), "kinds": kinds}


@gcc
@wrk
def test_a_load_costs_cpu_time_in_two_parts(bench):
    with bench.fresh("c") as server:
        found = requests.measure(bench, server, "keep-alive", 1)
    assert found["requests"] > 100
    assert found["user_us"] + found["system_us"] == pytest.approx(found["cpu_us"])
    assert found["cpu_us"] > 0


@wrk
def test_a_load_that_fails_is_not_reported(bench):
    with bench.fresh("asyncio") as server:
        command = requests.wrk_command(requests.url(server, "/nowhere"), 1)
        with pytest.raises(Missing, match="Non-2xx"):
            requests.wrk(command)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1.01s", 1.01), ("900.00ms", 0.9), ("1.50m", 90.0)]
)
def test_wrk_s_report_is_read(text, seconds):
    program = f"print('  42 requests in {text}, 7.21MB read')"
    assert requests.wrk([sys.executable, "-c", program]) == (42, pytest.approx(seconds))


def test_idle_connections_that_were_not_all_accepted_are_not_reported(
    bench, monkeypatch
):
    monkeypatch.setattr(idle, "descriptors", lambda _: 7)
    with (
        bench.fresh("asyncio") as server,
        pytest.raises(Missing, match="0 of 20 connections were accepted"),
    ):
        idle.hold(server, 20)


def test_a_generator_s_start_is_not_in_its_cost(bench, monkeypatch):
    bench.servers = {"any": None}
    spent_s, answered = iter([0.0, 1.0, 1.0, 3.0]), iter([100, 300])
    monkeypatch.setattr(generators, "_cpu_s", lambda: next(spent_s))
    found = generators.cost(bench, lambda *_: next(answered))
    assert found == {"requests": 200, "cpu_us": 1e6 * (2.0 - 1.0) / 200}


def test_children_s_cpu_time_is_counted_with_their_own_children_s():
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    nested = "import subprocess, sys; subprocess.run(sys.argv[1:], check=True)"
    before = generators._cpu_s()
    words = [sys.executable, "-c", nested, sys.executable, "-c", burn]
    subprocess.run(words, check=True)
    assert generators._cpu_s() - before >= 0.3


def test_without_a_free_threaded_python_the_reason_is_told(bench, monkeypatch):
    monkeypatch.delenv(scaling.NAMED_BY, raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(Missing, match=f"not here: set {scaling.NAMED_BY}"):
        scaling.start(bench, scaling.KINDS[-1], 2)


def test_first_answer_of_a_fresh_process(tmp_path):
    assert first_answer.in_a_fresh_process("python", str(tmp_path)) > 0
    with pytest.raises(Missing, match="engine='steam'"):
        first_answer.in_a_fresh_process("steam", str(tmp_path))


# --- rounds


def case(name, act, once=False):
    return Case("m", name, act, once)


def test_rounds_are_shuffled_by_the_seed_and_complete():
    def order(seed):
        with opened(Settings(rounds=3, seed=seed)) as bench:
            cases = [case(name, dict) for name in "abcdef"]
            rows = rounds.run_all(bench, [*cases, case("once", dict, once=True)])
        return [(row["round"], row["subject"]) for row in rows]

    assert order(1) == order(1) != order(2)
    assert len(order(1)) == 3 * 6 + 1
    assert order(1).count((0, "once")) == 1
    assert [name for n, name in order(1) if n == 1] != list("abcdef")


def test_what_fails_is_noted_and_the_rest_goes_on(bench):
    def fail():
        raise OSError(f"{ROOT}/x is broken")

    rows = rounds.run_all(bench, [case("bad", fail), case("good", lambda: {"n": 1})])
    assert rows == [{"round": 0, "measure": "m", "subject": "good", "n": 1}]
    assert bench.missing == [
        {"measure": "m", "subject": "bad", "reason": "./x is broken"}
    ]


# --- what is told


def made_up():
    """Results of two servers in three rounds; the third server is not here."""
    costs = {"c": (10.0, 12.0, 11.0), "asyncio": (20.0, 30.0, 33.0)}
    rows = [
        {
            "round": number,
            "measure": load,
            "subject": name,
            "requests": 1000,
            "requests_per_s": 12345.6,
            "user_us": cost / 4,
            "system_us": cost * 3 / 4,
            "cpu_us": cost,
        }
        for name, found in costs.items()
        for load in client.LOADS
        for number, cost in enumerate(found)
    ]
    kinds = {"recvfrom": 1.0, "sendto": 1.0}
    counted = {"round": 0, "measure": "calls, keep-alive", "subject": "c"}
    return {
        "format": results.FORMAT,
        "date": "2026-01-31T00:00:00+00:00",
        "settings": {"rounds": 3, "seconds": 2},
        "machine": {"cpu_model": "A CPU", "line": "Linux 6.18"},
        "versions": {"c": "gcc 12"},
        "servers": ["c", "asyncio", "nginx"],
        "missing": [
            {
                "measure": "server",
                "subject": "nginx",
                "reason": "not here: apt install nginx-light",
            }
        ],
        "rows": [*rows, {**counted, "calls": 2.0, "kinds": kinds}],
    }


def test_medians_and_ranges():
    rows = made_up()["rows"]
    found = summary.spread(rows, "keep-alive", "c", "cpu_us")
    assert found == (11.0, 10.0, 12.0, 3)
    assert found.text(".1f") == "11.0 (10.0–12.0)"
    assert summary.Spread(2.0, 2.0, 2.0, 1).text(".0f") == "2"
    assert summary.spread(rows, "keep-alive", "nginx", "cpu_us") is None


def test_ratios_are_of_the_same_round():
    rows = made_up()["rows"]
    assert summary.relative(rows, "keep-alive", "asyncio", "cpu_us") == (2.5, 2, 3, 3)
    assert summary.relative(rows, "keep-alive", "c", "cpu_us") == (1, 1, 1, 3)
    without_c = [row for row in rows if row["subject"] != "c"]
    assert summary.relative(without_c, "keep-alive", "asyncio", "cpu_us") is None


def test_table_has_a_row_for_each_server_and_what_it_lacks():
    text = table.full(made_up())
    cells = [cell.strip() for cell in text.split("|")]
    assert "2.50 (2.00–3.00)" in cells
    assert "11.0 (10.0–12.0)" in cells
    assert "recvfrom 1, sendto 1" in cells
    assert cells.count("not here: apt install nginx-light") == 2
    assert "A CPU · Linux 6.18 · 3 rounds of 2 s, interleaved · 2026-01-31" in text


def test_a_bar_in_a_cell_does_not_end_it():
    lines = table.markdown(["a"], [["x|y"]]).splitlines()
    assert lines == ["| a    |", "|------|", "| x\\|y |"]


def test_figure_is_a_picture_with_its_numbers_in_words():
    shown = figure.draw(made_up())
    assert shown.png.startswith(b"\x89PNG")
    assert "keep-alive: c 11.0, asyncio 30.0" in shown.alt
    assert "nginx" not in shown.alt


def test_figure_without_any_server_is_drawn_all_the_same():
    assert figure.draw(made_up() | {"rows": []}).png.startswith(b"\x89PNG")


def test_results_are_read_as_they_were_saved(tmp_path):
    results.save(made_up(), tmp_path)
    assert results.read(tmp_path) == made_up()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {results.FILE, results.TABLE, results.FIGURE}
    (tmp_path / results.FILE).write_text("{}")
    with pytest.raises(ValueError, match="run make bench again"):
        results.read(tmp_path)


def test_readme_gets_the_table_between_its_markers(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n")
    results.write_readme(readme, made_up())
    once = readme.read_text()
    results.write_readme(readme, made_up())
    assert readme.read_text() == once
    assert once.startswith(f"before\n{results.BEGIN}\n| server ")
    assert once.endswith(f"{results.END}\nafter\n")
    assert "old" not in once


@pytest.mark.parametrize(
    "text", ["none", results.BEGIN, f"{results.END}\n{results.BEGIN}"]
)
def test_readme_without_its_markers_is_left_alone(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(ValueError, match="bench:"):
        results.write_readme(readme, made_up())
    assert readme.read_text() == text


# --- the command


@wrk
def test_a_quick_run_of_two_servers_leaves_all_three_files(tmp_path, capsys):
    asked = ["--quick", "--only", "asyncio", "netlab python", "--measures", "requests"]
    assert command.main([*asked, "--out", str(tmp_path)]) == 0
    found = results.read(tmp_path)
    assert found["servers"] == ["netlab python", "asyncio"]
    assert found["missing"] == []
    measured = {(row["measure"], row["subject"]) for row in found["rows"]}
    assert measured == {(m, n) for m in client.LOADS for n in found["servers"]}
    assert found["machine"]["line"] in (tmp_path / results.TABLE).read_text()
    assert str(ROOT) not in json.dumps(found)
    assert (tmp_path / results.FIGURE).stat().st_size > 1000
    assert "netlab python" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--only", "apache"], "server 'apache': there are c, netlab compiled"),
        (["--measures", "luck"], "measure 'luck': there are requests"),
        (["--rounds", "0"], "rounds=0"),
        (["draw", "--out", "no-such-folder"], "make bench makes it"),
    ],
)
def test_what_cannot_be_honoured_stops_with_the_reason(asked, said, capsys):
    assert command.main(asked) == command.REFUSED
    assert said in capsys.readouterr().err
