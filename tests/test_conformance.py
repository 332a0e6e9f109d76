"""What a server of this protocol owes its clients, put to live servers.

The suite knows a host and a port. To put it to a server of your own instead:

    NETLAB_CONFORMANCE=127.0.0.1:8080 python -m pytest tests/test_conformance.py
"""

import contextlib
import functools
import http.client
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab import counters
from netlab.kernel.addresses import parse
from netlab.protocol import FILLER
from netlab.server import strategies
from netlab.server.server import Server
from tests.cases import MALFORMED, VALID, get, line
from tests.conftest import PROCESSES, THREADS, possible, strategy_kinds

OWN = "NETLAB_CONFORMANCE"
PATIENCE_S = 30  # whoever waits longer for an answer will not get it


class Answer(NamedTuple):
    """One answer: names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection that reads whole answers, one by one; knows no netlab code."""

    def __init__(self, address, receive_buffer=None):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        if receive_buffer:
            option = socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer
            self.socket.setsockopt(*option)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def say_no_more(self):
        self.socket.shutdown(socket.SHUT_WR)

    def vanish(self):
        """Close by a reset, as a machine that is switched off and on again."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def more(self):
        data = self.socket.recv(1 << 18)
        assert data, f"the server ended in the middle: {self.received[-200:]!r}"
        self.received += data

    def read(self, head_only=False):
        status, headers = self.read_head()
        size = 0 if head_only else int(headers["content-length"])
        return Answer(status, headers, self.read_bytes(size))

    def read_head(self):
        while b"\r\n\r\n" not in self.received:
            self.more()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        fields = [text.split(": ", 1) for text in lines]
        headers = {name.lower(): value for name, value in fields}
        assert len(headers) == len(fields)
        return int(status), headers

    def read_bytes(self, size):
        pieces, missing = [self.received], size - len(self.received)
        while missing > 0:
            pieces.append(self.socket.recv(min(missing, 1 << 18)))
            assert pieces[-1], "the server ended in the middle of a body"
            missing -= len(pieces[-1])
        whole = b"".join(pieces)
        self.received = whole[size:]
        return whole[:size]

    def ask(self, target=b"/"):
        self.send(get(target))
        return self.read()

    def at_end(self):
        """Return whether the server says no more, and has said nothing else."""
        return self.received == b"" and self.socket.recv(1) == b""


class Served(NamedTuple):
    """A live server; `counts` is None for one that cannot be looked into."""

    address: tuple[str, int]
    counts: object
    keeps_clients: bool = True  # each stays with one worker


# A worker that sleeps in accept has one client at a time: one for each of wrk's.
WORKERS = {"blocking": 80}


@contextlib.contextmanager
def ours(kind):
    strategy = possible(kind).get("strategy", "level")
    keeps = strategies.find(strategy).how.loop != "one epoll"
    with Server(workers=WORKERS.get(strategy, 2), **kind) as server:
        yield Served(server.address, lambda: counters.total(server.snapshot()), keeps)
        assert server.failures == {}
        assert server.settle()
        sums = counters.total(server.snapshot())
        assert sums["faults"] == sums["rests"] == sums["accept_errors"] == 0


@contextlib.contextmanager
def their_own(address):
    yield Served(tuple(parse(address)), None)


OURS = THREADS | {"processes": PROCESSES["compiled processes"]}
KNOWN = {"level", "level compiled", "select"}  # as "epoll", "compiled", "select"
OTHERS = {name: kind for name, kind in strategy_kinds().items() if name not in KNOWN}
OURS |= OTHERS
SERVERS = {name: functools.partial(ours, kind) for name, kind in OURS.items()}
if OWN in os.environ:
    SERVERS = {"own": lambda: their_own(os.environ[OWN])}


@pytest.fixture(scope="module", params=list(SERVERS))
def served(request):
    with SERVERS[request.param]() as served:
        yield served


@pytest.fixture(scope="module")
def address(served):
    return served.address


@pytest.fixture
def bystander(address):
    """A client that behaves, and must be answered well before and after."""
    with Client(address) as client:
        assert is_well(client)
        yield client
        assert is_well(client)


def is_well(client):
    answers = client.ask(), client.ask(b"/bytes/7")
    return [answer.status for answer in answers] == [200, 200] and (
        answers[1].body == FILLER[:7]
    )


def filler(size):
    return (FILLER * (size // len(FILLER) + 1))[:size]


# --- every case


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case.name)
def test_what_is_malformed_is_refused_and_closed(case, address, bystander):
    with Client(address) as client:
        client.send(case.data)
        assert is_well(bystander)
        if case.status is None:  # the server waits; whatever it said would come now
            client.say_no_more()
        else:
            answer = client.read()
            assert answer.status == case.status
            assert answer.headers["connection"] == "close"
            assert answer.body.endswith(b"\n")
        assert client.at_end()


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case.name)
def test_what_went_before_a_malformed_request_is_answered(case, address):
    with Client(address) as client:
        client.send(get(b"/bytes/5") * 2 + case.data)
        assert [client.read().body for _ in range(2)] == [filler(5)] * 2
        if case.status is None:
            client.say_no_more()
        else:
            assert client.read().status == case.status
        assert client.at_end()


@pytest.mark.parametrize("case", VALID, ids=lambda case: case.name)
def test_what_is_valid_is_answered(case, address, bystander):
    with Client(address) as client:
        began = time.perf_counter()
        client.send(case.data)
        answer = client.read(case.head_only)
        length_us = (time.perf_counter() - began) * 1e6
        assert answer.status == case.status
        size = int(answer.headers["content-length"])
        assert len(answer.body) == (0 if case.head_only else size)
        if case.route == "BYTES":
            assert size == case.argument
            assert answer.body in (b"", filler(case.argument))
        elif case.route == "SPIN":
            assert length_us >= case.argument
        if case.route in ("ROOT", "SPIN") and not case.head_only:
            assert set(json.loads(answer.body)) >= {"worker", "tid", "cpu", "accepts"}
        connection = answer.headers.get("connection", "")
        if case.keep_alive:
            assert connection == ("" if case.minor else "keep-alive")
            assert is_well(client)
        else:
            assert connection == "close"
            assert client.at_end()


@pytest.mark.parametrize("case", VALID, ids=lambda case: case.name)
def test_a_request_may_drip_in(case, address):
    if len(case.data) > 1000:
        pytest.skip("too long to drip: it is split at random elsewhere")
    with Client(address) as client:
        for place in range(len(case.data)):
            client.send(case.data[place : place + 1])
        assert client.read(case.head_only).status == case.status


# --- byte streams


PIECES = st.lists(st.integers(1, 60), min_size=1, max_size=40)
SMALL = [
    case
    for case in VALID
    if case.keep_alive and case.argument < 1000 and len(case.data) < 500
]


@st.composite
def conversations(draw, base):
    """Some requests, each with the body's length of this client alone, in pieces."""
    lengths = draw(st.lists(st.integers(base, base + 999), min_size=1, max_size=6))
    others = draw(st.lists(st.sampled_from(SMALL), max_size=4))
    asked = [(get(b"/bytes/%d" % n), 200, n, False) for n in lengths]
    asked += [(case.data, case.status, None, case.head_only) for case in others]
    asked = draw(st.permutations(asked))
    stream, pieces = b"".join(data for data, *_ in asked), []
    sizes = draw(PIECES)
    while stream:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(stream[:size])
        stream = stream[size:]
    return asked, pieces


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(first=conversations(1000), second=conversations(5000), data=st.data())
def test_two_clients_get_their_own_answers_however_they_send(
    first, second, data, address
):
    with Client(address) as one, Client(address) as another:
        left = {one: list(first[1]), another: list(second[1])}
        turns = data.draw(st.lists(st.booleans(), min_size=1, max_size=50))
        count = 0
        while any(left.values()):
            client = one if turns[count % len(turns)] else another
            count += 1
            if not left[client]:
                client = another if client is one else one
            client.send(left[client].pop(0))
        for client, (asked, _) in ((another, second), (one, first)):
            for _, status, size, head_only in asked:
                answer = client.read(head_only)
                assert answer.status == status
                if size is not None:
                    assert answer.body == filler(size)
            client.say_no_more()
            assert client.at_end()


