"""The cases that a server must pass, one function each: CASES.

A case is given a running server of its own (a `Stage`, or what has its `address` and
`stop`), looks at it from outside, and raises if it is not as it should be. All its
waits end. Two cases touch the descriptors of the whole process for a moment, so they
are of use only for a server in this process.

Not in this file: how often and on what they are run (`judge`).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from netlab.kernel.limits import raised_descriptor_limit
from netlab.stages.asking import PATIENCE_S, Client

SMALL = 1 << 14  # bytes of a receive buffer
LONG = b"/bytes/8000000"  # more than the kernel takes for a client that does not read
SELECT_LIMIT = 1024
LOOK_S = 0.2


class Running(Protocol):
    """What a case needs to know of a server."""

    address: Any

    def stop(self) -> None:
        """End it."""


class Case(NamedTuple):
    """One thing that a server owes."""

    name: str
    meaning: str
    check: Callable[[Any], None]


class NotHereError(Exception):
    """This machine cannot tell; the text says why."""


def _answers(server: Running) -> None:
    with Client(server.address) as client:
        answer = client.ask()
        said = json.loads(answer.body)
        assert answer.status == 200, f"status {answer.status}"
        assert {"worker", "tid", "cpu", "accepts"} <= set(said), f"it said {said}"
        assert answer.headers["X-Netlab-Worker"] == str(said["worker"])


def _keeps(server: Running) -> None:
    with Client(server.address) as client:
        for size in (0, 1, 5000, 0):
            assert client.ask(b"/bytes/%d" % size).body[size:] == b""
        assert client.ask(b"/nowhere").status == 404
        assert client.ask().status == 200


def _drips(server: Running) -> None:
    with Client(server.address) as client:
        for byte in b"GET /bytes/7 HTTP/1.1\r\nHost: h\r\n\r\n":
            client.socket.sendall(bytes([byte]))
        assert len(client.read().body) == 7


def _together(server: Running) -> None:
    with Client(server.address) as client:
        client.send(*(b"/bytes/%d" % size for size in range(50)))
        found = [len(client.read().body) for _ in range(50)]
        assert found == list(range(50)), f"bodies of {found} bytes"


def _refuses(server: Running) -> None:
    with Client(server.address) as client:
        client.socket.sendall(b"\0")
        assert client.read().status == 400
        assert client.has_ended(), "the connection stays open"


def _closes(server: Running) -> None:
    with Client(server.address) as client:
        client.send(b"/", header=b"Connection: close\r\n")
        assert client.read().status == 200
        assert client.has_ended(), "the connection stays open"


def _half_closed(server: Running) -> None:
    with Client(server.address) as client:
        client.send(*[b"/bytes/9"] * 20)
        client.socket.shutdown(socket.SHUT_WR)
        assert [len(client.read().body) for _ in range(20)] == [9] * 20
        assert client.has_ended(), "the connection stays open"


def _vanished(server: Running) -> None:
    for said in (b"", b"GET / HT", b"GET /spin/2000 HTTP/1.1\r\nHost: h\r\n\r\n"):
        with Client(server.address) as client:
            client.socket.sendall(said)
            client.vanish()
    _answers(server)


def _silent(server: Running) -> None:
    with Client(server.address):
        _answers(server)


def _take_turns(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(20)]
        for client in clients * 3:
            assert client.ask().status == 200


def _slow_reader(server: Running) -> None:
    with Client(server.address, SMALL) as client:
        client.send(LONG)
        client.socket.recv(1, socket.MSG_PEEK)  # it is being answered
        _answers(server)


def _busy(server: Running) -> None:
    with Client(server.address) as one:
        one.send(*[b"/spin/100000"] * 6)
        one.socket.recv(1, socket.MSG_PEEK)  # 0.5 s of work are left
        with Client(server.address) as another:  # whoever is idle takes it
            another.send(b"/")
            ready = select.poll()
            ready.register(another.socket, select.POLLIN)
            assert ready.poll(400), "a request waited for another client's to end"


def _arrives_whole(server: Running) -> None:
    with Client(server.address, SMALL) as client:
        client.send(LONG)
        time.sleep(LOOK_S)
        assert len(client.read().body) == 8_000_000


def _reads_late(server: Running) -> None:
    with Client(server.address, SMALL) as client:
        client.send(*[b"/bytes/600000"] * 16)
        time.sleep(LOOK_S)
        for _ in range(16):
            assert len(client.read().body) == 600_000


def _many_descriptors(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(raised_descriptor_limit(SELECT_LIMIT + 64))
        except OSError as error:
            raise NotHereError(str(error)) from error
        while (held := os.dup(1)) < SELECT_LIMIT:
            stack.callback(os.close, held)
        stack.callback(os.close, held)
        _answers(server)


def _rests(server: Running) -> None:
    with contextlib.ExitStack() as stack:
        client = Client(server.address)  # its own descriptor, had before
        stack.callback(client.__exit__)
        time.sleep(LOOK_S / 4)  # a blocking accept has its descriptor by now
        with no_descriptor_left():
            client.__enter__()
            time.sleep(LOOK_S / 4)
            before = time.process_time()
            time.sleep(LOOK_S)
            used_s = time.process_time() - before
        assert client.ask().status == 200
        # Who rests needs less than a hundredth; who spins takes what CPU there is.
        assert used_s < LOOK_S / 40, f"busy for {used_s / LOOK_S:.0%} of the time"


def _stops(server: Running) -> None:
    address = tuple(server.address)[:2]
    with Client(address) as silent, Client(address) as half:
        half.socket.sendall(b"GET / HT")
        time.sleep(LOOK_S / 4)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < PATIENCE_S, "the stop took too long"
        server.stop()  # once more does nothing
        assert silent.has_ended(), "a connection is still open"
        assert half.has_ended(), "a connection is still open"
        with contextlib.suppress(ConnectionRefusedError), Client(address):
            raise AssertionError("the port still listens")


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let this process have no descriptor more than it has."""
    import resource

    kind = resource.RLIMIT_NOFILE
    before = resource.getrlimit(kind)
    os.close(lowest_free := os.dup(1))
    resource.setrlimit(kind, (lowest_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


CASES = (
    Case("a request is answered", "JSON that says who answered", _answers),
    Case("a connection is kept", "several requests, one after the other", _keeps),
    Case("a request may drip in", "byte by byte", _drips),
    Case("requests may come together", "50 in one send, answered in order", _together),
    Case("what is not HTTP is refused", "400, and the end", _refuses),
    Case("who asks to be closed is closed", "after the answer", _closes),
    Case("who says no more gets all answers", "and then the end", _half_closed),
    Case("who vanishes hurts nobody", "three resets, and one that asks", _vanished),
    Case("a silent client holds up nobody", "it is connected, another asks", _silent),
    Case("clients take turns", "20 connected, each asks three times", _take_turns),
    Case("a slow reader holds up nobody", "8 MB wait for it, others ask", _slow_reader),
    Case("a busy worker holds up nobody", "0.5 s of work, a new client asks", _busy),
    Case("a long answer arrives whole", "8 MB, read late", _arrives_whole),
    Case("who reads late gets every answer", "16 of 600 kB at once", _reads_late),
    Case(
        "a thousand descriptors are not too many", "a client's is 1,024 or more",
        _many_descriptors,
    ),
    Case("out of descriptors, it rests", "the processor is left alone", _rests),
    Case("stopped, it leaves nothing", "no connection, no port; twice", _stops),
)  # fmt: skip
