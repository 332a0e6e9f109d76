"""Settings: what is refused, with which words, and that nothing stays behind."""

import dataclasses
import errno
import os
import re
import socket
import threading

import pytest

from netlab.server.server import Server
from netlab.server.settings import BACKLOG, RemoteAccess, ServerSettings, somaxconn

REMOTE = "allow_remote=True if that is what you want"
WHERE = "write HOST:PORT"
ONCE = "name each of the 2 workers 0 to 1 once"
BAD = [
    ({"workers": 0}, "workers=0:", "from 1 to 1024"),
    ({"workers": -1}, "workers=-1:", "from 1 to 1024"),
    ({"workers": 2000}, "workers=2000:", "from 1 to 1024"),
    ({"workers": True}, "workers=True:", "give a whole number"),
    ({"workers": "4"}, "workers='4':", "give a whole number"),
    ({"workers": 2.0}, "workers=2.0:", "give a whole number"),
    ({"strategy": "fair"}, "strategy='fair':", "level"),
    ({"strategy": None}, "strategy=None:", "level"),
    ({"engine": "magic"}, "engine='magic':", "python"),
    ({"engine": None}, "engine=None:", "python"),
    ({"workers_as": "fibers"}, "workers_as='fibers':", "threads or processes"),
    ({"workers_as": None}, "workers_as=None:", "threads or processes"),
    ({"engine": "compiled", "loop": "select"}, "loop='select':", "waits with epoll"),
    ({"loop": "kqueue"}, "loop='kqueue':", "epoll or select"),
    ({"loop": ""}, "loop='':", "epoll or select"),
    ({"listen": "127.0.0.1:0"}, "listen='127.0.0.1:0':", 'such as ["127.0.0.1:0"]'),
    ({"listen": []}, "listen=():", 'such as ["127.0.0.1:0"]'),
    ({"listen": None}, "listen=None:", 'such as ["127.0.0.1:0"]'),
    ({"listen": 8080}, "listen=8080:", 'such as ["127.0.0.1:0"]'),
    ({"listen": [8080]}, "listen=(8080,):", 'such as ["127.0.0.1:0"]'),
    ({"listen": ["127.0.0.1:70000"]}, "'127.0.0.1:70000'", WHERE),
    ({"listen": ["127.0.0.1:-1"]}, "'127.0.0.1:-1'", WHERE),
    ({"listen": ["127.0.0.1:http"]}, "'127.0.0.1:http'", WHERE),
    ({"listen": ["127.0.0.1:"]}, "'127.0.0.1:'", WHERE),
    ({"listen": ["example.org:80"]}, "'example.org:80'", WHERE),
    ({"listen": ["127.0.0.1:0", ""]}, "''", WHERE),
    ({"listen": ["0.0.0.0:0"]}, "0.0.0.0:0 can be reached", REMOTE),
    ({"listen": ["[::]:0"]}, "[::]:0 can be reached", REMOTE),
    ({"listen": ["127.0.0.1:0", "0.0.0.0:0"]}, "0.0.0.0:0 can be reached", REMOTE),
    ({"listen": ["10.0.0.1:80"]}, "10.0.0.1:80 can be reached", REMOTE),
    ({"allow_remote": "no"}, "allow_remote='no':", "True or False"),
    ({"pin": None}, "pin=None:", "True or False"),
    ({"pin": [0]}, "pin=[0]:", "True or False"),
    ({"register_order": [0, 0]}, "register_order=(0, 0):", ONCE),
    ({"register_order": [0]}, "register_order=(0,):", ONCE),
    ({"register_order": []}, "register_order=():", ONCE),
    ({"register_order": [0, 1, 2]}, "register_order=(0, 1, 2):", ONCE),
    ({"register_order": [1, 2]}, "register_order=(1, 2):", ONCE),
    ({"register_order": [-1, 0]}, "register_order=(-1, 0):", ONCE),
    ({"register_order": "10"}, "register_order='10':", "such as [0, 1]"),
    ({"register_order": 1}, "register_order=1:", "such as [0, 1]"),
    ({"register_order": [1.0, 0.0]}, "register_order=(1.0, 0.0):", "such as [0, 1]"),
    ({"register_order": [True, 0]}, "register_order=(True, 0):", "such as [0, 1]"),
    ({"backlog": 0}, "backlog=0:", "net.core.somaxconn"),
    ({"backlog": -1}, "backlog=-1:", "net.core.somaxconn"),
    ({"backlog": somaxconn() + 1}, f"backlog={somaxconn() + 1}:", "net.core.somaxconn"),
    ({"backlog": "16"}, "backlog='16':", "net.core.somaxconn"),
    ({"backlog": True}, "backlog=True:", "net.core.somaxconn"),
    ({"backlog": 1.5}, "backlog=1.5:", "net.core.somaxconn"),
    ({"accept_log": -1}, "accept_log=-1:", "from 0 to"),
    ({"accept_log": 1 << 25}, f"accept_log={1 << 25}:", "from 0 to"),
    ({"accept_log": None}, "accept_log=None:", "such as 0"),
    ({"turn_log": -1}, "turn_log=-1:", "from 0 to"),
    ({"turn_log": None}, "turn_log=None:", "such as 0"),
    ({"incoming_cpu": 1}, "incoming_cpu=1:", "True or False"),
    ({"client_timeout_s": 0}, "client_timeout_s=0:", "at least 0.1"),
    ({"client_timeout_s": None}, "client_timeout_s=None:", "from 0.1 to"),
    ({"client_timeout_s": 1e9}, "client_timeout_s=1000000000.0:", "to 86400"),
    ({"client_timeout_s": "9"}, "client_timeout_s='9':", "give a number"),
    ({"max_connections": 0}, "max_connections=0:", "from 1 to"),
    ({"max_connections": 1 << 20}, "max_connections=1048576:", "ulimit -n"),
    ({"max_connections": 1.5}, "max_connections=1.5:", "whole number"),
    ({"rotate_every": 4}, "rotate_every=4:", "exclusive-rotate"),
    ({"strategy": "exclusive-rotate", "rotate_every": -1}, "rotate_every=-1:", "from"),
    ({"slow": 1}, "slow=1:", "such as (0, 5)"),
    ({"slow": (0, 5.0)}, "slow=(0, 5.0):", "such as (0, 5)"),
    ({"slow": (2, 5)}, "slow: the worker=2:", "from 0 to 1"),
    ({"slow": (0, 0)}, "slow: the factor=0:", "from 1 to 100"),
    ({"strategy": "blocking", "engine": "compiled"}, "engine='compiled':", "python"),
    ({"strategy": "blocking", "loop": "epoll"}, "loop='epoll':", "accept"),
    ({"strategy": "blocking", "listen": ["[::1]:0", "127.0.0.1:0"]}, "2 add", "one"),
    ({"strategy": "handoff-least", "workers_as": "processes"}, "='proc", "threads"),
]