def test_a_thousand_requests_in_one_send(address, bystander):
    with Client(address) as client:
        client.send(b"".join(get(b"/bytes/%d" % n) for n in range(1000)))
        for n in range(1000):
            if n % 100 == 0:
                assert is_well(bystander)
            assert client.read().body == filler(n)
        assert is_well(client)


def test_who_half_closes_gets_all_its_answers(address):
    with Client(address) as client:
        client.send(b"".join(get(b"/bytes/%d" % n) for n in range(200)) + b"GET /by")
        client.say_no_more()
        assert [len(client.read().body) for _ in range(200)] == list(range(200))
        assert client.at_end()


def test_nothing_is_answered_after_a_close(address):
    with Client(address) as client:
        close = get(b"/bytes/3", b"Host: h", b"Connection: close")
        client.send(get(b"/") + close + get(b"/bytes/4") * 3)
        assert [client.read().status, client.read().body] == [200, filler(3)]
        assert client.at_end()


def test_a_slow_reader_gets_every_byte_and_holds_up_nobody(served, bystander, becomes):
    before = served.counts and served.counts()["partial_writes"]
    size, share, seen = 8_000_000, 1 << 16, 0
    with Client(served.address, receive_buffer=1 << 14) as client:
        client.send(get(b"/bytes/%d" % size) + get(b"/bytes/9"))
        status, headers = client.read_head()
        assert (status, int(headers["content-length"])) == (200, size)
        if served.counts:  # more than the kernel holds, so the send has to wait
            assert becomes(lambda: served.counts()["partial_writes"] > before)
        while seen < size:
            if seen % (share * 8) == 0:
                assert is_well(bystander)
            piece = client.read_bytes(min(share, size - seen))
            assert piece == FILLER[: len(piece)]  # a share begins where FILLER does
            seen += len(piece)
        assert client.read().body == filler(9)


