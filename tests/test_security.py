"""Who may ask, and what asking can do: nothing evaluated, nothing written, loopback."""

import ast
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from netlab.kernel.addresses import is_local
from netlab.protocol import Route
from netlab.server.server import Server
from netlab.server.settings import RemoteAccess, ServerSettings
from tests.bounded import BOUND_S, ENVIRONMENT, ROOT, exchange, linux, until
from tests.conftest import possible

NETLAB = ROOT / "netlab"
EVALUATES = {"eval", "exec", "compile", "__import__", "execfile"}
UNPACKS = {"pickle", "marshal", "shelve", "dill", "yaml", "multiprocessing"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
PICKLED = {"read_pickle", "allow_pickle"}
# What looks like one of these and is none, each with its reason.
KNOWN = {
    ("server/elsewhere.py", "multiprocessing"): (
        "a child that this process made, over a socket pair that nobody else has"
    ),
    ("server/elsewhere_process.py", "multiprocessing"): (
        "its parent, by which it was made, over the same socket pair"
    ),
    ("show/truths_tables.py", "eval"): "pandas's, of a constant in that line",
}


def dotted(node):
    """A name as it is written, such as os.system; "" for what has none."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def in_a_call(node):
    """What a call does of what is looked for."""
    name = dotted(node.func)
    last = name.rpartition(".")[2]
    if name in EVALUATES or (last == "eval" and name != "eval"):
        yield last
    if name in SHELLS or last in PICKLED:
        yield name
    for keyword in node.keywords:
        constant = getattr(keyword.value, "value", None)
        if keyword.arg in ("shell", "allow_pickle") and constant is not False:
            yield keyword.arg


def suspicious(text):
    """What a module's text does of what is looked for."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield from in_a_call(node)
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from {name.partition(".")[0] for name in names} & UNPACKS
        elif isinstance(node, ast.ImportFrom):
            yield from {str(node.module).partition(".")[0]} & UNPACKS


def test_nothing_that_is_received_can_be_evaluated_or_unpickled():
    found = {
        (str(path.relative_to(NETLAB)), what)
        for path in NETLAB.rglob("*.py")
        for what in suspicious(path.read_text())
    }
    assert found == set(KNOWN)


@pytest.mark.parametrize(
    "text",
    [
        "eval(data)",
        "exec(data)",
        "compile(data, '', 'exec')",
        "__import__(name)",
        "frame.eval(data)",
        "import pickle",
        "from pickle import loads",
        "import yaml as y",
        "from multiprocessing.connection import Client",
        "import os\nos.system(data)",
        "subprocess.run(data, shell=True)",
        "subprocess.run(data, shell=flag)",
        "numpy.load(file, allow_pickle=True)",
        "pandas.read_pickle(file)",
    ],
)
def test_what_is_looked_for_would_be_found(text):
    assert list(suspicious(text))


def test_what_is_harmless_is_not_suspected():
    text = "re.compile(p)\njson.loads(d)\nsubprocess.run(c, shell=False)\nself.exec = 1"
    assert not list(suspicious(text))


# -- who may ask ----------------------------------------------------------------------


@linux
def test_by_default_nobody_else_can_reach_a_server():
    assert all(is_local(address) for address in ServerSettings().addresses())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        server = Server(workers=1)
    with server:
        assert server.address.host == "127.0.0.1"
        table = Path("/proc/net/tcp").read_text()
        (line,) = re.findall(rf"(\w+):{server.address.port:04X} 0+:0000 0A", table)
        assert line == "0100007F"


@linux
def test_who_lets_others_in_is_told_what_it_means():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with Server(workers=1, listen=["0.0.0.0:0"], allow_remote=True):
            pass
    (warning,) = told
    assert issubclass(warning.category, RemoteAccess)
    assert "other machines" in str(warning.message)
    assert "0.0.0.0" in str(warning.message)
    assert warning.filename == __file__  # the line that let them in


@linux
def test_permission_alone_is_no_reason_to_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Server(workers=1, allow_remote=True).stop()


@linux
def test_serve_says_it_too():
    options = ["--workers", "1", "--listen", "0.0.0.0:0", "--seconds", "0.1"]
    done = subprocess.run(
        [sys.executable, "-m", "netlab", "serve", *options, "--allow-remote"],
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        cwd=ROOT,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0
    assert done.stderr.count("other machines") == 1
    assert "Traceback" not in done.stderr


# -- what asking can do ---------------------------------------------------------------


METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "MAKE"]
NUMBERS = some.integers(0, 2000).map(str) | some.text("0123456789-+.eExX", max_size=9)
PATHS = some.one_of(
    some.just("/"),
    NUMBERS.map("/spin/{}".format),
    NUMBERS.map("/bytes/{}".format),
    some.sampled_from(
        [
            "/counters",
            "/settings?workers=1",
            "/stop",
            "/../../etc/passwd",
            "/bytes/%2e%2e/9",
            "/spin/__import__('os').system('true')",
            "/;reboot",
            "/?__class__",
        ]
    ),
    some.text(some.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30).map(
        "/{}".format
    ),
)
BODIES = some.sampled_from([b"", b"workers=9", b'{"strategy": "level"}', b"\x80\x04."])


@pytest.fixture(scope="module", params=["python", "compiled"])
def asked(request):
    with Server(workers=2, **possible({"engine": request.param})) as server:
        yield server


def state(server):
    """All that a server has beside its counts, and what it could write to."""
    return (
        server.actual(),
        server.addresses,
        server.tids,
        server.pid,
        server.failures,
        server.faults,
        dict(os.environ),
        sorted(os.listdir()),
    )


@linux
@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(method=some.sampled_from(METHODS), path=PATHS, body=BODIES)
def test_no_request_changes_more_than_the_counts_of_requests(
    asked, tmp_path, monkeypatch, method, path, body
):
    monkeypatch.chdir(tmp_path)
    before, counts = state(asked), asked.snapshot()
    head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
    length = f"Content-Length: {len(body)}\r\n\r\n"
    answer = exchange(asked.address, (head + length).encode() + body)
    assert re.match(rb"HTTP/1\.1 (200|400|404|405|413|501|505) ", answer), answer
    gone = lambda: asked.snapshot()["closed"].sum() == counts["closed"].sum() + 1  # noqa: E731
    until(gone)
    assert state(asked) == before
    after = asked.snapshot()
    counted = ("turns", "accepted", "closed", "requests", "bytes_in", "bytes_out")
    for name in counted:
        assert (after[name] >= counts[name]).all(), name
    for name in ("tid", "state", "left_open", "faults", "accept_errors", "rests"):
        assert (after[name] == counts[name]).all(), name


def test_there_are_three_things_to_ask_for():
    """Who adds a route thinks of what it may do: it may count, and no more."""
    assert {route.name for route in Route} == {"ROOT", "SPIN", "BYTES", "MISSING"}
