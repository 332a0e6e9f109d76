"""Steering: which listener of a shared port gets a connection, told to the kernel.

Facts. Listeners that share a port (SO_REUSEPORT) form a group, in the order of their
`listen()`, and the kernel chooses one by a hash of the connection's addresses. Two
things can choose instead, both without root. A classic BPF program that is attached to
any of the group, for all of it, returns the number of the one to take: the CPU's number
can be loaded from a place beyond the packet. And a listener may name a CPU whose
connections it prefers (SO_INCOMING_CPU). The CPU is the one on which the kernel
handles the packet: of a network card's queue, the one that is interrupted; on loopback,
the client's own.

Decision. The program is three instructions: load the CPU's number, take it modulo the
number of listeners, return it. A number that no listener has lets the hash choose.

Known limits. When a listener leaves, the last of the group takes its number: attach
when all have come, and expect another order when one has gone. Groups did not heed
SO_INCOMING_CPU from Linux 4.6 to 6.1 (commit b261eda84ec1). What may not be put here:
opening listeners, or placing workers.
"""

from __future__ import annotations

import array
import errno
import socket
import struct

SO_ATTACH_REUSEPORT_CBPF = 51  # include/uapi/asm-generic/socket.h (not on SPARC)
# include/uapi/linux/filter.h and bpf_common.h.
CPU_NUMBER = 0xFFFFF000 + 36  # SKF_AD_OFF + SKF_AD_CPU
LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
MODULO = 0x94  # BPF_ALU | BPF_MOD | BPF_K
RETURN = 0x16  # BPF_RET | BPF_A

Instruction = tuple[int, int]  # what to do, and with which number


def steer_by_cpu(listener: socket.socket, count: int) -> None:
    """Have the group of `listener` take connections by CPU number modulo `count`.

    The n-th of the group to listen gets those of CPU n. Raises OSError if the kernel
    refuses, and ValueError if there is nothing to choose from.
    """
    if count < 1:
        raise ValueError(f"count={count}: give the number of listeners, 1 or more")
    try:
        attach(listener, (LOAD, CPU_NUMBER), (MODULO, count), (RETURN, 0))
    except OSError as error:
        raise OSError(error.errno, _refused(error)) from error


def attach(listener: socket.socket, *instructions: Instruction) -> None:
    """Attach a classic BPF program that returns the number of a listener."""
    code = b"".join(struct.pack("HBBI", what, 0, 0, k) for what, k in instructions)
    kept = array.array("B", code)  # the program is given by its address
    program = struct.pack("HP", len(instructions), kept.buffer_info()[0])
    listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)


def prefer_cpu(listener: socket.socket, cpu: int) -> None:
    """Have `listener` prefer the connections that are handled on a CPU.

    Raises OSError if the kernel refuses.
    """
    if cpu < 0:
        raise ValueError(f"cpu={cpu}: give the number of a CPU, 0 or more")
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_INCOMING_CPU, cpu)
    except OSError as error:
        raise OSError(
            error.errno,
            f"a listener cannot prefer CPU {cpu}: {error.strerror}; it needs Linux 4.4 "
            "or later (6.2 where listeners share a port)",
        ) from error


def incoming_cpu(sock: socket.socket) -> int:
    """Return the CPU that handled a connection last, or that a listener prefers.

    -1 for a listener that has no preference.
    """
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_INCOMING_CPU)


def _refused(error: OSError) -> str:
    if error.errno == errno.EINVAL:
        remedy = "the listener shares no port: set SO_REUSEPORT before bind"
    else:
        remedy = "it needs Linux 4.5 or later, without a filter on setsockopt"
    return f"a program cannot choose among the listeners: {error.strerror}; {remedy}"
