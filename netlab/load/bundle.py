"""What the compiled loop works on: one bundle of arrays, made from the settings.

A NamedTuple of arrays is one argument for compiled code, and everything in it is as
Python sees it. The state has one record, a client has the record of its descriptor.
Text and addresses are written here, because compiled code cannot.

What may not be put here: a system call, or anything that changes while a load runs.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from netlab.kernel.native import EPOLL_EVENT
from netlab.load.plans import CONNECTIONS_LIMIT, LoadSettings
from netlab.protocol import HEAD_LIMIT
from netlab.protocol_client import write_request
from netlab.records import Log

READ_BYTES = 1 << 16
EVENTS_PER_TURN = 64  # between two looks for arrivals that are due: 0.3 ms
HANDSHAKES = 64  # under way at one time in plan hold: far below any accept queue
SECOND_NS = 1_000_000_000
ADDRESS_WORDS = 4  # a sockaddr_in6, the longest, has 28 bytes
FOREVER_NS = (1 << 62) - 1


class Goal(IntEnum):
    """What the loop works for, until it returns."""

    OPEN = 0  # all connections of the plan; those that ask, until they are done
    BURST = 1  # make all sockets, then connect them, and look at nothing
    ASK = 2  # ask on every open connection
    ANSWERS = 3  # until every request that was sent has its answer
    SCHEDULE = 4  # ask when the schedule says so
    HOLD = 5  # until `until_ns`
    LET_GO = 6  # close all, with the outcome in `last_outcome`


def numbers(*names: str) -> np.dtype:
    """Return a dtype of int64 fields."""
    return np.dtype([(name, "int64") for name in names], align=True)


STATE = numbers(
    # the plan, and what Python decides
    *("goal", "until_ns", "last_outcome"),
    *("wanted", "at_once", "under_way", "pause_ns", "requests", "asks", "stays"),
    *("scheduled", "stop_early", "deadline_ns", "last_ask_ns"),
    *("control", "epoll", "timer", "ask_bytes", "spin_bytes", "inbox", "addresses"),
    *("per_source", "sources"),
    # what the loop keeps
    *("opened", "open", "connecting", "busy", "failed", "asked"),
    *("next_open_ns", "timer_ns", "source", "of_source"),
    *("zero_ns", "noticed", "taken", "to_replace", "oldest", "newest"),
)
CLIENT = numbers(
    *("stage", "number", "place", "address", "source", "port"),
    *("opened_ns", "connect_ns", "asked", "arrival", "older", "newer"),
    *("start_ns", "late_ns", "overdue_ns", "path"),
    *("received", "size", "status", "worker", "cpu", "keep_alive"),
    *("kept", "kept_at"),  # the first bytes of a head: how many, and where
)
PEER = np.dtype(
    [
        ("family", "int64"),
        ("size", "int64"),
        ("moves", "int64"),  # may be called from 127.0.0.2
        ("address", "int64", ADDRESS_WORDS),
    ],
    align=True,
)
DUE = numbers("due_ns", "noticed_ns")  # from the start; on the clock


class Bundle(NamedTuple):
    """All that one load works on; arrays, so that compiled code can take it.

    Few of them: each is seven numbers to hand on, at every call.
    """

    state: np.ndarray  # STATE, (1,)
    clients: np.ndarray  # CLIENT, a row a descriptor
    peers: np.ndarray  # PEER, a row an address
    text: np.ndarray  # uint8: the two requests, for the path and /spin/; the inbox
    pattern: np.ndarray  # uint8: which request, in the order of sending
    schedule: np.ndarray  # DUE, a row a request of plan open
    connections: np.ndarray  # the logs' places and heads
    connections_head: np.ndarray
    requests: np.ndarray
    requests_head: np.ndarray
    events: np.ndarray  # EPOLL_EVENT; the last is for epoll_ctl
    scratch: np.ndarray  # int64: clock 0-1, timer 2-5, option 6-7, address 8-11


class Target(NamedTuple):
    """What a load is fired at, and how its own addresses are used."""

    addresses: list[tuple[str, int]]
    per_source: int  # connections from one own address, before the next is used
    stop_early: bool


def bundle(
    settings: LoadSettings, target: Target, connections: Log, requests: Log
) -> Bundle:
    """Return the bundle of a load; what belongs to the process is set later."""
    full = settings.resolved()
    paths = full.path or "/", f"/spin/{full.spin_us or 0}"
    asks = [_request(path, target) for path in paths]
    inbox = bytes(HEAD_LIMIT + READ_BYTES)
    return Bundle(
        state=_state(full, target, *map(len, asks)),
        clients=np.zeros(0, CLIENT),
        peers=np.array([_peer(*one) for one in target.addresses], PEER),
        text=np.frombuffer(b"".join([*asks, inbox]), "uint8").copy(),
        pattern=settings.pattern(),
        schedule=_schedule(settings.schedule()),
        connections=connections.records,
        connections_head=connections.head,
        requests=requests.records,
        requests_head=requests.head,
        events=np.zeros(EVENTS_PER_TURN + 1, EPOLL_EVENT),
        scratch=np.zeros(12, "int64"),
    )


def _schedule(due_ns: np.ndarray) -> np.ndarray:
    schedule = np.zeros(len(due_ns), DUE)
    schedule["due_ns"] = due_ns
    return schedule


def _state(full: LoadSettings, target: Target, ask: int, spin: int) -> np.ndarray:
    """Return the state before the load; `full`: resolved settings."""
    state = np.zeros(1, STATE)
    row = state[0]
    row["wanted"] = full.connections or (0 if full.requests == 1 else full.at_once)
    row["at_once"] = full.at_once or full.connections
    row["under_way"] = HANDSHAKES if full.plan in ("hold", "open") else row["at_once"]
    row["pause_ns"] = -1 if full.pause_ms is None else full.pause_ms * 1e6
    row["requests"] = full.requests or 0
    row["asks"] = full.plan == "closed"
    row["stays"] = full.holds
    row["scheduled"] = full.plan == "open"
    row["stop_early"] = target.stop_early
    row["ask_bytes"], row["spin_bytes"] = ask, spin
    row["inbox"] = ask + spin
    row["addresses"] = len(target.addresses)
    row["per_source"] = target.per_source if full.holds else CONNECTIONS_LIMIT
    row["oldest"] = row["newest"] = -1
    return state


def _request(path: str, target: Target) -> bytes:
    host, port = target.addresses[0]
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return write_request(path, name)


def _peer(host: str, port: int) -> tuple[int, int, bool, np.ndarray]:
    """Return a record of PEER, with a sockaddr_in or a sockaddr_in6 in it."""
    family, _, _, _, found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]
    packed = struct.pack("=H", family) + struct.pack("!H", port)
    inside = socket.inet_pton(family, host.partition("%")[0])
    if family == socket.AF_INET6:
        _, _, *more = found
        inside = struct.pack("!I", more[0]) + inside + struct.pack("=I", more[1])
    size = 28 if family == socket.AF_INET6 else 16
    words = np.frombuffer((packed + inside).ljust(8 * ADDRESS_WORDS, b"\0"), "int64")
    moves = family == socket.AF_INET and ipaddress.ip_address(host).is_loopback
    return family, size, moves, words
