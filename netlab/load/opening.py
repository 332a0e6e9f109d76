"""How a client of the load comes to be connected, compiled.

Facts. The kernel finishes the handshake of a connection by itself, so `connect`
succeeds while all workers are busy: what a client then waits for is its first answer.
Its own port tells its connections apart in the server's accept log. About 28,000 ports
can be open from one address of our own to one of the server's; all of 127.0.0.0/8 is
ours, of IPv6 only ::1. The kernel refuses with EADDRNOTAVAIL when none is left.

Decision. A socket is watched for EPOLLOUT until it is connected and for EPOLLIN from
then on. Connections come from 127.0.0.1 until it has had its number of them, or has no
port left, then from 127.0.0.2 and so on. A socket that is bound to an own address
leaves the choice of its port to `connect` (IP_BIND_ADDRESS_NO_PORT): `bind` would take
one that no other connection from there may have.

What may not be put here: whether a connection is wanted (`loop`).
"""

from __future__ import annotations

import errno as codes
import select
import socket as sockets

import numpy as np

from netlab.kernel import libc, native
from netlab.kernel.native import address, errno, int64, jit
from netlab.load.bundle import PEER, Bundle
from netlab.load.client import (
    ABSENT,
    CONNECTING,
    FAILED,
    IDLE,
    MADE,
    NONE,
    OPEN,
    STILL_OPEN,
    ask,
    end,
    kind,
    rest,
)
from netlab.load.rows import append_connection, write_connection
from netlab.records import WRITTEN

ADD, MODIFY = np.array([libc.EPOLL_CTL_ADD, libc.EPOLL_CTL_MOD])
READABLE, WRITABLE = np.array([select.EPOLLIN, select.EPOLLOUT])
BROKEN = int(select.EPOLLERR | select.EPOLLHUP)
STREAM = int(sockets.SOCK_STREAM) | libc.SOCK_NONBLOCK | libc.SOCK_CLOEXEC
SOL_SOCKET, SO_ERROR = int(sockets.SOL_SOCKET), int(sockets.SO_ERROR)
AF_INET = int(sockets.AF_INET)
IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT = 0, 24
ADDRESS = int((PEER.fields or {})["address"][1])  # where it is in a record
OPTION, LENGTH, NAME = 6, 7, 8  # places in Bundle.scratch


@jit
def make(b: Bundle, arrival: int) -> int:
    """Make the next client's socket; its descriptor, or -1 and a row that says so."""
    state = b.state[0]
    number = state["opened"]
    state["opened"] += 1
    peer = b.peers[number % state["addresses"]]
    fd = int64(native.socket(peer["family"], STREAM, 0))
    if fd < 0 or fd >= len(b.clients):
        if fd >= 0:
            native.close(fd)
        return lost(b, number, FAILED)
    client = b.clients[fd]
    client["stage"], client["number"], client["arrival"] = MADE, number, arrival
    client["place"], client["connect_ns"], client["asked"] = NONE, NONE, 0
    client["address"], client["port"] = number % state["addresses"], 0
    client["received"], client["size"], client["kept"] = 0, 0, 0
    client["kept_at"], client["older"], client["newer"] = 0, NONE, NONE
    return fd


@jit
def begin(b: Bundle, fd: int) -> int:
    """Connect a socket that was made; its descriptor, or -1 and a row that says so."""
    state, client = b.state[0], b.clients[fd]
    client["opened_ns"] = native.now_ns(b.scratch)
    code = connect(b, fd, client["address"])
    if code != 0:
        native.close(fd)
        client["stage"] = ABSENT
        return lost(b, client["number"], kind(code))
    client["stage"], client["source"] = CONNECTING, state["source"]
    if b.peers[client["address"]]["moves"] == 0:
        client["source"] = 0
    client["port"] = own_port(b, fd)
    client["place"] = append_connection(b)
    write_connection(b, fd, OPEN, STILL_OPEN)
    watch(b, fd, ADD, WRITABLE)
    state["open"] += 1
    state["connecting"] += 1
    return fd