def test_a_pipelining_client_that_does_not_read_is_not_served(served, bystander):
    with Client(served.address, receive_buffer=1 << 14) as client:
        client.send(get(b"/bytes/8000000") * 20)
        assert is_well(bystander)
        for _ in range(20):
            assert client.read().body == filler(8_000_000)
            assert is_well(bystander)


# --- clients that vanish


def after_connecting(client):
    pass


def in_a_request(client):
    client.send(b"GET / HT")


def before_the_answer(client):
    client.send(get(b"/spin/20000"))


def in_a_long_answer(client):
    client.send(get(b"/bytes/8000000"))
    client.read_head()


def late_in_a_long_answer(client):
    client.send(get(b"/bytes/8000000"))
    client.read_head()
    client.read_bytes(1_000_000)


def in_a_pipeline(client):
    client.send(get(b"/bytes/5000") * 1000)
    client.read()


def after_a_refusal(client):
    client.send(b"\0")
    client.read()


VANISHING = [
    after_connecting,
    in_a_request,
    before_the_answer,
    in_a_long_answer,
    late_in_a_long_answer,
    in_a_pipeline,
    after_a_refusal,
]


@pytest.mark.parametrize("moment", VANISHING, ids=lambda moment: moment.__name__)
def test_who_vanishes_hurts_nobody(moment, served, bystander, becomes):
    before = served.counts and served.counts()["resets"]
    for _ in range(5):
        client = Client(served.address)
        moment(client)
        client.vanish()
        assert is_well(bystander)
    if served.counts:
        assert becomes(lambda: served.counts()["resets"] >= before + 5)


def test_who_leaves_in_the_middle_of_an_answer_hurts_nobody(served, bystander, becomes):
    before = served.counts and served.counts()["closed"]
    for _ in range(5):
        with Client(served.address) as client:
            client.send(get(b"/bytes/8000000"))
            client.read_head()
    if served.counts:
        assert becomes(lambda: served.counts()["closed"] >= before + 5)


def test_a_refused_client_that_sends_on_still_reads_the_refusal(address, bystander):
    with Client(address) as client:
        client.send(line(b"POST / HTTP/1.1") + b"x" * 100_000)
        assert client.read().status == 405
        assert client.at_end()


# --- the paths


