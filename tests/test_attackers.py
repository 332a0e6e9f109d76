"""Attackers and clients that others wrote: who behaves is answered, and all is counted.

With NETLAB_PROVE set: each attack and each client, of every kind of server.
"""

import contextlib
import os
import signal
import socket
import threading
import time

import psutil
import pytest

from netlab.kernel.addresses import Address
from netlab.protocol import FILLER
from reliability import attacks, attacks_client, attacks_kinds, clients
from reliability.results import Broken

PROVE = "NETLAB_PROVE" in os.environ
CONNECTIONS, SECONDS, TIMEOUT_S = 200, 3, 1.5
# One of the two engines for each attack of the tool; the crowd is a fault as well.
EVERY_DAY = {
    "slow headers": "compiled threads",
    "slow body": "python threads",
    "slow read": "python threads",
    "range": "compiled threads",
}
ATTACKED = [
    (attack.name, kind)
    for attack in attacks_kinds.ATTACKS
    for kind in attacks.SERVERS
    if PROVE or EVERY_DAY.get(attack.name) == kind
]
VISITED = [
    (client.name, kind)
    for client in clients.CLIENTS
    for kind in attacks.SERVERS
    if PROVE or (client.program, kind.split()[1]) == ("h2load", "threads")
]


@pytest.mark.parametrize(("name", "kind"), ATTACKED)
def test_who_behaves_is_answered_during(name, kind):
    attack = attacks_kinds.named(name)
    if not attack.crowds and (reason := attacks_kinds.missing()):
        pytest.skip(reason)
    seconds = SECONDS if attack.stays else 1
    row = attacks.attacked(
        *(kind, attack, CONNECTIONS, seconds), quiet_s=0.3, client_timeout_s=TIMEOUT_S
    )
    attacks.require([row])
    if name == "slow headers":
        assert row["timed out"] >= CONNECTIONS
    if name == "slow read":
        assert row["timed out"] > 0
    if not attack.stays:
        assert row["refused"] >= CONNECTIONS


@pytest.mark.parametrize(("name", "kind"), VISITED)
def test_the_server_counts_what_is_counted_by(name, kind):
    client = next(client for client in clients.CLIENTS if client.name == name)
    if reason := client.missing():
        pytest.skip(reason)
    row = clients.visited(kind, client)
    assert row["answered, it says"] >= clients.PER_CONNECTION


def standing_still(address, connections, seconds):
    """An attack that stops the server's process."""
    (pid,) = (
        child.pid
        for child in psutil.Process().children()
        if "reliability.serving" in child.cmdline()
    )
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)
    yield
    return "it stood still"


def test_a_server_that_stands_still_is_seen_to_be_late():
    attack = attacks_kinds.Attack("slow body", "stopped", False, standing_still)
    row = attacks.attacked("python threads", attack, 1, 1.0, quiet_s=0.3)
    assert row["requests"] == row["answered"] > 0.8 / attacks_client.EVERY_S
    assert row["worst ms"] > 900
    assert any("a median of" in what for what in attacks.wrongs(row, bar_ms=100))
    assert not any("a median of" in what for what in attacks.wrongs(row, bar_ms=None))


GOOD = {
    "attack": "slow headers",
    "server": "python threads",
    "connections": 10,
    "opened": 11,
    "open at once": 11,
    "answered": 50,
    "lost": 0,
    "mixed": 0,
    "median ms": 1.0,
    "left behind": 0,
}
WRONG = [
    ({"lost": 1}, "1 requests lost"),
    ({"mixed": 2}, "2 answers mixed"),
    ({"median ms": 101.0}, "a median of 101.0 ms"),
    ({"left behind": "1 ports"}, "left behind: 1 ports"),
    ({"open at once": 9}, "9 connections reached it, of 10"),
    ({"answered": 0}, "nobody was answered"),
    ({"attack": "range", "opened": 9}, "9 connections reached it, of 10"),
    ({"attack": "idle crowd", "connections": 40, "open at once": 13}, "13 open, of"),
]


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_a_row_in_which_something_is_wrong_is_broken(change, said):
    attacks.require([GOOD], bar_ms=100)
    with pytest.raises(Broken, match=said):
        attacks.require([GOOD, GOOD | change], bar_ms=100)


HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
    "Content-Length: {}\r\nX-Netlab-Worker: 0\r\nX-Netlab-Cpu: 0\r\n\r\n"
)


def whole(size):
    return HEAD.format(size).encode() + FILLER[:size]


@contextlib.contextmanager
def saying(*answers):
    """A server that answers its first requests with these, on a connection each."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            for answer in answers:
                client, _ = listener.accept()
                with client:
                    client.recv(1000)
                    client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Address(*listener.getsockname())
        thread.join(10)


def test_the_client_tells_a_lost_answer_and_another_s_from_its_own():
    sizes = [1 + number * 7 % attacks_client.LENGTHS for number in range(4)]
    answers = [whole(sizes[0]), whole(sizes[1])[:-1], whole(sizes[0]), b""]
    with saying(*answers) as address:
        client = attacks_client.Client(address, new_every=1)
        for _ in answers:
            client.ask()
    found = client.figures()
    assert found["connections"] == found["requests"] == 4
    assert (found["answered"], found["lost"], found["mixed"]) == (1, 2, 1)


def test_a_client_that_counts_otherwise_is_broken():
    def forgetful(url, address):
        said = clients.own(url, address)
        return said._replace(answered=said.answered - 1)

    client = clients.Client("forgetful", "python", "", forgetful)
    with pytest.raises(Broken, match="disagree"):
        clients.visited("python threads", client)
