"""Where a process listens, and how many connections wait there: from outside.

Facts. A listener belongs to no process: it is a socket with an inode number, and every
process with a descriptor of it (in /proc/PID/fd, a link to "socket:[inode]") may accept
from it. /proc/net/tcp gives a listener's accept queue but not its limit. sock_diag(7),
which `ss` asks as well, gives both, to anybody: a message over netlink, one answer a
listener, with the inode. In state LISTEN, `idiag_rqueue` is the length of the accept
queue and `idiag_wqueue` its limit, min(backlog, net.core.somaxconn).

Decision. The kernel is asked for all TCP listeners, and those are kept of which one of
the processes has a descriptor. kernel.backlog says what the two numbers mean.

Known limits. The links of /proc/PID/fd are shown to the same user and to root. netlink
answers for the own network namespace only. A server in a container has another, and is
refused: "no listeners" would be untrue. Sockets of UNIX and UDP are left out.

What may not be put here: anything that has a descriptor of the listener itself.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from netlab.kernel.addresses import Address

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("address", "queue", "limit", "pids")
ANSWER_S = 5.0  # the kernel answers within the call; what blocks netlink may be silent

# include/uapi/linux/netlink.h, sock_diag.h and inet_diag.h
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
TCP_LISTEN = 10
HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, sender
REQUEST = struct.Struct("=BBBxI48x")  # inet_diag_req_v2: family, protocol, -, states
# inet_diag_msg: ..., source port and address, ..., rqueue, wqueue, uid, inode
MESSAGE = struct.Struct("=4x2s2x16s28x4xIIII")
LARGEST = 1 << 16  # bytes: the kernel fills at most 32 KiB a message


class Listener(NamedTuple):
    """A TCP listener of this network namespace."""

    inode: int
    address: Address
    queue: int
    limit: int


def listeners_of(pids: Iterable[int]) -> pd.DataFrame:
    """Return a row per TCP listener of these processes.

    Columns: `address` ("127.0.0.1:80"), `queue` (connections that wait to be
    accepted), `limit` (it is full above it), `pids` (a tuple: who may accept).

    Raises PermissionError for a process of another user, OSError for one in another
    network namespace.
    """
    import pandas as pd

    holders: dict[int, list[int]] = {}
    for pid in pids:
        for inode in _sockets_of(pid):
            holders.setdefault(inode, []).append(pid)
    rows = [
        (str(found.address), found.queue, found.limit, tuple(holders[found.inode]))
        for found in all_listeners()
        if found.inode in holders
    ]
    return pd.DataFrame(sorted(rows), columns=list(COLUMNS))


def all_listeners() -> list[Listener]:
    """Return every TCP listener of this network namespace, IPv4 and IPv6."""
    families = (socket.AF_INET, socket.AF_INET6)
    return [found for family in families for found in _ask(family)]


def _ask(family: int) -> Iterator[Listener]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(ANSWER_S)
        size = HEADER.size + REQUEST.size
        flags = NLM_F_REQUEST | NLM_F_DUMP
        head = HEADER.pack(size, SOCK_DIAG_BY_FAMILY, flags, 0, 0)
        kernel.send(head + REQUEST.pack(family, socket.IPPROTO_TCP, 0, 1 << TCP_LISTEN))
        while True:
            for kind, body in _messages(kernel.recv(LARGEST)):
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    number = -struct.unpack_from("=i", body)[0]
                    raise OSError(number, f"sock_diag: {os.strerror(number)}")
                yield _listener(family, body)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Part what was received into messages: type, and what follows the header."""
    while data:
        size, kind, *_ = HEADER.unpack_from(data)
        yield kind, data[HEADER.size : size]
        data = data[(size + 3) & ~3 :]


def _listener(family: int, body: bytes) -> Listener:
    port, host, queue, limit, _, inode = MESSAGE.unpack_from(body)
    length = 4 if family == socket.AF_INET else 16
    name = socket.inet_ntop(family, host[:length])
    return Listener(inode, Address(name, int.from_bytes(port, "big")), queue, limit)


def _sockets_of(pid: int) -> set[int]:
    """Return the inodes of a process's sockets; none if it is gone."""
    try:
        _same_network(pid)
        names = os.listdir(f"/proc/{pid}/fd")
        links = [_link(f"/proc/{pid}/fd/{name}") for name in names]
    except PermissionError as error:
        raise PermissionError(
            f"process {pid} is another user's: where it listens is shown to that user "
            "and to root"
        ) from error
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {int(link[8:-1]) for link in links if link.startswith("socket:[")}


def _same_network(pid: int) -> None:
    if os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net"):
        raise OSError(
            f"process {pid} has a network of its own, as in a container: where it "
            f"listens is told in there (as root: nsenter --net --target {pid} ...)"
        )


def _link(path: str) -> str:
    """Return where a descriptor's link points; nowhere if it was closed."""
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""