def test_the_root_says_who_answered(served):
    with Client(served.address) as client:
        answer = client.ask()
        body = json.loads(answer.body)
        assert str(body["worker"]) == answer.headers["x-netlab-worker"]
        assert str(body["cpu"]) == answer.headers["x-netlab-cpu"]
        assert answer.headers["content-type"] == "application/json"
        said = [json.loads(client.ask().body) for _ in range(20)]
        tids = {(one["worker"], one["tid"]) for one in (body, *said)}
        assert len(tids) == len(dict(tids)) == len(set(dict(tids).values()))
        assert len(tids) == 1 or not served.keeps_clients


def test_head_has_the_headers_of_get_and_no_body(address):
    with Client(address) as client:
        for target in (b"/", b"/bytes/70000", b"/spin/5", b"/nowhere"):
            client.send(line(b"HEAD %s HTTP/1.1" % target))
            head, whole = client.read(head_only=True), client.ask(target)
            assert head.status == whole.status
            assert set(head.headers) == set(whole.headers)
            assert len(whole.body) == int(whole.headers["content-length"])
            if target != b"/":
                assert head.headers["content-length"] == str(len(whole.body))
        assert client.received == b""


@pytest.mark.parametrize("length_us", [0, 1, 500, 20_000])
def test_spin_takes_at_least_as_long_as_asked(length_us, address):
    with Client(address) as client:
        began = time.perf_counter()
        assert client.ask(b"/spin/%d" % length_us).status == 200
        assert (time.perf_counter() - began) * 1e6 >= length_us


def test_404_keeps_the_connection(address):
    with Client(address) as client:
        for _ in range(3):
            assert client.ask(b"/nowhere").status == 404
        assert is_well(client)


# --- real clients


def tool(name, package):
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed here (package {package})")
    return path


def output_of(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def url_of(address, path="/"):
    return "http://{}:{}{}".format(*address[:2], path)


def test_python_s_own_client_keeps_its_connection(address):
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        for number in range(20):
            path, method = f"/bytes/{number * 5000}", ("GET", "HEAD")[number % 2]
            connection.request(method, path)
            if number == 0:
                first = connection.sock
            answer = connection.getresponse()
            expected = filler(number * 5000) if method == "GET" else b""
            assert (answer.status, answer.read()) == (200, expected)
            assert connection.sock is first


def test_urllib_reads_pages_and_refusals(address):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url_of(address), timeout=PATIENCE_S) as answer:
        assert "worker" in json.loads(answer.read())
    for path, data, status in (("/x", None, 404), ("/", b"body", 405)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            opener.open(url_of(address, path), data, timeout=PATIENCE_S)
        with refused.value:
            assert refused.value.code == status


@pytest.mark.parametrize("options", [(), ("--http1.0",), ("--head",)])
def test_curl_is_answered(address, options):
    found = output_of(
        tool("curl", "curl"), "-sS", "--noproxy", "*", "-i", *options, url_of(address)
    )
    head, _, body = found.partition("\n\n")
    assert head.startswith("HTTP/1.1 200 OK")
    assert ("Connection: close" in head) == ("--http1.0" in options)
    assert ('"worker"' in body) == ("--head" not in options)


def test_curl_uses_one_connection_twice(address):
    counted = ("-sS", "--noproxy", "*", "-o", os.devnull, "-w", "%{num_connects} ")
    first, second = (url_of(address, path) for path in ("/nowhere", "/bytes/99999"))
    found = output_of(tool("curl", "curl"), *counted, first, "--next", *counted, second)
    assert found.split() == ["1", "0"]


def test_wrk_meets_no_error(address):
    found = output_of(tool("wrk", "wrk"), "-t1", "-c64", "-d1", url_of(address))
    assert "Socket errors" not in found
    assert "Non-2xx" not in found
    assert int(re.search(r"(\d+) requests in", found)[1]) >= 64


@pytest.mark.parametrize("options", [(), ("-k",)])
def test_ab_meets_no_error(address, options):
    command = tool("ab", "apache2-utils"), "-q", "-n", "2000", "-c", "20"
    found = output_of(*command, *options, url_of(address))
    figures = dict(re.findall(r"^([A-Z][\w -]+): +(\d+)", found, re.MULTILINE))
    assert figures["Complete requests"] == "2000"
    assert figures["Failed requests"] == "0"
    assert figures.get("Keep-Alive requests", "0") == ("2000" if options else "0")
    assert "Non-2xx responses" not in figures