@jit
def connect(b: Bundle, fd: int, to: int) -> int:
    """Begin to connect, from the next own address if one has no port left; errno."""
    state, peer = b.state[0], b.peers[to]
    if peer["moves"] and state["of_source"] >= state["per_source"]:
        move_on(b)
    while True:
        if peer["moves"] and state["source"] > 0:
            bind(b, fd)
        place = address(b.peers) + to * b.peers.itemsize + ADDRESS
        code = 0 if native.connect(fd, place, peer["size"]) == 0 else errno()
        if code == 0 or code == codes.EINPROGRESS:
            state["of_source"] += 1
            return 0
        if code != codes.EADDRNOTAVAIL or peer["moves"] == 0 or move_on(b) == 0:
            return code
        native.close(fd)  # bound to its old address: the number is free for the next
        if native.socket(peer["family"], STREAM, 0) != fd:
            return codes.EMFILE


@jit
def move_on(b: Bundle) -> int:
    """Take the next own address from now on; 0 if there is none."""
    state = b.state[0]
    if state["source"] + 1 >= state["sources"]:
        return 0
    state["source"] += 1
    state["of_source"] = 0
    return 1


@jit
def bind(b: Bundle, fd: int) -> int:
    """Bind a socket to the own address in use; connect then chooses the port."""
    host = 1 + b.state[0]["source"]  # 127.0.0.host; SOURCES keeps it below 128
    b.scratch[OPTION], at = 1, address(b.scratch)
    option = at + 8 * OPTION
    native.setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, option, 4)
    b.scratch[NAME] = AF_INET | (127 << 32) | (host << 56)
    b.scratch[NAME + 1] = 0
    return native.bind(fd, at + 8 * NAME, 16)


@jit
def own_port(b: Bundle, fd: int) -> int:
    """Return the port that a connection has on our side."""
    at = address(b.scratch)
    b.scratch[LENGTH] = 32
    if native.getsockname(fd, at + 8 * NAME, at + 8 * LENGTH) != 0:
        return 0
    word = b.scratch[NAME]  # family, then the port, the higher byte first
    return ((word >> 16) & 255) * 256 + ((word >> 24) & 255)


@jit
def watch(b: Bundle, fd: int, action: int, events: int) -> int:
    """Let the loop hear of `events` of a descriptor."""
    last = len(b.events) - 1
    entry = b.events[last]
    entry["events"], entry["fd"] = events, fd
    at = address(b.events) + last * b.events.itemsize
    return native.epoll_ctl(b.state[0]["epoll"], action, fd, at)


@jit
def connected(b: Bundle, fd: int, events: int) -> int:
    """Note that the handshake is over, and ask, if the plan asks now."""
    state, client = b.state[0], b.clients[fd]
    if events & BROKEN:
        return end(b, fd, kind(socket_error(b, fd)))
    client["connect_ns"] = native.now_ns(b.scratch) - client["opened_ns"]
    client["stage"] = IDLE
    state["connecting"] -= 1
    write_connection(b, fd, OPEN, STILL_OPEN)
    watch(b, fd, MODIFY, READABLE)
    if state["asks"] or client["arrival"] != NONE:
        return ask(b, fd)
    return rest(b, fd)


@jit
def socket_error(b: Bundle, fd: int) -> int:
    """Return why a connection failed, as an errno."""
    at = address(b.scratch)
    b.scratch[OPTION], b.scratch[LENGTH] = 0, 4
    place = at + 8 * OPTION
    native.getsockopt(fd, SOL_SOCKET, SO_ERROR, place, at + 8 * LENGTH)
    return b.scratch[OPTION]


@jit
def lost(b: Bundle, number: int, outcome: int) -> int:
    """Write the row of a connection that never began; returns -1."""
    state = b.state[0]
    state["failed"] = 1
    place = append_connection(b)
    if place != NONE:
        row = b.connections[place]
        now = native.now_ns(b.scratch)
        row["connection"], row["outcome"] = number, outcome
        row["opened_ns"], row["closed_ns"], row["connect_ns"] = now, now, NONE
        row["requests"], row["address"] = 0, number % state["addresses"]
        row["port"], row["source"] = 0, 0
        b.connections_head[WRITTEN] = place + 1
    return NONE