def belongings():
    """What a server that was refused must not leave: descriptors and threads."""
    descriptors = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in open_descriptors()}
    return descriptors, threading.active_count()


def open_descriptors():
    with os.scandir("/proc/self/fd") as entries:
        numbers = [int(entry.name) for entry in entries]
    return [fd for fd in numbers if os.path.lexists(f"/proc/self/fd/{fd}")]


@pytest.mark.parametrize(
    ("settings", "value", "remedy"), BAD, ids=[str(row[0]) for row in BAD]
)
def test_what_cannot_be_honoured_is_refused_with_value_and_remedy(
    settings, value, remedy
):
    before = belongings()
    with pytest.raises(ValueError, match=re.escape(value)) as refused:
        Server(**{"workers": 2} | settings)
    assert remedy in str(refused.value)
    assert belongings() == before


def test_an_unknown_setting_is_named():
    with pytest.raises(TypeError, match="wokers"):
        Server(wokers=2)


def test_a_port_in_use_is_named_and_nothing_stays_open():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        before = belongings()
        with pytest.raises(OSError, match=f"127.0.0.1 port {port}.*another port") as no:
            Server(workers=2, listen=["127.0.0.1:0", f"127.0.0.1:{port}"])
        assert no.value.errno == errno.EADDRINUSE
        assert belongings() == before


def test_an_address_that_is_not_ours_is_named():
    before = belongings()
    refused = pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1 port 0")
    with refused, pytest.warns(RemoteAccess, match="other machines can reach"):
        Server(workers=1, listen=["192.0.2.1:0"], allow_remote=True)
    assert belongings() == before


def test_settings_are_kept_as_asked_and_do_not_change():
    settings = ServerSettings(workers=3)
    assert (settings.loop, settings.backlog, settings.register_order) == (None,) * 3
    assert (settings.worker_count(), settings.order()) == (3, (0, 1, 2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.workers = 4  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        ServerSettings(3)  # pyright: ignore[reportCallIssue]


def test_limits_themselves_are_allowed():
    ServerSettings(workers=1024, backlog=somaxconn(), accept_log=1 << 24)
    ServerSettings(workers=1, backlog=1, accept_log=0)
    ServerSettings(listen=("127.9.9.9:65535", "[::1]:0", "localhost:1", "8080"))
    ServerSettings(listen=("0.0.0.0:0", "[::]:0"), allow_remote=True)
    with Server(workers=1) as server:
        assert server.actual()["backlog"] == min(BACKLOG, somaxconn())
